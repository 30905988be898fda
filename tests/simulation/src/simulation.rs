//! A story played: ticks, messages handed to stages, and everything that happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::target::{Target, TargetSpec};
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::messages::{CheckJob, WakeUp};
use monitor_pipeline::ports::Delivery;
use monitor_pipeline::stages::{Check, CheckSettings, Disposition, Notify, NotifySettings, Schedule, ScheduleSettings};

use crate::faults::{Fault, Faults};
use crate::machine::{Shared, SimulatedGitHub, SimulatedSender, SimulatedSlack, SimulatedStore, Wake};
use crate::operations::{HOUR_MS, MINUTE_MS, Story, TARGETS, What};

const INTERVAL_MS: i64 = 5 * MINUTE_MS;
/// What a function may take; SQS hides its message for six times as long.
const FUNCTION_TIMEOUT_MS: i64 = 60_000;
const VISIBILITY: Duration = Duration::from_secs(360);
/// How many functions of a kind run at once.
const AT_ONCE: usize = 6;
/// How long a disturbance can still be felt once it is over: an attempt to send that was put off, a lease, a queue.
const AFTERMATH_MS: i64 = 25 * MINUTE_MS;

/// The ports of an installation.
pub struct Installation {
    /// The surroundings.
    pub shared: Shared,
    /// The store.
    pub store: SimulatedStore,
    github: SimulatedGitHub,
    slack: SimulatedSlack,
    jobs: SimulatedSender,
    wakes: SimulatedSender,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    None,
    Checks,
    Changes,
}

struct Task {
    future: Pin<Box<dyn Future<Output = Disposition>>>,
    queue: Queue,
    receipt: String,
    began_ms: i64,
    frozen_until_ms: i64,
    was_frozen: bool,
}

/// A story that was played.
pub struct Played {
    /// What is left of it.
    pub installation: Arc<Installation>,
    /// When it ended.
    pub end_ms: i64,
    /// At how many awaits a stage went on, up to a quarter of an hour before the end: a message whose stage was ended
    /// comes again after some minutes.
    pub awaits: u64,
}

/// Plays a story to its end.
pub fn play(story: &Story) -> anyhow::Result<Played> {
    let faults = Faults { windows: story.windows.clone(), ..Faults::default() };
    let shared = Shared::new(story.seed, faults);
    let installation = Arc::new(Installation {
        store: SimulatedStore { store: EmbeddedStore::open_in_memory()?, shared: shared.clone() },
        github: SimulatedGitHub(shared.clone()),
        slack: SimulatedSlack(shared.clone()),
        jobs: SimulatedSender { shared: shared.clone(), fifo: false },
        wakes: SimulatedSender { shared: shared.clone(), fifo: true },
        shared,
    });
    let crashes = story.crashes.clone();
    // Just before a tick, so that nothing of it is under way.
    let end_ms = story.hours * HOUR_MS - 1_000;
    let mut player = Player {
        end_ms,
        installation,
        tasks: BTreeMap::new(),
        count: 0,
        next_pump_ms: i64::MAX,
        awaits: 0,
        early_awaits: 0,
        crashes,
    };
    player.run(story, end_ms);
    Ok(Played { installation: player.installation, end_ms, awaits: player.early_awaits })
}

struct Player {
    installation: Arc<Installation>,
    tasks: BTreeMap<u64, Task>,
    count: u64,
    next_pump_ms: i64,
    end_ms: i64,
    awaits: u64,
    early_awaits: u64,
    crashes: Vec<u64>,
}

impl Player {
    fn run(&mut self, story: &Story, end_ms: i64) {
        {
            let mut machine = self.installation.shared.lock();
            machine.at(0, Wake::Tick);
            for (number, operation) in story.operations.iter().enumerate() {
                machine.at(operation.at_ms, Wake::Operation(number));
            }
        }
        loop {
            let Some(wake) = self.installation.shared.lock().next(end_ms) else { break };
            match wake {
                Wake::Tick => self.tick(),
                Wake::Operation(number) => self.operate(&story.operations[number].what),
                Wake::Back(target, runner) => self.alter(target, &runner, |runner| runner.online = true),
                Wake::Leave(target, runner) => {
                    let mut machine = self.installation.shared.lock();
                    let now_ms = machine.now_ms;
                    machine.world.remove(now_ms, target, &runner);
                }
                Wake::Task(task) => self.go_on(task),
                Wake::Pump => self.next_pump_ms = i64::MAX,
            }
            self.pump();
        }
    }

    fn alter(&self, target: usize, runner: &str, alter: impl FnOnce(&mut crate::world::TrueRunner)) {
        let mut machine = self.installation.shared.lock();
        let now_ms = machine.now_ms;
        machine.world.alter(now_ms, target, runner, alter);
    }

