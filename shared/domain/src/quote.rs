//! Texts from outside as an error may repeat them.

/// A text on one line, at most `most_chars` long: whoever wrote it must not decide what a log or a notice looks like.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_on_its_line_and_within_its_length() {
        assert_eq!(quote("ac me\nweb\u{202e}\u{1b}[1m", 40), "ac me\\nweb\\u{202e}\\u{1b}[1m");
        assert_eq!(quote("äöü", 3), "äöü");
        assert_eq!(quote("äöüß", 3), "äöü…");
        assert_eq!((quote("\n", 1), quote("", 0)), ("…".to_owned(), String::new()));
    }
}
