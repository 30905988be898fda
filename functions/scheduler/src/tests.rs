//! The scheduler run on the sample events: first with in-memory fakes, then with everything over HTTP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use monitor_aws::Failure;
use monitor_aws::testing::{self, CHECKS, World, counted};
use monitor_domain::fleet::{CredentialRecord, Failing};
use monitor_domain::observation::{Failure as CheckFailure, Fault as CheckFault};
use monitor_domain::pace::Quota;
use monitor_domain::policy::Policy;
use monitor_domain::subject::CredentialId;
use monitor_fakes::aws::CallFault;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::Put;
use monitor_pipeline::messages::{CheckJob, Reason};
use monitor_pipeline::ports::{Clock as _, PutOutcome, Store as _};
use monitor_pipeline::stages::{Schedule, ScheduleSettings, Throttled};
use monitor_pipeline::testing::doubles::StillClock;
use monitor_stately_server::{Fault, RpcCode, Trouble};
use serde_json::{Value, json};

use crate::handler::{self, Report};
use crate::scheduler::Scheduler;

type Installation = testing::Installation<ScheduleSettings>;

const TICKS: [&str; 4] = [
    include_str!("../../../events/scheduler-empty.json"),
    include_str!("../../../events/scheduler-aws-events.json"),
    include_str!("../../../events/scheduled-event.json"),
    include_str!("../../../events/scheduler-eventbridge-scheduler.json"),
];

fn watching(targets: &[impl AsRef<str>]) -> Installation {
    let configured = targets.iter().map(|target| target.as_ref().parse().unwrap()).collect();
    let interval = Duration::from_secs(300);
    Installation::new(ScheduleSettings {
        policy: Policy::default(),
        configured,
        interval,
        jobs_per_minute: Some(900),
        jobs: false,
    })
}

async fn tick(installation: &Installation) -> Report {
    let Installation { store, source, jobs, changes, clock, settings, quota_estimators, .. } = installation;
    handler::handle(&Schedule { store, source, jobs, changes, clock, settings, quota_estimators }, "request-1").await
}

#[test]
fn every_form_of_a_tick_is_accepted_and_another_functions_event_is_refused() {
    for tick in TICKS {
        assert_eq!(handler::accept(&serde_json::from_str(tick).unwrap()), Ok(()), "{tick}");
    }
    for other in [include_str!("../../../events/poller-by-hand.json"), "[]", "null", "\"tick\""] {
        let error_text = handler::accept(&serde_json::from_str(other).unwrap()).unwrap_err().to_string();
        assert!(error_text.contains("must be a tick of the schedule, for example {}"), "{error_text}");
    }
}

#[tokio::test]
async fn each_target_gets_a_job_and_one_removed_from_the_list_gets_a_last_one() {
    let mut installation = watching(&["acme/web", "acme/api", "orgs/acme"]);
    let report = tick(&installation).await;
    assert_eq!(report.answer, Ok(json!({"targets": 3, "dropped": 0})));
    assert_eq!(counted(&report.metrics)["TargetsScheduled"], 3);
    let jobs = installation.jobs.take();
    let read: Vec<CheckJob> = jobs.iter().map(|job| CheckJob::from_json(&job.body).unwrap()).collect();
    assert!(
        read.iter().all(|job| job.reason == Reason::Schedule && job.requested_at == Some(installation.clock.now()))
    );

    installation.clock.advance(Duration::from_secs(300));
    installation.settings.configured.pop();
    let report = tick(&installation).await;
    assert_eq!(report.answer, Ok(json!({"targets": 2, "dropped": 1})));
    let reasons: Vec<Reason> =
        installation.jobs.take().iter().map(|job| CheckJob::from_json(&job.body).unwrap().reason).collect();
    assert_eq!(reasons, [Reason::Dropped, Reason::Schedule, Reason::Schedule]);
}

#[test]
fn the_interval_is_that_of_the_credential_that_is_throttled_most_and_only_while_one_is() {
    let clock = StillClock::default();
    let throttled = |credential: &str, secs| Throttled {
        credential: credential.parse().unwrap(),
        targets: 4_000,
        jobs: 100,
        every: Duration::from_secs(secs),
        quota: Quota { limit: 5_000, remaining: 100, resets_at: clock.now() },
    };
    let counted = |throttled: &[Throttled]| counted(&handler::count(3, throttled));
    let (less, more) = (throttled("token", 600), throttled("app:acme", 1_800));
    for both in [[less.clone(), more.clone()], [more, less]] {
        let counted = counted(&both);
        assert_eq!((&counted["EffectiveInterval"], &counted["TargetsScheduled"]), (&1_800.into(), &3.into()));
    }
    assert_eq!(counted(&[])["EffectiveInterval"], Value::Null);
}

