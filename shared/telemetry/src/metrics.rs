//! Metrics of a Lambda: one line of CloudWatch's embedded metric format an invocation. docs/LOGGING.md shows them.

use std::collections::BTreeMap;

use monitor_domain::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::fields;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "GitHubRunnerMonitor";
/// What CloudWatch takes of one metric in a line.
const MOST_VALUES: usize = 100;

macro_rules! metrics {
    ($($metric:ident, $unit:literal, $meaning:literal;)*) => {
        /// A metric; its name at CloudWatch is the name here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $(#[doc = $meaning] $metric,)*
        }

        impl Metric {
            /// All metrics, in the order of the documentation.
            pub const ALL: &'static [Metric] = &[$(Metric::$metric),*];

            /// Its name at CloudWatch.
            pub fn name(self) -> &'static str {
                match self { $(Metric::$metric => stringify!($metric),)* }
            }

            /// Its unit, in CloudWatch's words.
            pub fn unit(self) -> &'static str {
                match self { $(Metric::$metric => $unit,)* }
            }

            /// What it counts.
            pub fn meaning(self) -> &'static str {
                match self { $(Metric::$metric => $meaning,)* }
            }
        }
    };
}

metrics! {
    TargetsScheduled, "Count", "Targets that the scheduler sent a job for.";
    ChecksCompleted, "Count", "Scheduled checks that saw every runner of their target. None for 15 minutes: nobody is monitoring.";
    ChecksFailed, "Count", "Checks that did not, whoever asked for them.";
    ChecksLate, "Count", "Checks that took longer than the interval; each is in `ChecksFailed` too. What they saw is discarded.";
    JobsExpired, "Count", "Jobs that came too late to be done: the next tick sends others. Many, time and again: there are too few pollers.";
    RunnersTotal, "Count", "Registered runners, as the schedule's looks saw them: the sum over one interval is the fleet.";
    RunnersOnline, "Count", "Those of them that GitHub reports online.";
    RunnersDown, "Count", "Those of them with an open outage.";
    QuotaRemaining, "Count", "Requests left to the credential within the hour, the least that was told.";
    EffectiveInterval, "Seconds", "Between two looks at one target, of the credential with the least quota. Only while a quota does not last.";
    NotificationsSent, "Count", "Notices that Slack took.";
    AlertLatency, "Milliseconds", "From the first bad reading of a runner until Slack took the notice of its outage.";
    OldestPendingNotificationSecs, "Seconds", "For how long the oldest notification has been pending, as the poller and the scheduler found it stored; 0 where none is.";
    MessagesDeadLettered, "Count", "Messages that went to a dead-letter queue because they can never be used.";
}

/// The dimension that keeps the metrics of two stacks in one account apart.
pub const STACK: &str = "Stack";

/// What one invocation counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    function: &'static str,
    stack: Option<String>,
    values: BTreeMap<Metric, Vec<u64>>,
}

impl Metrics {
    /// Nothing is counted so far. `function` stands in the line for people who search it.
    pub fn of(function: &'static str) -> Self {
        Self { function, stack: None, values: BTreeMap::new() }
    }

    /// The same metrics as those of one stack: alarms and dashboard of a stack read only these.
    pub fn in_stack(mut self, stack: Option<&str>) -> Self {
        self.stack = stack.map(str::to_owned);
        self
    }

    /// Adds to a sum, which is in the line even if it is zero.
    pub fn add(&mut self, metric: Metric, count: u64) {
        let values = self.values.entry(metric).or_insert_with(|| vec![0]);
        values[0] = values[0].saturating_add(count);
    }

    /// Keeps the least of what is told.
    pub fn least(&mut self, metric: Metric, value: u64) {
        let values = self.values.entry(metric).or_insert_with(|| vec![u64::MAX]);
        values[0] = values[0].min(value);
    }

    /// Keeps the most of what is reported.
    pub fn most(&mut self, metric: Metric, value: u64) {
        let values = self.values.entry(metric).or_insert_with(|| vec![0]);
        values[0] = values[0].max(value);
    }

    /// Notes one value more.
    pub fn note(&mut self, metric: Metric, value: u64) {
        let values = self.values.entry(metric).or_default();
        if values.len() < MOST_VALUES {
            values.push(value);
        }
    }

