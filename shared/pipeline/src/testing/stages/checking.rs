//! The cost of a check, and the messages that it sends.

use super::*;

pub(super) async fn last_healthy_is_the_time_of_the_previous_check<S: Store>(store: &S) {
    assert_eq!(last_healthy_before_an_outage(store, false).await, MINUTE);
}

pub(super) async fn after_a_restart_last_healthy_is_the_time_of_the_stored_check<S: Store>(store: &S) {
    assert_eq!(last_healthy_before_an_outage(store, true).await, 8 * MINUTE);
}

/// Checks a runner each minute and takes it offline after the eighth; returns how long before its outage it was last
/// healthy.
async fn last_healthy_before_an_outage<S: Store>(store: &S, restarts: bool) -> Duration {
    let this = Installation::watching(store, 1).await;
    for _ in 0..7 {
        this.clock.advance(MINUTE);
        this.check(&web()).await;
    }
    let this = if restarts { Installation { latest: LatestChecks::default(), ..this } } else { this };
    this.outage().await;
    let notified = this.notify_all().await;
    let [NotificationItem::Offline { outages }] = &notified[0].items[..] else { panic!("{notified:?}") };
    let last = outages[0].last_healthy.unwrap_or_else(|| panic!("it has been healthy"));
    outages[0].started_at.since(last.at)
}

pub(super) async fn a_steady_check_costs_two_reads_and_no_write<S: Store>(store: &S) {
    let this = Installation::watching(store, 3).await;
    this.store.take_requests();
    let pages = this.source.fresh_pages();
    let mut requests = Vec::new();
    for _ in 0..4 {
        this.clock.advance(INTERVAL);
        this.check(&web()).await;
        requests.push(this.store.take_requests());
    }
    let without = Requests { reads: 2, puts: 0, deletes: 0 };
    let with_last_seen = Requests { puts: 1, ..without };
    assert_eq!(
        requests,
        [without, with_last_seen, without, with_last_seen],
        "a LastSeen item every ten minutes, and nothing else"
    );
    assert_eq!(this.source.fresh_pages(), pages, "every page was answered by 304");
}

pub(super) async fn a_check_without_a_pending_notification_sends_no_state_change_message<S: Store>(store: &S) {
    let this = Installation::watching(store, 2).await;
    this.source.set_status(&web(), 1, Status::Busy);
    this.clock.advance(INTERVAL);
    assert_eq!(this.check(&web()).await.events.len(), 1);
    assert_eq!((this.changes.take().len(), this.jobs.take().len()), (0, 0));
    // While a notification is pending, every check sends a state-change message, even if it saw nothing new.
    this.outage().await;
    let first = this.changes.take();
    assert_eq!(first.len(), 1);
    this.clock.advance(INTERVAL);
    this.check(&web()).await;
    let second = this.changes.take();
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].deduplication_id, first[0].deduplication_id, "SQS would drop it");
    assert!(second[0].group.as_ref().is_some_and(|group| group.len() <= 128));
    this.notify(&subject()).await;
    this.clock.advance(INTERVAL);
    this.check(&web()).await;
    assert_eq!(this.changes.take().len(), 0);
}

pub(super) async fn only_a_check_that_counted_requests_a_recheck<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.source.set_status(&web(), 1, Status::Offline);
    let mut sent = Vec::new();
    for wait_secs in [60, 10, 50, 60, 300] {
        this.clock.advance(Duration::from_secs(wait_secs));
        this.check(&web()).await;
        sent.push(this.jobs.take().iter().map(|message| message.delay).collect::<Vec<_>>());
    }
    // First unhealthy check; too soon; second; third, which opens the outage; and one that no longer counts.
    assert_eq!(sent, [vec![MINUTE], vec![], vec![MINUTE], vec![], vec![]]);
}

pub(super) async fn expired_jobs_and_unknown_targets_send_no_request_to_github<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    let pages = this.source.fresh_pages();
    let (source, jobs, changes, clock) = (&this.source, &this.jobs, &this.changes, &this.clock);
    let stage = Check {
        store: &this.store,
        source,
        jobs,
        changes,
        clock,
        settings: &this.check,
        latest: &LatestChecks::default(),
    };
    let requested_at = Some(this.clock.now());
    this.clock.advance(INTERVAL + MINUTE);
    this.source.set_status(&web(), 1, Status::Busy);
    let old = CheckJob { target: web(), reason: Reason::Schedule, requested_at, valid_until: None };
    assert_eq!(stage.run(&old).await.ending, CheckEnding::Expired);
    let unknown =
        CheckJob { target: repository("other"), reason: Reason::Manual, requested_at: None, valid_until: None };
    assert_eq!(stage.run(&unknown).await.ending, CheckEnding::NotConfigured);
    assert_eq!(this.source.fresh_pages(), pages);
    let recheck = CheckJob { target: web(), reason: Reason::Recheck, requested_at, valid_until: None };
    assert!(matches!(stage.run(&recheck).await.ending, CheckEnding::Seen(_)));
}

