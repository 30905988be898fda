//! The client's clock: tokio's, unless a host provides its own.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// The client's clock and pauses. A simulator provides its own.
pub trait Timer: Send + Sync {
    /// The time since an arbitrary start; never goes back.
    fn elapsed(&self) -> Duration;

    /// Waits for `duration`.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// Tokio's clock.
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

/// A future's output, or `None` if it is not ready by `until`.
pub(crate) async fn timeout_at<F: Future>(timer: &impl Timer, until: Duration, future: F) -> Option<F::Output> {
    let left = until.saturating_sub(timer.elapsed());
    tokio::select! {
        biased;
        output = future => Some(output),
        () = timer.sleep(left) => None,
    }
}
