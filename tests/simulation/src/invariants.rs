//! What must and what must never be, held against the true history. Nothing here knows how the domain decides.

use std::collections::{BTreeMap, BTreeSet};

use monitor_domain::notices::{News, Notice};
use monitor_domain::outage::{Outage, Telling};
use monitor_domain::runner::Health;
use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::target::Target;

use crate::machine::story_ms;
use crate::operations::{HOUR_MS, MINUTE_MS, Story, TARGETS, What};
use crate::record::{Record, Side, count, sides};
use crate::simulation::{Installation, Played, names_at};
use crate::world::{STALE_MS, Taken, Truth, World};

/// An outage that lasts as long must be told: a tick, at most four readings a minute apart, one more for company, and
/// the time that requests take.
const MUST_BE_TOLD_MS: i64 = 15 * MINUTE_MS;
/// How long a runner must have been well for that to be seen: a tick and two readings.
const WELL_MS: i64 = 12 * MINUTE_MS;
/// A look may come as late as that after something has happened.
const FIRST_LOOK_MS: i64 = 6 * MINUTE_MS;
/// How long before and after the surroundings must have been sound, for what is asked to be strict.
const SOUND_MS: i64 = 30 * MINUTE_MS;
/// How long something may stay unseen before it is told, with a tick on either side.
const BLIND_MS: i64 = 15 * MINUTE_MS;

/// Something that must not be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// What was found.
    pub story: String,
}

/// What a story came to, for the statistics.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Notices by kind.
    pub news: BTreeMap<&'static str, u64>,
    /// Outages recorded.
    pub outages: u64,
    /// Messages told again in one of the two windows.
    pub repeats: u64,
    /// True outages that had to be told, by the strict rule.
    pub strict: u64,
}

/// Holds a story against every invariant.
pub fn examine(story: &Story, played: &Played) -> anyhow::Result<(Vec<Violation>, Tally)> {
    let installation = &played.installation;
    let mut examination =
        Examination { story, end_ms: played.end_ms, installation, found: Vec::new(), tally: Tally::default() };
    let world = installation.shared.lock().world.clone();
    examination.queues_are_at_rest();
    for (place, name) in TARGETS.iter().enumerate() {
        let target: Target = name.parse()?;
        let record = Record::read(installation, Subject::from(&target), Some(&target))?;
        examination.subject(&world, &record);
        examination.outages(&world, place, &record);
        examination.real_outages_are_told(&world, place, &record);
        examination.ends_as_github(&world, place, &record);
        examination.blindness(&world, place, &record);
    }
    for subject in [Subject::Credential(CredentialId::token()), Subject::Monitor] {
        let record = Record::read(installation, subject, None)?;
        examination.subject(&world, &record);
    }
    examination.count_news(&world);
    Ok((examination.found, examination.tally))
}

struct Examination<'a> {
    story: &'a Story,
    end_ms: i64,
    installation: &'a Installation,
    found: Vec<Violation>,
    tally: Tally,
}

/// A moment of the story in words.
pub fn moment(at_ms: i64) -> String {
    format!("{} h {} min {} s", at_ms / HOUR_MS, at_ms % HOUR_MS / MINUTE_MS, at_ms % MINUTE_MS / 1_000)
}

fn taken_of<'a>(world: &'a World, subject: &'a Subject) -> impl Iterator<Item = &'a Taken> {
    world.taken.iter().filter(move |taken| taken.notice.subject == *subject)
}

