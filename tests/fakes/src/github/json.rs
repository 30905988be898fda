//! The bodies of answers, shaped as in GitHub's OpenAPI description.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::limits::Primary;
use super::target_key::Scope;
use super::world::{Hook, Job, Runner};

/// The read-only labels, with their ids on this fake.
const READ_ONLY_LABELS: [(&str, u64); 5] = [("self-hosted", 1), ("Linux", 2), ("Windows", 3), ("macOS", 4), ("X64", 5)];

/// The base addresses of accounts and repositories.
#[derive(Clone, Copy)]
pub(crate) struct Bases<'a> {
    /// The API, without a trailing slash.
    pub(crate) api: &'a str,
    /// The pages for people.
    pub(crate) html: &'a str,
}

/// An account that owns repositories.
pub(crate) struct Account<'a> {
    pub(crate) id: u64,
    pub(crate) login: &'a str,
    /// `Organization` or `User`.
    pub(crate) kind: &'a str,
}

/// GitHub's error body.
pub(crate) fn error(status: u16, message: &str, documentation_url: &str) -> Value {
    json!({
        "message": message,
        "documentation_url": documentation_url,
        "status": status.to_string(),
    })
}

/// One runner; `label_id` numbers the custom labels.
pub(crate) fn runner(runner: &Runner, label_id: impl Fn(&str) -> u64) -> Value {
    let spec = &runner.spec;
    let system = match spec.os.to_ascii_lowercase().as_str() {
        "windows" => "Windows",
        "macos" | "osx" => "macOS",
        _ => "Linux",
    };
    let own = READ_ONLY_LABELS
        .iter()
        .filter(|(name, _)| ["self-hosted", "X64", system].contains(name))
        .map(|(name, id)| json!({"id": id, "name": name, "type": "read-only"}));
    let custom = spec.labels.iter().map(|name| json!({"id": label_id(name), "name": name, "type": "custom"}));
    let labels: Vec<Value> = own.chain(custom).collect();

    let mut body = Map::new();
    body.insert("id".to_owned(), json!(runner.id));
    body.insert("name".to_owned(), json!(spec.name));
    body.insert("os".to_owned(), json!(spec.os));
    body.insert("status".to_owned(), json!(spec.status));
    body.insert("busy".to_owned(), json!(spec.busy));
    body.insert("ephemeral".to_owned(), json!(spec.ephemeral));
    body.insert("labels".to_owned(), Value::Array(labels));
    if let Some(group) = spec.runner_group_id {
        body.insert("runner_group_id".to_owned(), json!(group));
    }
    if let Some(version) = &spec.version {
        body.insert("version".to_owned(), json!(version));
    }
    Value::Object(body)
}

/// One job of a workflow (`job`).
pub(crate) fn job(id: u64, repository: &str, job: &Job) -> Value {
    let (api, html) =
        (format!("https://api.github.com/repos/{repository}"), format!("https://github.com/{repository}"));
    let created_at = moment(job.created_at_ms);
    let is_completed = job.status == "completed";
    json!({
        "id": id,
        "run_id": job.run,
        "run_url": format!("{api}/actions/runs/{}", job.run),
        "run_attempt": 1,
        "node_id": "CR_kwDOAAAAAc8AAAAL",
        "head_sha": "f83a356604ae3c5d03e1b46ef4d1ca77d64a90b0",
        "url": format!("{api}/actions/jobs/{id}"),
        "html_url": format!("{html}/actions/runs/{}/job/{id}", job.run),
        "status": job.status,
        "conclusion": is_completed.then_some("success"),
        "created_at": created_at,
        "started_at": created_at,
        "completed_at": is_completed.then(|| created_at.clone()),
        "name": job.name,
        "steps": [],
        "check_run_url": format!("{api}/check-runs/{id}"),
        "labels": job.labels,
        "runner_id": job.runner.as_ref().map(|_| 1),
        "runner_name": job.runner,
        "runner_group_id": job.runner.as_ref().map(|_| 1),
        "runner_group_name": job.runner.as_ref().map(|_| "Default"),
        "workflow_name": job.workflow,
        "head_branch": "main",
    })
}

