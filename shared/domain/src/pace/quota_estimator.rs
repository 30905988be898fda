//! Estimates how much of a credential's hourly quota the next tick may use.

use std::collections::VecDeque;
use std::ops::Add;
use std::time::Duration;

use crate::time::Timestamp;

/// The period of GitHub's quota.
const HOUR: Duration = Duration::from_secs(3_600);
/// One request in this many per hour is reserved for requests outside the schedule.
const HEAD_ROOM: u32 = 20;
/// One job in this many is sent even if the quota is used up, so that the failure is detected.
const MIN_JOBS_DIVISOR: usize = 100;
/// The assumed cost of a check while nothing is known: one of twelve targets has changed.
const UNKNOWN_COST: f64 = 0.08;
/// A cost is not learnt from fewer checks, unless they cost more requests than that: random variation would look like a
/// trend.
const MIN_CHECKS: usize = 100;
/// The number of ticks whose costs are remembered. The cost of a check can alternate between ticks: a job that starts
/// and ends between two checks of its runner is never observed, so it matters whether the number of ticks between them
/// is odd or even.
const COSTS: usize = 6;
/// This many consecutive ticks predict the next. GitHub App tokens are renewed once an hour, and one round of checks
/// then costs a request per target.
const RECENT_TICKS: usize = 2;
/// How far two reported ends of the same hour may differ.
const SAME_HOUR: Duration = Duration::from_secs(30);

/// The quota of a credential's current hour. GitHub counts the requests of everybody who uses the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The number of requests per hour. A 304 is free.
    pub limit: u32,
    /// The number of requests left.
    pub remaining: u32,
    /// When the next hour starts.
    pub resets_at: Timestamp,
}

impl Quota {
    fn used(self) -> u32 {
        self.limit.saturating_sub(self.remaining)
    }
}

/// The jobs that a tick would send, before the quota is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TickPlan {
    /// The time between two ticks.
    pub interval: Duration,
    /// When the first of its jobs is sent.
    pub starts_at: Timestamp,
    /// The number of jobs that are due.
    pub jobs: usize,
    /// The number of them whose targets were never checked before: a first check costs one request.
    pub first_checks: usize,
    /// The most requests of a check, on average: 1 without workflow jobs. What GitHub counts beyond it is of others who
    /// use the credential.
    pub most_requests: f64,
}

/// The jobs sent at a tick.
#[derive(Clone, Debug)]
struct Sent {
    /// In order.
    moments: Vec<Timestamp>,
    first_checks: usize,
    /// Whether every due job was sent.
    is_whole: bool,
}

/// Learns the cost of a check from GitHub's own count, and decides how many jobs may be sent. Its memory is useless
/// after an hour and may be lost at any time: it then starts with GitHub's count for the current hour.
#[derive(Clone, Debug, Default)]
pub struct QuotaEstimator {
    last: Option<(Timestamp, Quota)>,
    sent: VecDeque<Sent>,
    costs: VecDeque<Cost>,
    /// The cost of a check at recent ticks, measured only while every target was checked at each tick. A check costs
    /// more while the interval is throttled, because more changes accumulate between two checks.
    whole_costs: VecDeque<f64>,
}

/// The requests that GitHub counted between two ticks.
#[derive(Clone, Copy, Debug)]
struct Cost {
    requests: f64,
    /// Checks of known targets.
    checks: f64,
}

impl Cost {
    fn of_a_check(self) -> f64 {
        self.requests / self.checks
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self { requests: self.requests + more.requests, checks: self.checks + more.checks }
    }
}

