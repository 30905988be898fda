//! A clock that is set back or forward between two checks.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use monitor_domain::change::Event;
use monitor_domain::credential::reconcile_credential;
use monitor_domain::fleet::CredentialRecord;
use monitor_domain::observation::{CredentialReport, Fault};
use monitor_domain::policy::Thresholds;
use monitor_domain::runner::Status::{self, Idle, Offline};
use monitor_domain::subject::CredentialId;

use support::{History, at, closed, failed_check, opened, runner};

/// The start of a history, late enough to set the clock back.
const BEGIN: i64 = 800 * 86_400;
/// The seconds by which the clock is set forward or back.
const JUMPS: [i64; 7] = [-365 * 86_400, -86_400, -7_200, -600, 7_200, 86_400, 365 * 86_400];

/// A history of checks whose wall clock is set to another time at some point.
struct Jumping {
    history: History,
    secs: i64,
}

impl Jumping {
    fn watching(policy: &str, status: Status) -> Self {
        let mut this = Self { history: History::new(policy), secs: BEGIN };
        this.see(status, 0);
        this
    }

    fn now(&self) -> u64 {
        u64::try_from(self.secs).unwrap()
    }

    /// Checks after this many real seconds.
    fn see(&mut self, status: Status, after: i64) -> Vec<Event> {
        self.secs += after;
        self.history.see(self.now(), &[runner(1, status)])
    }

    fn fail(&mut self, after: i64) -> Vec<Event> {
        self.secs += after;
        self.history.check(&failed_check(at(self.now()), Fault::NotFound))
    }
}

#[test]
fn a_suspect_runner_is_confirmed_in_time() {
    for jump in JUMPS {
        let mut jumping = Jumping::watching("{}", Idle);
        jumping.see(Offline, 300);
        jumping.see(Offline, 60);
        jumping.secs += jump;
        let checks = (1..10).find(|_| !opened(&jumping.see(Offline, 60)).is_empty());
        // Set forward, the clock suggests a long time without checks, and the count starts again.
        assert_eq!(checks, Some(if jump > 900 { 3 } else { 1 }), "{jump}");
    }
}

