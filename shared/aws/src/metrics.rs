//! What a Lambda counts: one line per invocation, in CloudWatch's embedded metric format. docs/LOGGING.md lists all.

use std::collections::BTreeMap;

use monitor_domain::time::Timestamp;
use serde_json::{Map, Value, json};

use monitor_telemetry::fields;

/// The namespace of the metrics at CloudWatch.
pub const NAMESPACE: &str = "GitHubRunnerMonitor";
/// The most values of one metric that CloudWatch accepts in a line.
const MOST_VALUES: usize = 100;

macro_rules! metrics {
    ($($metric:ident, $unit:literal, $kind:ident, $meaning:literal;)*) => {
        /// A figure of an invocation. Its name in the line and at CloudWatch is the variant's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $(#[doc = $meaning] $metric,)*
        }

        impl Metric {
            /// All figures, in the order of the documentation.
            pub const ALL: &'static [Metric] = &[$(Metric::$metric),*];

            /// The name in the line and at CloudWatch.
            pub fn name(self) -> &'static str {
                match self { $(Metric::$metric => stringify!($metric),)* }
            }

            /// What CloudWatch makes of it.
            pub fn kind(self) -> Kind {
                match self { $(Metric::$metric => Kind::$kind,)* }
            }

            /// The unit, as CloudWatch calls it.
            pub fn unit(self) -> &'static str {
                match self { $(Metric::$metric => $unit,)* }
            }

            /// What the figure counts, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Metric::$metric => $meaning,)* }
            }
        }
    };
}

/// What CloudWatch makes of a figure. It charges for each metric, so only those that an alarm reads are metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A metric in [`NAMESPACE`].
    Sent,
    /// A field of the line, for the dashboard's queries and for people who search the log.
    Logged,
}

