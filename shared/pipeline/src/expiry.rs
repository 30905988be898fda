//! When stored items are no longer needed. StatelyDB and DynamoDB delete them then by themselves.

use std::time::Duration;

use monitor_domain::change::QUIET_CHANGES_KEPT;
use monitor_domain::jobs::JobState;
use monitor_domain::time::Timestamp;

use crate::items::Item;

const DAY: Duration = Duration::from_secs(86_400);
/// How long ended outages are kept, and changes that are notified or that a report of availability needs.
const KEEP_NOTIFIABLE_CHANGE: Duration = DAY.saturating_mul(400);
/// How long markers are kept: longer than a signature is valid and than a job waits.
const KEEP_MARKER: Duration = DAY;
/// How long a job is kept: a job on a runner of one's own may run for five days, and waits for one at most.
/// <https://docs.github.com/en/actions/reference/limits>
const LONGEST_JOB: Duration = DAY.saturating_mul(6);
/// How long a job is kept that GitHub holds back: an approval may take 30 days.
/// <https://docs.github.com/en/actions/reference/limits>
const LONGEST_HOLD: Duration = DAY.saturating_mul(31);
/// How long notifications are kept: longer than the changes that they cover, which would otherwise seem pending.
const KEEP_NOTIFICATION: Duration = DAY.saturating_mul(430);

/// When an item may be deleted; `None` if it is kept until it is deleted by name.
pub fn expires_at(item: &Item) -> Option<Timestamp> {
    match item {
        Item::Change(change) => {
            let is_long_lived = change.is_notifiable() || change.has_outage_events() || change.has_absence();
            Some(change.decided_at.plus(if is_long_lived { KEEP_NOTIFIABLE_CHANGE } else { QUIET_CHANGES_KEPT }))
        }
        // An open outage never expires.
        Item::Outage(item) => item.outage.resolved_at.map(|at| at.plus(KEEP_NOTIFIABLE_CHANGE)),
        Item::Claim(claim) => Some(claim.claimed_at.plus(KEEP_NOTIFICATION)),
        Item::Sent(sent) => Some(sent.at.plus(KEEP_NOTIFICATION)),
        Item::Mute(mute) => Some(mute.until.plus(DAY)),
        Item::Acknowledgement(item) => Some(item.at.plus(KEEP_NOTIFIABLE_CHANGE)),
        Item::AccessToken(token) => Some(token.expires_at.plus(DAY)),
        Item::Marker(marker) => Some(marker.at.plus(KEEP_MARKER)),
        Item::Job(item) => {
            let longest = if item.job.state == JobState::Held { LONGEST_HOLD } else { LONGEST_JOB };
            Some(item.job.started_at.unwrap_or(item.job.queued_at).plus(longest))
        }
        Item::Target(_)
        | Item::Runner(_)
        | Item::LastSeen(_)
        | Item::Credential(_)
        | Item::Watchlist(_)
        | Item::Cursor(_) => None,
    }
}
