//! Plays a scenario: ticks, messages delivered to stages, and the faults that strike them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use monitor_embedded::queue::Depth;
use monitor_pipeline::commands::Command;
use monitor_pipeline::messages::{ChecksMessage, StateChange};
use monitor_pipeline::ports::Delivery as Received;
use monitor_pipeline::stages::Disposition;

use crate::calendar::{HOUR_MS, INTERVAL_MS, MINUTE_MS, day_and_hour};
use crate::dispatch::FIRST_DISPATCH_MS;
use crate::faults::{Fault, Faults, Stage, Struck};
use crate::installation::{Installation, check, notify, receive, respond, schedule};
use crate::jobs::Delivery;
use crate::machine::{Shared, Wake};
use crate::operations::Scenario;
use crate::store::{SimulatedStore, Stored};
use crate::world::{Rules, TrueRunner, World};

/// The timeout of a function. SQS hides its message for six times as long.
const FUNCTION_TIMEOUT_MS: i64 = 60_000;
const VISIBILITY: Duration = Duration::from_secs(360);
/// How many functions of a stage run at the same time.
const AT_ONCE: usize = 6;
/// How often a failed tick is retried.
const TICK_RETRIES: u32 = 2;
/// How often a person repeats a command that got no answer.
const ASK_RETRIES: u32 = 3;

struct Task {
    future: Pin<Box<dyn Future<Output = Disposition>>>,
    stage: Stage,
    /// The subject of its message or command.
    subject: String,
    /// The receipt of its message. For a command, its number.
    receipt: String,
    store: Arc<SimulatedStore>,
    /// How often its tick or command was tried before.
    tries: u32,
    began_ms: i64,
    frozen_until_ms: i64,
    was_frozen: bool,
}

