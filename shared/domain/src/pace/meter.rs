//! What of a credential's hour may be spent until the next tick.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Timestamp;

/// GitHub's hour.
const HOUR: Duration = Duration::from_secs(3_600);
/// Of the hour, one request in so many is left to what the schedule does not send.
const HEAD_ROOM: u32 = 20;
/// Of the jobs of a tick, one in so many goes out even where nothing is left, so that somebody notices.
const LEAST: usize = 100;
/// What is taken for the cost of a look while nothing is known: of twelve targets one has changed.
const UNKNOWN_COST: f64 = 0.08;
/// From fewer looks nothing is learnt.
const FEWEST_LOOKS: usize = 20;
/// The costs of so many last ticks are remembered. GitHub App tokens are renewed once in an hour, and then one round costs a
/// request for each target: one such round is no sign of the next.
const COSTS: usize = 2;
/// How far the ends of the same hour may lie apart.
const SAME_HOUR: Duration = Duration::from_secs(30);

/// What is left of a credential's hour. GitHub counts for everybody who uses the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests in an hour. A 304 is free.
    pub limit: u32,
    /// Requests left.
    pub remaining: u32,
    /// When the next hour begins.
    pub resets_at: Timestamp,
}

impl Quota {
    fn used(self) -> u32 {
        self.limit.saturating_sub(self.remaining)
    }
}

/// The jobs of one tick, before it is known how many of them may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// The time between two ticks.
    pub interval: Duration,
    /// When the first of them goes out.
    pub starts_at: Timestamp,
    /// How many have their turn.
    pub jobs: usize,
    /// How many of them are of targets never looked at before: those cost one request each.
    pub first_looks: usize,
}

/// What was sent at a tick.
#[derive(Clone, Debug)]
struct Sent {
    /// In order.
    moments: Vec<Timestamp>,
    first_looks: usize,
}

/// Learns from GitHub's own count what a look costs, and says how many may go out. What it knows is worth nothing beyond an
/// hour and may be lost at any time: it then begins with what GitHub says of the hour so far.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    last: Option<(Timestamp, Quota)>,
    sent: VecDeque<Sent>,
    costs: VecDeque<f64>,
}

impl Meter {
    /// How many of a round's jobs may go out at `now`, so that what is left lasts until the hour ends.
    ///
    /// Over the rest of the hour looks are spread evenly by what they cost of late, and no more go out at once than would use
    /// up the rest at the dearer of the last two ticks.
    pub fn allows(&mut self, now: Timestamp, quota: Quota, round: &Round) -> usize {
        let ended = quota.resets_at <= round.starts_at;
        let (low, high) = self.learn(now, quota, round);
        let remaining = if ended { quota.limit } else { quota.remaining };
        let spare = f64::from(remaining.saturating_sub(quota.limit / HEAD_ROOM));
        let left = if ended { HOUR } else { quota.resets_at.since(round.starts_at) };
        // Of a last round only a part falls into the hour.
        let rounds_left = (left.as_secs_f64() / round.interval.as_secs_f64().max(1.0)).max(0.05);
        let first_looks = (round.first_looks as f64).min(spare);
        let spare = spare - first_looks;
        let evenly = spare / rounds_left / low;
        let at_once = spare / rounds_left.min(1.0) / high;
        let allowed = (first_looks + evenly.min(at_once)).min(round.jobs as f64);
        (allowed as usize).max(round.jobs.div_ceil(LEAST))
    }

    /// Takes note of the moments of the jobs that go out, in order.
    pub fn sent(&mut self, moments: Vec<Timestamp>, first_looks: usize) {
        self.sent.push_back(Sent { first_looks: first_looks.min(moments.len()), moments });
        if self.sent.len() > COSTS + 1 {
            self.sent.pop_front();
        }
    }

