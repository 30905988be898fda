//! GitHub and the queues behind an unreliable network.

use std::time::Duration;

use monitor_domain::jobs::{JobAnswer, JobId};
use monitor_domain::observation::{CredentialReport, Failure, Fault as Trouble, Lookup, PageTag};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::Target;
use monitor_domain::versions::{VersionEnd, VersionRecord};
use monitor_pipeline::ports::{Incomplete, Listing, Outgoing, QueueError, RunnerSource, Sender, VersionAnswer};

use crate::calendar::{MINUTE_MS, timestamp};
use crate::faults::{Fault, Stage};
use crate::jobs::{self, AskedJob, View};
use crate::machine::{Machine, Shared};
use crate::targets::{FOUND, TARGETS, place_of};
use crate::world::{Answered, AskedVersion, SimulatedCheck, World, observed};

/// A client's request timeout.
pub(crate) const TIMEOUT_MS: i64 = 10_000;

/// GitHub over a network.
pub struct SimulatedGitHub(pub Shared);

impl SimulatedGitHub {
    /// The reason why GitHub refuses a request about a target, or about an account if `target` is `None`.
    fn trouble(&self, target: Option<usize>) -> Option<Failure> {
        let mut machine = self.0.lock();
        let now_ms = machine.now_ms;
        let world = &machine.world;
        if world.refused_until_ms > now_ms {
            return Some(Failure::new(Trouble::Credential, "GitHub refuses the token (401)"));
        }
        if world.limited_until_ms > now_ms {
            let until = timestamp(world.limited_until_ms);
            return Some(Failure::new(Trouble::Limited { until }, "limited"));
        }
        if target.is_some_and(|target| world.no_access_until_ms[target] > now_ms) {
            return Some(Failure::new(Trouble::NotFound, "no such target, or no access (404)"));
        }
        if machine.strikes(Fault::GitHubLimits) {
            let until_ms = now_ms + machine.between(1, 5) * MINUTE_MS;
            machine.world.limited_until_ms = until_ms;
            return Some(Failure::new(Trouble::Limited { until: timestamp(until_ms) }, "limited"));
        }
        if machine.strikes(Fault::GitHubFails) {
            return Some(Failure::new(Trouble::Service, "GitHub answers 502"));
        }
        machine.strikes(Fault::GitHubBroken).then(|| Failure::new(Trouble::BrokenAnswer, "page 1: HTML"))
    }

    /// Sends a request. Returns why there is no answer, if there is none.
    async fn request(&self, target: Option<usize>) -> Result<(), Failure> {
        self.0.latency(20, 300).await;
        if self.0.lock().strikes(Fault::GitHubHangs) {
            self.0.wait(2 * TIMEOUT_MS).await;
            return Err(Failure::new(Trouble::Service, "no answer in time"));
        }
        self.trouble(target).map_or(Ok(()), Err)
    }

    fn log_failure(&self, place: usize, at_ms: i64, failure: &Failure) {
        self.log(place, at_ms, if failure.fault.is_shared() { Answered::Unserved } else { Answered::Refused });
    }

    /// Adds an entry to GitHub's log.
    fn log(&self, place: usize, at_ms: i64, answered: Answered) {
        let mut machine = self.0.lock();
        let (until_ms, task) = (machine.now_ms, machine.current.0);
        machine.world.checks[place].push(SimulatedCheck { at_ms, until_ms, task, answered });
    }

    /// Notes that the running check has its answer now, to the list request or to one that followed from it.
    fn has_answer(&self, place: usize) {
        self.0.lock().has_answer(place);
    }
}

impl Machine {
    /// Notes that the running check has an answer that it waited for.
    fn has_answer(&mut self, place: usize) {
        let (now_ms, task) = (self.now_ms, self.current.0);
        let of_task = self.world.checks[place].iter_mut().rfind(|check| check.task == task);
        of_task.into_iter().for_each(|check| check.until_ms = now_ms);
    }

    /// The same for an answer about jobs, which the check of any target may have waited for, except for `but`.
    pub(crate) fn has_answer_about_jobs(&mut self, but: Option<usize>) {
        (0..TARGETS.len()).filter(|place| Some(*place) != but).for_each(|place| self.has_answer(place));
    }
}

impl RunnerSource for SimulatedGitHub {
    fn credential(&self, _: &Target) -> CredentialId {
        CredentialId::token()
    }

    async fn list(&self, target: &Target, known: &[PageTag]) -> Listing {
        let report = CredentialReport::default();
        let failed = |partial, failure| Listing::of(Err(Incomplete { partial, failure }), report);
        let Some(place) = place_of(target.as_str()) else {
            return failed(false, Failure::new(Trouble::NotFound, "no such target"));
        };
        let at_ms = self.0.lock().now_ms;
        if let Err(failure) = self.request(Some(place)).await {
            self.log_failure(place, at_ms, &failure);
            return failed(false, failure);
        }
        let breaks_off = self.0.lock().strikes(Fault::GitHubBreaksOff);
        if breaks_off {
            self.0.latency(20, 300).await;
            let failure = Failure::new(Trouble::Network, "page 2: the connection ended");
            self.log_failure(place, at_ms, &failure);
            return failed(true, failure);
        }
        let (pages, answered) = {
            let mut machine = self.0.lock();
            let now_ms = machine.now_ms;
            let mut runners = if machine.strikes(Fault::GitHubStale) {
                machine.world.listed_stale(place, now_ms)
            } else {
                machine.world.listed(place)
            };
            let mut slipped = None;
            if !runners.is_empty() && machine.strikes(Fault::GitHubSlips) {
                let index = machine.chance.below(runners.len() as u64);
                slipped = Some(runners.remove(usize::try_from(index).unwrap_or(0)).name);
            }
            for runner in &mut runners {
                // The probability is per runner; the world says whether the runner was listed wrongly of late.
                if runner.status.is_healthy()
                    && machine.strikes(Fault::GitHubLies)
                    && machine.world.may_lie(place, &runner.name, now_ms)
                {
                    runner.status = Status::Offline;
                }
            }
            let answered = World::list_of(&runners, slipped.as_deref());
            if machine.world.jobs.webhook.is_some() {
                machine.world.jobs.views.push(View { place, at_ms, runners: runners.clone() });
            }
            (machine.world.pages(runners, known), answered)
        };
        self.log(place, at_ms, answered);
        self.0.latency(20, 300).await;
        self.has_answer(place);
        Listing::of(Ok(pages), report)
    }

