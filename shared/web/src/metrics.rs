//! The stored state as Prometheus metrics.
//!
//! `github_runner_up` and `github_runner_busy` have the names and labels that existing dashboards and alert rules for
//! runners read. Values come from the store, so a target whose checks fail keeps its last values, with their age in
//! `runner_monitor_target_last_success_timestamp_seconds`.

use std::fmt::Write as _;

use monitor_domain::fleet::Fleet;
use monitor_domain::pool::PoolCounts;
use monitor_domain::runner::{Runner, Status};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;

use crate::snapshot::Snapshot;

/// The media type of the text format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Labels and value of each sample, made while they are written: of a large fleet they are many.
type Samples<'a> = Box<dyn Iterator<Item = (String, f64)> + 'a>;

/// One metric: its name, help and samples.
struct Family<'a> {
    name: &'static str,
    help: &'static str,
    samples: Samples<'a>,
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

/// All metrics in the text format.
pub(crate) fn metrics(snapshot: &Snapshot) -> String {
    let runners: Vec<(&Target, &Runner)> = snapshot
        .fleets()
        .iter()
        .flat_map(|fleet| fleet.runners.iter().map(|runner| (&fleet.record.target, runner)))
        .filter(|(_, runner)| !runner.is_gone())
        .collect();
    let of_runner = |target: &Target, runner: &Runner| {
        // Names are unique within a target only, and while a runner registers again, not even there.
        labels(&[
            ("runner", &runner.name),
            ("os", &runner.os),
            ("target", target.as_str()),
            ("id", &runner.current_id.to_string()),
        ])
    };
    let each_runner = |value: fn(&Runner) -> bool| -> Samples<'_> {
        Box::new(runners.iter().map(move |(target, runner)| (of_runner(target, runner), is_true(value(runner)))))
    };
    let info = runners.iter().map(|(target, runner)| {
        let (id, label_names) = (runner.current_id.to_string(), runner.labels.join(","));
        let version = runner.version.as_deref().unwrap_or_default();
        let pairs = [
            ("runner", runner.name.as_str()),
            ("target", target.as_str()),
            ("id", &id),
            ("labels", &label_names),
            ("version", version),
            ("ephemeral", if runner.ephemeral { "true" } else { "false" }),
        ];
        (labels(&pairs), 1.0)
    });
    let each_target = |value: fn(&Fleet) -> Option<f64>| -> Samples<'_> {
        let sample = move |fleet: &Fleet| Some((labels(&[("target", fleet.record.target.as_str())]), value(fleet)?));
        Box::new(snapshot.fleets().iter().filter_map(sample))
    };
    let open = |fleet: &Fleet| {
        let count = fleet.pools_and_runners().filter(|runner| runner.open_outage().is_some()).count();
        Some(f64::from(u32::try_from(count).unwrap_or(u32::MAX)))
    };
    let pools = |value: fn(PoolCounts) -> u32| -> Samples<'_> {
        let pools = snapshot
            .fleets()
            .iter()
            .flat_map(|fleet| fleet.pools.iter().map(move |pool| (fleet.record.target.as_str(), pool)));
        let sample = move |(target, pool): (&str, &Runner)| {
            let pool_labels = labels(&[("target", target), ("labels", &pool.labels.join(","))]);
            Some((pool_labels, f64::from(value(pool.pool?))))
        };
        Box::new(pools.filter_map(sample))
    };
    let ends = snapshot.ends.iter().map(|(version, at)| (labels(&[("version", version)]), seconds(*at)));
    let monitoring = &snapshot.monitoring;
    let is_complete = monitoring.monitor.ticked_at.is_some() && monitoring.not_complete.is_empty();
    let families = [
        Family {
            name: "github_runner_up",
            help: "Whether GitHub reports the runner online.",
            samples: each_runner(|runner| runner.status.is_healthy()),
        },
        Family {
            name: "github_runner_busy",
            help: "Whether the runner runs a job.",
            samples: each_runner(|runner| runner.status == Status::Busy),
        },
        Family { name: "github_runner_info", help: "What is known of the runner, as labels.", samples: Box::new(info) },
        Family {
            name: "github_runners_up",
            help: "Whether every target was checked in time, so that the other metrics are current.",
            samples: Box::new(std::iter::once((String::new(), is_true(is_complete)))),
        },
        Family {
            name: "runner_monitor_target_up",
            help: "Whether the last check of the target succeeded.",
            // If the pools of a credential cannot be evaluated, one of its targets is not up.
            samples: each_target(|fleet| fleet.is_target().then(|| is_true(fleet.record.failing.is_none()))),
        },
        Family {
            name: "runner_monitor_target_last_success_timestamp_seconds",
            help: "When the last check of the target that succeeded began.",
            samples: each_target(|fleet| fleet.seen_at().filter(|_| fleet.is_target()).map(seconds)),
        },
        Family {
            name: "runner_monitor_open_outages",
            help: "Open outages of the target's runners, pools and queues.",
            samples: each_target(open),
        },
        Family {
            name: "runner_monitor_pool_online_runners",
            help: "Runners of the pool that are online.",
            samples: pools(|counts| counts.online),
        },
        Family {
            name: "runner_monitor_pool_runners",
            help: "Registered runners of the pool.",
            samples: pools(|counts| counts.total),
        },
        Family {
            name: "runner_monitor_pool_wanted_runners",
            help: "Runners of the pool that the policy wants online.",
            samples: pools(|counts| counts.wanted),
        },
        Family {
            name: "runner_monitor_version_end_timestamp_seconds",
            help: "When GitHub stops giving jobs to the version of the runner.",
            samples: Box::new(ends),
        },
        Family {
            name: "runner_monitor_last_tick_timestamp_seconds",
            help: "The last tick of the monitor.",
            samples: Box::new(monitoring.monitor.ticked_at.map(|at| (String::new(), seconds(at))).into_iter()),
        },
        Family {
            name: "runner_monitor_info",
            help: "The release of the monitor.",
            samples: Box::new(std::iter::once((labels(&[("version", env!("CARGO_PKG_VERSION"))]), 1.0))),
        },
    ];
    let mut text = String::new();
    for Family { name, help, samples } in families {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (pairs, value) in samples {
            let _ = writeln!(text, "{name}{pairs} {value}");
        }
    }
    text
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
