//! Counters of requests and answers.

use std::collections::BTreeMap;

/// The kinds of request that are counted separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// The runners of a target, one page.
    ListRunners,
    /// One runner by id.
    GetRunner,
    /// The end of a version of the runner.
    GetVersion,
    /// The runner groups of a target, one page.
    ListGroups,
    /// One job of a workflow.
    GetJob,
    /// The workflow runs of a repository, or the jobs of one.
    WorkflowRuns,
    /// The webhooks of a target or an App, or the deliveries of one.
    Hooks,
    /// A repository.
    GetRepository,
    /// The repositories of an organization or user, one page.
    ListRepositories,
    /// The installation of a GitHub App on an account or repository.
    GetInstallation,
    /// A token for an installation of a GitHub App.
    CreateAccessToken,
    /// The rate limit itself; this request costs no quota.
    RateLimit,
    /// Anything else.
    Unknown,
}

/// Requests and answers since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests received.
    pub requests: u64,
    /// Requests by kind.
    pub by_endpoint: BTreeMap<Endpoint, u64>,
    /// Answers with 200 or 201.
    pub ok: u64,
    /// Answers with 304.
    pub not_modified: u64,
    /// Answers with any other status.
    pub by_error_status: BTreeMap<u16, u64>,
    /// Requests refused by a primary or secondary limit; also in `by_error_status`.
    pub limited: u64,
    /// Requests without a complete answer.
    pub unanswered: u64,
    /// The most requests in flight at one time.
    pub max_in_flight: usize,
}

impl Counters {
    pub(crate) fn request(&mut self, endpoint: Endpoint, in_flight: usize) {
        self.requests += 1;
        *self.by_endpoint.entry(endpoint).or_default() += 1;
        self.max_in_flight = self.max_in_flight.max(in_flight);
    }

    pub(crate) fn answer(&mut self, answer: &crate::http::Answer, limited: bool) {
        self.limited += u64::from(limited);
        match answer.status {
            _ if !answer.arrives() => self.unanswered += 1,
            200 | 201 => self.ok += 1,
            304 => self.not_modified += 1,
            status => *self.by_error_status.entry(status).or_default() += 1,
        }
    }
}
