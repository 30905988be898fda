//! Workflow jobs: those that wait too long are notified in time, once, and with a true reason, and no others.

use std::collections::BTreeSet;

use monitor_domain::change::{Change, Event};
use monitor_domain::jobs::{JobState, WaitReason, WaitingJobs};
use monitor_domain::notifications::NotificationItem;
use monitor_domain::observation::ObservedRunner;
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::target::Target;
use monitor_pipeline::items::{Item, JobItem};
use monitor_pipeline::keys::{Key, Query};

use super::{Examination, moment};
use crate::calendar::scenario_ms;
use crate::calendar::{HOUR_MS, MINUTE_MS};
use crate::jobs::{
    Action, Answered, HOSTED, LARGER, LONGEST_WAIT_MS, ORGANIZATION, Progress, REPOSITORIES, TrueJob, set_of,
};
use crate::model::{Known, THRESHOLD_MS};
use crate::operations::What;
use crate::record::Record;
use crate::targets::TARGETS;
use crate::targets::place_of;
use crate::world::Taken;

const IN_TIME: &str = "jobs that wait too long are notified in time";
const CAUSE: &str = "a queue is notified only if GitHub has just said that a job of it waits too long";
const REASON: &str = "the reason why jobs wait is what the check and the stored runners show";
const NOT_OVER: &str = "a queue is over only if none of its jobs waits too long";
const OVER: &str = "the end of a queue is notified in time";
const ONCE: &str = "the start and the end of a queue are each notified once, except in the two windows";
const STORED: &str = "a report that is accepted is stored for the target that its runners belong to";
const DROPPED: &str = "a queue is no longer monitored only if its target is taken off the list";
const BACK: &str = "no report takes a job back while nothing is disturbed";
const FORGOTTEN: &str = "a job that has ended is forgotten";

/// Promises of a scenario with workflow jobs.
pub const JOB_PROMISES: [&str; 12] =
    [QUEUE, QUEUE_OVER, NO_RUNNER, OFFLINE, BUSY, IDLE, UNCONFIRMED, SILENT, HELD, ALONE, FAILED, REMINDED];
const QUEUE: &str = "jobs that wait";
const QUEUE_OVER: &str = "end of a queue";
const NO_RUNNER: &str = "jobs that fit no runner";
const OFFLINE: &str = "jobs whose runners are offline";
const BUSY: &str = "jobs whose runners are busy";
const IDLE: &str = "jobs beside an idle runner";
const UNCONFIRMED: &str = "jobs that GitHub does not confirm";
const SILENT: &str = "overdue job whose end was not reported";
const HELD: &str = "job that waits after an approval";
const ALONE: &str = "jobs that wait while only their start is reported";
const FAILED: &str = "job that GitHub fails after a day";
const REMINDED: &str = "reminder of a queue";

/// How long it may take until GitHub is asked about a running job of which nothing is reported.
const ASKED_WITHIN_MS: i64 = 150 * MINUTE_MS;
/// How much later than the first report of a release a second one may be read that arrives at the same time.
const LATE_MS: i64 = 30 * MINUTE_MS;
/// How long a change of the list of targets may stay unapplied.
const LIST_LAG_MS: i64 = 5 * HOUR_MS;
/// How old the stored runners of the organization may be.
const RECENT_MS: i64 = 7 * MINUTE_MS;
const LONG_AGO_MS: i64 = 90 * MINUTE_MS;
/// How long a removed runner may still be stored as it was.
const REMOVED_MS: i64 = 16 * MINUTE_MS;

/// The runners that could take the jobs of a queue, as a check could see them.
#[derive(Default)]
struct Fitting {
    /// Their states, where these are sure.
    sure: Vec<ObservedRunner>,
    /// How many others there may be.
    unsure: usize,
}

impl Fitting {
    fn add(&mut self, now: &[&ObservedRunner], is_sure: bool) {
        let Some(first) = now.first() else { return };
        let is_same = |other: &&ObservedRunner| (other.status, other.busy) == (first.status, first.busy);
        if is_sure && now.iter().all(is_same) { self.sure.push((*first).clone()) } else { self.unsure += 1 }
    }

