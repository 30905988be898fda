//! Quotes text from outside in errors, and hides the secrets in it.

/// The text on one line, at most `most_chars` long. Its author must not control the layout of a log or a notification.
pub fn quote(text: &str, most_chars: usize) -> String {
    let is_plain = |c: char| c == ' ' || c == '…' || c.is_ascii_graphic() || c.is_alphanumeric();
    let mut line = String::with_capacity(text.len().min(most_chars) + '…'.len_utf8());
    let mut left = most_chars;
    for c in text.chars() {
        let escaped = (!is_plain(c)).then(|| c.escape_default());
        let needed = escaped.as_ref().map_or(1, ExactSizeIterator::len);
        if needed > left {
            line.push('…');
            break;
        }
        left -= needed;
        match escaped {
            Some(escaped) => line.extend(escaped),
            None => line.push(c),
        }
    }
    line
}

/// An error with the errors that caused it, on one line; each text that an earlier one already has is left out.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    for source in std::iter::successors(error.source(), |source| source.source()) {
        let source = source.to_string();
        if !text.contains(&source) {
            text = format!("{text}: {source}");
        }
    }
    text
}

/// The prefixes of tokens issued by GitHub and Slack.
const TOKENS: [&str; 12] =
    ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xoxb-", "xoxp-", "xoxa-", "xoxe", "xoxr-", "xapp-"];
/// The marks of other secrets: a webhook's address, a key in PEM form.
const MARKS: [&str; 2] = ["hooks.slack", "PRIVATE KEY"];
/// The minimum length of a token; a name that only starts like one is shorter.
const SHORTEST_TOKEN: usize = 20;

/// Whether a text contains a token, webhook or key entered instead of a name by mistake. A name that only starts like a
/// token (`ghp_tools`) is a name.
pub fn holds_secret(text: &str) -> bool {
    let is_token = |word: &str| word.len() >= SHORTEST_TOKEN && TOKENS.iter().any(|start| word.starts_with(start));
    // GitHub tokens issued before 2021.
    let is_old_token = |word: &str| word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
    MARKS.iter().any(|mark| text.contains(mark))
        || text.split(is_separator).any(|word| is_token(word) || is_old_token(word))
}

/// Whether a text should not be repeated: it contains a secret or a part of one, or a word as long as a secret.
pub fn looks_secret(text: &str) -> bool {
    // Tokens without a mark are at least 36 characters long, without separators.
    let breaks = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    MARKS.iter().chain(&TOKENS).any(|mark| text.contains(mark)) || text.split(breaks).any(|word| word.len() >= 36)
}

/// A wrong value as an error may repeat it: quoted as in [`quote`], or hidden if it looks like a secret.
pub fn shown(text: &str, most_chars: usize) -> String {
    // The whole text is checked: cutting first could remove the mark and leave the secret.
    if looks_secret(text) { "(hidden, it looks like a secret)".to_owned() } else { quote(text, most_chars) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_webhooks_and_keys_are_distinguished_from_names() {
        let hex = "0123456789abcdef0123456789abcdef01234567";
        for secret in [
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "gho_16C7e42F292c6912E7710c838347Ae178B4a",
            "acme/ghs_16C7e42F292c6912E7710c838347Ae178B4a",
            "github_pat_11ABCDEFG0123456789_abcdefghijklmnopqrstuvwxyz",
            "xoxb-123456789012-1234567890123-abcdefghijkl",
            "#xoxe.xoxp-1-abcdefghijklmnopqrstuvwxyz",
            "xapp-1-A0123456789-1234567890-abcdef",
            "https://hooks.slack.com/services/T0/B0/x",
            "-----BEGIN RSA PRIVATE KEY-----",
            hex,
            &format!("acme/{hex}"),
        ] {
            assert!(holds_secret(secret) && looks_secret(secret), "{secret}");
            assert_eq!(shown(secret, 100), "(hidden, it looks like a secret)");
        }
        let long = "a_repository_with_a_name_of_more_than_forty_characters";
        for name in ["acme/web", "acme/ghp_tools", "orgs/xoxb-", "gpu-*", "C0123456789", long, &hex[1..]] {
            assert!(!holds_secret(name), "{name}");
        }
        assert_eq!(shown("ac me", 100), "ac me");
    }

    #[test]
    fn a_text_stays_on_its_line_and_within_its_length() {
        assert_eq!(quote("ac me\nweb\u{202e}\u{1b}[1m", 40), "ac me\\nweb\\u{202e}\\u{1b}[1m");
        assert_eq!(quote("äöü", 3), "äöü");
        assert_eq!(quote("äöüß", 3), "äöü…");
        assert_eq!((quote("\n", 1), quote("", 0)), ("…".to_owned(), String::new()));
    }
}
