//! Alerts as live messages: which earlier messages a notification edits, and where it is sent itself.

use std::collections::BTreeMap;

use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::outage::{Outage, OutageId};
use monitor_domain::runner::RunnerId;

use crate::items::{Attempt, Claim, Item, LiveMessage, MessagePlace, PartEnding, Sent};

/// A message about more outages than this is not edited: every claim contains the outages of live messages until they
/// end.
const MAX_OUTAGES: usize = 50;
/// How many messages of one subject are edited as their outages end; if there are more, the oldest are no longer
/// edited.
const MAX_MESSAGES: usize = 8;

/// What a notification does in a chat that can edit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The message in whose thread it is sent; `None` for a message of its own.
    pub(super) reply_to: Option<MessagePlace>,
    /// The messages that it edits, as they are afterwards.
    pub(super) edits: Vec<LiveMessage>,
    /// All live messages as they are afterwards, the oldest first.
    pub(super) after: Vec<LiveMessage>,
}

/// Finds the messages with outages that a notification changes, ends, or reminds of.
///
/// A notification about nothing but one message's outages is sent in that message's thread.
pub(super) fn plan(live: &[LiveMessage], notification: &Notification) -> Plan {
    let ended: Vec<&Outage> = notification.items.iter().flat_map(endings).collect();
    let end_of = |outage: &Outage| {
        ended.iter().find(|end| is_same(end, outage)).filter(|_| outage.is_open()).map(|end| (**end).clone())
    };
    let changed: Vec<&Outage> = notification.items.iter().flat_map(changes).collect();
    let change_of = |outage: &Outage| {
        changed.iter().find(|change| is_same(change, outage)).filter(|_| outage.is_open()).map(|one| (**one).clone())
    };
    let reminded: Vec<&Outage> = notification.items.iter().flat_map(reminders).collect();
    let is_reminded = |outage: &&Outage| reminded.iter().any(|one| is_same(one, outage));
    let mut plan = Plan::default();
    let mut found = 0;
    let mut concerned = Vec::new();
    for message in live {
        let ends: Vec<Option<Outage>> = message.outages.iter().map(end_of).collect();
        let ended_or_reminded = ends.iter().flatten().count() + message.outages.iter().filter(is_reminded).count();
        let is_changed = message.outages.iter().any(|outage| change_of(outage).is_some());
        if ended_or_reminded == 0 && !is_changed {
            plan.after.push(message.clone());
            continue;
        }
        if ended_or_reminded > 0 {
            found += ended_or_reminded;
            concerned.push(&message.place);
        }
        let now = |(outage, end): (&Outage, Option<Outage>)| {
            end.or_else(|| change_of(outage)).unwrap_or_else(|| outage.clone())
        };
        let outages = message.outages.iter().zip(ends).map(now).collect();
        let edited = LiveMessage { place: message.place.clone(), outages };
        plan.edits.push(edited.clone());
        plan.after.push(edited);
    }
    let fits_a_thread =
        |item: &NotificationItem| !endings(item).is_empty() || !reminders(item).is_empty() || !changes(item).is_empty();
    if let [place] = &concerned[..]
        && found == ended.len() + reminded.len()
        && notification.items.iter().all(fits_a_thread)
    {
        plan.reply_to = Some((*place).clone());
    }
    plan
}

/// The live messages after an attempt that delivered some or all parts of its claim.
pub(super) fn live_after(claim: &Claim, parts: &[PartEnding]) -> Vec<LiveMessage> {
    let mut live = claim.live.clone();
    for ((_, notification), ending) in claim.parts().zip(parts) {
        if *ending == PartEnding::Waits {
            continue;
        }
        live = plan(&live, notification).after;
        let opened: Vec<Outage> = notification.items.iter().flat_map(openings).cloned().collect();
        if let PartEnding::Delivered(delivered) = ending
            && let Some(place) = delivered.place()
            && (1..=MAX_OUTAGES).contains(&opened.len())
        {
            live.push(LiveMessage { place, outages: opened });
        }
    }
    live.retain(|message| message.outages.iter().any(Outage::is_open));
    live.drain(..live.len().saturating_sub(MAX_MESSAGES));
    live
}

