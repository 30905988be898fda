//! Virtual time, tasks, and the ports of the pipeline as the simulated surroundings offer them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use monitor_domain::notices::Notice;
use monitor_domain::observation::{CredentialReport, Failure, Fault as Trouble, Lookup, PageTag};
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::CredentialId;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_embedded::queue::{Kind, QueueSettings, QueueState};
use monitor_embedded::store::EmbeddedStore;
use monitor_fakes::Chance;
use monitor_pipeline::items::{Delivered, Item, Key, Put, Query};
use monitor_pipeline::ports::{
    Chat, ChatError, Clock, Form, Incomplete, Listing, Outgoing, PutOutcome, QueueError, RunnerSource, Sender, Store,
    StoreError,
};

use crate::faults::{Fault, Faults};
use crate::operations::{MINUTE_MS, TARGETS};
use crate::world::{Taken, World, observed};

/// The story's beginning, as a time of day.
const EPOCH_MS: i64 = 1_800_000_000_000;
/// How often a message is handed out before it is set aside.
const RECEIVES: u32 = 5;
/// After how long a client gives up a request.
const TIMEOUT_MS: i64 = 10_000;

/// A moment of the story as a time of day.
pub fn timestamp(now_ms: i64) -> Timestamp {
    Timestamp::from_epoch_ms(EPOCH_MS + now_ms)
}

/// A time of day as a moment of the story.
pub fn story_ms(at: Timestamp) -> i64 {
    at.epoch_ms() - EPOCH_MS
}

/// What happens when its time comes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// The schedule ticks.
    Tick,
    /// The operation with this number.
    Operation(usize),
    /// A runner comes back from an outage.
    Back(usize, String),
    /// An ephemeral runner leaves.
    Leave(usize, String),
    /// A task goes on.
    Task(u64),
    /// A message may be due.
    Pump,
}

/// Everything that the surroundings share.
pub struct Machine {
    /// Now, milliseconds of the story.
    pub now_ms: i64,
    /// Chance.
    pub chance: Chance,
    /// GitHub and Slack.
    pub world: World,
    /// What goes wrong.
    pub faults: Faults,
    /// The checks queue.
    pub checks: QueueState,
    /// The changes queue.
    pub changes: QueueState,
    /// The task that runs.
    pub current: u64,
    /// A digest of everything that happened.
    pub trace: u64,
    timers: BinaryHeap<Reverse<(i64, u64, Wake)>>,
    timer_count: u64,
}

/// The surroundings, shared by the ports.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Machine>>);

impl Machine {
    /// The time since the beginning, as the queues count it.
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now_ms.unsigned_abs())
    }

    /// Has something happen later.
    pub fn at(&mut self, due_ms: i64, wake: Wake) {
        self.timer_count += 1;
        self.timers.push(Reverse((due_ms, self.timer_count, wake)));
    }

    /// The next thing that happens, if it does by then.
    pub fn next(&mut self, until_ms: i64) -> Option<Wake> {
        if self.timers.peek().is_none_or(|Reverse((due_ms, ..))| *due_ms > until_ms) {
            return None;
        }
        let Reverse((due_ms, _, wake)) = self.timers.pop()?;
        self.now_ms = self.now_ms.max(due_ms);
        Some(wake)
    }

    /// Adds to the digest.
    pub fn note(&mut self, what: &str) {
        let now_ms = self.now_ms;
        for byte in now_ms.to_le_bytes().into_iter().chain(what.bytes()) {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Whether a fault strikes now.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.faults.strikes(fault, self.now_ms, &mut self.chance);
        if strikes {
            self.note(&format!("{fault:?}"));
        }
        strikes
    }

    fn between_ms(&mut self, least: u64, most: u64) -> i64 {
        i64::try_from(least + self.chance.below(most - least + 1)).unwrap_or(0)
    }
}

impl Shared {
    /// Surroundings at the beginning of a story.
    pub fn new(seed: u64, faults: Faults) -> Self {
        let queue = |kind| QueueState::new(QueueSettings { kind, max_receive_count: RECEIVES });
        Self(Arc::new(Mutex::new(Machine {
            now_ms: 0,
            chance: Chance::new(seed ^ 0x5151),
            world: World::new(),
            faults,
            checks: queue(Kind::Standard),
            changes: queue(Kind::Fifo),
            current: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            timers: BinaryHeap::new(),
            timer_count: 0,
        })))
    }

    /// The machine. Never held over an await.
    pub fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, ms: i64) -> Wait {
        Wait { shared: self.clone(), ms, due_ms: None }
    }

    async fn latency(&self, least_ms: u64, most_ms: u64) {
        let ms = self.lock().between_ms(least_ms, most_ms);
        self.wait(ms).await;
    }
}