/// Without a target no poller runs that could report it.
#[tokio::test]
async fn how_long_a_notification_of_the_monitor_itself_has_been_pending_is_a_metric_of_the_scheduler() {
    let installation = watching(&["acme/web"]);
    let secs = async || counted(&tick(&installation).await.metrics)["OldestPendingNotificationSecs"].clone();
    // The first tick adds the target. No notifier runs here, so that notification stays pending.
    assert_eq!(secs().await, 0);
    installation.clock.advance(Duration::from_secs(300));
    assert_eq!(secs().await, 300);
    installation.clock.advance(Duration::from_secs(300));
    assert_eq!(secs().await, 600);
}

/// A refused token, or a refused token of an App installation, is reported once: by the credential's own notification.
#[tokio::test]
async fn an_entry_whose_credential_fails_is_left_to_the_notification_of_the_credential() {
    for is_failing in [true, false] {
        let installation = watching(&["acme/*"]);
        let failure = CheckFailure::new(CheckFault::Credential, "GitHub refuses the token (401)");
        let mut record = CredentialRecord::new(CredentialId::token());
        let since = installation.clock.now();
        record.failing =
            is_failing.then(|| Failing { since, failure: failure.clone(), unreachable: true, notified: true });
        let put = installation.store.put(&[Put::replacing(Item::Credential(record))]).await;
        assert_eq!(put, Ok(PutOutcome::Done));
        installation.source.fail_repositories("acme", failure);
        let mut sent = 0;
        for _ in 0..5 {
            tick(&installation).await;
            sent += installation.changes.take().len();
            installation.clock.advance(Duration::from_secs(300));
        }
        assert_eq!(sent > 0, !is_failing, "{sent} state-change messages, is failing: {is_failing}");
    }
}

#[tokio::test]
async fn a_list_that_becomes_empty_is_refused_and_notified() {
    let mut installation = watching(&["acme/*"]);
    installation.source.set_repositories("acme", vec!["acme/web".parse().unwrap()]);
    tick(&installation).await;
    installation.source.set_repositories("acme", Vec::new());
    installation.settings.configured = vec!["acme/*".parse().unwrap()];
    installation.changes.take();
    assert_eq!(tick(&installation).await.answer, Ok(json!({"targets": 1, "dropped": 0})));
    let changes = installation.changes.take();
    assert!(changes.iter().any(|message| message.body.contains("\"monitor\"")), "{changes:?}");
}

#[tokio::test]
async fn four_thousand_targets_of_one_credential_keep_within_900_a_minute() {
    let names: Vec<String> = (0..4_000).map(|number| format!("acme/app-{number}")).collect();
    let installation = watching(&names);
    assert_eq!(tick(&installation).await.answer, Ok(json!({"targets": 4_000, "dropped": 0})));
    let delays: Vec<u64> = installation.jobs.take().iter().map(|job| job.delay.as_secs()).collect();
    assert_eq!(delays.len(), 4_000);
    for second in 0..360 {
        let in_a_minute = delays.iter().filter(|delay| (second..second + 60).contains(*delay)).count();
        assert!(in_a_minute <= 800, "{in_a_minute} from second {second}");
    }
    // This tick runs at the start of its minute. One at the end of it sends the same jobs for the same times.
    assert_eq!((delays.iter().min(), delays.iter().max()), (Some(&60), Some(&359)));
}

#[tokio::test]
async fn a_repeated_tick_does_not_send_the_jobs_of_a_large_list_again() {
    let names: Vec<String> = (0..4_000).map(|number| format!("acme/app-{number}")).collect();
    let mut installation = watching(&names);
    tick(&installation).await;
    installation.jobs.take();
    installation.clock.advance(Duration::from_secs(20));
    assert_eq!(tick(&installation).await.answer, Ok(json!({"targets": 0, "dropped": 0})));
    // A new target is checked all the same.
    installation.settings.configured.push("acme/new".parse().unwrap());
    assert_eq!(tick(&installation).await.answer, Ok(json!({"targets": 1, "dropped": 0})));
    assert_eq!(installation.jobs.take().len(), 1);
    installation.clock.advance(Duration::from_secs(280));
    assert_eq!(tick(&installation).await.answer, Ok(json!({"targets": 4_000, "dropped": 0})));
}

