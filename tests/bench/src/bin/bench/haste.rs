//! A clock of tokio's that runs faster than life.
//!
//! The clock is paused, and moved on by so many milliseconds in each real one. A blocking task that runs all the while
//! keeps tokio from skipping to the next timer by itself, so that sockets have their real time.

use std::time::Duration;

use tokio::sync::mpsc;

/// How often the clock is moved on, in real time.
const STEP: Duration = Duration::from_millis(1);

/// Real time made fast: what a clock of tokio's that runs fast should show. That one falls behind while its thread works,
/// and what it has fallen behind counts as many times as much; so whoever judges by a clock judges by this.
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
pub(crate) struct Haste {
    /// Kept for its end: the clock stops with it.
    _ticks: Option<tokio::task::JoinHandle<()>>,
}

impl Haste {
    /// In the runtime of one thread that this is called in, time passes so many times faster.
    pub(crate) fn of(speed: u32) -> Self {
        if speed == 1 {
            return Self { _ticks: None };
        }
        tokio::time::pause();
        let (tick, mut ticks) = mpsc::unbounded_channel();
        #[allow(clippy::disallowed_methods, reason = "tokio's clock stands still here: this is what moves it")]
        tokio::task::spawn_blocking(move || {
            let mut last = std::time::Instant::now();
            loop {
                std::thread::sleep(STEP);
                let now = std::time::Instant::now();
                if tick.send(now - last).is_err() {
                    return;
                }
                last = now;
            }
        });
        let pacer = tokio::spawn(async move {
            while let Some(passed) = ticks.recv().await {
                tokio::time::advance(passed * speed).await;
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

impl Drop for Haste {
    fn drop(&mut self) {
        if let Some(pacer) = &self._ticks {
            pacer.abort();
        }
    }
}