#[test]
fn an_outage_ends_in_time() {
    for jump in JUMPS {
        let mut jumping = Jumping::watching(r#"{"failureThreshold":1}"#, Idle);
        assert_eq!(opened(&jumping.see(Offline, 300)).len(), 1);
        jumping.see(Idle, 60);
        jumping.secs += jump;
        assert_eq!(closed(&jumping.see(Idle, 60)).len(), 1, "{jump}");
    }
}

#[test]
fn a_missing_runner_is_gone_in_time() {
    for jump in JUMPS {
        let mut jumping = Jumping::watching("{}", Idle);
        jumping.secs += 300;
        jumping.history.see(jumping.now(), &[runner(2, Idle)]);
        jumping.secs += jump + 60;
        let events = jumping.history.see(jumping.now(), &[runner(2, Idle)]);
        assert_eq!(closed(&events).len(), 1, "{jump}");
    }
}

#[test]
fn an_unreachable_target_is_notified_no_later() {
    for jump in JUMPS {
        let mut jumping = Jumping::watching("{}", Idle);
        jumping.fail(300);
        jumping.secs += jump;
        let checks =
            (1..20).find(|_| jumping.fail(60).iter().any(|event| matches!(event, Event::BecameUnreachable { .. })));
        assert!(checks.is_some_and(|checks| checks <= 15), "{jump}: {checks:?}");
        let reachable = jumping.see(Idle, 60);
        assert!(reachable.iter().any(|event| matches!(event, Event::ReachableAgain { notified: true, .. })), "{jump}");
    }
}

#[test]
fn a_credential_is_notified_no_later_and_again_when_it_works() {
    for jump in JUMPS {
        let mut record = CredentialRecord::new(CredentialId::token());
        let mut check = |fault: Fault, secs: i64| {
            let now = at(u64::try_from(BEGIN + secs).unwrap());
            let check = failed_check(now, fault);
            let (check, report) = ((now, &check.outcome), CredentialReport::default());
            let commit = reconcile_credential(&record, check, &report, &[], 1, &Thresholds::default(), (now, 1));
            commit.map_or_else(Vec::new, |commit| {
                record = commit.record;
                commit.change.events
            })
        };
        check(Fault::Credential, 0);
        let is_notified =
            |events: Vec<Event>| events.iter().any(|event| matches!(event, Event::BecameUnreachable { .. }));
        let checks = (1..20).find(|n| is_notified(check(Fault::Credential, jump + 60 * n)));
        assert!(checks.is_some_and(|checks| checks <= 15), "{jump}: {checks:?}");

        // It works again, after the clock was set back once more. The target's own fault proves it.
        let works = check(Fault::NotFound, jump + 1_300 - if jump < 0 { 7_200 } else { 0 });
        let ended = works.iter().filter(|event| matches!(event, Event::ReachableAgain { notified: true, .. })).count();
        assert_eq!(ended, 1, "{jump}: {works:?}");
    }
}

#[test]
fn reminders_and_the_end_of_flapping_survive_a_clock_that_was_set_back() {
    for jump in JUMPS.into_iter().filter(|jump| *jump < -900) {
        let mut jumping = Jumping::watching(r#"{"failureThreshold":1,"repeatInterval":"10m"}"#, Idle);
        jumping.see(Offline, 300);
        jumping.secs += jump;
        let reminded = |events: &[Event]| events.iter().any(|event| matches!(event, Event::Reminded { .. }));
        assert!(reminded(&jumping.see(Offline, 60)), "{jump}");
        assert!(!reminded(&jumping.see(Offline, 300)), "{jump}: once, and then at the usual interval");
        assert!(reminded(&jumping.see(Offline, 300)), "{jump}");

        let mut jumping = Jumping::watching(r#"{"failureThreshold":1,"successThreshold":1,"flapThreshold":3}"#, Idle);
        for _ in 0..3 {
            jumping.see(Offline, 60);
            jumping.see(Idle, 60);
        }
        assert!(jumping.history.runner(1).flapping.is_some());
        jumping.secs += jump;
        let events = jumping.see(Idle, 60);
        assert!(events.iter().any(|event| matches!(event, Event::FlappingEnded { .. })), "{jump}");
        // Outages dated by the wrong clock make no runner flap for as long as that clock was ahead.
        let mut jumping = Jumping::watching(r#"{"failureThreshold":1,"successThreshold":1,"flapThreshold":3}"#, Idle);
        for _ in 0..2 {
            jumping.see(Offline, 60);
            jumping.see(Idle, 60);
        }
        jumping.secs += jump;
        assert_eq!(opened(&jumping.see(Offline, 60)).len(), 1);
        assert!(jumping.history.runner(1).flapping.is_none(), "{jump}");
    }
}

#[test]
fn a_runner_that_never_connects_has_no_more_than_connect_grace() {
    for jump in JUMPS.into_iter().filter(|jump| *jump < -900) {
        let mut history = History::new(r#"{"failureThreshold":1,"connectGrace":"10m"}"#);
        let mut ahead = runner(1, Offline);
        (ahead.version, ahead.os) = (None, "unknown".to_owned());
        history.see(u64::try_from(BEGIN).unwrap(), std::slice::from_ref(&ahead));
        let after = |secs: i64| u64::try_from(BEGIN + jump + secs).unwrap();
        let found = (1..3).find(|n| !opened(&history.see(after(60 * n), std::slice::from_ref(&ahead))).is_empty());
        assert!(found.is_some(), "{jump}");
    }
}

#[test]
fn a_check_is_dated_by_the_current_clock() {
    for jump in JUMPS.into_iter().filter(|jump| *jump < 0) {
        let mut jumping = Jumping::watching("{}", Idle);
        jumping.secs += jump;
        // It changes nothing, so only its time is stored, and not at every further check.
        jumping.see(Idle, 60);
        assert_eq!(jumping.history.fleet.last_seen_at, Some(at(jumping.now())), "{jump}");
        let stored = jumping.history.fleet.last_seen_at;
        jumping.see(Idle, 60);
        assert_eq!(jumping.history.fleet.last_seen_at, stored);
        let offline = jumping.see(Offline, 60);
        assert!(!offline.is_empty() && jumping.history.fleet.record.observed_at == at(jumping.now()), "{jump}");
    }
    // The clock of another machine is a little behind: its check does not set the stored time back.
    let mut jumping = Jumping::watching("{}", Idle);
    jumping.secs -= 30;
    let offline = jumping.see(Offline, 0);
    assert!(!offline.is_empty() && jumping.history.fleet.record.observed_at == at(jumping.now() + 30));
}
