//! The objects of this GitHub: accounts, repositories, enterprises and their runners.

use std::collections::BTreeMap;

use super::fault::Fault;

/// Access to a target; the same for every credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Every valid credential can read the target.
    #[default]
    Granted,
    /// 403 "Resource not accessible …": the credential lacks the permission.
    MissingPermission,
    /// 403 with `x-github-sso`: the token is not authorised for the organization's single sign-on.
    SsoRequired,
    /// 404, as for a private repository that the credential has no access to.
    Hidden,
    /// 451: unavailable for legal reasons.
    LegallyBlocked,
    /// 403 with this message: refused for another reason.
    Refused(String),
    /// For accounts: lists leave out what single sign-on protects, and `x-github-sso` says so.
    SsoPartial,
}

/// A registered runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// Id, unique on this GitHub; each registration gets a new one.
    pub id: u64,
    /// The runner's properties and reported state.
    pub spec: RunnerSpec,
}

/// A runner's properties, and what GitHub reports about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerSpec {
    /// Name; not unique, even within one target.
    pub name: String,
    /// Operating system, for example `linux`.
    pub os: String,
    /// Custom labels, besides the three read-only ones (`self-hosted`, the system, the architecture).
    pub labels: Vec<String>,
    /// Reported status, usually `online` or `offline`.
    pub status: String,
    /// Whether GitHub reports a running job.
    pub busy: bool,
    /// Whether the runner leaves after one job.
    pub ephemeral: bool,
    /// Runner version; `None` until it has connected once.
    pub version: Option<String>,
    /// Runner group; `None` leaves the field out.
    pub runner_group_id: Option<u64>,
}

impl RunnerSpec {
    /// An idle Linux runner that has connected before.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            os: "linux".to_owned(),
            labels: Vec::new(),
            status: "online".to_owned(),
            busy: false,
            ephemeral: false,
            version: Some("2.331.0".to_owned()),
            runner_group_id: Some(1),
        }
    }

    /// The same runner, reported offline.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.status = "offline".to_owned();
        self
    }

    /// The same runner with a running job.
    #[must_use]
    pub fn busy(mut self) -> Self {
        self.busy = true;
        self
    }

    /// The same runner, ephemeral.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }

    /// The same runner, registered but never connected: offline, without a version.
    #[must_use]
    pub fn never_connected(mut self) -> Self {
        self.version = None;
        self.os = "unknown".to_owned();
        self.offline()
    }

    /// The same runner with custom labels.
    #[must_use]
    pub fn with_labels(mut self, labels: &[&str]) -> Self {
        self.labels = labels.iter().map(|&label| label.to_owned()).collect();
        self
    }
}

/// A job of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The name of the workflow.
    pub workflow: String,
    /// The job's name.
    pub name: String,
    /// The labels that it asks for.
    pub labels: Vec<String>,
    /// `waiting`, `queued`, `in_progress` or `completed`.
    pub status: String,
    /// When it was created, in milliseconds since 1970.
    pub created_at_ms: i64,
    /// The runner that has taken it.
    pub runner: Option<String>,
    /// The workflow run that it belongs to.
    pub run: u64,
}

impl Job {
    /// A queued job of the workflow `Nightly`.
    pub fn queued(name: &str, labels: &[&str], created_at_ms: i64) -> Self {
        Self {
            workflow: "Nightly".to_owned(),
            name: name.to_owned(),
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            status: "queued".to_owned(),
            created_at_ms,
            runner: None,
            run: 7,
        }
    }

    /// The same job, of another workflow run.
    #[must_use]
    pub fn in_run(mut self, run: u64) -> Self {
        self.run = run;
        self
    }

    /// The same job, taken by a runner.
    #[must_use]
    pub fn taken_by(mut self, runner: &str) -> Self {
        self.status = "in_progress".to_owned();
        self.runner = Some(runner.to_owned());
        self
    }