impl Examination<'_> {
    fn found(&mut self, invariant: &'static str, story: String) {
        self.found.push(Violation { invariant, story });
    }

    fn queues_are_at_rest(&mut self) {
        let depths = {
            let machine = self.installation.shared.lock();
            let elapsed = machine.elapsed();
            [("checks", machine.checks.depth(elapsed)), ("changes", machine.changes.depth(elapsed))]
        };
        for (name, depth) in depths {
            if depth.visible + depth.delayed + depth.in_flight > 0 {
                self.found("queues empty at rest", format!("{name}: {depth:?}"));
            }
        }
    }

    /// What holds for the messages about any subject.
    fn subject(&mut self, world: &World, record: &Record) {
        let taken: Vec<&Taken> = taken_of(world, &record.subject).collect();
        // Each message is a claim's, and claims are told in their order.
        let mut last = 0;
        for taken in &taken {
            let claims = record.claims.iter().filter(|claim| claim.notice == taken.notice);
            let Some(number) = claims.map(|claim| claim.number.notice).find(|number| *number >= last) else {
                let what = format!("{} at {}: {:?}", record.subject, moment(taken.at_ms), taken.notice.news);
                self.found("no message without a claim, and in their order", what);
                continue;
            };
            last = number;
        }
        // A message is taken once for each notice, but for the two windows. Notices of one wording count together.
        let mut wordings: Vec<&Notice> = Vec::new();
        for claim in &record.claims {
            if !wordings.contains(&&claim.notice) {
                wordings.push(&claim.notice);
            }
        }
        for wording in wordings {
            let numbers =
                record.claims.iter().filter(|claim| claim.notice == *wording).map(|claim| claim.number.notice);
            let notices = numbers.collect::<BTreeSet<_>>().len();
            let told = taken.iter().filter(|taken| taken.notice == *wording).count();
            let uncertain = record.uncertain().filter(|claim| claim.notice == *wording).count();
            self.tally.repeats += u64::try_from(told.saturating_sub(notices)).unwrap_or(0);
            if told > notices + uncertain {
                let what = format!("{}: taken {told} times, {uncertain} uncertain: {wording:?}", record.subject);
                self.found("at most one message for each notice, but for the two windows", what);
            }
        }
        self.sides_are_told_once(record, &taken);
    }

    fn sides_are_told_once(&mut self, record: &Record, taken: &[&Taken]) {
        let told = count(taken.iter().map(|taken| &taken.notice));
        let allowed = count(record.uncertain().map(|claim| &claim.notice));
        for ((key, side), times) in &told {
            let more = allowed.get(&(key.clone(), *side)).copied().unwrap_or(0);
            if *times > 1 + more {
                let what = format!("{} {} outage {}: {side:?} told {times} times", record.subject, key.0, key.1);
                self.found("each side of an outage is told once, but for the two windows", what);
            }
        }
        for outage in record.outages.iter().filter(|outage| outage.telling != Telling::Quiet) {
            let key = (outage.runner_name.clone(), outage.id.0.0);
            let is_told = |side| told.contains_key(&(key.clone(), side));
            let what = || format!("{} {} outage {}: {outage:?}", record.subject, key.0, key.1);
            // A runner that is gone, or no longer watched, before its outage was told is told as that alone.
            if !is_told(Side::Began) && !is_told(Side::Ended) {
                self.found("every outage is told", what());
            }
            if !outage.is_open() && !is_told(Side::Ended) {
                self.found("the end is told if the outage was", what());
            }
        }
    }

    /// What holds for recorded outages.
    fn outages(&mut self, world: &World, place: usize, record: &Record) {
        self.tally.outages += record.outages.len() as u64;
        let mut by_runner: BTreeMap<u64, Vec<&Outage>> = BTreeMap::new();
        for outage in &record.outages {
            by_runner.entry(outage.runner_id.0).or_default().push(outage);
            let from_ms = story_ms(outage.started_at) - STALE_MS - MINUTE_MS;
            let until_ms = story_ms(outage.confirmed_at);
            if !world.was_ever_away(place, &outage.runner_name, from_ms, until_ms) {
                let what = format!("{}: {outage:?}", record.subject);
                self.found("no outage without a cause", what);
            }
        }
        for outages in by_runner.values_mut() {
            outages.sort_by_key(|outage| outage.id);
            for pair in outages.windows(2) {
                if pair[0].resolved_at.is_none_or(|end| end > pair[1].started_at) {
                    let what = format!("{}: {:?} and {:?}", record.subject, pair[0], pair[1]);
                    self.found("at most one open outage per runner", what);
                }
            }
        }
    }

    /// Whether nothing disturbs a target from some time before to some time after.
    fn is_sound(&self, world: &World, place: usize, from_ms: i64, until_ms: i64) -> bool {
        let (from_ms, until_ms) = (from_ms - SOUND_MS, until_ms + SOUND_MS);
        self.installation.shared.lock().faults.is_calm(from_ms, until_ms)
            && world.is_undisturbed(place, from_ms, until_ms)
    }

    /// The strict rule: where the surroundings are sound, an outage that lasts is told in time.
    fn real_outages_are_told(&mut self, world: &World, place: usize, record: &Record) {
        for ((_, name), history) in world.history.iter().filter(|((of, _), _)| *of == place) {
            for (index, (began_ms, truth)) in history.iter().enumerate() {
                let ended_ms = history.get(index + 1).map_or(self.end_ms, |(at_ms, _)| *at_ms);
                let due_ms = began_ms + MUST_BE_TOLD_MS;
                let lasts = *truth == Truth::Offline && ended_ms >= due_ms;
                // Who was back for less than two looks was not seen to be back: that is one outage, told before.
                let was_well =
                    index > 0 && history[index - 1].1 == Truth::Online && began_ms - history[index - 1].0 >= WELL_MS;
                if !lasts
                    || !was_well
                    || !self.was_watched(world, place)
                    || !self.is_sound(world, place, *began_ms, due_ms)
                {
                    continue;
                }
                self.tally.strict += 1;
                let in_time = |taken: &&Taken| taken.at_ms <= due_ms && tells_of(&taken.notice, name, *began_ms);
                let is_told = taken_of(world, &record.subject).filter(in_time).count() > 0;
                if !is_told && !is_flapping(world, record, name, *began_ms) {
                    let what = format!("{} {name}: offline from {} on", record.subject, moment(*began_ms));
                    self.found("every real outage that lasts is told in time", what);
                }
            }
        }
    }

    /// Whether the target is on the list for the whole story. Others are disturbed where they come or go.
    fn was_watched(&self, world: &World, place: usize) -> bool {
        let toggles = self.story.operations.iter().any(|operation| operation.what == What::Toggle { target: place });
        world.watched[place] && !toggles
    }

    /// After the calm, the store knows what GitHub knows, and nothing is open or untold.
    fn ends_as_github(&mut self, world: &World, place: usize, record: &Record) {
        let Some(on_record) = &record.fleet else { return };
        let fleet = &on_record.fleet;
        let last_tellable = fleet.record.last_tellable;
        // The cursor is a hint, mended by the next look; nobody looks at a dropped target.
        let hinted = on_record.cursor.as_ref().map_or(0, |cursor| cursor.told_through.0);
        let told = if world.watched[place] { hinted } else { record.told_through() };
        if told < last_tellable.0 {
            let claims = record
                .claims
                .iter()
                .map(|claim| (claim.number, claim.after.0, claim.through.0, moment(story_ms(claim.claimed_at))));
            let claims: Vec<_> = claims.collect();
            let endings: Vec<_> = record.endings.iter().map(|sent| (sent.number, &sent.ending)).collect();
            let what = format!(
                "{} tellable {last_tellable}, {:?}\n  claims {claims:?}\n  endings {endings:?}",
                record.subject, on_record.cursor
            );
            self.found("nothing is untold at the end", what);
        }
        if record.outages.iter().any(Outage::is_open) {
            self.found("nothing is open once everybody is well", format!("{}: {:?}", record.subject, record.outages));
        }
        if !world.watched[place] {
            if !fleet.runners.is_empty() {
                self.found("a dropped target is forgotten", format!("{}: {:?}", record.subject, fleet.runners));
            }
            return;
        }
        let known: Vec<String> =
            fleet.runners.iter().filter(|runner| !runner.is_gone()).map(|runner| runner.name.clone()).collect();
        let mut sorted = known.clone();
        sorted.sort();
        let truly: Vec<String> = names_at(self.installation, place).into_iter().collect();
        if sorted != truly {
            self.found("the store ends as GitHub", format!("{}: {sorted:?}, truly {truly:?}", record.subject));
        }
        for runner in fleet.runners.iter().filter(|runner| !runner.is_gone()) {
            if runner.health != Health::Healthy || !runner.status.is_healthy() {
                self.found("the store ends as GitHub", format!("{}: {runner:?}", record.subject));
            }
        }
    }

    /// Blind notices come when something is truly unseen, and only then.
    fn blindness(&mut self, world: &World, place: usize, record: &Record) {
        let taken: Vec<&Taken> = taken_of(world, &record.subject).collect();
        let mut is_blind = false;
        for news in taken.iter().flat_map(|taken| &taken.notice.news) {
            match news {
                News::Blind { .. } => is_blind = true,
                News::SeesAgain { .. } | News::NoLongerMonitored { whole_target: true, .. } => is_blind = false,
                _ => {}
            }
        }
        if is_blind {
            self.found("sight regained is told", format!("{}", record.subject));
        }
        for operation in &self.story.operations {
            let What::AccessLost { target, for_ms } = &operation.what else { continue };
            let (from_ms, until_ms) = (operation.at_ms, operation.at_ms + for_ms);
            let due_ms = from_ms + FIRST_LOOK_MS + BLIND_MS + FIRST_LOOK_MS;
            // Its own disturbance is what is asked about.
            let others: Vec<_> =
                world.disturbed.iter().filter(|(of, began, _)| (*of, *began) != (Some(place), from_ms)).collect();
            let is_alone = !others.iter().any(|(of, began_ms, ended_ms)| {
                of.is_none_or(|of| of == place) && *began_ms < due_ms + SOUND_MS && *ended_ms > from_ms - SOUND_MS
            });
            let is_calm = self.installation.shared.lock().faults.is_calm(from_ms - SOUND_MS, due_ms + SOUND_MS);
            if *target != place || until_ms < due_ms || !is_alone || !is_calm || !self.was_watched(world, place) {
                continue;
            }
            let blind = |taken: &&&Taken| {
                (from_ms..=due_ms).contains(&taken.at_ms)
                    && taken.notice.news.iter().any(|news| matches!(news, News::Blind { .. }))
            };
            if taken.iter().filter(blind).count() != 1 {
                let what = format!("{}: no access from {} on", record.subject, moment(from_ms));
                self.found("blindness is told in time", what);
            }
        }
    }

    fn count_news(&mut self, world: &World) {
        for news in world.taken.iter().flat_map(|taken| &taken.notice.news) {
            let kind = match news {
                News::Blind { .. } => "blind",
                News::Offline { .. } => "offline",
                News::Removed { .. } => "removed",
                News::Flapping { .. } => "flapping",
                News::MonitoringStarts { .. } => "monitoring starts",
                News::Recovered { .. } => "recovered",
                News::CameAndWent { .. } => "came and went",
                News::Returned { .. } => "returned",
                News::Calm { .. } => "calm",
                News::SeesAgain { .. } => "sees again",
                News::NoLongerMonitored { .. } => "no longer monitored",
                News::Expiring { .. } => "expiring",
                News::EmptyListRefused { .. } => "empty list refused",
                News::ListRestored { .. } => "list restored",
                News::Unwatched { .. } => "unwatched",
                News::TargetsAdded { .. } => "targets added",
            };
            *self.tally.news.entry(kind).or_default() += 1;
        }
    }
}

