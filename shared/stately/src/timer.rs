//! Time as the client counts it: tokio's, unless a host brings its own.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// The client's clock and its pauses. A simulator brings one of its own.
pub trait Timer: Send + Sync {
    /// How long ago some moment before the first call was; never goes back.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// Time as tokio has it.
#[derive(Clone, Copy, Debug)]
pub struct TokioTimer(Instant);

impl Default for TokioTimer {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Timer for TokioTimer {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// What a future gives by then; none where that is later.
pub(crate) async fn by<F: Future>(timer: &impl Timer, until: Duration, future: F) -> Option<F::Output> {
    let left = until.saturating_sub(timer.elapsed());
    tokio::select! {
        biased;
        output = future => Some(output),
        () = timer.sleep(left) => None,
    }
}
