//! The clock of a program that runs on one machine.

use std::time::Duration;

use monitor_domain::time::Timestamp;
use monitor_pipeline::ports::Clock;
use monitor_telemetry::SystemClock;
use rustix::time::{ClockId, clock_gettime};

/// The wall clock, and the machine's uptime, which continues during sleep and cannot be set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MachineClock;

#[cfg(target_os = "linux")]
const UPTIME: ClockId = ClockId::Boottime;
/// On macOS this clock includes sleep too.
#[cfg(not(target_os = "linux"))]
const UPTIME: ClockId = ClockId::Monotonic;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn uptime(&self) -> Option<Duration> {
        Duration::try_from(clock_gettime(UPTIME)).ok()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }

    fn random(&self) -> u64 {
        SystemClock.random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn uptime_advances_with_real_time() {
        let (began, up) = (tokio::time::Instant::now(), MachineClock.uptime().unwrap());
        MachineClock.sleep(Duration::from_millis(30)).await;
        let (took, later) = (began.elapsed(), MachineClock.uptime().unwrap());
        assert!(later - up >= Duration::from_millis(30) && later - up <= took + Duration::from_secs(1));
    }
}