/// The result of a scenario.
pub struct Played {
    /// The simulated services at the end, with their history.
    pub world: World,
    /// The store at the end.
    pub stored: Stored,
    /// The depth of each queue at the end.
    pub depths: [(&'static str, Depth); 2],
    /// How often each fault struck each stage.
    pub struck: Struck,
    /// A digest of everything that happened.
    pub trace: u64,
    /// When it ended, in milliseconds since its start.
    pub end_ms: i64,
    /// The number of awaits up to a quarter of an hour before the end: the message of an ended stage is delivered again
    /// after some minutes.
    pub awaits: u64,
}

/// What a message on the queue for checks is about.
fn subject_of(body: &str) -> String {
    match ChecksMessage::from_json(body) {
        Ok(ChecksMessage::Check(job)) => job.target.to_string(),
        Ok(ChecksMessage::Report(report)) => format!("job {}", report.job.id.0),
        Err(_) => String::new(),
    }
}

/// Plays a scenario to its end.
pub fn play(scenario: &Scenario) -> anyhow::Result<Played> {
    let faults = Faults { windows: scenario.windows.clone(), ..Faults::default() };
    let shared = Shared::new(scenario.seed, faults);
    let installation = Arc::new(Installation::new(scenario.store, scenario.is_bot, shared.clone())?);
    // Just before a tick, so that none is running at the end.
    let end_ms = scenario.hours * HOUR_MS - 1_000;
    let mut player = Player {
        scenario,
        end_ms,
        installation: installation.clone(),
        tasks: BTreeMap::new(),
        count: 0,
        next_pump_ms: i64::MAX,
        awaits: 0,
        early_awaits: 0,
        asked: Vec::new(),
    };
    player.run();
    let awaits = player.early_awaits;
    drop(player);
    installation.stop();
    let mut machine = shared.lock();
    let elapsed = machine.elapsed();
    Ok(Played {
        depths: [("checks", machine.checks.depth(elapsed)), ("changes", machine.changes.depth(elapsed))],
        world: std::mem::take(&mut machine.world),
        stored: installation.stored.clone(),
        struck: std::mem::take(&mut machine.faults.struck),
        trace: machine.trace,
        end_ms,
        awaits,
    })
}

/// The state of a running scenario.
pub(crate) struct Player<'a> {
    scenario: &'a Scenario,
    pub(crate) installation: Arc<Installation>,
    tasks: BTreeMap<u64, Task>,
    count: u64,
    next_pump_ms: i64,
    end_ms: i64,
    awaits: u64,
    early_awaits: u64,
    /// People's commands, in order.
    pub(crate) asked: Vec<Command>,
}

impl Player<'_> {
    fn run(&mut self) {
        {
            let mut machine = self.installation.shared.lock();
            machine.at(0, Wake::Tick);
            machine.world.set_version_ends(self.scenario.version_ends.clone());
            if self.scenario.webhook.is_some() {
                machine.world.set_webhook(self.scenario.webhook);
                machine.at(FIRST_DISPATCH_MS, Wake::Dispatch);
            }
            if self.scenario.has_pool_over_credential {
                let rules = Rules { has_pool_over_credential: true, ..machine.world.rules };
                machine.world.set_rules(0, rules);
            }
            if let Some(hours) = self.scenario.report {
                let rules = Rules { report: Some(day_and_hour(hours)), ..machine.world.rules };
                machine.world.set_rules(0, rules);
            }
            for (number, operation) in self.scenario.operations.iter().enumerate() {
                machine.at(operation.at_ms, Wake::Operation(number));
            }
        }
        loop {
            let Some(wake) = self.installation.shared.lock().next(self.end_ms) else { break };
            match wake {
                Wake::Tick => self.tick(),
                Wake::TickAgain(tries) => self.start_tick(tries),
                Wake::Operation(number) => self.operate(&self.scenario.operations[number].what),
                Wake::Away(target, runner) => self.alter(target, &runner, |runner| runner.online = false),
                Wake::Back(target, runner) => self.alter(target, &runner, |runner| runner.online = true),
                Wake::Again(target, runner) => {
                    self.world(|world, now_ms| world.register(now_ms, target, runner, false))
                }
                Wake::Leave(target, runner) => self.world(|world, now_ms| _ = world.remove(now_ms, target, &runner)),
                Wake::Toggle(target) => self.world(|world, now_ms| world.toggle(now_ms, target)),
                Wake::Unhide => self.world(|world, now_ms| world.note_listed(now_ms)),
                Wake::Respond(number, tries) => self.start_answer(number, tries),
                Wake::Dispatch => self.installation.shared.lock().dispatch(),
                Wake::Deliver(number) => self.deliver(number),
                Wake::Task(task) => self.go_on(task),
                Wake::Late(number) => {
                    let late = self.installation.shared.lock().take_late(number);
                    if let Some(late) = late {
                        late();
                    }
                }
                Wake::Pump => self.next_pump_ms = i64::MAX,
            }
            self.pump();
        }
    }

    fn world(&self, alter_world: impl FnOnce(&mut World, i64)) {
        let mut machine = self.installation.shared.lock();
        let now_ms = machine.now_ms;
        alter_world(&mut machine.world, now_ms);
    }

    fn alter(&self, target: usize, runner: &str, alter: impl FnOnce(&mut TrueRunner)) {
        self.world(|world, now_ms| world.alter(now_ms, target, runner, alter));
    }

    fn is_down(&self) -> bool {
        let machine = self.installation.shared.lock();
        machine.world.down_until_ms > machine.now_ms
    }

    /// Ends every running task.
    pub(crate) fn stop(&mut self) {
        for task in std::mem::take(&mut self.tasks).into_keys() {
            self.installation.shared.lock().forget(task);
        }
        self.installation.stop();
    }

    /// Ends every running notifier.
    pub(crate) fn stop_notifiers(&mut self) {
        let is_notifier = |task: &Task| task.stage == Stage::Notify;
        let running: Vec<u64> =
            self.tasks.iter().filter(|(_, task)| is_notifier(task)).map(|(number, _)| *number).collect();
        for task in running {
            self.tasks.remove(&task);
            self.installation.shared.lock().forget(task);
        }
    }

