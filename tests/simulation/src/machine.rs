//! Virtual time, and the state that all ports share: randomness, faults, queues, and timers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use monitor_domain::time::Timestamp;
use monitor_embedded::queue::{Kind, QueueSettings, QueueState};
use monitor_fakes::Chance;
use monitor_pipeline::ports::Clock;
use monitor_pipeline::stages::MAX_RECEIVES;
use monitor_stately::timer::Timer;

use crate::calendar::timestamp;
use crate::faults::{Fault, Faults, Stage};
use crate::world::World;

/// A timer's event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// The scheduler's tick is due.
    Tick,
    /// The scheduler is started again, after this many failed attempts.
    TickAgain(u32),
    /// The operation with this number is carried out.
    Operation(usize),
    /// A runner goes offline.
    Away(usize, String),
    /// A runner is online again after an outage.
    Back(usize, String),
    /// A runner is registered again.
    Again(usize, String),
    /// An ephemeral runner leaves.
    Leave(usize, String),
    /// A target is added to the list or removed from it.
    Toggle(usize),
    /// GitHub lists the repositories of accounts again.
    Unhide,
    /// A task resumes.
    Task(u64),
    /// A request arrives after its sender's timeout.
    Late(u64),
    /// A person sends the command with this number, after this many failed attempts.
    Respond(usize, u32),
    /// GitHub gives jobs to idle runners, and ends those whose time is over.
    Dispatch,
    /// GitHub sends the delivery with this number.
    Deliver(usize),
    /// A queued message may be due.
    Pump,
}

/// An action that runs later, whether or not its sender still waits.
type Late = Box<dyn FnOnce() + Send>;

/// The state that all ports share.
pub struct Machine {
    /// Now, in milliseconds since the start of the scenario.
    pub now_ms: i64,
    /// The source of randomness.
    pub chance: Chance,
    /// A separate source for faults of edits, so that the rest of a seed's scenario does not depend on them.
    pub edit_chance: Chance,
    /// The same for workflow jobs.
    pub job_chance: Chance,
    /// The state of GitHub and Slack.
    pub world: World,
    /// The faults.
    pub faults: Faults,
    /// The checks queue.
    pub checks: QueueState,
    /// The changes queue.
    pub changes: QueueState,
    /// The running task and its stage.
    pub current: (u64, Stage),
    /// A digest of everything that happened.
    pub trace: u64,
    timers: BinaryHeap<Reverse<(i64, u64, Wake)>>,
    timer_count: u64,
    late: BTreeMap<u64, Late>,
    /// Wakers of futures within a task that waits for several at once: the task, the due time, the waker.
    wakers: Vec<(u64, i64, Waker)>,
}

/// A handle to the shared state.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Machine>>);

