//! The stored state as Prometheus metrics.
//!
//! `github_runner_up` and `github_runner_busy` have the names and labels that existing dashboards and alert rules for
//! runners read. Values come from the store, so a target whose checks fail keeps its last values, with their age in
//! `runner_monitor_target_last_success_timestamp_seconds`.

use std::fmt::Write as _;
use std::sync::Arc;

use monitor_domain::fleet::Fleet;
use monitor_domain::pool::PoolCounts;
use monitor_domain::runner::{Runner, Status};
use monitor_domain::time::Timestamp;

use crate::snapshot::{Snapshot, parts};

/// The media type of the text format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One metric: its name, help and samples.
struct Family {
    name: &'static str,
    help: &'static str,
    samples: Samples,
}

/// Where the samples of a metric come from.
enum Samples {
    /// The whole fleet.
    Of(fn(&Snapshot, &mut Lines)),
    /// Each target.
    OfEach(fn(&Fleet, &mut Lines)),
}

/// Samples of a metric in the text format.
struct Lines {
    name: &'static str,
    text: String,
}

impl Lines {
    fn add(&mut self, pairs: &[(&str, &str)], value: f64) {
        let _ = writeln!(self.text, "{}{} {value}", self.name, labels(pairs));
    }
}

/// The labels of a sample in braces; empty without labels.
fn labels(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
        let separator = if text.is_empty() { "" } else { "," };
        let _ = write!(text, r#"{separator}{name}="{value}""#);
    }
    if text.is_empty() { text } else { format!("{{{text}}}") }
}

