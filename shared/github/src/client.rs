//! The GitHub client, and its implementation of the port `RunnerSource`.

use monitor_domain::jobs::{JobAnswer, JobId};
use monitor_domain::observation::{CredentialReport, Failure, Lookup, PageTag};
use monitor_domain::pace::Quota;
use monitor_domain::polling::{PolledJobs, PolledRuns};
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::CredentialId;
use monitor_domain::target::Target;
use monitor_domain::versions::VersionRecord;
use monitor_pipeline::items::AccessToken;
use monitor_pipeline::ports::{Listing, RunnerSource, VersionAnswer};
use reqwest::Method;

use crate::credential::CredentialState;
use crate::endpoint::{CredentialKind, Endpoint};
use crate::groups::runner_groups;
use crate::hooks::{JobHook, app_hook, job_hooks};
use crate::jobs;
use crate::list::{ReadList, lookup, pages};
use crate::probe::{ProbeReport, probe};
use crate::repositories::account_repositories;
use crate::request::{RATE_LIMIT, Request};
use crate::requester::Requester;
use crate::runs::open_jobs;
use crate::settings::{Settings, SettingsError};
use crate::transport::Clock;
use crate::version::version_end;
use crate::wire;

/// A client of GitHub's REST API. One per process: it remembers request pace, limits and tokens.
pub struct GitHub {
    pub(crate) requester: Requester,
}

impl GitHub {
    /// A client that sends over `http`, which should follow no redirects itself (`reqwest::redirect::Policy::none()`):
    /// they are followed here, and only to the same host.
    ///
    /// # Errors
    /// If a setting cannot be used; the error contains a hint.
    pub fn new(http: reqwest::Client, settings: Settings, clock: Clock) -> Result<Self, SettingsError> {
        Ok(Self { requester: Requester::new(http, settings, clock)? })
    }

    /// The same client, which gets another HTTP client from `make` after a request timed out, so that its connection is
    /// not used again. Without `make`, an HTTP/2 connection stays in use for as long as it is open.
    pub fn with_new_clients(mut self, make: impl Fn() -> Option<reqwest::Client> + Send + Sync + 'static) -> Self {
        self.requester.transport.connections.make = Some(Box::new(make));
        self
    }

    /// What GitHub last reported about a credential; `None` before its first answer.
    pub fn report(&self, credential: &CredentialId) -> Option<CredentialReport> {
        self.requester.report(credential)
    }

    /// Requests a target's runners once and returns everything that the answer says. It never retries.
    pub async fn probe(&self, target: &Target) -> ProbeReport {
        probe(&self.requester, target).await
    }

    /// The webhooks of a repository or an organization that report workflow jobs, with their latest deliveries.
    ///
    /// # Errors
    /// If GitHub does not show them; the text names a permission that is missing.
    pub async fn job_hooks(&self, target: &Target) -> Result<Vec<JobHook>, Failure> {
        let credential_state = self.requester.credential_state(&self.credential(target));
        job_hooks(&self.requester, &credential_state, target).await
    }

    /// The webhook of the GitHub App, if it reports workflow jobs; `None` for a token. `through` is any target.
    ///
    /// # Errors
    /// If GitHub does not answer.
    pub async fn app_hook(&self, through: &Target) -> Result<Option<JobHook>, Failure> {
        let credential_state = self.requester.credential_state(&self.credential(through));
        app_hook(&self.requester, &credential_state).await
    }

    /// The kind of the credential, as far as its format shows.
    pub fn kind(&self) -> CredentialKind {
        self.requester.transport.kind
    }

    /// The hourly quota as GitHub counts it. The request itself is free. A server without limits answers 404.
    async fn rate_limit(&self, credential_state: &CredentialState, through: &Target) -> Option<Quota> {
        let request = Request {
            method: Method::GET,
            url: self.requester.transport.url(RATE_LIMIT),
            endpoint: Endpoint::Runners(through),
            page: None,
            expected: "what is left of the quota",
        };
        match self.requester.ask(credential_state, &request, None, wire::quota).await {
            Ok(reply) => reply.content,
            Err(failure) => {
                tracing::debug!(%failure, "GitHub does not report the remaining quota");
                None
            }
        }
    }
}

impl RunnerSource for GitHub {
    fn credential(&self, target: &Target) -> CredentialId {
        self.requester.credential_of(target.owner())
    }

    async fn prepare(&self, target: &Target, stored: Option<&AccessToken>) -> Option<AccessToken> {
        self.requester.share_token(target, stored).await
    }

    async fn list(&self, target: &Target, known: &[PageTag]) -> Listing {
        let credential_state = self.requester.credential_state(&self.credential(target));
        let read = pages(&self.requester, &credential_state, target, known).await;
        let report =
            CredentialReport { token: self.requester.token_digest(), ..credential_state.latest_report().report };
        match read {
            Ok(ReadList { pages, shortfall, moved_to }) => Listing { pages: Ok(pages), shortfall, moved_to, report },
            Err(incomplete) => Listing::of(Err(incomplete), report),
        }
    }

    /// Call this only after a complete list of the same target. Otherwise a 404 may be about the target itself:
    /// renamed, deleted or no longer visible.
    async fn runner(&self, target: &Target, id: RunnerId) -> Result<Lookup, Failure> {
        let credential_state = self.requester.credential_state(&self.credential(target));
        lookup(&self.requester, &credential_state, target, id).await
    }

    async fn quota(&self, through: &Target) -> Option<Quota> {
        let credential_state = self.requester.credential_state(&self.credential(through));
        self.rate_limit(&credential_state, through).await
    }

    fn answers_version_ends(&self) -> bool {
        !self.requester.transport.is_enterprise_server()
    }

    async fn version_end(
        &self,
        through: &Target,
        version: &str,
        known: Option<&VersionRecord>,
    ) -> Result<VersionAnswer, Failure> {
        let credential_state = self.requester.credential_state(&self.credential(through));
        version_end(&self.requester, &credential_state, through, version, known).await
    }

    async fn groups(&self, target: &Target) -> Result<Vec<(u64, String)>, Failure> {
        let credential_state = self.requester.credential_state(&self.credential(target));
        runner_groups(&self.requester, &credential_state, target).await
    }

    async fn job(&self, repository: &Target, id: JobId) -> Result<JobAnswer, Failure> {
        let credential_state = self.requester.credential_state(&self.credential(repository));
        jobs::job(&self.requester, &credential_state, repository, id, self.requester.transport.now()).await
    }

    async fn open_jobs(&self, repository: &Target, known: Option<&PolledRuns>) -> Result<PolledJobs, Failure> {
        let credential_state = self.requester.credential_state(&self.credential(repository));
        open_jobs(&self.requester, &credential_state, repository, known, self.requester.transport.now()).await
    }

    async fn repositories_of(&self, account: &str) -> Result<Vec<Target>, Failure> {
        let credential_state = self.requester.credential_state(&self.requester.credential_of(account));
        account_repositories(&self.requester, &credential_state, account).await
    }
}
