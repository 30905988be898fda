//! The live table below the messages. Without a terminal only the messages are printed.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use monitor_domain::target::Target;
use monitor_pipeline::ports::Store;
use monitor_pipeline::records::read_fleet;

use crate::fleet_view::{status_text, tone};
use crate::out;
use crate::table::{Screen, Tone, colour_on_stdout, wrapped};

/// The prefix of each line of a message.
const MARGIN: &str = "         │ ";

/// The demo's live table on the terminal.
pub(super) struct Display {
    lines: MultiProgress,
    time: ProgressBar,
    targets: Vec<(&'static str, ProgressBar)>,
}

impl Display {
    /// One line for each target, below everything that is printed.
    pub(super) fn new(targets: &[&'static str]) -> Self {
        let lines = MultiProgress::new();
        if !colour_on_stdout() {
            lines.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        let line = || {
            let bar = lines.add(ProgressBar::no_length());
            match ProgressStyle::with_template("{wide_msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        };
        let time = line();
        let targets = targets.iter().map(|target| (*target, line())).collect();
        Self { lines, time, targets }
    }

    /// Prints an event of the scenario.
    pub(super) fn event(&self, what: &str, minute: u32) {
        self.print(&Tone::Faint.paint(&format!("[{minute:>2} min] {what}"), colour_on_stdout()));
    }

    /// Prints a message as it would be sent.
    pub(super) fn message(&self, message: &str, minute: u32) {
        let width = Screen::of_stdout().width.map(|width| width.saturating_sub(MARGIN.chars().count()));
        let lines = message.trim_end().lines().flat_map(|line| {
            let wrapped = wrapped(line, 4, width);
            wrapped.lines().map(|line| format!("{MARGIN}{line}")).collect::<Vec<_>>()
        });
        self.print(&format!("[{minute:>2} min] message:\n{}\n", lines.collect::<Vec<_>>().join("\n")));
    }

    fn print(&self, text: &str) {
        // An error is ignored here: the summary at the end is printed the same way and reports it.
        if self.lines.is_hidden() {
            let _ = out::print(format_args!("{text}\n"));
        } else {
            let _ = self.lines.println(text);
        }
    }

    /// Shows the stored state of every runner.
    pub(super) async fn show(&self, store: &impl Store, minute: u32) -> anyhow::Result<()> {
        if self.lines.is_hidden() {
            return Ok(());
        }
        let colour = colour_on_stdout();
        self.time.set_message(Tone::Faint.paint(&format!("── minute {minute} ──"), colour));
        for (name, line) in &self.targets {
            let target: Target = name.parse()?;
            let fleet = read_fleet(store, &target).await?.fleet;
            let runner = |runner| tone(runner).paint(&format!("{}: {}", runner.name, status_text(runner)), colour);
            let runners: Vec<String> = fleet.runners.iter().map(runner).collect();
            let unreachable =
                fleet.record.failing.as_ref().map_or_else(String::new, |_| Tone::Bad.paint("(unreachable) ", colour));
            line.set_message(format!("{name:<12} {unreachable}{}", runners.join("  ")));
        }
        Ok(())
    }

    /// Removes the table.
    pub(super) fn close(&self) {
        for (_, line) in &self.targets {
            line.finish_and_clear();
        }
        self.time.finish_and_clear();
    }
}
