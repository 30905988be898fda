//! Reads the parts of a GitHub credential.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::faults::Wrong;
use crate::quoting::shown;
use crate::reference::GITHUB_TOKEN;
use monitor_domain::secret::Secret;

/// Reads a token: any text that fits into a header. Only GitHub can say whether it is valid.
pub(crate) fn token(text: &str) -> Result<Secret, Wrong> {
    let usable = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\'';
    if text.bytes().all(usable) {
        return Ok(Secret::new(text));
    }
    let what = "must not contain white space, quotes or non-ASCII characters";
    Err(Wrong::new(what, format!("copy the token alone, for example {}", GITHUB_TOKEN.example)))
}

/// Reads the secret of a webhook, for which GitHub accepts any text.
pub(crate) fn webhook_secret(text: &str) -> Result<Secret, Wrong> {
    if text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Ok(Secret::new(text));
    }
    let what = "must be one line of ASCII characters";
    Err(Wrong::new(
        what,
        "set the same secret here and at the webhook, for example the output of `openssl rand -hex 32`",
    ))
}

/// Reads an App's id: digits, or the client id, which GitHub accepts as issuer too.
pub(crate) fn app_id(text: &str) -> Result<String, Wrong> {
    let usable = |b: u8| b.is_ascii_alphanumeric() || b == b'.';
    let numeric = text.bytes().all(|b| b.is_ascii_digit());
    if text.len() <= 40 && (numeric || text.starts_with("Iv") && text.bytes().all(usable)) {
        return Ok(text.to_owned());
    }
    let found = shown(text);
    let what = "must be the App ID or client ID from the App's settings page, for example 123456";
    Err(Wrong::new(format!("{what}; found `{found}`"), ""))
}

/// Reads an App's private key: PEM text. It may be in quotes, in base64 or on one line, as secret stores and environment
/// files keep it.
pub(crate) fn private_key(text: &str) -> Result<Secret, Wrong> {
    let text = unwrapped(text);
    let pem = pem(&text).or_else(|| pem(&unwrapped(&decoded(&text)?)));
    pem.map(|pem| Secret::new(&pem)).ok_or_else(|| Wrong::new("must be a private key in PEM form", HINT))
}

/// The text without surrounding quotes, and with real line breaks.
fn unwrapped(text: &str) -> String {
    let lines = text.replace("\\r", "\n").replace("\\n", "\n");
    lines.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\u{feff}')).to_owned()
}

/// The decoded text, if the text is base64.
fn decoded(text: &str) -> Option<String> {
    let compact: String = text.split_ascii_whitespace().collect();
    let compact = compact.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(compact).or_else(|_| URL_SAFE_NO_PAD.decode(compact)).ok()?;
    String::from_utf8(bytes).ok()
}

/// A private key in PEM form, with one word per line: its line breaks may have become spaces or been indented.
fn pem(text: &str) -> Option<String> {
    ["RSA PRIVATE KEY", "PRIVATE KEY"].iter().find_map(|label| {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let content = text.strip_prefix(&*begin)?.strip_suffix(&*end)?;
        let lines: Vec<&str> = content.split_whitespace().collect();
        (!lines.is_empty()).then(|| format!("{begin}\n{}\n{end}", lines.join("\n")))
    })
}

const HINT: &str = "copy the file that GitHub made, from BEGIN to END, as it is or in base64, or write @ and its path";

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAbCd==\n-----END RSA PRIVATE KEY-----";

    #[test]
    fn a_key_is_read_in_every_form_that_settings_keep_it_in() {
        let written_out = PEM.replace('\n', "\\n");
        let base64 = STANDARD.encode(PEM);
        let (first, rest) = base64.split_at(40);
        for text in [
            PEM.to_owned(),
            written_out.clone(),
            PEM.replace('\n', "\r\n") + "\r\n",
            PEM.replace('\n', "\\r\\n"),
            PEM.replace('\n', " "),
            PEM.replace('\n', "\n    "),
            format!("{written_out}\\n"),
            format!("\"{PEM}\""),
            format!(" '{written_out}\\n' "),
            format!("\u{feff}{PEM}"),
            base64.clone(),
            format!("{first}\n{rest}\n"),
            format!("\"{first}\\n{rest}\""),
            base64.trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(PEM),
            STANDARD.encode(format!("\"{written_out}\"\n")),
        ] {
            assert_eq!(private_key(&text).unwrap().expose(), PEM, "{text}");
        }
        assert!(private_key(&PEM.replace("RSA ", "")).is_ok());
    }

    #[test]
    fn a_value_that_is_not_a_key_is_refused_without_being_shown() {
        let half = PEM.split("-----END").next().unwrap();
        let in_base64 = STANDARD.encode(half);
        let of_nothing = STANDARD.encode("no key");
        let public = PEM.replace("RSA PRIVATE", "PUBLIC");
        for text in [&*in_base64, &of_nothing, &public, half, "MIIEow", "-----BEGIN PRIVATE KEY-----"] {
            let wrong = format!("{:?}", private_key(text).unwrap_err());
            assert!(wrong.contains("GitHub made") && !wrong.contains("MIIEow"), "{wrong}");
        }
    }

    #[test]
    fn tokens_and_ids_with_impossible_characters_are_refused() {
        assert_eq!(token("github_pat_1.a-b").unwrap().expose(), "github_pat_1.a-b");
        for text in ["Bearer x", "\"x\"", "é", "a\u{0}b"] {
            assert!(token(text).is_err(), "{text}");
        }
        for text in ["1", "123456", "Iv1.0123456789abcdef", "Iv23liABCdef"] {
            assert_eq!(app_id(text).unwrap(), text);
        }
        for text in ["my-app", "12 34", "-1", &"1".repeat(41)] {
            assert!(app_id(text).is_err(), "{text}");
        }
    }
}