impl QuotaEstimator {
    /// The number of jobs of a tick that may be sent at `now`, so that the quota lasts until the hour ends.
    ///
    /// All jobs, if the quota is sufficient for that. Otherwise the checks are spread evenly over the rest of the hour
    /// according to their recent cost. In either case the jobs never exceed what the quota covers at the higher cost of
    /// the last two ticks.
    pub fn allows(&mut self, now: Timestamp, quota: Quota, tick_plan: &TickPlan) -> usize {
        let costs = self.learn(now, quota, tick_plan);
        let head_room = f64::from(quota.limit / HEAD_ROOM);
        let a_whole_hour = f64::from(quota.limit) - head_room;
        let rounds = |left: Duration| left.as_secs_f64() / tick_plan.interval.as_secs_f64().max(1.0);
        // GitHub's hour ends within an hour, whatever this machine's clock says.
        let rounds_left = rounds(quota.resets_at.since(tick_plan.starts_at).min(HOUR));
        // Jobs of the previous tick that are still to be executed.
        let (checks, first_in_flight) =
            self.sent.iter().map(|sent| sent.between(now, tick_plan.starts_at)).fold((0, 0), add);
        let in_flight = first_in_flight as f64 + (checks - first_in_flight) as f64 * costs.high;
        let spare = (f64::from(quota.remaining) - head_room - in_flight).max(0.0);

        let first_checks = tick_plan.first_checks as f64;
        let known = tick_plan.jobs as f64 - first_checks;
        let allowed = if rounds_left >= 1.0 {
            let first_checks = first_checks.min(spare);
            first_checks + self.evenly(known, spare - first_checks, rounds_left, &costs)
        } else {
            // The hour ends while these jobs are executed: the remaining quota must cover those before its end.
            let until_its_end = (spare + head_room / 2.0) / (rounds_left * costs.high).max(f64::MIN_POSITIVE);
            let next = first_checks + self.evenly(known, a_whole_hour - first_checks, rounds(HOUR), &costs);
            next.min(until_its_end)
        };
        (allowed.clamp(0.0, tick_plan.jobs as f64) as usize).max(tick_plan.jobs.div_ceil(MIN_JOBS_DIVISOR))
    }

    /// How many of `jobs` may be sent if `spare` requests must last for `rounds` ticks.
    fn evenly(&self, jobs: f64, spare: f64, rounds: f64, costs: &Costs) -> f64 {
        let catches_up = self.sent.back().is_some_and(|sent| !sent.is_whole);
        let now_costs = if catches_up { costs.usual } else { costs.whole };
        let needed = jobs * (now_costs + costs.whole * (rounds - 1.0).max(0.0));
        let evenly = if needed <= spare { jobs } else { spare / rounds.max(1.0) / costs.usual };
        evenly.min(spare / costs.high).min(jobs).max(0.0)
    }

    /// Records the moments of the jobs sent, in order. `first_checks` of them are first checks; `is_whole` says whether
    /// every due job was sent.
    pub fn sent(&mut self, moments: Vec<Timestamp>, first_checks: usize, is_whole: bool) {
        self.sent.push_back(Sent { first_checks: first_checks.min(moments.len()), moments, is_whole });
        keep(&mut self.sent, RECENT_TICKS + 1);
    }

    /// The cost of a check of a known target, with a margin.
    fn learn(&mut self, now: Timestamp, quota: Quota, tick_plan: &TickPlan) -> Costs {
        let last = self.last.replace((now, quota));
        if let Some((then, before)) = last
            && let Some(cost) = self.cost_since((then, before), (now, quota), tick_plan.most_requests)
        {
            self.costs.push_back(cost);
            keep(&mut self.costs, COSTS);
            let mut before = self.sent.iter().rev().skip(1).peekable();
            if before.peek().is_some() && before.all(|sent| sent.is_whole) {
                self.whole_costs.push_back(cost.of_a_check());
                keep(&mut self.whole_costs, RECENT_TICKS);
            }
        }
        let unknown = if last.is_some() { UNKNOWN_COST } else { cost_of_the_hour(now, quota, tick_plan) };
        let of_late = || self.costs.iter().rev().take(RECENT_TICKS).map(|cost| cost.of_a_check());
        let high = of_late().reduce(f64::max).unwrap_or(unknown);
        let low = of_late().reduce(f64::min).unwrap_or(unknown);
        let usual = self.costs.iter().copied().reduce(Cost::add).map_or(low, |cost| cost.of_a_check().max(low));
        let whole = self.whole_costs.iter().copied().reduce(f64::min).map_or(usual, |whole| whole.min(usual));
        let with_margin = |cost: f64| (cost * 1.1 + 0.005).min(tick_plan.most_requests);
        Costs { usual: with_margin(usual), high: with_margin(high), whole: with_margin(whole) }
    }

