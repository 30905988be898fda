//! Pools over all targets of a credential: when they are evaluated, what that costs, and what they say.

use monitor_domain::outage::{Ending, Outage, Visibility};
use monitor_domain::runner::Runner;
use monitor_domain::scope::Scope;
use monitor_domain::subject::CredentialId;

use super::*;
use crate::commands::{Answer, Command};
use crate::records;
use crate::stages::Respond;
use crate::testing::samples::asker;

const POLICY: &str = r#"{"pools":{"gpu":{"minimumOnline":2,"over":"credential","alert":"pool"}},"failureThreshold":1,
    "successThreshold":1,"recheckInterval":"60s"}"#;

fn pools() -> Target {
    CredentialId::token().pools().unwrap_or_else(|| unreachable!("a token has pools"))
}

/// Two repositories with a runner of the pool each; `acme/web` has another runner besides.
async fn installation<S: Store>(store: &S) -> Installation<'_, S> {
    let mut this = Installation::new(store);
    this.check.configured = [web(), repository("api")].map(TargetSpec::One).to_vec();
    set_policy(&mut this, POLICY);
    let gpu = |id| ObservedRunner { labels: vec!["gpu".to_owned()], ..runner(id, Status::Idle) };
    this.source.set(&web(), vec![gpu(1), runner(2, Status::Idle)]);
    this.source.set(&repository("api"), vec![gpu(1)]);
    cycle(&this).await;
    this.notify_all().await;
    this
}

fn set_policy<S: Store>(this: &mut Installation<'_, S>, json: &str) {
    let document = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}"));
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_else(|faults| panic!("{faults:?}"));
}

/// Ticks, checks both repositories and then the pools.
async fn cycle<S: Store>(this: &Installation<'_, S>) -> CheckReport {
    this.clock.advance(INTERVAL);
    this.tick().await;
    for target in [web(), repository("api")] {
        this.check(&target).await;
    }
    this.check(&pools()).await
}

async fn stored(store: &impl Store) -> Vec<Runner> {
    records::read_fleet(store, &pools()).await.unwrap_or_else(|error| panic!("{error}")).fleet.pools
}

async fn recorded(store: &impl Store) -> Vec<Outage> {
    records::read_outages(store, pools().id()).await.unwrap_or_else(|error| panic!("{error}"))
}

