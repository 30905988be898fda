//! The messages as other releases and programs see them: every later release must be able to read these files.

use monitor_domain::subject::{CredentialId, Revision, Subject};
use monitor_domain::time::Timestamp;
use monitor_pipeline::messages::{ChangeSummary, CheckJob, Reason, StateChange};

fn job(target: &str, reason: Reason, requested_at: Option<&str>) -> CheckJob {
    let requested_at = requested_at.map(|time| time.parse().expect("a time"));
    CheckJob { target: target.parse().expect("a target"), reason, requested_at, valid_until: None }
}

#[test]
fn check_jobs_are_written_and_read_as_committed() {
    let valid_until = Some("2026-11-23T09:31:07.500Z".parse().expect("a time"));
    let paced = CheckJob { valid_until, ..job("Acme/web", Reason::Schedule, Some("2026-11-23T09:30:00Z")) };
    let cases = [
        (include_str!("messages/check-schedule-paced.json"), paced),
        (include_str!("messages/check-schedule.json"), job("Acme/web", Reason::Schedule, Some("2026-11-23T09:30:00Z"))),
        (
            include_str!("messages/check-recheck-organization.json"),
            job("orgs/acme", Reason::Recheck, Some("2026-11-23T09:31:00Z")),
        ),
        (
            include_str!("messages/check-dropped-enterprise.json"),
            job("enterprises/acme-corp", Reason::Dropped, Some("2026-11-23T09:32:00Z")),
        ),
        (include_str!("messages/check-by-hand.json"), job("acme/web", Reason::Manual, None)),
    ];
    for (golden, job) in cases {
        assert_eq!(job.to_json(), golden.trim_end());
        assert_eq!(CheckJob::from_json(golden).unwrap(), job);
    }
}

#[test]
fn state_changes_are_written_and_read_as_committed() {
    let at = |ms: i64| Some(Timestamp::from_epoch_ms(1_800_000_000_000 + ms));
    let of = |runner: &str, change: &str, since, until| ChangeSummary {
        runner: Some(runner.to_owned()),
        change: change.to_owned(),
        since,
        until,
    };
    let changes = vec![
        of("build-7", "outageOpened", at(0), None),
        of("build-8", "outageClosed", at(-3_600_000), at(60_000)),
        of("build-9", "statusChanged", None, None),
    ];
    let target = StateChange { subject: "acme/web".parse().unwrap(), revision: Some(Revision(44)), changes, more: 2 };
    let bare = |subject: Subject| StateChange { subject, revision: None, changes: Vec::new(), more: 0 };
    let cases = [
        (include_str!("messages/change-target.json"), target),
        (include_str!("messages/change-by-hand.json"), bare("acme/web".parse().unwrap())),
        (
            include_str!("messages/change-credential.json"),
            bare(Subject::Credential(CredentialId::app_installation("acme"))),
        ),
    ];
    for (golden, message) in cases {
        assert_eq!(message.to_json(), golden.trim_end());
        assert_eq!(StateChange::from_json(golden).unwrap(), message);
    }
}
