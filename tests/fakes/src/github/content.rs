//! The content of answers, for tokens and for GitHub Apps.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::credential::{Token, TokenKind, verify_app_jwt};
use super::handle::{Exchange, ROOT_DOCUMENTATION, add_primary, primary_limit, sha256_hex};
use super::json::{self as body, Account, Bases};
use super::page::Page;
use super::route::{Call, ENTERPRISE_SERVER};
use super::state::State;
use super::target_key::{Scope, TargetKey};
use super::world::{Access, Links, Target};
use crate::http::Answer;

/// Lifetime of an installation's token, in milliseconds.
const INSTALLATION_TOKEN_MS: i64 = 3_600_000;

impl Exchange<'_> {
    /// The answer to a request whose token is valid and within its limits.
    pub(super) fn content(&self, state: &mut State, token: &mut Token) -> Answer {
        if self.route.call == Call::RateLimit {
            if self.route.enterprise_server {
                return self.error(404, "Rate limiting is not enabled.");
            }
            let primary = token.usage.primary(self.now_ms);
            return Answer::json(200, &body::rate_limit(primary));
        }
        let Some(key) = &self.route.target else {
            return self.not_found();
        };
        if let Some(refusal) = self.refusal_by_access(state, token, key) {
            return refusal;
        }
        match &self.route.call {
            Call::ListRunners => self.list_runners(state, key),
            Call::GetRunner(id) => self.get_runner(state, key, *id),
            Call::GetVersion(version) => self.get_version(state, version),
            Call::ListGroups => self.list_groups(state, key),
            Call::GetJob(id) => self.get_job(state, key, *id),
            Call::ListRuns => self.list_runs(state, key),
            Call::ListRunJobs(id) => self.list_run_jobs(state, key, *id),
            Call::ListHooks => self.list_hooks(state, key),
            Call::ListDeliveries(id) => self.list_deliveries(state, key, *id),
            Call::GetRepository => self.get_repository(state, key),
            Call::ListRepositories => self.list_repositories(state, token, key),
            _ => self.not_found(),
        }
    }

    fn refusal_by_access(&self, state: &State, token: &Token, key: &TargetKey) -> Option<Answer> {
        let Some(target) = state.targets.get(key) else {
            let moved = state.moved.get(key);
            return Some(moved.map_or_else(|| self.not_found(), |&id| self.moved(state, id)));
        };
        let hooks = matches!(self.route.call, Call::ListHooks | Call::ListDeliveries(_));
        let runners = hooks || {
            let call = &self.route.call;
            matches!(call, Call::ListRunners | Call::GetRunner(_) | Call::GetVersion(_) | Call::ListGroups)
        };
        match target.access {
            Access::Hidden => Some(self.not_found()),
            Access::SsoRequired => {
                let mut answer = self.error(
                    403,
                    "Resource protected by organization SAML enforcement. You must grant your token access to this organization.",
                );
                let url = format!("https://github.com/orgs/{}/sso", key.account());
                answer.add_header("x-github-sso", format!("required; url={url}"));
                Some(answer)
            }
            Access::LegallyBlocked => {
                let blocked = json!({
                    "message": "Repository access blocked",
                    "block": {"reason": "dmca", "created_at": "2026-01-05T08:00:00Z", "html_url": "https://github.com/github/dmca"},
                });
                Some(Answer::json(451, &blocked))
            }
            Access::Refused(ref message) => Some(self.error(403, message)),
            Access::MissingPermission if runners => Some(self.not_accessible(token)),
            Access::MissingPermission | Access::SsoPartial | Access::Granted => {
                if !runners || token.reaches(key) {
                    None
                } else if key.scope() == Scope::Repository {
                    Some(self.not_found())
                } else {
                    Some(self.not_accessible(token))
                }
            }
        }
    }

    fn not_accessible(&self, token: &Token) -> Answer {
        let by = match token.kind {
            TokenKind::Personal => "personal access token",
            TokenKind::Installation { .. } => "integration",
        };
        self.error(403, &format!("Resource not accessible by {by}"))
    }

    fn moved(&self, state: &State, id: u64) -> Answer {
        let tail = match &self.route.call {
            Call::GetRunner(runner) => format!("/actions/runners/{runner}"),
            Call::GetVersion(version) => format!("/actions/runners/deprecations/{version}"),
            Call::GetRepository => String::new(),
            _ => "/actions/runners".to_owned(),
        };
        let base = self.base_url(state);
        let url = format!("{base}/repositories/{id}{tail}");
        let moved = json!({
            "message": "Moved Permanently",
            "url": url,
            "documentation_url": self.route.documentation_url(),
        });
        let mut answer = Answer::json(301, &moved);
        answer.add_header("location", url);
        answer
    }

    /// An Enterprise Server has no such endpoint.
    fn get_version(&self, state: &State, version: &str) -> Answer {
        let Some(ends_at_ms) = state.versions.get(version).filter(|_| !self.route.enterprise_server) else {
            return self.not_found();
        };
        let ends_at = ends_at_ms.map(body::moment);
        Answer::json(200, &json!({ "runner_version": version, "runtime_deprecates_at": ends_at }))
    }

    fn list_runners(&self, state: &mut State, key: &TargetKey) -> Answer {
        let page = Page::of(self.request);
        let name = self.request.parameter("name");
        if page.number == 1 && name.is_none() {
            let faults = state.faults.take_for_listing(key);
            if let Some(target) = state.targets.get_mut(key) {
                target.begin_listing(&faults);
            }
        }
        let Some(target) = state.targets.get(key) else {
            return self.not_found();
        };
        let (mut shown, mut total) = target.shown();
        if let Some(name) = name {
            shown.retain(|runner| runner.spec.name == name);
            total = shown.len();
        }
        let label_id = |label: &str| state.label_ids.get(label).copied().unwrap_or_default();
        let runners: Vec<Value> = page.cut(&shown).iter().map(|runner| body::runner(runner, label_id)).collect();
        let listed = if key.scope() == Scope::Enterprise && !state.enterprise_total_count {
            json!({"runners": runners})
        } else {
            json!({"total_count": total, "runners": runners})
        };
        let url = format!("{}/actions/runners", self.numbered_url(state, key, target));
        self.paged(&listed, page, total, &url, state.links)
    }

    fn get_runner(&self, state: &State, key: &TargetKey, id: u64) -> Answer {
        let target = state.targets.get(key);
        let found = target.and_then(|target| Some(target.seen(target.runners.get(&id)?)));
        let label_id = |label: &str| state.label_ids.get(label).copied().unwrap_or_default();
        found.map_or_else(|| self.not_found(), |runner| Answer::json(200, &body::runner(&runner, label_id)))
    }

    fn list_groups(&self, state: &State, key: &TargetKey) -> Answer {
        let Some(target) = state.targets.get(key) else { return self.not_found() };
        let page = Page::of(self.request);
        let url = format!("{}/actions/runner-groups", self.numbered_url(state, key, target));
        let groups: Vec<Value> =
            state.groups.iter().map(|(id, name)| body::group(*id, name, key.scope(), &url)).collect();
        let listed = json!({"total_count": groups.len(), "runner_groups": page.cut(&groups)});
        self.paged(&listed, page, groups.len(), &url, state.links)
    }

    fn get_job(&self, state: &State, key: &TargetKey, id: u64) -> Answer {
        let found = state.targets.get(key).and_then(|target| target.jobs.get(&id));
        found.map_or_else(|| self.not_found(), |job| Answer::json(200, &body::job(id, key.as_str(), job)))
    }

    /// The runs whose state is asked for, the newest first. A run is in progress as soon as one of its jobs is.
    fn list_runs(&self, state: &State, key: &TargetKey) -> Answer {
        let (Some(owner), Some(target)) = (account_of(state, key.account()), state.targets.get(key)) else {
            return self.not_found();
        };
        let base = self.base_url(state);
        let repository = body::repository(target.id, target.name(), target.archived, &owner, bases(&base));
        let mut runs: BTreeMap<u64, (&str, i64)> =
            target.ghost_runs.iter().map(|(run, updated_at_ms)| (*run, ("queued", *updated_at_ms))).collect();
        for job in target.jobs.values() {
            let (status, updated_at_ms) = runs.entry(job.run).or_insert((&job.status, job.created_at_ms));
            *updated_at_ms = job.created_at_ms.max(*updated_at_ms);
            *status = match (*status, &*job.status) {
                ("completed", "completed") => "completed",
                (one, other) if one == other => one,
                ("queued" | "waiting", "queued" | "waiting") => "queued",
                _ => "in_progress",
            };
        }
        let asked = self.request.parameter("status");
        runs.retain(|_, (status, _)| asked.is_none_or(|asked| asked == *status));
        let page = Page::of(self.request);
        let runs: Vec<Value> =
            runs.iter().rev().map(|(id, (status, at_ms))| body::run(*id, status, *at_ms, &repository)).collect();
        let listed = json!({"total_count": runs.len(), "workflow_runs": page.cut(&runs)});
        let url = format!("{}/actions/runs", self.numbered_url(state, key, target));
        self.paged(&listed, page, runs.len(), &url, state.links)
    }

    fn list_run_jobs(&self, state: &State, key: &TargetKey, run: u64) -> Answer {
        let Some(target) = state.targets.get(key) else { return self.not_found() };
        let of_run = target.jobs.iter().filter(|(_, job)| job.run == run);
        let jobs: Vec<Value> = of_run.map(|(id, job)| body::job(*id, key.as_str(), job)).collect();
        if jobs.is_empty() && !target.ghost_runs.contains_key(&run) {
            return self.not_found();
        }
        let page = Page::of(self.request);
        let listed = json!({"total_count": jobs.len(), "jobs": page.cut(&jobs)});
        let url = format!("{}/actions/runs/{run}/jobs", self.numbered_url(state, key, target));
        self.paged(&listed, page, jobs.len(), &url, state.links)
    }

    fn app_hook(&self, state: &State, app_id: u64) -> Answer {
        if self.route.call == Call::GetApp {
            let events = state.app_hook.as_ref().map_or(&[][..], |hook| &hook.events);
            return Answer::json(200, &body::app(app_id, events, bases(&self.base_url(state))));
        }
        let Some(hook) = &state.app_hook else { return self.not_found() };
        if self.route.call == Call::GetAppHook {
            return Answer::json(200, &body::app_hook(hook));
        }
        let deliveries: Vec<Value> =
            (1..).zip(&hook.deliveries).map(|(id, delivery)| body::hook_delivery(id, *delivery)).collect();
        Answer::json(200, &json!(Page::of(self.request).cut(&deliveries)))
    }

    fn list_hooks(&self, state: &State, key: &TargetKey) -> Answer {
        let Some(target) = state.targets.get(key) else { return self.not_found() };
        let url = format!("{}/hooks", self.numbered_url(state, key, target));
        let hooks: Vec<Value> =
            target.hooks.iter().map(|(id, hook)| body::hook(*id, hook, key.scope(), &url)).collect();
        Answer::json(200, &json!(hooks))
    }

    fn list_deliveries(&self, state: &State, key: &TargetKey, id: u64) -> Answer {
        let hook = state.targets.get(key).and_then(|target| target.hooks.get(&id));
        let Some(hook) = hook else { return self.not_found() };
        let page = Page::of(self.request);
        let deliveries: Vec<Value> =
            (1..).zip(&hook.deliveries).map(|(id, delivery)| body::hook_delivery(id, *delivery)).collect();
        Answer::json(200, &json!(page.cut(&deliveries)))
    }

    fn get_repository(&self, state: &State, key: &TargetKey) -> Answer {
        let (Some(owner), Some(repository)) = (account_of(state, key.account()), state.targets.get(key)) else {
            return self.not_found();
        };
        Answer::json(
            200,
            &body::repository(
                repository.id,
                repository.name(),
                repository.archived,
                &owner,
                bases(&self.base_url(state)),
            ),
        )
    }

    fn list_repositories(&self, state: &State, token: &Token, key: &TargetKey) -> Answer {
        let account = account_of(state, key.account());
        let (Some(owner), Some(target)) = (account, state.targets.get(key)) else {
            return self.not_found();
        };
        let base = self.base_url(state);
        let owned: Vec<(&TargetKey, &Target)> = state
            .targets
            .iter()
            .filter(|(other, _)| other.scope() == Scope::Repository)
            .filter(|(other, _)| other.account() == key.account() && token.reaches(other))
            .filter(|(_, repository)| repository.access != Access::Hidden && target.access != Access::SsoPartial)
            .collect();
        let page = Page::of(self.request);
        let listed: Vec<Value> = page
            .cut(&owned)
            .iter()
            .map(|(_, repository)| {
                body::repository(repository.id, repository.name(), repository.archived, &owner, bases(&base))
            })
            .collect();
        let url = format!("{}/repos", self.numbered_url(state, key, target));
        let mut answer = self.paged(&Value::Array(listed), page, owned.len(), &url, state.links);
        if target.access == Access::SsoPartial {
            answer.add_header("x-github-sso", format!("partial-results; organizations={}", target.id));
        }
        answer
    }

    fn paged(&self, listed: &Value, page: Page, total: usize, url: &str, links: Links) -> Answer {
        let mut answer = Answer::json(200, listed);
        let link = match links {
            Links::Present => page.link(total, url, self.request),
            Links::Missing => None,
            Links::Endless => page.link(usize::MAX, url, self.request),
        };
        if let Some(link) = link {
            answer.add_header("link", link);
        }
        answer
    }

    // ---- as a GitHub App ----

    /// The answer to an App that authenticates with its JSON web token.
    pub(super) fn as_app(&self, state: &mut State, jwt: &str) -> Answer {
        let verified = verify_app_jwt(jwt, &state.apps, self.now_ms);
        let app_id = match verified {
            Ok(app_id) => app_id,
            Err(refused) => {
                let error = body::error(refused.status, refused.message, ROOT_DOCUMENTATION);
                return Answer::json(refused.status, &error);
            }
        };
        let limits_on = !self.route.enterprise_server;
        let now_ms = self.now_ms;
        let primary = |state: &mut State| state.apps.get_mut(&app_id).map(|app| app.usage.primary(now_ms));
        let is_used_up = limits_on && primary(state).is_some_and(|primary| primary.remaining == 0);
        let mut answer = if is_used_up {
            primary_limit(&format!("app ID {app_id}"), state.limits.status)
        } else {
            if let Some(app) = state.apps.get_mut(&app_id) {
                app.usage.charge(now_ms);
            }
            self.of_app(state, app_id)
        };
        if let Some(primary) = primary(state).filter(|_| limits_on) {
            add_primary(&mut answer, primary);
        }
        answer
    }

    fn of_app(&self, state: &mut State, app_id: u64) -> Answer {
        let Some(app) = state.apps.get(&app_id) else {
            return self.not_found();
        };
        if let Call::CreateAccessToken(id) = self.route.call {
            return match app.installations.get(&id).cloned() {
                Some(account) => self.create_access_token(state, id, account),
                None => self.not_found(),
            };
        }
        if matches!(self.route.call, Call::GetApp | Call::GetAppHook | Call::ListAppDeliveries) {
            return self.app_hook(state, app_id);
        }
        let asked = self.route.target.as_ref();
        let Some(key) = asked.filter(|key| state.targets.contains_key(key)) else {
            return self.not_found();
        };
        let mut installations = app.installations.iter();
        let installed = installations.find(|(_, account)| *account == key.account());
        match (installed, account_of(state, key.account())) {
            (Some((&id, _)), Some(holder)) => {
                let base = self.base_url(state);
                Answer::json(200, &body::installation(id, app_id, &holder, bases(&base)))
            }
            _ => self.not_found(),
        }
    }

    fn create_access_token(&self, state: &mut State, id: u64, account: String) -> Answer {
        state.tokens_issued += 1;
        let number = state.tokens_issued.to_be_bytes();
        let token = format!("ghs_{:.36}", sha256_hex(&[b"installation", &number]));
        let expires_at_ms = self.now_ms + INSTALLATION_TOKEN_MS;
        let kind = TokenKind::Installation { id, account };
        state.insert_token(&token, kind, Some(expires_at_ms));
        let expires_at = body::moment(expires_at_ms);
        Answer::json(201, &body::access_token(&token, &expires_at))
    }

    // ---- addresses ----

    fn base_url(&self, state: &State) -> String {
        let prefix = if self.route.enterprise_server { ENTERPRISE_SERVER } else { "" };
        format!("{}{prefix}", state.base_url)
    }

    /// The address in `Link`: by number, as at GitHub, except for enterprises.
    fn numbered_url(&self, state: &State, key: &TargetKey, target: &Target) -> String {
        let base = self.base_url(state);
        match key.scope() {
            Scope::Repository => format!("{base}/repositories/{}", target.id),
            Scope::Organization => format!("{base}/organizations/{}", target.id),
            Scope::User => format!("{base}/user/{}", target.id),
            Scope::Enterprise => format!("{base}/enterprises/{}", target.display),
        }
    }
}

fn account_of<'a>(state: &'a State, name: &str) -> Option<Account<'a>> {
    let (key, target) = state.account(name)?;
    let kind = match key.scope() {
        Scope::User => "User",
        _ => "Organization",
    };
    Some(Account { id: target.id, login: &target.display, kind })
}

fn bases(api: &str) -> Bases<'_> {
    Bases { api, html: "https://github.com" }
}
