//! A document as plain lines: for the console, for the notification line, and for Slack if it refuses the layout.

use chrono::{DateTime, Utc};
use monitor_domain::time::Timestamp;

use crate::document::{Document, Line, Mark, Section, Span};
use crate::text::{clip, cost};

/// More than a phone shows.
const MAX_NOTIFICATION: usize = 500;
/// Slack recommends at most 4,000 characters of text.
const MAX_PLAIN_TEXT: usize = 3_900;
/// A console has no limit; this bounds how far one message can scroll.
const MAX_CONSOLE: usize = 12_000;
/// Line break, indentation and bullet.
const PER_LINE: usize = 8;

/// Emoji, target and title.
pub(crate) fn headline(document: &Document, part: &Section) -> String {
    format!("{} {}", part.mark.emoji(), title(document, part))
}

/// The title, preceded by the target if it begins with a runner's name or is about jobs; others name the target themselves.
fn title(document: &Document, part: &Section) -> String {
    let title = Plain::of(document).line(&part.title);
    let lacks_target = part.lacks_target || matches!(part.title.0.first(), Some(Span::Name(_)));
    if lacks_target && !document.place.is_empty() { format!("{}: {title}", document.place) } else { title }
}

/// The line for parts that were left out.
pub(crate) fn omitted(parts: usize) -> String {
    format!("and {parts} more notifications")
}

fn heading(plain: &Plain, line: &Line) -> String {
    format!("{} {}", Mark::Warning.emoji(), plain.line(line))
}

/// The short text beside the blocks: names, since when, and the consequence, enough to decide whether to get up.
/// Not escaped.
pub(crate) fn notification_line(document: &Document) -> String {
    let plain = Plain::of(document);
    let mut text = String::new();
    for (index, part) in document.parts.iter().enumerate() {
        if index == 0 {
            text = format!("{}{}", headline(document, part), plain.line(&part.brief));
        } else {
            text.push_str(&format!(" {} {}", part.mark.emoji(), plain.line(&part.title)));
            if part.mark == Mark::Alarm {
                text.push_str(&plain.line(&part.brief));
            }
        }
    }
    if let Some(line) = &document.heading {
        text.push_str(&format!(" {}", heading(&plain, line)));
    }
    clip(&text, MAX_NOTIFICATION)
}

/// The whole message without any markup, within the length that Slack recommends for text. Not escaped.
pub(crate) fn plain_text(document: Document) -> String {
    let plain = Plain::of(&document);
    let document = document.fit(MAX_PLAIN_TEXT - 200, |line| cost(&plain.line(line)) + PER_LINE);
    let mut lines: Vec<String> = document.heading.iter().map(|line| heading(&plain, line)).collect();
    for (index, part) in document.parts.iter().enumerate() {
        if index == 0 {
            lines.push(headline(&document, part));
        } else {
            lines.push(format!("{} {}", part.mark.emoji(), plain.line(&part.title)));
        }
        plain.body(part, 0, &mut lines);
    }
    plain.foot(&document, &mut lines);
    clip(&lines.join("\n"), MAX_PLAIN_TEXT)
}

/// The whole message for a console, ending with a line break.
pub(crate) fn console(document: Document, colour: bool) -> String {
    // What fits does not depend on the colours.
    let uncoloured = Plain::of(&document);
    let plain = Plain { colour, ..Plain::of(&document) };
    let width = document.parts.iter().flat_map(|part| &part.facts).map(|fact| fact.label.len()).max();
    let document = document.fit(MAX_CONSOLE, |line| cost(&uncoloured.line(line)) + PER_LINE);
    let mut lines = Vec::new();
    for (index, part) in document.parts.iter().enumerate() {
        let (word, ansi) = match part.mark {
            Mark::Alarm => ("ALERT  ", "1;31"),
            Mark::Warning => ("WARNING", "1;33"),
            Mark::Good => ("OK     ", "1;32"),
            Mark::Info => ("INFO   ", "1;34"),
        };
        let title = if index == 0 { title(&document, part) } else { plain.line(&part.title) };
        lines.push(format!("{}  {}", plain.paint(ansi, word), plain.paint("1", &title)));
        let first = lines.len();
        plain.body(part, width.unwrap_or(0), &mut lines);
        lines[first..].iter_mut().for_each(|line| line.insert_str(0, "  "));
    }
    let first = lines.len();
    plain.foot(&document, &mut lines);
    lines[first..].iter_mut().for_each(|line| line.insert_str(0, "  "));
    lines.push(String::new());
    lines.join("\n")
}

