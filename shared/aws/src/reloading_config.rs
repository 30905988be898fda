//! The settings of a function and the clients built from them, kept from one invocation to the next.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use monitor_config::{Parameters, Prefix, SettingFaults, Source, Wanted, read_or_wanted};
use monitor_domain::time::Timestamp;
use tokio::sync::Mutex;
use tracing::warn;

use crate::environment::LambdaEnvironment;
use crate::failure::Failure;
use crate::parameters;
use crate::sdk::Sdk;

/// How long parameters are cached. A new repository is checked within this time and one interval.
const KEEP: Duration = Duration::from_secs(300);
/// The least pause after an invalidation whose read found nothing new; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The prefix of the parameters unless `PARAMETER_PREFIX` is set.
const PREFIX: &str = "/github-runner-monitor";

type Read<S> = dyn Fn(&Source<'_>) -> Result<S, SettingFaults> + Send + Sync;
type Build<S, W> = dyn Fn(S) -> Result<W, Failure> + Send + Sync;

/// Clients and settings (`W`), built from the settings as read (`S`).
///
/// They live as long as the settings stay the same, because clients remember request pace, limits and tokens.
pub struct ReloadingConfig<S, W> {
    variables: LambdaEnvironment,
    prefix: Option<Prefix>,
    sdk: Sdk,
    queue_urls: SettingFaults,
    read: Box<Read<S>>,
    build: Box<Build<S, W>>,
    current: Mutex<Option<Current<W>>>,
    is_invalidated: AtomicBool,
}

struct Current<W> {
    made: Arc<W>,
    /// `None` if the environment is complete: it does not change.
    parameters: Option<Parameters>,
    read_at: Timestamp,
    /// How long after `read_at` an invalidation is ignored.
    pause: Duration,
}

impl<S, W> ReloadingConfig<S, W> {
    /// Reads nothing yet. `queue_urls` are faults found beforehand, reported together with those of the settings.
    pub fn new(
        variables: &LambdaEnvironment,
        sdk: &Sdk,
        queue_urls: SettingFaults,
        read: impl Fn(&Source<'_>) -> Result<S, SettingFaults> + Send + Sync + 'static,
        build: impl Fn(S) -> Result<W, Failure> + Send + Sync + 'static,
    ) -> Self {
        // Set but empty: there is no parameter store, only the environment.
        let prefix = variables.raw("PARAMETER_PREFIX").unwrap_or_else(|| PREFIX.to_owned());
        Self {
            variables: variables.clone(),
            prefix: Prefix::new(&prefix),
            sdk: sdk.clone(),
            queue_urls,
            read: Box::new(read),
            build: Box::new(build),
            current: Mutex::default(),
            is_invalidated: AtomicBool::new(false),
        }
    }

    /// Marks the settings as outdated because a secret was refused: they are read again before the next use.
    pub fn invalidate(&self) {
        self.is_invalidated.store(true, Ordering::Relaxed);
    }

    /// The clients and settings. Reads the settings first if they are unknown, too old or invalidated.
    pub async fn get(&self, now: Timestamp) -> Result<Arc<W>, Failure> {
        let mut current = self.current.lock().await;
        if let Some(loaded) = &*current {
            // The clock has been set back since, so the age is unknown.
            let age = if loaded.read_at.is_impossible(now) { KEEP } else { now.since(loaded.read_at) };
            let is_invalidated = self.is_invalidated.load(Ordering::Relaxed);
            let is_good = loaded.parameters.is_none() || age < KEEP && (!is_invalidated || age < loaded.pause);
            if is_good {
                return Ok(Arc::clone(&loaded.made));
            }
        }
        let lookup = |name: &str| self.variables.raw(name);
        let wanted = match (read_or_wanted(lookup, &*self.read), &self.prefix) {
            (Ok(settings), _) => {
                let made = Arc::new(self.made(Ok(settings))?);
                let loaded = Current { made, parameters: None, read_at: now, pause: Duration::ZERO };
                return Ok(Arc::clone(&current.insert(loaded).made));
            }
            (Err(wanted), Some(prefix)) => (wanted, prefix),
            (Err(_), None) => return self.made((self.read)(&Source::variables(lookup))).map(Arc::new),
        };
        self.renew(&mut current, wanted, now).await
    }

    /// Reads the parameters, and rebuilds everything if they have changed.
    async fn renew(
        &self,
        current: &mut Option<Current<W>>,
        (wanted, prefix): (Wanted, &Prefix),
        now: Timestamp,
    ) -> Result<Arc<W>, Failure> {
        let known = current.as_ref().and_then(|loaded| loaded.parameters.clone()).unwrap_or_default();
        let was_invalidated = self.is_invalidated.swap(false, Ordering::Relaxed);
        let read = parameters::read(&self.sdk, prefix, &wanted, &known).await;
        match (read, current.as_mut()) {
            // Settings that worked a moment ago are better than none.
            (Err(error), Some(loaded)) => {
                warn!(%error, "the settings could not be reloaded: the previous ones stay in use");
                (loaded.read_at, loaded.pause) = (now, FIRST_PAUSE);
                self.is_invalidated.store(true, Ordering::Relaxed);
                Ok(Arc::clone(&loaded.made))
            }
            (Err(error), None) => Err(error),
            (Ok(read), Some(loaded)) if loaded.parameters.as_ref() == Some(&read) => {
                let longer = (loaded.pause * 2).clamp(FIRST_PAUSE, KEEP);
                (loaded.read_at, loaded.pause) = (now, if was_invalidated { longer } else { Duration::ZERO });
                Ok(Arc::clone(&loaded.made))
            }
            (Ok(read), _) => {
                let lookup = |name: &str| self.variables.raw(name);
                let made = Arc::new(self.made((self.read)(&Source::parameters(lookup, prefix, &read)))?);
                let loaded = Current { made, parameters: Some(read), read_at: now, pause: Duration::ZERO };
                Ok(Arc::clone(&current.insert(loaded).made))
            }
        }
    }

    fn made(&self, settings: Result<S, SettingFaults>) -> Result<W, Failure> {
        match settings {
            Ok(settings) if self.queue_urls.0.is_empty() => (self.build)(settings),
            Ok(_) => Err(Failure::Settings(self.queue_urls.clone())),
            Err(faults) => {
                Err(Failure::Settings(SettingFaults(self.queue_urls.0.iter().cloned().chain(faults.0).collect())))
            }
        }
    }
}

impl<S, W> fmt::Debug for ReloadingConfig<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadingConfig").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