    fn tick(&mut self) {
        let again = {
            let mut machine = self.installation.shared.lock();
            let now_ms = machine.now_ms;
            machine.at(now_ms + INTERVAL_MS, Wake::Tick);
            machine.world.remember(now_ms);
            machine.world.expire(now_ms);
            machine.strikes_at(Fault::TickRepeats, Stage::Schedule)
        };
        for _ in 0..=u32::from(again) {
            self.start_tick(0);
        }
    }

    fn start_tick(&mut self, tries: u32) {
        if !self.is_down() {
            let store = self.installation.start();
            let future = Box::pin(schedule(self.installation.clone(), store.clone()));
            self.start(future, Stage::Schedule, ("monitor".to_owned(), String::new()), store, tries);
        }
    }

    fn start_answer(&mut self, number: usize, tries: u32) {
        if !self.is_down() {
            let (command, store) = (self.asked[number].clone(), self.installation.start());
            let subject = format!("{command:?}");
            let future = Box::pin(respond(self.installation.clone(), store.clone(), command));
            self.start(future, Stage::Respond, (subject, number.to_string()), store, tries);
        }
    }

    /// Delivers a report of the webhook. GitHub never repeats one, whatever the answer.
    fn deliver(&mut self, number: usize) {
        let delivery = {
            let machine = self.installation.shared.lock();
            let is_last = machine.now_ms > self.end_ms - MINUTE_MS;
            machine.world.jobs.deliveries.get(number).filter(|_| !is_last).cloned()
        };
        let Some(Delivery { job, body, .. }) = delivery.filter(|_| !self.is_down()) else { return };
        let store = self.installation.start();
        let future = Box::pin(receive(self.installation.clone(), store.clone(), body));
        self.start(future, Stage::Receive, (format!("job {job}"), number.to_string()), store, 0);
    }

