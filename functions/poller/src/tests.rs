//! The poller run on the sample events: first with in-memory fakes, then with everything over HTTP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod over_http;

use std::io::Write;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use monitor_aws::batch::Budget;
use monitor_aws::metrics::{Metric, Metrics};
use monitor_aws::testing::{self, counted};
use monitor_domain::fleet::Counts;
use monitor_domain::observation::{CredentialReport, Failure, Fault, ObservedRunner};
use monitor_domain::policy::Policy;
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::target::Target;
use monitor_pipeline::messages::{CheckJob, Reason};
use monitor_pipeline::stages::{
    Check, CheckEnding, CheckReport, CheckSettings, Disposition, KnownTargets, LatestChecks,
};
use monitor_pipeline::testing::doubles::FaultyStore;
use monitor_stately_server::{Fault as StoreFault, RpcCode, Trouble};
use serde_json::{Value, json};

use crate::handler::{Batch, BatchReport, count};

type Installation = testing::Installation<CheckSettings>;

const INTERVAL: Duration = Duration::from_secs(300);

macro_rules! event {
    ($name:literal) => {
        serde_json::from_str::<SqsEvent>(include_str!(concat!("../../../events/", $name, ".json"))).unwrap()
    };
}

/// Every log line of every test here, at any level. It is global to the process: a subscriber of a single test would
/// miss the spans that another test entered first.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct ToLog;

impl Write for ToLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn keep_log_lines() {
    static SET_UP: OnceLock<()> = OnceLock::new();
    SET_UP.get_or_init(|| {
        let json = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(tracing::Level::TRACE);
        tracing::subscriber::set_global_default(json.with_writer(|| ToLog).finish()).unwrap();
    });
}

fn log_lines() -> impl Iterator<Item = Value> {
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    lines.into_iter()
}

fn target(name: &str) -> Target {
    name.parse().unwrap()
}

fn runner(id: u64, status: Status) -> ObservedRunner {
    ObservedRunner {
        id: RunnerId(id),
        name: format!("runner-{id}"),
        os: "linux".to_owned(),
        status,
        busy: false,
        ephemeral: false,
        group_id: None,
        version: Some("2.331.0".to_owned()),
        labels: vec!["self-hosted".to_owned()],
    }
}

fn installation() -> Installation {
    keep_log_lines();
    let configured = ["acme/web", "acme/api", "orgs/acme"].map(|name| name.parse().unwrap()).to_vec();
    let this =
        Installation::new(CheckSettings { policy: Policy::default(), configured, interval: INTERVAL, jobs: false });
    for (number, name) in (1..).zip(["acme/web", "acme/api", "orgs/acme"]) {
        this.source.set(&target(name), vec![runner(number, Status::Idle), runner(number + 10, Status::Busy)]);
    }
    this
}

async fn handle(installation: &Installation, event: SqsEvent) -> BatchReport {
    let Installation { store, source, jobs, changes, clock, settings, notes, .. } = installation;
    let store = &FaultyStore::over(store);
    let check = Check { store, source, jobs, changes, clock, settings, latest: &LatestChecks::default() };
    let budget = Budget::of(Duration::from_secs(60));
    let known = &KnownTargets::default();
    Batch { check: &check, known, failure_sink: notes, budget, request_id: "request-1" }.handle(event).await
}

fn failed(report: &BatchReport) -> usize {
    report.response.batch_item_failures.len()
}

#[tokio::test]
async fn a_scheduled_job_is_a_check_and_counts_the_fleet() {
    let installation = installation();
    let report = handle(&installation, event!("poller-by-schedule")).await;
    assert!(failed(&report) == 0 && !report.reload_settings);
    let counted = counted(&report.metrics);
    for (metric, value) in [
        ("ChecksCompleted", 1),
        ("ChecksFailed", 0),
        ("JobsExpired", 0),
        ("RunnersTotal", 2),
        ("RunnersOnline", 2),
        ("RunnersDown", 0),
        ("MessagesDeadLettered", 0),
        ("OldestPendingNotificationSecs", 0),
    ] {
        assert_eq!(counted[metric], value, "{metric}: {counted}");
    }
    assert_eq!((&counted["Function"], &counted["request_id"]), (&"poller".into(), &"request-1".into()));
}

