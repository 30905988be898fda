//! Figures with their unit and bound: as a table on the terminal, as Markdown, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    section: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
    at_most: Option<f64>,
    note: String,
}

/// All figures of a run, in order.
#[derive(Debug, Default)]
pub(crate) struct Table {
    section: &'static str,
    figures: Vec<Figure>,
}

impl Table {
    /// Starts a section. Figures that are added later belong to it.
    pub(crate) fn section(&mut self, name: &'static str) {
        eprintln!("{name} …");
        self.section = name;
    }

    /// Adds a figure without a bound.
    pub(crate) fn add(&mut self, what: impl Into<String>, value: f64, unit: &'static str) -> &mut Figure {
        let what = what.into();
        eprintln!("    {what}: {} {unit}", written(value, unit));
        let figure = Figure { section: self.section, what, value, unit, at_most: None, note: String::new() };
        self.figures.push(figure);
        let last = self.figures.len() - 1;
        &mut self.figures[last]
    }

    /// The figures that exceed their bound.
    pub(crate) fn missed(&self) -> impl Iterator<Item = String> {
        let missed = self.figures.iter().filter(|figure| figure.holds() == Some(false));
        missed.map(|figure| format!("{}: {}", figure.section, figure.what))
    }

    /// All figures as one table for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let widest = self.figures.iter().map(|figure| figure.what.chars().count()).max().unwrap_or(0);
        for (index, figure) in self.figures.iter().enumerate() {
            if index == 0 || self.figures[index - 1].section != figure.section {
                let _ = writeln!(text, "\n{}", figure.section);
            }
            let [value, bound, holds] = figure.cells();
            let what = &figure.what;
            let line =
                format!("  {what:<widest$} {value:>12} {:<8} {bound:>12}  {holds:<7} {}", figure.unit, figure.note);
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// All figures as Markdown, with one table per section.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (index, figure) in self.figures.iter().enumerate() {
            if index == 0 || self.figures[index - 1].section != figure.section {
                let _ = write!(
                    text,
                    "\n**{}**\n\n| | figure | unit | bound | holds | |\n|---|--:|---|--:|---|---|\n",
                    figure.section
                );
            }
            let [value, bound, holds] = figure.cells();
            let (what, unit, note) = (&figure.what, figure.unit, &figure.note);
            let holds = if holds == "MISSED" { "**missed**" } else { &*holds };
            let _ = writeln!(text, "| {what} | {value} | {unit} | {bound} | {holds} | {note} |");
        }
        text.trim_start().to_owned()
    }

    /// All figures as JSON objects.
    pub(crate) fn json(&self) -> Value {
        let object = |figure: &Figure| {
            json!({
                "section": figure.section,
                "what": figure.what,
                "value": figure.value,
                "unit": figure.unit,
                "atMost": figure.at_most,
                "holds": figure.holds(),
                "note": figure.note,
            })
        };
        self.figures.iter().map(object).collect()
    }
}

impl Figure {
    /// Sets the upper bound.
    pub(crate) fn at_most(&mut self, bound: f64) -> &mut Self {
        self.at_most = Some(bound);
        self
    }

    /// Sets the note.
    pub(crate) fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.note = note.into();
        self
    }

    fn holds(&self) -> Option<bool> {
        self.at_most.map(|bound| self.value <= bound)
    }

    fn cells(&self) -> [String; 3] {
        let holds = match self.holds() {
            Some(true) => "yes",
            Some(false) => "MISSED",
            None => "",
        };
        let bound = self.at_most.map(|bound| format!("≤ {}", written(bound, self.unit))).unwrap_or_default();
        [written(self.value, self.unit), bound, holds.to_owned()]
    }
}

/// Formats a number with its significant digits.
fn written(value: f64, unit: &str) -> String {
    let digits = match value.abs() {
        _ if value.fract() == 0.0 && unit != "×" => 0,
        value if value >= 1_000.0 => 0,
        value if value >= 100.0 => 1,
        _ => 2,
    };
    let plain = format!("{value:.digits$}");
    let (whole, fraction) = plain.split_once('.').map_or((&*plain, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{grouped}.{fraction}"),
        None => grouped,
    }
}
