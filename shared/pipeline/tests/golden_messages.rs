//! The messages as other releases and other programs see them: what is in these files must be read for ever.

use monitor_domain::subject::{CredentialId, Subject};
use monitor_pipeline::messages::{CheckJob, Reason, WakeUp};

fn job(target: &str, reason: Reason, requested_at: Option<&str>) -> CheckJob {
    let requested_at = requested_at.map(|time| time.parse().expect("a time"));
    CheckJob { target: target.parse().expect("a target"), reason, requested_at, good_until: None }
}

#[test]
fn check_jobs_are_written_and_read_as_committed() {
    let good_until = Some("2026-11-23T09:31:07.500Z".parse().expect("a time"));
    let paced = CheckJob { good_until, ..job("Acme/web", Reason::Schedule, Some("2026-11-23T09:30:00Z")) };
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
fn wake_ups_are_written_and_read_as_committed() {
    let target = WakeUp { subject: "acme/web".parse().unwrap() };
    let credential = WakeUp { subject: Subject::Credential(CredentialId::app_installation("acme")) };
    let cases = [
        (include_str!("messages/wake-target.json"), target),
        (include_str!("messages/wake-credential.json"), credential),
    ];
    for (golden, wake_up) in cases {
        assert_eq!(wake_up.to_json(), golden.trim_end());
        assert_eq!(WakeUp::from_json(golden).unwrap(), wake_up);
    }
}