/// Whether a reading may be the first of what began then. A look is dated by its beginning, and answered a little later.
fn is_about(started_ms: i64, began_ms: i64) -> bool {
    (began_ms - 30_000..=began_ms + FIRST_LOOK_MS).contains(&started_ms)
}

/// Whether a notice tells that a runner's outage began, about then.
fn tells_of(notice: &Notice, name: &str, began_ms: i64) -> bool {
    let about_then = |outage: &Outage| {
        let started_ms = story_ms(outage.started_at);
        outage.runner_name == name && is_about(started_ms, began_ms)
    };
    notice.news.iter().any(|news| match news {
        News::Offline { outages } | News::MonitoringStarts { outages } | News::CameAndWent { outages } => {
            outages.iter().any(about_then)
        }
        News::Flapping { runners } => runners.iter().any(|flap| flap.runner.name == name),
        _ => false,
    }) && !sides(notice).is_empty()
        || notice.news.iter().any(
            |news| matches!(news, News::Flapping { runners } if runners.iter().any(|flap| flap.runner.name == name)),
        )
}

/// Whether the outage is one of a runner that was told to be flapping before.
fn is_flapping(world: &World, record: &Record, name: &str, began_ms: i64) -> bool {
    let quiet = record.outages.iter().any(|outage| {
        let started_ms = story_ms(outage.started_at);
        outage.telling == Telling::Quiet && outage.runner_name == name && is_about(started_ms, began_ms)
    });
    let told = taken_of(world, &record.subject).any(|taken| {
        taken.at_ms <= began_ms + MUST_BE_TOLD_MS
            && taken.notice.news.iter().any(|news| matches!(news, News::Flapping { runners } if runners.iter().any(|flap| flap.runner.name == name)))
    });
    // While flapping, an outage that lasts is told after the calm time; its record then says so.
    let later = record
        .outages
        .iter()
        .any(|outage| outage.runner_name == name && is_about(story_ms(outage.started_at), began_ms));
    told && (quiet || later)
}
