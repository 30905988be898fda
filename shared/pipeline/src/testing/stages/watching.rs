//! Which targets are watched, and with which credential.

use super::*;

pub(super) async fn a_refused_credential_is_notified_once_for_all_its_targets<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    let targets: Vec<Target> = (0..5).map(|n| repository(&format!("app-{n}"))).collect();
    this.check.configured = targets.iter().cloned().map(TargetSpec::One).collect();
    let mut notified = Vec::new();
    for round in 0..10_u64 {
        for (n, target) in (1_u64..).zip(&targets) {
            match round {
                1..6 => this.source.fail(target, Failure::new(Fault::Credential, "GitHub refuses the token (401)")),
                _ => this.source.set(target, vec![runner(n, Status::Idle)]),
            }
        }
        this.tick().await;
        for target in &targets {
            this.check(target).await;
        }
        notified.extend(this.notify_all().await);
        this.clock.advance(INTERVAL);
    }
    let of_credential: Vec<&NotificationItem> =
        notified.iter().filter(|n| matches!(n.subject, Subject::Credential(_))).flat_map(|n| &n.items).collect();
    assert!(
        matches!(
            of_credential[..],
            [NotificationItem::Unreachable { targets: 5, .. }, NotificationItem::ReachableAgain { .. }]
        ),
        "{of_credential:?}"
    );
    assert!(!notified.iter().any(|notification| matches!(notification.subject, Subject::Target(_))), "{notified:?}");
}

pub(super) async fn a_refused_credential_is_notified_once_by_concurrent_checks<S: Store>(store: &S) {
    let api = repository("api");
    let mut other = Installation::new(store);
    let mut this = Installation::new(store);
    let configured = vec![TargetSpec::One(web()), TargetSpec::One(api.clone())];
    other.check.configured.clone_from(&configured);
    this.check.configured = configured;
    other.source.set(&api, vec![runner(2, Status::Idle)]);
    this.source.set(&web(), vec![runner(1, Status::Idle)]);
    this.tick().await;
    for round in 0..5 {
        // In the last round both find at the same time that the credential has been refused for long enough.
        if round == 4 {
            this.source.meanwhile(async {
                other.check(&api).await;
            });
        } else {
            other.check(&api).await;
        }
        this.check(&web()).await;
        let refused = Failure::new(Fault::Credential, "GitHub refuses the token (401)");
        other.source.fail(&api, refused.clone());
        this.source.fail(&web(), refused);
        other.clock.advance(INTERVAL);
        this.clock.advance(INTERVAL);
    }
    let notified = [other.notify_all().await, this.notify_all().await].concat();
    let unreachable =
        notified.iter().filter(|notification| matches!(notification.items[..], [NotificationItem::Unreachable { .. }]));
    let subjects: Vec<&Subject> = unreachable.map(|notification| &notification.subject).collect();
    assert!(matches!(subjects[..], [Subject::Credential(_)]), "{subjects:?}");
}