    /// What a look at a known target costs, with a margin: the less and the more of the last two ticks.
    fn learn(&mut self, now: Timestamp, quota: Quota, round: &Round) -> (f64, f64) {
        let last = self.last.replace((now, quota));
        if let Some((then, before)) = last
            && let Some(cost) = self.cost_since(then, before, now, quota)
        {
            self.costs.push_back(cost);
            if self.costs.len() > COSTS {
                self.costs.pop_front();
            }
        }
        let unknown = if last.is_some() { UNKNOWN_COST } else { cost_of_the_hour(now, quota, round) };
        let low = self.costs.iter().copied().reduce(f64::min).unwrap_or(unknown);
        let high = self.costs.iter().copied().reduce(f64::max).unwrap_or(unknown);
        let with_margin = |cost: f64| (cost * 1.1 + 0.005).min(1.0);
        (with_margin(low), with_margin(high))
    }

    fn cost_since(&self, then: Timestamp, before: Quota, now: Timestamp, quota: Quota) -> Option<f64> {
        let same_hour = quota.resets_at.since(before.resets_at) < SAME_HOUR;
        let (from, used) = if same_hour {
            (then, quota.used().saturating_sub(before.used()))
        } else {
            (then.max(quota.resets_at.minus(HOUR)), quota.used())
        };
        let (looks, first_looks) = self.sent.iter().map(|sent| sent.between(from, now)).fold((0, 0), add);
        let known = looks - first_looks;
        let used = f64::from(used) - first_looks as f64;
        (known >= FEWEST_LOOKS).then(|| (used / known as f64).clamp(0.0, 1.0))
    }
}

fn add(sum: (usize, usize), more: (usize, usize)) -> (usize, usize) {
    (sum.0 + more.0, sum.1 + more.1)
}

impl Sent {
    /// How many looks fell between two moments, and how many of those were first looks.
    fn between(&self, from: Timestamp, until: Timestamp) -> (usize, usize) {
        let before = |moment: Timestamp| self.moments.partition_point(|at| *at < moment);
        let looks = before(until).saturating_sub(before(from));
        (looks, looks * self.first_looks / self.moments.len().max(1))
    }
}

