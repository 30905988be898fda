//! A clock of tokio's that runs faster than life.
//!
//! The clock is paused, and moved on to where it should be each real millisecond. A blocking task that runs all the while
//! keeps tokio from skipping to the next timer by itself, so that sockets have their real time.

use std::time::Duration;

use tokio::sync::mpsc;

/// How often the clock is moved on, in real time.
const STEP: Duration = Duration::from_millis(1);

/// Real time made fast: what a clock that runs fast should show. Tokio's is behind it while its thread works, and be it for
/// milliseconds, they count many times; so whoever judges by a clock judges by this.
#[derive(Clone, Copy)]
pub(crate) struct FastTime {
    began: std::time::Instant,
    speed: u32,
}

impl FastTime {
    #[allow(clippy::disallowed_methods, reason = "tokio's clock is what this is compared with")]
    pub(crate) fn of(speed: u32) -> Self {
        Self { began: std::time::Instant::now(), speed }
    }

    /// What has passed since it was made.
    pub(crate) fn elapsed(self) -> Duration {
        self.began.elapsed() * self.speed
    }
}

/// A clock that runs fast until this is dropped.
pub(crate) struct TimeScale {
    /// Kept for its end: the clock stops with it.
    _ticks: Option<tokio::task::JoinHandle<()>>,
}

impl TimeScale {
    /// In the runtime of one thread that this is called in, time passes so many times faster.
    pub(crate) fn of(speed: u32) -> Self {
        if speed == 1 {
            return Self { _ticks: None };
        }
        tokio::time::pause();
        let (began, time) = (tokio::time::Instant::now(), FastTime::of(speed));
        let (tick, mut ticks) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            while !tick.is_closed() {
                std::thread::sleep(STEP);
                // One that is not taken yet does for both.
                let _ = tick.try_send(());
            }
        });
        let pacer = tokio::spawn(async move {
            while ticks.recv().await.is_some() {
                // To where it should be, and not by a step: in a burst of work a step has its turn late.
                tokio::time::advance(time.elapsed().saturating_sub(began.elapsed())).await;
            }
        });
        Self { _ticks: Some(pacer) }
    }

    /// Keeps it running.
    pub(crate) async fn forever(self) {
        std::future::pending::<()>().await;
        drop(self);
    }
}

impl Drop for TimeScale {
    fn drop(&mut self) {
        if let Some(pacer) = &self._ticks {
            pacer.abort();
        }
    }
}
