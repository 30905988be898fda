//! Tables on the terminal, coloured by line, and durations and counts as text.

use std::io::IsTerminal;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use console::{measure_text_width, truncate_str};
use monitor_web::text::one_line;

/// How a line is highlighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// No highlight.
    Plain,
    /// A recovery, or a passed check.
    Good,
    /// Needs attention.
    Warning,
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
            Tone::Warning => "\x1b[33m",
            Tone::Bad => "\x1b[31m",
            Tone::Faint => "\x1b[2m",
        }
    }

    /// The text with this tone's colour codes, if `colour` is set.
    pub(crate) fn paint(self, text: &str, colour: bool) -> String {
        if colour && self != Tone::Plain { format!("{}{text}\x1b[0m", self.code()) } else { text.to_owned() }
    }
}

/// Whether to colour standard output: only on a terminal, and not if NO_COLOR is set (no-color.org).
pub(crate) fn colour_on_stdout() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Properties of standard output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Screen {
    /// Whether to use colour.
    pub(crate) colour: bool,
    /// The width in columns. `None` if it is not a terminal: then nothing is cut.
    pub(crate) width: Option<usize>,
}

impl Screen {
    /// The properties of this process's standard output.
    pub(crate) fn of_stdout() -> Self {
        let terminal = console::Term::stdout();
        let width = terminal.is_term().then(|| terminal.size_checked().map_or(80, |(_, width)| usize::from(width)));
        Self { colour: colour_on_stdout(), width }
    }
}

/// A row of a table.
pub(crate) struct Row {
    /// How the row is highlighted.
    pub(crate) tone: Tone,
    /// The cells, one per heading.
    pub(crate) cells: Vec<String>,
}

/// How a column is shortened if the table is too wide.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Give {
    /// Shrink to this width at least.
    ShrinkTo(usize),
    /// Drop the column.
    Drop,
}

/// Lays out rows under headings, one line per row. On a terminal, columns are shortened in the order of `gives` until
/// the table fits.
pub(crate) fn table(headings: &[&str], rows: &[Row], gives: &[(usize, Give)], screen: Screen) -> String {
    let clean: Vec<Vec<String>> =
        rows.iter().map(|row| row.cells.iter().map(|cell| one_line(cell)).collect()).collect();
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells = clean.iter().filter_map(|cells| cells.get(column)).map(|cell| measure_text_width(cell));
            cells.chain([measure_text_width(heading)]).max().unwrap_or_default()
        })
        .collect();
    let widths = fitted(widths, gives, screen.width);
    let cut = |cells: &[String]| -> Vec<String> {
        let kept = cells.iter().zip(&widths).filter_map(|(cell, width)| Some((cell, (*width)?)));
        kept.map(|(cell, width)| truncate_str(cell, width, "…").into_owned()).collect()
    };
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(cut(&headings.iter().map(|heading| (*heading).to_owned()).collect::<Vec<_>>()));
    for cells in &clean {
        table.add_row(cut(cells));
    }
    // The preset draws a line above, the headings, a line below them, then alternately a row and a line.
    let mut laid_out = String::new();
    let mut tones = rows.iter().map(|row| row.tone);
    for (index, line) in table.lines().enumerate() {
        match index {
            0..=2 => laid_out.push_str(&Tone::Faint.paint(line.trim_end(), screen.colour)),
            _ if index % 2 == 1 => {
                laid_out.push_str(&tones.next().unwrap_or(Tone::Plain).paint(line.trim_end(), screen.colour))
            }
            _ => continue,
        }
        laid_out.push('\n');
    }
    laid_out
}

/// The width of each column; `None` if it is dropped.
fn fitted(natural: Vec<usize>, gives: &[(usize, Give)], width: Option<usize>) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = natural.into_iter().map(Some).collect();
    let Some(width) = width else { return widths };
    for (column, give) in gives {
        // A space on each side of a cell, and one between cells.
        let taken: usize = widths.iter().flatten().map(|width| width + 3).sum();
        let excess = taken.saturating_sub(width + 1);
        let Some(own) = widths[*column].filter(|_| excess > 0) else { continue };
        widths[*column] = match give {
            Give::Drop => None,
            Give::ShrinkTo(least) => Some(own.saturating_sub(excess).max(*least).min(own)),
        };
    }
    widths
}