metrics! {
    ChecksCompleted, "Count", Sent, "1 for each scheduled check that saw every runner of its target, 0 for each job that expired. Its sum is the completed checks; none for 15 minutes: monitoring is down. Its average is the share of the jobs that were not too late.";
    OldestPendingNotificationSecs, "Seconds", Sent, "How long the oldest pending notification has been waiting, as stored when the poller or the scheduler read it; 0 if none is pending.";
    TargetsScheduled, "Count", Logged, "Targets for which the scheduler sent a job.";
    ChecksFailed, "Count", Logged, "Checks that did not see every runner, scheduled or requested by a person.";
    ChecksLate, "Count", Logged, "Checks that took longer than the interval; each is in `ChecksFailed` too. What they saw is discarded.";
    JobsExpired, "Count", Logged, "Jobs that arrived too late to be done; the next tick sends new ones. Many of them again and again: there are too few pollers.";
    RunnersTotal, "Count", Logged, "Registered runners seen by scheduled checks: the sum over one interval is the fleet.";
    RunnersOnline, "Count", Logged, "Those of them that GitHub reports online.";
    RunnersDown, "Count", Logged, "Those of them with an open outage.";
    QuotaRemaining, "Count", Logged, "Requests left to the credential in this hour: the lowest value that GitHub reported.";
    EffectiveInterval, "Seconds", Logged, "Interval between two checks of one target of the most throttled credential. Logged only while a quota is too small.";
    NotificationsSent, "Count", Logged, "Notifications that Slack accepted.";
    AlertLatency, "Milliseconds", Logged, "The longest time from the first unhealthy check of a runner until Slack accepted the notification of its outage.";
    MessagesDeadLettered, "Count", Logged, "Messages that were dead-lettered because they can never be used.";
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
    /// Nothing counted so far. `function` is written to the line for people who search it.
    pub fn of(function: &'static str) -> Self {
        Self { function, stack: None, values: BTreeMap::new() }
    }

    /// The same, with the name of a stack as dimension: its alarms and dashboard read only these.
    pub fn in_stack(mut self, stack: Option<&str>) -> Self {
        self.stack = stack.map(str::to_owned);
        self
    }

    /// Adds to a sum. The line contains it even if it is zero.
    pub fn add(&mut self, metric: Metric, count: u64) {
        let values = self.values.entry(metric).or_insert_with(|| vec![0]);
        values[0] = values[0].saturating_add(count);
    }

    /// Keeps the lowest of the reported values.
    pub fn least(&mut self, metric: Metric, value: u64) {
        let values = self.values.entry(metric).or_insert_with(|| vec![u64::MAX]);
        values[0] = values[0].min(value);
    }

    /// Keeps the highest of the reported values.
    pub fn most(&mut self, metric: Metric, value: u64) {
        let values = self.values.entry(metric).or_insert_with(|| vec![0]);
        values[0] = values[0].max(value);
    }

    /// Adds one more value to the list of values.
    pub fn note(&mut self, metric: Metric, value: u64) {
        let values = self.values.entry(metric).or_default();
        if values.len() < MOST_VALUES {
            values.push(value);
        }
    }

    /// The line for CloudWatch, to be printed on stdout; `None` if nothing was counted.
    pub fn line(&self, now: Timestamp, request_id: &str) -> Option<String> {
        if self.values.is_empty() {
            return None;
        }
        let sent = self.values.keys().filter(|metric| metric.kind() == Kind::Sent);
        let units: Vec<Value> = sent.map(|metric| json!({"Name": metric.name(), "Unit": metric.unit()})).collect();
        let mut line = Map::new();
        // CloudWatch refuses a directive without metrics: such a line is only logged.
        if !units.is_empty() {
            // One dimension set, because CloudWatch charges for each. The function is not a dimension: the alarms read
            // what the scheduler and the poller count as one metric.
            let dimensions: &[&str] = if self.stack.is_some() { &[STACK] } else { &[] };
            let directive = json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": units});
            line.insert("_aws".to_owned(), json!({"Timestamp": now.epoch_ms(), "CloudWatchMetrics": [directive]}));
        }
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

    fn line(metrics: &Metrics) -> Value {
        serde_json::from_str(&metrics.line(Timestamp::from_epoch_ms(0), "r").unwrap()).unwrap()
    }

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let mut metrics = Metrics::of("poller");
        assert_eq!(metrics.line(Timestamp::from_epoch_ms(0), "r"), None);
        metrics.note(Metric::ChecksCompleted, 1);
        metrics.note(Metric::ChecksCompleted, 0);
        metrics.most(Metric::OldestPendingNotificationSecs, 60);
        metrics.add(Metric::ChecksFailed, 0);
        metrics.add(Metric::ChecksFailed, 2);
        metrics.least(Metric::QuotaRemaining, 4_000);
        metrics.least(Metric::QuotaRemaining, 3_999);
        let line = metrics.line(Timestamp::from_epoch_ms(1_800_000_000_000), "r-1").unwrap();
        assert!(!line.contains('\n'));
        let units = [("ChecksCompleted", "Count"), ("OldestPendingNotificationSecs", "Seconds")];
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
            "ChecksCompleted": [1, 0],
            "OldestPendingNotificationSecs": 60,
            "ChecksFailed": 2,
            "QuotaRemaining": 3_999,
        });
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
        (0..200).for_each(|_| metrics.note(Metric::ChecksCompleted, 1));
        assert_eq!(self::line(&metrics)["ChecksCompleted"].as_array().map(Vec::len), Some(MOST_VALUES));
    }

    #[test]
    fn a_line_without_a_metric_is_only_logged() {
        let mut metrics = Metrics::of("notifier").in_stack(Some("runner-monitor"));
        metrics.add(Metric::NotificationsSent, 1);
        let expected =
            json!({"Function": "notifier", "Stack": "runner-monitor", "request_id": "r", "NotificationsSent": 1});
        assert_eq!(line(&metrics), expected);
    }

    #[test]
    fn a_dimension_separates_the_metrics_of_two_stacks() {
        let of = |stack| {
            let mut metrics = Metrics::of("poller").in_stack(stack);
            metrics.note(Metric::ChecksCompleted, 1);
            line(&metrics)
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
    fn sums_are_zero_or_more_and_the_lowest_value_is_kept_in_any_order() {
        for order in [[7, 3, 5], [3, 5, 7], [5, 7, 3]] {
            let mut metrics = Metrics::of("poller");
            for value in order {
                metrics.least(Metric::QuotaRemaining, value);
                metrics.add(Metric::RunnersTotal, value);
                metrics.most(Metric::AlertLatency, value);
                metrics.note(Metric::ChecksCompleted, value);
            }
            let line = line(&metrics);
            assert_eq!((&line["QuotaRemaining"], &line["RunnersTotal"]), (&3.into(), &15.into()), "{order:?}");
            assert_eq!((&line["AlertLatency"], &line["ChecksCompleted"]), (&7.into(), &json!(order)), "{order:?}");
        }
    }

    #[test]
    fn the_documentation_shows_every_figure() {
        let page = include_str!("../../../docs/LOGGING.md");
        for kind in [Kind::Sent, Kind::Logged] {
            let of_kind = Metric::ALL.iter().filter(|metric| metric.kind() == kind);
            let row = |metric: &Metric| format!("| `{}` | {} | {} |\n", metric.name(), metric.unit(), metric.meaning());
            let table: String = of_kind.map(row).collect();
            let title = if kind == Kind::Sent { "Metric" } else { "Field" };
            let head = format!("| {title} | Unit | What it counts |\n|---|---|---|\n");
            assert!(page.contains(&format!("{head}{table}\n")), "docs/LOGGING.md should show\n{head}{table}");
        }
    }
}
