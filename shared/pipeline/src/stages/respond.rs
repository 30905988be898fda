//! Answer a command: read what is stored, send a job, or store an override.

use std::time::Duration;

use futures_util::future;
use futures_util::stream::{self, StreamExt as _};
use monitor_domain::fleet::Fleet;
use monitor_domain::muting::{Authority, examine_mute};
use monitor_domain::outage::Outage;
use monitor_domain::scope::Scope;
use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use tracing::warn;
use wildmatch::WildMatch;

use crate::commands::{Answer, Answered, Asker, Command};
use crate::items::{Acknowledgement, Item, Marker, Mute};
use crate::keys::{Key, Put, Query};
use crate::messages::{CheckJob, Reason};
use crate::ports::{Clock, Outgoing, QueueError, Sender, Store, StoreError};
use crate::records::{self, StoredMonitor};
use crate::stages::READS_FOR_A_PERSON;
use crate::stages::jobs::waiting_jobs;

/// The most outages in an answer: more than a message can hold.
const MAX_OUTAGES: usize = 200;
/// How many similar names are offered if none was found.
const MAX_SIMILAR: usize = 5;

/// The stage that answers commands, with its ports.
pub struct Respond<'a, St, Jobs, Cl> {
    /// The database.
    pub store: &'a St,
    /// The queue for jobs of the check stage.
    pub jobs: &'a Jobs,
    /// The clock.
    pub clock: &'a Cl,
}

/// Why a command was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RespondError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job was not sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The request was received before, and its command must not run twice.
    #[error("the request repeats an earlier one")]
    Repeated,
}

/// The fleets that were read, and the targets that could not be.
type Read = (Vec<Fleet>, Vec<Target>);