fn is_true(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn seconds(at: Timestamp) -> f64 {
    at.epoch_ms() as f64 / 1_000.0
}

/// The samples of each registered runner of a target.
fn each_runner(fleet: &Fleet, lines: &mut Lines, value: fn(&Runner) -> bool) {
    let target = fleet.record.target.as_str();
    for runner in fleet.runners.iter().filter(|runner| !runner.is_gone()) {
        // Names are unique within a target only, and while a runner registers again, not even there.
        let id = runner.current_id.to_string();
        let pairs = [("runner", runner.name.as_str()), ("os", &runner.os), ("target", target), ("id", &id)];
        lines.add(&pairs, is_true(value(runner)));
    }
}

/// What is known of each registered runner of a target.
fn info(fleet: &Fleet, lines: &mut Lines) {
    for runner in fleet.runners.iter().filter(|runner| !runner.is_gone()) {
        let pairs = [
            ("runner", runner.name.as_str()),
            ("target", fleet.record.target.as_str()),
            ("id", &runner.current_id.to_string()),
            ("labels", &runner.labels.join(",")),
            ("version", runner.version.as_deref().unwrap_or_default()),
            ("ephemeral", if runner.ephemeral { "true" } else { "false" }),
        ];
        lines.add(&pairs, 1.0);
    }
}

/// The sample of a target.
fn one(fleet: &Fleet, lines: &mut Lines, value: f64) {
    lines.add(&[("target", fleet.record.target.as_str())], value);
}

/// The samples of each pool of a target.
fn pools(fleet: &Fleet, lines: &mut Lines, value: fn(PoolCounts) -> u32) {
    for (pool, counts) in fleet.pools.iter().filter_map(|pool| Some((pool, pool.pool?))) {
        let pairs = [("target", fleet.record.target.as_str()), ("labels", &pool.labels.join(","))];
        lines.add(&pairs, f64::from(value(counts)));
    }
}

fn is_complete(snapshot: &Snapshot) -> bool {
    snapshot.monitoring.monitor.ticked_at.is_some() && snapshot.monitoring.not_complete.is_empty()
}

fn open_outages(fleet: &Fleet) -> f64 {
    let count = fleet.pools_and_runners().filter(|runner| runner.open_outage().is_some()).count();
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

static FAMILIES: [Family; 13] = [
    Family {
        name: "github_runner_up",
        help: "Whether GitHub reports the runner online.",
        samples: Samples::OfEach(|fleet, lines| each_runner(fleet, lines, |runner| runner.status.is_healthy())),
    },
    Family {
        name: "github_runner_busy",
        help: "Whether the runner runs a job.",
        samples: Samples::OfEach(|fleet, lines| each_runner(fleet, lines, |runner| runner.status == Status::Busy)),
    },
    Family {
        name: "github_runner_info",
        help: "What is known of the runner, as labels.",
        samples: Samples::OfEach(info),
    },
    Family {
        name: "github_runners_up",
        help: "Whether every target was checked in time, so that the other metrics are current.",
        samples: Samples::Of(|snapshot, lines| lines.add(&[], is_true(is_complete(snapshot)))),
    },
    Family {
        name: "runner_monitor_target_up",
        help: "Whether the last check of the target succeeded.",
        // If the pools of a credential cannot be evaluated, one of its targets is not up.
        samples: Samples::OfEach(|fleet, lines| {
            if fleet.is_target() {
                one(fleet, lines, is_true(fleet.record.failing.is_none()));
            }
        }),
    },
    Family {
        name: "runner_monitor_target_last_success_timestamp_seconds",
        help: "When the last check of the target that succeeded began.",
        samples: Samples::OfEach(|fleet, lines| {
            let seen_at = fleet.seen_at().filter(|_| fleet.is_target());
            seen_at.into_iter().for_each(|at| one(fleet, lines, seconds(at)));
        }),
    },
    Family {
        name: "runner_monitor_open_outages",
        help: "Open outages of the target's runners, pools and queues.",
        samples: Samples::OfEach(|fleet, lines| one(fleet, lines, open_outages(fleet))),
    },
    Family {
        name: "runner_monitor_pool_online_runners",
        help: "Runners of the pool that are online.",
        samples: Samples::OfEach(|fleet, lines| pools(fleet, lines, |counts| counts.online)),
    },
    Family {
        name: "runner_monitor_pool_runners",
        help: "Registered runners of the pool.",
        samples: Samples::OfEach(|fleet, lines| pools(fleet, lines, |counts| counts.total)),
    },
    Family {
        name: "runner_monitor_pool_wanted_runners",
        help: "Runners of the pool that the policy wants online.",
        samples: Samples::OfEach(|fleet, lines| pools(fleet, lines, |counts| counts.wanted)),
    },
    Family {
        name: "runner_monitor_version_end_timestamp_seconds",
        help: "When GitHub stops giving jobs to the version of the runner.",
        samples: Samples::Of(|snapshot, lines| {
            snapshot.ends.iter().for_each(|(version, at)| lines.add(&[("version", version)], seconds(*at)));
        }),
    },
    Family {
        name: "runner_monitor_last_tick_timestamp_seconds",
        help: "The last tick of the monitor.",
        samples: Samples::Of(|snapshot, lines| {
            snapshot.monitoring.monitor.ticked_at.into_iter().for_each(|at| lines.add(&[], seconds(at)));
        }),
    },
    Family {
        name: "runner_monitor_info",
        help: "The release of the monitor.",
        samples: Samples::Of(|_, lines| lines.add(&[("version", env!("CARGO_PKG_VERSION"))], 1.0)),
    },
];

/// All metrics in the text format, piece by piece.
pub(crate) fn metrics(snapshot: Arc<Snapshot>) -> impl Iterator<Item = String> {
    FAMILIES.iter().flat_map(move |Family { name, help, samples }| {
        let header = std::iter::once(format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        let count = match samples {
            Samples::Of(_) => 1,
            Samples::OfEach(_) => snapshot.fleets().len(),
        };
        let snapshot = snapshot.clone();
        header.chain(parts(count).map(move |part| {
            let mut lines = Lines { name, text: String::new() };
            match samples {
                Samples::Of(of) => of(&snapshot, &mut lines),
                Samples::OfEach(of) => snapshot.fleets()[part].iter().for_each(|fleet| of(fleet, &mut lines)),
            }
            lines.text
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_label_is_escaped() {
        assert_eq!(labels(&[("a", "x\"y\\z\n"), ("b", "")]), r#"{a="x\"y\\z\n",b=""}"#);
        assert_eq!(labels(&[]), "");
    }
}
