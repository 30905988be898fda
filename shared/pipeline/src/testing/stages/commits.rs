//! Commits: races, lost answers, decisions in several parts, concurrent writers.

use super::*;

pub(super) async fn a_lost_race_is_discarded_and_github_is_asked_again<S: Store>(store: &S) {
    let other = Installation::watching(store, 2).await;
    let this = Installation::new(store);
    this.source.set(&web(), vec![runner(1, Status::Offline), runner(2, Status::Idle)]);
    other.source.set_status(&web(), 1, Status::Offline);
    this.clock.advance(MINUTE);
    other.clock.advance(MINUTE);
    // Both read revision 1; the other commits while this one is still asking GitHub.
    this.source.meanwhile(async {
        let report = other.check(&web()).await;
        assert!(report.events.iter().any(|event| matches!(event, Event::Suspected { .. })));
    });
    let report = this.check(&web()).await;
    assert_eq!(report.disposition, Disposition::Done);
    assert!(report.events.is_empty(), "the same observation must count once: {:?}", report.events);
    let changes = this.changes(&subject()).await;
    assert_eq!(changes.len(), 2, "one commit for each revision");
}

pub(super) async fn an_own_commit_whose_answer_is_lost_is_recognised<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    for fault in [PutFault::AnswerLost, PutFault::RequestLost] {
        let status = if fault == PutFault::AnswerLost { Status::Busy } else { Status::Idle };
        this.source.set_status(&web(), 1, status);
        this.clock.advance(MINUTE);
        this.store.plan([fault]);
        let before = this.changes(&subject()).await.len();
        let report = this.check(&web()).await;
        assert!(matches!(report.events[..], [Event::StatusChanged { to, .. }] if to == status), "{fault:?}");
        assert_eq!(this.changes(&subject()).await.len(), before + 1, "{fault:?}");
    }
}

pub(super) async fn a_large_decision_is_split_and_notified_as_one<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    let runners = u64::try_from(store.max_batch()).unwrap_or(50) + 70;
    this.source.set(&web(), (1..=runners).map(|id| runner(id, Status::Offline)).collect());
    this.check(&web()).await;
    let changes = this.changes(&subject()).await;
    assert!(changes.len() > 1 && changes.iter().rev().skip(1).all(|change| change.more));
    assert!(changes.last().is_some_and(|change| !change.more));
    let notified = this.notify_all().await;
    assert_eq!(notified.iter().map(offline_of).collect::<Vec<_>>(), [usize::try_from(runners).unwrap_or(0)]);
}

pub(super) async fn an_interrupted_split_is_finished_and_notified_as_one<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    let runners = u64::try_from(store.max_batch()).unwrap_or(50) + 70;
    this.source.set(&web(), (1..=runners).map(|id| runner(id, Status::Offline)).collect());
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    let report = this.check(&web()).await;
    assert!(matches!(report.disposition, Disposition::Retry { .. }), "{:?}", report.disposition);
    assert_eq!(this.notify(&subject()).await.delivered, []);
    this.store.go_down(false);
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    let notified = this.notify_all().await;
    assert_eq!(notified.iter().map(offline_of).collect::<Vec<_>>(), [usize::try_from(runners).unwrap_or(0)]);
}