#[tokio::test]
async fn targets_beyond_one_interval_are_checked_in_rotation() {
    let names: Vec<String> = (0..5_000).map(|number| format!("acme/app-{number}")).collect();
    let installation = watching(&names);
    let mut checked_at = BTreeMap::new();
    for _ in 0..5 {
        tick(&installation).await;
        for job in installation.jobs.take() {
            *checked_at.entry(CheckJob::from_json(&job.body).unwrap().target.to_string()).or_insert(0) += 1;
        }
        installation.clock.advance(Duration::from_secs(300));
    }
    assert!(checked_at.len() == 5_000 && checked_at.values().all(|times| *times == 4), "each 4 times in 5 ticks");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_fails_the_invocation() {
    let installation = watching(&["acme/web"]);
    installation.server.state().inject(Fault::once(Trouble::Bare(RpcCode::Unavailable)).times(1_000));
    let report = tick(&installation).await;
    assert!(matches!(report.answer, Err(Failure::Aborted(_))), "{:?}", report.answer);
    assert!(installation.jobs.take().is_empty());
}

/// The scheduler of a stack with this many repositories.
async fn world(targets: usize, variables: &[(&'static str, &str)]) -> World {
    let world = World::start(Scheduler::new, Scheduler::handle, variables).await;
    world.set("repositories", &repositories(targets));
    world
}

fn repositories(count: usize) -> String {
    (0..count).map(|number| format!("acme/app-{number} ")).collect()
}

#[tokio::test]
async fn over_http_the_jobs_are_in_the_queue() {
    let variables = [
        ("GITHUB_TOKEN", "ghp_x"),
        ("REPOS", &repositories(25)),
        ("STATELYDB_ACCESS_KEY", "planted-key"),
        ("STATELYDB_STORE_ID", "17"),
        ("STATELYDB_SCHEMA_ID", "5"),
    ];
    let world = world(0, &variables).await;
    for tick in TICKS {
        assert_eq!(world.invoke(tick).await, Ok(json!({"targets": 25, "dropped": 0})), "{tick}");
        let sent = world.aws.take_sent(CHECKS);
        assert!(sent.len() == 25 && sent.iter().all(|job| CheckJob::from_json(&job.body).is_ok()));
    }
    assert!(world.aws.calls("GetParameters").is_empty(), "the environment is complete");
    world.aws.plan("SendMessageBatch", [CallFault::Refused(403, "AccessDenied")]);
    let error_text = world.invoke("{}").await.unwrap_err();
    assert!(matches!(&error_text, Failure::Aborted(reason) if reason.contains("AccessDenied")), "{error_text}");
    assert!(matches!(world.invoke("{\"Records\":[]}").await, Err(Failure::Event(_))));
}

#[tokio::test]
async fn the_jobs_of_a_tick_keep_to_the_limit_of_requests_per_minute() {
    for (per_minute, longest_secs) in [("60", 26..=27), ("off", 0..=0)] {
        let world = world(25, &[("GITHUB_REQUESTS_PER_MINUTE", per_minute)]).await;
        assert_eq!(world.invoke("{}").await, Ok(json!({"targets": 25, "dropped": 0})));
        let delays: Vec<u64> = world.aws.take_sent(CHECKS).iter().map(|job| job.delay_secs).collect();
        assert_eq!(delays.len(), 25);
        assert!(longest_secs.contains(delays.iter().max().unwrap()), "{per_minute}: {delays:?}");
    }
}

#[tokio::test]
async fn a_rotated_key_of_the_store_is_in_use_right_after_the_first_refused_tick() {
    let world = world(2, &[]).await;
    assert_eq!(world.invoke("{}").await, Ok(json!({"targets": 2, "dropped": 0})));
    world.rotate_key("planted-key-2");
    let error_text = world.invoke("{}").await.unwrap_err();
    assert!(matches!(error_text, Failure::Aborted(_)), "{error_text}");
    assert_eq!(world.invoke("{}").await, Ok(json!({"targets": 2, "dropped": 0})));
}