impl Machine {
    /// The time since the start, as the queues count it.
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now_ms.unsigned_abs())
    }

    /// Sets a timer.
    pub fn at(&mut self, due_ms: i64, wake: Wake) {
        self.timer_count += 1;
        self.timers.push(Reverse((due_ms, self.timer_count, wake)));
    }

    /// Advances the time to the next timer and returns its event. `None` if no timer is due by `until_ms`.
    pub fn next(&mut self, until_ms: i64) -> Option<Wake> {
        if self.timers.peek().is_none_or(|Reverse((due_ms, ..))| *due_ms > until_ms) {
            return None;
        }
        let Reverse((due_ms, _, wake)) = self.timers.pop()?;
        self.now_ms = self.now_ms.max(due_ms);
        Some(wake)
    }

    /// Runs an action after `ms`, independent of any task.
    pub fn later(&mut self, ms: i64, what: impl FnOnce() + Send + 'static) {
        let number = self.timer_count;
        self.late.insert(number, Box::new(what));
        self.at(self.now_ms + ms, Wake::Late(number));
    }

    /// Wakes the futures within a task that are due.
    pub fn wake(&mut self, task: u64) {
        let now_ms = self.now_ms;
        for (.., waker) in self.wakers.extract_if(.., |(of, due_ms, _)| *of == task && *due_ms <= now_ms) {
            waker.wake();
        }
    }

    /// Drops the wakers of a task.
    pub fn forget(&mut self, task: u64) {
        self.wakers.retain(|(of, ..)| *of != task);
    }

    /// Takes the action of a [`Wake::Late`].
    pub fn take_late(&mut self, number: u64) -> Option<Late> {
        self.late.remove(&number)
    }

    /// Adds an event to the digest.
    pub fn note(&mut self, what: &[u8]) {
        let now_ms = self.now_ms;
        for byte in now_ms.to_le_bytes().iter().chain(what) {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Whether a fault strikes the running stage now.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        self.strikes_at(fault, self.current.1)
    }

    /// Whether a fault strikes a stage now.
    pub fn strikes_at(&mut self, fault: Fault, stage: Stage) -> bool {
        let strikes = self.faults.strikes(fault, stage, self.now_ms, &mut self.chance);
        if strikes {
            self.note(format!("{fault:?}").as_bytes());
        }
        strikes
    }

    /// Whether a fault strikes an edit now.
    pub fn strikes_edit(&mut self, fault: Fault) -> bool {
        let (now_ms, stage) = (self.now_ms, self.current.1);
        let strikes = self.faults.strikes(fault, stage, now_ms, &mut self.edit_chance);
        if strikes {
            self.note(format!("{fault:?} of an edit").as_bytes());
        }
        strikes
    }

    /// Counts a fault that resulted from other events.
    pub fn count(&mut self, fault: Fault) {
        self.faults.count(fault, self.current.1);
    }

    /// A random number between `least` and `most`, both inclusive.
    pub fn between(&mut self, least: u64, most: u64) -> i64 {
        i64::try_from(least + self.chance.below(most - least + 1)).unwrap_or(0)
    }
}

impl Shared {
    /// The shared state at the start of a scenario.
    pub fn new(seed: u64, faults: Faults) -> Self {
        let queue = |kind| QueueState::new(QueueSettings { kind, max_receive_count: MAX_RECEIVES });
        Self(Arc::new(Mutex::new(Machine {
            now_ms: 0,
            chance: Chance::new(seed ^ 0x5151),
            edit_chance: Chance::new(seed ^ 0xed17),
            job_chance: Chance::new(seed ^ 0x70b5),
            world: World::new(),
            faults,
            checks: queue(Kind::Standard),
            changes: queue(Kind::Fifo),
            current: (0, Stage::Schedule),
            trace: 0xcbf2_9ce4_8422_2325,
            timers: BinaryHeap::new(),
            timer_count: 0,
            late: BTreeMap::new(),
            wakers: Vec::new(),
        })))
    }

    /// Locks the state. The guard must not be held across an await.
    pub fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits in virtual time.
    pub fn wait(&self, ms: i64) -> impl Future<Output = ()> + Send + use<> {
        Wait { shared: self.clone(), ms, due_ms: None }
    }

    /// Waits for a random time.
    pub async fn latency(&self, least_ms: u64, most_ms: u64) {
        let ms = self.lock().between(least_ms, most_ms);
        self.wait(ms).await;
    }
}

/// A wait in virtual time.
struct Wait {
    shared: Shared,
    ms: i64,
    due_ms: Option<i64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let shared = self.shared.clone();
        let mut machine = shared.lock();
        match self.due_ms {
            None => {
                let due_ms = machine.now_ms + self.ms;
                self.due_ms = Some(due_ms);
                let task = machine.current.0;
                machine.at(due_ms, Wake::Task(task));
                machine.wakers.push((task, due_ms, context.waker().clone()));
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

impl Timer for Shared {
    fn elapsed(&self) -> Duration {
        self.lock().elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        // At least 1 ms, so that time advances.
        self.wait(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)).await;
    }
}