pub(super) async fn no_item_type_has_two_writers<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    this.source.set(&web(), vec![runner(1, Status::Offline), runner(2, Status::Idle)]);
    let kinds = |keys: Vec<Key>| -> BTreeSet<&'static str> {
        let kind = |key: &Key| match key {
            Key::Target(_) => "target",
            Key::Runner(..) => "runner",
            Key::Outage(..) => "outage",
            Key::LastSeen(Subject::Monitor, _) => "tick",
            Key::LastSeen(..) => "last seen",
            Key::Change(Subject::Monitor, _) => "change of the monitor",
            Key::Change(..) => "change of a target or credential",
            Key::Credential(_) => "credential",
            Key::Watchlist => "watchlist",
            Key::Claim(..) => "claim",
            Key::Sent(..) => "sent",
            Key::Cursor(_) => "cursor",
            Key::Mute(_) => "mute",
            Key::Acknowledgement(..) => "acknowledgement",
            Key::AccessToken(_) => "access token",
            Key::Job(..) => "job",
            Key::Marker(Subject::Monitor, _) => "marker of a request",
            Key::Marker(..) => "marker of a check by hand",
        };
        keys.iter().map(kind).collect()
    };
    let (mut by_schedule, mut by_check, mut by_notify) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for round in 0..6 {
        this.tick().await;
        by_schedule.extend(kinds(this.store.take_written()));
        if round == 2 {
            this.source.set_status(&web(), 1, Status::Idle);
        }
        this.check(&web()).await;
        this.check_for(&web(), Reason::Manual).await;
        by_check.extend(kinds(this.store.take_written()));
        this.notify_all().await;
        by_notify.extend(kinds(this.store.take_written()));
        this.clock.advance(Duration::from_secs(660));
    }
    assert_eq!(by_schedule, BTreeSet::from(["tick", "change of the monitor", "watchlist"]));
    assert_eq!(by_notify, BTreeSet::from(["outage", "claim", "sent", "cursor"]));
    let of_check = ["target", "runner", "last seen", "change of a target or credential", "marker of a check by hand"];
    assert_eq!(by_check, BTreeSet::from(of_check));
}

/// Every stage runs concurrently with every other and with itself: checks, ticks and notifiers, two of each.
pub(super) async fn concurrent_writers_lose_nothing<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    this.source.set(&web(), (1..=4).map(|id| runner(id, Status::Idle)).collect());
    let subject = subject();
    let mut notified = Vec::new();
    for round in 0..12_u64 {
        let status = if round % 2 == 0 { Status::Offline } else { Status::Idle };
        this.source.set_status(&web(), 1 + round / 2 % 4, status);
        let target = web();
        tokio::join!(
            this.check(&target),
            this.check(&target),
            this.tick(),
            this.notify(&subject),
            this.tick(),
            this.notify(&subject),
        );
        // Two more healthy checks, which end the outages.
        this.clock.advance(INTERVAL);
        tokio::join!(this.check(&target), this.notify(&subject));
        this.clock.advance(INTERVAL);
        this.check(&target).await;
        this.notify(&subject).await;
        notified.extend(
            this.chat
                .take()
                .into_iter()
                .map(|(notification, _)| notification)
                .filter(|notification| notification.subject == subject),
        );
    }
    for subject in [&subject, &Subject::Monitor] {
        let revisions: Vec<u64> = this.changes(subject).await.iter().map(|change| change.revision.0).collect();
        assert_eq!(
            revisions,
            (1..=revisions.len() as u64).collect::<Vec<_>>(),
            "{subject}: no revision twice, none missing"
        );
    }
    let began: usize = notified.iter().map(offline_of).sum();
    let ended = |notification: &Notification| {
        let outages = notification
            .items
            .iter()
            .map(|item| if let NotificationItem::Recovered { outages } = item { outages.len() } else { 0 });
        outages.sum::<usize>()
    };
    assert_eq!((began, notified.iter().map(ended).sum::<usize>()), (6, 6), "{notified:?}");
}

pub(super) async fn an_observation_from_before_a_lost_race_is_discarded<S: Store>(store: &S) {
    let other = Installation::watching(store, 2).await;
    let this = Installation::new(store);
    this.source.set(&web(), vec![runner(1, Status::Offline), runner(2, Status::Idle)]);
    other.source.set_status(&web(), 2, Status::Busy);
    this.clock.advance(MINUTE);
    other.clock.advance(MINUTE);
    let clock = this.clock.clone();
    this.source.meanwhile(async move {
        other.check(&web()).await;
        clock.advance(Duration::from_secs(10));
    });
    this.check(&web()).await;
    let changes = this.changes(&subject()).await;
    assert_eq!(changes.last().map(|change| change.observed_at), Some(this.clock.now()), "GitHub is asked again");
}
