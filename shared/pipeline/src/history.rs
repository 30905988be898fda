//! What a time was like for a target: its outages and changes, read from the store.

use std::time::Duration;

use monitor_domain::availability::{Span, Spans, TargetReport, report};
use monitor_domain::change::{Change, Event};
use monitor_domain::fleet::Fleet;
use monitor_domain::outage::Outage;
use monitor_domain::runner::{Runner, RunnerId, Status};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_domain::unobserved::{absences, gaps};

use crate::ports::{Store, StoreError};
use crate::records::{StoredMonitor, changes_after, changes_since, read_fleet, read_outages};

/// The times in which the monitor observed nothing at all.
#[derive(Clone, Debug, Default)]
pub struct Unobserved(Vec<Span>);

impl Unobserved {
    /// From the monitor's own changes, and the time since its last tick if it does not run now.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn read(store: &impl Store, monitor: &StoredMonitor, now: Timestamp) -> Result<Self, StoreError> {
        let is_gap = |event: &Event| matches!(event, Event::Unwatched { .. });
        let changes = changes_after(store, &Subject::Monitor, Revision(0), is_gap).await?;
        Ok(Self(gaps(&changes).chain(stopped(monitor, now)).collect()))
    }
}

/// The time since the last tick, if the monitor does not run now.
fn stopped(monitor: &StoredMonitor, now: Timestamp) -> Option<Span> {
    let (ticked_at, next_tick_at) = monitor.ticked_at.zip(monitor.next_tick_at)?;
    let overdue = next_tick_at.plus(next_tick_at.since(ticked_at));
    (now > overdue).then_some(Span { from: ticked_at, until: now })
}

/// A target with its history.
#[derive(Clone, Debug)]
pub struct TargetHistory {
    /// Its runners and pools.
    pub fleet: Fleet,
    /// Its outages, in order of runner and outage.
    pub outages: Vec<Outage>,
    /// Its changes with the events that a history needs, in order.
    changes: Vec<Change>,
    /// Since when every change is still stored.
    complete_since: Option<Timestamp>,
    unobserved: Spans,
    absences: Vec<(RunnerId, Span)>,
}

/// A time in which a runner had one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The time.
    pub span: Span,
    /// The status; `None` if it is not known.
    pub status: Option<Status>,
}

impl TargetHistory {
    /// Reads a target with everything that its history since a time needs.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn read(
        store: &impl Store,
        target: &Target,
        of_monitor: &Unobserved,
        since: Timestamp,
    ) -> Result<Self, StoreError> {
        let fleet = read_fleet(store, target).await?.fleet;
        let outages = read_outages(store, target.id()).await?;
        let is_of_history = |event: &Event| {
            matches!(event, Event::ReachableAgain { .. } | Event::Returned { .. } | Event::StatusChanged { .. })
        };
        let last = fleet.record.revision;
        let changes = changes_since(store, &target.into(), last, since, is_of_history).await?;
        let absences = absences(&changes).collect();
        let unobserved = Spans::of(gaps(&changes).chain(of_monitor.0.iter().copied()));
        let complete_since = complete_since(&changes);
        Ok(Self { fleet, outages, changes, complete_since, unobserved, absences })
    }

    /// What a time was like for the whole target.
    pub fn report(&self, span: Span) -> TargetReport {
        report(&self.fleet, &self.outages, &self.unobserved, &self.absences, span)
    }

    /// The same history with one runner or pool alone.
    pub fn of_runner(&self, id: RunnerId) -> Self {
        let mut alone = self.clone();
        alone.fleet.runners.retain(|runner| runner.id == id);
        alone.fleet.pools.retain(|pool| pool.id == id);
        alone.outages.retain(|outage| outage.runner_id == id);
        alone
    }

    /// Since when it is known which statuses a runner had. A store keeps the changes between idle and busy for some days;
    /// the last one is known however old it is.
    fn known_since(&self, runner: &Runner) -> Timestamp {
        let since = self.complete_since.map_or(runner.status_since, |since| since.min(runner.status_since));
        since.max(runner.first_seen_at)
    }

    /// The statuses of a runner within a time, without gaps between them, oldest first.
    pub fn stretches(&self, runner: &Runner, span: Span) -> Vec<Stretch> {
        let known_since = self.known_since(runner);
        let mut turns: Vec<(Timestamp, Status, Status)> = Vec::new();
        for change in self.changes.iter().filter(|change| change.observed_at >= span.from.max(known_since)) {
            turns.extend(change.events.iter().filter_map(|event| match event {
                Event::StatusChanged { runner: of, from, to } if of.id == runner.id => {
                    Some((change.observed_at, *from, *to))
                }
                _ => None,
            }));
        }
        let first = turns.first().map_or(runner.status, |(_, from, _)| *from);
        let turns = [(span.from.max(known_since), first)].into_iter().chain(turns.iter().map(|(at, _, to)| (*at, *to)));
        let turns: Vec<(Timestamp, Status)> = turns.collect();
        let ends = turns.iter().skip(1).map(|(at, _)| *at).chain([span.until]);
        let known = turns.iter().zip(ends).map(|((from, status), until)| (Span { from: *from, until }, *status));
        let mut stretches = Vec::new();
        let mut add = |span: Span, status| {
            if span.from < span.until {
                stretches.push(Stretch { span, status });
            }
        };
        add(Span { from: span.from, until: known_since.min(span.until) }, None);
        for (known, status) in known {
            // What nobody observed is not known, whatever was known before.
            for observed in Spans::of([known]).split_by(&self.unobserved) {
                let (span, is_observed) = observed;
                add(span, is_observed.then_some(status));
            }
        }
        stretches
    }
}