/// Virtual time passes.
struct Wait {
    shared: Shared,
    ms: i64,
    due_ms: Option<i64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let shared = self.shared.clone();
        let mut machine = shared.lock();
        match self.due_ms {
            None => {
                let due_ms = machine.now_ms + self.ms;
                self.due_ms = Some(due_ms);
                let task = machine.current;
                machine.at(due_ms, Wake::Task(task));
                Poll::Pending
            }
            Some(due_ms) if machine.now_ms >= due_ms => Poll::Ready(()),
            Some(_) => Poll::Pending,
        }
    }
}

impl Clock for Shared {
    fn now(&self) -> Timestamp {
        timestamp(self.lock().now_ms)
    }

    async fn sleep(&self, duration: Duration) {
        self.wait(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)).await;
    }

    fn random(&self) -> u64 {
        self.lock().chance.number()
    }
}

/// The store behind a network.
pub struct SimulatedStore {
    /// The real store.
    pub store: EmbeddedStore,
    /// The surroundings.
    pub shared: Shared,
}

impl SimulatedStore {
    async fn request(&self) -> Result<(), StoreError> {
        self.shared.latency(2, 20).await;
        if self.shared.lock().strikes(Fault::StoreRequestLost) {
            self.shared.wait(1_000).await;
            return Err(StoreError::Unavailable("no answer in time".to_owned()));
        }
        Ok(())
    }

    async fn answer(&self) -> Result<(), StoreError> {
        if self.shared.lock().strikes(Fault::StoreAnswerLost) {
            self.shared.wait(1_000).await;
            return Err(StoreError::Unavailable("the answer was lost".to_owned()));
        }
        self.shared.latency(2, 20).await;
        Ok(())
    }
}

impl Store for SimulatedStore {
    async fn put(&self, puts: Vec<Put>) -> Result<PutOutcome, StoreError> {
        self.request().await?;
        let keys: Vec<Key> = puts.iter().map(|put| put.item.key()).collect();
        let outcome = self.store.put(puts).await?;
        {
            let mut machine = self.shared.lock();
            let now_ms = machine.now_ms;
            for key in keys {
                machine.note(&format!("{key} {outcome:?}"));
                if matches!(key, Key::Sent(..)) {
                    machine.world.stored_ms.entry(key).or_insert(now_ms);
                }
            }
        }
        self.answer().await?;
        Ok(outcome)
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        self.request().await?;
        let items = self.store.get(keys).await?;
        self.shared.latency(2, 20).await;
        Ok(items)
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        self.request().await?;
        let items = self.store.list(query).await?;
        self.shared.latency(2, 20).await;
        Ok(items)
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.request().await?;
        self.store.delete(keys).await?;
        self.answer().await
    }

    /// Small, so that decisions are split.
    fn max_batch(&self) -> usize {
        5
    }
}

/// GitHub over a network.
pub struct SimulatedGitHub(pub Shared);

/// The place of a target in [`TARGETS`].
pub fn place_of(target: &str) -> Option<usize> {
    TARGETS.iter().position(|name| *name == target)
}

impl SimulatedGitHub {
    fn trouble(&self, target: usize) -> Option<Failure> {
        let mut machine = self.0.lock();
        let now_ms = machine.now_ms;
        let world = &machine.world;
        if world.refused_until_ms > now_ms {
            return Some(Failure::new(Trouble::Credential, "GitHub refuses the token (401)"));
        }
        if world.limited_until_ms > now_ms {
            let until = timestamp(world.limited_until_ms);
            return Some(Failure::new(Trouble::Limited { until }, "limited"));
        }
        if world.no_access_until_ms[target] > now_ms {
            return Some(Failure::new(Trouble::NotFound, "no such target, or no access (404)"));
        }
        if machine.strikes(Fault::GitHubLimits) {
            let until_ms = now_ms + machine.between_ms(1, 5) * MINUTE_MS;
            machine.world.limited_until_ms = until_ms;
            return Some(Failure::new(Trouble::Limited { until: timestamp(until_ms) }, "limited"));
        }
        if machine.strikes(Fault::GitHubFails) {
            return Some(Failure::new(Trouble::Service, "GitHub answers 502"));
        }
        machine.strikes(Fault::GitHubBroken).then(|| Failure::new(Trouble::BrokenAnswer, "page 2: HTML"))
    }

    async fn hang(&self) -> Option<Failure> {
        if !self.0.lock().strikes(Fault::GitHubHangs) {
            return None;
        }
        self.0.wait(2 * TIMEOUT_MS).await;
        Some(Failure::new(Trouble::Service, "no answer in time"))
    }
}

impl RunnerSource for SimulatedGitHub {
    fn credential(&self, _: &Target) -> CredentialId {
        CredentialId::token()
    }

