//! Schedules the checks of one credential's targets within GitHub's limits per minute and per hour.
//!
//! No requests are counted here. Every target has its own moment within the interval, and these moments are so far
//! apart that all pollers together stay within the limit per minute. GitHub itself counts the hour: see
//! [`QuotaEstimator`].

mod quota_estimator;

use std::time::Duration;

use crate::time::Timestamp;

pub use quota_estimator::{Quota, QuotaEstimator, TickPlan};

/// One request in this many per minute is reserved for requests outside the schedule: rechecks, lookups by id, further
/// pages, manual checks, and messages that arrive late or twice.
const HEAD_ROOM: u32 = 9;

/// The first job is sent this long after the start of an interval: EventBridge ticks at some time within the minute.
const LEAD: Duration = Duration::from_secs(60);

/// The pace of one credential's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The time between two jobs.
    pub step: Duration,
    /// Whether the jobs of a tick take more than half of the interval. Their moments are then fixed by the clock and
    /// not by the time of the tick, so that the jobs of two ticks never overlap.
    pub is_tight: bool,
    interval: Duration,
    max_lateness: Duration,
    count: usize,
    /// The number of jobs that fit into an interval.
    fits: usize,
    /// The distance on the ring between neighbours in the list, see [`turned_by`].
    stride: usize,
}

impl Pace {
    /// The pace of `count` jobs; without a limit, all are sent at once. A queue can delay a job by at most
    /// `longest_delay`.
    pub fn of(count: usize, per_minute: Option<u32>, interval: Duration, longest_delay: Duration) -> Self {
        let (step, fits, stride) = (Duration::ZERO, usize::MAX, stride(count));
        let at_once = Self { step, is_tight: false, interval, max_lateness: interval, count, fits, stride };
        let Some(per_minute) = per_minute else { return at_once };
        let head_room = per_minute / HEAD_ROOM;
        let step = Duration::from_micros(60_000_000_u64.div_ceil((per_minute - head_room).max(1).into()));
        let window = interval.min(longest_delay.saturating_sub(LEAD));
        let fits = usize::try_from(window.as_micros() / step.as_micros()).unwrap_or(usize::MAX).max(1);
        let a_tick = u32::try_from(count.min(fits)).unwrap_or(u32::MAX);
        let is_tight = step.saturating_mul(a_tick) > interval / 2;
        // Jobs that pile up while no poller runs are all executed at once afterwards, so no more may survive than the
        // reserve covers.
        let max_lateness = if is_tight { step * head_room.max(1) } else { interval };
        Self { step, is_tight, max_lateness, fits, ..at_once }
    }

    /// The number of the tick at `now`: the same number if the tick is a little early or late.
    pub fn tick(self, now: Timestamp) -> u64 {
        let interval_ms = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let early_ms = (interval_ms / 2 - 30_000).max(0);
        now.epoch_ms().saturating_add(early_ms).div_euclid(interval_ms).unsigned_abs()
    }

    /// The moment of the first job of the tick at `now`.
    pub fn starts_at(self, now: Timestamp) -> Timestamp {
        if !self.is_tight {
            return now;
        }
        let interval_ms = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        let begins_ms = i64::try_from(self.tick(now).saturating_mul(interval_ms)).unwrap_or(i64::MAX);
        Timestamp::from_epoch_ms(begins_ms).plus(LEAD.min(self.interval))
    }

    /// How late a job may be executed. A later job expires: the next tick sends it again.
    pub fn max_lateness(self) -> Duration {
        self.max_lateness
    }

    /// The number of jobs sent per tick, as far as the limit per minute allows.
    pub fn jobs(self) -> usize {
        self.count.min(self.fits)
    }

    /// The time between two checks of one target if `jobs` jobs are sent at each tick.
    pub fn every(self, jobs: usize) -> Duration {
        self.interval.mul_f64(self.count.max(1) as f64 / jobs.clamp(1, self.count.max(1)) as f64)
    }