pub(super) async fn a_check_that_took_too_long_is_discarded<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.source.set_status(&web(), 1, Status::Offline);
    // The process stalls for longer than an interval while GitHub answers.
    let clock = this.clock.clone();
    this.source.meanwhile(async move { clock.advance(INTERVAL + MINUTE) });
    this.check(&web()).await;
    let changes = this.changes(&subject()).await;
    assert_eq!(
        changes.last().map(|change| change.observed_at),
        Some(this.clock.now()),
        "GitHub is asked again, and the change has the new time"
    );
}

pub(super) async fn an_interrupted_list_changes_no_runner<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    let leaving = ObservedRunner { ephemeral: true, ..runner(2, Status::Idle) };
    this.source.set(&web(), vec![runner(1, Status::Idle), leaving]);
    this.check(&web()).await;
    this.source.break_off(&web(), Failure::new(Fault::BrokenAnswer, "page 2 is an HTML page"));
    for _ in 0..3 {
        this.clock.advance(MINUTE);
        let report = this.check(&web()).await;
        assert!(matches!(report.ending, CheckEnding::Failed(_)), "{:?}", report.ending);
        assert!(report.events.iter().all(|event| matches!(event, Event::ChecksFailing { .. })), "{:?}", report.events);
    }
}

pub(super) async fn a_failed_check_that_is_late_counts_towards_unreachable<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.notify_all().await;
    // GitHub accepts the request and never answers.
    this.source.fail(&web(), Failure::new(Fault::NotFound, "no answer in time"));
    this.source.slow_down(&this.clock, INTERVAL + MINUTE / 6);
    let mut checks = 0;
    let notified = loop {
        let report = this.check(&web()).await;
        assert!(matches!(&report.ending, CheckEnding::Late(failure) if failure.fault == Fault::NotFound), "{report:?}");
        checks += 1;
        let notified = this.notify_all().await;
        if !notified.is_empty() || checks > 10 {
            break notified;
        }
    };
    assert!(
        matches!(&notified[..], [notification] if matches!(notification.items[..], [NotificationItem::Unreachable { .. }])),
        "{notified:?}"
    );
    // The 15 minutes begin at the end of the first check; three intervals later they are over.
    assert_eq!(checks, 4);
    let items = this.store.list(&Query::Fleet(web().id().clone())).await.unwrap_or_else(|error| panic!("{error}"));
    let is_idle = |item: &Item| matches!(item, Item::Runner(item) if item.runner.status == Status::Idle);
    assert!(items.iter().any(is_idle), "{items:?}");
}

pub(super) async fn a_check_that_is_late_twice_counts_as_failed<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    this.source.set(&web(), vec![runner(1, Status::Idle)]);
    this.check(&web()).await;
    this.source.set_status(&web(), 1, Status::Offline);
    this.source.slow_down(&this.clock, INTERVAL + MINUTE);
    let pages = this.source.fresh_pages();
    let report = this.check(&web()).await;
    assert!(matches!(&report.ending, CheckEnding::Late(failure) if failure.detail.contains("360 s")), "{report:?}");
    assert!(matches!(report.events[..], [Event::ChecksFailing { .. }]), "{report:?}");
    assert_eq!(this.source.fresh_pages(), pages + 2, "it is retried once");
    // The clock is set forward, but the check is not late.
    this.source.slow_down(&this.clock, Duration::ZERO);
    let clock = this.clock.clone();
    this.source.meanwhile(async move { clock.set_forward(2 * INTERVAL) });
    assert!(matches!(this.check(&web()).await.ending, CheckEnding::Seen(_)));
}

pub(super) async fn a_check_while_failing_costs_two_reads_and_no_write<S: Store>(store: &S) {
    let steady = Requests { reads: 2, puts: 0, deletes: 0 };
    for fault in [Fault::Service, Fault::Credential, Fault::NotFound] {
        let mut this = Installation::new(store);
        let [known, new] = ["known", "new"].map(|name| repository(&format!("{name}-{fault:?}").to_lowercase()));
        this.check.configured = [&known, &new].map(|target| TargetSpec::One(target.clone())).to_vec();
        this.source.set(&known, vec![runner(1, Status::Idle)]);
        this.tick().await;
        this.check(&known).await;
        for target in [&known, &new] {
            this.source.fail(target, Failure::new(fault, "it failed"));
        }
        let mut costlier = Vec::new();
        for round in 0..8 {
            this.clock.advance(INTERVAL);
            for target in [&known, &new] {
                this.store.take_requests();
                let report = this.check(target).await;
                assert!(matches!(report.ending, CheckEnding::Failed(_)), "{report:?}");
                let requests = this.store.take_requests();
                if requests != steady {
                    costlier.push((round, requests));
                }
            }
            this.notify_all().await;
        }
        // Only the first failed check, and the one after 15 minutes of failures, cost more.
        assert!(costlier.iter().all(|(round, _)| [0, 3].contains(round)), "{fault:?}: {costlier:?}");
    }
}

