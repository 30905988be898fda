//! What a function makes of its settings, kept from one invocation to the next.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use monitor_config::{Faults, Parameters, Prefix, Source, Wanted, read_or_wanted};
use monitor_domain::time::Timestamp;
use tokio::sync::Mutex;
use tracing::warn;

use crate::environment::LambdaEnvironment;
use crate::failure::Failure;
use crate::parameters;
use crate::sdk::Sdk;

/// For how long parameters count as read: a new repository is looked at within one interval.
const KEEP: Duration = Duration::from_secs(300);
/// For how long at least they are left alone once reading them anew changed nothing; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// Where the parameters are unless `PARAMETER_PREFIX` says otherwise.
const PREFIX: &str = "/github-runner-monitor";

type Read<S> = dyn Fn(&Source<'_>) -> Result<S, Faults> + Send + Sync;
type Build<S, W> = dyn Fn(S) -> Result<W, Failure> + Send + Sync;

/// Clients and settings (`W`), made from settings as read (`S`).
///
/// They live as long as the settings stay the same: clients remember paces, limits and tokens.
pub struct ReloadingConfig<S, W> {
    variables: LambdaEnvironment,
    prefix: Option<Prefix>,
    sdk: Sdk,
    queue_urls: Faults,
    read: Box<Read<S>>,
    build: Box<Build<S, W>>,
    current: Mutex<Option<Current<W>>>,
    is_invalidated: AtomicBool,
}

struct Current<W> {
    made: Arc<W>,
    /// None where the variables are enough: they do not change.
    parameters: Option<Parameters>,
    read_at: Timestamp,
    /// For how long a doubt has to wait.
    pause: Duration,
}

impl<S, W> ReloadingConfig<S, W> {
    /// Nothing is read before it is needed. `queue_urls` are faults found beforehand, told together with those of the settings.
    pub fn new(
        variables: &LambdaEnvironment,
        sdk: &Sdk,
        queue_urls: Faults,
        read: impl Fn(&Source<'_>) -> Result<S, Faults> + Send + Sync + 'static,
        build: impl Fn(S) -> Result<W, Failure> + Send + Sync + 'static,
    ) -> Self {
        // Set but empty: there is no parameter store, the environment is all there is.
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

    /// A secret was refused: the parameters are read anew before the next use.
    pub fn invalidate(&self) {
        self.is_invalidated.store(true, Ordering::Relaxed);
    }

    /// What was made of the settings, which are read anew if they are not known, too old or in doubt.
    pub async fn get(&self, now: Timestamp) -> Result<Arc<W>, Failure> {
        let mut current = self.current.lock().await;
        if let Some(loaded) = &*current {
            // Read by a clock that has been set back since: nobody knows how long ago.
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

    /// Reads the parameters; makes everything anew if they are others than before.
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
            // What was good a moment ago is better than nothing.
            (Err(error), Some(loaded)) => {
                warn!(%error, "the settings were not read anew: those read before stay in use");
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

    fn made(&self, settings: Result<S, Faults>) -> Result<W, Failure> {
        match settings {
            Ok(settings) if self.queue_urls.0.is_empty() => (self.build)(settings),
            Ok(_) => Err(Failure::Settings(self.queue_urls.clone())),
            Err(faults) => Err(Failure::Settings(Faults(self.queue_urls.0.iter().cloned().chain(faults.0).collect()))),
        }
    }
}

impl<S, W> fmt::Debug for ReloadingConfig<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