/// The first message about each outage that opened, from a subject's Claim and Sent items in any order. Its thread has
/// what followed.
pub fn alerts(records: &[Item]) -> BTreeMap<(RunnerId, OutageId), MessagePlace> {
    let sent =
        records.iter().filter_map(|item| if let Item::Sent(sent) = item { Some((sent.number, sent)) } else { None });
    let sent: BTreeMap<Attempt, &Sent> = sent.collect();
    let mut claims: Vec<&Claim> =
        records.iter().filter_map(|item| if let Item::Claim(claim) = item { Some(claim) } else { None }).collect();
    claims.sort_unstable_by_key(|claim| claim.number);
    let mut alerts = BTreeMap::new();
    for claim in claims {
        let endings = sent.get(&claim.number).map(|sent| sent.part_endings()).unwrap_or_default();
        for ((_, notification), ending) in claim.parts().zip(endings) {
            let PartEnding::Delivered(delivered) = ending else { continue };
            let Some(place) = delivered.place() else { continue };
            for outage in notification.items.iter().flat_map(openings) {
                alerts.entry((outage.runner_id, outage.id)).or_insert_with(|| place.clone());
            }
        }
    }
    alerts
}

fn endings(item: &NotificationItem) -> &[Outage] {
    match item {
        NotificationItem::Recovered { outages } | NotificationItem::NoLongerMonitored { outages, .. } => outages,
        NotificationItem::Removed { outages } | NotificationItem::JobsTaken { queues: outages } => outages,
        _ => &[],
    }
}

fn reminders(item: &NotificationItem) -> &[Outage] {
    match item {
        NotificationItem::StillOffline { outages, .. }
        | NotificationItem::RemovalNear { outages, .. }
        | NotificationItem::JobsStillWaiting { queues: outages, .. } => outages,
        _ => &[],
    }
}

fn changes(item: &NotificationItem) -> &[Outage] {
    if let NotificationItem::QueuesChanged { queues } = item { queues } else { &[] }
}

fn is_same(a: &Outage, b: &Outage) -> bool {
    (a.runner_id, a.id) == (b.runner_id, b.id)
}