    fn is_down(&self) -> bool {
        let machine = self.installation.shared.lock();
        machine.world.down_until_ms > machine.now_ms
    }

    fn tick(&mut self) {
        let again = {
            let mut machine = self.installation.shared.lock();
            let now_ms = machine.now_ms;
            machine.at(now_ms + INTERVAL_MS, Wake::Tick);
            machine.world.remember(now_ms);
            machine.strikes(Fault::TickRepeats)
        };
        if !self.is_down() {
            for _ in 0..=u32::from(again) {
                let future = schedule(self.installation.clone());
                self.start(Box::pin(future), Queue::None, String::new());
            }
        }
    }

    fn operate(&mut self, what: &What) {
        let mut machine = self.installation.shared.lock();
        let now_ms = machine.now_ms;
        machine.note(&format!("{what:?}"));
        let world = &mut machine.world;
        match what {
            What::Outage { target, runner, for_ms } => {
                world.alter(now_ms, *target, runner, |runner| runner.online = false);
                machine.at(now_ms + for_ms, Wake::Back(*target, runner.clone()));
            }
            What::Work { target, runner } => {
                world.alter(now_ms, *target, runner, |runner| runner.busy = runner.online && !runner.busy);
            }
            What::Ephemeral { target, for_ms } => {
                let name = format!("ephemeral-{now_ms}");
                world.register(now_ms, *target, name.clone(), true);
                machine.at(now_ms + for_ms, Wake::Leave(*target, name));
            }
            What::Remove { target, runner } => {
                world.remove(now_ms, *target, runner);
            }
            What::Reregister { target, runner } => {
                if world.remove(now_ms, *target, runner) {
                    world.register(now_ms, *target, runner.clone(), false);
                }
            }
            What::AccessLost { target, for_ms } => {
                world.no_access_until_ms[*target] = world.no_access_until_ms[*target].max(now_ms + for_ms);
                world.disturbed.push((Some(*target), now_ms, now_ms + for_ms + AFTERMATH_MS));
            }
            What::CredentialRefused { for_ms } => {
                world.refused_until_ms = world.refused_until_ms.max(now_ms + for_ms);
                world.disturbed.push((None, now_ms, now_ms + for_ms + AFTERMATH_MS));
            }
            What::TokenRenewed => world.token += 1,
            What::MonitorDown { for_ms } => {
                world.down_until_ms = world.down_until_ms.max(now_ms + for_ms);
                world.disturbed.push((None, now_ms, now_ms + for_ms + AFTERMATH_MS));
                drop(machine);
                self.tasks.clear();
            }
            What::SlackDead { for_ms } => {
                world.slack_dead_until_ms = world.slack_dead_until_ms.max(now_ms + for_ms);
                world.disturbed.push((None, now_ms, now_ms + for_ms + AFTERMATH_MS));
            }
            What::Confirm(confirm) => world.confirm = *confirm,
            What::Toggle { target } => {
                // The list is never empty: that is refused, and has a test of its own.
                let is_last = world.watched[*target] && world.watched.iter().filter(|watched| **watched).count() == 1;
                if !is_last {
                    world.watched[*target] = !world.watched[*target];
                    world.disturbed.push((Some(*target), now_ms - AFTERMATH_MS, now_ms + AFTERMATH_MS));
                }
            }
        }
    }

    /// Hands out what is due.
    fn pump(&mut self) {
        if self.is_down() {
            let mut machine = self.installation.shared.lock();
            let up_ms = machine.world.down_until_ms;
            if self.next_pump_ms > up_ms {
                self.next_pump_ms = up_ms;
                machine.at(up_ms, Wake::Pump);
            }
            return;
        }
        for queue in [Queue::Checks, Queue::Changes] {
            let running = self.tasks.values().filter(|task| task.queue == queue).count();
            let deliveries = {
                let mut machine = self.installation.shared.lock();
                let elapsed = machine.elapsed();
                let state = if queue == Queue::Checks { &mut machine.checks } else { &mut machine.changes };
                state.receive(elapsed, AT_ONCE.saturating_sub(running), VISIBILITY)
            };
            for delivery in deliveries {
                let Delivery { body, receipt, .. } = delivery;
                let installation = self.installation.clone();
                match queue {
                    Queue::Checks => self.start(Box::pin(check(installation, body)), queue, receipt),
                    _ => self.start(Box::pin(notify(installation, body)), queue, receipt),
                }
            }
        }
        let mut machine = self.installation.shared.lock();
        let elapsed = machine.elapsed();
        let due = machine.checks.next_due(elapsed).into_iter().chain(machine.changes.next_due(elapsed)).min();
        if let Some(due) = due {
            let due_ms = i64::try_from(due.as_millis()).unwrap_or(i64::MAX);
            if due_ms < self.next_pump_ms {
                self.next_pump_ms = due_ms;
                machine.at(due_ms, Wake::Pump);
            }
        }
    }