    /// The same job, completed.
    #[must_use]
    pub fn completed(mut self) -> Self {
        self.status = "completed".to_owned();
        self
    }
}

/// A webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// Where it delivers to.
    pub url: String,
    /// The events that it reports.
    pub events: Vec<String>,
    /// Whether it is switched off.
    pub is_off: bool,
    /// The times of its deliveries, in milliseconds since 1970, and the statuses of the answers; the latest first.
    pub deliveries: Vec<(i64, u16)>,
}

/// Which `Link` header lists have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// A correct header.
    #[default]
    Present,
    /// No header.
    Missing,
    /// Every page links to a next one.
    Endless,
}

/// A repository, organization or enterprise, with its runners.
#[derive(Clone)]
pub(crate) struct Target {
    /// The id in `/repositories/ID` and `/organizations/ID`.
    pub(crate) id: u64,
    /// The name as given, without `orgs/` or `enterprises/`.
    pub(crate) display: String,
    pub(crate) access: Access,
    pub(crate) archived: bool,
    pub(crate) runners: BTreeMap<u64, Runner>,
    /// The jobs of a repository's workflows, by id.
    pub(crate) jobs: BTreeMap<u64, Job>,
    /// The workflow runs without any job that say for ever that they are queued, with the time of their last change.
    pub(crate) ghost_runs: BTreeMap<u64, i64>,
    /// Its webhooks, by id.
    pub(crate) hooks: BTreeMap<u64, Hook>,
    pub(crate) listing: Listing,
}

/// What the pages of one listing show; a request for page 1 starts a new listing.
#[derive(Clone, Default)]
pub(crate) struct Listing {
    /// Shown instead of the current runners.
    pub(crate) replayed: Option<BTreeMap<u64, Runner>>,
    /// Left out of every page, but still counted.
    pub(crate) slipped: Vec<u64>,
    /// Shown offline, whatever their status.
    pub(crate) shown_offline: Vec<u64>,
    /// What this listing shows, for a replay in the next one; `None` before the first listing.
    pub(crate) shown: Option<BTreeMap<u64, Runner>>,
}

impl Target {
    pub(crate) fn new(id: u64, display: &str) -> Self {
        Self {
            id,
            display: display.to_owned(),
            access: Access::default(),
            archived: false,
            runners: BTreeMap::new(),
            jobs: BTreeMap::new(),
            ghost_runs: BTreeMap::new(),
            hooks: BTreeMap::new(),
            listing: Listing::default(),
        }
    }

    /// The name without an owner.
    pub(crate) fn name(&self) -> &str {
        self.display.split_once('/').map_or(&self.display, |(_, name)| name)
    }

    /// Starts a listing with these faults.
    pub(crate) fn begin_listing(&mut self, faults: &[Fault]) {
        let before = std::mem::take(&mut self.listing);
        for fault in faults {
            match fault {
                Fault::Slip(id) => self.listing.slipped.push(*id),
                Fault::FalseOffline(id) => self.listing.shown_offline.push(*id),
                Fault::Stale => self.listing.replayed = before.shown.clone(),
                _ => {}
            }
        }
        let (shown, _) = self.shown();
        self.listing.shown = Some(shown.into_iter().map(|seen| (seen.id, seen)).collect());
    }

    /// The runners in the current listing, and the reported count.
    pub(crate) fn shown(&self) -> (Vec<Runner>, usize) {
        let runners = self.listing.replayed.as_ref().unwrap_or(&self.runners);
        let shown = runners
            .values()
            .filter(|runner| !self.listing.slipped.contains(&runner.id))
            .map(|runner| self.seen(runner));
        (shown.collect(), runners.len())
    }

    /// A runner as it is currently shown.
    pub(crate) fn seen(&self, runner: &Runner) -> Runner {
        let mut seen = runner.clone();
        if self.listing.shown_offline.contains(&runner.id) {
            seen.spec.status = "offline".to_owned();
        }
        seen
    }
}