    fn is_true(&self, reason: &WaitReason, knows_versions: bool) -> bool {
        let is_idle = |runner: &&ObservedRunner| runner.status.is_healthy() && !runner.busy;
        let online = self.sure.iter().filter(|runner| runner.status.is_healthy()).count();
        let idle: Vec<&str> = self.sure.iter().filter(is_idle).map(|runner| &*runner.name).collect();
        let offline = self.sure.len() - online;
        let is_any = !self.sure.is_empty() || self.unsure > 0;
        let fits = |said: u32, counted: usize| {
            let said = said as usize;
            (counted..=counted + self.unsure).contains(&said)
        };
        match reason {
            WaitReason::NoRunner { .. } => self.sure.is_empty(),
            WaitReason::Offline { runners, .. } => is_any && online == 0 && fits(*runners, offline),
            WaitReason::VersionEnded { runners, .. } => {
                knows_versions && is_any && online == 0 && fits(*runners, offline)
            }
            WaitReason::Busy { runners, offline: others, .. } => {
                (online > 0 || self.unsure > 0) && idle.is_empty() && fits(*runners, online) && fits(*others, offline)
            }
            WaitReason::Idle { runners, name } => {
                fits(*runners, idle.len()) && (idle.contains(&&**name) || self.unsure > 0)
            }
        }
    }
}

fn is_queue(outage: &Outage) -> bool {
    outage.waiting.is_some()
}

fn has_labels(runner: &ObservedRunner, set: &[String]) -> bool {
    set.iter().all(|label| runner.labels.iter().any(|own| own.eq_ignore_ascii_case(label)))
}

/// How often each start (or end) of a queue is notified, in messages or claims.
fn times<'a>(
    items: impl Iterator<Item = &'a NotificationItem>,
    outage: &Outage,
    of: impl Fn(&NotificationItem) -> Option<&[Outage]>,
) -> usize {
    let is_it = |other: &Outage| (other.runner_id, other.id) == (outage.runner_id, outage.id);
    items.filter(|item| of(item).is_some_and(|queues| queues.iter().any(is_it))).count()
}

fn started(item: &NotificationItem) -> Option<&[Outage]> {
    if let NotificationItem::JobsWaiting { queues } = item { Some(queues) } else { None }
}

fn taken(item: &NotificationItem) -> Option<&[Outage]> {
    if let NotificationItem::JobsTaken { queues } = item { Some(queues) } else { None }
}

