//! What must have been said, and by when, derived from what was true. It knows the policy's numbers, how often the
//! monitor looks and how long requests take; it knows nothing of how anything is decided.

use crate::operations::{MINUTE_MS, Story, TARGETS, What};
use crate::world::{Answered, Look, RUNNERS, Rules, Truth, World, bit_of};

/// A tick comes so often.
const TICK_MS: i64 = 5 * MINUTE_MS;
/// A second look comes a minute after the first, and takes some seconds.
const RECHECK_MS: i64 = 63_000;
/// From a tick to the end of the looks that it brings.
const LOOK_MS: i64 = 3_000;
/// From a decision to Slack.
const TELL_MS: i64 = 10_000;
/// How long a disturbance can be felt once it is over: an attempt to send that was put off, a lease, a function that
/// stands still.
const AFTERMATH_MS: i64 = 30 * MINUTE_MS;
/// How long looks may fail, or the monitor be away, before that is told.
pub const BLIND_MS: i64 = 15 * MINUTE_MS;
/// Readings count that are so far apart.
pub const APART_MS: i64 = 30_000;
/// How many good readings end an outage, and how many lists without it make a runner gone.
pub const READINGS: usize = 2;
/// So many outages within the hour make a runner flap, until it is well for half an hour.
const FLAPPING: usize = 3;
const FLAPPING_WINDOW_MS: i64 = 60 * MINUTE_MS;
const CALM_MS: i64 = 30 * MINUTE_MS;

/// A time in which a runner was not online, and what must have been said of it.
#[derive(Clone, Debug)]
pub struct Absence {
    /// The target.
    pub place: usize,
    /// The runner.
    pub name: String,
    /// When it began.
    pub began_ms: i64,
    /// When it was online again, or the story ended.
    pub ended_ms: i64,
    /// Whether it began with the runner's removal.
    pub removed: bool,
    /// That it began must be told by then, as an outage or a removal.
    pub told_by_ms: Option<i64>,
    /// In place of that it may be told that the runner flaps.
    pub may_flap: bool,
    /// It must be told by then that the runner flaps.
    pub flaps_by_ms: Option<i64>,
    /// As an outage it must be told by then all the same.
    pub lasts_by_ms: Option<i64>,
    /// An outage that was told while it lasted must be told to have ended by then.
    pub end_by_ms: Option<i64>,
    /// When the outage ended that must be told so: the runner was online, or removed.
    pub left_ms: i64,
    /// A removal that was told must be followed by the news of its return by then.
    pub returns_by_ms: Option<i64>,
    /// Flapping that was told must be told to be over by then.
    pub calm_by_ms: Option<i64>,
    /// Nothing about it may be told: the policy does not want to hear of it.
    pub untold: bool,
}

/// A time in which something could not be seen or did not run, in which nothing else went wrong.
#[derive(Clone, Debug)]
pub struct Unseen {
    /// What could not be seen.
    pub what: What,
    /// When it began.
    pub began_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
    /// It must be told by then, once.
    pub told_by_ms: Option<i64>,
    /// It must not be told at all.
    pub untold: bool,
    /// That it is over must be told by then, once, if it was told.
    pub over_by_ms: Option<i64>,
}

/// A target that came onto the list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Which.
    pub place: usize,
    /// When.
    pub at_ms: i64,
    /// It must be told by then.
    pub told_by_ms: Option<i64>,
}

/// Where a disturbance comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Window,
    Operation(usize),
    Unlisted,
}

#[derive(Clone, Copy, Debug)]
struct Disturbance {
    place: Option<usize>,
    source: Source,
    from_ms: i64,
    until_ms: i64,
}

/// The model of a story.
pub struct Model<'a> {
    story: &'a Story,
    world: &'a World,
    end_ms: i64,
    disturbances: Vec<Disturbance>,
}

/// The first tick at or after a moment.
fn next_tick(at_ms: i64) -> i64 {
    at_ms + (TICK_MS - at_ms.rem_euclid(TICK_MS)) % TICK_MS
}