/// For whoever remembers nothing: as if all jobs had gone out since the hour began.
fn cost_of_the_hour(now: Timestamp, quota: Quota, round: &Round) -> f64 {
    let rounds = now.since(quota.resets_at.minus(HOUR)).as_secs_f64() / round.interval.as_secs_f64().max(1.0);
    if rounds < 1.0 || round.jobs == 0 {
        return UNKNOWN_COST;
    }
    (f64::from(quota.used()) / (rounds * round.jobs as f64)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(300);

    fn start() -> Timestamp {
        Timestamp::from_epoch_ms(1_800_000_000_000)
    }

    /// A day of ticks of `targets`, of which a part costs a request at each tick; gives the jobs of each tick, and the least
    /// that was left of an hour, below zero where it was not enough.
    fn day(targets: usize, limit: u32, forgets: bool, cost: impl Fn(u32) -> f64) -> (Vec<usize>, i64) {
        let mut meter = Meter::default();
        let mut quota = Quota { limit, remaining: limit, resets_at: start().plus(HOUR) };
        let (mut sent, mut least) = (Vec::new(), i64::from(limit));
        for tick in 0..288_u32 {
            let now = start().plus(INTERVAL * tick);
            if now >= quota.resets_at {
                quota = Quota { remaining: limit, resets_at: now.plus(HOUR), ..quota };
            }
            if forgets {
                meter = Meter::default();
            }
            let first_looks = if tick == 0 { targets } else { 0 };
            let round = Round { interval: INTERVAL, starts_at: now, jobs: targets, first_looks };
            let jobs = meter.allows(now, quota, &round);
            let step = INTERVAL / u32::try_from(jobs).unwrap();
            meter.sent((0..jobs).map(|job| now.plus(step * u32::try_from(job).unwrap())).collect(), first_looks);
            let used = if tick == 0 { jobs } else { (jobs as f64 * cost(tick)) as usize };
            least = least.min(i64::from(quota.remaining) - i64::try_from(used).unwrap());
            quota.remaining = quota.remaining.saturating_sub(u32::try_from(used).unwrap());
            sent.push(jobs);
        }
        (sent, least)
    }

    #[test]
    fn five_in_a_hundred_that_change_are_looked_at_all_the_time() {
        let (sent, least) = day(4_000, 5_000, false, |_| 0.05);
        assert!(sent[12..].iter().all(|jobs| *jobs == 4_000), "{:?}", &sent[..24]);
        assert!(least >= 250, "{least}");
    }

    #[test]
    fn after_the_first_looks_the_rest_of_the_hour_is_spread_evenly() {
        let (sent, least) = day(4_000, 5_000, false, |_| 0.05);
        let stretched = &sent[2..12];
        assert_eq!(sent[0], 4_000);
        assert!(stretched.iter().all(|jobs| (900..2_000).contains(jobs)), "{:?}", &sent[..13]);
        assert!(least < 300, "{least} of 5,000 were not used");
        let (larger, _) = day(4_000, 12_500, false, |_| 0.05);
        assert!(larger.iter().all(|jobs| *jobs == 4_000));
    }

    #[test]
    fn where_every_round_costs_too_much_all_rounds_are_stretched_alike() {
        let (sent, least) = day(4_000, 5_000, false, |_| 0.4);
        let (shortest, longest) = (sent[24..].iter().min().unwrap(), sent[24..].iter().max().unwrap());
        // (5,000 - 250) requests / 12 rounds / 0.4, less the margin of a tenth.
        assert!(*shortest >= 850 && *longest <= 1_250, "{shortest} to {longest}");
        assert!(least >= 200, "{least}");
    }

    #[test]
    fn a_sudden_rise_does_not_use_up_the_hour() {
        for (limit, rises_after) in [(5_000, 6), (5_000, 9), (12_500, 3), (12_500, 8)] {
            let (sent, least) = day(4_000, limit, false, |tick| if tick < 24 + rises_after { 0.05 } else { 0.4 });
            assert!(least > 0 && sent.iter().all(|jobs| *jobs >= 150), "{limit}, {rises_after}: {least} of {sent:?}");
        }
    }

    #[test]
    fn one_round_that_costs_a_request_for_each_target_does_not_stretch_the_next() {
        let (sent, _) = day(4_000, 12_500, false, |tick| if tick % 12 == 6 { 1.0 } else { 0.05 });
        assert!(sent[12..].iter().all(|jobs| *jobs == 4_000), "{sent:?}");
    }

    #[test]
    fn whoever_remembers_nothing_begins_with_the_hour_so_far() {
        let (sent, _) = day(4_000, 5_000, true, |_| 0.05);
        assert!(sent[13..].iter().all(|jobs| *jobs == 4_000), "{:?}", &sent[..24]);
        assert!(sent[1..12].iter().all(|jobs| *jobs >= 40), "{:?}", &sent[..12]);
        // Less evenly, as it does not know how few went out; and yet the hour is not used up.
        let (sent, least) = day(4_000, 5_000, true, |_| 0.4);
        assert!(least > 0 && sent.iter().all(|jobs| *jobs >= 40), "{least}, {:?}", &sent[..36]);
    }

    #[test]
    fn what_others_used_up_is_noticed_by_a_few_looks_that_fail() {
        let quota = Quota { limit: 5_000, remaining: 0, resets_at: start().plus(HOUR / 2) };
        let round = Round { interval: INTERVAL, starts_at: start(), jobs: 4_000, first_looks: 0 };
        assert_eq!(Meter::default().allows(start(), quota, &round), 40);
        let ended = Quota { resets_at: start(), ..quota };
        assert!(Meter::default().allows(start(), ended, &round) > 3_000, "the next hour is whole");
    }
}
