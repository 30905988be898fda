//! The jobs of a repository's open workflow runs, for those who cannot set a webhook.
//!
//! GitHub has no list of the jobs that wait. A run is `in_progress` as soon as one of its jobs is, and its others may
//! still wait, so the runs of all these states are read, and the jobs of each. A request whose answer has not changed is free.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use monitor_domain::jobs::LONGEST_WAIT;
use monitor_domain::observation::{Failure, Fault, PageTag};
use monitor_domain::polling::{PolledJobs, PolledList, PolledRun, PolledRuns};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use tracing::warn;

use crate::credential::CredentialState;
use crate::endpoint::Endpoint;
use crate::jobs::{WireJob, needs_actions_read};
use crate::list::AT_ONCE;
use crate::request::Request;
use crate::requester::Requester;
use crate::wire::{self, Misfit};

/// The states of runs whose jobs may wait, or are held back: without these, a job would seem to have waited for a runner
/// since it was created.
const STATES: [&str; 4] = ["queued", "in_progress", "waiting", "pending"];
/// The most runs of a repository whose jobs are read in one check, the oldest first.
const MAX_RUNS: usize = 50;
/// The most pages of a hundred runs or jobs that are read of one list.
const MAX_PAGES: u32 = 3;

#[derive(Deserialize)]
struct WireRuns {
    workflow_runs: Vec<WireRun>,
}

#[derive(Deserialize)]
struct WireRun {
    id: u64,
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct WireJobs {
    jobs: Vec<WireJob>,
}

impl WireRun {
    /// Whether a job of it may wait. Some runs say for weeks that they are queued, and have no job: nothing about them
    /// changes (<https://github.com/actions/runner/issues/3872>).
    fn may_have_waiting_jobs(&self, now: Timestamp) -> bool {
        let updated_at = self.updated_at.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
        updated_at.is_none_or(|at| now.since(at) <= LONGEST_WAIT)
    }
}

/// A list of runs or jobs, read to its end.
struct Pages<T> {
    items: Vec<T>,
    /// `None` if there was more than one page: a later page may change while the first does not.
    etag: Option<String>,
    given_to: String,
}

/// One poll of a repository.
struct Poll<'a> {
    requester: &'a Requester,
    credential_state: &'a CredentialState,
    repository: &'a Target,
    known: Option<&'a PolledRuns>,
}

/// Reads the jobs of a repository's open workflow runs; those of runs that have not changed are left out.
///
/// # Errors
/// If GitHub does not answer, or does not show them. A missing permission is named.
pub(crate) async fn open_jobs(
    requester: &Requester,
    credential_state: &CredentialState,
    repository: &Target,
    known: Option<&PolledRuns>,
    now: Timestamp,
) -> Result<PolledJobs, Failure> {
    let poll = Poll { requester, credential_state, repository, known };
    poll.run(now).await.map_err(|failure| match failure.fault {
        Fault::Forbidden | Fault::NotFound => needs_actions_read(&failure, repository, requester.transport.kind),
        _ => failure,
    })
}