    /// The delay of the job at `index` after the first moment, if at most `allowed` jobs are sent; `None` if it is not
    /// sent at this tick.
    pub fn delay(self, index: usize, tick: u64, allowed: usize) -> Option<Duration> {
        let jobs = self.jobs().min(allowed);
        let after = |place: usize| Some(self.step.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX)));
        if jobs >= self.count {
            return after(index);
        }
        if jobs == self.fits {
            // The number of jobs is the same at every tick: each tick continues where the last one ended, so all
            // targets are checked equally often.
            let place = (index + self.count - in_a_row(tick, jobs, self.count)) % self.count;
            return (place < jobs).then(|| after(place)).flatten();
        }
        let on_the_ring = usize::try_from(index as u128 * self.stride as u128 % self.count as u128).unwrap_or(0);
        let place = (on_the_ring + self.count - turned_by(tick, self.count)) % self.count;
        // Each target keeps its own moment of the interval, unless the list is too long for that.
        let moment = if self.count <= self.fits { index } else { place };
        (place < jobs).then(|| after(moment)).flatten()
    }
}

/// The first index of a tick, if each tick sends the same number of jobs and continues where the last one ended.
fn in_a_row(tick: u64, jobs: usize, places: usize) -> usize {
    let begins_at = u128::from(tick) * jobs as u128 % places.max(1) as u128;
    usize::try_from(begins_at).unwrap_or(0)
}

const GOLDEN_SECTION: u64 = 0x9E37_79B9_7F4A_7C15;

/// The rotation of the ring at a tick. The list is a ring that the golden ratio rotates at each tick; the jobs on one
/// arc are sent. No other angle keeps the time between two visits to the same place as short, whatever the length of
/// the arc and however it changes. So all targets are checked in turn without any stored state.
fn turned_by(tick: u64, places: usize) -> usize {
    let turned = u128::from(tick.wrapping_mul(GOLDEN_SECTION)) * places as u128;
    usize::try_from(turned >> 64).unwrap_or(0)
}

