//! The delivery state of a subject, derived from its claims and their endings.

use std::time::Duration;

use monitor_domain::routing::Part;
use monitor_domain::subject::Revision;
use monitor_domain::time::Timestamp;

use super::threads;
use crate::items::{Attempt, Claim, Item, LiveMessage, PartEnding, SendEnding, Sent};

/// How far the notifications of a subject are delivered, and what may be sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryState {
    /// The last notified revision.
    pub notified_through: Revision,
    /// The next attempt to claim.
    pub next: Attempt,
    /// The earliest time of the next attempt, if another notifier holds a lease or an attempt was deferred.
    pub not_before: Option<Timestamp>,
    /// When `not_before` was stored.
    pub noted_at: Option<Timestamp>,
    /// Whether `not_before` is the end of another notifier's lease.
    pub is_leased: bool,
    /// Whether the next attempt is sent as plain text.
    pub plain_text: bool,
    /// Whether an earlier attempt at the same notification may have been delivered without being recorded.
    pub may_repeat: bool,
    /// The messages that are edited as their outages end.
    pub live: Vec<LiveMessage>,
    /// The parts that are left of a partly delivered notification: they are sent unchanged, whatever has happened
    /// since.
    pub remaining: Option<RemainingParts>,
}

/// The parts of a notification that are left to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemainingParts {
    /// The last revision that the whole notification covers.
    pub through: Revision,
    /// The parts that are still to be sent; never empty.
    pub parts: Vec<Part>,
}

impl DeliveryState {
    /// Whether the next attempt has to wait at `now`.
    pub fn is_held(&self, now: Timestamp) -> bool {
        let Some(until) = self.not_before else { return false };
        let longest = self.noted_at.map_or(Duration::ZERO, |noted_at| until.since(noted_at));
        !until.is_due(now, longest)
    }
}

/// Derives the delivery state from a subject's latest Claim and Sent items, in any order.
pub fn delivery_state(records: &[Item]) -> DeliveryState {
    let claims: Vec<&Claim> =
        records.iter().filter_map(|item| if let Item::Claim(claim) = item { Some(claim) } else { None }).collect();
    let endings: Vec<&Sent> =
        records.iter().filter_map(|item| if let Item::Sent(sent) = item { Some(sent) } else { None }).collect();
    let numbers = claims.iter().map(|claim| claim.number).chain(endings.iter().map(|sent| sent.number));
    let Some(latest) = numbers.max() else {
        let next = Attempt { notification: 1, attempt: 1 };
        return DeliveryState {
            notified_through: Revision(0),
            next,
            not_before: None,
            noted_at: None,
            is_leased: false,
            plain_text: false,
            may_repeat: false,
            live: Vec::new(),
            remaining: None,
        };
    };

    let of_notification = endings.iter().filter(|sent| sent.number.notification == latest.notification);
    let is_settled = |sent: &Sent| matches!(sent.ending, SendEnding::Delivered(_));
    let unanswered = |claim: &&&Claim| {
        claim.number.notification == latest.notification && !endings.iter().any(|sent| sent.number == claim.number)
    };
    // If any attempt was delivered, the notification is delivered; of two, the one that covers more counts.
    if let Some(settled) = of_notification.clone().filter(|sent| is_settled(sent)).max_by_key(|sent| sent.through) {
        let next = Attempt { notification: latest.notification + 1, attempt: 1 };
        let claim = claims.iter().find(|claim| claim.number == settled.number);
        let live = claim.map_or_else(Vec::new, |claim| threads::live_after(claim, &settled.part_endings()));
        let notified_through = settled.through;
        // An attempt still running may cover more than the recorded one, whose process stalled.
        let under_way = claims.iter().filter(unanswered).max_by_key(|claim| claim.lease_until);
        return DeliveryState {
            notified_through,
            next,
            not_before: under_way.map(|claim| claim.lease_until),
            noted_at: under_way.map(|claim| claim.claimed_at),
            is_leased: under_way.is_some(),
            plain_text: false,
            may_repeat: false,
            live,
            remaining: None,
        };
    }

    let claim = claims.iter().find(|claim| claim.number == latest);
    let sent = of_notification.clone().find(|sent| sent.number == latest);
    let ending = sent.map(|sent| &sent.ending);
    let parts = sent.map_or_else(Vec::new, |sent| sent.part_endings());
    let uncertain = |sent: &&&Sent| matches!(sent.ending, SendEnding::Deferred { uncertain: true, .. });
    DeliveryState {
        notified_through: claim.map_or(Revision(0), |claim| claim.after),
        next: Attempt { notification: latest.notification, attempt: latest.attempt + 1 },
        not_before: match ending {
            Some(SendEnding::Deferred { until, .. }) => Some(*until),
            Some(_) => None,
            None => claim.map(|claim| claim.lease_until),
        },
        noted_at: sent.map(|sent| sent.at).or(claim.map(|claim| claim.claimed_at)),
        is_leased: ending.is_none(),
        plain_text: claim.is_some_and(|claim| claim.plain_text)
            || matches!(ending, Some(SendEnding::LayoutRefused { .. })),
        may_repeat: claims.iter().any(|claim| unanswered(&claim))
            || of_notification.clone().any(|sent| uncertain(&sent)),
        // What was live before a part stays live until the part is settled, whatever its attempts have edited.
        live: claim.map_or_else(Vec::new, |claim| threads::live_after(claim, &parts)),
        remaining: claim.and_then(|claim| remaining(claim, &parts)),
    }
}

