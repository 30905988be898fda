//! How available runners were: the time online, offline and not observed, from the stored outages and changes.

use std::time::Duration;

use crate::fleet::Fleet;
use crate::outage::{Ending, Outage};
use crate::runner::{Health, Runner, RunnerId};
use crate::time::Timestamp;

/// A time from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its start.
    pub from: Timestamp,
    /// Its end; not before the start.
    pub until: Timestamp,
}

impl Span {
    /// Its part within another span; `None` if there is none.
    fn within(self, other: Span) -> Option<Span> {
        let (from, until) = (self.from.max(other.from), self.until.min(other.until));
        (from < until).then_some(Span { from, until })
    }

    fn length(self) -> Duration {
        self.until.since(self.from)
    }
}

/// Spans in order, without overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// The union of some spans.
    pub fn of(spans: impl IntoIterator<Item = Span>) -> Self {
        let mut spans: Vec<Span> = spans.into_iter().filter(|span| span.from < span.until).collect();
        spans.sort_unstable();
        let mut union: Vec<Span> = Vec::new();
        for span in spans {
            match union.last_mut().filter(|last| span.from <= last.until) {
                Some(last) => last.until = last.until.max(span.until),
                None => union.push(span),
            }
        }
        Self(union)
    }

    /// Their parts within a span.
    fn within(&self, span: Span) -> Self {
        Self(self.0.iter().filter_map(|one| one.within(span)).collect())
    }

    /// Their parts that are in none of the others.
    fn without(&self, others: &Spans) -> Self {
        let rest = self.0.iter().flat_map(|one| {
            let mut from = one.from;
            let mut rest = Vec::new();
            for other in others.within(*one).0 {
                rest.push(Span { from, until: other.from });
                from = other.until;
            }
            rest.push(Span { from, until: one.until });
            rest
        });
        Self(rest.filter(|span| span.from < span.until).collect())
    }

    /// Their parts in order, each with whether it is in none of the others.
    pub fn split_by(&self, others: &Spans) -> Vec<(Span, bool)> {
        let outside = self.without(others).0.into_iter().map(|span| (span, true));
        let within = self.0.iter().flat_map(|one| others.within(*one).0).map(|span| (span, false));
        let mut parts: Vec<(Span, bool)> = outside.chain(within).collect();
        parts.sort_unstable();
        parts
    }

    /// How long they are together.
    pub fn length(&self) -> Duration {
        self.0.iter().map(|span| span.length()).sum()
    }
}

/// The time in which a runner was observed, and how much of it an outage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Availability {
    /// The time in which it was registered and its checks succeeded.
    pub observed: Duration,
    /// How much of that an outage took.
    pub down: Duration,
}

impl Availability {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { observed: self.observed + other.observed, down: self.down + other.down }
    }

    /// The available part of the observed time, from 0 to 1; `None` if nothing was observed.
    pub fn ratio(self) -> Option<f64> {
        (!self.observed.is_zero()).then(|| 1.0 - self.down.as_secs_f64() / self.observed.as_secs_f64())
    }

    /// The ratio for people, rounded down: `100.00 %` means that there was no outage.
    pub fn percent(self) -> Option<String> {
        self.ratio().map(|ratio| format!("{:.2} %", (ratio * 10_000.0).floor() / 100.0))
    }
}

/// A runner in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerReport {
    /// The id of its first registration.
    pub id: RunnerId,
    /// Its name, as GitHub displays it.
    pub name: String,
    /// How available it was.
    pub availability: Availability,
    /// The number of its outages that were open at some time.
    pub outages: usize,
}

/// What a time was like for one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetReport {
    /// When the time of the report begins for it: not before its first check.
    pub from: Timestamp,
    /// Its runners that are known now and watched, by id. Forgotten runners are missing: nobody knows when they were
    /// registered.
    pub runners: Vec<RunnerReport>,
    /// Its pools: available while enough of their runners were online.
    pub pools: Vec<RunnerReport>,
    /// All runners together.
    pub availability: Availability,
    /// The number of outages of runners that were open at some time, those of forgotten runners included.
    pub outages: usize,
    /// How many of them ended with a recovery.
    pub recovered: usize,
    /// The mean duration of those.
    pub mean_time_to_recovery: Option<Duration>,
    /// How long it was not observed, although it was monitored.
    pub unobserved: Duration,
}

/// What a time was like for a target. `gaps` are the times in which it was not observed; failed checks that last until
/// now are added here.
pub fn report(
    fleet: &Fleet,
    outages: &[Outage],
    gaps: &Spans,
    absences: &[(RunnerId, Span)],
    span: Span,
) -> TargetReport {
    // Nothing is known of the time before the first check.
    let since = fleet.record.watched_since.unwrap_or(span.until);
    let span = Span { from: span.from.max(since), ..span };
    let failing = fleet.record.failing.as_ref().map(|failing| Span { from: failing.since, until: span.until });
    let gaps = Spans::of(gaps.0.iter().copied().chain(failing));
    let of_outage = |outage: &Outage| Span { from: outage.started_at, until: outage.resolved_at.unwrap_or(span.until) };
    let is_in = |outage: &&Outage| of_outage(outage).within(span).is_some();
    let of_runners = || outages.iter().filter(|outage| outage.is_of_runner());
    let mut report =
        TargetReport { from: span.from, outages: of_runners().filter(is_in).count(), ..TargetReport::default() };
    for runner in fleet.pools.iter().chain(&fleet.runners).filter(|runner| is_watched(fleet, runner)) {
        let away = absences.iter().filter(|(id, _)| *id == runner.id).map(|(_, span)| *span);
        let observed = Spans::of(registered(runner, span)).without(&gaps).without(&Spans::of(away));
        let own = || outages.iter().filter(|outage| outage.runner_id == runner.id).filter(is_in);
        let down = Spans::of(own().map(of_outage));
        let observed_down = observed.0.iter().map(|one| down.within(*one).length()).sum();
        let availability = Availability { observed: observed.length(), down: observed_down };
        let of_runner = RunnerReport { id: runner.id, name: runner.name.clone(), availability, outages: own().count() };
        if runner.pool.is_some() {
            report.pools.push(of_runner);
        } else {
            report.availability = report.availability.plus(availability);
            report.runners.push(of_runner);
        }
    }
    let recovered = of_runners().filter(|outage| outage.ending == Some(Ending::Recovered));
    let ended = recovered.filter(|outage| outage.resolved_at.is_some_and(|at| span.from <= at && at <= span.until));
    let durations: Vec<Duration> = ended.map(|outage| of_outage(outage).length()).collect();
    report.recovered = durations.len();
    let count = u32::try_from(durations.len()).unwrap_or(u32::MAX);
    report.mean_time_to_recovery = durations.iter().sum::<Duration>().checked_div(count);
    report.unobserved = gaps.within(span).length();
    report
}

/// Whether outages of a runner are opened: not of one that the policy ignores, nor of one that never connected.
fn is_watched(fleet: &Fleet, runner: &Runner) -> bool {
    // Failed checks end a suspicion, so while they last this says nothing.
    let is_offline_without_outage =
        fleet.record.failing.is_none() && runner.health == Health::Healthy && !runner.status.is_healthy();
    !(is_offline_without_outage || runner.never_connected() && runner.open_outage().is_none())
}

/// The part of a span in which a runner was registered, as far as is known.
fn registered(runner: &Runner, span: Span) -> Option<Span> {
    let until = match runner.health {
        Health::Gone { since, .. } => since,
        _ => span.until,
    };
    Span { from: runner.first_seen_at, until }.within(span)
}