fn openings(item: &NotificationItem) -> &[Outage] {
    match item {
        NotificationItem::Offline { outages }
        | NotificationItem::JobsWaiting { queues: outages }
        | NotificationItem::MonitoringStarts { outages }
        | NotificationItem::MuteEnded { outages } => outages,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use monitor_domain::fleet::Counts;
    use monitor_domain::outage::{Ending, LastHealthy, Peers, Visibility};
    use monitor_domain::runner::Status;
    use monitor_domain::subject::{Revision, Subject};
    use monitor_domain::time::Timestamp;

    use super::*;
    use crate::items::{Delivered, SendEnding};
    use crate::testing::samples;

    fn outage(runner: u64) -> Outage {
        let at = Timestamp::from_epoch_ms(1_800_000_000_000);
        Outage {
            id: OutageId(Revision(runner + 40)),
            runner_id: RunnerId(runner),
            current_id: RunnerId(runner),
            runner_name: format!("runner-{runner}"),
            os: "linux".to_owned(),
            version: None,
            version_ended_at: None,
            lost_targets: None,
            ephemeral: false,
            pool: None,
            waiting: None,
            labels: Vec::new(),
            status: Status::Offline,
            in_job: false,
            job: None,
            started_at: at,
            confirmed_at: at,
            last_healthy: Some(LastHealthy { at, status: Status::Idle }),
            connected_at: None,
            peers: Peers::default(),
            visibility: Visibility::Alerted,
            resolved_at: None,
            ending: None,
        }
    }

    fn ended(runner: u64) -> Outage {
        let outage = outage(runner);
        Outage { resolved_at: Some(outage.started_at), ending: Some(Ending::Recovered), ..outage }
    }

    fn notification(items: Vec<NotificationItem>) -> Notification {
        Notification { subject: Subject::Monitor, target: None, counts: Counts::default(), items }
    }

    fn recovered(runners: &[u64]) -> NotificationItem {
        NotificationItem::Recovered { outages: runners.iter().map(|runner| ended(*runner)).collect() }
    }

    fn place(ts: &str) -> MessagePlace {
        MessagePlace { channel: "C1".to_owned(), ts: ts.to_owned() }
    }

    fn message(ts: &str, runners: &[u64]) -> LiveMessage {
        LiveMessage { place: place(ts), outages: runners.iter().map(|runner| outage(*runner)).collect() }
    }

    fn claim(live: &[LiveMessage], notification: Notification) -> Claim {
        let now = Timestamp::from_epoch_ms(0);
        Claim {
            subject: Subject::Monitor,
            number: Attempt { notification: 1, attempt: 1 },
            nonce: 1,
            after: Revision(0),
            through: Revision(1),
            claimed_at: now,
            lease_until: now,
            plain_text: false,
            resumes: false,
            channel: None,
            notification,
            further: Vec::new(),
            live: live.to_vec(),
        }
    }

    fn open(live: &[LiveMessage]) -> Vec<(&str, usize)> {
        let open = |message: &LiveMessage| message.outages.iter().filter(|outage| outage.is_open()).count();
        live.iter().map(|message| (&*message.place.ts, open(message))).collect()
    }

    #[test]
    fn the_end_of_one_messages_outages_is_sent_in_its_thread() {
        let live = [message("1", &[1, 2]), message("2", &[3])];
        let first = notification(vec![recovered(&[1])]);
        let planned = plan(&live, &first);
        assert_eq!(planned.reply_to, Some(place("1")));
        assert_eq!(open(&planned.edits), [("1", 1)]);
        let after = live_after(&claim(&live, first), &[PartEnding::Delivered(Delivered::default())]);
        assert_eq!(open(&after), [("1", 1), ("2", 1)]);
        let second = notification(vec![recovered(&[2])]);
        assert_eq!(open(&plan(&after, &second).edits), [("1", 0)]);
        let after = live_after(&claim(&after, second), &[PartEnding::Delivered(Delivered::default())]);
        assert_eq!(open(&after), [("2", 1)], "what has ended is no longer edited");
    }

    #[test]
    fn what_concerns_several_messages_or_contains_more_than_ends_is_a_message_of_its_own() {
        let live = [message("1", &[1, 2]), message("2", &[3])];
        for items in [
            vec![recovered(&[1, 3])],
            vec![recovered(&[1, 9])],
            vec![recovered(&[1]), NotificationItem::Offline { outages: vec![outage(9)] }],
            vec![NotificationItem::Offline { outages: vec![outage(9)] }],
            vec![recovered(&[9])],
        ] {
            assert_eq!(plan(&live, &notification(items.clone())).reply_to, None, "{items:?}");
        }
        assert_eq!(open(&plan(&live, &notification(vec![recovered(&[1, 3])])).edits), [("1", 1), ("2", 0)]);
    }

    #[test]
    fn the_alert_of_an_outage_is_the_first_message_that_was_delivered_about_its_start() {
        let opens = |runner| notification(vec![NotificationItem::Offline { outages: vec![outage(runner)] }]);
        let attempt = |notification, attempt| Attempt { notification, attempt };
        let claimed = |number, of: Notification| Claim { number, ..claim(&[], of) };
        let delivered = |ts: &str| Delivered { channel: Some("C1".to_owned()), ts: Some(ts.to_owned()) };
        let sent = |claim: &Claim, ending| Item::Sent(samples::sent(claim, ending));
        let refused = claimed(attempt(1, 1), opens(1));
        let first = claimed(attempt(1, 2), opens(1));
        let unanswered = claimed(attempt(2, 1), opens(2));
        let later = claimed(attempt(3, 1), notification(vec![recovered(&[1])]));
        let again =
            claimed(attempt(4, 1), notification(vec![NotificationItem::MuteEnded { outages: vec![outage(1)] }]));
        let hook = claimed(attempt(5, 1), opens(3));
        let records = [
            sent(&hook, SendEnding::Delivered(Delivered::default())),
            sent(&again, SendEnding::Delivered(delivered("9"))),
            Item::Claim(again),
            sent(&first, SendEnding::Delivered(delivered("7"))),
            Item::Claim(first),
            sent(&refused, SendEnding::LayoutRefused { reason: "blocks".to_owned() }),
            Item::Claim(refused),
            sent(&later, SendEnding::Delivered(delivered("8"))),
            Item::Claim(later),
            Item::Claim(unanswered),
            Item::Claim(hook),
        ];
        let one = (RunnerId(1), outage(1).id);
        assert_eq!(alerts(&records), BTreeMap::from([(one, place("7"))]));
    }

    #[test]
    fn a_message_is_live_while_it_has_an_open_outage_and_a_known_place() {
        let opens = |runners: std::ops::Range<u64>| {
            notification(vec![NotificationItem::Offline { outages: runners.map(outage).collect() }])
        };
        let at =
            |ts: &str| [PartEnding::Delivered(Delivered { channel: Some("C1".to_owned()), ts: Some(ts.to_owned()) })];
        assert_eq!(open(&live_after(&claim(&[], opens(1..3)), &at("7"))), [("7", 2)]);
        assert!(live_after(&claim(&[], opens(1..3)), &[PartEnding::Delivered(Delivered::default())]).is_empty());
        assert!(live_after(&claim(&[], opens(0..51)), &at("7")).is_empty());
        let mut live = Vec::new();
        for number in 1..20_u64 {
            live = live_after(&claim(&live, opens(number..number + 1)), &at(&number.to_string()));
        }
        assert_eq!((live.len(), &*live[0].place.ts), (8, "12"));
    }
}
