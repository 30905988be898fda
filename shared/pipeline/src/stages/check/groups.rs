//! The question about the names of a target's runner groups.

use monitor_domain::fleet::Fleet;
use monitor_domain::groups::RunnerGroups;
use monitor_domain::observation::{Observation, Outcome};
use monitor_domain::subject::Subject;
use tracing::debug;

use crate::items::{Marker, fnv};
use crate::ports::{Clock, RunnerSource, Store};
use crate::records::mark;

/// GitHub is asked at most once in each window of this length, in seconds: the credential may have no access to groups.
const WINDOW_SECS: i64 = 3_600;

/// Asks GitHub for the names of a target's runner groups, if that is due.
pub(super) async fn ask(
    (store, source, clock): (&impl Store, &impl RunnerSource, &impl Clock),
    fleet: &Fleet,
    observation: &Observation,
) -> Option<RunnerGroups> {
    let target = &fleet.record.target;
    let (Outcome::Complete { pages, .. } | Outcome::Short { pages, .. }) = &observation.outcome else { return None };
    let now = clock.now();
    if !fleet.asks_for_group_names(pages, now) {
        return None;
    }
    // The number of a window alone could be that of a check by hand.
    let number = (fnv(&format!("groups {}", now.epoch_secs().div_euclid(WINDOW_SECS))) >> 1).max(1);
    let marker = Marker { subject: Subject::from(target), number, nonce: clock.random(), at: now };
    match mark(store, clock, marker).await {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => {
            debug!(target_id = %target, %error, "GitHub is not asked about runner groups now");
            return None;
        }
    }
    match source.groups(target).await {
        Ok(names) => Some(RunnerGroups { asked_at: now, names }),
        Err(failure) => {
            debug!(target_id = %target, %failure, "GitHub does not name the runner groups");
            None
        }
    }
}
