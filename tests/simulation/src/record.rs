//! What the store and Slack hold when a story has ended.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use monitor_domain::change::Change;
use monitor_domain::notices::{News, Notice};
use monitor_domain::outage::Outage;
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::Target;
use monitor_pipeline::items::{Claim, Item, Key, Query, SendEnding, Sent};
use monitor_pipeline::ports::{Store, StoreError};
use monitor_pipeline::records::{FleetOnRecord, read_fleet};

use crate::machine::story_ms;
use crate::simulation::Installation;

/// One side of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// That it began.
    Began,
    /// That it ended.
    Ended,
}

/// Runner's name and outage's number.
pub type OutageKey = (String, u64);

/// Everything about one subject.
pub struct Record {
    /// The subject.
    pub subject: Subject,
    /// What is known of the fleet, for a target.
    pub fleet: Option<FleetOnRecord>,
    /// Its outages.
    pub outages: Vec<Outage>,
    /// Its claims, in order.
    pub claims: Vec<Claim>,
    /// How its attempts ended.
    pub endings: Vec<Sent>,
    /// What was committed, in order.
    pub changes: Vec<Change>,
    /// When each ending was first stored.
    pub stored_ms: BTreeMap<Key, i64>,
}

/// Takes the value of a future that does not wait.
fn ready<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => anyhow::bail!("the embedded store waits"),
    }
}

impl Record {
    /// Reads everything about a subject.
    pub fn read(installation: &Installation, subject: Subject, target: Option<&Target>) -> anyhow::Result<Self> {
        let store = &installation.store.store;
        let stored_ms = installation.shared.lock().world.stored_ms.clone();
        let list = |query| -> anyhow::Result<Vec<Item>> { Ok(ready(store.list(&query))??) };
        let (mut claims, mut endings, mut outages) = (Vec::new(), Vec::new(), Vec::new());
        for item in list(Query::Notices { subject: subject.clone(), limit: usize::MAX })? {
            match item {
                Item::Claim(claim) => claims.push(claim),
                Item::Sent(sent) => endings.push(sent),
                _ => {}
            }
        }
        claims.sort_by_key(|claim| claim.number);
        let query = Query::Changes { subject: subject.clone(), after: Revision(0), limit: usize::MAX };
        let changes = list(query)?
            .into_iter()
            .filter_map(|item| if let Item::Change(change) = item { Some(change) } else { None });
        let changes = changes.collect();
        let mut fleet = None;
        if let Some(target) = target {
            let query = Query::Outages { target: target.id().clone(), runner: None };
            outages = list(query)?
                .into_iter()
                .filter_map(|item| if let Item::Outage(item) = item { Some(item.outage) } else { None })
                .collect();
            let read: Result<FleetOnRecord, StoreError> = ready(read_fleet(store, target))?;
            fleet = Some(read?);
        }
        Ok(Self { subject, fleet, outages, claims, endings, changes, stored_ms })
    }

    /// The last revision that a message told, or that was given up.
    pub fn told_through(&self) -> u64 {
        let is_settled = |sent: &&Sent| matches!(sent.ending, SendEnding::Delivered(_) | SendEnding::GivenUp { .. });
        self.endings.iter().filter(is_settled).map(|sent| sent.through.0).max().unwrap_or(0)
    }

    /// Attempts whose message may have been taken without a record of it at the time when another was made: after a
    /// crash or a standstill between Slack's acceptance and the record, or after a lost answer.
    pub fn uncertain(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().filter(|claim| {
            let ending = self.endings.iter().find(|sent| sent.number == claim.number);
            let stored_ms = self.stored_ms.get(&Key::Sent(claim.subject.clone(), claim.number));
            let next = self.claims.iter().find(|next| {
                next.number.notice == claim.number.notice && next.number.attempt == claim.number.attempt + 1
            });
            ending.is_none_or(|sent| {
                let is_late =
                    next.is_some_and(|next| stored_ms.is_none_or(|stored| story_ms(next.claimed_at) <= *stored));
                is_late || matches!(sent.ending, SendEnding::Deferred { uncertain: true, .. })
            })
        })
    }
}

/// Which sides of which outages a notice tells.
pub fn sides(notice: &Notice) -> Vec<(OutageKey, Side)> {
    let mut sides = Vec::new();
    let key = |outage: &Outage| (outage.runner_name.clone(), outage.id.0.0);
    for news in &notice.news {
        match news {
            News::Offline { outages } | News::MonitoringStarts { outages } => {
                sides.extend(outages.iter().map(|outage| (key(outage), Side::Began)));
            }
            News::Recovered { outages } | News::Removed { outages } | News::NoLongerMonitored { outages, .. } => {
                sides.extend(outages.iter().map(|outage| (key(outage), Side::Ended)));
            }
            News::CameAndWent { outages } => {
                sides
                    .extend(outages.iter().flat_map(|outage| [(key(outage), Side::Began), (key(outage), Side::Ended)]));
            }
            _ => {}
        }
    }
    sides
}

/// How often each side is told.
pub fn count<'a>(notices: impl Iterator<Item = &'a Notice>) -> BTreeMap<(OutageKey, Side), usize> {
    let mut counts = BTreeMap::new();
    for side in notices.flat_map(sides) {
        *counts.entry(side).or_default() += 1;
    }
    counts
}