impl<'a> Examination<'a> {
    fn job(&self, number: usize) -> &'a TrueJob {
        &self.played.world.jobs.all[number]
    }

    /// Whether a check could find that a job of this queue waits.
    pub(super) fn was_confirmed(&self, place: usize, name: &str, checked_ms: i64) -> bool {
        let Some(labels) = name.strip_prefix("queue ") else { return false };
        let set = set_of(&labels.split(',').map(str::to_owned).collect::<Vec<_>>());
        self.model.asked_in(place, checked_ms, i64::MAX).into_iter().any(|asked| {
            let is_waiting = matches!(asked.answered, Answered::Progress(Progress::Queued) | Answered::Forbidden);
            is_waiting && set_of(&self.job(asked.job).labels()) == set
        })
    }

    /// Checks the queues of a target.
    pub(super) fn jobs(&mut self, place: usize, record: &Record, changes: &[Change], known: &[Known]) {
        if self.played.world.jobs.webhook.is_none() {
            return;
        }
        let known: Vec<&Known> = known.iter().filter(|known| known.place == place).collect();
        self.queues_have_a_cause(place, record, changes, &known);
        self.jobs_are_notified(record, &known);
        self.queues_end(place, record, &known);
        self.queues_are_notified_once(record);
    }

    fn queues_have_a_cause(&mut self, place: usize, record: &Record, changes: &[Change], known: &[&Known]) {
        for change in changes {
            let key = Key::Change(change.subject.clone(), change.revision);
            let checked_ms = scenario_ms(change.observed_at);
            let stored_ms = self.played.world.stored_ms.get(&key).copied().unwrap_or(i64::MAX);
            for event in &change.events {
                let at = moment(checked_ms);
                match event {
                    Event::OutageOpened { outage } | Event::Reminded { outage, .. } if is_queue(outage) => {
                        if matches!(event, Event::Reminded { .. }) {
                            self.promised(REMINDED);
                        }
                        if let Some(fault) = self.wrong_cause(place, outage, (checked_ms, stored_ms), known) {
                            self.found(CAUSE, format!("{} at {at}: {fault}: {event:?}", record.subject));
                        }
                        if let Some(waiting) = &outage.waiting {
                            self.reason_is_true(place, outage, waiting, (checked_ms, stored_ms));
                        }
                    }
                    Event::OutageClosed { outage } if is_queue(outage) && outage.ending == Some(Ending::Recovered) => {
                        let set = set_of(&outage.labels);
                        let waits = known.iter().find(|job| {
                            job.set == set
                                && job.known_ms < checked_ms
                                && job.is_overdue(checked_ms, stored_ms)
                                && !self.model.was_taken_back(job)
                        });
                        if let Some(job) = waits {
                            self.found(NOT_OVER, format!("{} at {at}: {job:?} waits: {event:?}", record.subject));
                        }
                    }
                    Event::OutageClosed { outage }
                        if is_queue(outage)
                            && !self.model.was_ever_unlisted(place, checked_ms - LONG_AGO_MS, stored_ms) =>
                    {
                        self.found(DROPPED, format!("{} at {at}: {event:?}", record.subject));
                    }
                    _ => {}
                }
            }
        }
    }

    /// What is wrong with the jobs that a queue is said to have, if anything.
    fn wrong_cause(
        &mut self,
        place: usize,
        outage: &Outage,
        (checked_ms, stored_ms): (i64, i64),
        known: &[&Known],
    ) -> Option<&'static str> {
        let waiting = outage.waiting.as_ref()?;
        let set = set_of(&outage.labels);
        let asked = self.model.asked_in(place, checked_ms, stored_ms);
        let of_queue = || asked.iter().filter(|asked| set_of(&self.job(asked.job).labels()) == set);
        let refused = || of_queue().filter(|asked| asked.answered == Answered::Forbidden);
        let is_forbidden = refused().next().is_some();
        // A running job, of which GitHub may say nothing either, says nothing about those that wait.
        let is_surely = !of_queue().any(|asked| asked.answered == Answered::Progress(Progress::Queued))
            && refused().any(|asked| self.was_stored_as_queued(place, asked.job, (checked_ms, asked.at_ms)));
        if (waiting.is_unconfirmed && !is_forbidden) || (!waiting.is_unconfirmed && is_surely) {
            return Some("it does not say whether GitHub confirms it");
        }
        let (since_ms, mut faults) = (scenario_ms(waiting.since), BTreeSet::new());
        for asked in &asked {
            let job = self.job(asked.job);
            let Some(known) = known.iter().find(|known| known.number == asked.job && known.set == set) else {
                continue;
            };
            let is_waiting = matches!(asked.answered, Answered::Progress(Progress::Queued) | Answered::Forbidden);
            // Its wait counts from its release, if the report of its creation said that it was held back.
            let is_since = match (known.was_held, job.released_ms) {
                (true, Some(released_ms)) => (released_ms..=known.known_ms + LATE_MS).contains(&since_ms),
                _ => since_ms == job.created_ms,
            };
            match () {
                () if !is_waiting => _ = faults.insert("GitHub says of none that it waits"),
                () if !is_since => _ = faults.insert("none has waited since then"),
                // A check may stall between its start and its questions.
                () if asked.at_ms - since_ms < THRESHOLD_MS => _ = faults.insert("none has waited for long"),
                () if job.asked.labels == LARGER || job.asked.labels == HOSTED => {
                    faults.insert("they may be for runners of GitHub");
                }
                () => {
                    if known.was_held {
                        self.promised(HELD);
                    }
                    if is_forbidden {
                        self.promised(UNCONFIRMED);
                    }
                    return None;
                }
            }
        }
        Some(faults.first().copied().unwrap_or("GitHub was not asked"))
    }

    /// Whether a job was stored as one that waits, and nothing else was stored of it in between.
    fn was_stored_as_queued(&self, place: usize, job: usize, (from_ms, until_ms): (i64, i64)) -> bool {
        let (id, stored) = (self.job(job).id, self.played.world.jobs.stored.iter());
        let mut of_job = stored.filter(|(_, item)| item.job.id.0 == id && item.target.as_str() == TARGETS[place]);
        of_job.clone().rfind(|(at_ms, _)| *at_ms < from_ms).is_some_and(|(_, item)| item.job.state == JobState::Queued)
            && !of_job.any(|(at_ms, _)| (from_ms..=until_ms).contains(at_ms))
    }

    fn reason_is_true(
        &mut self,
        place: usize,
        outage: &Outage,
        waiting: &WaitingJobs,
        (checked_ms, stored_ms): (i64, i64),
    ) {
        let set = set_of(&outage.labels);
        let fitting = self.fitting(place, &set, checked_ms, stored_ms);
        self.promised(match waiting.reason {
            WaitReason::NoRunner { .. } => NO_RUNNER,
            WaitReason::Offline { .. } | WaitReason::VersionEnded { .. } => OFFLINE,
            WaitReason::Busy { .. } => BUSY,
            WaitReason::Idle { .. } => IDLE,
        });
        let knows_versions = self.played.world.version_ends.is_some();
        let is_dated = match waiting.reason {
            WaitReason::Offline { since, .. } | WaitReason::Busy { since, .. } => {
                let is_check = |place: usize| {
                    self.played.world.checks[place].iter().any(|check| check.at_ms == scenario_ms(since))
                };
                // A check of the organization may begin later and be stored before.
                scenario_ms(since) <= stored_ms && (is_check(place) || is_check(ORGANIZATION))
            }
            _ => true,
        };
        if !fitting.is_true(&waiting.reason, knows_versions) || !is_dated {
            let states: Vec<_> = fitting.sure.iter().map(|runner| (&runner.name, runner.status, runner.busy)).collect();
            let (at, reason, unsure) = (moment(checked_ms), &waiting.reason, fitting.unsure);
            let what = format!("{} at {at}, {set:?}: {reason:?}, but {states:?} and {unsure} unsure", TARGETS[place]);
            self.found(REASON, what);
        }
    }

    /// The runners that fit, as a check and the stored runners of the organization show them.
    fn fitting(&self, place: usize, set: &[String], checked_ms: i64, stored_ms: i64) -> Fitting {
        let mut fitting = Fitting::default();
        let views = || self.played.world.jobs.views.iter();
        // A runner that the list lacks may be looked up by its id, or is still stored as it was.
        let own = views().filter(|view| view.place == place && view.at_ms <= checked_ms);
        let own = own.filter(|view| view.at_ms >= checked_ms - REMOVED_MS || !self.is_calm_before(place, checked_ms));
        self.add_fitting(
            &mut fitting,
            set,
            own.clone().map(|view| (view.at_ms == checked_ms, &view.runners[..])),
            true,
        );
        let has_others = place != ORGANIZATION && TARGETS[place].starts_with("acme/");
        if has_others {
            let is_calm = self.is_calm_before(ORGANIZATION, checked_ms)
                && self.model.was_always_listed(ORGANIZATION, (checked_ms - LONG_AGO_MS, stored_ms), true);
            let from_ms = checked_ms - if is_calm { RECENT_MS } else { i64::MAX / 2 };
            let of_others =
                views().filter(|view| view.place == ORGANIZATION && (from_ms..=stored_ms).contains(&view.at_ms));
            self.add_fitting(&mut fitting, set, of_others.map(|view| (true, &view.runners[..])), is_calm);
        }
        fitting
    }

    fn is_calm_before(&self, place: usize, at_ms: i64) -> bool {
        self.model.is_calm(place, at_ms - LONG_AGO_MS, at_ms + MINUTE_MS)
    }

    /// Adds the runners of several lists. Only those in every list that counts are sure.
    fn add_fitting<'v>(
        &self,
        fitting: &mut Fitting,
        set: &[String],
        views: impl Iterator<Item = (bool, &'v [ObservedRunner])> + Clone,
        may_be_sure: bool,
    ) {
        let fits = |runner: &&&ObservedRunner| has_labels(runner, set);
        let ids: BTreeSet<u64> = views
            .clone()
            .flat_map(|(_, runners)| runners.iter().filter(|one| fits(&one)))
            .map(|one| one.id.0)
            .collect();
        for id in ids {
            let of_id = |runners: &'v [ObservedRunner]| runners.iter().find(|runner| runner.id.0 == id);
            let counting: Vec<Option<&ObservedRunner>> =
                views.clone().filter(|(counts, _)| *counts).map(|(_, runners)| of_id(runners)).collect();
            let seen: Vec<&ObservedRunner> = counting.iter().copied().flatten().collect();
            let is_in_all = !counting.is_empty() && seen.len() == counting.len();
            if is_in_all {
                fitting.add(&seen, may_be_sure);
            } else {
                fitting.unsure += 1;
            }
        }
    }

    fn jobs_are_notified(&mut self, record: &Record, known: &[&Known]) {
        let all = self.taken_of(&record.subject);
        for job in known {
            let true_job = self.job(job.number);
            let name = format!("queue {}", true_job.labels().join(","));
            let Some(by_ms) = self.model.job_notified_by(job, &name, known) else { continue };
            self.promised(QUEUE);
            if self.only_starts_are_reported(job.overdue_ms) {
                self.promised(ALONE);
            }
            let covers = |outage: &Outage| {
                let recorded =
                    record.outages.iter().find(|other| (other.runner_id, other.id) == (outage.runner_id, outage.id));
                let ended_ms = recorded.and_then(|outage| outage.resolved_at).map_or(i64::MAX, scenario_ms);
                set_of(&outage.labels) == job.set && ended_ms > job.overdue_ms
            };
            let notifies = |taken: &&&Taken| {
                let items = taken.notification.items.iter().filter_map(started);
                taken.at_ms <= by_ms && items.flatten().any(covers)
            };
            if all.iter().filter(notifies).count() == 0 {
                let what = format!("{} {job:?}, not notified by {}", record.subject, moment(by_ms));
                self.found(IN_TIME, what);
            }
        }
    }

    fn only_starts_are_reported(&self, at_ms: i64) -> bool {
        self.model.operations().iter().any(|operation| match operation.what {
            What::DeliveriesLost { but_queued: true, for_ms } => {
                (operation.at_ms..operation.at_ms + for_ms).contains(&at_ms)
            }
            _ => false,
        })
    }

    fn queues_end(&mut self, place: usize, record: &Record, known: &[&Known]) {
        for outage in record.outages.iter().filter(|outage| is_queue(outage)) {
            let set = set_of(&outage.labels);
            let of_queue: Vec<&Known> = known.iter().copied().filter(|job| job.set == set).collect();
            let Some(by_ms) = self.model.queue_over_by(place, &of_queue, known, scenario_ms(outage.confirmed_at))
            else {
                continue;
            };
            self.promised(QUEUE_OVER);
            let is_over = outage.resolved_at.is_some_and(|at| scenario_ms(at) <= by_ms);
            let taken_of = self.taken_of(&record.subject);
            let in_time = taken_of.iter().filter(|taken| taken.at_ms <= by_ms);
            let is_notified = times(in_time.flat_map(|taken| &taken.notification.items), outage, taken) > 0;
            if !is_over || (outage.visibility.is_notified() && !is_notified) {
                let what = format!("{}: none waits, not notified by {}: {outage:?}", record.subject, moment(by_ms));
                self.found(OVER, what);
            }
        }
    }

    fn queues_are_notified_once(&mut self, record: &Record) {
        let all = self.taken_of(&record.subject);
        for outage in record.outages.iter().filter(|outage| is_queue(outage)) {
            for side in [started, taken] {
                let notified = times(all.iter().flat_map(|taken| &taken.notification.items), outage, side);
                let uncertain = record.uncertain().flat_map(|claim| &claim.notification.items);
                let allowed = 1 + times(uncertain, outage, side);
                if notified > allowed {
                    self.found(ONCE, format!("{}: {notified} times: {outage:?}", record.subject));
                }
            }
        }
    }

    /// Checks what is stored of jobs.
    pub(super) fn stored_jobs(&mut self, known: &[Known]) -> anyhow::Result<()> {
        let jobs = &self.played.world.jobs;
        let Some(webhook) = jobs.webhook else { return Ok(()) };
        for (at_ms, number) in &jobs.accepted {
            let delivery = &jobs.deliveries[*number];
            let job = self.job(delivery.job);
            let by_ms = if webhook.is_queued { at_ms + 2 * MINUTE_MS } else { *at_ms };
            let repository = REPOSITORIES[job.asked.repository];
            let own = place_of(repository);
            // A tick that stalls or fails applies a change of the list later.
            let within = ((at_ms - LIST_LAG_MS).max(0), by_ms);
            let is_listed = |place: usize, listed: bool| self.model.was_always_listed(place, within, listed);
            let home = match own {
                Some(own) if is_listed(own, true) => Some(own),
                Some(own) if !is_listed(own, false) => continue,
                _ => Some(ORGANIZATION).filter(|shared| repository.starts_with("acme/") && is_listed(*shared, true)),
            };
            let is_expected = delivery.action == Action::Queued
                && job.progress(by_ms) != Progress::Ended
                && job.asked.labels != HOSTED
                && (!webhook.is_queued || self.model.is_undisturbed(at_ms - MINUTE_MS, by_ms));
            let Some(home) = home.filter(|_| is_expected) else { continue };
            let is_stored = |(stored_ms, item): &(i64, JobItem)| {
                *stored_ms <= by_ms && item.job.id.0 == job.id && item.target.as_str() == TARGETS[home]
            };
            if !jobs.stored.iter().any(is_stored) {
                self.found(STORED, format!("{delivery:?}, accepted at {}", moment(*at_ms)));
            }
        }
        for job in known.iter().filter(|job| self.model.was_taken_back(job)).collect::<Vec<_>>() {
            if self.model.is_undisturbed(0, self.played.end_ms) {
                self.found(BACK, format!("{} {job:?}", TARGETS[job.place]));
            }
        }
        for asked in &jobs.asked {
            let is_stored_as_queued = known.iter().any(|known| {
                known.number == asked.job && known.known_ms < asked.at_ms && known.overdue_ms <= asked.at_ms
            });
            if asked.answered == Answered::Progress(Progress::Ended) && is_stored_as_queued {
                self.promised(SILENT);
            }
        }
        for job in jobs.all.iter().filter(|job| job.taken_ms.is_none()) {
            let waited_ms = job.ended_ms.zip(job.released_ms).map_or(0, |(ended_ms, since_ms)| ended_ms - since_ms);
            if waited_ms >= LONGEST_WAIT_MS {
                self.promised(FAILED);
            }
        }
        self.ended_jobs_are_forgotten()
    }

    fn ended_jobs_are_forgotten(&mut self) -> anyhow::Result<()> {
        let end_ms = self.played.end_ms;
        for (place, name) in TARGETS.iter().enumerate() {
            let target: Target = name.parse()?;
            let stored = self.played.stored.list(&Query::Jobs { target: target.id().clone() })?;
            if !self.model.was_always_listed(place, (end_ms - 4 * HOUR_MS, end_ms), true) {
                continue;
            }
            for item in stored {
                let Item::Job(item) = item else { continue };
                let jobs = &self.played.world.jobs;
                let number = jobs.number_of(item.job.id.0);
                let last = jobs.stored.iter().rfind(|(_, other)| other.job.id == item.job.id);
                let ended_ms = number.and_then(|number| self.job(number).ended_ms);
                // One that is stored as waiting is asked about in each check, as soon as it is overdue.
                let within_ms = if item.job.state == JobState::Queued { ASKED_WITHIN_MS / 2 } else { ASKED_WITHIN_MS };
                let stored_ms = last.map_or(0, |(at_ms, _)| *at_ms);
                if ended_ms.is_some_and(|ended_ms| ended_ms.max(stored_ms) < end_ms - within_ms) {
                    let ended = ended_ms.map(moment);
                    self.found(FORGOTTEN, format!("{name}: {item:?}, ended at {ended:?}"));
                }
            }
        }
        Ok(())
    }
}