/// Writes spans as plain text.
struct Plain {
    /// The latest time in the document: times on the same day are written without their date.
    day_of: Option<Timestamp>,
    colour: bool,
}

impl Plain {
    fn of(document: &Document) -> Self {
        let lines = document.parts.iter().flat_map(|part| {
            let facts = part.facts.iter().map(|fact| &fact.value);
            [&part.brief, &part.lead].into_iter().chain(facts).chain(&part.items)
        });
        let moments = lines.flat_map(|line| &line.0).filter_map(|span| match span {
            Span::At(moment) => Some(*moment),
            _ => None,
        });
        Self { day_of: moments.max(), colour: false }
    }

    fn line(&self, line: &Line) -> String {
        let span = |span: &Span| match span {
            Span::Text(text) => text.clone(),
            Span::Strong(text) => self.paint("1", text),
            Span::Name(name) => self.paint("36", name),
            Span::Command(command) => self.paint("36", command),
            Span::At(moment) => utc(*moment, self.day_of),
            Span::On(moment) => utc(*moment, None),
            Span::Person(id) if id.is_operator() => id.shown().to_owned(),
            Span::Person(id) => format!("@{}", id.as_str()),
            Span::Link { url, .. } => url.clone(),
        };
        line.0.iter().map(span).collect()
    }

    /// Everything except the title. Labels of facts are padded to `width`.
    fn body(&self, part: &Section, width: usize, lines: &mut Vec<String>) {
        lines.push(self.line(&part.lead));
        for fact in &part.facts {
            let label = if width > 0 { format!("{:width$}  ", fact.label) } else { format!("{}: ", fact.label) };
            lines.push(format!("{}{}", self.paint("2", &label), self.line(&fact.value)));
        }
        lines.extend(part.items.iter().map(|item| format!("• {}", self.line(item))));
        lines.extend(part.remainder());
        lines.extend(part.advice.iter().map(|advice| self.line(advice)));
        lines.extend(part.link.as_ref().map(|link| self.line(link)));
    }

    fn foot(&self, document: &Document, lines: &mut Vec<String>) {
        if document.omitted > 0 {
            lines.push(omitted(document.omitted));
        }
        lines.extend(document.footer.as_ref().map(|footer| self.line(footer)));
    }

    fn paint(&self, ansi: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{ansi}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// `21:05 UTC` if `day_of` is on the same day, otherwise with the date.
pub(crate) fn utc(moment: Timestamp, day_of: Option<Timestamp>) -> String {
    let date_time = |moment: Timestamp| DateTime::<Utc>::from_timestamp_millis(moment.epoch_ms());
    let Some(utc) = date_time(moment) else { return moment.to_string() };
    let same_day = day_of.and_then(date_time).is_some_and(|day| day.date_naive() == utc.date_naive());
    utc.format(if same_day { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_on_another_day_have_their_date() {
        let moment: Timestamp = "2026-11-23T21:05:59Z".parse().unwrap();
        let later: Timestamp = "2026-11-24T00:01:00Z".parse().unwrap();
        assert_eq!(utc(moment, Some(moment)), "21:05 UTC");
        assert_eq!(utc(moment, Some(later)), "2026-11-23 21:05 UTC");
        assert_eq!(utc(Timestamp::from_epoch_ms(i64::MAX), None), format!("{} ms since 1970", i64::MAX));
    }
}
