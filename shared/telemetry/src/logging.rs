//! Log events on stderr.

use std::fmt;
use std::io::{self, IsTerminal};

use monitor_domain::quote::shown;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, fmt as layer};

/// The prefixes of the names of the monitor's own crates.
const OWN_CRATES: [&str; 2] = ["monitor_", "runner_monitor"];

/// How log events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A line for people.
    #[default]
    Human,
    /// A JSON object on a line: timestamp, level, target, message and the event's fields side by side, and the fields
    /// of the innermost span under `span`.
    Json,
}

/// Why logging could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoggingError {
    /// The filter cannot be parsed.
    #[error(
        "{variable}: must be a level (off, error, warn, info, debug, trace) or levels by module, for example \
         info,monitor_github=debug; {reason}"
    )]
    Filter {
        /// The variable that holds it, or `default_filter`.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Logging has been set up already.
    #[error("logging is already set up; call `init` once, at the start of `main`")]
    AlreadySet,
}

/// Sends the events of the whole process to stderr, filtered by `LOG`, or else `RUST_LOG`, or else `default_filter`,
/// which is a level such as `info`.
pub fn init(format: Format, default_filter: &str) -> Result<(), LoggingError> {
    let filter =
        filter(default_filter, |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))?;
    let colour =
        is_coloured(format, io::stderr().is_terminal(), std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()));
    tracing::subscriber::set_global_default(subscriber(format, colour, filter, io::stderr))
        .map_err(|_| LoggingError::AlreadySet)
}

fn is_coloured(format: Format, to_terminal: bool, no_color: bool) -> bool {
    format == Format::Human && to_terminal && !no_color
}