    /// Starts a stage for each message that is due.
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
        let notifies_from_ms = {
            let machine = self.installation.shared.lock();
            Some(machine.world.notifier_down_until_ms).filter(|until_ms| *until_ms > machine.now_ms)
        };
        for stage in [Stage::Check, Stage::Notify] {
            if stage == Stage::Notify && notifies_from_ms.is_some() {
                continue;
            }
            let running = self.tasks.values().filter(|task| task.stage == stage).count();
            let deliveries = {
                let mut machine = self.installation.shared.lock();
                let elapsed = machine.elapsed();
                let state = if stage == Stage::Check { &mut machine.checks } else { &mut machine.changes };
                let mut deliveries = state.receive(elapsed, AT_ONCE.saturating_sub(running), VISIBILITY);
                if stage == Stage::Check && deliveries.len() > 1 && machine.strikes_at(Fault::QueueReorders, stage) {
                    deliveries.reverse();
                }
                deliveries
            };
            for Received { body, receipt, receive_count, .. } in deliveries {
                let (installation, store) = (self.installation.clone(), self.installation.start());
                if stage == Stage::Check {
                    let subject = subject_of(&body);
                    let future = Box::pin(check(installation, store.clone(), body));
                    self.start(future, stage, (subject, receipt), store, 0);
                } else {
                    let subject =
                        StateChange::from_json(&body).map(|message| message.subject.to_string()).unwrap_or_default();
                    let future = Box::pin(notify(installation, store.clone(), body, receive_count));
                    self.start(future, stage, (subject, receipt), store, 0);
                }
            }
        }
        let mut machine = self.installation.shared.lock();
        let elapsed = machine.elapsed();
        let in_ms = |due: Duration| i64::try_from(due.as_millis()).unwrap_or(i64::MAX);
        let notification_ms = machine.changes.next_due(elapsed).map(in_ms);
        let notification_ms = notification_ms.map(|due_ms| due_ms.max(notifies_from_ms.unwrap_or(due_ms)));
        let due_ms = machine.checks.next_due(elapsed).map(in_ms).into_iter().chain(notification_ms).min();
        if let Some(due_ms) = due_ms.filter(|due_ms| *due_ms < self.next_pump_ms) {
            self.next_pump_ms = due_ms;
            machine.at(due_ms, Wake::Pump);
        }
    }

    fn start(
        &mut self,
        future: Pin<Box<dyn Future<Output = Disposition>>>,
        stage: Stage,
        (subject, receipt): (String, String),
        store: Arc<SimulatedStore>,
        tries: u32,
    ) {
        self.count += 1;
        let began_ms = {
            let mut machine = self.installation.shared.lock();
            machine.current = (self.count, stage);
            if self.tasks.values().any(|task| task.stage == stage && task.subject == subject) {
                machine.count(Fault::Overlap);
            }
            machine.now_ms
        };
        let task =
            Task { future, stage, subject, receipt, store, tries, began_ms, frozen_until_ms: 0, was_frozen: false };
        self.tasks.insert(self.count, task);
        self.go_on(self.count);
    }

    /// Runs a task to its next await, unless a fault strikes it.
    fn go_on(&mut self, number: u64) {
        let Some(task) = self.tasks.get_mut(&number) else { return };
        {
            let mut machine = self.installation.shared.lock();
            machine.current = (number, task.stage);
            let now_ms = machine.now_ms;
            if task.frozen_until_ms > now_ms {
                let until_ms = task.frozen_until_ms;
                machine.at(until_ms, Wake::Task(number));
                return;
            }
            self.awaits += 1;
            if now_ms < self.end_ms - 15 * MINUTE_MS {
                self.early_awaits = self.awaits;
            }
            // The timeout of a frozen function does not run either.
            let is_late = now_ms - task.began_ms >= FUNCTION_TIMEOUT_MS && !task.was_frozen;
            if is_late || self.scenario.crashes.contains(&self.awaits) || machine.strikes(Fault::Crash) {
                drop(machine);
                self.ends(number, None);
                return;
            }
            let freezes = !task.was_frozen && machine.strikes(Fault::Freeze);
            if freezes {
                task.was_frozen = true;
                task.frozen_until_ms = now_ms + machine.between(1, 20) * MINUTE_MS;
            } else if !task.was_frozen && machine.strikes(Fault::Timeout) {
                task.frozen_until_ms = task.began_ms + FUNCTION_TIMEOUT_MS;
            }
            if task.frozen_until_ms > now_ms {
                machine.at(task.frozen_until_ms, Wake::Task(number));
                return;
            }
        }
        self.installation.shared.lock().wake(number);
        if let Poll::Ready(disposition) = task.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.ends(number, Some(disposition));
        }
    }

    /// Handles the end of a task. `disposition` is `None` if the task was ended in the middle.
    fn ends(&mut self, number: u64, disposition: Option<Disposition>) {
        let Some(Task { future, stage, receipt, store, tries, .. }) = self.tasks.remove(&number) else { return };
        drop(future);
        if disposition.is_some() {
            self.installation.keep_warm(store);
        }
        let mut machine = self.installation.shared.lock();
        machine.forget(number);
        let (elapsed, now_ms) = (machine.elapsed(), machine.now_ms);
        let is_done = disposition == Some(Disposition::Done);
        let state = match stage {
            Stage::Schedule => {
                // Lambda retries an asynchronous invocation in the same way.
                if !is_done && tries < TICK_RETRIES {
                    machine.at(now_ms + i64::from(tries + 1) * MINUTE_MS, Wake::TickAgain(tries + 1));
                }
                return;
            }
            Stage::Respond => {
                // A person who gets no answer tries again.
                if let (false, true, Ok(number)) = (is_done, tries < ASK_RETRIES, receipt.parse()) {
                    machine.at(now_ms + MINUTE_MS, Wake::Respond(number, tries + 1));
                }
                return;
            }
            Stage::Receive => {
                if let (true, Ok(number)) = (is_done, receipt.parse()) {
                    machine.world.jobs.accepted.push((now_ms, number));
                }
                return;
            }
            _ if is_done && machine.strikes(Fault::QueueRedelivers) => return,
            Stage::Check => &mut machine.checks,
            Stage::Notify => &mut machine.changes,
        };
        match disposition {
            Some(Disposition::Done) => state.delete(elapsed, &receipt),
            Some(Disposition::Retry { after, .. }) => state.release(elapsed, &receipt, after),
            Some(Disposition::DeadLetter { .. }) | None => {}
        }
    }
}
