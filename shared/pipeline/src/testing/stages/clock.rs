//! A time of day that is set back or forward while the monitor runs, or between two runs.

use monitor_domain::scope::Scope;

use super::*;
use crate::items::Mute;
use crate::testing::samples::person;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) async fn a_clock_that_is_set_back_delays_no_notification<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.source.set_status(&web(), 1, Status::Offline);
    this.check(&web()).await;
    this.clock.set_back(2 * HOUR);
    for _ in 0..2 {
        this.clock.advance(MINUTE);
        this.check(&web()).await;
    }
    // The first send fails, and the clock is set back while the next attempt is deferred.
    this.chat.refuse([ChatError::Transient("no answer".to_owned())]);
    assert_eq!(this.notify_all().await, []);
    this.clock.set_back(2 * HOUR);
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    assert_eq!(this.notify_all().await.iter().map(offline_of).sum::<usize>(), 1);

    this.source.set_status(&web(), 1, Status::Idle);
    this.check(&web()).await;
    this.clock.set_back(2 * HOUR);
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    let notified = this.notify_all().await;
    assert!(
        matches!(&notified[..], [notification] if matches!(notification.items[..], [NotificationItem::Recovered { .. }])),
        "{notified:?}"
    );
}

pub(super) async fn items_stored_by_a_clock_that_was_ahead_delay_nothing<S: Store>(store: &S) {
    // A process whose clock is a day ahead crashes between Slack's answer and recording it.
    let ahead = Installation::new(store);
    ahead.clock.set_forward(DAY);
    ahead.source.set(&web(), vec![runner(1, Status::Idle), runner(2, Status::Idle)]);
    ahead.tick().await;
    ahead.check(&web()).await;
    ahead.outage().await;
    ahead.source.set_status(&web(), 2, Status::Offline);
    ahead.clock.advance(MINUTE);
    ahead.check(&web()).await;
    ahead.record().await;
    ahead.store.plan([PutFault::None]);
    ahead.store.go_down(true);
    assert!(matches!(ahead.notify(&subject()).await.disposition, Disposition::Retry { .. }));

    // Its successor's clock is right: neither the lease nor the suspicion of runner 2 lasts until the next day.
    let this = Installation::new(store);
    this.source.set(&web(), vec![runner(1, Status::Offline), runner(2, Status::Offline)]);
    assert_eq!(this.tick().await.targets, [web()]);
    let mut offline = 0;
    for _ in 0..3 {
        this.clock.advance(MINUTE);
        this.check(&web()).await;
        offline += this.notify_all().await.iter().map(offline_of).sum::<usize>();
    }
    assert_eq!(offline, 2);
    let unwatched = this.changes(&Subject::Monitor).await;
    let mut events = unwatched.iter().flat_map(|change| &change.events);
    assert!(!events.any(|event| matches!(event, Event::Unwatched { .. })), "{unwatched:?}");
}

pub(super) async fn a_clock_that_is_set_forward_makes_no_gap<S: Store>(store: &S) {
    let this = Installation::new(store);
    this.tick().await;
    for _ in 0..3 {
        this.clock.advance(INTERVAL);
        this.clock.set_forward(2 * HOUR);
        this.tick().await;
    }
    let notified: Vec<NotificationItem> =
        this.notify_all().await.into_iter().flat_map(|notification| notification.items).collect();
    assert!(!notified.iter().any(|item| matches!(item, NotificationItem::Unwatched { .. })), "{notified:?}");
    // A process that stalled did not watch, whatever its clock is set to.
    this.clock.advance(2 * HOUR);
    this.tick().await;
    let notified: Vec<NotificationItem> =
        this.notify_all().await.into_iter().flat_map(|notification| notification.items).collect();
    assert!(notified.iter().any(|item| matches!(item, NotificationItem::Unwatched { .. })), "{notified:?}");
}

pub(super) async fn a_mute_stored_by_a_clock_that_was_ahead_has_ended<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    this.source.set(&web(), vec![runner(1, Status::Idle)]);
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    let since = this.clock.now().plus(DAY);
    let scope = Scope::Target(web());
    let mute = Mute { scope, since, until: since.plus(HOUR), reason: None, by: person() };
    let put = store.put(&[Put::replacing(Item::Mute(mute))]).await;
    assert_eq!(put, Ok(PutOutcome::Done));
    this.source.set_status(&web(), 1, Status::Offline);
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    assert_eq!(this.notify_all().await.iter().map(offline_of).sum::<usize>(), 1);
}

pub(super) async fn a_mute_set_while_a_check_runs_is_in_force<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    this.source.set(&web(), vec![runner(1, Status::Idle)]);
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    this.source.set_status(&web(), 1, Status::Offline);
    this.clock.advance(MINUTE);
    let clock = this.clock.clone();
    this.source.meanwhile(async move {
        clock.advance(2 * MINUTE);
        let since = clock.now();
        let mute = Mute { scope: Scope::Target(web()), since, until: since.plus(HOUR), reason: None, by: person() };
        assert_eq!(store.put(&[Put::replacing(Item::Mute(mute))]).await, Ok(PutOutcome::Done));
    });
    this.check(&web()).await;
    assert_eq!(this.notify_all().await, [], "the check began before the mute and was committed after it");
}