fn filter(default_filter: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Targets, LoggingError> {
    let given = ["LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| Some((name, lookup(name)?.trim().to_owned())).filter(|(_, text)| !text.is_empty()));
    let (variable, mut text) = given.unwrap_or_else(|| ("default_filter", default_filter.to_owned()));
    let fault = |reason: String| LoggingError::Filter { variable, reason };
    // A space would become part of a module's name, and a single word would be read as one: both would silence all
    // other modules.
    text.retain(|c| !c.is_whitespace());
    let words = text.split(',').filter(|word| !word.is_empty() && !word.contains('='));
    for word in words {
        if word.parse::<LevelFilter>().is_err() {
            return Err(fault(format!("found `{}`", shown(word, 100))));
        }
    }
    text.parse::<Targets>().map_err(|error| fault(format!("found something else ({})", shown(&error.to_string(), 100))))
}

/// Whether an event may be shown, regardless of the filter.
fn may_be_shown(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= tracing::Level::INFO || OWN_CRATES.iter().any(|own| metadata.target().starts_with(own))
}

fn subscriber<W>(format: Format, colour: bool, filter: Targets, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = layer::layer().with_writer(writer).with_ansi(colour);
    let layer = match format {
        Format::Human => {
            let one_line = debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{}", OneLine(value)),
                name => write!(writer, "{name}={}", OneLine(value)),
            });
            layer.with_target(false).fmt_fields(one_line.delimited(" ")).boxed()
        }
        Format::Json => layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(filter_fn(may_be_shown)).with(layer)
}

/// A value with escaped line breaks and terminal codes, so that text from outside cannot forge a line.
struct OneLine<'a>(&'a dyn fmt::Debug);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        format!("{:?}", self.0).chars().try_for_each(|c| match c {
            c if c.is_control() => write!(f, "{}", c.escape_default()),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: Format, colour: bool, log: &str, events: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let filter = filter("info", |name| (name == "LOG").then(|| log.to_owned())).unwrap();
        let to = lines.clone();
        tracing::subscriber::with_default(subscriber(format, colour, filter, move || to.clone()), events);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    fn hostile_event() {
        let span = tracing::info_span!("check", target_id = %"acme/web\n");
        let _entered = span.enter();
        tracing::warn!(runner = %"a\r\nb\u{1b}[31m", elapsed_ms = 12, reason = "said \"no\"\n", "not\nchecked");
    }

    #[test]
    fn people_get_one_line_per_event_without_terminal_codes() {
        let lines = written(Format::Human, false, "", hostile_event);
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.parse::<monitor_domain::time::Timestamp>().is_ok(), "{line}");
        assert_eq!(
            rest.trim_start(),
            r#"WARN check{target_id=acme/web\n}: not\nchecked runner=a\r\nb\u{1b}[31m elapsed_ms=12 reason="said \"no\"\n""#
        );
        let coloured = written(Format::Human, true, "", hostile_event);
        assert!(coloured.len() == 1 && coloured[0].contains("\u{1b}[33m"), "{coloured:?}");
    }

    #[test]
    fn machines_get_one_flat_object_per_event() {
        let lines = written(Format::Json, false, "", hostile_event);
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["level"], "WARN");
        assert_eq!(event["message"], "not\nchecked");
        assert_eq!(event["elapsed_ms"], 12);
        assert_eq!(event["runner"], "a\r\nb\u{1b}[31m");
        assert_eq!(event["span"]["target_id"], "acme/web\n");
        assert!(event["timestamp"].is_string() && event["target"].is_string());
    }

    #[test]
    fn the_filter_applies_and_libraries_stay_silent_below_info() {
        let events = || {
            tracing::info!(target: "monitor_domain", "own info");
            tracing::trace!(target: "monitor_domain::x", "own trace");
            tracing::info!(target: "reqwest", "their info");
            tracing::debug!(target: "reqwest::connect", "their debug: https://example.com/secret");
            tracing::trace!(target: "reqwest_monitor_", "their trace");
        };
        let messages = |log| -> Vec<String> {
            let lines = written(Format::Json, false, log, events);
            let message =
                |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].to_string();
            lines.iter().map(message).collect()
        };
        assert_eq!(messages(""), ["\"own info\"", "\"their info\""]);
        let all_that_may = ["\"own info\"", "\"own trace\"", "\"their info\""];
        assert_eq!(messages("trace"), all_that_may);
        assert_eq!(messages("trace,reqwest=trace"), all_that_may);
        assert_eq!(messages("off,monitor_domain=trace"), ["\"own info\"", "\"own trace\""]);
        assert!(messages("off").is_empty());
    }

    #[test]
    fn log_takes_precedence_over_rust_log_and_faults_name_the_variable() {
        let of = |log: Option<&str>, rust_log: Option<&str>| {
            let lookup = |name: &str| if name == "LOG" { log } else { rust_log }.map(str::to_owned);
            filter("info", lookup).map(|filter| filter.to_string()).map_err(|error| error.to_string())
        };
        assert_eq!(of(None, None).unwrap(), "info");
        assert_eq!(of(Some(" "), Some("debug")).unwrap(), "debug");
        assert_eq!(of(Some("warn"), Some("debug")).unwrap(), "warn");
        assert_eq!(of(Some("monitor_github=debug, 3"), None).unwrap(), "monitor_github=debug,info");
        let verbose = of(Some("verbose"), None).unwrap_err();
        assert!(verbose.starts_with("LOG: must be a level") && verbose.ends_with("; found `verbose`"), "{verbose}");
        assert!(of(None, Some("a=b=c")).unwrap_err().starts_with("RUST_LOG: must be a level"));
        assert!(of(Some("[{x"), None).is_err());
        for secret in ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "a=xoxb-16C7e42F292c6912E77"] {
            let error_text = of(Some(secret), None).unwrap_err();
            assert!(!error_text.contains("16C7e42F"), "{error_text}");
        }
    }

    #[test]
    fn colour_needs_a_person_at_a_terminal_who_wants_it() {
        assert!(is_coloured(Format::Human, true, false));
        assert!(!is_coloured(Format::Human, true, true));
        assert!(!is_coloured(Format::Human, false, false));
        assert!(!is_coloured(Format::Json, true, false));
    }
}