/// A workflow run (`workflow-run`) of a repository.
pub(crate) fn run(id: u64, status: &str, updated_at_ms: i64, repository: &Value) -> Value {
    let at = |of: &str| repository[of].as_str().unwrap_or_default().to_owned();
    let url = format!("{}/actions/runs/{id}", at("url"));
    let updated_at = moment(updated_at_ms);
    let author = json!({"name": "Mona", "email": "mona@acme.test"});
    json!({
        "id": id,
        "node_id": format!("WFR_{id:08}"),
        "name": "Nightly",
        "display_title": "Nightly",
        "head_branch": "main",
        "head_sha": "f83a356604ae3c5d03e1b46ef4d1ca77d64a90b0",
        "path": ".github/workflows/nightly.yml",
        "run_number": id,
        "run_attempt": 1,
        "event": "push",
        "status": status,
        "conclusion": (status == "completed").then_some("success"),
        "workflow_id": 1,
        "url": url,
        "html_url": format!("{}/actions/runs/{id}", at("html_url")),
        "pull_requests": [],
        "created_at": updated_at,
        "updated_at": updated_at,
        "run_started_at": updated_at,
        "jobs_url": format!("{url}/jobs"),
        "logs_url": format!("{url}/logs"),
        "check_suite_url": format!("{}/check-suites/{id}", at("url")),
        "artifacts_url": format!("{url}/artifacts"),
        "cancel_url": format!("{url}/cancel"),
        "rerun_url": format!("{url}/rerun"),
        "workflow_url": format!("{}/actions/workflows/1", at("url")),
        "head_commit": {
            "id": "f83a356604ae3c5d03e1b46ef4d1ca77d64a90b0",
            "tree_id": "d23f6eedb1e1b9610bbc754ddb5197bfe7271223",
            "message": "Train nightly",
            "timestamp": updated_at,
            "author": author,
            "committer": author,
        },
        "repository": repository,
        "head_repository": repository,
    })
}

/// A GitHub App (`integration`) with the events that its webhook reports.
pub(crate) fn app(id: u64, events: &[String], bases: Bases<'_>) -> Value {
    json!({
        "id": id,
        "slug": "runner-monitor",
        "node_id": format!("A_{id:08}"),
        "client_id": "Iv1.8a61f9b3a7aba766",
        "owner": account(&Account { id: 1, login: "octocat", kind: "User" }, bases),
        "name": "Runner Monitor",
        "description": null,
        "external_url": "https://acme.test",
        "html_url": format!("{}/apps/runner-monitor", bases.html),
        "created_at": "2026-01-05T08:00:00Z",
        "updated_at": "2026-01-05T08:00:00Z",
        "permissions": permissions(),
        "events": events,
    })
}

/// The webhook of a GitHub App (`webhook-config`).
pub(crate) fn app_hook(hook: &Hook) -> Value {
    json!({"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": hook.url})
}

/// The parts of a webhook's delivery (`workflow_job`) that a receiver needs.
pub(crate) fn delivery(action: &str, id: u64, repository: &str, about: &Job) -> Value {
    json!({
        "action": action,
        "workflow_job": job(id, repository, about),
        "repository": { "id": 1, "full_name": repository },
        "sender": { "login": "octocat" },
    })
}

/// A runner group (`runner-groups-org`, `runner-groups-enterprise`).
pub(crate) fn group(id: u64, name: &str, scope: Scope, groups_url: &str) -> Value {
    let mut body = json!({
        "id": id,
        "name": name,
        "visibility": "all",
        "default": id == 1,
        "runners_url": format!("{groups_url}/{id}/runners"),
        "allows_public_repositories": false,
    });
    if scope == Scope::Organization {
        body["inherited"] = json!(false);
    }
    body
}

/// A webhook (`hook` of a repository, `org-hook` of an organization).
pub(crate) fn hook(id: u64, hook: &Hook, scope: Scope, hooks_url: &str) -> Value {
    let url = format!("{hooks_url}/{id}");
    let mut body = json!({
        "type": if scope == Scope::Repository { "Repository" } else { "Organization" },
        "id": id,
        "name": "web",
        "active": !hook.is_off,
        "events": hook.events,
        "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": hook.url},
        "updated_at": "2026-11-05T08:04:55Z",
        "created_at": "2026-11-05T08:04:55Z",
        "url": url,
        "ping_url": format!("{url}/pings"),
        "deliveries_url": format!("{url}/deliveries"),
    });
    if scope == Scope::Repository {
        body["test_url"] = json!(format!("{url}/tests"));
        body["last_response"] = json!({"code": null, "status": "unused", "message": null});
    }
    body
}

/// A delivery of a webhook in a list (`hook-delivery-item`).
pub(crate) fn hook_delivery(id: u64, (at_ms, status): (i64, u16)) -> Value {
    json!({
        "id": id,
        "guid": format!("72d3162e-cc78-11e3-81ab-{id:012}"),
        "delivered_at": moment(at_ms),
        "redelivery": false,
        "duration": 0.27,
        "status": if (200..300).contains(&status) { "OK" } else { "Invalid HTTP Response" },
        "status_code": status,
        "event": "workflow_job",
        "action": "queued",
        "installation_id": null,
        "repository_id": 1,
        "throttled_at": null,
    })
}

/// A time as date; values outside the calendar's range become 1970.
pub(super) fn date(epoch_ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(epoch_ms).unwrap_or_default()
}