pub(super) async fn a_dropped_target_is_closed_and_forgotten<S: Store>(store: &S) {
    let mut this = Installation::hasty(store);
    this.check.configured = vec![TargetSpec::One(web()), TargetSpec::One(repository("api"))];
    this.source.set(&web(), vec![runner(1, Status::Offline), runner(2, Status::Idle)]);
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    this.check.configured = vec![TargetSpec::One(repository("api"))];
    this.clock.advance(INTERVAL);
    // The first job is lost: the next tick sends another.
    for _ in 0..2 {
        this.jobs.take();
        this.tick().await;
    }
    let notified = this.notify_all().await;
    assert!(
        matches!(&notified[..], [Notification { items, .. }]
            if matches!(&items[..], [NotificationItem::TargetsRemoved { targets, total: 1 }] if *targets == [web()])),
        "{notified:?}"
    );
    let jobs = this.jobs.take();
    let dropped: Vec<CheckJob> = (jobs.iter().filter_map(|message| CheckJob::from_json(&message.body).ok()))
        .filter(|job| job.reason == Reason::Dropped)
        .collect();
    assert_eq!(dropped.len(), 1);
    this.check_for(&dropped[0].target, Reason::Dropped).await;
    // The first send fails: the notification is sent later, although the target is no longer checked.
    this.chat.refuse([ChatError::Transient("no answer".to_owned())]);
    assert!(this.notify_all().await.is_empty());
    this.clock.advance(INTERVAL);
    this.tick().await;
    assert_eq!(this.jobs.take().len(), 2, "the drop is sent again until it is notified");
    this.check_for(&dropped[0].target, Reason::Dropped).await;
    let notified = this.notify_all().await;
    assert!(
        matches!(&notified[..], [Notification { items, .. }]
            if matches!(&items[..], [NotificationItem::NoLongerMonitored { whole_target: true, outages, .. }] if outages.len() == 1)),
        "{notified:?}"
    );
    // A job that was in the queue all the time does not start to watch the target again.
    let mut stale = Installation::new(store);
    stale.check.configured = vec![TargetSpec::One(web())];
    stale.source.set(&web(), vec![runner(1, Status::Idle)]);
    assert_eq!(stale.check_for(&web(), Reason::Recheck).await.ending, CheckEnding::NotConfigured);
    this.tick().await;
    let jobs = this.jobs.take();
    assert_eq!(jobs.len(), 1, "no drop is left");
    let fleet = store.list(&Query::Fleet(web().id().clone())).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!fleet.iter().any(|item| matches!(item, Item::Runner(_))), "{fleet:?}");
}

pub(super) async fn a_late_drop_leaves_a_target_alone_that_is_listed_again<S: Store>(store: &S) {
    let mut this = Installation::hasty(store);
    let both = vec![TargetSpec::One(web()), TargetSpec::One(repository("api"))];
    this.source.set(&web(), vec![runner(1, Status::Offline)]);
    for configured in [both.clone(), vec![TargetSpec::One(repository("api"))], both] {
        this.check.configured = configured;
        this.tick().await;
        this.clock.advance(INTERVAL);
    }
    this.check(&web()).await;
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    let report = this.check_for(&web(), Reason::Dropped).await;
    assert_eq!((report.ending, report.events), (CheckEnding::Expired, vec![]));
    assert!(matches!(this.check(&web()).await.ending, CheckEnding::Seen(counts) if counts.total == 1));
}

pub(super) async fn a_check_that_is_slower_than_a_drop_does_not_start_watching<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::One(web()), TargetSpec::One(repository("api"))];
    this.source.set(&web(), vec![runner(1, Status::Idle)]);
    // First without any earlier check; then after it was watched, dropped and listed again.
    for _ in 0..2 {
        this.tick().await;
        let mut without = Installation::new(store);
        without.check.configured = vec![TargetSpec::One(repository("api"))];
        this.source.meanwhile(async move {
            without.tick().await;
            without.check_for(&web(), Reason::Dropped).await;
        });
        assert_eq!(this.check_for(&web(), Reason::Schedule).await.ending, CheckEnding::NotConfigured);
        let fleet = store.list(&Query::Fleet(web().id().clone())).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(!fleet.iter().any(|item| matches!(item, Item::Runner(_))), "{fleet:?}");
    }
}

pub(super) async fn a_repository_found_by_its_account_is_watched<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acme".to_owned())];
    this.source.set_repositories("acme", vec![web()]);
    assert_eq!(this.tick().await.targets, [web()]);
    this.source.set_repositories("acme", vec![web(), repository("api")]);
    this.clock.advance(INTERVAL);
    assert_eq!(this.tick().await.targets, [repository("api"), web()]);
    assert!(matches!(this.check(&repository("api")).await.ending, CheckEnding::Seen(_)));
    let notified = this.notify_all().await;
    assert!(
        matches!(&notified[..], [Notification { items, .. }] if matches!(items[..], [NotificationItem::TargetsAdded { total: 2, .. }]))
    );
}