/// The distance on the ring between neighbours in the list. It spreads each arc over the whole list: neighbours are
/// often alike, and the cost measured on some targets is assumed for all.
fn stride(count: usize) -> usize {
    let coprime = |stride: &usize| {
        let (mut a, mut b) = (count, *stride);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    (turned_by(1, count).max(1)..count.max(2)).find(coprime).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(300);
    const LONGEST: Duration = Duration::from_secs(900);
    const MINUTE: Duration = Duration::from_secs(60);
    const ALL: usize = usize::MAX;

    fn pace(count: usize, per_minute: u32, interval_secs: u64) -> Pace {
        Pace::of(count, Some(per_minute), Duration::from_secs(interval_secs), LONGEST)
    }

    /// The moments of the jobs of `ticks` ticks in order. Each tick is late by `late_secs`.
    fn moments(pace: Pace, ticks: u64, late_secs: impl Fn(u64) -> u64) -> Vec<Timestamp> {
        let mut moments = Vec::new();
        for number in 0..ticks {
            let now = Timestamp::from_epoch_ms(1_800_000_000_000)
                .plus(pace.interval * u32::try_from(number).unwrap())
                .plus(Duration::from_secs(late_secs(number)));
            let (tick, starts_at) = (pace.tick(now), pace.starts_at(now));
            let due = (0..pace.count).filter_map(|index| pace.delay(index, tick, ALL));
            moments.extend(due.map(|delay| starts_at.plus(delay).max(now)));
        }
        moments.sort_unstable();
        moments
    }

    fn most_in_a_minute(moments: &[Timestamp]) -> usize {
        let until = |from: Timestamp| moments.partition_point(|at| *at < from.plus(MINUTE));
        moments.iter().enumerate().map(|(index, from)| until(*from) - index).max().unwrap_or(0)
    }

    #[test]
    fn four_thousand_targets_go_out_in_five_minutes_with_a_ninth_of_the_minute_to_spare() {
        let pace = pace(4_000, 900, 300);
        assert_eq!((pace.step, pace.jobs(), pace.is_tight), (Duration::from_millis(75), 4_000, true));
        assert_eq!(pace.max_lateness(), Duration::from_millis(7_500));
        assert_eq!(pace.delay(3_999, 7, ALL), Some(Duration::from_millis(299_925)));
    }

    #[test]
    fn whenever_ticks_come_within_their_minute_no_minute_holds_more_than_the_schedules_share() {
        for (count, per_minute, interval_secs) in
            [(4_000, 900, 300), (3_999, 900, 300), (10_000, 900, 120), (12_000, 900, 900), (5_500, 450, 600)]
        {
            let pace = pace(count, per_minute, interval_secs);
            assert!(pace.is_tight);
            let share = usize::try_from(per_minute - per_minute / HEAD_ROOM).unwrap();
            for late_secs in [|_| 0, |number| number * 37 % 60, |number| 59 * (number % 2)] {
                let most = most_in_a_minute(&moments(pace, 7, late_secs));
                assert!(most <= share + 1, "{count}: {most}");
            }
        }
    }

    #[test]
    fn few_targets_start_at_once_and_without_a_limit_all_do() {
        let few = pace(2_000, 900, 300);
        let now = Timestamp::from_epoch_ms(1_800_000_123_456);
        assert_eq!((few.is_tight, few.starts_at(now), few.max_lateness()), (false, now, INTERVAL));
        assert_eq!(few.delay(2, 0, ALL), Some(Duration::from_millis(150)));
        let unlimited = Pace::of(10_000, None, INTERVAL, LONGEST);
        assert!((0..10_000).all(|index| unlimited.delay(index, 3, ALL) == Some(Duration::ZERO)));
    }

    #[test]
    fn a_queue_can_hold_every_job_back_until_its_moment() {
        for (count, interval_secs) in [(4_000, 300), (20_000, 900), (20_000, 3_600)] {
            let pace = pace(count, 900, interval_secs);
            let last = (0..count).filter_map(|index| pace.delay(index, 0, ALL)).max().unwrap();
            assert!(last + LEAD <= LONGEST, "{count}: {last:?}");
        }
    }

    #[test]
    fn targets_that_do_not_fit_into_one_interval_rotate_without_a_break() {
        for count in [4_001, 5_000, 10_000] {
            let pace = pace(count, 900, 300);
            let every = pace.every(pace.jobs());
            assert_eq!(every, Duration::from_millis(75) * u32::try_from(count).unwrap());
            let mut last: BTreeMap<usize, Duration> = BTreeMap::new();
            for tick in 1_000..1_020 {
                let begins_at = INTERVAL * u32::try_from(tick).unwrap();
                for index in 0..count {
                    let Some(delay) = pace.delay(index, tick, ALL) else { continue };
                    let at = begins_at + delay;
                    assert!(last.insert(index, at).is_none_or(|before| at - before == every), "{count}: {index}");
                }
            }
            assert_eq!(last.len(), count);
        }
        assert_eq!(pace(0, 900, 300).jobs(), 0);
    }

    #[test]
    fn each_target_keeps_its_own_moment_when_fewer_are_allowed() {
        for (count, allowed) in [(4_000, 3_999), (4_000, 1_800), (4_000, 1_000), (1_000, 90), (10_000, 700), (7, 1)] {
            let pace = pace(count, 900, 300);
            let mut last: BTreeMap<usize, (u64, Duration)> = BTreeMap::new();
            let mut longest = 0;
            for tick in 1_000..1_400 {
                let going: Vec<_> = (0..count).filter_map(|i| Some((i, pace.delay(i, tick, allowed)?))).collect();
                assert_eq!(going.len(), allowed.min(pace.jobs()), "{count}");
                for (index, delay) in going {
                    if let Some((then, moment)) = last.insert(index, (tick, delay)) {
                        assert!(moment == delay || count > 4_000);
                        longest = longest.max(tick - then);
                    }
                }
            }
            assert_eq!(last.len(), count, "all of them");
            let even = count.div_ceil(allowed) as f64;
            assert!(longest as f64 <= 2.0 * even + 1.0, "{count} of which {allowed}: {longest} ticks, evenly {even}");
        }
    }

    #[test]
    fn a_share_that_changes_at_every_tick_starves_nobody() {
        let pace = pace(4_000, 900, 300);
        let mut last = vec![0_u64; 4_000];
        for tick in 1..500 {
            let allowed = [4_000, 900, 1_500, 2_500, 1_200][usize::try_from(tick % 5).unwrap()];
            for (index, last) in last.iter_mut().enumerate() {
                if pace.delay(index, tick, allowed).is_some() {
                    assert!(tick - *last <= 9, "{index} waited for {} ticks", tick - *last);
                    *last = tick;
                }
            }
        }
        assert!(last.iter().all(|last| *last > 480));
    }
}