    /// The line for CloudWatch, to be printed on stdout; none where nothing was counted.
    pub fn line(&self, now: Timestamp, request_id: &str) -> Option<String> {
        if self.values.is_empty() {
            return None;
        }
        let units: Vec<Value> =
            self.values.keys().map(|metric| json!({"Name": metric.name(), "Unit": metric.unit()})).collect();
        let mut line = Map::new();
        // One dimension set: CloudWatch charges for each. The function is none, since no two functions count the same.
        let dimensions: &[&str] = if self.stack.is_some() { &[STACK] } else { &[] };
        let directive = json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": units});
        line.insert("_aws".to_owned(), json!({"Timestamp": now.epoch_ms(), "CloudWatchMetrics": [directive]}));
        line.insert("Function".to_owned(), self.function.into());
        if let Some(stack) = &self.stack {
            line.insert(STACK.to_owned(), stack.as_str().into());
        }
        line.insert(fields::REQUEST_ID.to_owned(), request_id.into());
        for (metric, values) in &self.values {
            let value = if let [value] = values[..] { value.into() } else { json!(values) };
            line.insert(metric.name().to_owned(), value);
        }
        Some(Value::Object(line).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let mut metrics = Metrics::of("poller");
        assert_eq!(metrics.line(Timestamp::from_epoch_ms(0), "r"), None);
        metrics.add(Metric::ChecksCompleted, 0);
        metrics.add(Metric::ChecksCompleted, 2);
        metrics.add(Metric::ChecksFailed, 0);
        metrics.least(Metric::QuotaRemaining, 4_000);
        metrics.least(Metric::QuotaRemaining, 3_999);
        metrics.note(Metric::AlertLatency, 90_000);
        metrics.note(Metric::AlertLatency, 80_000);
        let line = metrics.line(Timestamp::from_epoch_ms(1_800_000_000_000), "r-1").unwrap();
        assert!(!line.contains('\n'));
        let units = [
            ("ChecksCompleted", "Count"),
            ("ChecksFailed", "Count"),
            ("QuotaRemaining", "Count"),
            ("AlertLatency", "Milliseconds"),
        ];
        let expected = json!({
            "_aws": {
                "Timestamp": 1_800_000_000_000_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "GitHubRunnerMonitor",
                    "Dimensions": [[]],
                    "Metrics": units.map(|(name, unit)| json!({"Name": name, "Unit": unit})),
                }],
            },
            "Function": "poller",
            "request_id": "r-1",
            "ChecksCompleted": 2,
            "ChecksFailed": 0,
            "QuotaRemaining": 3_999,
            "AlertLatency": [90_000, 80_000],
        });
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
        (0..200).for_each(|value| metrics.note(Metric::AlertLatency, value));
        let line: Value = serde_json::from_str(&metrics.line(Timestamp::from_epoch_ms(0), "r").unwrap()).unwrap();
        assert_eq!(line["AlertLatency"].as_array().map(Vec::len), Some(MOST_VALUES));
    }

    #[test]
    fn a_dimension_separates_the_metrics_of_two_stacks() {
        let of = |stack| {
            let mut metrics = Metrics::of("poller").in_stack(stack);
            metrics.add(Metric::ChecksCompleted, 1);
            let line = metrics.line(Timestamp::from_epoch_ms(0), "r").unwrap();
            serde_json::from_str::<Value>(&line).unwrap()
        };
        for stack in ["runner-monitor", "runner-monitor-dev"] {
            let line = of(Some(stack));
            assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Stack"]]));
            assert_eq!(line["Stack"], stack);
        }
        let line = of(None);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
        assert_eq!(line.get("Stack"), None);
    }

    #[test]
    fn sums_are_zero_or_more_and_the_least_is_kept_in_either_order() {
        for order in [[7, 3, 5], [3, 5, 7], [5, 7, 3]] {
            let mut metrics = Metrics::of("poller");
            for value in order {
                metrics.least(Metric::QuotaRemaining, value);
                metrics.add(Metric::RunnersTotal, value);
                metrics.note(Metric::AlertLatency, value);
            }
            let line: Value = serde_json::from_str(&metrics.line(Timestamp::from_epoch_ms(0), "r").unwrap()).unwrap();
            assert_eq!((&line["QuotaRemaining"], &line["RunnersTotal"]), (&3.into(), &15.into()), "{order:?}");
            assert_eq!(line["AlertLatency"], json!(order), "{order:?}");
        }
    }

    #[test]
    fn the_documentation_shows_every_metric() {
        let row = |metric: &Metric| format!("| `{}` | {} | {} |\n", metric.name(), metric.unit(), metric.meaning());
        let table: String = Metric::ALL.iter().map(row).collect();
        assert!(
            include_str!("../../../docs/LOGGING.md")
                .contains(&format!("| Metric | Unit | What it counts |\n|---|---|---|\n{table}\n")),
            "docs/LOGGING.md should show\n{table}"
        );
    }
}