impl<'a> Model<'a> {
    /// The model of a story that ended then.
    pub fn new(story: &'a Story, world: &'a World, end_ms: i64) -> Self {
        let mut disturbances = Vec::new();
        let mut disturb = |place, source, from_ms, until_ms: i64| {
            disturbances.push(Disturbance { place, source, from_ms, until_ms: until_ms + AFTERMATH_MS });
        };
        for window in &story.windows {
            disturb(None, Source::Window, window.from_ms, window.until_ms);
        }
        for (number, operation) in story.operations.iter().enumerate() {
            let (place, for_ms) = match operation.what {
                What::AccessLost { target, for_ms } => (Some(target), for_ms),
                What::CredentialRefused { for_ms } | What::MonitorDown { for_ms } | What::SlackDead { for_ms } => {
                    (None, for_ms)
                }
                _ => continue,
            };
            disturb(place, Source::Operation(number), operation.at_ms, operation.at_ms + for_ms);
        }
        for (place, from_ms, until_ms) in unlisted(world, end_ms) {
            disturb(Some(place), Source::Unlisted, from_ms, until_ms);
        }
        Self { story, world, end_ms, disturbances }
    }

    /// By when something must have come of what was so from `at_ms` until `limit_ms`: `bound` says how long it takes where
    /// nothing disturbs it, and it is counted anew from the end of each disturbance. None where it need not at all.
    fn due(
        &self,
        place: Option<usize>,
        but: Option<Source>,
        (at_ms, limit_ms): (i64, i64),
        bound: impl Fn(i64) -> i64,
    ) -> Option<i64> {
        let mut from_ms = at_ms;
        loop {
            let due_ms = bound(from_ms);
            if due_ms > limit_ms.min(self.end_ms) {
                return None;
            }
            match self.disturbance(place, but, from_ms, due_ms) {
                None => return Some(due_ms),
                Some(disturbance) => from_ms = disturbance.until_ms,
            }
        }
    }

    /// The first of what disturbs a target, or all of them, between two moments.
    fn disturbance(
        &self,
        place: Option<usize>,
        but: Option<Source>,
        from_ms: i64,
        until_ms: i64,
    ) -> Option<&Disturbance> {
        self.disturbances.iter().find(|disturbance| {
            // A target that is not on the list is no disturbance of what befalls all.
            let is_of = match place {
                None => disturbance.source != Source::Unlisted,
                Some(_) => disturbance.place.is_none() || disturbance.place == place,
            };
            is_of && Some(disturbance.source) != but && disturbance.from_ms < until_ms && disturbance.until_ms > from_ms
        })
    }

    /// Whether nothing disturbs a target all the time in between.
    pub fn is_calm(&self, place: usize, from_ms: i64, until_ms: i64) -> bool {
        self.disturbance(Some(place), None, from_ms, until_ms).is_none()
    }

    /// Whether functions may end in the middle in between, so that what they saw is lost.
    pub fn may_lose(&self, from_ms: i64, until_ms: i64) -> bool {
        self.disturbances.iter().any(|disturbance| {
            let is_outside = match disturbance.source {
                Source::Operation(number) => !matches!(self.story.operations[number].what, What::MonitorDown { .. }),
                Source::Unlisted => true,
                Source::Window => false,
            };
            !is_outside && disturbance.from_ms < until_ms && disturbance.until_ms > from_ms
        })
    }