/// The parts that an attempt has left, if it or an earlier one delivered a part.
fn remaining(claim: &Claim, endings: &[PartEnding]) -> Option<RemainingParts> {
    let waits = |index: usize| endings.get(index).is_none_or(|ending| *ending == PartEnding::Waits);
    let parts: Vec<Part> = claim
        .parts()
        .enumerate()
        .filter(|(index, _)| waits(*index))
        .map(|(_, (channel, notification))| Part {
            channel: channel.map(str::to_owned),
            notification: notification.clone(),
        })
        .collect();
    let is_begun = claim.resumes || parts.len() <= claim.further.len();
    (is_begun && !parts.is_empty()).then_some(RemainingParts { through: claim.through, parts })
}

#[cfg(test)]
mod tests {
    use monitor_domain::fleet::Counts;
    use monitor_domain::notifications::Notification;
    use monitor_domain::subject::Subject;

    use super::*;
    use crate::items::Delivered;

    fn claim(attempt: u32, through: u64, lease_until_ms: i64) -> Item {
        let notification =
            Notification { subject: Subject::Monitor, target: None, counts: Counts::default(), items: Vec::new() };
        Item::Claim(Claim {
            subject: Subject::Monitor,
            number: Attempt { notification: 3, attempt },
            nonce: 1,
            after: Revision(4),
            through: Revision(through),
            claimed_at: Timestamp::from_epoch_ms(0),
            lease_until: Timestamp::from_epoch_ms(lease_until_ms),
            plain_text: false,
            resumes: false,
            channel: None,
            live: Vec::new(),
            notification,
            further: Vec::new(),
        })
    }

    fn delivered(attempt: u32, through: u64) -> Item {
        Item::Sent(Sent {
            subject: Subject::Monitor,
            number: Attempt { notification: 3, attempt },
            through: Revision(through),
            at: Timestamp::from_epoch_ms(0),
            ending: SendEnding::Delivered(Delivered::default()),
            parts: Vec::new(),
        })
    }

    #[test]
    fn a_notification_for_the_default_channel_alone_is_stored_without_the_fields_for_channels() {
        let Item::Claim(claim) = claim(1, 5, 1_000) else { panic!() };
        let Item::Sent(sent) = delivered(1, 5) else { panic!() };
        let keys = |value: serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            keys(serde_json::to_value(&claim).unwrap()),
            "after attempt claimedAt leaseUntil message nonce notification subject through"
        );
        assert_eq!(keys(serde_json::to_value(&sent).unwrap()), "at attempt ending notification subject through");
        assert_eq!(claim.parts().count(), 1);
        assert_eq!(sent.part_endings(), [PartEnding::Delivered(Delivered::default())]);
    }

    #[test]
    fn a_late_ending_of_an_earlier_attempt_does_not_start_the_next_notification_while_a_later_attempt_is_running() {
        let mut records = vec![claim(1, 5, 1_000), claim(2, 7, 2_000), delivered(1, 5)];
        let state_now = delivery_state(&records);
        assert_eq!(state_now.not_before, Some(Timestamp::from_epoch_ms(2_000)));
        records.push(delivered(2, 7));
        let state_then = delivery_state(&records);
        assert_eq!((state_then.notified_through, state_then.not_before), (Revision(7), None));
    }
}
