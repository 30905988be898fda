//! What the store and Slack contain at the end of a scenario.

use std::collections::BTreeMap;

use monitor_domain::change::Change;
use monitor_domain::outage::Outage;
use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::target::Target;
use monitor_pipeline::items::{Claim, Item, SendEnding, Sent};
use monitor_pipeline::keys::{Key, Query};
use monitor_pipeline::records::StoredFleet;

use crate::calendar::scenario_ms;
use crate::simulation::Played;
use crate::targets::TARGETS;

/// All stored items of one subject.
pub struct Record {
    /// The subject.
    pub subject: Subject,
    /// The stored fleet, for a target.
    pub fleet: Option<StoredFleet>,
    /// Its outages.
    pub outages: Vec<Outage>,
    /// Its claims, in order of their numbers.
    pub claims: Vec<Claim>,
    /// The results of its attempts to send.
    pub endings: Vec<Sent>,
    /// When each result was first stored.
    stored_ms: BTreeMap<Key, i64>,
}

impl Record {
    /// Reads the items of a subject.
    pub fn read(played: &Played, subject: Subject, target: Option<&Target>) -> anyhow::Result<Self> {
        let (mut claims, mut endings, mut outages) = (Vec::new(), Vec::new(), Vec::new());
        let list = |query| played.stored.list(&query);
        for item in list(Query::Notifications { subject: subject.clone(), limit: usize::MAX })? {
            match item {
                Item::Claim(claim) => claims.push(claim),
                Item::Sent(sent) => endings.push(sent),
                _ => {}
            }
        }
        claims.sort_by_key(|claim| claim.number);
        let mut fleet = None;
        if let Some(target) = target {
            let query = Query::Outages { target: target.id().clone(), runner: None };
            outages = list(query)?
                .into_iter()
                .filter_map(|item| if let Item::Outage(item) = item { Some(item.outage) } else { None })
                .collect();
            fleet = Some(played.stored.fleet(target)?);
        }
        let of_subject = |key: &&Key| key.subject() == subject;
        let stored = played.world.stored_ms.iter().filter(|(key, _)| of_subject(key));
        let stored_ms = stored.map(|(key, at_ms)| (key.clone(), *at_ms)).collect();
        Ok(Self { subject, fleet, outages, claims, endings, stored_ms })
    }

    /// The last revision that a delivered message covers.
    pub fn notified_through(&self) -> u64 {
        let is_settled = |sent: &&Sent| matches!(sent.ending, SendEnding::Delivered(_));
        self.endings.iter().filter(is_settled).map(|sent| sent.through.0).max().unwrap_or(0)
    }

    /// When the result of an attempt was first stored.
    pub fn recorded_ms(&self, claim: &Claim) -> Option<i64> {
        self.stored_ms.get(&Key::Sent(claim.subject.clone(), claim.number)).copied()
    }

    /// Attempts whose message Slack may have accepted, although that was not stored when the next attempt was made:
    /// after a crash or a stall between Slack's answer and the record, or after a lost answer.
    pub fn uncertain(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().filter(|claim| {
            let ending = self.endings.iter().find(|sent| sent.number == claim.number);
            let stored_ms = self.recorded_ms(claim);
            // The next attempt, or the next notification: an earlier attempt whose record came late counts as the last.
            let next = self.claims.iter().filter(|next| next.number > claim.number).min_by_key(|next| next.number);
            ending.is_none_or(|sent| {
                let is_late =
                    next.is_some_and(|next| stored_ms.is_none_or(|stored| scenario_ms(next.claimed_at) <= stored));
                is_late || matches!(sent.ending, SendEnding::Deferred { uncertain: true, .. })
            })
        })
    }
}

/// The changes of a subject, in order.
pub fn changes_of(played: &Played, subject: Subject) -> anyhow::Result<Vec<Change>> {
    let changes = played.stored.list(&Query::Changes { subject, after: Revision(0), limit: usize::MAX })?;
    Ok(changes
        .into_iter()
        .filter_map(|item| if let Item::Change(change) = item { Some(change) } else { None })
        .collect())
}

/// A digest of everything that a scenario left in the store and in Slack.
pub fn fingerprint(played: &Played) -> anyhow::Result<u64> {
    let mut digest = played.trace;
    let mut add = |text: String| {
        for byte in text.bytes() {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    let mut subjects = vec![(Subject::Credential(CredentialId::token()), None), (Subject::Monitor, None)];
    for name in TARGETS {
        let target: Target = name.parse()?;
        subjects.push((Subject::from(&target), Some(target)));
    }
    for (subject, target) in subjects {
        let record = Record::read(played, subject.clone(), target.as_ref())?;
        if let Some(StoredFleet { fleet, cursor }) = &record.fleet {
            add(format!("{fleet:?} {cursor:?}"));
        }
        add(format!("{:?} {:?} {:?}", record.outages, record.claims, record.endings));
        add(format!("{:?}", changes_of(played, subject)?));
        if let Some(target) = target.filter(|_| played.world.jobs.webhook.is_some()) {
            add(format!("{:?}", played.stored.list(&Query::Jobs { target: target.id().clone() })?));
        }
    }
    add(format!("{:?} {:?} {:?}", played.world.taken, played.struck, played.depths));
    Ok(digest)
}