pub(super) async fn a_gap_is_stored_before_the_heartbeat_that_would_hide_it<S: Store>(store: &S) {
    let this = Installation::new(store);
    this.tick().await;
    this.store.take_written();
    this.clock.advance(Duration::from_secs(7_200));
    this.tick().await;
    let written = this.store.take_written();
    assert!(matches!(written.first(), Some(Key::Change(Subject::Monitor, _))), "{written:?}");
    assert!(matches!(written.last(), Some(Key::LastSeen(Subject::Monitor, _))), "{written:?}");
    let notified = this.notify_all().await;
    assert!(
        notified
            .iter()
            .flat_map(|notification| &notification.items)
            .any(|item| matches!(item, NotificationItem::Unwatched { .. })),
        "{notified:?}"
    );
}

pub(super) async fn an_item_that_cannot_be_read_makes_its_target_unreachable<S: Store>(store: &S) {
    let mut this = Installation::hasty(store);
    this.check.configured = vec![TargetSpec::One(web()), TargetSpec::One(repository("api"))];
    this.source.set(&web(), vec![runner(1, Status::Offline), runner(2, Status::Idle)]);
    this.source.set(&repository("api"), vec![runner(3, Status::Idle)]);
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    this.store.spoil(Key::Runner(web().id().clone(), RunnerId(2)));
    let mut notified = Vec::new();
    for _ in 0..8 {
        this.clock.advance(INTERVAL);
        let report = this.check(&web()).await;
        assert_eq!(report.disposition, Disposition::Done, "{report:?}");
        assert!(
            matches!(&report.ending, CheckEnding::Failed(failure) if failure.fault == Fault::Unreadable),
            "{report:?}"
        );
        assert!(
            matches!(this.check(&repository("api")).await.ending, CheckEnding::Seen(_)),
            "other targets are still checked"
        );
        notified.extend(this.notify_all().await.into_iter().flat_map(|notification| notification.items));
    }
    let [NotificationItem::Unreachable { failure, .. }] = &notified[..] else { panic!("{notified:?}") };
    assert!(failure.detail.contains("acme/web runner 2"), "{failure}");
    // The item is restored.
    this.store.heal();
    this.clock.advance(INTERVAL);
    assert!(matches!(this.check(&web()).await.ending, CheckEnding::Seen(counts) if counts.down == 1));
    let notified: Vec<NotificationItem> =
        this.notify_all().await.into_iter().flat_map(|notification| notification.items).collect();
    assert!(matches!(notified[..], [NotificationItem::ReachableAgain { .. }]), "{notified:?}");
}

pub(super) async fn a_damaged_target_record_is_rebuilt<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    this.source.set(&web(), vec![runner(1, Status::Idle)]);
    this.check(&web()).await;
    this.source.set_status(&web(), 1, Status::Offline);
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    this.notify_all().await;
    let before = this.changes(&subject()).await.last().map(|change| change.revision);
    this.store.spoil(Key::Target(web().id().clone()));
    this.clock.advance(MINUTE);
    let report = this.check(&web()).await;
    assert_eq!(report.disposition, Disposition::Done, "{report:?}");
    assert!(matches!(report.ending, CheckEnding::Failed(_)), "{report:?}");
    // Its history continues, and the open outage is closed.
    let after = this.changes(&subject()).await.last().map(|change| change.revision);
    assert_eq!(after, before.map(Revision::next));
    this.source.set_status(&web(), 1, Status::Idle);
    for _ in 0..2 {
        this.clock.advance(MINUTE);
        assert!(matches!(this.check(&web()).await.ending, CheckEnding::Seen(counts) if counts.total == 1));
    }
    let notified: Vec<NotificationItem> =
        this.notify_all().await.into_iter().flat_map(|notification| notification.items).collect();
    assert!(matches!(notified[..], [NotificationItem::Recovered { .. }]), "{notified:?}");
}