    async fn runner(&self, target: &Target, id: RunnerId) -> Result<Lookup, Failure> {
        let place = place_of(target.as_str()).unwrap_or(0);
        let answered = self.request(Some(place)).await;
        self.has_answer(place);
        answered?;
        let machine = self.0.lock();
        let found = machine.world.runners(place).iter().find(|runner| runner.id == id.0);
        Ok(found.map_or(Lookup::NotFound, |runner| Lookup::Found(observed(runner))))
    }

    fn answers_version_ends(&self) -> bool {
        self.0.lock().world.version_ends.is_some()
    }

    async fn version_end(
        &self,
        through: &Target,
        version: &str,
        _: Option<&VersionRecord>,
    ) -> Result<VersionAnswer, Failure> {
        let at_ms = self.0.lock().now_ms;
        let answered = self.request(place_of(through.as_str())).await;
        let mut machine = self.0.lock();
        let named = machine.world.end_of_version(version, machine.now_ms);
        let ends_ms = named.flatten().filter(|_| answered.is_ok());
        let (version, is_answered) = (version.to_owned(), answered.is_ok());
        machine.world.asked_versions.push(AskedVersion { at_ms, version, ends_ms, is_answered });
        answered?;
        let end = match named {
            Some(Some(at_ms)) => VersionEnd::At { at: timestamp(at_ms) },
            Some(None) => VersionEnd::NoDate,
            None => VersionEnd::Unlisted,
        };
        Ok(VersionAnswer { end, tag: None })
    }

    async fn job(&self, repository: &Target, id: JobId) -> Result<JobAnswer, Failure> {
        let answered = self.request(place_of(repository.as_str())).await;
        let mut machine = self.0.lock();
        machine.has_answer_about_jobs(None);
        let (at_ms, task, jobs) = (machine.now_ms, machine.current.0, &mut machine.world.jobs);
        let Some(job) = jobs.number_of(id.0) else { return Ok(JobAnswer::Ended) };
        let is_forbidden = jobs.forbidden_until_ms > at_ms;
        let forbidden = || Failure::new(Trouble::Forbidden, "the credential needs Actions: read");
        let answered = match answered {
            // The client then finds that the credential does not see the repository.
            Err(failure) if failure.fault == Trouble::NotFound => Err(forbidden()),
            Ok(()) if is_forbidden => Err(forbidden()),
            answered => answered,
        };
        let noted = match &answered {
            Ok(()) => jobs::Answered::Progress(jobs.all[job].progress(at_ms)),
            Err(failure) if failure.fault == Trouble::Forbidden => jobs::Answered::Forbidden,
            Err(_) => jobs::Answered::Failed,
        };
        jobs.asked.push(AskedJob { at_ms, task, job, answered: noted });
        answered?;
        Ok(jobs.all[job].answer(at_ms).unwrap_or(JobAnswer::Ended))
    }

    async fn repositories_of(&self, _: &str) -> Result<Vec<Target>, Failure> {
        let answered = self.request(None).await;
        let mut machine = self.0.lock();
        let at_ms = machine.now_ms;
        machine.world.resolved.push((at_ms, answered.is_ok()));
        answered?;
        let is_listed = machine.world.watched[FOUND] && machine.world.hidden_until_ms <= machine.now_ms;
        Ok(is_listed.then(|| TARGETS[FOUND].parse().ok()).flatten().into_iter().collect())
    }
}

/// The sending side of one of the queues.
pub struct SimulatedSender {
    /// Virtual time and the simulated services.
    pub shared: Shared,
    /// Whether it is the changes queue.
    pub fifo: bool,
}

impl Sender for SimulatedSender {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        self.shared.latency(2, 20).await;
        let is_lost = {
            let mut machine = self.shared.lock();
            if machine.strikes(Fault::QueueRefuses) {
                return Err(QueueError("503 ServiceUnavailable".to_owned()));
            }
            let elapsed = machine.elapsed();
            if self.fifo {
                machine.changes.send(elapsed, messages)?;
            } else {
                for mut message in messages {
                    let twice = machine.strikes_at(Fault::QueueRepeats, Stage::Check);
                    if machine.strikes_at(Fault::QueueDelays, Stage::Check) {
                        message.delay += Duration::from_secs(machine.chance.below(300));
                    }
                    let copies = if twice { vec![message.clone(), message] } else { vec![message] };
                    machine.checks.send(elapsed, copies)?;
                }
            }
            machine.strikes(Fault::QueueAnswerLost)
        };
        if is_lost {
            self.shared.wait(TIMEOUT_MS).await;
            return Err(QueueError("no answer in time".to_owned()));
        }
        Ok(())
    }
}