impl<St: Store, Jobs: Sender, Cl: Clock> Respond<'_, St, Jobs, Cl> {
    /// Answers one command.
    pub async fn run(&self, command: &Command, asker: &Asker) -> Result<Answered, RespondError> {
        let now = self.clock.now();
        let by = &asker.id;
        if let Some(request) = asker.request.filter(|_| command.changes_something()) {
            let marker = Marker { subject: Subject::Monitor, number: request.number, nonce: request.nonce, at: now };
            if !records::mark(self.store, self.clock, marker).await? {
                return Err(RespondError::Repeated);
            }
        }
        let (monitor, mutes) = future::try_join(
            records::read_monitor(self.store, self.clock),
            records::read_mutes(self.store, self.clock),
        )
        .await?;
        let ticked_at = monitor.ticked_at;
        let watched = self.watched(monitor).await?;
        let (answer, unread) = match command {
            Command::StatusAll => {
                let (fleets, unread) = self.fleets(watched).await;
                (Answer::Overview { fleets }, unread)
            }
            Command::Status { scope: Scope::Target(target) } => match find(&watched, target) {
                Some(target) => {
                    let fleet = Box::new(records::read_fleet(self.store, target).await?.fleet);
                    (Answer::Target { fleet }, Vec::new())
                }
                None => (not_watched(target, &watched), Vec::new()),
            },
            Command::Status { scope } => self.runners(scope, watched).await,
            Command::Jobs => {
                let (queues, unread) = waiting_jobs(self.store, watched, now).await;
                (Answer::Jobs { queues }, unread)
            }
            Command::History { name } => self.history(name, watched).await,
            Command::Recheck { target } => match find(&watched, target) {
                Some(target) => (self.recheck(target, now).await?, Vec::new()),
                None => (not_watched(target, &watched), Vec::new()),
            },
            Command::Mute { scope: Scope::Target(target) | Scope::Runner { target, .. }, .. }
                if find(&watched, target).is_none() =>
            {
                (not_watched(target, &watched), Vec::new())
            }
            Command::Mute { scope, lasting_secs, reason } => {
                let until = now.plus(Duration::from_secs(*lasting_secs));
                let mute = Mute { scope: scope.clone(), since: now, until, reason: reason.clone(), by: by.clone() };
                self.mute(mute, asker.authority, watched).await?
            }
            Command::Unmute { scope } => (self.unmute(scope, &mutes).await?, Vec::new()),
            Command::Acknowledge { target, outages } => {
                let acknowledged = outages.iter().map(|&(runner_id, outage_id)| Acknowledgement {
                    target: target.id().clone(),
                    runner_id,
                    outage_id,
                    at: now,
                    by: by.clone(),
                });
                let puts: Vec<Put> = acknowledged.map(|item| Put::replacing(Item::Acknowledgement(item))).collect();
                for batch in puts.chunks(self.store.max_batch()) {
                    let _ = self.store.put(batch).await?;
                }
                let (target, outages, by) = (target.clone(), outages.len(), by.clone());
                (Answer::Acknowledged { target, outages, by }, Vec::new())
            }
        };
        if !unread.is_empty() {
            warn!(targets = unread.len(), "targets are missing from an answer: their records could not be read");
        }
        let mutes = mutes.into_iter().filter(|mute| concerns(mute, &answer)).collect();
        Ok(Answered { now, ticked_at, unread, mutes, answer })
    }

    /// Mutes existing runners. A scope without any runner is a typing mistake: muting it would have no effect.
    async fn mute(
        &self,
        mute: Mute,
        authority: Authority,
        watched: Vec<Target>,
    ) -> Result<(Answer, Vec<Target>), StoreError> {
        let of = match mute.scope.target() {
            Some(target) => watched.into_iter().filter(|known| known == target).collect(),
            None => watched,
        };
        let (all, unread) = self.fleets(of).await;
        let fleets = matching(&all, |target, name, labels| mute.scope.covers(target.id(), name, labels));
        if fleets.is_empty() && !matches!(mute.scope, Scope::Target(_)) && unread.is_empty() {
            let similar = similar(&mute.scope.to_string(), &all);
            return Ok((Answer::Runners { scope: mute.scope, fleets, similar }, unread));
        }
        // A target that cannot be read may have such runners too.
        let (targets, lasting) = (fleets.len() + unread.len(), mute.until.since(mute.since));
        if let Err(refusal) = examine_mute(&mute.scope, lasting, targets, authority) {
            let has_admins = authority != Authority::NoAdmins;
            return Ok((Answer::MuteRefused { scope: mute.scope, refusal, has_admins }, unread));
        }
        let _ = self.store.put(&[Put::replacing(Item::Mute(mute.clone()))]).await?;
        Ok((Answer::Muted { mute, fleets }, unread))
    }

    async fn unmute(&self, scope: &Scope, mutes: &[Mute]) -> Result<Answer, StoreError> {
        let number = Mute::number_of(scope);
        let Some(mute) = mutes.iter().find(|mute| Mute::number_of(&mute.scope) == number) else {
            return Ok(Answer::NotMuted { scope: scope.clone(), mutes: mutes.to_vec() });
        };
        self.store.delete(&[Key::Mute(number)]).await?;
        Ok(Answer::Unmuted { mute: mute.clone() })
    }

    /// The watched targets, ordered by their identity. Before the first tick: all targets that were checked.
    async fn watched(&self, monitor: StoredMonitor) -> Result<Vec<Target>, StoreError> {
        if let Some(watchlist) = monitor.watchlist {
            return Ok(watchlist.checked().cloned().collect());
        }
        let items = self.store.list(&Query::Targets).await?;
        let targets = items.into_iter().filter_map(|item| match item {
            Item::Target(record) if record.watched_since.is_some() || record.failing.is_some() => Some(record.target),
            _ => None,
        });
        Ok(targets.collect())
    }

    /// Reads targets, many at a time. One that cannot be read is missing from the answer; the others are not affected.
    async fn fleets(&self, targets: Vec<Target>) -> Read {
        let read = |target: Target| async move {
            let read = records::read_fleet(self.store, &target).await;
            (target, read.map(|stored| stored.fleet))
        };
        let (mut fleets, mut unread) = (Vec::with_capacity(targets.len()), Vec::new());
        let mut reads = stream::iter(targets).map(read).buffered(READS_FOR_A_PERSON);
        while let Some((target, read)) = reads.next().await {
            match read {
                Ok(fleet) => fleets.push(fleet),
                Err(_) => unread.push(target),
            }
        }
        (fleets, unread)
    }

    async fn runners(&self, scope: &Scope, watched: Vec<Target>) -> (Answer, Vec<Target>) {
        let (all, unread) = self.fleets(watched).await;
        let with = |by_name: bool| {
            matching(&all, |target, name, labels| scope.covers(target.id(), name, if by_name { &[] } else { labels }))
        };
        // A person who asks for a runner does not want all runners that have its name as a label.
        let fleets = Some(with(true)).filter(|fleets| !fleets.is_empty()).unwrap_or_else(|| with(false));
        let similar = if fleets.is_empty() { similar(&scope.to_string(), &all) } else { Vec::new() };
        (Answer::Runners { scope: scope.clone(), fleets, similar }, unread)
    }

    /// The outages of the runners with a name. If such runners exist, only their targets' outages are read. Otherwise
    /// the runner may have been forgotten, and the outages of all targets are read.
    async fn history(&self, name: &str, watched: Vec<Target>) -> (Answer, Vec<Target>) {
        let pattern = WildMatch::new_case_insensitive(name);
        let (all, mut unread) = self.fleets(watched).await;
        let fleets = matching(&all, |_, runner, _| pattern.matches(runner));
        let of = if fleets.is_empty() { &all } else { &fleets };
        let mut outages = Vec::new();
        let targets: Vec<Target> = of.iter().map(|fleet| fleet.record.target.clone()).collect();
        let read = |target: Target| async move {
            let read = records::read_outages(self.store, target.id()).await;
            (target, read)
        };
        let mut reads = stream::iter(targets).map(read).buffered(READS_FOR_A_PERSON);
        while let Some((target, read)) = reads.next().await {
            let Ok(stored) = read else {
                unread.push(target);
                continue;
            };
            let found = stored.into_iter().filter(|outage| pattern.matches(&outage.runner_name));
            outages.extend(found.map(|outage| (target.clone(), outage)));
        }
        let order = |(target, outage): &(Target, Outage)| {
            (std::cmp::Reverse(outage.started_at), target.id().clone(), outage.id)
        };
        outages.sort_by_key(order);
        let total = outages.len();
        outages.truncate(MAX_OUTAGES);
        let similar = if fleets.is_empty() && total == 0 { similar(name, &all) } else { Vec::new() };
        (Answer::History { name: name.to_owned(), outages, total, fleets, similar }, unread)
    }

    async fn recheck(&self, target: &Target, now: Timestamp) -> Result<Answer, RespondError> {
        let seen_at = records::read_fleet(self.store, target).await?.fleet.seen_at();
        let job =
            CheckJob { target: target.clone(), reason: Reason::Manual, requested_at: Some(now), valid_until: None };
        self.jobs.send(vec![Outgoing { body: job.to_json(), delay: Duration::ZERO, ..Outgoing::default() }]).await?;
        Ok(Answer::RecheckSent { target: target.clone(), seen_at })
    }
}