/// Wraps a text to the width and indents every line after the first. Without a width the text is unchanged.
pub(crate) fn wrapped(text: &str, indent: usize, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| *width > indent + 20) else { return text.to_owned() };
    let (mut lines, mut taken) = (String::new(), 0);
    // The indent of the first line is kept.
    let start = text.len() - text.trim_start_matches(' ').len();
    lines.push_str(&text[..start]);
    taken += start;
    for (index, word) in text[start..].split(' ').enumerate() {
        let own = measure_text_width(word);
        if index > 0 && taken + 1 + own > width {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            taken = indent;
        } else if index > 0 {
            lines.push(' ');
            taken += 1;
        }
        lines.push_str(word);
        taken += own;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_always_one_line() {
        let rows = [
            Row { tone: Tone::Bad, cells: vec!["bad\n\x1b[2Jname".to_owned(), "offline".to_owned()] },
            Row { tone: Tone::Plain, cells: vec!["x".repeat(200), "idle".to_owned()] },
        ];
        let shown = |colour| table(&["runner", "status"], &rows, &[], Screen { colour, width: None });
        let plain = shown(false);
        assert_eq!(plain.lines().count(), 5);
        assert!(!plain.contains('\x1b') && plain.contains(&"x".repeat(200)), "nothing is cut without a terminal");
        let coloured = shown(true);
        let bad = coloured.lines().nth(3).unwrap();
        assert!(bad.starts_with("\x1b[31m") && bad.contains("offline"), "{bad:?}");
    }

    #[test]
    fn a_table_always_fits_the_terminal() {
        let cells = |long: usize| ["t".repeat(long), "名".repeat(long), "s".repeat(long)].to_vec();
        let rows: Vec<Row> = [1, 20, 300].map(|long| Row { tone: Tone::Plain, cells: cells(long) }).into();
        let gives = [(2, Give::ShrinkTo(10)), (2, Give::Drop), (0, Give::ShrinkTo(8)), (1, Give::ShrinkTo(8))];
        for width in [20, 40, 80, 200] {
            let screen = Screen { colour: false, width: Some(width) };
            let laid_out = table(&["target", "runner", "labels"], &rows, &gives, screen);
            assert!(laid_out.lines().all(|line| measure_text_width(line) <= width), "{width}:\n{laid_out}");
            assert!(laid_out.contains('…') && laid_out.lines().count() == 6, "{laid_out}");
        }
        let wide =
            table(&["target", "runner", "labels"], &rows[..1], &gives, Screen { colour: false, width: Some(40) });
        assert!(wide.contains("labels") && !wide.contains('…'), "a table that fits is not changed: {wide}");
        let two = [Row { tone: Tone::Plain, cells: vec!["a".repeat(30), "b".repeat(30), "c".repeat(30)] }];
        let narrow = table(&["target", "runner", "labels"], &two, &gives, Screen { colour: false, width: Some(80) });
        assert!(narrow.contains(&format!("{}…", "c".repeat(11))), "only as much as needed is cut: {narrow}");
        assert!(narrow.contains(&"a".repeat(30)) && narrow.contains(&"b".repeat(30)), "{narrow}");
    }

    #[test]
    fn texts_are_wrapped() {
        let text = "  one two three four five six seven eight";
        assert_eq!(wrapped(text, 4, Some(25)), "  one two three four five\n    six seven eight");
        assert_eq!(wrapped(text, 4, None), text);
    }

    #[test]
    fn a_name_cannot_move_the_cursor_or_reverse_the_text_around_it() {
        for hidden in ['\n', '\u{1b}', '\u{7f}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}']
        {
            assert_eq!(one_line(&format!("a{hidden}b")), "a\u{fffd}b", "{hidden:?}");
        }
        assert_eq!(one_line("gpu-名 é"), "gpu-名 é");
    }
}