/// When the first of the changes happened after which none is missing; the start of time if none was ever deleted.
fn complete_since(changes: &[Change]) -> Option<Timestamp> {
    let follow = |pair: &&[Change]| pair[1].revision == pair[0].revision.next();
    let following = changes.windows(2).rev().take_while(follow).count();
    let first = changes.len().checked_sub(following + 1).and_then(|index| changes.get(index))?;
    Some(if first.revision == Revision(1) { Timestamp::default() } else { first.observed_at })
}

/// How long runners were idle, busy and offline together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utilisation {
    /// Waiting for a job.
    pub idle: Duration,
    /// Running a job.
    pub busy: Duration,
    /// Offline, or not registered.
    pub offline: Duration,
    /// Not observed, or no longer stored.
    pub unknown: Duration,
}

impl Utilisation {
    /// Of all runners of a target within a time.
    pub fn of(history: &TargetHistory, span: Span) -> Self {
        let mut sum = Self::default();
        for runner in history.fleet.runners.iter().filter(|runner| !runner.is_gone()) {
            for Stretch { span, status } in history.stretches(runner, span) {
                let part = match status {
                    Some(Status::Busy) => &mut sum.busy,
                    Some(Status::Idle | Status::Online) => &mut sum.idle,
                    Some(Status::Offline | Status::Unknown) => &mut sum.offline,
                    None => &mut sum.unknown,
                };
                *part += span.until.since(span.from);
            }
        }
        sum
    }

    /// All of it.
    pub fn whole(&self) -> Duration {
        self.idle + self.busy + self.offline + self.unknown
    }
}

#[cfg(test)]
mod tests {
    use monitor_domain::change::RunnerName;
    use monitor_domain::fleet::Counts;

    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::default().plus(Duration::from_secs(minutes * 60))
    }

    #[test]
    fn a_monitor_that_does_not_run_observes_nothing() {
        let monitor =
            StoredMonitor { ticked_at: Some(at(100)), next_tick_at: Some(at(105)), ..StoredMonitor::default() };
        assert_eq!(stopped(&monitor, at(110)), None);
        assert_eq!(stopped(&monitor, at(111)), Some(Span { from: at(100), until: at(111) }));
        assert_eq!(stopped(&StoredMonitor::default(), at(111)), None, "single checks have no schedule");
    }

    /// A runner that took a job at each of these revisions and minutes, and finished it at the next.
    fn worked(turns: &[(u64, u64)]) -> (TargetHistory, Runner) {
        let target: Target = "acme/web".parse().unwrap();
        let mut runner = crate::testing::samples::runner(7, "runner-7");
        runner.first_seen_at = at(0);
        let mut status = Status::Idle;
        let changes: Vec<Change> = turns
            .iter()
            .map(|(revision, minute)| {
                let to = if status == Status::Idle { Status::Busy } else { Status::Idle };
                let event = Event::StatusChanged { runner: RunnerName::from(&runner), from: status, to };
                status = to;
                let (observed_at, counts) = (at(*minute), Counts::default());
                let (subject, revision, events) = (Subject::from(&target), Revision(*revision), vec![event]);
                Change {
                    subject,
                    revision,
                    nonce: 1,
                    decided_at: observed_at,
                    observed_at,
                    counts,
                    more: false,
                    events,
                }
            })
            .collect();
        let last = turns.last().map_or(0, |(_, minute)| *minute);
        (runner.status, runner.status_since) = (status, at(last));
        let fleet = Fleet { runners: vec![runner.clone()], ..Fleet::unknown(target) };
        let complete_since = complete_since(&changes);
        let (outages, unobserved, absences) = (Vec::new(), Spans::default(), Vec::new());
        (TargetHistory { fleet, outages, changes, complete_since, unobserved, absences }, runner)
    }

    /// Minutes idle, busy and not known, of a hundred.
    fn minutes(history: &TargetHistory) -> [u64; 3] {
        let Utilisation { idle, busy, offline, unknown } =
            Utilisation::of(history, Span { from: at(0), until: at(100) });
        assert_eq!(offline, Duration::ZERO);
        [idle, busy, unknown].map(|part| part.as_secs() / 60)
    }

    #[test]
    fn what_is_no_longer_stored_is_not_known() {
        assert_eq!(minutes(&worked(&[(1, 10), (2, 30), (3, 60)]).0), [40, 60, 0], "all of it is stored");
        assert_eq!(minutes(&worked(&[(8, 10), (9, 30), (10, 60)]).0), [30, 60, 10], "before the first that is stored");
        assert_eq!(minutes(&worked(&[(4, 10), (9, 30), (10, 60)]).0), [30, 40, 30], "a change in between is deleted");
        assert_eq!(minutes(&worked(&[]).0), [100, 0, 0], "nothing has changed");
        let (mut pruned, _) = worked(&[(9, 30), (10, 60)]);
        pruned.changes.clear();
        pruned.complete_since = None;
        assert_eq!(minutes(&pruned), [40, 0, 60], "the last change is known without it");
    }
}
