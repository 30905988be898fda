//! The credential's parts.

use crate::faults::Wrong;
use crate::policy::read_file;
use crate::reference::GITHUB_TOKEN;
use crate::secret::{Secret, shown};

/// Reads a token: what a header can carry. Its text is for GitHub to judge.
pub(crate) fn token(text: &str) -> Result<Secret, Wrong> {
    let usable = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\'';
    if text.bytes().all(usable) {
        return Ok(Secret::new(text));
    }
    let what = "holds white space, quotes or signs outside ASCII, which no token has";
    Err(Wrong::new(what, format!("copy the token alone, as in {}", GITHUB_TOKEN.example)))
}

/// Reads an App's id: digits, or the client id, which GitHub takes as issuer as well.
pub(crate) fn app_id(text: &str) -> Result<String, Wrong> {
    let usable = |b: u8| b.is_ascii_alphanumeric() || b == b'.';
    let numeric = text.bytes().all(|b| b.is_ascii_digit());
    if text.len() <= 40 && (numeric || text.starts_with("Iv") && text.bytes().all(usable)) {
        return Ok(text.to_owned());
    }
    let what = format!("`{}` is no id of a GitHub App", shown(text));
    Err(Wrong::new(what, "write the App ID or client ID of its settings page, as in 123456"))
}

/// Reads an App's private key: PEM text, or `@` and the path of a file with it.
pub(crate) fn private_key(text: &str) -> Result<Secret, Wrong> {
    let pem = match text.strip_prefix('@') {
        // The path is not shown: a key pasted after the sign would be one.
        Some(path) => {
            read_file(path).map_err(|error| Wrong::new(format!("the file after `@` cannot be read ({error})"), MEND))?
        }
        None => text.replace("\\n", "\n"),
    };
    let pem = pem.replace('\r', "");
    let pem = pem.trim();
    let framed = |label: &str| {
        let (begin, end) = (format!("-----BEGIN {label}-----\n"), format!("\n-----END {label}-----"));
        pem.starts_with(&begin) && pem.ends_with(&end) && pem.len() > begin.len() + end.len()
    };
    if framed("RSA PRIVATE KEY") || framed("PRIVATE KEY") {
        return Ok(Secret::new(pem));
    }
    Err(Wrong::new("is no private key in PEM form with its lines kept apart", MEND))
}

const MEND: &str =
    "give the file that GitHub made, from BEGIN to END, line breaks kept or written as \\n, or @ and its path";

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAbCd==\n-----END RSA PRIVATE KEY-----";

    #[test]
    fn a_key_keeps_its_lines_however_they_are_written() {
        let written_out = PEM.replace('\n', "\\n");
        let windows = PEM.replace('\n', "\r\n") + "\r\n";
        for text in [PEM, &written_out, &windows, &format!("{written_out}\\n")] {
            assert_eq!(private_key(text).unwrap().expose(), PEM, "{text}");
        }
        assert!(private_key(&PEM.replace("RSA ", "")).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused_unseen() {
        let joined = PEM.replace('\n', " ");
        let public = PEM.replace("RSA PRIVATE", "PUBLIC");
        let half = PEM.split("-----END").next().unwrap();
        for text in [&*joined, &public, half, "MIIEow", "@MIIEow/nowhere", "@", "-----BEGIN PRIVATE KEY-----"] {
            let wrong = format!("{:?}", private_key(text).unwrap_err());
            assert!(wrong.contains("GitHub made") && !wrong.contains("MIIEow"), "{wrong}");
        }
    }

    #[test]
    fn tokens_and_ids_are_checked_for_what_they_cannot_hold() {
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
