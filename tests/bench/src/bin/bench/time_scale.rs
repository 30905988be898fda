//! Makes tokio's clock run faster than real time.
//!
//! The clock is paused and advanced every real millisecond. A blocking task that runs meanwhile keeps tokio from
//! skipping to the next timer, so that sockets get their real time.

use std::time::Duration;

use tokio::sync::mpsc;

/// How often the clock is advanced, in real time.
const STEP: Duration = Duration::from_millis(1);

/// Scaled real time: the time that the fast clock should show. Tokio's clock lags behind it while its thread works, and
/// a lag of milliseconds is multiplied by the speed. Code that measures limits by a clock therefore uses this one.
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

    /// The scaled time since it was created.
    pub(crate) fn elapsed(self) -> Duration {
        self.began.elapsed() * self.speed
    }
}

/// A clock that runs fast until this is dropped.
pub(crate) struct TimeScale {
    /// The task that advances the clock. Ended on drop.
    _ticks: Option<tokio::task::JoinHandle<()>>,
}

impl TimeScale {
    /// Makes time pass `speed` times faster in the current single-threaded runtime.
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
                // If the last tick is still waiting, one is enough.
                let _ = tick.try_send(());
            }
        });
        let pacer = tokio::spawn(async move {
            while ticks.recv().await.is_some() {
                // Advances to the scaled time, not by a fixed step: in a burst of work this task runs late.
                tokio::time::advance(time.elapsed().saturating_sub(began.elapsed())).await;
            }
        });
        Self { _ticks: Some(pacer) }
    }

    /// Keeps the clock fast forever.
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