impl Poll<'_> {
    /// The token that the known ETags were issued to.
    fn given_to(&self) -> String {
        self.known.map(|known| known.given_to.clone()).unwrap_or_default()
    }

    async fn run(&self, now: Timestamp) -> Result<PolledJobs, Failure> {
        let mut given_to = self.given_to();
        let mut lists = Vec::new();
        for (index, state) in STATES.into_iter().enumerate() {
            let known = self.known.and_then(|known| known.lists.get(index));
            lists.push(self.list(state, known, now, &mut given_to).await?);
        }
        let etags: BTreeMap<u64, Option<&str>> =
            self.known.iter().flat_map(|known| &known.runs).map(|run| (run.id, run.etag.as_deref())).collect();
        let is_listed = |id: &u64| lists.iter().any(|list| list.runs.contains(id));
        let mut ids: Vec<u64> =
            lists.iter().flat_map(|list| list.runs.iter().copied()).chain(etags.keys().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > MAX_RUNS {
            let (repository, runs) = (self.repository, ids.len());
            warn!(%repository, runs, read = MAX_RUNS, "more open workflow runs than are read: set a webhook for this repository");
            ids.truncate(MAX_RUNS);
        }
        let (mut jobs, mut runs) = (Vec::new(), Vec::new());
        for wave in ids.chunks(AT_ONCE as usize) {
            let reads = wave.iter().map(|id| self.jobs_of(*id, etags.get(id).copied().flatten()));
            for (id, read) in wave.iter().zip(try_join_all(reads).await?) {
                let known_etag = etags.get(id).copied().flatten().map(str::to_owned);
                match read {
                    // No longer open, and nothing has changed since its jobs were read.
                    None if !is_listed(id) => {}
                    None => runs.push(PolledRun { id: *id, etag: known_etag }),
                    Some(pages) => {
                        let is_open = pages.items.iter().any(|job| !job.is_completed());
                        if is_open || is_listed(id) {
                            runs.push(PolledRun { id: *id, etag: pages.etag });
                        }
                        given_to = pages.given_to;
                        let own = pages.items.into_iter().filter_map(|job| {
                            let completed = job.is_completed();
                            Some((job.into_job(self.repository.clone(), now)?, completed))
                        });
                        jobs.extend(own.filter(|(job, completed)| *completed || job.is_for_own_runner()));
                    }
                }
            }
        }
        Ok(PolledJobs { jobs, runs: PolledRuns { repository: self.repository.clone(), given_to, lists, runs } })
    }

    async fn list(
        &self,
        state: &str,
        known: Option<&PolledList>,
        now: Timestamp,
        given_to: &mut String,
    ) -> Result<PolledList, Failure> {
        let path = format!("/repos/{}/actions/runs", self.repository.as_str());
        let etag = known.and_then(|known| known.etag.as_deref());
        let query = format!("status={state}&per_page=100");
        let decode = |body: &[u8]| Ok(wire::decode::<WireRuns>(body)?.workflow_runs);
        let read = self.pages(&path, &query, etag, "a list of workflow runs", decode).await?;
        let Some(pages) = read else { return Ok(known.cloned().unwrap_or_default()) };
        *given_to = pages.given_to;
        let open = pages.items.iter().filter(|run| run.may_have_waiting_jobs(now)).map(|run| run.id);
        Ok(PolledList { etag: pages.etag, runs: open.collect() })
    }

    /// The jobs of a run; `None` if they have not changed. A run that GitHub no longer knows has none.
    async fn jobs_of(&self, run: u64, etag: Option<&str>) -> Result<Option<Pages<WireJob>>, Failure> {
        let path = format!("/repos/{}/actions/runs/{run}/jobs", self.repository.as_str());
        let decode = |body: &[u8]| Ok(wire::decode::<WireJobs>(body)?.jobs);
        match self.pages(&path, "filter=latest&per_page=100", etag, "a list of jobs", decode).await {
            Err(failure) if failure.fault == Fault::NotFound => {
                Ok(Some(Pages { items: Vec::new(), etag: None, given_to: self.given_to() }))
            }
            read => read,
        }
    }

    async fn pages<T: Send>(
        &self,
        path: &str,
        query: &str,
        etag: Option<&str>,
        expected: &'static str,
        decode: fn(&[u8]) -> Result<Vec<T>, Misfit>,
    ) -> Result<Option<Pages<T>>, Failure> {
        let tag =
            |etag: &str| PageTag { etag: Some(etag.to_owned()), given_to: self.given_to(), runner_ids: Vec::new() };
        let known = etag.map(tag);
        let mut pages = Pages { items: Vec::new(), etag: None, given_to: String::new() };
        for number in 1..=MAX_PAGES {
            let mut url = self.requester.transport.url(path);
            url.set_query(Some(&format!("{query}&page={number}")));
            let endpoint = Endpoint::Jobs(self.repository);
            let request = Request { method: Method::GET, url, endpoint, page: Some(number), expected };
            let known = known.as_ref().filter(|_| number == 1);
            let reply = self.requester.ask(self.credential_state, &request, known, decode).await?;
            let Some(items) = reply.content else { return Ok(None) };
            pages.items.extend(items);
            pages.given_to = reply.given_to.to_string();
            pages.etag = reply.etag.filter(|_| number == 1 && !reply.links.next);
            if !reply.links.next {
                break;
            }
        }
        Ok(Some(pages))
    }
}