    fn cost_since(
        &self,
        (then, before): (Timestamp, Quota),
        (now, quota): (Timestamp, Quota),
        most_requests: f64,
    ) -> Option<Cost> {
        let same_hour = quota.resets_at.since(before.resets_at) < SAME_HOUR;
        let (from, used) = if same_hour {
            (then, quota.used().saturating_sub(before.used()))
        } else {
            (then.max(quota.resets_at.minus(HOUR)), quota.used())
        };
        let (checks, first_checks) = self.sent.iter().map(|sent| sent.between(from, now)).fold((0, 0), add);
        let known = checks - first_checks;
        let requests = (f64::from(used) - first_checks as f64).clamp(0.0, known as f64 * most_requests);
        let is_enough = known >= MIN_CHECKS || (known > 0 && requests >= MIN_CHECKS as f64);
        is_enough.then_some(Cost { requests, checks: known as f64 })
    }
}

/// The cost of a check of a known target.
struct Costs {
    /// The average over the remembered ticks, but at least the lower of the last two.
    usual: f64,
    /// The higher of the last two ticks.
    high: f64,
    /// The cost if all targets were checked at the previous tick.
    whole: f64,
}

fn keep<T>(queue: &mut VecDeque<T>, most: usize) {
    while queue.len() > most {
        queue.pop_front();
    }
}

fn add(sum: (usize, usize), more: (usize, usize)) -> (usize, usize) {
    (sum.0 + more.0, sum.1 + more.1)
}

impl Sent {
    /// The number of checks between two moments, and how many of those were first checks.
    fn between(&self, from: Timestamp, until: Timestamp) -> (usize, usize) {
        let before = |moment: Timestamp| self.moments.partition_point(|at| *at < moment);
        let checks = before(until).saturating_sub(before(from));
        (checks, checks * self.first_checks / self.moments.len().max(1))
    }
}