    fn start(&mut self, future: Pin<Box<dyn Future<Output = Disposition>>>, queue: Queue, receipt: String) {
        self.count += 1;
        let began_ms = self.installation.shared.lock().now_ms;
        let task = Task { future, queue, receipt, began_ms, frozen_until_ms: 0, was_frozen: false };
        self.tasks.insert(self.count, task);
        self.go_on(self.count);
    }

    /// Lets a task go on to its next await, if nothing befalls it.
    fn go_on(&mut self, number: u64) {
        let Some(task) = self.tasks.get_mut(&number) else { return };
        {
            let mut machine = self.installation.shared.lock();
            let now_ms = machine.now_ms;
            if task.frozen_until_ms > now_ms {
                let until_ms = task.frozen_until_ms;
                machine.at(until_ms, Wake::Task(number));
                return;
            }
            let is_late = now_ms - task.began_ms > FUNCTION_TIMEOUT_MS && !task.was_frozen;
            self.awaits += 1;
            if now_ms < self.end_ms - 15 * MINUTE_MS {
                self.early_awaits = self.awaits;
            }
            if is_late || self.crashes.contains(&self.awaits) || machine.strikes(Fault::Crash) {
                drop(machine);
                self.tasks.remove(&number);
                return;
            }
            if !task.was_frozen && machine.strikes(Fault::Freeze) {
                task.was_frozen = true;
                let for_ms = (1 + i64::try_from(machine.chance.below(20)).unwrap_or(0)) * MINUTE_MS;
                task.frozen_until_ms = now_ms + for_ms;
                machine.at(now_ms + for_ms, Wake::Task(number));
                return;
            }
            machine.current = number;
        }
        let Poll::Ready(disposition) = task.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            return;
        };
        let Some(Task { queue, receipt, .. }) = self.tasks.remove(&number) else { return };
        let mut machine = self.installation.shared.lock();
        let elapsed = machine.elapsed();
        let state = match queue {
            Queue::None => return,
            Queue::Checks => &mut machine.checks,
            Queue::Changes => &mut machine.changes,
        };
        match disposition {
            Disposition::Done => state.delete(elapsed, &receipt),
            Disposition::Retry { after, .. } => state.release(elapsed, &receipt, after),
            Disposition::SetAside { .. } => {}
        }
    }
}

impl Installation {
    fn configured(&self) -> Vec<TargetSpec> {
        let machine = self.shared.lock();
        let watched = TARGETS.iter().zip(machine.world.watched).filter(|(_, watched)| *watched);
        watched.filter_map(|(name, _)| name.parse::<Target>().ok()).map(TargetSpec::One).collect()
    }

    fn policy(&self) -> Policy {
        let confirm = self.shared.lock().world.confirm;
        let document: PolicyDocument = serde_json::from_str(&format!(r#"{{"confirm":{confirm}}}"#)).unwrap_or_default();
        Policy::new(document, &[]).unwrap_or_default()
    }

    fn interval() -> Duration {
        Duration::from_millis(INTERVAL_MS.unsigned_abs())
    }
}

async fn schedule(this: Arc<Installation>) -> Disposition {
    let (policy, configured) = (this.policy(), this.configured());
    let settings =
        ScheduleSettings { policy, configured, interval: Installation::interval(), jobs_per_minute: Some(600) };
    let (store, source, jobs, wakes, clock) = (&this.store, &this.github, &this.jobs, &this.wakes, &this.shared);
    Schedule { store, source, jobs, wakes, clock, settings: &settings }.run().await.disposition
}

async fn check(this: Arc<Installation>, body: String) -> Disposition {
    let Ok(job) = CheckJob::from_json(&body) else {
        return Disposition::SetAside { reason: body };
    };
    let settings =
        CheckSettings { policy: this.policy(), configured: this.configured(), interval: Installation::interval() };
    let (store, source, jobs, wakes, clock) = (&this.store, &this.github, &this.jobs, &this.wakes, &this.shared);
    Check { store, source, jobs, wakes, clock, settings: &settings }.run(&job).await.disposition
}

async fn notify(this: Arc<Installation>, body: String) -> Disposition {
    let Ok(wake_up) = WakeUp::from_json(&body) else {
        return Disposition::SetAside { reason: body };
    };
    let (store, chat, clock) = (&this.store, &this.slack, &this.shared);
    let settings = NotifySettings { lease: Duration::from_secs(90), ..NotifySettings::default() };
    Notify { store, chat, clock, settings }.run(&wake_up.subject).await.disposition
}

/// The names of the runners that GitHub has at a target.
pub fn names_at(installation: &Installation, target: usize) -> BTreeSet<String> {
    installation.shared.lock().world.runners(target).iter().map(|runner| runner.name.clone()).collect()
}