/// A time as GitHub's bodies have it, to the second.
pub(super) fn moment(epoch_ms: i64) -> String {
    date(epoch_ms).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A repository as lists show it (`minimal-repository`).
pub(crate) fn repository(id: u64, name: &str, archived: bool, owner: &Account<'_>, bases: Bases<'_>) -> Value {
    let full_name = format!("{}/{name}", owner.login);
    let url = format!("{}/repos/{full_name}", bases.api);
    let mut body = Map::new();
    for (key, value) in [
        ("id", json!(id)),
        ("node_id", json!(format!("R_{id:08}"))),
        ("name", json!(name)),
        ("full_name", json!(full_name)),
        ("private", json!(true)),
        ("owner", account(owner, bases)),
        ("html_url", json!(format!("{}/{full_name}", bases.html))),
        ("description", Value::Null),
        ("fork", json!(false)),
        ("url", json!(url)),
        ("archived", json!(archived)),
        ("disabled", json!(false)),
        ("visibility", json!("private")),
        ("default_branch", json!("main")),
    ] {
        body.insert(key.to_owned(), value);
    }
    for (key, tail) in [
        ("archive_url", "{archive_format}{/ref}"),
        ("assignees_url", "assignees{/user}"),
        ("blobs_url", "git/blobs{/sha}"),
        ("branches_url", "branches{/branch}"),
        ("collaborators_url", "collaborators{/collaborator}"),
        ("comments_url", "comments{/number}"),
        ("commits_url", "commits{/sha}"),
        ("compare_url", "compare/{base}...{head}"),
        ("contents_url", "contents/{+path}"),
        ("contributors_url", "contributors"),
        ("deployments_url", "deployments"),
        ("downloads_url", "downloads"),
        ("events_url", "events"),
        ("forks_url", "forks"),
        ("git_commits_url", "git/commits{/sha}"),
        ("git_refs_url", "git/refs{/sha}"),
        ("git_tags_url", "git/tags{/sha}"),
        ("hooks_url", "hooks"),
        ("issue_comment_url", "issues/comments{/number}"),
        ("issue_events_url", "issues/events{/number}"),
        ("issues_url", "issues{/number}"),
        ("keys_url", "keys{/key_id}"),
        ("labels_url", "labels{/name}"),
        ("languages_url", "languages"),
        ("merges_url", "merges"),
        ("milestones_url", "milestones{/number}"),
        ("notifications_url", "notifications{?since,all,participating}"),
        ("pulls_url", "pulls{/number}"),
        ("releases_url", "releases{/id}"),
        ("stargazers_url", "stargazers"),
        ("statuses_url", "statuses/{sha}"),
        ("subscribers_url", "subscribers"),
        ("subscription_url", "subscription"),
        ("tags_url", "tags"),
        ("teams_url", "teams"),
        ("trees_url", "git/trees{/sha}"),
    ] {
        body.insert(key.to_owned(), json!(format!("{url}/{tail}")));
    }
    Value::Object(body)
}

fn account(account: &Account<'_>, bases: Bases<'_>) -> Value {
    let login = account.login;
    let url = format!("{}/users/{login}", bases.api);
    let html = bases.html;
    json!({
        "login": login,
        "id": account.id,
        "node_id": format!("A_{:08}", account.id),
        "avatar_url": format!("{html}/avatars/{login}.png"),
        "gravatar_id": "",
        "url": url,
        "html_url": format!("{html}/{login}"),
        "followers_url": format!("{url}/followers"),
        "following_url": format!("{url}/following{{/other_user}}"),
        "gists_url": format!("{url}/gists{{/gist_id}}"),
        "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"),
        "organizations_url": format!("{url}/orgs"),
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events{{/privacy}}"),
        "received_events_url": format!("{url}/received_events"),
        "type": account.kind,
        "site_admin": false,
    })
}

/// The installation of an App on an account.
pub(crate) fn installation(id: u64, app_id: u64, holder: &Account<'_>, bases: Bases<'_>) -> Value {
    let (api, html) = (bases.api, bases.html);
    json!({
        "id": id,
        "account": account(holder, bases),
        "repository_selection": "all",
        "access_tokens_url": format!("{api}/app/installations/{id}/access_tokens"),
        "repositories_url": format!("{api}/installation/repositories"),
        "html_url": format!("{html}/settings/installations/{id}"),
        "app_id": app_id,
        "app_slug": "runner-monitor",
        "target_id": holder.id,
        "target_type": holder.kind,
        "permissions": permissions(),
        "events": [],
        "created_at": "2026-01-05T08:00:00Z",
        "updated_at": "2026-01-05T08:00:00Z",
        "single_file_name": null,
        "has_multiple_single_files": false,
        "single_file_paths": [],
        "suspended_by": null,
        "suspended_at": null,
    })
}

/// A new token of an installation; `expires_at` in ISO 8601.
pub(crate) fn access_token(token: &str, expires_at: &str) -> Value {
    json!({
        "token": token,
        "expires_at": expires_at,
        "permissions": permissions(),
        "repository_selection": "all",
    })
}

fn permissions() -> Value {
    json!({
        "administration": "read",
        "metadata": "read",
        "organization_self_hosted_runners": "read",
    })
}

/// The rate limit of one token.
pub(crate) fn rate_limit(primary: Primary) -> Value {
    let core = json!({
        "limit": primary.limit,
        "used": primary.used,
        "remaining": primary.remaining,
        "reset": primary.reset_epoch_secs,
    });
    let search = json!({
        "limit": 30,
        "used": 0,
        "remaining": 30,
        "reset": primary.reset_epoch_secs,
    });
    json!({
        "resources": {"core": core, "search": search},
        "rate": core,
    })
}
