//! A scripted GitHub.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use monitor_domain::jobs::{Job, JobAnswer, JobId};
use monitor_domain::observation::{CredentialReport, Failure, Fault, Lookup, ObservedPage, ObservedRunner, PageTag};
use monitor_domain::polling::{PolledJobs, PolledRun, PolledRuns};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::{Target, TargetId};
use monitor_domain::versions::{VersionEnd, VersionRecord};

use super::{StillClock, lock};
use crate::ports::{Incomplete, Listing, RunnerSource, Shortfall, VersionAnswer};

/// The number and the name of each runner group, or why GitHub does not say.
type GroupNames = Result<Vec<(u64, String)>, Failure>;

/// The jobs that a poll of a repository shows, each with whether it is completed, or why GitHub does not show them.
type OpenJobs = Result<Vec<(Job, bool)>, Failure>;

/// GitHub in the state that a test sets up. Pages have ETags and a hundred runners each.
#[derive(Default)]
pub struct ScriptedSource<'a> {
    runners: Mutex<BTreeMap<TargetId, Vec<ObservedRunner>>>,
    failures: Mutex<BTreeMap<TargetId, Incomplete>>,
    repositories: Mutex<BTreeMap<String, Result<Vec<Target>, Failure>>>,
    shortfalls: Mutex<BTreeMap<TargetId, Shortfall>>,
    moved: Mutex<BTreeMap<TargetId, Target>>,
    meanwhile: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>>,
    fresh_pages: Mutex<u32>,
    slow: Mutex<Option<(StillClock, Duration)>>,
    versions: Mutex<BTreeMap<String, Result<VersionEnd, Failure>>>,
    asked_versions: Mutex<Vec<String>>,
    jobs: Mutex<BTreeMap<JobId, Result<JobAnswer, Failure>>>,
    open_jobs: Mutex<BTreeMap<TargetId, OpenJobs>>,
    groups: Mutex<Option<GroupNames>>,
    asked_groups: Mutex<u32>,
    polled: Mutex<Vec<Target>>,
    is_app: Mutex<bool>,
}

impl<'a> ScriptedSource<'a> {
    /// Makes the credential a GitHub App, with an installation on each account.
    pub fn use_app(&self) {
        *lock(&self.is_app) = true;
    }

    /// Registers runners with a target, in place of its earlier ones.
    pub fn set(&self, target: &Target, runners: Vec<ObservedRunner>) {
        lock(&self.failures).remove(target.id());
        lock(&self.runners).insert(target.id().clone(), runners);
    }

    /// Changes one runner's status.
    pub fn set_status(&self, target: &Target, id: u64, status: Status) {
        let mut runners = lock(&self.runners);
        for runner in runners.entry(target.id().clone()).or_default() {
            if runner.id == RunnerId(id) {
                (runner.status, runner.busy) = (status, status == Status::Busy);
            }
        }
    }

    /// Makes every check of a target fail, until its runners are set again.
    pub fn fail(&self, target: &Target, failure: Failure) {
        lock(&self.failures).insert(target.id().clone(), Incomplete { partial: false, failure });
    }

    /// Makes every list of a target's runners stop after some pages, until its runners are set again.
    pub fn break_off(&self, target: &Target, failure: Failure) {
        lock(&self.failures).insert(target.id().clone(), Incomplete { partial: true, failure });
    }

    /// Counts `missing` more runners of a target than it lists.
    pub fn miscount(&self, target: &Target, missing: u64) {
        let failure = Failure::new(Fault::Incomplete, format!("{missing} runners are not listed"));
        lock(&self.shortfalls).insert(target.id().clone(), Shortfall { missing, failure });
    }

    /// Renames a target: requests for its old name are redirected to the new one.
    pub fn rename(&self, from: &Target, to: &Target) {
        let moved = lock(&self.runners).get(from.id()).cloned().unwrap_or_default();
        self.set(to, moved);
        lock(&self.moved).insert(from.id().clone(), to.clone());
    }

    /// Sets the repositories of an account.
    pub fn set_repositories(&self, account: &str, repositories: Vec<Target>) {
        lock(&self.repositories).insert(account.to_owned(), Ok(repositories));
    }

    /// Makes listing an account's repositories fail, until they are set again.
    pub fn fail_repositories(&self, account: &str, failure: Failure) {
        lock(&self.repositories).insert(account.to_owned(), Err(failure));
    }

    /// Runs a future once, while the next list of runners or repositories is being read.
    pub fn meanwhile(&self, during: impl Future<Output = ()> + Send + 'a) {
        *lock(&self.meanwhile) = Some(Box::pin(during));
    }

    /// From now on, each list of runners takes this long.
    pub fn slow_down(&self, clock: &StillClock, by: Duration) {
        *lock(&self.slow) = Some((clock.clone(), by));
    }

    /// Sets the answer about a version. Before the first, GitHub is an Enterprise Server, which is never asked.
    pub fn set_version(&self, version: &str, answer: Result<VersionEnd, Failure>) {
        lock(&self.versions).insert(version.to_owned(), answer);
    }

    /// The repositories whose jobs were polled since the last call.
    pub fn take_polled(&self) -> Vec<Target> {
        std::mem::take(&mut lock(&self.polled))
    }

