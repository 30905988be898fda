//! The keys of the policy, with their ranges and defaults.

use std::time::Duration;

use crate::time::format_duration;

const HOUR_SECS: u64 = 3_600;
const DAY_SECS: u64 = 24 * HOUR_SECS;

/// One key of the policy.
#[derive(Clone, Copy, Debug)]
pub struct PolicyKey {
    /// The name as written in the policy.
    pub name: &'static str,
    /// The values that it accepts.
    pub accepts: Accepts,
    /// The default value as it would be written.
    pub default: &'static str,
    /// A valid value, for error messages.
    pub(super) example: &'static str,
    /// Whether it applies to whole targets only, and not to single runners.
    pub of_targets_only: bool,
}

/// The values that a key accepts.
#[derive(Clone, Copy, Debug)]
pub enum Accepts {
    /// A whole number within these bounds.
    Count {
        /// The lowest value.
        least: u32,
        /// The highest value.
        most: u32,
    },
    /// A duration within these bounds, or 0 if that has a meaning of its own.
    Span {
        /// The shortest duration.
        least_secs: u64,
        /// The longest duration.
        most_secs: u64,
        /// What 0 means, if it has a meaning of its own.
        zero: Option<&'static str>,
    },
    /// What to do about a runner that is no longer registered.
    OnRemoved,
    /// A channel's id or name.
    Channel,
    /// A list of patterns.
    Patterns,
}

impl PolicyKey {
    /// What it accepts, for people: `1 to 20`.
    pub fn accepted(&self) -> String {
        match self.accepts {
            Accepts::Count { least, most } => format!("{least} to {most}"),
            Accepts::Span { least_secs, most_secs, zero } => {
                let [least, most] = [least_secs, most_secs].map(|secs| format_duration(Duration::from_secs(secs)));
                let zero = zero.map_or_else(String::new, |meaning| format!(", or 0 for {meaning}"));
                format!("{least} to {most}{zero}")
            }
            Accepts::OnRemoved => "`alert` or `ignore`".to_owned(),
            Accepts::Channel => "a channel's id or name".to_owned(),
            Accepts::Patterns => "a list of runner names; `*` stands for anything".to_owned(),
        }
    }

    /// What it accepts, as "must be …, for example …".
    pub(super) fn must_be(&self) -> String {
        let (accepted, example) = (self.accepted(), self.example);
        let kind = match self.accepts {
            Accepts::Count { .. } => "a whole number from ",
            Accepts::Span { .. } => "a duration from ",
            Accepts::OnRemoved | Accepts::Channel | Accepts::Patterns => "",
        };
        format!("must be {kind}{accepted}, for example {example}")
    }
}

const fn count(name: &'static str, least: u32, default: &'static str) -> PolicyKey {
    let accepts = Accepts::Count { least, most: 20 };
    PolicyKey { name, accepts, default, example: default, of_targets_only: false }
}

const fn span(name: &'static str, least_secs: u64, most_secs: u64, default: &'static str) -> PolicyKey {
    let accepts = Accepts::Span { least_secs, most_secs, zero: None };
    PolicyKey { name, accepts, default, example: default, of_targets_only: false }
}

const ALL: [PolicyKey; 15] = [
    count("failureThreshold", 1, "3"),
    count("successThreshold", 1, "2"),
    PolicyKey { of_targets_only: true, ..span("recheckInterval", 10, 900, "60s") },
    PolicyKey { of_targets_only: true, ..span("unreachableAfter", 60, 7 * DAY_SECS, "15m") },
    span("connectGrace", 0, 30 * DAY_SECS, "1h"),
    PolicyKey {
        name: "onRemoved",
        accepts: Accepts::OnRemoved,
        default: "alert",
        example: "\"alert\"",
        of_targets_only: false,
    },
    span("forgetAfter", 60, 30 * DAY_SECS, "24h"),
    count("flapThreshold", 2, "3"),
    span("flapWindow", 60, 7 * DAY_SECS, "1h"),
    span("flapClearAfter", 60, 7 * DAY_SECS, "30m"),
    PolicyKey {
        accepts: Accepts::Span { least_secs: 600, most_secs: 30 * DAY_SECS, zero: Some("never") },
        ..span("repeatInterval", 600, 30 * DAY_SECS, "24h")
    },
    count("maxRepeats", 0, "3"),
    span("queueThreshold", 60, 12 * HOUR_SECS, "10m"),
    PolicyKey {
        name: "channel",
        accepts: Accepts::Channel,
        default: "the default channel",
        example: "\"C0123456789\" or \"#runners\"",
        of_targets_only: false,
    },
    PolicyKey {
        name: "ignore",
        accepts: Accepts::Patterns,
        default: "[]",
        example: "[\"test-*\"]",
        of_targets_only: true,
    },
];

/// Every key, in the order of the documentation.
pub fn reference() -> &'static [PolicyKey] {
    const KEYS: &[PolicyKey] = &ALL;
    KEYS
}
