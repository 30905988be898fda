//! External text, made safe to use in a message.

/// Replaces a character that cannot be shown or would affect neighbouring text.
const REPLACEMENT: char = '\u{FFFD}';
/// Keep right-to-left text from reordering adjacent text (Unicode annex 9: first strong isolate, and its end).
const ISOLATE: (char, char) = ('\u{2068}', '\u{2069}');

/// How much a character counts towards Slack's limits: UTF-16 units after escaping, the most that Slack could count.
fn cost_of_char(c: char) -> usize {
    match c {
        '&' => "&amp;".len(),
        '<' | '>' => "&lt;".len(),
        _ => c.len_utf16(),
    }
}

/// How much a text counts towards Slack's limits once it is escaped.
pub(crate) fn cost(text: &str) -> usize {
    text.chars().map(cost_of_char).sum()
}

/// How much an already escaped text counts towards Slack's limits.
pub(crate) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Cuts a text at `max` by [`cost`], between characters, and marks the cut.
pub(crate) fn clip(text: &str, max: usize) -> String {
    if cost(text) <= max {
        return text.to_owned();
    }
    let mut room = max.saturating_sub(1);
    let fits = |c: &char| {
        let cost = cost_of_char(*c);
        let fits = cost <= room;
        room = room.saturating_sub(cost);
        fits
    };
    let mut clipped: String = text.chars().take_while(fits).collect();
    clipped.truncate(clipped.trim_end().len());
    clipped.push('…');
    clipped
}

/// One line of at most `max` by [`cost`]: no line breaks, no control or invisible characters, no reordering of
/// neighbouring text; `?` if nothing is left.
pub(crate) fn clean(raw: &str, max: usize) -> String {
    // Only as much text is processed as could fit, however long it is.
    let shown = raw.chars().take(max.saturating_mul(4)).map(|c| match c {
        _ if c.is_whitespace() => ' ',
        _ if disturbs(c) => REPLACEMENT,
        _ => c,
    });
    let shown: String = shown.collect();
    let words: Vec<&str> = shown.split_whitespace().collect();
    let line = words.join(" ");
    if line.is_empty() {
        return "?".to_owned();
    }
    if line.chars().any(is_right_to_left) {
        let (open, close) = ISOLATE;
        return format!("{open}{}{close}", clip(&line, max.saturating_sub(2)));
    }
    clip(&line, max)
}

/// Control characters, invisible characters and those that change the direction of text. Joiners stay: emoji and some
/// scripts need them.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
            | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
            | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Hebrew, Arabic and the other scripts in Unicode's right-to-left blocks.
fn is_right_to_left(c: char) -> bool {
    matches!(c,
        '\u{0590}'..='\u{08FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}'
        | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
}

/// Escapes the three characters with a meaning in Slack (<https://docs.slack.dev/messaging/formatting-message-text>).
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_fall_between_characters_and_count_what_escaping_adds() {
        assert_eq!(clip("build-07", 8), "build-07");
        assert_eq!(clip("build-07", 7), "build-…");
        assert_eq!(clip("ééééé", 4), "ééé…");
        assert_eq!(clip("🦀🦀🦀", 5), "🦀🦀…");
        assert_eq!(clip("<<<<", 10), "<<…");
        for max in 1..40 {
            assert!(units(&escape(&clip("a & b < c > d 🦀 e", max))) <= max, "{max}");
        }
    }

    #[test]
    fn a_name_becomes_one_visible_line() {
        assert_eq!(clean("  build\r\n\n07\u{2028}x ", 80), "build 07 x");
        assert_eq!(clean("a\u{1b}[31mred\u{0}", 80), "a\u{FFFD}[31mred\u{FFFD}");
        assert_eq!(clean("admin\u{202E}gnp", 80), "admin\u{FFFD}gnp");
        assert_eq!(clean("zero\u{200B}width", 80), "zero\u{FFFD}width");
        assert_eq!(clean("👩\u{200D}🔧", 80), "👩\u{200D}🔧");
        assert_eq!(clean(" \n ", 80), "?");
    }

    #[test]
    fn right_to_left_text_is_isolated_from_its_neighbours() {
        assert_eq!(clean("בונה-7", 80), "\u{2068}בונה-7\u{2069}");
        let long = clean(&"ب".repeat(300), 80);
        assert!(long.ends_with("…\u{2069}") && units(&long) == 80);
    }
}
