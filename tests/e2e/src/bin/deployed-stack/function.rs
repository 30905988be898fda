//! A deployed function: its instances, and what became of each invocation.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::emulator::{Emulator, Launch, Outcome};

/// A function with as many instances as it may have invocations at a time.
pub(crate) struct Function {
    name: String,
    instances: Vec<Emulator>,
    /// The instances that are not at work.
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

    /// How many invocations it can have at a time.
    pub(crate) fn slots(&self) -> usize {
        self.instances.len()
    }

    /// How many invocations there were.
    pub(crate) fn invocations(&self) -> u64 {
        self.invocations.load(Ordering::SeqCst)
    }

    /// How many are under way.
    pub(crate) fn at_work(&self) -> usize {
        self.slots() - self.permits.available_permits()
    }

    /// Invokes it on an instance that is free.
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

    /// `kill -9` of every instance's process that is there; how many.
    pub(crate) fn kill(&self) -> std::io::Result<usize> {
        let mut killed = 0;
        for instance in &self.instances {
            killed += usize::from(instance.kill_function()?);
        }
        Ok(killed)
    }

    /// Puts a line into the journal.
    pub(crate) fn note(&self, line: &str) {
        let file = std::fs::File::options().create(true).append(true).open(&self.journal);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            eprintln!("{}: {error}", self.journal.display());
        }
    }

    /// Its logical id.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// An instance at work; it is free again when this is dropped.
struct Slot<'a> {
    number: usize,
    free: &'a Mutex<Vec<usize>>,
}

impl<'a> Slot<'a> {
    fn take(free: &'a Mutex<Vec<usize>>) -> Self {
        // Whoever comes here holds one of as many permits as there are slots.
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
