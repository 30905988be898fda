//! What a function makes of its settings, kept from one invocation to the next.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use monitor_config::{Faults, Parameters, Prefix, Source, Wanted, read_or_wanted};
use monitor_domain::time::Timestamp;
use tokio::sync::Mutex;
use tracing::warn;

use crate::failure::Failure;
use crate::parameters;
use crate::sdk::Sdk;
use crate::variables::Variables;

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
pub struct Kept<S, W> {
    variables: Variables,
    prefix: Option<Prefix>,
    sdk: Sdk,
    wiring: Faults,
    read: Box<Read<S>>,
    build: Box<Build<S, W>>,
    current: Mutex<Option<Current<W>>>,
    is_doubted: AtomicBool,
}

struct Current<W> {
    made: Arc<W>,
    /// None where the variables are enough: they do not change.
    parameters: Option<Parameters>,
    read_at: Timestamp,
    /// For how long a doubt has to wait.
    pause: Duration,
}

impl<S, W> Kept<S, W> {
    /// Nothing is read before it is needed. `wiring` are faults found beforehand, told together with those of the settings.
    pub fn new(
        variables: &Variables,
        sdk: &Sdk,
        wiring: Faults,
        read: impl Fn(&Source<'_>) -> Result<S, Faults> + Send + Sync + 'static,
        build: impl Fn(S) -> Result<W, Failure> + Send + Sync + 'static,
    ) -> Self {
        // Set but empty: there is no parameter store, the environment is all there is.
        let prefix = variables.raw("PARAMETER_PREFIX").unwrap_or_else(|| PREFIX.to_owned());
        Self {
            variables: variables.clone(),
            prefix: Prefix::new(&prefix),
            sdk: sdk.clone(),
            wiring,
            read: Box::new(read),
            build: Box::new(build),
            current: Mutex::default(),
            is_doubted: AtomicBool::new(false),
        }
    }

    /// A secret was refused: the parameters are read anew before the next use.
    pub fn doubt(&self) {
        self.is_doubted.store(true, Ordering::Relaxed);
    }

    /// What was made of the settings, which are read anew if they are not known, too old or in doubt.
    pub async fn get(&self, now: Timestamp) -> Result<Arc<W>, Failure> {
        let mut current = self.current.lock().await;
        if let Some(kept) = &*current {
            // Read by a clock that has been set back since: nobody knows how long ago.
            let age = if kept.read_at.is_impossible(now) { KEEP } else { now.since(kept.read_at) };
            let is_doubted = self.is_doubted.load(Ordering::Relaxed);
            let is_good = kept.parameters.is_none() || age < KEEP && (!is_doubted || age < kept.pause);
            if is_good {
                return Ok(Arc::clone(&kept.made));
            }
        }
        let lookup = |name: &str| self.variables.raw(name);
        let wanted = match (read_or_wanted(lookup, &*self.read), &self.prefix) {
            (Ok(settings), _) => {
                let made = Arc::new(self.made(Ok(settings))?);
                let kept = Current { made, parameters: None, read_at: now, pause: Duration::ZERO };
                return Ok(Arc::clone(&current.insert(kept).made));
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
        let known = current.as_ref().and_then(|kept| kept.parameters.clone()).unwrap_or_default();
        let was_doubted = self.is_doubted.swap(false, Ordering::Relaxed);
        let read = parameters::read(&self.sdk, prefix, &wanted, &known).await;
        match (read, current.as_mut()) {
            // What was good a moment ago is better than nothing.
            (Err(error), Some(kept)) => {
                warn!(%error, "the settings were not read anew: those read before stay in use");
                (kept.read_at, kept.pause) = (now, FIRST_PAUSE);
                self.is_doubted.store(true, Ordering::Relaxed);
                Ok(Arc::clone(&kept.made))
            }
            (Err(error), None) => Err(error),
            (Ok(read), Some(kept)) if kept.parameters.as_ref() == Some(&read) => {
                let longer = (kept.pause * 2).clamp(FIRST_PAUSE, KEEP);
                (kept.read_at, kept.pause) = (now, if was_doubted { longer } else { Duration::ZERO });
                Ok(Arc::clone(&kept.made))
            }
            (Ok(read), _) => {
                let lookup = |name: &str| self.variables.raw(name);
                let made = Arc::new(self.made((self.read)(&Source::parameters(lookup, prefix, &read)))?);
                let kept = Current { made, parameters: Some(read), read_at: now, pause: Duration::ZERO };
                Ok(Arc::clone(&current.insert(kept).made))
            }
        }
    }

    fn made(&self, settings: Result<S, Faults>) -> Result<W, Failure> {
        match settings {
            Ok(settings) if self.wiring.0.is_empty() => (self.build)(settings),
            Ok(_) => Err(Failure::Settings(self.wiring.clone())),
            Err(faults) => Err(Failure::Settings(Faults(self.wiring.0.iter().cloned().chain(faults.0).collect()))),
        }
    }
}

impl<S, W> fmt::Debug for Kept<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
