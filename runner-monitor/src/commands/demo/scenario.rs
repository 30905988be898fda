//! The demo's scenario: what happens to the simulated fleet, and which alert each event should cause.

use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::outage::Outage;
use monitor_fakes::github::{Access, RunnerSpec, State};

/// The token that the simulated GitHub accepts.
pub(super) const TOKEN: &str = "demo-token";
/// The targets that are watched.
pub(super) const TARGETS: [&str; 4] = ["acme/web", "acme/api", "acme/mobile", "orgs/acme"];
/// `api-1` is known to be unstable: two failed checks confirm an outage, and ten calm minutes end flapping.
pub(super) const POLICY: &str = r#"{"runners":{"api-1":{"failureThreshold":2,"flapClearAfter":"10m"}}}"#;
/// The minute at which the scenario ends.
pub(super) const END: u32 = 63;

/// One event of the scenario, with the alert that it should cause.
pub(super) struct Beat {
    /// When it happens, in minutes since the start.
    pub(super) minute: u32,
    /// What happens, as shown to the viewer.
    pub(super) what: &'static str,
    act: Act,
    /// The alert that should follow; empty if none should.
    pub(super) expected: &'static str,
    /// Why no alert follows, if `expected` is empty.
    pub(super) why_silent: &'static str,
    expected_item: fn(&NotificationItem) -> bool,
}

impl Beat {
    /// Whether a notification reports it.
    pub(super) fn is_notified_by(&self, notification: &Notification) -> bool {
        notification.items.iter().any(self.expected_item)
    }
}

