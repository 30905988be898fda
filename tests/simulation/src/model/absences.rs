//! Times in which a runner was not online, and what must have been notified about each.

use super::{CALM_MS, CHECK_MS, FLAPPING, FLAPPING_WINDOW_MS, Model, NOTIFY_MS, RECHECK_MS, TICK_MS, next_tick};
use crate::calendar::MINUTE_MS;
use crate::world::{Truth, bit_of};

/// A time in which a runner was not online, and what must have been notified about it.
#[derive(Clone, Debug)]
pub struct Absence {
    /// The index of the target.
    pub place: usize,
    /// The runner's name.
    pub name: String,
    /// When it began.
    pub began_ms: i64,
    /// When the runner was online again, or the scenario ended.
    pub ended_ms: i64,
    /// Whether it began with the runner's removal.
    pub removed: bool,
    /// Its start must be notified by then, as an outage or a removal.
    pub notified_by_ms: Option<i64>,
    /// Whether flapping may be notified instead.
    pub may_flap: bool,
    /// Flapping must be notified by then.
    pub flaps_by_ms: Option<i64>,
    /// An outage must be notified by then even if the runner flaps.
    pub lasts_by_ms: Option<i64>,
    /// If an outage was notified while it lasted, its end must be notified by then.
    pub end_by_ms: Option<i64>,
    /// When that outage ended: the runner was online, or removed.
    pub left_ms: i64,
    /// If a removal was notified, the return must be notified by then.
    pub returns_by_ms: Option<i64>,
    /// If flapping was notified, its end must be notified by then.
    pub calm_by_ms: Option<i64>,
    /// Nothing about it may be notified, because the policy excludes it.
    pub stays_silent: bool,
    /// It was muted when it was detected. It must be notified between the end of the mute and the second time.
    pub unmuted_ms: Option<(i64, i64)>,
    /// The times by which the first, second and later reminders must have been sent.
    pub reminded_by_ms: Vec<i64>,
}