/// Whether a reader of the answer should know about a mute.
fn concerns(mute: &Mute, answer: &Answer) -> bool {
    let any_of = |fleets: &[Fleet]| {
        fleets.iter().any(|fleet| {
            let target = fleet.record.target.id();
            mute.scope == Scope::Target(fleet.record.target.clone())
                || fleet
                    .pools
                    .iter()
                    .chain(&fleet.runners)
                    .any(|runner| mute.scope.covers(target, &runner.name, &runner.labels))
        })
    };
    match answer {
        Answer::Overview { .. } => true,
        Answer::Target { fleet } => any_of(std::slice::from_ref(fleet)),
        Answer::Runners { fleets, .. } | Answer::History { fleets, .. } => any_of(fleets),
        _ => false,
    }
}

/// The target as spelled on the list.
fn find<'a>(watched: &'a [Target], target: &Target) -> Option<&'a Target> {
    watched.iter().find(|known| *known == target)
}

/// The fleets with matching runners or pools, each with only these.
fn matching(all: &[Fleet], is_meant: impl Fn(&Target, &str, &[String]) -> bool) -> Vec<Fleet> {
    let meant = all.iter().map(|fleet| {
        let of_kind =
            |runner: &&monitor_domain::runner::Runner| is_meant(&fleet.record.target, &runner.name, &runner.labels);
        let [runners, pools, queues] =
            [&fleet.runners, &fleet.pools, &fleet.queues].map(|all| all.iter().filter(of_kind).cloned().collect());
        Fleet { record: fleet.record.clone(), runners, pools, queues, leftovers: Vec::new(), ..fleet.clone() }
    });
    meant.filter(|fleet| fleet.pools_and_runners().next().is_some()).collect()
}

/// The answer for a target that is not on the list, with targets of the same name or owner.
fn not_watched(target: &Target, watched: &[Target]) -> Answer {
    let alike = |known: &&Target| {
        known.name().eq_ignore_ascii_case(target.name()) || known.owner().eq_ignore_ascii_case(target.owner())
    };
    let similar = watched.iter().filter(alike).take(MAX_SIMILAR).cloned().collect();
    Answer::NotWatched { target: target.clone(), similar }
}

/// Names of runners that contain what was asked for, or start with the same three characters.
fn similar(name: &str, all: &[Fleet]) -> Vec<String> {
    let wanted = name.trim_matches(['*', '?']).to_lowercase();
    let beginning: String = wanted.chars().take(3).collect();
    let rank = |known: &str| {
        let known = known.to_lowercase();
        if known.contains(&wanted) { Some(0) } else { known.starts_with(&beginning).then_some(1) }
    };
    if wanted.is_empty() {
        return Vec::new();
    }
    let names = all.iter().flat_map(Fleet::pools_and_runners).map(|runner| &runner.name);
    let mut ranked: Vec<(u8, &String)> = names.filter_map(|name| Some((rank(name)?, name))).collect();
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().take(MAX_SIMILAR).map(|(_, name)| name.clone()).collect()
}
