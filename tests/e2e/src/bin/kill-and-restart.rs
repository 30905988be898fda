//! Kills the daemon at random moments under load, then counts the notifications that Slack accepted.
//!
//! The start and the end of every outage must each be notified once. The only exception is counted separately: after a
//! kill between Slack's acceptance and the delivery record, the same notification is sent again as a further attempt.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use monitor_domain::notifications::NotificationItem;
use monitor_domain::outage::{Ending, Outage, Visibility};
use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_e2e::{World, fleet, repository};
use monitor_embedded::store::EmbeddedStore;
use monitor_fakes::{Chance, FakeGitHub};
use monitor_pipeline::items::{Claim, Item};
use monitor_pipeline::keys::Query;
use monitor_pipeline::ports::{Form, Store};
use monitor_slack::{WebBase, render};
use serde_json::Value;
use tokio::time::{Instant, sleep};

const TARGETS: usize = 12;
const RUNNERS: usize = 4;
/// One failed check opens an outage and one good check ends it, so that every start of the program changes something.
const POLICY: &str = r#"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s","flapThreshold":20,"flapWindow":"1m","unreachableAfter":"15m"}"#;
/// The claim of a killed process is sent again after its lease of 90 s, at the next check.
const SETTLE: Duration = Duration::from_secs(150);

/// kill -9 of `runner-monitor run` under load, each followed by a restart.
#[derive(Parser)]
struct Arguments {
    /// The number of kills
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// The same seed leads to the same moments, as far as the machine allows
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let world = World::of(fleet(TARGETS, RUNNERS), TARGETS, POLICY).await;
    let World { github, slack, store: path, .. } = &world;
    {
        let mut github = github.state();
        github.latency_ms = 5;
        github.set_hourly_limit(monitor_e2e::TOKEN, 10_000_000);
    }
    slack.state().latency_ms = 5;
    let setting = world.setting();

    let mut chance = Chance::new(arguments.seed);
    let began = Instant::now();
    for kill in 1..=arguments.kills {
        let mut child = setting.start(&["run", "--every", "10s"])?;
        // The fleet changes while the program starts, works and dies.
        let alive_ms = 20 + chance.below(230);
        let half = Duration::from_millis(alive_ms / 2);
        sleep(half).await;
        change_some(github, &mut chance);
        sleep(half).await;
        ensure!(
            child.try_wait()?.is_none(),
            "the program ended by itself at kill {kill}; run with LOG=info to see why"
        );
        child.start_kill()?;
        child.wait().await?;
        change_some(github, &mut chance);
        if kill % 50 == 0 {
            println!(
                "{kill} kills, {} messages accepted, {:.0} s",
                slack.messages().len(),
                began.elapsed().as_secs_f64()
            );
        }
    }

    // All runners recover, and the program runs undisturbed until nothing is pending.
    set_all(github, "online");
    let mut child = setting.start(&["run", "--every", "10s"])?;
    let deadline = Instant::now() + SETTLE;
    loop {
        sleep(Duration::from_secs(1)).await;
        if pending(path).await? == 0 {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "{} changes are still pending after {} s",
            pending(path).await?,
            SETTLE.as_secs()
        );
    }
    child.start_kill()?;
    child.wait().await?;
    let messages: Vec<Value> = slack.messages().into_iter().map(|message| message.body).collect();
    let web = WebBase::parse(&github.base_url())?;
    count(path, &messages, arguments.kills, &web).await
}

/// Some runners go offline, some recover.
fn change_some(github: &FakeGitHub, chance: &mut Chance) {
    let mut github = github.state();
    for _ in 0..chance.below(4) {
        let target = repository(usize::try_from(chance.below(TARGETS as u64)).unwrap_or(0));
        let runners = github.runners(&target);
        let runner = &runners[usize::try_from(chance.below(RUNNERS as u64)).unwrap_or(0)];
        let status = if runner.spec.status == "online" { "offline" } else { "online" };
        github.set_runner(&target, runner.id, status, false);
    }
}

fn set_all(github: &FakeGitHub, status: &str) {
    let mut github = github.state();
    for target in (0..TARGETS).map(repository) {
        for runner in github.runners(&target) {
            github.set_runner(&target, runner.id, status, false);
        }
    }
}

fn subjects() -> anyhow::Result<Vec<Subject>> {
    let targets = (0..TARGETS).map(|target| repository(target).parse::<Target>());
    let targets: Result<Vec<Subject>, _> = targets.map(|target| target.map(|target| Subject::from(&target))).collect();
    Ok([targets?, vec![Subject::Monitor]].concat())
}

/// The number of open outages plus the number of subjects with pending notifications.
async fn pending(path: &Path) -> anyhow::Result<usize> {
    let store = EmbeddedStore::open(path)?;
    let mut waiting = 0;
    for subject in subjects()? {
        let mut notified = 0;
        let mut notifiable = 0;
        if let Subject::Target(id) = &subject {
            for item in store.list(&Query::Fleet(id.clone())).await? {
                match item {
                    Item::Target(record) => notifiable = record.last_notifiable.0,
                    Item::Cursor(cursor) => notified = cursor.notified_through.0,
                    Item::Runner(item) if item.runner.open_outage().is_some() => waiting += 1,
                    _ => {}
                }
            }
        }
        waiting += usize::from(notifiable > notified);
    }
    Ok(waiting)
}

