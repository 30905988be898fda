//! Time that runs faster.

use std::time::Duration;

use monitor_domain::time::Timestamp;
use monitor_pipeline::ports::Clock;
use monitor_telemetry::SystemClock;
use tokio::time::Instant;

/// A clock that starts now and runs `speed` times as fast as life.
#[derive(Clone, Debug)]
pub(super) struct DemoClock {
    start: Timestamp,
    began: Instant,
    speed: u32,
}

impl DemoClock {
    pub(super) fn start(speed: u32) -> Self {
        Self { start: SystemClock.now(), began: Instant::now(), speed }
    }

    /// Minutes of the story so far.
    pub(super) fn minutes(&self) -> u32 {
        u32::try_from(self.now().since(self.start).as_secs() / 60).unwrap_or(u32::MAX)
    }

    /// A minute of the story.
    pub(super) fn at_minute(&self, minute: u32) -> Timestamp {
        self.start.plus(Duration::from_secs(u64::from(minute) * 60))
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        self.start.plus(self.began.elapsed() * self.speed)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration / self.speed).await;
    }

    fn random(&self) -> u64 {
        SystemClock.random()
    }
}
