//! The webhooks that report workflow jobs.

use futures_util::StreamExt;
use monitor_domain::target::{Target, TargetKind};
use monitor_domain::time::Timestamp;
use monitor_github::{GitHub, JobHook, ProbeReport};
use monitor_pipeline::ports::RunnerSource;
use monitor_web::text::{ago, counted, one_line};

use super::{AT_ONCE, Finding};

/// Whether webhooks report workflow jobs, and how their latest deliveries went. GitHub never repeats one by itself.
pub(super) async fn findings(github: &GitHub, examined: &[ProbeReport], now: Timestamp) -> Vec<Finding> {
    const MOST: usize = 20;
    let is_asked = |report: &&ProbeReport| report.runners.is_ok() && report.target.kind() != TargetKind::Enterprise;
    let mut targets: Vec<&Target> = examined.iter().filter(is_asked).map(|report| &report.target).collect();
    // That of an organization reports the jobs of all its repositories.
    targets.sort_by_key(|target| target.kind() != TargetKind::Organization);
    let mut refusal = None;
    let mut findings = Vec::new();
    if let Some(through) = targets.first() {
        match github.app_hook(through).await {
            Ok(hook) => findings.extend(hook.iter().map(|hook| of_webhook("the GitHub App", hook, now))),
            Err(failure) => refusal = Some(("the GitHub App".to_owned(), failure)),
        }
    }
    let asked = targets.into_iter().take(MOST).map(|target| async move { (target, github.job_hooks(target).await) });
    let answers: Vec<_> = futures_util::stream::iter(asked).buffered(AT_ONCE).collect().await;
    for (target, answer) in answers {
        match answer {
            Ok(hooks) => findings.extend(hooks.iter().map(|hook| of_webhook(target.as_str(), hook, now))),
            Err(failure) => _ = refusal.get_or_insert_with(|| (target.to_string(), failure)),
        }
    }
    match refusal {
        _ if !findings.is_empty() => findings,
        Some((target, failure)) => {
            let says = format!("not known whether a webhook of {target} reports workflow jobs: {failure}");
            vec![Finding::warning("webhook", says, "its settings on GitHub list its deliveries too")]
        }
        None => vec![Finding::warning(
            "webhook",
            "no target on the list has one that reports workflow jobs",
            "docs/JOBS.md sets one up; those of an enterprise are not seen here",
        )],
    }
}

/// Whether the jobs of the repositories that the policy polls can be read.
pub(super) async fn of_polled(github: &GitHub, repositories: &[Target]) -> Vec<Finding> {
    let asked = repositories.iter().map(|repository| async move {
        match github.open_jobs(repository, None).await {
            Ok(polled) => {
                let open = polled.jobs.iter().filter(|(_, completed)| !completed).count();
                Finding::ok(
                    format!("jobs of {repository}"),
                    format!("readable; {} not completed", counted(open, "job")),
                )
            }
            Err(failure) => Finding::problem(
                format!("jobs of {repository}"),
                failure.to_string(),
                "docs/JOBS.md says what polling needs",
            ),
        }
    });
    futures_util::stream::iter(asked).buffered(AT_ONCE).collect().await
}

fn of_webhook(of: &str, hook: &JobHook, now: Timestamp) -> Finding {
    let what = format!("webhook of {of}");
    let to = one_line(&hook.address);
    if !hook.is_active {
        return Finding::problem(what, format!("to {to}: switched off"), "switch it on in its settings on GitHub");
    }
    let Some(latest) = hook.deliveries.first() else {
        return Finding::ok(what, format!("to {to}; no delivery about a job among its latest deliveries"));
    };
    let when = latest.at.map_or_else(String::new, |at| format!(" {}", ago(at, now)));
    let failed = hook.deliveries.iter().filter(|delivery| !delivery.was_accepted()).count();
    let of_all = match (failed, hook.deliveries.len()) {
        (0, _) => String::new(),
        (failed, all) => format!("; {failed} of the last {all} failed"),
    };
    if latest.was_accepted() {
        return Finding::ok(what, format!("to {to}; the latest delivery{when} was accepted{of_all}"));
    }
    let (answered, fix) = match latest.status {
        0 => (
            "had no answer".to_owned(),
            "check the address, the certificate of the proxy and the firewall: GitHub does not reach it",
        ),
        401 => (
            "was answered with 401".to_owned(),
            "set the secret of the webhook and GITHUB_WEBHOOK_SECRET to the same value",
        ),
        status => (format!("was answered with {status}"), "docs/JOBS.md says what each answer means"),
    };
    Finding::problem(what, format!("to {to}; the latest delivery{when} {answered}{of_all}"), fix)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use monitor_github::HookDelivery;

    use super::*;
    use crate::commands::doctor::Rating;

    #[test]
    fn a_webhook_is_well_if_it_is_on_and_its_latest_delivery_was_accepted() {
        let now = Timestamp::from_epoch_ms(1_800_000_000_000);
        let of = |is_active: bool, statuses: &[u16]| {
            let at = Some(now.minus(Duration::from_secs(180)));
            let deliveries = statuses.iter().map(|status| HookDelivery { at, status: *status }).collect();
            let hook = JobHook { address: "https://hooks.acme.test/".to_owned(), is_active, deliveries };
            of_webhook("acme/web", &hook, now)
        };
        let well = of(true, &[202, 401, 202]);
        assert!(well.rating == Rating::Good);
        assert_eq!(
            well.says,
            "to https://hooks.acme.test/; the latest delivery 3 min ago was accepted; 1 of the last 3 failed"
        );
        assert!(of(true, &[]).rating == Rating::Good && of(false, &[202]).rating == Rating::Problem);
        for (status, hint) in [(401, "GITHUB_WEBHOOK_SECRET"), (0, "firewall"), (503, "docs/JOBS.md")] {
            let finding = of(true, &[status, 202]);
            assert!(finding.rating == Rating::Problem && finding.hint.unwrap().contains(hint), "{status}");
        }
    }
}
