//! A made-up past of the simulated fleet, so that its page has something to show. It causes no message.

use std::time::Duration;

use anyhow::{bail, ensure};
use monitor_domain::change::{Change, Event, RunnerName};
use monitor_domain::fleet::{Counts, Fleet, TargetRecord};
use monitor_domain::outage::{Ending, LastHealthy, Outage, OutageId, Peers, Visibility};
use monitor_domain::runner::{Runner, RunnerId, Status};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_fakes::github::State;
use monitor_pipeline::items::{Acknowledgement, Item, OutageItem, RunnerItem};
use monitor_pipeline::keys::Put;
use monitor_pipeline::person::PersonId;
use monitor_pipeline::ports::{Clock, PutOutcome, Store};
use monitor_pipeline::records::{Committed, commit, read_fleet};

use super::scenario::TARGETS;

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
/// When monitoring seems to have begun.
const DAYS: u32 = 75;
/// For how long it is known which jobs ran.
const JOB_DAYS: u32 = 8;
/// The first revision that is still stored, greater than the number of any outage before it.
const FIRST_REVISION: u64 = 101;
/// The target whose runners could not be listed for a while.
const WAS_UNREACHABLE: &str = "orgs/acme";
/// How often a lost commit is tried again.
const TRIES: u32 = 10;

/// A pseudo-random number below a limit, the same in each demo.
fn draw(seed: &str, below: u64) -> u64 {
    seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        % below
}

/// When a runner took a job or finished it, up to its state at the start of the demo.
fn turns(name: &str, last: Status, now: Timestamp) -> Vec<(Timestamp, Status, Status)> {
    let mut turns = Vec::new();
    let (mut at, mut status) = (now.minus(HOUR * 24 * JOB_DAYS), Status::Idle);
    let mut number = 0;
    loop {
        let minutes = if status == Status::Busy {
            5 + draw(&format!("{name} job {number}"), 40)
        } else {
            10 + draw(&format!("{name} idle {number}"), 200)
        };
        at = at.plus(MINUTE * u32::try_from(minutes).unwrap_or(1));
        if at >= now.minus(MINUTE * 5) {
            break;
        }
        let next = if status == Status::Busy { Status::Idle } else { Status::Busy };
        turns.push((at, status, next));
        status = next;
        number += 1;
    }
    if status != last {
        turns.push((now.minus(MINUTE * 5), status, last));
    }
    turns
}

/// Stores which jobs the runners ran before the demo. Its first check still starts the monitoring.
pub(super) async fn store_jobs(store: &impl Store, clock: &impl Clock, github: &State) -> anyhow::Result<()> {
    let now = clock.now();
    for name in TARGETS {
        let target: Target = name.parse()?;
        let mut events: Vec<(Timestamp, Event)> = Vec::new();
        let registered = github.runners(name);
        for runner in registered.iter().filter(|runner| !runner.spec.ephemeral) {
            let last = match (runner.spec.status.as_str(), runner.spec.busy) {
                ("online", true) => Status::Busy,
                ("online", false) => Status::Idle,
                _ => Status::Offline,
            };
            let who = RunnerName { id: RunnerId(runner.id), name: runner.spec.name.clone() };
            let turn = |(at, from, to)| (at, Event::StatusChanged { runner: who.clone(), from, to });
            events.extend(turns(&runner.spec.name, last, now).into_iter().map(turn));
        }
        if name == WAS_UNREACHABLE {
            let since = now.minus(HOUR * 24 * 9);
            let until = since.plus(HOUR * 5);
            events.push((until, Event::ReachableAgain { since, until, notified: false }));
        }
        events.sort_by_key(|(at, _)| *at);
        let mut record = TargetRecord::new(target.clone());
        for (revision, (at, event)) in (FIRST_REVISION..).map(Revision).zip(events) {
            (record.revision, record.observed_at) = (revision, at);
            let change = Change {
                subject: Subject::from(&target),
                revision,
                nonce: clock.random(),
                decided_at: at,
                observed_at: at,
                counts: Counts::default(),
                more: false,
                events: vec![event],
            };
            ensure!(commit(store, clock, change, vec![Item::Target(record.clone())]).await? == Committed::Done);
        }
    }
    Ok(())
}

/// Dates the fleet back, once its first checks are done, and stores the outages that its runners had.
pub(super) async fn date_back(store: &impl Store, clock: &impl Clock) -> anyhow::Result<()> {
    for name in TARGETS {
        let target: Target = name.parse()?;
        let mut tries = 0;
        while commit_earlier(store, clock, &target).await? == Committed::Lost {
            tries += 1;
            if tries == TRIES {
                bail!("the made-up past of {target} could not be stored");
            }
        }
    }
    Ok(())
}