/// The cost if nothing is remembered: assumes that all jobs were sent at each tick since the hour started.
fn cost_of_the_hour(now: Timestamp, quota: Quota, tick_plan: &TickPlan) -> f64 {
    let rounds = now.since(quota.resets_at.minus(HOUR)).as_secs_f64() / tick_plan.interval.as_secs_f64().max(1.0);
    if rounds < 1.0 || tick_plan.jobs == 0 {
        return UNKNOWN_COST;
    }
    (f64::from(quota.used()) / (rounds * tick_plan.jobs as f64)).clamp(0.0, tick_plan.most_requests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Pace;

    const INTERVAL: Duration = Duration::from_secs(300);

    fn start() -> Timestamp {
        Timestamp::from_epoch_ms(1_800_000_000_000)
    }

    /// Which targets change.
    #[derive(Clone, Copy)]
    enum Changing {
        /// A different set at each tick: a target that is checked rarely has probably changed.
        All,
        /// Always the same set.
        Same,
        /// Always the same set, and each target changes back at the next tick: one that is checked every other tick
        /// never changes.
        ToAndFro,
        /// A different set at each tick, and each target changes back the next time.
        AllToAndFro,
    }

    struct Day {
        /// The number of jobs at each tick.
        sent: Vec<usize>,
        /// The lowest remaining quota of any hour; negative if it was exceeded.
        least: i64,
    }

    /// A day of ticks. At each tick, `changing` of a thousand targets change.
    fn day(limit: u32, forgets: bool, who: Changing, changing: impl Fn(u64) -> u64) -> Day {
        const TARGETS: usize = 4_000;
        let pace = Pace::of(TARGETS, Some(900), INTERVAL, Duration::from_secs(900));
        let mut quota_estimator = QuotaEstimator::default();
        let mut quota = Quota { limit, remaining: limit, resets_at: start().plus(HOUR) };
        let mut day = Day { sent: Vec::new(), least: i64::from(limit) };
        let mut has_changed = [true; TARGETS];
        let mut in_flight: Vec<(Timestamp, usize)> = Vec::new();
        for tick in 0..288_u64 {
            let now = start().plus(INTERVAL * u32::try_from(tick).unwrap());
            // Jobs start a minute after the tick, so some of the previous tick's jobs are not executed yet when the
            // quota is read.
            let done = in_flight.partition_point(|(at, _)| *at < now);
            for (at, index) in in_flight.drain(..done) {
                if at >= quota.resets_at {
                    quota = Quota { remaining: limit, resets_at: at.plus(HOUR), ..quota };
                }
                if std::mem::take(&mut has_changed[index]) {
                    day.least = day.least.min(i64::from(quota.remaining) - 1);
                    quota.remaining = quota.remaining.saturating_sub(1);
                }
            }
            if forgets {
                quota_estimator = QuotaEstimator::default();
            }
            for (index, changed) in (0_u64..).zip(&mut has_changed) {
                let drawn = match who {
                    Changing::All | Changing::AllToAndFro => (index * 2_654_435_761 + tick * 40_503) >> 7,
                    Changing::Same | Changing::ToAndFro => (index * 2_654_435_761) >> 7,
                };
                let changes = drawn % 1_000 < changing(tick);
                *changed = match who {
                    Changing::All | Changing::Same => *changed || changes,
                    Changing::ToAndFro | Changing::AllToAndFro => *changed != changes,
                };
            }
            let first_checks = if tick == 0 { TARGETS } else { 0 };
            let starts_at = now.plus(Duration::from_secs(60));
            let jobs = quota_estimator.allows(
                now,
                quota,
                &TickPlan { interval: INTERVAL, starts_at, jobs: TARGETS, first_checks, most_requests: 1.0 },
            );
            let going = (0..TARGETS).filter_map(|index| Some((starts_at.plus(pace.delay(index, tick, jobs)?), index)));
            in_flight.extend(going);
            let moments = in_flight.iter().map(|(at, _)| *at).filter(|at| *at >= starts_at).collect();
            quota_estimator.sent(moments, first_checks, jobs == TARGETS);
            day.sent.push(jobs);
        }
        day
    }

    fn is_whole(sent: &[usize]) -> bool {
        sent.iter().all(|jobs| *jobs == 4_000)
    }

    #[test]
    fn the_first_checks_may_take_an_hour_and_then_five_percent_of_changes_fit() {
        for who in [Changing::All, Changing::Same] {
            let Day { sent, least } = day(5_000, false, who, |_| 50);
            assert!(sent[0] == 4_000 && sent[1] < 1_000 && is_whole(&sent[15..]), "{sent:?}");
            assert!(least >= 100, "{least}");
            assert!(is_whole(&day(12_500, false, who, |_| 50).sent));
        }
    }

    #[test]
    fn every_tick_is_throttled_alike_when_each_costs_too_much() {
        // (5,000 - 250) requests / 12 rounds / 0.4, less the margin of a tenth.
        let Day { sent, least } = day(5_000, false, Changing::Same, |_| 400);
        assert!(sent[24..].iter().all(|jobs| (850..1_300).contains(jobs)), "{sent:?}");
        assert!(least >= 100, "{least}");
        // Almost every check finds a change. At the end of an hour the clients stop by themselves.
        let Day { sent, .. } = day(5_000, false, Changing::All, |_| 400);
        assert!(sent[36..].iter().all(|jobs| (40..3_000).contains(jobs)), "{sent:?}");
        assert!((250..600).contains(&(sent[36..].iter().sum::<usize>() / 252)), "{sent:?}");
    }

    #[test]
    fn checks_that_alternate_between_expensive_and_cheap_are_spread_evenly() {
        for (who, about) in [(Changing::ToAndFro, 1_000..2_100), (Changing::AllToAndFro, 600..850)] {
            let Day { sent, least } = day(5_000, false, who, |_| 400);
            assert!(sent[24..].iter().all(|jobs| about.contains(jobs)), "{sent:?}");
            assert!(least >= 100, "{least}");
        }
    }

    #[test]
    fn a_sudden_rise_does_not_use_up_the_hour() {
        for (limit, rises_after) in [(5_000, 6), (5_000, 9), (12_500, 3), (12_500, 8)] {
            let changing = |tick| if tick < 24 + rises_after { 50 } else { 400 };
            let Day { sent, least } = day(limit, false, Changing::Same, changing);
            assert!(least > 0 && sent.iter().all(|jobs| *jobs >= 40), "{limit}, {rises_after}: {least} of {sent:?}");
        }
    }

    #[test]
    fn a_fleet_that_has_calmed_down_is_checked_as_often_as_before() {
        let changing = |tick| if (24..60).contains(&tick) { 400 } else { 50 };
        for who in [Changing::All, Changing::Same] {
            let Day { sent, .. } = day(5_000, false, who, changing);
            assert!(sent[30..60].iter().all(|jobs| *jobs < 2_000) && is_whole(&sent[84..]), "{sent:?}");
        }
    }

    #[test]
    fn one_expensive_tick_does_not_throttle_the_next() {
        let Day { sent, .. } = day(12_500, false, Changing::All, |tick| if tick % 12 == 6 { 1_000 } else { 50 });
        assert!(is_whole(&sent[12..]), "{sent:?}");
    }

    #[test]
    fn an_estimator_without_memory_starts_with_the_usage_of_the_hour_so_far() {
        let Day { sent, least } = day(5_000, true, Changing::Same, |_| 50);
        assert!(least > 0 && is_whole(&sent[14..]), "{least}, {sent:?}");
        // Less evenly, because it does not know how few were sent. At the end of an hour the clients stop by
        // themselves.
        let Day { sent, .. } = day(5_000, true, Changing::Same, |_| 400);
        assert!(sent.iter().all(|jobs| (40..=4_000).contains(jobs)), "{sent:?}");
    }

    #[test]
    fn quota_used_by_others_is_detected_after_a_few_failed_checks() {
        let quota = Quota { limit: 5_000, remaining: 0, resets_at: start().plus(HOUR / 2) };
        let tick_plan =
            TickPlan { interval: INTERVAL, starts_at: start(), jobs: 4_000, first_checks: 0, most_requests: 1.0 };
        assert_eq!(QuotaEstimator::default().allows(start(), quota, &tick_plan), 40);
        let ended = Quota { resets_at: start(), ..quota };
        assert!(QuotaEstimator::default().allows(start(), ended, &tick_plan) > 3_000, "the next hour is whole");
    }

    #[test]
    fn jobs_that_cost_more_than_their_checks_throttle_these_before_the_quota_is_used_up() {
        // 21 targets whose jobs are asked about: 25 requests a check, 525 a tick, 6,300 an hour.
        let mut quota_estimator = QuotaEstimator::default();
        let (mut used, mut sent, mut most_used) = (0, Vec::new(), 0);
        for tick in 0..36_u32 {
            let now = start().plus(INTERVAL * tick);
            if tick % 12 == 0 {
                used = 0;
            }
            let resets_at = start().plus(HOUR * (tick / 12 + 1));
            let quota = Quota { limit: 5_000, remaining: 5_000 - used, resets_at };
            let plan = TickPlan { interval: INTERVAL, starts_at: now, jobs: 21, first_checks: 0, most_requests: 31.0 };
            let allowed = quota_estimator.allows(now, quota, &plan);
            quota_estimator.sent(vec![now; allowed], 0, allowed == 21);
            used = (used + u32::try_from(allowed).unwrap() * 25).min(5_000);
            most_used = most_used.max(used);
            sent.push(allowed);
        }
        assert!(
            most_used < 4_900 && sent[2..].iter().all(|allowed| (10..=21).contains(allowed)),
            "{most_used}, {sent:?}"
        );
    }
}
