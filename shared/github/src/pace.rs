//! Limits the rate of requests of one credential.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Queue, Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// GitHub's minute, and a second more because GitHub's own clocks and counters are not perfectly synchronized.
const MINUTE: Duration = Duration::from_secs(61);

/// Limits concurrent requests, and requests that reach GitHub in any minute. A 304 counts like any other.
pub(crate) struct Pace {
    slots: Semaphore,
    budget: Option<Budget>,
}

/// The permission to send a request, which counts as in progress until this is dropped.
pub(crate) struct Permit<'a> {
    _slot: Option<SemaphorePermit<'a>>,
    budget: Option<&'a Budget>,
}

struct Budget {
    per_minute: usize,
    /// Held by the first waiting request, so that others queue up behind it.
    queue: Queue<()>,
    spent: Mutex<Spent>,
    ended: Notify,
}

/// The used part of the budget.
#[derive(Default)]
struct Spent {
    under_way: usize,
    /// When earlier requests ended, the oldest first. GitHub counted each at an unknown time between its start and its
    /// end, because a connection may have been opened first, or the request lost. So its minute begins with its end.
    ends: VecDeque<Instant>,
}

impl Pace {
    pub(crate) fn new(concurrent: usize, per_minute: Option<usize>) -> Self {
        let budget = per_minute.map(Budget::new);
        Self { slots: Semaphore::new(concurrent.min(Semaphore::MAX_PERMITS)), budget }
    }

    /// Waits until a request may be sent; it counts as in progress until the permit is dropped.
    pub(crate) async fn begin(&self) -> Permit<'_> {
        // `None` only if the semaphore is closed, and this one never is.
        let slot = self.slots.acquire().await.ok();
        if let Some(budget) = &self.budget {
            budget.take().await;
        }
        Permit { _slot: slot, budget: self.budget.as_ref() }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(budget) = self.budget {
            budget.end();
        }
    }
}

impl Budget {
    fn new(per_minute: usize) -> Self {
        Self { per_minute, queue: Queue::default(), spent: Mutex::default(), ended: Notify::new() }
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self) {
        let _first = self.queue.lock().await;
        loop {
            let oldest = {
                let mut spent = self.spent();
                if spent.under_way + spent.ends.len() < self.per_minute {
                    spent.under_way += 1;
                    return;
                }
                spent.ends.front().copied()
            };
            match oldest {
                Some(end) => {
                    sleep_until(end + MINUTE).await;
                    self.spent().ends.pop_front();
                }
                // All of the budget is in progress.
                None => self.ended.notified().await,
            }
        }
    }

    fn end(&self) {
        let mut spent = self.spent();
        spent.under_way -= 1;
        spent.ends.push_back(Instant::now());
        drop(spent);
        self.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

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
    async fn no_minute_of_github_has_more_than_the_budget_however_long_requests_take() {
        const BUDGET: usize = 7;
        let pace = Arc::new(Pace::new(3, Some(BUDGET)));
        let began = Instant::now();
        let mut under_way = JoinSet::new();
        for number in 0..40 {
            let pace = pace.clone();
            under_way.spawn(async move {
                let permit = pace.begin().await;
                // The first requests open connections; later ones use them.
                sleep(Duration::from_millis(if number < 3 { 4_000 } else { number * 37 % 500 })).await;
                let counted_at = began.elapsed();
                sleep(Duration::from_millis(50)).await;
                drop(permit);
                counted_at
            });
        }
        let mut counted = under_way.join_all().await;
        counted.sort_unstable();
        for (earlier, later) in counted.iter().zip(&counted[BUDGET..]) {
            assert!(*later - *earlier >= Duration::from_secs(60), "{counted:?}");
        }
        assert!(counted[39] < Duration::from_secs(5 * 62 + 5), "{counted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_smaller_than_the_concurrency_limit_is_respected_too() {
        let pace = Pace::new(100, Some(2));
        let (first, second) = (pace.begin().await, pace.begin().await);
        let began = Instant::now();
        let end = async {
            sleep(Duration::from_secs(90)).await;
            drop(first);
            sleep(Duration::from_secs(90)).await;
            drop(second);
        };
        let ((), third) = tokio::join!(end, async {
            drop(pace.begin().await);
            began.elapsed()
        });
        assert_eq!(third, Duration::from_secs(90 + 61));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_wait_uses_no_budget() {
        let pace = Pace::new(100, Some(1));
        drop(pace.begin().await);
        let gave_up = tokio::time::timeout(Duration::from_secs(30), pace.begin()).await;
        assert!(gave_up.is_err());
        let began = Instant::now();
        drop(pace.begin().await);
        assert_eq!(began.elapsed(), Duration::from_secs(31));
    }

    #[tokio::test(start_paused = true)]
    async fn concurrency_is_limited_and_without_a_budget_there_is_no_other_wait() {
        let pace = Arc::new(Pace::new(2, None));
        let first = pace.begin().await;
        let second = pace.begin().await;
        assert!(tokio::time::timeout(Duration::from_secs(900), pace.begin()).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(Duration::from_secs(1), pace.begin()).await.is_ok());
        drop(second);
    }
}
