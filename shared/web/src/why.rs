//! What is known about a problem, in a few words. Nothing that the stored data do not support.

use monitor_domain::jobs::WaitingJobs;
use monitor_domain::outage::Outage;
use monitor_domain::runner::{Health, Runner};
use monitor_domain::time::{Timestamp, spoken_duration};

use crate::text::{date, minute, one_line, sentence};
use crate::view::VersionEnds;

/// Of a runner, a pool or a queue.
pub(crate) fn why(runner: &Runner, ends: &VersionEnds, now: Timestamp) -> String {
    if let Some(waiting) = &runner.waiting {
        return of_queue(waiting);
    }
    match &runner.health {
        Health::Down(down) if down.healthy_count > 0 => {
            "online again; waiting for more checks to confirm it".to_owned()
        }
        Health::Down(down) => of_outage(&down.outage, now),
        Health::Suspect(suspicion) => {
            let checks = suspicion.unhealthy_count;
            format!("not confirmed yet: {checks} unhealthy {} so far", if checks == 1 { "check" } else { "checks" })
        }
        _ if runner.flapping.is_some() => "it goes offline and returns again and again".to_owned(),
        _ => {
            let end = runner.version.as_ref().and_then(|version| ends.get(version));
            end.map_or_else(String::new, |at| format!("its version ends on {}", minute(*at)))
        }
    }
}

/// Why no runner takes the jobs, and whether GitHub confirms that they wait.
fn of_queue(waiting: &WaitingJobs) -> String {
    let unconfirmed = if waiting.is_unconfirmed { " GitHub does not confirm that they wait." } else { "" };
    format!("{}{unconfirmed}", sentence(&waiting.reason, minute))
}

/// Of an outage: the reason, if the data support one, then what follows from it.
pub(crate) fn of_outage(outage: &Outage, now: Timestamp) -> String {
    if let Some(waiting) = &outage.waiting {
        return format!("{waiting} at the latest check. {}", of_queue(waiting));
    }
    let mut said = Vec::new();
    if let Some(targets) = outage.lost_targets {
        said.push(format!("at least {targets} targets lost all their runners at about this time"));
    }
    if let (Some(at), Some(version)) = (outage.version_ended_at, &outage.version) {
        said.push(format!("version {version} ended on {}; GitHub gives it no more jobs", minute(at)));
    }
    if outage.in_job {
        said.push(match &outage.job {
            Some(job) => format!("it was running {} in {}", one_line(&job.name), job.repository),
            None => "it was running a job".to_owned(),
        });
    }
    if outage.is_of_runner() && outage.peers.total > 0 {
        said.push(match (outage.peers.online, outage.peers.total) {
            (0, 1) => "the other runner with its labels was offline too".to_owned(),
            (_, 1) => "the other runner with its labels was online".to_owned(),
            (0, total) => format!("none of the {total} other runners with its labels was online"),
            (1, total) => format!("1 of {total} other runners with its labels was online"),
            (online, total) => format!("{online} of {total} other runners with its labels were online"),
        });
    }
    if let Some(last) = outage.last_healthy.filter(|_| outage.is_open()) {
        said.push(format!("last healthy {} ago", spoken_duration(now.since(last.at))));
    }
    if outage.is_open()
        && let Some(earliest) = outage.removal().and_then(|removal| removal.earliest)
    {
        said.push(format!("GitHub removes it from {} on, unless it connects", date(earliest)));
    }
    said.join("; ")
}
