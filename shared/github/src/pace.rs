//! How fast one credential may ask.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// GitHub counts by its own minute; the second more is for requests that travel unevenly.
const MINUTE: Duration = Duration::from_secs(61);

/// Bounds requests under way, and requests begun in any minute. A 304 counts as any other.
pub(crate) struct Pace {
    slots: Semaphore,
    budget: Option<Budget>,
}

struct Budget {
    per_minute: usize,
    /// The latest starts, oldest first, as many as the budget has. Held while its holder waits, so that others queue up behind.
    starts: Mutex<VecDeque<Instant>>,
}

impl Pace {
    pub(crate) fn new(concurrent: usize, per_minute: Option<usize>) -> Self {
        let budget = per_minute.map(|per_minute| Budget { per_minute, starts: Mutex::default() });
        Self { slots: Semaphore::new(concurrent.min(Semaphore::MAX_PERMITS)), budget }
    }

    /// Waits until a request may begin; it counts as under way until the permit is dropped.
    pub(crate) async fn begin(&self) -> Option<SemaphorePermit<'_>> {
        // None only of a closed semaphore, and nobody closes this one.
        let permit = self.slots.acquire().await.ok();
        if let Some(budget) = &self.budget {
            budget.take().await;
        }
        permit
    }
}

impl Budget {
    async fn take(&self) {
        let mut starts = self.starts.lock().await;
        if starts.len() >= self.per_minute
            && let Some(&oldest) = starts.front()
        {
            sleep_until(oldest + MINUTE).await;
            starts.pop_front();
        }
        starts.push_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_minute_holds_more_starts_than_the_budget() {
        let pace = Pace::new(100, Some(3));
        let began = Instant::now();
        let mut starts = Vec::new();
        for number in 0..10 {
            drop(pace.begin().await);
            starts.push(began.elapsed());
            // Uneven gaps, so that the window has to roll.
            tokio::time::advance(Duration::from_secs(number)).await;
        }
        assert_eq!(starts[2], Duration::from_secs(1), "a burst within the budget waits for nothing");
        for (earlier, later) in starts.iter().zip(&starts[3..]) {
            assert!(*later - *earlier >= Duration::from_secs(60), "{starts:?}");
        }
        assert!(starts[9] < Duration::from_secs(4 * 61 + 20), "{starts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_while_waiting_spends_nothing() {
        let pace = Pace::new(100, Some(1));
        drop(pace.begin().await);
        let gave_up = tokio::time::timeout(Duration::from_secs(30), pace.begin()).await;
        assert!(gave_up.is_err());
        let began = Instant::now();
        drop(pace.begin().await);
        assert_eq!(began.elapsed(), Duration::from_secs(31));
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_under_way_and_none_without_a_budget_waits() {
        let pace = Arc::new(Pace::new(2, None));
        let first = pace.begin().await;
        let second = pace.begin().await;
        assert!(tokio::time::timeout(Duration::from_secs(900), pace.begin()).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(Duration::from_secs(1), pace.begin()).await.is_ok());
        drop(second);
    }
}