    /// The policies that were in force at some time in between.
    pub fn rules(&self, from_ms: i64, until_ms: i64) -> impl Iterator<Item = Rules> + use<'a> {
        let history = &self.world.rules_history;
        let first = history.iter().rposition(|(at_ms, _)| *at_ms <= from_ms).unwrap_or(0);
        history[first..].iter().take_while(move |(at_ms, _)| *at_ms <= until_ms).map(|(_, rules)| *rules)
    }

    /// How many bad readings were needed at least, by any policy in between.
    pub fn least_confirm(&self, from_ms: i64, until_ms: i64) -> usize {
        self.rules(from_ms, until_ms).map(|rules| rules.confirm).min().unwrap_or(1) as usize
    }

    /// Whether another runner of a target went offline about then: outages that are found together are told together.
    fn has_company(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> bool {
        let others = self.world.history.iter().filter(|((of, other), _)| *of == place && other != name);
        let mut changes = others.flat_map(|(_, history)| history);
        changes.any(|(at_ms, truth)| *truth == Truth::Offline && (from_ms..=until_ms).contains(at_ms))
    }

    fn offline_bound(&self, place: usize, name: &str, from_ms: i64) -> i64 {
        let rules = self.rules(from_ms, from_ms + 30 * MINUTE_MS);
        let confirm = i64::from(rules.map(|rules| rules.confirm).max().unwrap_or(3));
        let alone_ms = next_tick(from_ms) + LOOK_MS + (confirm - 1) * RECHECK_MS + TELL_MS;
        let company_ms = alone_ms + RECHECK_MS;
        if self.has_company(place, name, from_ms - 20 * MINUTE_MS, company_ms) { company_ms } else { alone_ms }
    }

    /// What must have been said of each time in which a runner that stays was not online, in order.
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
        let removed_bound = |from_ms| next_tick(from_ms) + LOOK_MS + RECHECK_MS + TELL_MS;
        let offline_bound = |from_ms| self.offline_bound(place, name, from_ms);
        let wants_removed: Vec<bool> =
            self.rules(began_ms, ended_ms + TICK_MS).map(|rules| rules.tell_removed).collect();

        let may_flap = may_flap(before, began_ms);
        let told_by_ms = match removed {
            true if !wants_removed.iter().all(|wanted| *wanted) => None,
            // Nobody misses a runner that was never seen.
            true => self
                .due(here, None, (began_ms, left_ms), removed_bound)
                .filter(|by_ms| !self.was_ever_unlisted(place, began_ms - AFTERMATH_MS, *by_ms)),
            false => self.due(here, None, (began_ms, left_ms), offline_bound),
        };
        let lasts_ms = |from_ms| next_tick(next_tick(from_ms) + LOOK_MS + CALM_MS) + LOOK_MS + TELL_MS;
        let lasts_by_ms = if removed { None } else { self.due(here, None, (began_ms, left_ms), lasts_ms) };

        // How it ended, and for how long that was so.
        let is_gone = history.get(1).is_some_and(|(_, truth)| *truth == Truth::Absent);
        let until_ms = from(2);
        let end_by_ms = if removed || left_ms >= self.end_ms {
            None
        } else if is_gone {
            self.due(here, None, (left_ms, until_ms), removed_bound)
        } else {
            self.due(here, None, (left_ms, until_ms), |from_ms| next_tick(from_ms) + LOOK_MS + RECHECK_MS + TELL_MS)
        };
        let online_until_ms = online.map_or(self.end_ms, |online| from(online + 1));
        let was_gone = history[..online.unwrap_or(history.len())].iter().any(|(_, truth)| *truth == Truth::Absent);
        let returns_by_ms = (was_gone && online.is_some())
            .then(|| {
                self.due(here, None, (ended_ms, online_until_ms), |from_ms| next_tick(from_ms) + LOOK_MS + TELL_MS)
            })
            .flatten();
        let well_ms = |from_ms| next_tick(next_tick(from_ms) + LOOK_MS + CALM_MS) + TICK_MS + LOOK_MS + TELL_MS;
        let calm_by_ms = self.due(here, None, (ended_ms, online_until_ms), well_ms);

        let mut absence = Absence {
            place,
            name: name.to_owned(),
            began_ms,
            ended_ms,
            removed,
            told_by_ms,
            may_flap,
            flaps_by_ms: None,
            lasts_by_ms,
            end_by_ms,
            left_ms,
            returns_by_ms,
            calm_by_ms,
            untold: removed && wants_removed.iter().all(|wanted| !*wanted),
        };
        absence.flaps_by_ms = self.flaps_by(before, &absence);
        absence
    }

    /// Three outages that were surely seen, each of which surely ended, within the hour and after a calm one.
    fn flaps_by(&self, before: &[Absence], last: &Absence) -> Option<i64> {
        let first = before.len().checked_sub(FLAPPING - 1)?;
        let chain = before[first..].iter().chain([last]);
        let began_ms = before[first].began_ms;
        let is_sure = chain.clone().all(|absence| absence.told_by_ms.is_some_and(|by_ms| by_ms <= absence.left_ms))
            && before[first..].iter().all(|absence| absence.end_by_ms.is_some())
            && last.began_ms + TICK_MS < began_ms + FLAPPING_WINDOW_MS
            && before[first..].iter().all(|absence| !absence.may_flap)
            && !last.removed
            && self.is_calm(last.place, began_ms - FLAPPING_WINDOW_MS, last.told_by_ms?);
        // An earlier one within the hour would have made it flap before.
        let is_first = before[..first].iter().all(|absence| absence.ended_ms < began_ms - FLAPPING_WINDOW_MS - TICK_MS);
        (is_sure && is_first).then_some(last.told_by_ms).flatten()
    }

    /// What must have been said of what could not be seen while nothing else was wrong.
    pub fn unseen(&self) -> Vec<Unseen> {
        let mut unseen = Vec::new();
        for (number, operation) in self.story.operations.iter().enumerate() {
            let (what, began_ms) = (operation.what.clone(), operation.at_ms);
            let (place, for_ms) = match what {
                What::AccessLost { target, for_ms } => (Some(target), for_ms),
                What::CredentialRefused { for_ms } | What::MonitorDown { for_ms } => (None, for_ms),
                _ => continue,
            };
            let (ended_ms, but) = (began_ms + for_ms, Some(Source::Operation(number)));
            let alone = |until_ms: i64| self.disturbance(place, but, began_ms, until_ms).is_none();
            let over_ms = next_tick(ended_ms) + LOOK_MS + TELL_MS;
            let mut this = Unseen { what, began_ms, ended_ms, told_by_ms: None, untold: false, over_by_ms: None };
            if let What::MonitorDown { .. } = this.what {
                let last_tick_ms = next_tick(began_ms) - TICK_MS;
                let gap_ms = next_tick(ended_ms) - last_tick_ms;
                // A tick at the very moment is cut off or not.
                if alone(over_ms) && began_ms - last_tick_ms > LOOK_MS && over_ms <= self.end_ms {
                    this.told_by_ms = (gap_ms >= BLIND_MS).then_some(over_ms);
                    this.untold = gap_ms < BLIND_MS;
                }
            } else {
                let due_ms = next_tick(began_ms) + BLIND_MS + TICK_MS + LOOK_MS + TELL_MS;
                if alone(over_ms) {
                    this.told_by_ms = (due_ms <= ended_ms.min(self.end_ms)).then_some(due_ms);
                    this.untold = for_ms < BLIND_MS;
                    this.over_by_ms = (over_ms <= self.end_ms).then_some(over_ms);
                }
            }
            unseen.push(this);
        }
        unseen
    }

    /// What must have been said of targets that came onto the list.
    pub fn listed(&self) -> Vec<Listed> {
        let history = &self.world.listed_history;
        let mut listed = Vec::new();
        for place in 0..TARGETS.len() {
            let mut off_since_ms = Some(i64::MIN / 2);
            for (index, (at_ms, list)) in history.iter().enumerate() {
                match (list[place], off_since_ms) {
                    (false, None) => off_since_ms = Some(*at_ms),
                    (true, Some(since_ms)) => {
                        off_since_ms = None;
                        let off_ms = history[index..].iter().find(|(_, list)| !list[place]).map(|(at_ms, _)| *at_ms);
                        // The schedule knows that it was off only if it ticked in between, and could read the list.
                        let unlisted = Some(Source::Unlisted);
                        let is_sound = self.disturbance(Some(place), unlisted, since_ms, *at_ms).is_none();
                        let ticked = next_tick(since_ms.max(0)) + LOOK_MS < *at_ms;
                        let was_noticed = since_ms < 0 || (is_sound && ticked);
                        let bound = |from_ms| next_tick(from_ms) + LOOK_MS + TELL_MS;
                        let until = (*at_ms, off_ms.unwrap_or(self.end_ms));
                        let told_by_ms = self.due(Some(place), Some(Source::Unlisted), until, bound);
                        listed.push(Listed { place, at_ms: *at_ms, told_by_ms: told_by_ms.filter(|_| was_noticed) });
                    }
                    _ => {}
                }
            }
        }
        listed
    }

    /// Whether a runner was other than online at some time in between.
    pub fn was_ever_away(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> bool {
        let history = self.world.history.get(&(place, name.to_owned())).map_or(&[][..], Vec::as_slice);
        let before =
            history.iter().rev().find(|(at_ms, _)| *at_ms <= from_ms).map_or(Truth::Absent, |(_, truth)| *truth);
        before != Truth::Online
            || history.iter().any(|(at_ms, truth)| (from_ms..=until_ms).contains(at_ms) && *truth != Truth::Online)
    }

    /// Whether a target was off the list at some time in between.
    pub fn was_ever_unlisted(&self, place: usize, from_ms: i64, until_ms: i64) -> bool {
        unlisted(self.world, self.end_ms)
            .any(|(of, began_ms, ended_ms)| of == place && began_ms <= until_ms && ended_ms >= from_ms)
    }

    /// The looks at a target that were answered in full, from one moment to another, with what each said of a runner.
    pub fn readings(&self, place: usize, name: &str, from_ms: i64, until_ms: i64) -> Vec<(i64, Reading)> {
        let bit = bit_of(name).unwrap_or(0);
        let looks = self.world.looks[place].iter().filter(|look| (from_ms..=until_ms).contains(&look.at_ms));
        let mut readings: Vec<(i64, Reading)> =
            looks.filter_map(|look| Some((look.at_ms, reading(look, bit)?))).collect();
        readings.sort_by_key(|(at_ms, _)| *at_ms);
        readings
    }
}

