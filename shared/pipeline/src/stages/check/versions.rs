//! The questions about when GitHub ends the versions of a target's runners.

use monitor_domain::fleet::{CredentialRecord, Fleet};
use monitor_domain::observation::{Observation, ObservedPage, Outcome};
use monitor_domain::subject::Subject;
use monitor_domain::versions::{ASKING_WINDOW, VersionEnd, VersionRecord, known, questions};
use tracing::debug;

use crate::items::Marker;
use crate::ports::{Clock, RunnerSource, Store, VersionAnswer};
use crate::records::mark;

/// Asks GitHub when the versions of a target's runners end, as far as that is due. One check of the credential's
/// targets asks; the others read its answers.
pub(super) async fn ask<St: Store, Gh: RunnerSource, Cl: Clock>(
    (store, source, clock): (&St, &Gh, &Cl),
    fleet: &Fleet,
    credential: &CredentialRecord,
    observation: &Observation,
) -> Vec<VersionRecord> {
    let target = &fleet.record.target;
    let (Outcome::Complete { pages, .. } | Outcome::Short { pages, .. }) = &observation.outcome else {
        return Vec::new();
    };
    if !source.answers_version_ends() {
        return Vec::new();
    }
    let fresh = pages.iter().flat_map(|page| match page {
        ObservedPage::Fresh { runners, .. } => &runners[..],
        ObservedPage::Unchanged(_) => &[],
    });
    let stored = fleet.runners.iter().filter(|runner| !runner.is_gone()).filter_map(|runner| runner.version.as_deref());
    let now = clock.now();
    let due = questions(&credential.versions, stored.chain(fresh.filter_map(|runner| runner.version.as_deref())), now);
    if due.is_empty() {
        return Vec::new();
    }
    let window = now.epoch_secs().div_euclid(ASKING_WINDOW.as_secs().cast_signed());
    let subject = Subject::Credential(credential.id.clone());
    let marker = Marker { subject, number: window.max(1).unsigned_abs(), nonce: clock.random(), at: now };
    match mark(store, clock, marker).await {
        Ok(true) => {}
        Ok(false) => return Vec::new(),
        Err(error) => {
            debug!(target_id = %target, %error, "GitHub is not asked about versions now");
            return Vec::new();
        }
    }
    let mut answers = Vec::new();
    for version in due {
        let known = known(&credential.versions, version);
        let answer = source.version_end(target, version, known).await;
        let is_shared = answer.as_ref().is_err_and(|failure| failure.fault.is_shared());
        let (version, asked_at) = (version.to_owned(), now);
        answers.push(match answer {
            Ok(VersionAnswer { end, tag }) => VersionRecord { version, asked_at, failed: false, end, tag },
            Err(failure) => {
                debug!(target_id = %target, version, %failure, "GitHub does not say when a version ends");
                VersionRecord { version, asked_at, failed: true, end: VersionEnd::Unanswered, tag: None }
            }
        });
        if is_shared {
            break;
        }
    }
    answers
}