    /// Sets the answer about a job; before that it has ended.
    pub fn set_job(&self, id: JobId, answer: Result<JobAnswer, Failure>) {
        lock(&self.jobs).insert(id, answer);
    }

    /// Sets the jobs that the next polls of a repository show; before that there are none.
    pub fn set_open_jobs(&self, repository: &Target, answer: OpenJobs) {
        lock(&self.open_jobs).insert(repository.id().clone(), answer);
    }

    /// Sets the names of runner groups.
    pub fn set_groups(&self, answer: GroupNames) {
        *lock(&self.groups) = Some(answer);
    }

    /// How often the names of runner groups were asked for since the last call.
    pub fn take_asked_groups(&self) -> u32 {
        std::mem::take(&mut *lock(&self.asked_groups))
    }

    /// The versions that were asked about since the last call, in order.
    pub fn take_asked_versions(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.asked_versions))
    }

    /// How many pages were answered in full.
    pub fn fresh_pages(&self) -> u32 {
        *lock(&self.fresh_pages)
    }

    fn page(&self, runners: &[ObservedRunner], known: Option<&PageTag>) -> ObservedPage {
        let etag = Some(format!("{runners:?}"));
        let runner_ids = runners.iter().map(|runner| runner.id).collect();
        let tag = PageTag { etag, given_to: "token".to_owned(), runner_ids };
        match known {
            Some(known) if known.etag == tag.etag => ObservedPage::Unchanged(known.clone()),
            _ => {
                *lock(&self.fresh_pages) += 1;
                ObservedPage::Fresh { tag, runners: runners.to_vec() }
            }
        }
    }
}

impl RunnerSource for ScriptedSource<'_> {
    fn credential(&self, target: &Target) -> CredentialId {
        if *lock(&self.is_app) { CredentialId::app_installation(target.owner()) } else { CredentialId::token() }
    }

    async fn list(&self, target: &Target, known: &[PageTag]) -> Listing {
        let runners = lock(&self.runners).get(target.id()).cloned().unwrap_or_default();
        let failure = lock(&self.failures).get(target.id()).cloned();
        let meanwhile = lock(&self.meanwhile).take();
        if let Some(during) = meanwhile {
            during.await;
        }
        if let Some((clock, by)) = &*lock(&self.slow) {
            clock.advance(*by);
        }
        let pages = match failure {
            Some(incomplete) => Err(incomplete),
            None => {
                let mut chunks: Vec<&[ObservedRunner]> = runners.chunks(100).collect();
                if chunks.is_empty() {
                    chunks.push(&[]);
                }
                Ok(chunks.iter().enumerate().map(|(index, page)| self.page(page, known.get(index))).collect())
            }
        };
        let shortfall = lock(&self.shortfalls).get(target.id()).cloned();
        let moved_to = lock(&self.moved).get(target.id()).cloned();
        Listing { shortfall, moved_to, ..Listing::of(pages, CredentialReport::default()) }
    }

    async fn runner(&self, target: &Target, id: RunnerId) -> Result<Lookup, Failure> {
        let found =
            lock(&self.runners).get(target.id()).and_then(|runners| runners.iter().find(|r| r.id == id).cloned());
        Ok(found.map_or(Lookup::NotFound, Lookup::Found))
    }

    fn answers_version_ends(&self) -> bool {
        !lock(&self.versions).is_empty()
    }

    async fn version_end(
        &self,
        _: &Target,
        version: &str,
        known: Option<&VersionRecord>,
    ) -> Result<VersionAnswer, Failure> {
        lock(&self.asked_versions).push(version.to_owned());
        let end = lock(&self.versions).get(version).cloned().unwrap_or(Ok(VersionEnd::Unlisted))?;
        let given = known.and_then(|known| known.tag.clone());
        let etag = Some(format!("{end:?}"));
        let tag = PageTag { etag, given_to: "token".to_owned(), runner_ids: Vec::new() };
        assert!(given.is_none_or(|given| given.given_to == tag.given_to), "the stored tag is this source's");
        Ok(VersionAnswer { end, tag: Some(tag) })
    }

    async fn groups(&self, _: &Target) -> GroupNames {
        *lock(&self.asked_groups) += 1;
        lock(&self.groups).clone().unwrap_or(Ok(Vec::new()))
    }

    async fn job(&self, _: &Target, id: JobId) -> Result<JobAnswer, Failure> {
        lock(&self.jobs).get(&id).cloned().unwrap_or(Ok(JobAnswer::Ended))
    }

    async fn open_jobs(&self, repository: &Target, _: Option<&PolledRuns>) -> Result<PolledJobs, Failure> {
        lock(&self.polled).push(repository.clone());
        let answer = lock(&self.open_jobs).get(repository.id()).cloned().unwrap_or(Ok(Vec::new()));
        let jobs = answer?;
        let runs = vec![PolledRun { id: 1, etag: Some(format!("{jobs:?}")) }];
        let (repository, given_to) = (repository.clone(), "token".to_owned());
        Ok(PolledJobs { jobs, runs: PolledRuns { repository, given_to, lists: Vec::new(), runs } })
    }

    async fn repositories_of(&self, account: &str) -> Result<Vec<Target>, Failure> {
        let meanwhile = lock(&self.meanwhile).take();
        if let Some(during) = meanwhile {
            during.await;
        }
        lock(&self.repositories).get(account).cloned().unwrap_or(Ok(Vec::new()))
    }
}
