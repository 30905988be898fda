//! What the chat has about outages: the alert of each, and who acknowledged it.

use std::collections::BTreeMap;

use monitor_domain::outage::{Outage, OutageId};
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::Subject;
use monitor_domain::target::TargetId;

use crate::items::{Acknowledgement, MessagePlace};
use crate::keys::Query;
use crate::ports::{Store, StoreError};
use crate::records::read_acknowledgements;
use crate::stages::alerts;

/// How many claims and endings are read. The alerts of older notifications are not found.
const NOTIFICATIONS_READ: usize = 1_000;

/// What the chat has about one outage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatNote {
    /// The message that reported its start, if the chat says where its messages are.
    pub alert: Option<MessagePlace>,
    /// Who acknowledged it.
    pub acknowledgement: Option<Acknowledgement>,
}

/// What the chat has about the outages of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatNotes(BTreeMap<(RunnerId, OutageId), ChatNote>);

impl ChatNotes {
    /// Reads it for these outages of a target.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn read(store: &impl Store, target: &TargetId, outages: &[Outage]) -> Result<Self, StoreError> {
        if outages.is_empty() {
            return Ok(Self::default());
        }
        let keys = outages.iter().map(|outage| (outage.runner_id, outage.id));
        let mut notes: BTreeMap<_, ChatNote> = BTreeMap::new();
        for item in read_acknowledgements(store, target, keys).await? {
            let outage = (item.runner_id, item.outage_id);
            notes.entry(outage).or_default().acknowledgement = Some(item);
        }
        let subject = Subject::Target(target.clone());
        let records = store.list(&Query::Notifications { subject, limit: NOTIFICATIONS_READ }).await?;
        for (outage, place) in alerts(&records) {
            notes.entry(outage).or_default().alert = Some(place);
        }
        Ok(Self(notes))
    }

    /// What it has about an outage.
    pub fn of(&self, outage: &Outage) -> ChatNote {
        self.0.get(&(outage.runner_id, outage.id)).cloned().unwrap_or_default()
    }
}
