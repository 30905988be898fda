//! Tables on the terminal, coloured line by line, and times in words.

use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use monitor_domain::time::{Timestamp, spoken_duration};

/// How a line stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Not at all.
    Plain,
    /// Something is well again.
    Good,
    /// Worth a look.
    Doubtful,
    /// Unhealthy.
    Bad,
    /// Less important.
    Faint,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Good => "\x1b[32m",
            Tone::Doubtful => "\x1b[33m",
            Tone::Bad => "\x1b[31m",
            Tone::Faint => "\x1b[2m",
        }
    }

    /// A text in this tone.
    pub(crate) fn paint(self, text: &str, colour: bool) -> String {
        if colour && self != Tone::Plain { format!("{}{text}\x1b[0m", self.code()) } else { text.to_owned() }
    }
}

/// Whether to colour what goes to standard output: only on a terminal, and not where NO_COLOR is set (no-color.org).
pub(crate) fn colour_on_stdout() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A row of a table.
pub(crate) struct Row {
    /// How it stands out.
    pub(crate) tone: Tone,
    /// Its cells.
    pub(crate) cells: Vec<String>,
}

/// Lays out rows under headings, one line a row.
pub(crate) fn table(headings: &[&str], rows: &[Row], colour: bool) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().copied());
    for row in rows {
        table.add_row(row.cells.iter().map(|cell| one_line(cell)));
    }
    // The preset draws a line above, the headings, a line below them, then alternately a row and a line.
    let mut laid_out = String::new();
    let mut tones = rows.iter().map(|row| row.tone);
    for (index, line) in table.lines().enumerate() {
        match index {
            0..=2 => laid_out.push_str(&Tone::Faint.paint(line.trim_end(), colour)),
            _ if index % 2 == 1 => {
                laid_out.push_str(&tones.next().unwrap_or(Tone::Plain).paint(line.trim_end(), colour))
            }
            _ => continue,
        }
        laid_out.push('\n');
    }
    laid_out
}

/// A name as it may stand in a terminal: no control characters, which could move the cursor or reverse the text.
pub(crate) fn one_line(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let cut: String = text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).take(60).collect();
    if text.chars().count() > 60 { format!("{cut}…") } else { cut }
}

/// How long ago, in words.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.since(then) {
        gone if gone < Duration::from_secs(1) => "just now".to_owned(),
        gone => format!("{} ago", spoken_duration(gone)),
    }
}

/// `1 runner`, `2 runners`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line_whatever_is_in_it() {
        let rows = [
            Row { tone: Tone::Bad, cells: vec!["bad\n\x1b[2Jname".to_owned(), "offline".to_owned()] },
            Row { tone: Tone::Plain, cells: vec!["x".repeat(200), "idle".to_owned()] },
        ];
        let plain = table(&["runner", "status"], &rows, false);
        assert_eq!(plain.lines().count(), 5);
        assert!(!plain.contains('\x1b'));
        let coloured = table(&["runner", "status"], &rows, true);
        let bad = coloured.lines().nth(3).unwrap();
        assert!(bad.starts_with("\x1b[31m") && bad.contains("offline"), "{bad:?}");
    }
}