#[tokio::test]
async fn a_job_that_comes_too_late_expires_and_is_counted() {
    let installation = installation();
    let event = event!("poller-by-schedule");
    installation.clock.advance(INTERVAL * 2);
    let report = handle(&installation, event).await;
    let counted = counted(&report.metrics);
    assert_eq!((failed(&report), installation.source.fresh_pages()), (0, 0));
    assert_eq!((&counted["ChecksCompleted"], &counted["JobsExpired"]), (&0.into(), &1.into()));
}

/// The alarm on the sum of `ChecksCompleted` detects anything that makes every check fail: no data is an alarm too.
#[tokio::test(start_paused = true)]
async fn checks_that_all_fail_complete_none() {
    let until = monitor_domain::time::Timestamp::from_epoch_ms(1_800_000_600_000);
    for fault in [
        Fault::Credential,
        Fault::Limited { until },
        Fault::Network,
        Fault::Service,
        Fault::Forbidden,
        Fault::NotFound,
        Fault::BrokenAnswer,
    ] {
        let installation = installation();
        installation.source.fail(&target("acme/web"), Failure::new(fault, "no"));
        let counted = counted(&handle(&installation, event!("poller-by-schedule")).await.metrics);
        assert_eq!((&counted["ChecksCompleted"], &counted["ChecksFailed"]), (&Value::Null, &1.into()), "{fault:?}");
    }
    let installation = installation();
    installation.server.state().inject(StoreFault::once(Trouble::Bare(RpcCode::Unavailable)).times(1_000));
    let counted = counted(&handle(&installation, event!("poller-by-schedule")).await.metrics);
    assert_eq!((&counted["ChecksCompleted"], &counted["ChecksFailed"]), (&Value::Null, &1.into()), "the store");
}

#[tokio::test]
async fn a_check_that_takes_longer_than_the_interval_is_counted_as_late_and_failed() {
    let installation = installation();
    installation.source.slow_down(&installation.clock, INTERVAL * 2);
    let report = handle(&installation, event!("poller-by-hand")).await;
    let counted = counted(&report.metrics);
    for (metric, value) in [("ChecksFailed", 1), ("ChecksLate", 1), ("JobsExpired", 0)] {
        assert_eq!(counted[metric], value, "{metric}: {counted}");
    }
    assert_eq!(counted["ChecksCompleted"], Value::Null);
    installation.source.slow_down(&installation.clock, Duration::ZERO);
    let counted = testing::counted(&handle(&installation, event!("poller-by-hand")).await.metrics);
    assert_eq!((&counted["ChecksFailed"], &counted["ChecksLate"]), (&0.into(), &0.into()));
}

/// The notifier may be dead, so the poller reports that notifications are pending.
#[tokio::test]
async fn how_long_the_oldest_notification_has_been_pending_is_a_metric_of_the_poller() {
    let installation = installation();
    handle(&installation, event!("poller-by-hand")).await;
    installation.source.set_status(&target("acme/web"), 1, Status::Offline);
    let secs = async |minutes: u64| {
        installation.clock.advance(Duration::from_secs(minutes * 60));
        let report = handle(&installation, event!("poller-by-hand")).await;
        counted(&report.metrics)["OldestPendingNotificationSecs"].as_u64().unwrap()
    };
    // The third unhealthy check opens the outage. No notifier runs here, so its notification stays pending.
    assert_eq!([secs(1).await, secs(1).await, secs(1).await], [0, 0, 0]);
    assert_eq!([secs(1).await, secs(15).await, secs(2_000).await], [60, 960, 86_400]);
}

