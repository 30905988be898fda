//! Notifications for several channels: each channel gets its part once, whatever happens to the others.

use super::*;

const ROUTES: &str = r##"{"failureThreshold":1,"successThreshold":1,"flapThreshold":2,
    "targets":{"acme/web":{"channel":"web"}},
    "labels":{"gpu":{"channel":"gpu"}},
    "runners":{"runner-3":{"channel":"three"}}}"##;

fn dead() -> ChatError {
    ChatError::Dead("is_archived".to_owned())
}

fn failed() -> ChatError {
    ChatError::Transient("no answer".to_owned())
}

fn policy(json: &str) -> Policy {
    let document = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}"));
    Policy::new(document, &[TargetSpec::One(web())]).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// An installation whose policy has routes, after a check of five healthy runners: 2 and 4 have the label `gpu`.
async fn installation<S: Store>(store: &S) -> Installation<'_, S> {
    let mut this = Installation::new(store);
    this.chat = ScriptedChat::with_threads();
    this.check.policy = policy(ROUTES);
    let label = |id| if id % 2 == 0 { "gpu" } else { "linux" };
    let labelled = |id| ObservedRunner { labels: vec![label(id).to_owned()], ..runner(id, Status::Idle) };
    this.source.set(&web(), (1..=5).map(labelled).collect());
    this.check(&web()).await;
    this
}

/// Sets the status of runners and checks the target.
async fn turn<S: Store>(this: &Installation<'_, S>, runners: &[u64], status: Status) {
    this.clock.advance(MINUTE);
    runners.iter().for_each(|id| this.source.set_status(&web(), *id, status));
    this.check(&web()).await;
}

/// The channel of each message and the runners that it names, in order.
fn notified<S: Store>(this: &Installation<'_, S>) -> Vec<(String, Vec<u64>)> {
    let names = |notification: &Notification| {
        let of_item = |item: &NotificationItem| match item {
            NotificationItem::Offline { outages }
            | NotificationItem::Recovered { outages }
            | NotificationItem::CameAndWent { outages } => outages.iter().map(|outage| outage.runner_id.0).collect(),
            NotificationItem::Flapping { runners } => runners.iter().map(|flap| flap.runner.id.0).collect(),
            _ => Vec::new(),
        };
        notification.items.iter().flat_map(of_item).collect()
    };
    let messages = this.chat.take();
    let routes = this.chat.take_routes();
    assert_eq!(routes.len(), messages.len());
    routes.into_iter().zip(messages.iter().map(|(notification, _)| names(notification))).collect()
}

fn to(channel: &str, runners: &[u64]) -> (String, Vec<u64>) {
    (channel.to_owned(), runners.to_vec())
}

pub(super) async fn each_channel_is_notified_of_its_own_runners_and_its_messages_stay_live<S: Store>(store: &S) {
    let this = installation(store).await;
    turn(&this, &[1, 2, 3, 4], Status::Offline).await;
    let report = this.notify(&subject()).await;
    assert_eq!(report.delivered.len(), 3);
    assert_eq!(notified(&this), [to("gpu", &[2, 4]), to("three", &[3]), to("web", &[1])]);
    // One notification in three messages; each is edited separately and gets its own reply.
    assert_eq!(this.endings(&subject()).await.len(), 1);
    turn(&this, &[1, 4], Status::Idle).await;
    this.notify(&subject()).await;
    let threads = this.chat.take_threads();
    let edited: Vec<(&str, &str)> =
        threads.edits.iter().map(|message| (&*message.place.channel, &*message.place.ts)).collect();
    assert_eq!((edited, &threads.replies[..]), (vec![("gpu", "1"), ("web", "3")], &["1", "3"].map(str::to_owned)[..]));
    assert_eq!(notified(&this), [to("gpu", &[4]), to("web", &[1])]);
    this.clock.advance(MINUTE);
    this.notify(&subject()).await;
    assert_eq!((notified(&this), this.endings(&subject()).await.len()), (vec![], 2), "what was sent is not sent again");
}

