//! The clock of the programs.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use monitor_domain::time::Timestamp;
use monitor_pipeline::ports::Clock;

/// The time of day of this machine, tokio's timer, and random numbers from the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the only clock; the lint keeps others from bypassing it")]
    fn now(&self) -> Timestamp {
        timestamp(SystemTime::now())
    }

    /// Waits with tokio's timer, so it needs a runtime that has one.
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// A SipHash under a fresh key: the keys of [`RandomState`] come from the operating system once per thread, and
    /// each new one differs. Good for identities and for spreading work, not for secrets.
    fn random(&self) -> u64 {
        RandomState::new().hash_one(0_u8)
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let epoch = Timestamp::from_epoch_ms(0);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => epoch.plus(since),
        // A machine whose clock was never set may start before 1970.
        Err(before) => epoch.minus(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn moments_are_whole_milliseconds_on_both_sides_of_1970() {
        let at = |time| timestamp(time).epoch_ms();
        assert_eq!(at(UNIX_EPOCH + Duration::from_micros(1_763_900_000_123_999)), 1_763_900_000_123);
        assert_eq!(at(UNIX_EPOCH - Duration::from_secs(2)), -2_000);
        let new_year_2025 = Timestamp::from_epoch_ms(1_735_689_600_000);
        assert!(SystemClock.now() > new_year_2025);
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_takes_as_long_as_requested() {
        let start = tokio::time::Instant::now();
        SystemClock.sleep(Duration::from_secs(90)).await;
        assert_eq!(start.elapsed().as_secs(), 90);
    }

    #[test]
    fn no_random_number_repeats_and_every_bit_varies() {
        let draw = || (0..5_000).map(|_| SystemClock.random()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(draw)).collect();
        let drawn: HashSet<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(drawn.len(), 20_000);
        for bit in 0..64 {
            let set = drawn.iter().filter(|number| *number >> bit & 1 == 1).count();
            assert!((9_500..10_500).contains(&set), "bit {bit} is set in {set} of 20000");
        }
    }
}
