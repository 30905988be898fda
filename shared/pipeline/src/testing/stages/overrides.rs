//! Mutes, reminders and acknowledgements.

use monitor_domain::scope::Scope;

use super::*;
use crate::commands::Command;
use crate::items::Acknowledgement;
use crate::stages::Respond;
use crate::testing::samples::asker;

const HOUR: Duration = Duration::from_secs(3_600);

/// Two runners and a chat with threads; one unhealthy check opens an outage, one healthy check ends it.
async fn installation<S: Store>(store: &S) -> Installation<'_, S> {
    let mut this = Installation::hasty(store);
    this.chat = ScriptedChat::with_threads();
    let document =
        serde_json::from_str(r#"{"failureThreshold":1,"successThreshold":1,"maxRepeats":2}"#).unwrap_or_default();
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
    this.source.set(&web(), (1..=2).map(|id| runner(id, Status::Idle)).collect());
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    this
}

async fn ask<S: Store>(this: &Installation<'_, S>, command: Command) {
    let respond = Respond { store: &this.store, jobs: &this.jobs, clock: &this.clock };
    this.store.take_written();
    respond.run(&command, &asker()).await.unwrap_or_else(|error| panic!("{error}"));
    let is_own = |key: &Key| matches!(key, Key::Mute(_) | Key::Acknowledgement(..));
    assert!(this.store.take_written().iter().all(is_own), "the respond stage writes only mutes and acknowledgements");
}

fn mute(name: &str, lasting: Duration) -> Command {
    Command::Mute { scope: Scope::Named(name.to_owned()), lasting_secs: lasting.as_secs(), reason: None }
}

/// Some time later, a check and the notification items that it causes.
async fn later<S: Store>(this: &Installation<'_, S>, after: Duration) -> Vec<NotificationItem> {
    this.clock.advance(after);
    this.check(&web()).await;
    this.notify_all().await.into_iter().flat_map(|notification| notification.items).collect()
}

pub(super) async fn a_muted_outage_is_notified_when_the_mute_ends<S: Store>(store: &S) {
    let this = installation(store).await;
    ask(&this, mute("runner-1", HOUR)).await;
    this.source.set_status(&web(), 1, Status::Offline);
    this.source.set_status(&web(), 2, Status::Offline);
    let items = later(&this, MINUTE).await;
    let names = |outages: &[monitor_domain::outage::Outage]| -> Vec<String> {
        outages.iter().map(|outage| outage.runner_name.clone()).collect()
    };
    assert!(
        matches!(&items[..], [NotificationItem::Offline { outages }] if names(outages) == ["runner-2"]),
        "{items:?}"
    );
    assert_eq!(later(&this, HOUR / 2).await, []);
    let items = later(&this, HOUR / 2).await;
    assert!(
        matches!(&items[..], [NotificationItem::MuteEnded { outages }] if names(outages) == ["runner-1"]),
        "{items:?}"
    );
    assert_eq!(later(&this, MINUTE).await, []);
    this.chat.take_threads();
    this.source.set_status(&web(), 1, Status::Idle);
    let items = later(&this, MINUTE).await;
    assert!(
        matches!(&items[..], [NotificationItem::Recovered { outages }] if names(outages) == ["runner-1"]),
        "{items:?}"
    );
    assert_eq!(this.chat.take_threads().replies.len(), 1, "its end is sent in the thread of its notification");
}

pub(super) async fn an_outage_that_ended_during_a_mute_is_never_notified<S: Store>(store: &S) {
    let this = installation(store).await;
    ask(&this, mute("self-hosted", 2 * HOUR)).await;
    this.source.set_status(&web(), 1, Status::Offline);
    assert_eq!(later(&this, MINUTE).await, []);
    this.source.set_status(&web(), 1, Status::Idle);
    assert_eq!(later(&this, MINUTE).await, []);
    this.source.set_status(&web(), 2, Status::Offline);
    assert_eq!(later(&this, MINUTE).await, []);
    ask(&this, Command::Unmute { scope: Scope::Named("self-hosted".to_owned()) }).await;
    assert!(matches!(&later(&this, MINUTE).await[..], [NotificationItem::MuteEnded { outages }] if outages.len() == 1));
    let subject = subject();
    let events = this.changes(&subject).await.into_iter().flat_map(|change| change.events);
    let recorded = events.filter(|event| matches!(event, Event::OutageOpened { .. })).count();
    assert_eq!(recorded, 2, "a muted outage is recorded");
}