/// What a look said of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Online.
    Good,
    /// Offline.
    Bad,
    /// Not on the list.
    Missing,
    /// Not on the list though it is registered: it depends on what asking by its id gave.
    Slipped,
}

fn reading(look: &Look, bit: u8) -> Option<Reading> {
    let Answered::List { online, offline, slipped } = look.answered else { return None };
    Some(match () {
        () if online & bit > 0 => Reading::Good,
        () if offline & bit > 0 => Reading::Bad,
        () if slipped & bit > 0 => Reading::Slipped,
        () => Reading::Missing,
    })
}

/// How many of these moments are far enough apart to count.
pub fn count_apart(moments: impl Iterator<Item = i64>) -> usize {
    let mut last_ms = None;
    moments
        .filter(|at_ms| {
            let counts = last_ms.is_none_or(|last_ms| at_ms - last_ms >= APART_MS);
            if counts {
                last_ms = Some(*at_ms);
            }
            counts
        })
        .count()
}

/// Whether a runner may be held to flap when another absence begins.
fn may_flap(before: &[Absence], began_ms: i64) -> bool {
    let recent =
        before.iter().rev().take_while(|absence| absence.ended_ms > began_ms - FLAPPING_WINDOW_MS - 2 * TICK_MS);
    let still = before.last().is_some_and(|last| last.may_flap && began_ms - last.ended_ms < CALM_MS + 2 * TICK_MS);
    still || recent.count() >= FLAPPING - 1
}

/// When which targets were off the list.
fn unlisted(world: &World, end_ms: i64) -> impl Iterator<Item = (usize, i64, i64)> {
    let history = &world.listed_history;
    history.iter().enumerate().flat_map(move |(index, (from_ms, list))| {
        let until_ms = history.get(index + 1).map_or(end_ms, |(at_ms, _)| *at_ms);
        let off = move |place: &usize| !list[*place];
        (0..TARGETS.len()).filter(off).map(move |place| (place, *from_ms, until_ms))
    })
}

const _: () = assert!(RUNNERS < 8, "each runner that stays has a bit");