    async fn list(&self, target: &Target, known: &[PageTag]) -> Listing {
        let report = CredentialReport::default();
        let failed = |failure| Listing { pages: Err(Incomplete { partial: false, failure }), report };
        let Some(place) = place_of(target.as_str()) else {
            return failed(Failure::new(Trouble::NotFound, "no such target"));
        };
        self.0.latency(20, 300).await;
        if let Some(failure) = self.hang().await.or_else(|| self.trouble(place)) {
            return failed(failure);
        }
        let pages = {
            let mut machine = self.0.lock();
            let now_ms = machine.now_ms;
            let mut runners = if machine.strikes(Fault::GitHubStale) {
                machine.world.listed_stale(place, now_ms)
            } else {
                machine.world.listed(place)
            };
            if !runners.is_empty() && machine.strikes(Fault::GitHubSlips) {
                let slipped = machine.chance.below(runners.len() as u64);
                runners.remove(usize::try_from(slipped).unwrap_or(0));
            }
            for runner in &mut runners {
                // The fault's chance is for each runner; the world says whether it was lied about of late.
                if runner.status.is_healthy()
                    && machine.strikes(Fault::GitHubLies)
                    && machine.world.may_lie(place, &runner.name, now_ms)
                {
                    runner.status = monitor_domain::runner::Status::Offline;
                }
            }
            machine.world.pages(runners, known)
        };
        self.0.latency(20, 300).await;
        Listing { pages: Ok(pages), report }
    }

    async fn runner(&self, target: &Target, id: RunnerId) -> Result<Lookup, Failure> {
        let place = place_of(target.as_str()).unwrap_or(0);
        self.0.latency(20, 300).await;
        if let Some(failure) = self.hang().await.or_else(|| self.trouble(place)) {
            return Err(failure);
        }
        let machine = self.0.lock();
        let found = machine.world.runners(place).iter().find(|runner| runner.id == id.0);
        Ok(found.map_or(Lookup::NotFound, |runner| Lookup::Found(observed(runner))))
    }

    async fn repositories_of(&self, _: &str) -> Result<Vec<Target>, Failure> {
        Ok(Vec::new())
    }
}

/// Slack over a network.
pub struct SimulatedSlack(pub Shared);

impl Chat for SimulatedSlack {
    async fn send(&self, notice: &Notice, form: Form) -> Result<Delivered, ChatError> {
        let began_ms = self.0.lock().now_ms;
        self.0.latency(50, 400).await;
        {
            let mut machine = self.0.lock();
            let now_ms = machine.now_ms;
            // Whoever stood still finds the connection gone.
            if now_ms - began_ms > TIMEOUT_MS {
                return Err(ChatError::Transient("no answer in time".to_owned()));
            }
            if machine.world.slack_dead_until_ms > now_ms {
                return Err(ChatError::Dead("404 no_service: make a new webhook".to_owned()));
            }
            if machine.strikes(Fault::SlackBusy) {
                let retry_after = Duration::from_secs(1 + machine.chance.below(120));
                return Err(ChatError::Busy { retry_after });
            }
            if machine.strikes(Fault::SlackFails) {
                return Err(ChatError::Transient("Slack answers 503".to_owned()));
            }
            if form == Form::Blocks && machine.strikes(Fault::SlackRefuses) {
                return Err(ChatError::ContentRefused("invalid_blocks".to_owned()));
            }
            machine.note(&format!("taken {}", notice.subject));
            machine.world.taken.push(Taken { at_ms: now_ms, notice: notice.clone(), answered: false });
        }
        let number = self.0.lock().world.taken.len() - 1;
        if self.0.lock().strikes(Fault::SlackAnswerLost) {
            self.0.wait(TIMEOUT_MS).await;
            return Err(ChatError::Transient("no answer in time".to_owned()));
        }
        self.0.latency(20, 100).await;
        self.0.lock().world.taken[number].answered = true;
        Ok(Delivered::default())
    }
}

/// The sending side of one of the queues.
pub struct SimulatedSender {
    /// The surroundings.
    pub shared: Shared,
    /// Whether it is the changes queue.
    pub fifo: bool,
}

impl Sender for SimulatedSender {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        self.shared.latency(2, 20).await;
        let mut machine = self.shared.lock();
        let elapsed = machine.elapsed();
        if self.fifo {
            return machine.changes.send(elapsed, messages);
        }
        for mut message in messages {
            let twice = machine.strikes(Fault::QueueRepeats);
            if machine.strikes(Fault::QueueDelays) {
                message.delay += Duration::from_secs(machine.chance.below(300));
            }
            let copies = if twice { vec![message.clone(), message] } else { vec![message] };
            machine.checks.send(elapsed, copies)?;
        }
        Ok(())
    }
}