pub(super) async fn reminders_appear_in_the_alert_thread_until_somebody_acknowledges<S: Store>(store: &S) {
    let this = installation(store).await;
    this.source.set_status(&web(), 1, Status::Offline);
    let [NotificationItem::Offline { outages }] = &later(&this, MINUTE).await[..] else { panic!("an alert") };
    let outage = outages[0].clone();
    assert_eq!(later(&this, 23 * HOUR).await, []);
    assert!(matches!(&later(&this, HOUR).await[..], [NotificationItem::StillOffline { is_last: false, .. }]));
    let threads = this.chat.take_threads();
    assert_eq!((threads.edits.len(), threads.replies.len()), (1, 1));
    let outages = vec![(outage.runner_id, outage.id)];
    ask(&this, Command::Acknowledge { target: web(), outages }).await;
    assert_eq!(later(&this, 48 * HOUR).await, []);
    // An outage of another runner does not end the acknowledgement.
    this.source.set_status(&web(), 2, Status::Offline);
    assert!(matches!(&later(&this, MINUTE).await[..], [NotificationItem::Offline { outages }] if outages.len() == 1));
    let reminded = later(&this, 24 * HOUR).await;
    assert!(
        matches!(&reminded[..], [NotificationItem::StillOffline { outages, .. }] if outages[0].runner_id.0 == 2),
        "{reminded:?}"
    );
    this.chat.take_threads();
    this.source.set_status(&web(), 1, Status::Idle);
    assert!(matches!(&later(&this, MINUTE).await[..], [NotificationItem::Recovered { .. }]));
    let edits = this.chat.take_threads().edits;
    assert!(matches!(&edits[..], [message] if message.outages[0].runner_id == outage.runner_id), "{edits:?}");
    // The next outage of the same runner is not acknowledged.
    this.source.set_status(&web(), 1, Status::Offline);
    later(&this, MINUTE).await;
    let due: Vec<NotificationItem> = later(&this, 24 * HOUR).await;
    // For runner 2 it is the last reminder, for runner 1 the first.
    let [
        NotificationItem::StillOffline { outages, is_last: false, .. },
        NotificationItem::StillOffline { is_last: true, .. },
    ] = &due[..]
    else {
        panic!("{due:?}")
    };
    assert_eq!(outages[0].runner_id.0, 1);
    let kept: Vec<Acknowledgement> =
        crate::records::read_acknowledgements(store, web().id(), [(outage.runner_id, outage.id)])
            .await
            .unwrap_or_default();
    assert_eq!(kept.len(), 1);
}

pub(super) async fn a_day_without_the_chat_is_notified_in_one_message<S: Store>(store: &S) {
    let this = installation(store).await;
    this.chat.refuse((0..400).map(|_| ChatError::Dead("the channel is archived".to_owned())));
    // Runner 1 goes down and recovers all day, too rarely to flap; runner 2 goes down and stays down.
    for hour in 0..25 {
        let status = if hour % 2 == 0 { Status::Offline } else { Status::Idle };
        this.source.set_status(&web(), 1, status);
        if hour == 3 {
            this.source.set_status(&web(), 2, Status::Offline);
        }
        assert_eq!(later(&this, HOUR).await, []);
    }
    this.source.set_status(&web(), 1, Status::Idle);
    later(&this, MINUTE).await;
    this.chat.accept();
    let items = later(&this, HOUR).await;
    let [NotificationItem::Offline { outages }, NotificationItem::CameAndWent { outages: over }] = &items[..] else {
        panic!("{items:?}")
    };
    assert_eq!((outages.len(), over.len()), (1, 13));
    assert_eq!(later(&this, HOUR).await, [], "nothing is sent again");
}

pub(super) async fn a_change_undone_before_it_is_notified_is_not_pending<S: Store>(store: &S) {
    let this = installation(store).await;
    let listed = |ids: &[u64]| this.source.set(&web(), ids.iter().map(|id| runner(*id, Status::Idle)).collect());
    listed(&[2]);
    later(&this, MINUTE).await;
    assert!(matches!(later(&this, MINUTE).await[..], [NotificationItem::Removed { .. }]));
    // Registered again, and removed again during a mute: the last notification is correct again.
    this.chat.refuse((0..400).map(|_| ChatError::Dead("the channel is archived".to_owned())));
    listed(&[1, 2]);
    later(&this, MINUTE).await;
    assert!(this.notify(&subject()).await.next_attempt_at.is_some(), "the registration is pending");
    ask(&this, mute("runner-1", HOUR)).await;
    listed(&[2]);
    for _ in 0..2 {
        assert_eq!(later(&this, MINUTE).await, []);
    }
    this.chat.accept();
    this.clock.advance(HOUR / 2);
    let report = this.notify(&subject()).await;
    assert_eq!((report.delivered.len(), report.disposition, report.next_attempt_at), (0, Disposition::Done, None));
    this.changes.take();
    this.check(&web()).await;
    assert_eq!(this.changes.take().len(), 0, "nothing is pending");
    // The next outage is notified as usual.
    this.source.set_status(&web(), 2, Status::Offline);
    assert!(matches!(&later(&this, MINUTE).await[..], [NotificationItem::Offline { outages }] if outages.len() == 1));
}
