//! A clock that runs faster than real time and waits for running work.

use std::sync::Arc;
use std::time::Duration;

use monitor_domain::time::Timestamp;
use monitor_pipeline::ports::Clock;
use monitor_telemetry::SystemClock;
use tokio::sync::watch;

/// The time between two checks, by this clock.
pub(super) const INTERVAL: Duration = Duration::from_secs(300);

/// A clock that only moves when it is advanced. A busy machine makes the demo slower, with the same result.
#[derive(Clone, Debug)]
pub(super) struct DemoClock {
    start: Timestamp,
    elapsed: Arc<watch::Sender<Duration>>,
}

impl DemoClock {
    pub(super) fn start() -> Self {
        Self { start: SystemClock.now(), elapsed: Arc::new(watch::Sender::new(Duration::ZERO)) }
    }

    /// Moves the clock forward, at most to the time of the next tick: a tick must not begin late, or each later one would.
    pub(super) fn advance(&self, by: Duration) {
        let next_tick = INTERVAL * self.ticks_due();
        self.elapsed.send_modify(|elapsed| *elapsed = next_tick.min(*elapsed + by));
    }

    /// How many ticks should have begun by now; the first one begins at once.
    pub(super) fn ticks_due(&self) -> u32 {
        1 + u32::try_from(self.elapsed.borrow().as_secs() / INTERVAL.as_secs()).unwrap_or(u32::MAX - 1)
    }

    /// Whole minutes since the start of the scenario.
    pub(super) fn minutes(&self) -> u32 {
        u32::try_from(self.elapsed.borrow().as_secs() / 60).unwrap_or(u32::MAX)
    }

    /// The time at this minute of the scenario.
    pub(super) fn at_minute(&self, minute: u32) -> Timestamp {
        self.start.plus(Duration::from_secs(u64::from(minute) * 60))
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        self.start.plus(*self.elapsed.borrow())
    }

    async fn sleep(&self, duration: Duration) {
        let mut elapsed = self.elapsed.subscribe();
        let until = elapsed.borrow().saturating_add(duration);
        // This clock holds the sender, so the channel is never closed.
        let _ = elapsed.wait_for(|elapsed| *elapsed >= until).await;
    }

    fn random(&self) -> u64 {
        SystemClock.random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_passes_only_when_it_is_advanced() {
        let clock = DemoClock::start();
        let waiting = clock.clone();
        let sleeper = tokio::spawn(async move { waiting.sleep(Duration::from_secs(60)).await });
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert!(!sleeper.is_finished() && clock.now() == clock.at_minute(0));
        clock.advance(Duration::from_secs(59));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!sleeper.is_finished() && clock.minutes() == 0);
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!((clock.minutes(), clock.now()), (1, clock.at_minute(1)));
        clock.advance(Duration::from_secs(230));
        assert_eq!(clock.ticks_due(), 1);
        clock.advance(Duration::from_secs(230));
        assert_eq!((clock.now(), clock.ticks_due()), (clock.at_minute(5), 2), "it does not pass a tick");
    }
}
