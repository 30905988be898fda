//! How wrong values are shown without showing secrets.

use monitor_domain::quote::{looks_secret, quote};

const SHOWN_CHARS: usize = 100;
const QUOTED_CHARS: usize = 400;

/// A wrong value as a fault may show it: on one line, truncated, and hidden if it looks like a secret that was set
/// under the wrong name.
pub(crate) fn shown(text: &str) -> String {
    monitor_domain::quote::shown(text, SHOWN_CHARS)
}

/// A message of another library, which may quote a wrong value, by the rules of [`shown`], but longer.
pub(crate) fn quoted(text: &str) -> String {
    if looks_secret(text) {
        "(hidden, it quotes a text that looks like a secret)".to_owned()
    } else {
        quote(text, QUOTED_CHARS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_are_shown_on_one_line_unless_they_may_be_secrets() {
        assert_eq!(shown("ac me\nweb\u{202e}\u{1b}[1m"), "ac me\\nweb\\u{202e}\\u{1b}[1m");
        assert_eq!(shown(&"ä ".repeat(80)).chars().count(), SHOWN_CHARS + 1);
        let hex = "0123456789abcdef".repeat(3);
        for secret in
            ["x ghp_abc", "https://hooks.slack.com/services/T/B/x", &hex, &format!("{} ghs_x", "a ".repeat(99))]
        {
            assert!(shown(secret).starts_with("(hidden"), "{secret}");
            assert!(quoted(secret).starts_with("(hidden"), "{secret}");
        }
    }
}
