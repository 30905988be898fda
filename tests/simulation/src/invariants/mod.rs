//! The invariants: the record of a scenario is compared with the model of it.

mod availability;
mod evidence;
mod foresight;
mod incidents;
mod jobs;
mod messages;
mod overrides;
mod pools;
mod promises;
mod recording;
mod rest;
mod states;
mod threads;
mod weekly;

pub use foresight::{FORESIGHT_PROMISES, REMOVAL_PROMISES};
pub use jobs::JOB_PROMISES;
pub use promises::PROMISES;

use std::collections::BTreeMap;

use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::target::Target;

use self::evidence::History;
use crate::calendar::{HOUR_MS, MINUTE_MS};
use crate::model::Model;
use crate::operations::Scenario;
use crate::record::{Record, changes_of};
use crate::shown::kind_of;
use crate::simulation::Played;
use crate::targets::TARGETS;
use crate::world::Taken;

/// A violated invariant.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The sentence that does not hold.
    pub invariant: &'static str,
    /// The subject, time and items that violate it.
    pub details: String,
}

/// Counts of a scenario, for the statistics.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Notification items by kind.
    pub items: BTreeMap<&'static str, u64>,
    /// Outages recorded.
    pub outages: u64,
    /// Messages repeated in one of the two windows of uncertainty.
    pub repeats: u64,
    /// Promises that were tested, by kind.
    pub promises: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Adds the counts of another tally.
    pub fn add(&mut self, other: &Tally) {
        self.outages += other.outages;
        self.repeats += other.repeats;
        for (sum, more) in [(&mut self.items, &other.items), (&mut self.promises, &other.promises)] {
            for (kind, count) in more {
                *sum.entry(kind).or_default() += count;
            }
        }
    }
}

/// Checks every invariant of a scenario.
pub fn examine(scenario: &Scenario, played: &Played) -> anyhow::Result<(Vec<Violation>, Tally)> {
    let mut records = Vec::new();
    for name in TARGETS {
        let target: Target = name.parse()?;
        records.push(Record::read(played, Subject::from(&target), Some(&target))?);
    }
    records.push(Record::read(played, Subject::Credential(CredentialId::token()), None)?);
    records.push(Record::read(played, Subject::Monitor, None)?);

    let list = changes_of(played, Subject::Monitor)?;
    let of_credential = changes_of(played, Subject::Credential(CredentialId::token()))?;
    let model = Model::new(scenario, &played.world, played.end_ms);
    let mut examination = Examination { played, model, found: Vec::new(), tally: Tally::default() };
    let known_jobs = examination.model.known_jobs();
    for record in &records {
        examination.messages(record);
    }
    for (place, record) in records.iter().take(TARGETS.len()).enumerate() {
        let changes = changes_of(played, record.subject.clone())?;
        examination.evidence(place, record, &History { changes: &changes, list: &list });
        examination.rest(place, record);
        examination.states(place, record);
        examination.overrides(place, record, &changes);
        examination.recording(record, &changes);
        examination.threads(scenario, record);
        examination.silences(place, record, &changes);
        examination.pools(place, record);
        examination.foresight(place, record, &changes, &of_credential);
        examination.jobs(place, record, &changes, &known_jobs);
        examination.availability(place, &TARGETS[place].parse()?)?;
    }
    examination.states_of_the_list(&records[TARGETS.len() + 1]);
    examination.evidence_of_all(&list);
    examination.weeks(&records, &list);
    examination.incidents(&records);
    examination.pools_of_credential(scenario)?;
    examination.questions(scenario);
    examination.edits();
    examination.waits(&records);
    examination.promises(&records);
    examination.stored_jobs(&known_jobs)?;
    examination.queues_are_at_rest();
    for item in played.world.taken.iter().flat_map(|taken| &taken.notification.items) {
        *examination.tally.items.entry(kind_of(item)).or_default() += 1;
    }
    Ok((examination.found, examination.tally))
}

struct Examination<'a> {
    played: &'a Played,
    model: Model<'a>,
    found: Vec<Violation>,
    tally: Tally,
}

/// Formats a time since the start of the scenario.
pub fn moment(at_ms: i64) -> String {
    format!("{} h {} min {} s", at_ms / HOUR_MS, at_ms % HOUR_MS / MINUTE_MS, at_ms % MINUTE_MS / 1_000)
}

impl<'a> Examination<'a> {
    fn found(&mut self, invariant: &'static str, details: String) {
        self.found.push(Violation { invariant, details });
    }

    /// The messages about a subject that Slack accepted, in order.
    fn taken_of(&self, subject: &Subject) -> Vec<&'a Taken> {
        self.played.world.taken.iter().filter(|taken| taken.notification.subject == *subject).collect()
    }
}