/// A flood of jobs by hand sends one request to GitHub, and one more in the next window; each job is followed by a
/// check that begins after it was received.
pub(super) async fn checks_by_hand_run_once_and_once_more_in_the_next_window<S: Store>(store: &S) {
    let this = Installation::watching(store, 2).await;
    let mut endings = Vec::new();
    for _ in 0..40 {
        endings.push(this.check_for(&web(), Reason::Manual).await.ending);
    }
    assert!(matches!(endings[0], CheckEnding::Seen(_)), "{endings:?}");
    assert!(endings[1..].iter().all(|ending| *ending == CheckEnding::Covered), "{endings:?}");
    let [later] = &this.jobs.take()[..] else { panic!("one more") };
    let job = CheckJob::from_json(&later.body).unwrap_or_else(|error| panic!("{error}"));
    assert!(job.target == web() && later.delay <= Duration::from_secs(15), "{later:?}");
    // It is due in the next window, in which it is the only check.
    this.clock.advance(later.delay);
    let (store, source, jobs, changes) = (&this.store, &this.source, &this.jobs, &this.changes);
    let stage = Check { store, source, jobs, changes, clock: &this.clock, settings: &this.check, latest: &this.latest };
    assert!(matches!(stage.run(&job).await.ending, CheckEnding::Seen(_)));
    assert_eq!(this.check_for(&web(), Reason::Manual).await.ending, CheckEnding::Covered);
    // Two pollers get a job at the same moment.
    this.clock.advance(Duration::from_secs(60));
    this.jobs.take();
    let target = web();
    let (one, other) = tokio::join!(this.check_for(&target, Reason::Manual), this.check_for(&target, Reason::Manual));
    let seen = [one, other].iter().filter(|report| matches!(report.ending, CheckEnding::Seen(_))).count();
    assert_eq!((seen, this.jobs.take().len()), (1, 1));
    // The schedule and rechecks do not wait.
    for reason in [Reason::Schedule, Reason::Recheck] {
        assert!(matches!(this.check_for(&web(), reason).await.ending, CheckEnding::Seen(_)));
    }
    // If the store does not answer, the job is retried.
    this.clock.advance(Duration::from_secs(60));
    this.store.go_down(true);
    let report = this.check_for(&web(), Reason::Manual).await;
    assert!(
        report.ending == CheckEnding::Broken && matches!(report.disposition, Disposition::Retry { .. }),
        "{report:?}"
    );
    this.store.go_down(false);
    assert!(matches!(this.check_for(&web(), Reason::Manual).await.ending, CheckEnding::Seen(_)));
}

pub(super) async fn a_short_list_is_a_failed_check_unless_the_missing_runners_are_found<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    this.source.set(&web(), vec![runner(1, Status::Idle), runner(2, Status::Idle)]);
    this.source.miscount(&web(), 1);
    let report = this.check(&web()).await;
    assert!(
        matches!(&report.ending, CheckEnding::Failed(failure) if failure.fault == Fault::Incomplete),
        "{:?}",
        report.ending
    );
    // The listed runners are watched all the same.
    this.source.set_status(&web(), 1, Status::Offline);
    let mut opened = 0;
    for _ in 0..3 {
        this.clock.advance(MINUTE);
        let events = this.check(&web()).await.events;
        opened += events.iter().filter(|event| matches!(event, Event::OutageOpened { .. })).count();
    }
    assert_eq!(opened, 1);
}

pub(super) async fn a_repository_with_two_names_is_watched_once<S: Store>(store: &S) {
    let mut this = Installation::hasty(store);
    let (old, new) = (repository("old"), repository("new"));
    this.check.configured = [&old, &new].map(|target| TargetSpec::One(target.clone())).to_vec();
    this.source.set(&old, vec![runner(1, Status::Idle)]);
    this.source.rename(&old, &new);
    this.check(&new).await;
    this.source.set(&old, vec![runner(1, Status::Offline)]);
    this.source.set(&new, vec![runner(1, Status::Offline)]);
    let mut opened = Vec::new();
    let mut said = Vec::new();
    for _ in 0..20 {
        this.clock.advance(MINUTE);
        for target in [&old, &new] {
            let report = this.check(target).await;
            let is_opened = report.events.iter().any(|event| matches!(event, Event::OutageOpened { .. }));
            opened.extend(is_opened.then(|| target.to_string()));
            said.extend(report.events.iter().filter_map(|event| match event {
                Event::BecameUnreachable { failure, .. } => Some(failure.detail.clone()),
                _ => None,
            }));
        }
    }
    assert_eq!(opened, ["acme/new"]);
    assert_eq!(said, ["acme/old has been renamed to acme/new, which is watched too; take acme/old off the list"]);
}