pub(super) async fn an_entry_that_cannot_be_resolved_is_notified_once_and_again_when_it_can_be<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acmee".to_owned())];
    // A typing mistake at the very first start: there is no target and no check, but people are notified.
    this.source.fail_repositories("acmee", Failure::new(Fault::NotFound, "acmee: no such account, or no access (404)"));
    let ticks = async |this: &Installation<'_, S>, count: u32| {
        let mut notified = Vec::new();
        for _ in 0..count {
            assert_eq!(this.tick().await.disposition, Disposition::Done);
            notified.extend(this.notify_all().await.into_iter().flat_map(|notification| notification.items));
            this.clock.advance(INTERVAL);
        }
        notified
    };
    let notified = ticks(&this, 6).await;
    let [NotificationItem::EntriesUnresolved { entries }] = &notified[..] else { panic!("{notified:?}") };
    assert!(entries[0].entry == "acmee/*" && entries[0].failure.detail.contains("404"), "{entries:?}");
    let app = Target::repository("acmee/app").unwrap_or_else(|error| panic!("{error}"));
    this.source.set_repositories("acmee", vec![app.clone()]);
    let notified = ticks(&this, 3).await;
    assert!(
        matches!(notified[..], [NotificationItem::EntriesResolved { .. }, NotificationItem::TargetsAdded { .. }]),
        "{notified:?}"
    );

    // The permission is lost later: the known repositories stay monitored.
    this.source.set(&app, vec![runner(1, Status::Idle)]);
    this.check(&app).await;
    this.source.fail_repositories("acmee", Failure::new(Fault::Forbidden, "acmee: not for this token (403)"));
    let notified = ticks(&this, 8).await;
    assert!(matches!(notified[..], [NotificationItem::EntriesUnresolved { .. }]), "{notified:?}");
    assert_eq!(this.tick().await.targets, [app]);
}

pub(super) async fn an_entry_is_unresolved_since_the_request_of_a_stalled_tick<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("other".to_owned())];
    this.tick().await;
    this.source.fail_repositories("other", Failure::new(Fault::Service, "GitHub answers 502"));
    let clock = this.clock.clone();
    this.source.meanwhile(async move { clock.advance(12 * MINUTE) });
    let mut notified = Vec::new();
    for _ in 0..4 {
        this.tick().await;
        let items: Vec<NotificationItem> =
            this.notify_all().await.into_iter().flat_map(|notification| notification.items).collect();
        notified.push(items.iter().any(|item| matches!(item, NotificationItem::EntriesUnresolved { .. })));
        this.clock.advance(INTERVAL);
    }
    assert_eq!(notified, [false, false, false, true], "15 minutes after the request");
}

pub(super) async fn an_entry_is_not_reported_while_checks_with_its_credential_fail<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::One(web()), TargetSpec::RepositoriesOf("other".to_owned())];
    this.source.set(&web(), vec![runner(1, Status::Idle)]);
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    let refused = || Failure::new(Fault::Credential, "GitHub refuses the token (401)");
    let mut notified = Vec::new();
    this.source.fail_repositories("other", refused());
    for checks_fail in [true, true, true, true, true, true, false, false, false, false] {
        this.clock.advance(INTERVAL);
        if checks_fail {
            this.source.fail(&web(), refused());
        } else {
            this.source.set(&web(), vec![runner(1, Status::Idle)]);
        }
        this.check(&web()).await;
        this.tick().await;
        let items = this.notify_all().await.into_iter().flat_map(|notification| notification.items);
        notified.extend(items.filter(|item| !matches!(item, NotificationItem::TargetsAdded { .. })));
    }
    // Once checks have succeeded for a while, only the entry itself reports that it fails.
    assert!(
        matches!(
            notified[..],
            [
                NotificationItem::Unreachable { .. },
                NotificationItem::ReachableAgain { .. },
                NotificationItem::EntriesUnresolved { .. }
            ]
        ),
        "{notified:?}"
    );
}