/// A commit without events. A check that commits first makes it lose.
async fn commit_earlier(store: &impl Store, clock: &impl Clock, target: &Target) -> anyhow::Result<Committed> {
    let now = clock.now();
    let begin = now.minus(HOUR * 24 * DAYS);
    let Fleet { record, runners, .. } = read_fleet(store, target).await?.fleet;
    let change = Change {
        subject: Subject::from(target),
        revision: record.revision.next(),
        nonce: clock.random(),
        decided_at: now,
        observed_at: record.observed_at,
        counts: Counts::of(&runners),
        more: false,
        events: Vec::new(),
    };
    let record = TargetRecord { revision: change.revision, watched_since: Some(begin), ..record };
    let (mut items, mut puts) = (vec![Item::Target(record)], Vec::new());
    for runner in runners.into_iter().filter(|runner| !runner.ephemeral) {
        for outage in outages(&runner, now) {
            puts.extend(acknowledgement(target, &outage).map(Item::Acknowledgement).map(Put::new));
            puts.push(Put::new(Item::Outage(OutageItem { target: target.id().clone(), outage })));
        }
        let runner = Runner { first_seen_at: begin, ..runner };
        items.push(Item::Runner(RunnerItem { target: target.id().clone(), runner }));
    }
    let committed = commit(store, clock, change, items).await?;
    if committed == Committed::Done && !puts.is_empty() {
        ensure!(store.put(&puts).await? == PutOutcome::Done, "the made-up outages of {target} exist already");
    }
    Ok(committed)
}

/// The outages of a runner, the oldest first, and the last of them well before the demo.
fn outages(runner: &Runner, now: Timestamp) -> impl Iterator<Item = Outage> {
    let on_day = move |ago: u32| {
        let seed = format!("{} day {ago}", runner.name);
        if draw(&seed, 19) > 0 {
            return None;
        }
        let started_at =
            now.minus(HOUR * 24 * ago).plus(MINUTE * u32::try_from(draw(&format!("{seed} at"), 600)).ok()?);
        let minutes = [6, 14, 35, 80, 210, 540][usize::try_from(draw(&format!("{seed} for"), 6)).ok()?];
        let in_job = draw(&format!("{seed} in job"), 3) == 0;
        let status = if in_job { Status::Busy } else { Status::Idle };
        Some(Outage {
            id: OutageId(Revision(u64::from(DAYS - ago) + 1)),
            runner_id: runner.id,
            current_id: runner.current_id,
            runner_name: runner.name.clone(),
            os: runner.os.clone(),
            version: runner.version.clone(),
            version_ended_at: None,
            ephemeral: false,
            lost_targets: None,
            pool: None,
            waiting: None,
            labels: runner.labels.clone(),
            status: Status::Offline,
            in_job,
            job: None,
            started_at,
            confirmed_at: started_at.plus(MINUTE * 2),
            last_healthy: Some(LastHealthy { at: started_at.minus(MINUTE * 5), status }),
            connected_at: None,
            peers: Peers::default(),
            visibility: Visibility::Alerted,
            resolved_at: Some(started_at.plus(MINUTE * minutes)),
            ending: Some(Ending::Recovered),
        })
    };
    (3..DAYS).rev().filter_map(on_day)
}

/// Somebody took care of the outages that lasted.
fn acknowledgement(target: &Target, outage: &Outage) -> Option<Acknowledgement> {
    let at = outage.confirmed_at.plus(MINUTE * 7);
    let is_long = outage.resolved_at.is_some_and(|end| end > at.plus(HOUR));
    let by = PersonId::try_from("U0DEMO".to_owned()).ok().filter(|_| is_long)?;
    Some(Acknowledgement { target: target.id().clone(), runner_id: outage.runner_id, outage_id: outage.id, at, by })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_epoch_ms(1_800_000_000_000);

    #[test]
    fn a_runner_has_jobs_until_it_is_as_the_demo_begins() {
        for last in [Status::Idle, Status::Busy, Status::Offline] {
            let turns = turns("web-1", last, NOW);
            assert!(turns.len() > 20 && turns.is_sorted_by_key(|(at, ..)| *at), "{turns:?}");
            assert!(turns.windows(2).all(|pair| pair[0].2 == pair[1].1 && pair[0].1 != pair[0].2));
            assert_eq!(turns.last().map(|(.., to)| *to), Some(last));
        }
    }
}