pub(super) async fn a_tick_sends_one_job_for_the_pools_of_each_credential<S: Store>(store: &S) {
    let mut this = installation(store).await;
    this.jobs.take();
    this.clock.advance(INTERVAL);
    let report = this.tick().await;
    assert_eq!(report.targets, [repository("api"), web()], "pools are no target");
    let jobs = this.jobs.take();
    let of_pools: Vec<_> = jobs.iter().filter(|job| job.body.contains(r#""poolsOf":"token""#)).collect();
    assert!(jobs.len() == 3 && of_pools.len() == 1 && of_pools[0].delay == INTERVAL / 2, "{jobs:?}");
    let job = CheckJob::from_json(&of_pools[0].body);
    assert!(job.is_ok_and(|job| job.target == pools() && job.reason == Reason::Schedule));

    set_policy(&mut this, "{}");
    this.clock.advance(INTERVAL);
    this.tick().await;
    let dropped: Vec<_> = this.jobs.take().into_iter().filter(|job| job.body.contains("poolsOf")).collect();
    assert!(dropped.len() == 1 && dropped[0].body.contains("dropped"), "{dropped:?}");
    assert_eq!(this.check(&pools()).await.ending, CheckEnding::NotConfigured);
}

pub(super) async fn a_shortage_over_all_targets_is_notified_once_and_recorded<S: Store>(store: &S) {
    let this = installation(store).await;
    let counts = stored(store).await.iter().map(|pool| (pool.name.clone(), pool.pool)).collect::<Vec<_>>();
    assert!(matches!(&counts[..], [(name, Some(counts))] if name == "pool gpu" && counts.online == 2), "{counts:?}");

    this.source.set_status(&web(), 1, Status::Offline);
    let report = cycle(&this).await;
    assert!(report.events.iter().any(|event| matches!(event, Event::OutageOpened { .. })), "{report:?}");
    let notified = this.notify_all().await;
    let [Notification { subject, items, .. }] = &notified[..] else { panic!("{notified:?}") };
    assert_eq!(*subject, Subject::from(&pools()), "the outage of its runner is not notified");
    let [NotificationItem::Offline { outages }] = &items[..] else { panic!("{items:?}") };
    assert_eq!(outages[0].pool.map(|pool| pool.to_string()).as_deref(), Some("1 of 2 online, at least 2 wanted"));
    cycle(&this).await;
    assert_eq!(this.notify_all().await, [], "once");

    this.source.set_status(&web(), 1, Status::Busy);
    cycle(&this).await;
    let notified = this.notify_all().await;
    let is_over =
        |item: &NotificationItem| matches!(item, NotificationItem::Recovered { outages } if outages.len() == 1);
    assert!(notified.len() == 1 && notified[0].items.iter().all(is_over), "{notified:?}");
    let recorded = recorded(store).await;
    assert!(matches!(&recorded[..], [one] if one.visibility == Visibility::Alerted && !one.is_open()), "{recorded:?}");
}

pub(super) async fn each_installation_of_an_app_has_its_own<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    let other = Target::repository("other/app").unwrap_or_else(|error| panic!("{error}"));
    this.check.configured = [web(), repository("api"), other.clone()].map(TargetSpec::One).to_vec();
    set_policy(&mut this, &POLICY.replace(r#""failureThreshold""#, r#""ignore":["runner-9"],"failureThreshold""#));
    this.source.use_app();
    let gpu = |id| ObservedRunner { labels: vec!["gpu".to_owned()], ..runner(id, Status::Idle) };
    this.source.set(&web(), vec![gpu(1), gpu(9)]);
    this.source.set(&repository("api"), vec![gpu(1)]);
    this.source.set(&other, vec![gpu(1), gpu(2), gpu(3)]);
    this.tick().await;
    let of = |account| Target::pools(account).unwrap_or_else(|error| panic!("{error}"));
    for target in [web(), repository("api"), other, of("app:acme"), of("app:other")] {
        assert!(matches!(this.check(&target).await.ending, CheckEnding::Seen(_)), "{target}");
    }
    let mut totals = Vec::new();
    for account in ["app:acme", "app:other"] {
        let read = records::read_fleet(store, &of(account)).await.unwrap_or_else(|error| panic!("{error}"));
        totals.extend(read.fleet.pools.iter().filter_map(|pool| pool.pool).map(|counts| counts.total));
    }
    assert_eq!(totals, [2, 3], "an ignored runner does not count");
}

pub(super) async fn readings_of_the_same_checks_count_once<S: Store>(store: &S) {
    let mut this = installation(store).await;
    set_policy(&mut this, &POLICY.replace(r#""failureThreshold":1"#, r#""failureThreshold":2"#));
    this.source.set_status(&web(), 1, Status::Offline);
    assert!(!cycle(&this).await.events.iter().any(|event| matches!(event, Event::OutageOpened { .. })));
    // A person asks again and again.
    for _ in 0..2 {
        this.clock.advance(MINUTE);
        let events = this.check(&pools()).await.events;
        assert!(events.is_empty(), "{events:?}");
    }
    assert!(this.jobs.take().iter().all(|job| !(job.body.contains("poolsOf") && job.body.contains("recheck"))));
    assert!(cycle(&this).await.events.iter().any(|event| matches!(event, Event::OutageOpened { .. })));
}

pub(super) async fn while_a_target_is_unknown_its_credentials_pools_stay_as_they_are<S: Store>(store: &S) {
    let this = installation(store).await;
    // One failed check leaves the runners known.
    this.source.fail(&web(), Failure::new(Fault::Forbidden, "no"));
    assert!(matches!(cycle(&this).await.ending, CheckEnding::Seen(_)));
    for _ in 0..4 {
        cycle(&this).await;
    }
    this.notify_all().await;
    let before = stored(store).await;
    this.source.set_status(&repository("api"), 1, Status::Offline);
    for _ in 0..5 {
        let CheckEnding::Failed(failure) = cycle(&this).await.ending else { panic!() };
        assert_eq!(failure.detail, "not every runner is known: acme/web is unreachable");
    }
    assert_eq!((stored(store).await, this.notify_all().await), (before, vec![]));

    // A target that is not checked is not known either, although nothing failed.
    let this = Installation { source: ScriptedSource::default(), ..this };
    let gpu = |id, status| ObservedRunner { labels: vec!["gpu".to_owned()], ..runner(id, status) };
    this.source.set(&web(), vec![gpu(1, Status::Offline)]);
    this.source.set(&repository("api"), vec![gpu(1, Status::Idle)]);
    this.check(&web()).await;
    this.check(&repository("api")).await;
    this.clock.advance(INTERVAL * 7);
    this.check(&web()).await;
    let CheckEnding::Failed(failure) = this.check(&pools()).await.ending else { panic!() };
    assert_eq!(failure.detail, "not every runner is known: acme/api was not checked recently");
    this.check(&repository("api")).await;
    let events = this.check(&pools()).await.events;
    assert!(events.iter().any(|event| matches!(event, Event::OutageOpened { .. })), "{events:?}");
    let again = |event: &Event| matches!(event, Event::ReachableAgain { notified: true, .. });
    assert!(!events.iter().any(again), "nobody was notified of it");
}

pub(super) async fn a_target_without_such_runners_keeps_no_pool_unknown<S: Store>(store: &S) {
    let this = installation(store).await;
    this.source.set(&web(), vec![runner(2, Status::Idle)]);
    for _ in 0..2 {
        cycle(&this).await;
    }
    this.source.fail(&web(), Failure::new(Fault::NotFound, "no"));
    for _ in 0..6 {
        cycle(&this).await;
    }
    let web_is_unreachable = records::read_fleet(store, &web())
        .await
        .is_ok_and(|stored| stored.fleet.record.failing.is_some_and(|failing| failing.unreachable));
    assert!(web_is_unreachable && matches!(cycle(&this).await.ending, CheckEnding::Seen(_)));
}

pub(super) async fn a_runner_that_its_target_ignores_does_not_count<S: Store>(store: &S) {
    let mut this = installation(store).await;
    assert!(stored(store).await.iter().all(|pool| pool.status.is_healthy()));
    let ignoring = POLICY.replacen('{', r#"{"targets":{"acme/api":{"ignore":["runner-1"]}},"#, 1);
    set_policy(&mut this, &ignoring);
    for _ in 0..2 {
        cycle(&this).await;
    }
    assert!(stored(store).await.iter().all(|pool| !pool.status.is_healthy()), "the other target has only one");
}

pub(super) async fn steady_pools_cost_a_read_a_target_and_no_write<S: Store>(store: &S) {
    let this = installation(store).await;
    let pages = this.source.fresh_pages();
    let mut requests = Vec::new();
    for _ in 0..4 {
        this.clock.advance(INTERVAL);
        this.check(&web()).await;
        this.check(&repository("api")).await;
        this.store.take_requests();
        this.check(&pools()).await;
        requests.push(this.store.take_requests());
    }
    let without = Requests { reads: 2 + 2, puts: 0, deletes: 0 };
    let with_last_seen = Requests { puts: 1, ..without };
    assert_eq!(requests, [without, with_last_seen, without, with_last_seen], "its own, the list, and two targets");
    assert_eq!(this.source.fresh_pages(), pages);
}

pub(super) async fn pools_over_a_credential_are_closed_when_the_policy_has_none_any_more<S: Store>(store: &S) {
    let mut this = installation(store).await;
    this.source.set_status(&web(), 1, Status::Offline);
    cycle(&this).await;
    this.notify_all().await;
    set_policy(&mut this, r#"{"failureThreshold":1}"#);
    this.tick().await;
    let report = this.check_for(&pools(), Reason::Dropped).await;
    assert_eq!(report.ending, CheckEnding::Dropped);
    let notified = this.notify_all().await;
    let of_pools: Vec<_> = notified.iter().filter(|one| one.subject == Subject::from(&pools())).collect();
    let is_end =
        |item: &NotificationItem| matches!(item, NotificationItem::NoLongerMonitored { whole_target: false, .. });
    assert!(of_pools.len() == 1 && of_pools[0].items.iter().all(is_end), "{notified:?}");
    assert_eq!(
        recorded(store).await.iter().map(|one| one.ending).collect::<Vec<_>>(),
        [Some(Ending::NoLongerMonitored)]
    );
    this.check_for(&pools(), Reason::Dropped).await;
    this.tick().await;
    let monitor = records::read_monitor(store, &this.clock).await.unwrap_or_else(|error| panic!("{error}"));
    let list = monitor.watchlist.unwrap_or_default();
    assert!(list.pools.is_empty() && list.dropping.is_empty(), "{list:?}");
}

pub(super) async fn people_mute_acknowledge_and_ask_for_a_pool_over_a_credential<S: Store>(store: &S) {
    let mut this = installation(store).await;
    set_policy(&mut this, &POLICY.replace(r#""recheckInterval":"60s""#, r#""repeatInterval":"10m""#));
    let ask = async |this: &Installation<'_, S>, command: Command| {
        let respond = Respond { store: &this.store, jobs: &this.jobs, clock: &this.clock };
        respond.run(&command, &asker()).await.unwrap_or_else(|error| panic!("{error}")).answer
    };
    let Answer::Target { fleet } = ask(&this, Command::Status { scope: Scope::Target(pools()) }).await else {
        panic!()
    };
    assert!(fleet.pools.len() == 1 && !fleet.is_target());
    let scope = Scope::Runner { target: pools(), name: "pool gpu".to_owned() };
    let mute = Command::Mute { scope, lasting_secs: 3_600, reason: None };
    assert!(matches!(ask(&this, mute).await, Answer::Muted { .. }));
    this.source.set_status(&web(), 1, Status::Offline);
    cycle(&this).await;
    assert_eq!(this.notify_all().await, [], "it is muted");
    this.clock.advance(MINUTE * 60);
    cycle(&this).await;
    let notified = this.notify_all().await;
    let ended = |item: &NotificationItem| matches!(item, NotificationItem::MuteEnded { outages } if outages.len() == 1);
    let of_pools: Vec<_> = notified.iter().filter(|one| one.subject == Subject::from(&pools())).collect();
    assert!(of_pools.len() == 1 && of_pools[0].items.iter().all(ended), "{notified:?}");

    let outages = recorded(store).await.iter().map(|one| (one.runner_id, one.id)).collect();
    ask(&this, Command::Acknowledge { target: pools(), outages }).await;
    for _ in 0..4 {
        cycle(&this).await;
    }
    assert_eq!(this.notify_all().await, [], "no reminder after an acknowledgement");
}
