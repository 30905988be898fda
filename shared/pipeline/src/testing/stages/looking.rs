//! What a look costs, and what it sets in motion.

use super::*;

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
    let fresh = Requests { puts: 1, ..without };
    assert_eq!(requests, [without, fresh, without, fresh], "freshness once in ten minutes, and nothing else");
    assert_eq!(this.source.fresh_pages(), pages, "every page was answered by 304");
}

pub(super) async fn nothing_to_tell_wakes_nobody<S: Store>(store: &S) {
    let this = Installation::watching(store, 2).await;
    this.source.set_status(&web(), 1, Status::Busy);
    this.clock.advance(INTERVAL);
    assert_eq!(this.check(&web()).await.steps.len(), 1);
    assert_eq!((this.wakes.take().len(), this.jobs.take().len()), (0, 0));
    // Untold news wake the notifier after every check, also after one that saw nothing new.
    this.outage().await;
    let first = this.wakes.take();
    assert_eq!(first.len(), 1);
    this.clock.advance(INTERVAL);
    this.check(&web()).await;
    let woken = this.wakes.take();
    assert_eq!(woken.len(), 1);
    assert_ne!(woken[0].deduplication_id, first[0].deduplication_id, "SQS would swallow it");
    assert!(woken[0].group.as_ref().is_some_and(|group| group.len() <= 128));
    this.notify(&subject()).await;
    this.clock.advance(INTERVAL);
    this.check(&web()).await;
    assert_eq!(this.wakes.take().len(), 0);
}

pub(super) async fn only_a_look_that_counted_sends_a_recheck<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.source.set_status(&web(), 1, Status::Offline);
    let mut sent = Vec::new();
    for wait_secs in [60, 10, 50, 60, 300] {
        this.clock.advance(Duration::from_secs(wait_secs));
        this.check(&web()).await;
        sent.push(this.jobs.take().iter().map(|message| message.delay).collect::<Vec<_>>());
    }
    // First bad reading; too soon; second; third, which opens the outage; and one that counts for nothing.
    assert_eq!(sent, [vec![MINUTE], vec![], vec![MINUTE], vec![], vec![]]);
}

pub(super) async fn old_jobs_and_unknown_targets_are_not_asked_for<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    let pages = this.source.fresh_pages();
    let (source, jobs, wakes, clock) = (&this.source, &this.jobs, &this.wakes, &this.clock);
    let stage = Check { store: &this.store, source, jobs, wakes, clock, settings: &this.check };
    let requested_at = Some(this.clock.now());
    this.clock.advance(INTERVAL + MINUTE);
    this.source.set_status(&web(), 1, Status::Busy);
    let old = CheckJob { target: web(), reason: Reason::Schedule, requested_at, good_until: None };
    assert_eq!(stage.run(&old).await.ending, Ending::Overtaken);
    let unknown =
        CheckJob { target: repository("other"), reason: Reason::Manual, requested_at: None, good_until: None };
    assert_eq!(stage.run(&unknown).await.ending, Ending::NotConfigured);
    assert_eq!(this.source.fresh_pages(), pages);
    let recheck = CheckJob { target: web(), reason: Reason::Recheck, requested_at, good_until: None };
    assert!(matches!(stage.run(&recheck).await.ending, Ending::Seen(_)));
}

pub(super) async fn a_look_that_took_too_long_is_thrown_away<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.source.set_status(&web(), 1, Status::Offline);
    // Held up while GitHub answers, for longer than an interval.
    let clock = this.clock.clone();
    this.source.meanwhile(async move { clock.advance(INTERVAL + MINUTE) });
    this.check(&web()).await;
    let changes = this.changes(&subject()).await;
    assert_eq!(changes.last().map(|change| change.observed_at), Some(this.clock.now()), "asked again, and dated anew");
}

pub(super) async fn a_list_that_breaks_off_is_no_verdict<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    let leaving = ObservedRunner { ephemeral: true, ..runner(2, Status::Idle) };
    this.source.set(&web(), vec![runner(1, Status::Idle), leaving]);
    this.check(&web()).await;
    this.source.break_off(&web(), Failure::new(Fault::BrokenAnswer, "page 2 is an HTML page"));
    for _ in 0..3 {
        this.clock.advance(MINUTE);
        let report = this.check(&web()).await;
        assert!(matches!(report.ending, Ending::Failed(_)), "{:?}", report.ending);
        assert!(report.steps.iter().all(|step| matches!(step, Step::LooksFail { .. })), "{:?}", report.steps);
    }
}
