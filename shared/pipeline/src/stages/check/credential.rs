//! Commit what a check shows about its credential.

use monitor_domain::change::Event;
use monitor_domain::credential::reconcile_credential;
use monitor_domain::fleet::CredentialRecord;
use monitor_domain::observation::{CredentialReport, Observation};
use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::time::Timestamp;
use monitor_domain::versions::VersionRecord;
use tracing::{info, warn};

use super::Check;
use super::outcome::Announced;
use crate::items::Item;
use crate::messages::StateChange;
use crate::ports::{Clock, RunnerSource, Sender, Store, StoreError};
use crate::records::{self, Backlog, Committed, StoredCredential};

/// How often a commit to a credential's history is tried while other checks commit to it too.
const CREDENTIAL_TRIES: u32 = 4;

impl<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock> Check<'_, St, Gh, Jobs, Changes, Cl> {
    /// Commits what the check shows about the credential. Returns its record and the state-change message to be sent.
    pub(super) async fn settle_credential(
        &self,
        stored: StoredCredential,
        observation: &Observation,
        report: &CredentialReport,
        answers: &[VersionRecord],
        now: Timestamp,
    ) -> Result<(CredentialRecord, Option<Announced>), StoreError> {
        let StoredCredential { mut record, mut cursor, .. } = stored;
        let mut committed = Vec::new();
        let check = (observation.started_at, &observation.outcome);
        let base = self.settings.policy.base();
        for _ in 0..CREDENTIAL_TRIES {
            let nonce = self.clock.random();
            // The current time, not the start of the check: another may have begun later and committed first.
            let present = self.clock.now();
            let decide =
                |targets| reconcile_credential(&record, check, report, answers, targets, base, (present, nonce));
            let Some(mut commit) = decide(0) else { break };
            // The whole list of targets is read for one number: only if a change contains it.
            if commit.change.events.iter().any(|event| matches!(event, Event::BecameUnreachable { .. })) {
                commit = decide(self.targets_served(&record.id).await?).unwrap_or(commit);
            }
            let altered = vec![Item::Credential(commit.record.clone())];
            let events = commit.change.events.clone();
            if records::commit(self.store, self.clock, commit.change, altered).await? == Committed::Done {
                record = commit.record;
                log_credential(&record.id, &events);
                committed = events;
                break;
            }
            // Another check with the same credential committed first and saw the same: its change explains this
            // failure.
            StoredCredential { record, cursor, .. } = records::read_credential(self.store, &record.id).await?;
        }
        let backlog = Backlog::from(&record);
        let announced = backlog.is_due(cursor.as_ref(), now).then(|| Announced {
            message: StateChange::of(Subject::Credential(record.id.clone()), record.revision, &committed),
            last: backlog.last(),
        });
        Ok((record, announced))
    }

    async fn targets_served(&self, credential: &CredentialId) -> Result<u32, StoreError> {
        let watchlist = records::read_monitor(self.store, self.clock).await?.watchlist.unwrap_or_default();
        let served = watchlist.targets.iter().filter(|target| credential.serves(target)).count();
        Ok(u32::try_from(served.max(1)).unwrap_or(u32::MAX))
    }
}

/// Logs problems of a credential when they begin and when they are over, not once for each of its targets.
fn log_credential(credential: &CredentialId, events: &[Event]) {
    for event in events {
        match event {
            Event::ChecksFailing { failure } => {
                warn!(%credential, %failure, "checks of every target of this credential fail");
            }
            Event::ReachableAgain { .. } => info!(%credential, "checks succeed again"),
            Event::CredentialExpiring { expires_at } => warn!(%credential, %expires_at, "the token expires"),
            _ => {}
        }
    }
}