/// A change to the simulated fleet.
enum Act {
    Nothing,
    Offline(&'static [(&'static str, &'static str)]),
    Online(&'static [(&'static str, &'static str)]),
    Remove(&'static str, &'static str),
    RegisterAgain(&'static str, &'static str),
    Access(&'static str, Access),
}

/// The runner group of the GPU machines.
const GPU_GROUP: u64 = 2;

/// The fleet at the start.
pub(super) fn opening() -> State {
    let mut github = State::new();
    github.add_token(TOKEN);
    github.groups.insert(GPU_GROUP, "GPU machines".to_owned());
    let fleet: [(&str, &[&str], &[&str]); 4] = [
        ("acme/web", &["web-1", "web-2", "web-3", "web-4"], &["web"]),
        ("acme/api", &["api-1", "api-2"], &[]),
        ("acme/mobile", &["build-1"], &["android"]),
        ("orgs/acme", &["gpu-1", "gpu-2", "gpu-3", "gpu-4"], &["gpu"]),
    ];
    for (target, names, labels) in fleet {
        github.add_target(target);
        for name in names {
            let group = if labels == ["gpu"] { GPU_GROUP } else { 1 };
            let spec = RunnerSpec { runner_group_id: Some(group), ..RunnerSpec::new(name).with_labels(labels) };
            github.add_runner(target, spec);
        }
    }
    github.add_runner("acme/mobile", RunnerSpec::new("pool-1").ephemeral());
    set(&mut github, "acme/api", "api-2", "offline", false);
    set(&mut github, "acme/web", "web-2", "online", true);
    github
}

/// Applies a beat to the fleet.
pub(super) fn play(github: &mut State, beat: &Beat) {
    match &beat.act {
        Act::Nothing => {}
        // GitHub reports a runner that went away during a job as offline and busy.
        Act::Offline(runners) => runners.iter().for_each(|(target, name)| {
            let busy = id_of(github, target, name).is_some_and(|(_, busy)| busy);
            set(github, target, name, "offline", busy);
        }),
        Act::Online(runners) => runners.iter().for_each(|(target, name)| set(github, target, name, "online", false)),
        Act::Remove(target, name) => {
            if let Some((id, _)) = id_of(github, target, name) {
                github.remove_runner(target, id);
            }
        }
        Act::RegisterAgain(target, name) => {
            if let Some((id, _)) = id_of(github, target, name) {
                github.re_register(target, id);
            }
        }
        Act::Access(target, access) => github.set_access(target, access.clone()),
    }
}

fn id_of(github: &State, target: &str, name: &str) -> Option<(u64, bool)> {
    let runners = github.runners(target);
    runners.iter().find(|runner| runner.spec.name == name).map(|runner| (runner.id, runner.spec.busy))
}

fn set(github: &mut State, target: &str, name: &str, status: &str, busy: bool) {
    if let Some((id, _)) = id_of(github, target, name) {
        github.set_runner(target, id, status, busy);
    }
}

fn are(outages: &[Outage], names: &[&str]) -> bool {
    names.iter().all(|name| outages.iter().any(|outage| outage.runner_name == *name))
}

const GPUS: &[(&str, &str)] = &[("orgs/acme", "gpu-1"), ("orgs/acme", "gpu-2"), ("orgs/acme", "gpu-3")];

const SILENT: Beat =
    Beat { minute: 0, what: "", act: Act::Nothing, expected: "", why_silent: "", expected_item: |_| false };

/// The scenario, in order of time.
pub(super) const BEATS: &[Beat] = &[
    Beat {
        what: "monitoring starts; api-2 is already offline",
        expected: "api-2 already offline when monitoring started",
        expected_item: |item| matches!(item, NotificationItem::MonitoringStarts { outages } if are(outages, &["api-2"])),
        ..SILENT
    },
    Beat {
        minute: 4,
        what: "web-2 goes offline in the middle of a job",
        act: Act::Offline(&[("acme/web", "web-2")]),
        expected: "web-2 offline",
        expected_item: |item| matches!(item, NotificationItem::Offline { outages } if are(outages, &["web-2"])),
        ..SILENT
    },
    Beat {
        minute: 8,
        what: "gpu-1, gpu-2 and gpu-3 go offline together",
        act: Act::Offline(GPUS),
        expected: "three runners offline, in one message",
        expected_item: |item| matches!(item, NotificationItem::Offline { outages } if are(outages, &["gpu-1", "gpu-2", "gpu-3"])),
        ..SILENT
    },
    Beat {
        minute: 14,
        what: "web-2 is back",
        act: Act::Online(&[("acme/web", "web-2")]),
        expected: "web-2 online again",
        expected_item: |item| matches!(item, NotificationItem::Recovered { outages } if are(outages, &["web-2"])),
        ..SILENT
    },
    Beat {
        minute: 16,
        what: "the ephemeral pool-1 leaves after its job",
        act: Act::Remove("acme/mobile", "pool-1"),
        why_silent: "ephemeral runners leave after one job",
        ..SILENT
    },
    Beat {
        minute: 18,
        what: "web-3 is registered again under its name",
        act: Act::RegisterAgain("acme/web", "web-3"),
        why_silent: "it is the same runner",
        ..SILENT
    },
    Beat {
        minute: 19,
        what: "web-4 is removed from GitHub",
        act: Act::Remove("acme/web", "web-4"),
        expected: "web-4 no longer registered",
        expected_item: |item| matches!(item, NotificationItem::Removed { outages } if are(outages, &["web-4"])),
        ..SILENT
    },
    Beat {
        minute: 21,
        what: "api-1 goes offline, the first of three times",
        act: Act::Offline(&[("acme/api", "api-1")]),
        expected: "api-1 offline",
        expected_item: |item| matches!(item, NotificationItem::Offline { outages } if are(outages, &["api-1"])),
        ..SILENT
    },
    Beat {
        minute: 23,
        what: "gpu-1, gpu-2 and gpu-3 are back",
        act: Act::Online(GPUS),
        expected: "three runners online again, in one message",
        expected_item: |item| matches!(item, NotificationItem::Recovered { outages } if are(outages, &["gpu-1", "gpu-2", "gpu-3"])),
        ..SILENT
    },
    Beat {
        minute: 27,
        what: "api-1 is back",
        act: Act::Online(&[("acme/api", "api-1")]),
        expected: "api-1 online again",
        expected_item: |item| matches!(item, NotificationItem::Recovered { outages } if are(outages, &["api-1"])),
        ..SILENT
    },
    Beat {
        minute: 28,
        what: "the token loses its access to the organization's runners",
        act: Act::Access("orgs/acme", Access::MissingPermission),
        expected: "orgs/acme unreachable",
        expected_item: |item| matches!(item, NotificationItem::Unreachable { .. }),
        ..SILENT
    },
    Beat {
        minute: 32,
        what: "api-1 goes offline again",
        act: Act::Offline(&[("acme/api", "api-1")]),
        expected: "api-1 offline",
        expected_item: |item| matches!(item, NotificationItem::Offline { outages } if are(outages, &["api-1"])),
        ..SILENT
    },
    Beat {
        minute: 37,
        what: "api-1 is back again",
        act: Act::Online(&[("acme/api", "api-1")]),
        expected: "api-1 online again",
        expected_item: |item| matches!(item, NotificationItem::Recovered { outages } if are(outages, &["api-1"])),
        ..SILENT
    },
    Beat {
        minute: 42,
        what: "api-1 goes offline for the third time",
        act: Act::Offline(&[("acme/api", "api-1")]),
        expected: "api-1 flapping",
        expected_item: |item| matches!(item, NotificationItem::Flapping { .. }),
        ..SILENT
    },
    Beat {
        minute: 47,
        what: "api-1 is back, and stays online",
        act: Act::Online(&[("acme/api", "api-1")]),
        expected: "api-1 stable again",
        expected_item: |item| matches!(item, NotificationItem::Calm { .. }),
        ..SILENT
    },
    Beat {
        minute: 48,
        what: "the token has its access again",
        act: Act::Access("orgs/acme", Access::Granted),
        expected: "orgs/acme reachable again",
        expected_item: |item| matches!(item, NotificationItem::ReachableAgain { .. }),
        ..SILENT
    },
    Beat {
        minute: 52,
        what: "api-2 is back",
        act: Act::Online(&[("acme/api", "api-2")]),
        expected: "api-2 online again",
        expected_item: |item| matches!(item, NotificationItem::Recovered { outages } if are(outages, &["api-2"])),
        ..SILENT
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_runner_that_goes_offline_during_a_job_is_offline_and_busy() {
        let mut github = opening();
        let state_of = |github: &State, target: &str, name: &str| {
            let runners = github.runners(target);
            let runner = runners.iter().find(|runner| runner.spec.name == name).unwrap();
            (runner.spec.status.clone(), runner.spec.busy)
        };
        for beat in BEATS.iter().filter(|beat| beat.minute <= 8) {
            play(&mut github, beat);
        }
        assert_eq!(state_of(&github, "acme/web", "web-2"), ("offline".to_owned(), true));
        assert_eq!(state_of(&github, "orgs/acme", "gpu-1"), ("offline".to_owned(), false));
        for beat in BEATS.iter().filter(|beat| (9..=14).contains(&beat.minute)) {
            play(&mut github, beat);
        }
        assert_eq!(state_of(&github, "acme/web", "web-2"), ("online".to_owned(), false));
    }
}
