//! A deployed function: its instances, and a journal of its invocations.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::emulator::{Emulator, Launch, Outcome};

/// A function with one instance for each concurrent invocation.
pub(crate) struct Function {
    name: String,
    instances: Vec<Emulator>,
    /// The idle instances.
    free: Mutex<Vec<usize>>,
    permits: Semaphore,
    journal: PathBuf,
    invocations: AtomicU64,
}

impl Function {
    /// Starts the instances. They log to `NAME-1.log` and so on in this folder; events and answers go to `NAME.jsonl`.
    pub(crate) async fn start(
        launch: &Launch,
        slots: usize,
        http: &reqwest::Client,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let mut instances = Vec::new();
        for slot in 1..=slots {
            instances.push(Emulator::start(launch, http, &logs.join(format!("{}-{slot}.log", launch.name))).await?);
        }
        Ok(Self {
            name: launch.name.clone(),
            free: Mutex::new((0..slots).rev().collect()),
            permits: Semaphore::new(slots),
            instances,
            journal: logs.join(format!("{}.jsonl", launch.name)),
            invocations: AtomicU64::new(0),
        })
    }

    /// The number of concurrent invocations that it allows.
    pub(crate) fn slots(&self) -> usize {
        self.instances.len()
    }

    /// The number of invocations so far.
    pub(crate) fn invocations(&self) -> u64 {
        self.invocations.load(Ordering::SeqCst)
    }

    /// The number of running invocations.
    pub(crate) fn at_work(&self) -> usize {
        self.slots() - self.permits.available_permits()
    }

    /// Invokes the function on an idle instance.
    pub(crate) async fn invoke(&self, event: &Value) -> anyhow::Result<Outcome> {
        let _permit = self.permits.acquire().await?;
        let slot = Slot::take(&self.free);
        self.invocations.fetch_add(1, Ordering::SeqCst);
        let outcome = self.instances[slot.number].invoke(event).await?;
        let recorded = match &outcome {
            Outcome::Answer(answer) => answer.clone(),
            Outcome::Error(error) => Value::String(error.clone()),
        };
        self.note(&serde_json::json!({"event": event, "outcome": recorded}).to_string());
        Ok(outcome)
    }

    /// Kills (`kill -9`) every running process of the function; returns how many.
    pub(crate) fn kill(&self) -> std::io::Result<usize> {
        let mut killed = 0;
        for instance in &self.instances {
            killed += usize::from(instance.kill_function()?);
        }
        Ok(killed)
    }

    /// Appends a line to the journal.
    pub(crate) fn note(&self, line: &str) {
        let file = std::fs::File::options().create(true).append(true).open(&self.journal);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            eprintln!("{}: {error}", self.journal.display());
        }
    }

    /// The function's logical id.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// A busy instance; it is idle again when this is dropped.
struct Slot<'a> {
    number: usize,
    free: &'a Mutex<Vec<usize>>,
}

impl<'a> Slot<'a> {
    fn take(free: &'a Mutex<Vec<usize>>) -> Self {
        // The caller holds a permit, and there are as many permits as slots.
        let number = lock(free).pop().expect("a permit is a free slot");
        Self { number, free }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        lock(self.free).push(self.number);
    }
}

fn lock(free: &Mutex<Vec<usize>>) -> std::sync::MutexGuard<'_, Vec<usize>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}