impl Model<'_> {
    /// Whether another runner of the target went offline at about the same time: such outages are notified together.
    fn has_company(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> bool {
        let others = self.world.history.iter().filter(|((of, other), _)| *of == place && other != name);
        let mut changes = others.flat_map(|(_, history)| history);
        // A runner that is removed can make a pool short, which is notified together with others too.
        let is_company =
            |truth: &Truth| *truth == Truth::Offline || self.world.rules.has_pool && *truth == Truth::Absent;
        changes.any(|(at_ms, truth)| is_company(truth) && (from_ms..=until_ms).contains(at_ms))
    }

    fn offline_bound(&self, place: usize, name: &str, from_ms: i64) -> i64 {
        let rules = self.rules(from_ms, from_ms + 30 * MINUTE_MS);
        let failure_threshold = i64::from(rules.map(|rules| rules.failure_threshold).max().unwrap_or(3));
        let alone_ms = next_tick(from_ms) + CHECK_MS + (failure_threshold - 1) * RECHECK_MS + NOTIFY_MS;
        let company_ms = alone_ms + RECHECK_MS;
        if self.has_company(place, name, from_ms - 20 * MINUTE_MS, company_ms) { company_ms } else { alone_ms }
    }

    /// The times in which a permanent runner was not online, in order.
    pub fn absences(&self) -> Vec<Absence> {
        let mut absences = Vec::new();
        for ((place, name), history) in &self.world.history {
            if bit_of(name).is_none() {
                continue;
            }
            let mut before: Vec<Absence> = Vec::new();
            let mut index = 0;
            while index < history.len() {
                if history[index].1 == Truth::Online {
                    index += 1;
                    continue;
                }
                let online = (index..history.len()).find(|later| history[*later].1 == Truth::Online);
                before.push(self.absence(
                    *place,
                    name,
                    &history[index..],
                    online.map(|online| online - index),
                    &before,
                ));
                index = online.unwrap_or(history.len());
            }
            absences.append(&mut before);
        }
        absences
    }

    /// `history` begins with the absence; `online` is where it ends.
    fn absence(
        &self,
        place: usize,
        name: &str,
        history: &[(i64, Truth)],
        online: Option<usize>,
        before: &[Absence],
    ) -> Absence {
        let from = |index: usize| history.get(index).map_or(self.end_ms, |(at_ms, _)| *at_ms);
        let (began_ms, removed) = (history[0].0, history[0].1 == Truth::Absent);
        let (left_ms, ended_ms) = (from(1), online.map_or(self.end_ms, from));
        let here = Some(place);
        let removed_bound = |from_ms| next_tick(from_ms) + CHECK_MS + RECHECK_MS + NOTIFY_MS;
        let offline_bound = |from_ms| self.offline_bound(place, name, from_ms);
        let wants_removed: Vec<bool> =
            self.rules(began_ms, ended_ms + TICK_MS).map(|rules| rules.alert_on_removed).collect();

        let may_flap = may_flap(before, began_ms);
        let mute_in = |from_ms: i64, until_ms: i64| {
            let muted =
                self.muted(place, name).filter(|(began_ms, ended_ms)| *began_ms < until_ms && *ended_ms > from_ms);
            muted.map(|(_, ended_ms)| ended_ms).max()
        };
        let notified_by_ms = match removed {
            true if !wants_removed.iter().all(|wanted| *wanted) => None,
            // A removal is detected only if a check saw the runner since it was registered and the target was listed.
            true => self.due(here, None, (began_ms, left_ms), removed_bound).filter(|by_ms| {
                let there_ms = before.last().map_or(0, |last| last.ended_ms);
                let since_ms = there_ms.max(self.listed_since(place, began_ms));
                self.was_seen(place, name, since_ms, began_ms) && !self.was_ever_unlisted(place, began_ms, *by_ms)
            }),
            false => self.due_unless(here, None, (began_ms, left_ms), offline_bound, mute_in),
        };
        // A removal during a mute is not notified. Flapping that starts in a mute is notified at the next outage.
        let notified_by_ms =
            notified_by_ms.filter(|by_ms| !(removed || may_flap) || !self.is_ever_muted(place, name, began_ms, *by_ms));
        let lasts_ms = |from_ms| next_tick(next_tick(from_ms) + CHECK_MS + CALM_MS) + CHECK_MS + NOTIFY_MS;
        let lasts_by_ms =
            if removed { None } else { self.due_unless(here, None, (began_ms, left_ms), lasts_ms, mute_in) };

        // How it ended, and for how long that was so.
        let is_gone = history.get(1).is_some_and(|(_, truth)| *truth == Truth::Absent);
        let until_ms = from(2);
        let end_by_ms = if removed || left_ms >= self.end_ms {
            None
        } else if is_gone {
            self.due(here, None, (left_ms, until_ms), removed_bound)
        } else {
            self.due(here, None, (left_ms, until_ms), |from_ms| next_tick(from_ms) + CHECK_MS + RECHECK_MS + NOTIFY_MS)
        };
        let online_until_ms = online.map_or(self.end_ms, |online| from(online + 1));
        let was_gone = history[..online.unwrap_or(history.len())].iter().any(|(_, truth)| *truth == Truth::Absent);
        let returns_by_ms = (was_gone && online.is_some())
            .then(|| {
                self.due(here, None, (ended_ms, online_until_ms), |from_ms| next_tick(from_ms) + CHECK_MS + NOTIFY_MS)
            })
            .flatten();
        let well_ms = |from_ms| next_tick(next_tick(from_ms) + CHECK_MS + CALM_MS) + TICK_MS + CHECK_MS + NOTIFY_MS;
        let calm_by_ms = self.due(here, None, (ended_ms, online_until_ms), well_ms);

        let mut absence = Absence {
            place,
            name: name.to_owned(),
            began_ms,
            ended_ms,
            removed,
            notified_by_ms,
            may_flap,
            flaps_by_ms: None,
            lasts_by_ms,
            end_by_ms,
            left_ms,
            returns_by_ms,
            calm_by_ms,
            stays_silent: removed && wants_removed.iter().all(|wanted| !*wanted),
            unmuted_ms: None,
            reminded_by_ms: Vec::new(),
        };
        absence.unmuted_ms = self.unmuted_by(before, &absence, offline_bound(began_ms));
        absence.reminded_by_ms = self.reminded_by(before, &absence);
        absence.flaps_by_ms = self.flaps_by(before, &absence);
        absence
    }

    /// When flapping must be notified: after three outages within an hour that were surely detected and surely ended,
    /// following an hour without disturbance.
    fn flaps_by(&self, before: &[Absence], last: &Absence) -> Option<i64> {
        let first = before.len().checked_sub(FLAPPING - 1)?;
        let chain = before[first..].iter().chain([last]);
        let began_ms = before[first].began_ms;
        let is_sure = chain.clone().all(|absence| absence.notified_by_ms.is_some_and(|by_ms| by_ms <= absence.left_ms))
            && before[first..].iter().all(|absence| absence.end_by_ms.is_some())
            && last.began_ms + TICK_MS < began_ms + FLAPPING_WINDOW_MS
            && before[first..].iter().all(|absence| !absence.may_flap)
            && !last.removed
            && !self.is_ever_muted(last.place, &last.name, began_ms, last.notified_by_ms?)
            && self.is_calm(last.place, began_ms - FLAPPING_WINDOW_MS, last.notified_by_ms?);
        // With an earlier outage within the hour it would have flapped before.
        let is_first = before[..first].iter().all(|absence| absence.ended_ms < began_ms - FLAPPING_WINDOW_MS - TICK_MS);
        (is_sure && is_first).then_some(last.notified_by_ms).flatten()
    }
}

/// Whether a runner may count as flapping when another absence begins.
fn may_flap(before: &[Absence], began_ms: i64) -> bool {
    let recent =
        before.iter().rev().take_while(|absence| absence.ended_ms > began_ms - FLAPPING_WINDOW_MS - 2 * TICK_MS);
    let still = before.last().is_some_and(|last| last.may_flap && began_ms - last.ended_ms < CALM_MS + 2 * TICK_MS);
    still || recent.count() >= FLAPPING - 1
}