/// One side of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Began,
    Ended,
}

type Notified = BTreeMap<(String, u64, Side), u32>;

/// Which sides of which outages a notification reports.
fn sides(claim: &Claim) -> Vec<(String, u64, Side)> {
    let key = |outage: &Outage, side| (outage.runner_name.clone(), outage.id.0.0, side);
    let one = |outages: &[Outage], side| outages.iter().map(|outage| key(outage, side)).collect::<Vec<_>>();
    let mut sides = Vec::new();
    for item in &claim.notification.items {
        match item {
            NotificationItem::Offline { outages } | NotificationItem::MonitoringStarts { outages } => {
                sides.extend(one(outages, Side::Began))
            }
            NotificationItem::Recovered { outages } => sides.extend(one(outages, Side::Ended)),
            NotificationItem::CameAndWent { outages } => {
                sides.extend(one(outages, Side::Began));
                sides.extend(one(outages, Side::Ended));
            }
            _ => {}
        }
    }
    sides
}

async fn count(path: &Path, messages: &[Value], kills: u32, web: &WebBase) -> anyhow::Result<()> {
    let store = EmbeddedStore::open(path)?;
    let mut claims: Vec<Claim> = Vec::new();
    let mut settled = BTreeSet::new();
    let mut outages: Vec<Outage> = Vec::new();
    for subject in subjects()? {
        for item in store.list(&Query::Notifications { subject: subject.clone(), limit: usize::MAX }).await? {
            match item {
                Item::Claim(claim) => claims.push(claim),
                Item::Sent(sent) => {
                    settled.insert((sent.subject.clone(), sent.number));
                }
                _ => {}
            }
        }
        if let Subject::Target(target) = subject {
            for item in store.list(&Query::Outages { target, runner: None }).await? {
                if let Item::Outage(item) = item {
                    outages.push(item.outage);
                }
            }
        }
    }

    // Each message equals the notification of one claim. Two outages within a second can have the same text: then each
    // first attempt gets one message, and further attempts get the remaining ones.
    claims.sort_by_key(|claim| (claim.subject.clone(), claim.number));
    let (first, further): (Vec<&Claim>, Vec<&Claim>) = {
        let mut known = BTreeSet::new();
        claims.iter().partition(|claim| known.insert((claim.subject.clone(), claim.number.notification)))
    };
    let mut by_text: BTreeMap<String, VecDeque<&Claim>> = BTreeMap::new();
    for claim in first.into_iter().chain(further) {
        let form = if claim.plain_text { Form::PlainText } else { Form::Blocks };
        let text = serde_json::to_value(render(&claim.notification, form, web))?.to_string();
        by_text.entry(text).or_default().push_back(claim);
    }
    let mut notified: Notified = BTreeMap::new();
    for message in messages {
        let claim = by_text.get_mut(&message.to_string()).and_then(VecDeque::pop_front);
        let claim = claim.with_context(|| format!("a message without a claim: {message}"))?;
        for side in sides(claim) {
            *notified.entry(side).or_default() += 1;
        }
    }

    // If a claim has no delivery record, its message may have been accepted: only then a repeat is allowed.
    let in_window: Vec<&Claim> =
        claims.iter().filter(|claim| !settled.contains(&(claim.subject.clone(), claim.number))).collect();
    let mut allowed: Notified = BTreeMap::new();
    for side in in_window.iter().flat_map(|claim| sides(claim)) {
        *allowed.entry(side).or_default() += 1;
    }
    let (mut once, mut missed, mut repeated, mut in_window_repeats) = (0, Vec::new(), Vec::new(), 0);
    for outage in &outages {
        ensure!(outage.ending == Some(Ending::Recovered), "still open: {outage:?}");
        ensure!(outage.visibility != Visibility::Suppressed, "must not be notified: {outage:?}");
        for side in [Side::Began, Side::Ended] {
            let key = (outage.runner_name.clone(), outage.id.0.0, side);
            match notified.get(&key).copied().unwrap_or(0) {
                0 => missed.push(key),
                1 => once += 1,
                times if times - 1 <= allowed.get(&key).copied().unwrap_or(0) => in_window_repeats += 1,
                _ => repeated.push(key),
            }
        }
    }
    println!(
        "kills {kills} · outages {} · messages accepted {} · claims {} · claims interrupted by a kill {}",
        outages.len(),
        messages.len(),
        claims.len(),
        in_window.len()
    );
    println!(
        "starts and ends notified once {once} · repeated after a kill between acceptance and record {in_window_repeats} · missed {} · repeated without such a kill {}",
        missed.len(),
        repeated.len()
    );
    ensure!(!outages.is_empty(), "no outage happened: the test proves nothing");
    ensure!(missed.is_empty(), "never notified: {missed:?}");
    ensure!(repeated.is_empty(), "notified more than once: {repeated:?}");
    println!("every outage was notified once");
    Ok(())
}