#[tokio::test]
async fn a_job_by_hand_is_a_check_and_counts_neither_the_fleet_nor_for_the_dead_mans_switch() {
    let installation = installation();
    for event in [event!("poller-by-hand"), event!("poller-by-hand-organization")] {
        let report = handle(&installation, event).await;
        assert_eq!(failed(&report), 0);
        let counted = counted(&report.metrics);
        assert_eq!((&counted["ChecksCompleted"], &counted["RunnersTotal"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(installation.source.fresh_pages(), 2);
}

/// Every metric that the checks of one invocation produce, by name.
fn counted_of(checks: &[(Reason, CheckEnding, Option<u32>)]) -> Value {
    let mut metrics = Metrics::of("poller");
    metrics.add(Metric::JobsExpired, 0);
    for (reason, ending, quota_remaining) in checks {
        let mut job = CheckJob::from_json(r#"{"repository":"acme/web"}"#).unwrap();
        job.reason = *reason;
        let report = CheckReport {
            disposition: Disposition::Done,
            ending: ending.clone(),
            events: Vec::new(),
            credential: CredentialReport { quota_remaining: *quota_remaining, ..CredentialReport::default() },
            pending_since: None,
        };
        count(&mut metrics, &job, &report);
    }
    counted(&metrics)
}

#[test]
fn every_figure_is_its_own_sum_and_the_quota_is_that_of_the_worst_credential() {
    let seen = |total, online, down| CheckEnding::Seen(Counts { total, online, down });
    let failed = || CheckEnding::Failed(Failure { fault: Fault::Credential, detail: "401".to_owned() });
    for quotas in [[4_000, 40, 900], [40, 900, 4_000], [900, 4_000, 40]] {
        let [first, second, third] = quotas.map(Some);
        let counted = counted_of(&[
            (Reason::Schedule, seen(8, 5, 2), first),
            (Reason::Schedule, seen(30, 20, 4), None),
            // Not scheduled: its runners would count twice in an interval, and it would keep the dead-man's switch from
            // firing.
            (Reason::Recheck, seen(100, 100, 100), second),
            (Reason::Schedule, failed(), third),
            (Reason::Schedule, CheckEnding::Broken, None),
            (Reason::Schedule, CheckEnding::Expired, None),
            (Reason::Schedule, CheckEnding::NotConfigured, None),
        ]);
        for (metric, value) in [
            ("ChecksFailed", 2),
            ("JobsExpired", 1),
            ("RunnersTotal", 38),
            ("RunnersOnline", 25),
            ("RunnersDown", 6),
            ("QuotaRemaining", 40),
        ] {
            assert_eq!(counted[metric], value, "{metric}: {counted}");
        }
        // The alarms read the sum, and the share that was in time: failed checks are in neither.
        assert_eq!(counted["ChecksCompleted"], json!([1, 1, 0]));
    }
    let counted = counted_of(&[(Reason::Schedule, failed(), None)]);
    assert_eq!(counted["QuotaRemaining"], Value::Null, "GitHub reported no quota");
}

#[tokio::test]
async fn a_suspect_runner_is_checked_again_and_its_outage_reaches_the_notifier() {
    let installation = installation();
    handle(&installation, event!("poller-by-hand")).await;
    installation.source.set_status(&target("acme/web"), 1, Status::Offline);
    for _ in 0..3 {
        assert!(installation.changes.take().is_empty());
        installation.clock.advance(Duration::from_secs(60));
        handle(&installation, event!("poller-by-hand")).await;
        let rechecks = installation.jobs.take();
        let job = rechecks.first().map(|job| (CheckJob::from_json(&job.body).unwrap().reason, job.delay));
        assert!(job.is_none_or(|job| job == (Reason::Recheck, Duration::from_secs(60))), "{job:?}");
    }
    let changes = installation.changes.take();
    assert_eq!(changes.len(), 1);
    assert!(
        changes[0].body.contains("acme/web") && changes[0].group.is_some() && changes[0].deduplication_id.is_some()
    );
}

#[tokio::test]
async fn a_typing_mistake_is_dead_lettered_with_the_field_and_the_accepted_shapes() {
    let installation = installation();
    let report = handle(&installation, event!("poller-malformed")).await;
    assert_eq!((failed(&report), &counted(&report.metrics)["MessagesDeadLettered"]), (0, &1.into()));
    let dead_letter = installation.notes.dead_letter.take();
    let [(body, reason)] = &dead_letter[..] else { panic!("{dead_letter:?}") };
    assert_eq!(body, "{\"repo\":\"acme/web\"}");
    assert!(reason.contains("`repo` is not known") && reason.contains("{\"repository\":\"owner/name\"}"), "{reason}");
}

#[tokio::test]
async fn malformed_messages_do_not_stop_the_rest_of_their_batch() {
    let installation = installation();
    let report = handle(&installation, event!("poller-mixed-batch")).await;
    assert_eq!(failed(&report), 0);
    let counted = counted(&report.metrics);
    // Three targets are checked; one of these jobs was sent by hand.
    assert_eq!((&counted["ChecksCompleted"], &counted["MessagesDeadLettered"]), (&json!([1, 1]), &2.into()));
    let reasons: Vec<String> = installation.notes.dead_letter.take().into_iter().map(|(_, reason)| reason).collect();
    assert!(reasons.iter().any(|reason| reason.contains("not a JSON object")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("has version 2")), "{reasons:?}");
    // somebody/else is not configured: it is neither checked nor dead-lettered.
    assert_eq!(installation.source.fresh_pages(), 3);
}

#[tokio::test]
async fn a_duplicate_message_is_stored_once() {
    let installation = installation();
    let report = handle(&installation, event!("poller-duplicates")).await;
    assert_eq!(failed(&report), 0);
    let kept = installation.server.state().items(17).len();
    handle(&installation, event!("poller-duplicates")).await;
    // The second check requested by hand waits for its window.
    assert_eq!(installation.server.state().items(17).len(), kept + 1);
    assert_eq!(installation.jobs.take().len(), 1);
    assert!(installation.changes.take().is_empty(), "healthy runners cause no notification");
}

#[tokio::test]
async fn a_limited_credential_ends_the_job() {
    let installation = installation();
    let until = monitor_domain::time::Timestamp::from_epoch_ms(1_800_000_600_000);
    let failure = Failure { fault: Fault::Limited { until }, detail: "limited".to_owned() };
    installation.source.fail(&target("acme/web"), failure);
    let report = handle(&installation, event!("poller-by-schedule")).await;
    assert!(failed(&report) == 0 && !report.reload_settings, "the next tick sends it again");
    assert_eq!(counted(&report.metrics)["ChecksFailed"], 1);
}

#[tokio::test]
async fn a_refused_credential_reloads_the_settings() {
    let installation = installation();
    installation.source.fail(&target("acme/web"), Failure { fault: Fault::Credential, detail: "401".to_owned() });
    let report = handle(&installation, event!("poller-by-schedule")).await;
    assert!(failed(&report) == 0 && report.reload_settings);
}

#[tokio::test]
async fn one_refusal_anywhere_in_a_batch_reloads_the_settings() {
    for refused in ["acme/web", "acme/api", "orgs/acme"] {
        let installation = installation();
        installation.source.fail(&target(refused), Failure { fault: Fault::Credential, detail: "401".to_owned() });
        let report = handle(&installation, event!("poller-mixed-batch")).await;
        assert!(failed(&report) == 0 && report.reload_settings, "{refused}");
    }
    // The second refusal has nothing new to store, so its check ends before the others start to store theirs.
    let installation = installation();
    installation.source.fail(&target("acme/web"), Failure { fault: Fault::Credential, detail: "401".to_owned() });
    handle(&installation, event!("poller-by-schedule")).await;
    assert!(handle(&installation, event!("poller-mixed-batch")).await.reload_settings);
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_returns_the_jobs_that_could_be_checked_and_no_others() {
    for code in [RpcCode::Unavailable, RpcCode::Unauthenticated] {
        let installation = installation();
        installation.server.state().inject(StoreFault::once(Trouble::Bare(code)).times(1_000));
        let report = handle(&installation, event!("poller-mixed-batch")).await;
        let ids: Vec<&str> =
            report.response.batch_item_failures.iter().map(|failure| &*failure.item_identifier).collect();
        assert_eq!(ids.len(), 3, "{code:?}: the three that can be checked");
        assert_eq!(installation.notes.dead_letter.take().len(), 2, "{code:?}: the two that can never be");
        assert_eq!(installation.notes.put_off.take(), [Duration::from_secs(30); 3], "{code:?}");
        assert!(report.reload_settings, "{code:?}: the key may have been rotated");
    }
}