pub(super) async fn a_part_that_one_channel_refuses_waits_unchanged_and_holds_back_no_other<S: Store>(store: &S) {
    let mut this = installation(store).await;
    turn(&this, &[1, 2, 3], Status::Offline).await;
    this.chat.refuse_in("three", [failed()]);
    this.notify(&subject()).await;
    assert_eq!(notified(&this), [to("gpu", &[2]), to("web", &[1])]);
    // Later changes of the fleet and the policy are in the next notification; the remaining part keeps its channel.
    this.check.policy = policy(r##"{"failureThreshold":1,"successThreshold":1,"labels":{"*":{"channel":"other"}}}"##);
    turn(&this, &[3], Status::Idle).await;
    turn(&this, &[5], Status::Offline).await;
    this.notify(&subject()).await;
    assert_eq!(notified(&this), [to("three", &[3]), to("other", &[5, 3])], "later recoveries are sent separately");
    let threads = this.chat.take_threads();
    assert_eq!(threads.edits.len(), 1, "the message that waited is live too");
    assert_eq!(threads.edits[0].place.channel, "three");
    let endings = this.endings(&subject()).await;
    let numbers: Vec<(u64, u32)> = endings.iter().map(|(number, _)| (number.notification, number.attempt)).collect();
    assert_eq!(numbers, [(2, 1), (1, 2), (1, 1)]);
    turn(&this, &[2], Status::Idle).await;
    this.notify(&subject()).await;
    assert_eq!((notified(&this), this.chat.take_threads().replies), (vec![to("gpu", &[2])], vec!["1".to_owned()]));
}

/// A notifier that crashes while its message to a channel waits for an answer.
async fn crash_in<S: Store>(this: &Installation<'_, S>, channel: &str) {
    this.chat.hang_in(Some(channel));
    let subject = subject();
    tokio::select! {
        report = this.notify(&subject) => panic!("{report:?}"),
        () = this.chat.until_it_hangs() => {}
    }
    this.chat.hang_in(None);
}

pub(super) async fn a_crash_between_two_channels_repeats_nothing<S: Store>(store: &S) {
    let this = installation(store).await;
    turn(&this, &[1, 2, 3], Status::Offline).await;
    crash_in(&this, "three").await;
    this.notify(&subject()).await;
    assert_eq!(notified(&this), [to("gpu", &[2])], "the lease is still valid");
    this.clock.advance(NotifySettings::default().lease);
    // Crashed again: the remaining parts are unchanged, although this attempt has no recorded ending.
    crash_in(&this, "three").await;
    this.clock.advance(NotifySettings::default().lease);
    this.notify(&subject()).await;
    assert_eq!(notified(&this), [to("three", &[3]), to("web", &[1])]);
    this.clock.advance(NotifySettings::default().lease);
    this.notify(&subject()).await;
    assert_eq!(notified(&this), []);
}

pub(super) async fn a_lost_delivery_record_repeats_only_its_own_channel<S: Store>(store: &S) {
    let this = installation(store).await;
    turn(&this, &[1, 2], Status::Offline).await;
    this.record().await;
    // The claim and the first delivery are recorded; then no put succeeds, as after a crash.
    this.store.plan([PutFault::None, PutFault::None]);
    this.store.go_down(true);
    let report = this.notify(&subject()).await;
    assert!(matches!(report.disposition, Disposition::Retry { .. }), "{report:?}");
    assert_eq!(notified(&this), [to("gpu", &[2]), to("web", &[1])]);
    this.store.go_down(false);
    this.clock.advance(NotifySettings::default().lease);
    this.notify(&subject()).await;
    assert_eq!(notified(&this), [to("web", &[1])]);
}

pub(super) async fn a_dead_channel_falls_back_to_the_default_one<S: Store>(store: &S) {
    let this = installation(store).await;
    turn(&this, &[1, 2], Status::Offline).await;
    this.chat.refuse_in("gpu", [dead()]);
    assert_eq!(this.notify(&subject()).await.delivered.len(), 2);
    assert_eq!(notified(&this), [to("→gpu: is_archived", &[2]), to("web", &[1])]);
    // The message is live in the default channel: its recovery is sent in its thread.
    turn(&this, &[2], Status::Idle).await;
    this.notify(&subject()).await;
    assert_eq!((notified(&this), this.chat.take_threads().replies), (vec![to("", &[2])], vec!["1".to_owned()]));
    // If the default channel is dead too, the message waits and nothing is lost.
    turn(&this, &[2], Status::Offline).await;
    this.chat.refuse_in("gpu", [dead()]);
    this.chat.refuse_in("", [dead()]);
    this.notify(&subject()).await;
    assert_eq!(notified(&this), []);
    this.clock.advance(NotifySettings::default().longest_backoff);
    this.notify(&subject()).await;
    assert_eq!(notified(&this), [to("gpu", &[2])], "the channel is fixed by then");
}

pub(super) async fn a_dead_channel_does_not_prevent_the_end_of_an_outage_from_being_notified<S: Store>(store: &S) {
    let this = installation(store).await;
    turn(&this, &[2], Status::Offline).await;
    this.notify(&subject()).await;
    assert_eq!(notified(&this), [to("gpu", &[2])]);
    turn(&this, &[2], Status::Idle).await;
    // The channel refuses the edit, the reply and the message; then the default channel gets it.
    this.chat.refuse([dead()]);
    this.chat.refuse_in("gpu", [dead()]);
    this.notify(&subject()).await;
    assert_eq!(notified(&this), [to("→gpu: is_archived", &[2])]);
    assert_eq!(this.chat.take_threads().replies.len(), 0);
}

pub(super) async fn a_layout_refused_in_one_channel_repeats_nothing_in_another<S: Store>(store: &S) {
    let this = installation(store).await;
    turn(&this, &[1, 2, 3], Status::Offline).await;
    let refused = || ChatError::ContentRefused("invalid_blocks".to_owned());
    this.chat.refuse_in("three", [refused()]);
    assert_eq!(this.notify(&subject()).await.delivered.len(), 3);
    assert_eq!(notified(&this), [to("gpu", &[2]), to("web", &[1]), to("three", &[3])]);
    // Refused in every form, the part stays pending; the others are sent.
    turn(&this, &[1, 2, 3], Status::Idle).await;
    this.chat.take_threads();
    this.chat.lose_messages();
    this.chat.refuse_in("three", [refused(), refused(), refused()]);
    this.notify(&subject()).await;
    assert_eq!(notified(&this), [to("gpu", &[2]), to("web", &[1])]);
    this.clock.advance(MINUTE);
    this.notify(&subject()).await;
    assert_eq!(notified(&this), [to("three", &[3])]);
}

pub(super) async fn runners_in_items_without_labels_are_still_routed_by_label<S: Store>(store: &S) {
    let this = installation(store).await;
    for status in [Status::Offline, Status::Idle, Status::Offline, Status::Idle] {
        turn(&this, &[2, 5], status).await;
    }
    this.notify(&subject()).await;
    let notified = notified(&this);
    assert_eq!(notified.iter().map(|(channel, _)| &**channel).collect::<Vec<_>>(), ["gpu", "web"]);
    assert!(
        notified[0].1.iter().all(|runner| *runner == 2) && notified[1].1.iter().all(|runner| *runner == 5),
        "{notified:?}"
    );
    let ended = this.endings(&subject()).await;
    assert!(matches!(&ended[..], [(_, SendEnding::Delivered(_))]), "{ended:?}");
}
