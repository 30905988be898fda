//! The state of this GitHub, and the methods with which a test or the demo changes it.

use std::collections::BTreeMap;

use super::counters::Counters;
use super::credential::{App, Token, TokenKind};
use super::fault::{Fault, Faults, Strikes};
use super::limits::{Limits, Usage};
use super::target_key::{Scope, TargetKey};
use super::world::{Access, Hook, Job, Links, Runner, RunnerSpec, Target};

/// Requests per hour of a personal or installation token.
const REQUESTS_PER_HOUR: u64 = 5_000;

/// The whole state of this GitHub; see [`State::handle`] for how it answers requests.
///
/// Targets are named `owner/name`, `orgs/NAME`, `enterprises/NAME` and `users/NAME`, in upper or lower case. A call for
/// a target, runner or token that does not exist is a mistake of the caller and panics with its name.
#[derive(Clone)]
pub struct State {
    /// Pause before every answer, in milliseconds.
    pub latency_ms: u64,
    /// The secondary limits.
    pub limits: Limits,
    /// Whether an enterprise's list has `total_count`, which GitHub does not promise.
    pub enterprise_total_count: bool,
    /// Which `Link` header lists have.
    pub links: Links,
    /// The API's external address without a trailing slash, for `Link` and the like.
    pub base_url: String,
    /// The versions of the runner that GitHub lists, and when each ends, in epoch milliseconds. Other versions are
    /// answered with 404.
    pub versions: BTreeMap<String, Option<i64>>,
    /// The names of the runner groups of every organization and enterprise, by number.
    pub groups: BTreeMap<u64, String>,
    /// The webhook of every GitHub App.
    pub app_hook: Option<Hook>,
    pub(crate) targets: BTreeMap<TargetKey, Target>,
    /// Former names of repositories, with the id to which they redirect.
    pub(crate) moved: BTreeMap<TargetKey, u64>,
    pub(crate) tokens: BTreeMap<String, Token>,
    /// The usage of each installation, by all of its tokens.
    pub(crate) installation_usage: BTreeMap<u64, Usage>,
    pub(crate) apps: BTreeMap<u64, App>,
    pub(crate) label_ids: BTreeMap<String, u64>,
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
    pub(crate) target_counters: BTreeMap<TargetKey, Counters>,
    pub(crate) tokens_issued: u64,
    last_id: u64,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// An empty GitHub: no account, no runner, no token.
    pub fn new() -> Self {
        Self {
            latency_ms: 0,
            limits: Limits::default(),
            enterprise_total_count: true,
            links: Links::default(),
            base_url: "https://api.github.com".to_owned(),
            versions: BTreeMap::new(),
            groups: BTreeMap::from([(1, "Default".to_owned())]),
            app_hook: None,
            targets: BTreeMap::new(),
            moved: BTreeMap::new(),
            tokens: BTreeMap::new(),
            installation_usage: BTreeMap::new(),
            apps: BTreeMap::new(),
            label_ids: BTreeMap::new(),
            faults: Faults::default(),
            counters: Counters::default(),
            target_counters: BTreeMap::new(),
            tokens_issued: 0,
            last_id: 100,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    // ---- targets ----

    /// Adds a repository, organization, enterprise or user; does nothing if it exists.
    ///
    /// An unknown owner of a repository is added as an organization.
    pub fn add_target(&mut self, target: &str) {
        let key = TargetKey::new(target);
        if self.targets.contains_key(&key) {
            return;
        }
        if key.scope() == Scope::Repository && self.owner_of(&key).is_none() {
            let owner = target.split('/').next().unwrap_or_default();
            self.add_target(&format!("orgs/{owner}"));
        }
        let display = match key.scope() {
            Scope::Repository => target,
            _ => target.split_once('/').map_or(target, |(_, name)| name),
        };
        let id = self.next_id();
        self.moved.remove(&key);
        self.targets.insert(key, Target::new(id, display));
    }

    /// Removes a target with its runners; an organization or user is removed with its repositories.
    #[track_caller]
    pub fn remove_target(&mut self, target: &str) {
        let key = self.known(target);
        self.targets.remove(&key);
        if matches!(key.scope(), Scope::Organization | Scope::User) {
            let owned = |other: &TargetKey| other.scope() == Scope::Repository && other.account() == key.account();
            self.targets.retain(|other, _| !owned(other));
        }
    }

    /// Sets a job of a repository's workflows. Returns the body of the webhook's delivery about it.
    #[track_caller]
    pub fn set_job(&mut self, repository: &str, id: u64, job: Job) -> Vec<u8> {
        let key = self.known(repository);
        let action = if job.status == "waiting" { "queued" } else { &*job.status };
        let delivery = super::json::delivery(action, id, repository, &job);
        if let Some(target) = self.targets.get_mut(&key) {
            target.jobs.insert(id, job);
        }
        delivery.to_string().into_bytes()
    }

    /// Removes a job, as GitHub does with the run that it belongs to.
    #[track_caller]
    pub fn remove_job(&mut self, repository: &str, id: u64) {
        let key = self.known(repository);
        if let Some(target) = self.targets.get_mut(&key) {
            target.jobs.remove(&id);
        }
    }

    /// Adds a workflow run without any job that says for ever that it is queued.
    #[track_caller]
    pub fn add_ghost_run(&mut self, repository: &str, run: u64, updated_at_ms: i64) {
        let key = self.known(repository);
        if let Some(target) = self.targets.get_mut(&key) {
            target.ghost_runs.insert(run, updated_at_ms);
        }
    }

    /// Adds a webhook to a repository or an organization.
    #[track_caller]
    pub fn add_hook(&mut self, target: &str, hook: Hook) {
        let (key, id) = (self.known(target), self.next_id());
        if let Some(target) = self.targets.get_mut(&key) {
            target.hooks.insert(id, hook);
        }
    }

    /// Renames a repository: the old name is answered with 301 until it is used again.
    #[track_caller]
    pub fn rename_repository(&mut self, from: &str, to: &str) {
        let key = self.known(from);
        if let Some(mut repository) = self.targets.remove(&key) {
            self.moved.insert(key, repository.id);
            repository.display = to.to_owned();
            self.targets.insert(TargetKey::new(to), repository);
        }
    }

    /// Sets the access to a target.
    #[track_caller]
    pub fn set_access(&mut self, target: &str, access: Access) {
        self.target_mut(target).access = access;
    }

    /// Archives or unarchives a repository.
    #[track_caller]
    pub fn set_archived(&mut self, repository: &str, archived: bool) {
        self.target_mut(repository).archived = archived;
    }

    // ---- runners ----

    /// Registers a runner and returns its id.
    #[track_caller]
    pub fn add_runner(&mut self, target: &str, spec: RunnerSpec) -> u64 {
        let id = self.next_id();
        self.add_runner_with_id(target, spec, id)
    }

    /// Registers a runner with this id; a runner with the same id is replaced.
    #[track_caller]
    pub fn add_runner_with_id(&mut self, target: &str, spec: RunnerSpec, id: u64) -> u64 {
        let key = self.known(target);
        assert!(key.scope() != Scope::User, "a user has no runners: {target}");
        for label in &spec.labels {
            let next = self.label_ids.len() as u64 + 11;
            self.label_ids.entry(label.clone()).or_insert(next);
        }
        let target = self.target_mut(target);
        target.runners.insert(id, Runner { id, spec });
        id
    }

    /// Changes a runner's properties.
    #[track_caller]
    pub fn update_runner(&mut self, target: &str, id: u64, change: impl FnOnce(&mut RunnerSpec)) {
        let runner = self.target_mut(target).runners.get_mut(&id);
        let Some(runner) = runner else {
            panic!("{target} has no runner {id}");
        };
        change(&mut runner.spec);
    }

    /// Sets a runner's reported status, and whether it runs a job.
    #[track_caller]
    pub fn set_runner(&mut self, target: &str, id: u64, status: &str, busy: bool) {
        self.update_runner(target, id, |spec| {
            spec.status = status.to_owned();
            spec.busy = busy;
        });
    }

    /// Removes a runner; false if there was none.
    #[track_caller]
    pub fn remove_runner(&mut self, target: &str, id: u64) -> bool {
        self.target_mut(target).runners.remove(&id).is_some()
    }

    /// Registers a runner again, online and idle, with the same properties; returns the new id.
    #[track_caller]
    pub fn re_register(&mut self, target: &str, id: u64) -> u64 {
        let Some(runner) = self.target_mut(target).runners.remove(&id) else {
            panic!("{target} has no runner {id}");
        };
        let mut spec = runner.spec;
        spec.status = "online".to_owned();
        spec.busy = false;
        self.add_runner(target, spec)
    }

    /// The actual runners of a target, regardless of listing faults.
    #[track_caller]
    pub fn runners(&self, target: &str) -> Vec<Runner> {
        let key = self.known(target);
        let target = self.targets.get(&key);
        target.map_or_else(Vec::new, |target| target.runners.values().cloned().collect())
    }

    // ---- credentials ----

    /// Adds a personal access token with access to everything and without expiry.
    pub fn add_token(&mut self, token: &str) {
        self.insert_token(token, TokenKind::Personal, None);
    }

    /// Adds a personal access token that expires at this time, in epoch milliseconds.
    pub fn add_expiring_token(&mut self, token: &str, expires_at_ms: i64) {
        self.insert_token(token, TokenKind::Personal, Some(expires_at_ms));
    }

    /// Adds a personal access token whose reported expiry is always this far ahead, in milliseconds.
    pub fn add_token_with_moving_end(&mut self, token: &str, ahead_ms: i64) {
        self.insert_token(token, TokenKind::Personal, None);
        if let Some(token) = self.tokens.get_mut(token) {
            token.reported_end_ahead_ms = Some(ahead_ms);
        }
    }

    /// Revokes a personal or installation token.
    pub fn revoke_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// Revokes all installation tokens.
    pub fn revoke_installation_tokens(&mut self) {
        self.tokens.retain(|_, token| matches!(token.kind, TokenKind::Personal));
    }

    /// Sets the hourly limit of a token.
    #[track_caller]
    pub fn set_hourly_limit(&mut self, token: &str, limit: u64) {
        self.usage_mut(token).limit = limit;
    }

    /// Sets the hourly limit of an installation, for all of its tokens together.
    pub fn set_installation_hourly_limit(&mut self, installation: u64, limit: u64) {
        self.usage_of_installation(installation).limit = limit;
    }

    /// Uses up a token's hourly limit: 403 until an hour after its first request, or after now if there was none.
    #[track_caller]
    pub fn exhaust_token(&mut self, token: &str, now_ms: i64) {
        self.usage_mut(token).exhaust(now_ms);
    }

    /// Uses up an App's own hourly limit, which covers finding installations and creating their tokens.
    #[track_caller]
    pub fn exhaust_app(&mut self, app_id: u64, now_ms: i64) {
        let Some(app) = self.apps.get_mut(&app_id) else {
            panic!("no App {app_id}");
        };
        app.usage.exhaust(now_ms);
    }

    /// Registers a GitHub App by its RSA public key, as PKCS#1 DER (`ring`'s `RsaKeyPair::public_key`).
    pub fn add_app(&mut self, app_id: u64, public_key: impl Into<Vec<u8>>) {
        let usage = Usage::new(REQUESTS_PER_HOUR);
        let app = App { public_key: public_key.into(), installations: BTreeMap::new(), usage };
        self.apps.insert(app_id, app);
    }

    /// Installs an App on all repositories of an organization or user; returns the installation's id.
    #[track_caller]
    pub fn install_app(&mut self, app_id: u64, account: &str) -> u64 {
        let id = self.next_id();
        let Some(app) = self.apps.get_mut(&app_id) else {
            panic!("no App {app_id}");
        };
        app.installations.insert(id, account.to_ascii_lowercase());
        id
    }

    /// Removes an installation together with its tokens.
    pub fn uninstall_app(&mut self, installation: u64) {
        for app in self.apps.values_mut() {
            app.installations.remove(&installation);
        }
        self.tokens.retain(|_, token| !matches!(token.kind, TokenKind::Installation { id, .. } if id == installation));
    }

    pub(crate) fn insert_token(&mut self, token: &str, kind: TokenKind, expires_at_ms: Option<i64>) {
        let token_state =
            Token { kind, expires_at_ms, reported_end_ahead_ms: None, usage: Usage::new(REQUESTS_PER_HOUR) };
        self.tokens.insert(token.to_owned(), token_state);
    }

    // ---- faults and counters ----

    /// Sets a fault for these requests.
    pub fn fault(&mut self, fault: Fault, strikes: Strikes) {
        self.faults.add(fault, strikes);
    }

    /// Removes all faults.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Requests and answers since the start or the last reset.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The most points in a minute of any token, or of any installation with all of its tokens.
    pub fn most_points_in_a_minute(&self) -> u64 {
        let tokens = self.tokens.values().map(|token| &token.usage);
        tokens.chain(self.installation_usage.values()).map(|usage| usage.most_points).max().unwrap_or(0)
    }

    /// Requests and answers for one target, even one that does not exist.
    pub fn target_counters(&self, target: &str) -> Counters {
        let counters = self.target_counters.get(&TargetKey::new(target));
        counters.cloned().unwrap_or_default()
    }

    /// Sets every counter to 0.
    pub fn reset_counters(&mut self) {
        self.counters = Counters::default();
        self.target_counters.clear();
    }

    // ---- finding ----

    /// The organization or user that owns a repository.
    pub(crate) fn owner_of(&self, repository: &TargetKey) -> Option<(&TargetKey, &Target)> {
        self.account(repository.account())
    }

    /// An organization or user by its name in lower case.
    pub(crate) fn account(&self, name: &str) -> Option<(&TargetKey, &Target)> {
        let organization = TargetKey::new(&format!("orgs/{name}"));
        let user = TargetKey::new(&format!("users/{name}"));
        let found = self.targets.get_key_value(&organization);
        found.or_else(|| self.targets.get_key_value(&user))
    }

    pub(crate) fn numbered(&self, scope: Scope, id: u64) -> Option<TargetKey> {
        let mut targets = self.targets.iter();
        let found = targets.find(|(key, target)| target.id == id && key.scope() == scope);
        found.map(|(key, _)| key.clone())
    }

    #[track_caller]
    fn known(&self, target: &str) -> TargetKey {
        let key = TargetKey::new(target);
        assert!(self.targets.contains_key(&key), "no target {target}");
        key
    }

    #[track_caller]
    fn target_mut(&mut self, target: &str) -> &mut Target {
        match self.targets.get_mut(&TargetKey::new(target)) {
            Some(found) => found,
            None => panic!("no target {target}"),
        }
    }

    fn usage_of_installation(&mut self, id: u64) -> &mut Usage {
        self.installation_usage.entry(id).or_insert_with(|| Usage::new(REQUESTS_PER_HOUR))
    }

    #[track_caller]
    fn usage_mut(&mut self, token: &str) -> &mut Usage {
        match self.tokens.get(token).map(|found| found.kind.clone()) {
            Some(TokenKind::Installation { id, .. }) => return self.usage_of_installation(id),
            None => panic!("no such token"),
            Some(TokenKind::Personal) => {}
        }
        match self.tokens.get_mut(token) {
            Some(found) => &mut found.usage,
            None => panic!("no such token"),
        }
    }

    /// Swaps the usage of an installation with that of its token, because all of its tokens share one usage.
    pub(crate) fn swap_usage(&mut self, token: &mut Token) {
        if let TokenKind::Installation { id, .. } = token.kind {
            std::mem::swap(self.usage_of_installation(id), &mut token.usage);
        }
    }
}
