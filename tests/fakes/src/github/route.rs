//! From method and path to the requested call.

use super::counters::Endpoint;
use super::target_key::{Scope, TargetKey};
use crate::http::{Request, decode};

/// The prefix of Enterprise Server's REST API.
pub(crate) const ENTERPRISE_SERVER: &str = "/api/v3";

/// A parsed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Whether the path has the prefix of an Enterprise Server.
    pub(crate) enterprise_server: bool,
    /// The target or account of the request, if it has one.
    pub(crate) target: Option<TargetKey>,
    pub(crate) call: Call,
}

/// The requested call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    ListRunners,
    GetRunner(u64),
    GetVersion(String),
    ListGroups,
    GetJob(u64),
    ListRuns,
    ListRunJobs(u64),
    GetApp,
    GetAppHook,
    ListAppDeliveries,
    ListHooks,
    ListDeliveries(u64),
    GetRepository,
    ListRepositories,
    GetInstallation,
    CreateAccessToken(u64),
    RateLimit,
    Unknown,
}

impl Route {
    /// Reads method and path; `by_id` finds the target behind `/repositories/ID` and the like.
    pub(crate) fn of(request: &Request, by_id: impl Fn(Scope, u64) -> Option<TargetKey>) -> Self {
        let local = request.path.strip_prefix(ENTERPRISE_SERVER);
        let enterprise_server = local.is_some();
        let path = local.unwrap_or(&request.path);
        let decoded: Vec<String> = path.split('/').skip(1).map(decode).collect();
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let numbered = |scope, id: &str| by_id(scope, id.parse().ok()?);

        let (target, rest) = match segments[..] {
            ["repos", owner, name, ref rest @ ..] => (Some(TargetKey::new(&format!("{owner}/{name}"))), rest),
            [kind @ ("orgs" | "enterprises" | "users"), name, ref rest @ ..] => {
                (Some(TargetKey::new(&format!("{kind}/{name}"))), rest)
            }
            ["repositories", id, ref rest @ ..] => (numbered(Scope::Repository, id), rest),
            ["organizations", id, ref rest @ ..] => (numbered(Scope::Organization, id), rest),
            ["user", id, ref rest @ ..] => (numbered(Scope::User, id), rest),
            ref all => (None, all),
        };
        let call = match (request.method.as_str(), &target) {
            ("GET", Some(target)) => Call::of_target(target.scope(), rest),
            (method, None) => Call::of_none(method, rest),
            _ => Call::Unknown,
        };
        Self { enterprise_server, target, call }
    }

    /// GitHub's documentation page of the call, for error bodies.
    pub(crate) fn documentation_url(&self) -> String {
        let scope = self.target.as_ref().map(TargetKey::scope);
        let holder = match scope {
            Some(Scope::Organization) => "an-organization",
            Some(Scope::Enterprise) => "an-enterprise",
            Some(Scope::User) => "a-user",
            Some(Scope::Repository) | None => "a-repository",
        };
        let page = match self.call {
            Call::ListRunners => {
                format!("actions/self-hosted-runners#list-self-hosted-runners-for-{holder}")
            }
            Call::GetRunner(_) => {
                format!("actions/self-hosted-runners#get-a-self-hosted-runner-for-{holder}")
            }
            Call::GetVersion(_) => {
                format!("actions/self-hosted-runners#get-runner-version-end-of-life-schedule-for-{holder}")
            }
            Call::ListGroups => {
                format!("actions/self-hosted-runner-groups#list-self-hosted-runner-groups-for-{holder}")
            }
            Call::GetJob(_) => "actions/workflow-jobs#get-a-job-for-a-workflow-run".to_owned(),
            Call::ListRuns => "actions/workflow-runs#list-workflow-runs-for-a-repository".to_owned(),
            Call::ListRunJobs(_) => "actions/workflow-jobs#list-jobs-for-a-workflow-run".to_owned(),
            Call::GetApp => "apps/apps#get-the-authenticated-app".to_owned(),
            Call::GetAppHook => "apps/webhooks#get-a-webhook-configuration-for-an-app".to_owned(),
            Call::ListAppDeliveries => "apps/webhooks#list-deliveries-for-an-app-webhook".to_owned(),
            Call::ListHooks if scope == Some(Scope::Organization) => {
                "orgs/webhooks#list-organization-webhooks".to_owned()
            }
            Call::ListHooks => "repos/webhooks#list-repository-webhooks".to_owned(),
            Call::ListDeliveries(_) if scope == Some(Scope::Organization) => {
                "orgs/webhooks#list-deliveries-for-an-organization-webhook".to_owned()
            }
            Call::ListDeliveries(_) => "repos/webhooks#list-deliveries-for-a-repository-webhook".to_owned(),
            Call::ListRepositories if scope == Some(Scope::User) => {
                "repos/repos#list-repositories-for-a-user".to_owned()
            }
            Call::ListRepositories => "repos/repos#list-organization-repositories".to_owned(),
            Call::GetRepository => "repos/repos#get-a-repository".to_owned(),
            Call::GetInstallation => {
                format!("apps/apps#get-{holder}-installation-for-the-authenticated-app")
            }
            Call::CreateAccessToken(_) => "apps/apps#create-an-installation-access-token-for-an-app".to_owned(),
            Call::RateLimit | Call::Unknown => return "https://docs.github.com/rest".to_owned(),
        };
        format!("https://docs.github.com/rest/{page}")
    }
}

impl Call {
    fn of_target(scope: Scope, rest: &[&str]) -> Self {
        match (scope, rest) {
            (Scope::Repository, []) => Self::GetRepository,
            (Scope::User | Scope::Organization, ["repos"]) => Self::ListRepositories,
            (Scope::User, ["actions" | "hooks", ..]) => Self::Unknown,
            (_, ["actions", "runners"]) => Self::ListRunners,
            (_, ["actions", "runners", "deprecations", version]) => Self::GetVersion((*version).to_owned()),
            (_, ["actions", "runners", id]) => id.parse().map_or(Self::Unknown, Self::GetRunner),
            (Scope::Organization | Scope::Enterprise, ["actions", "runner-groups"]) => Self::ListGroups,
            (Scope::Repository, ["actions", "jobs", id]) => id.parse().map_or(Self::Unknown, Self::GetJob),
            (Scope::Repository, ["actions", "runs"]) => Self::ListRuns,
            (Scope::Repository, ["actions", "runs", id, "jobs"]) => id.parse().map_or(Self::Unknown, Self::ListRunJobs),
            (Scope::Enterprise, _) => Self::Unknown,
            (_, ["hooks"]) => Self::ListHooks,
            (_, ["hooks", id, "deliveries"]) => id.parse().map_or(Self::Unknown, Self::ListDeliveries),
            (_, ["installation"]) => Self::GetInstallation,
            _ => Self::Unknown,
        }
    }

    fn of_none(method: &str, segments: &[&str]) -> Self {
        match (method, segments) {
            ("GET", ["rate_limit"]) => Self::RateLimit,
            ("GET", ["app"]) => Self::GetApp,
            ("GET", ["app", "hook", "config"]) => Self::GetAppHook,
            ("GET", ["app", "hook", "deliveries"]) => Self::ListAppDeliveries,
            ("POST", ["app", "installations", id, "access_tokens"]) => {
                id.parse().map_or(Self::Unknown, Self::CreateAccessToken)
            }
            _ => Self::Unknown,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::ListRunners => Endpoint::ListRunners,
            Self::GetRunner(_) => Endpoint::GetRunner,
            Self::GetVersion(_) => Endpoint::GetVersion,
            Self::ListGroups => Endpoint::ListGroups,
            Self::GetJob(_) => Endpoint::GetJob,
            Self::ListRuns | Self::ListRunJobs(_) => Endpoint::WorkflowRuns,
            Self::GetApp | Self::GetAppHook | Self::ListAppDeliveries | Self::ListHooks | Self::ListDeliveries(_) => {
                Endpoint::Hooks
            }
            Self::GetRepository => Endpoint::GetRepository,
            Self::ListRepositories => Endpoint::ListRepositories,
            Self::GetInstallation => Endpoint::GetInstallation,
            Self::CreateAccessToken(_) => Endpoint::CreateAccessToken,
            Self::RateLimit => Endpoint::RateLimit,
            Self::Unknown => Endpoint::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &str, path: &str) -> (Option<String>, Call) {
        let route = Route::of(&Request::new(method, path), |_, id| (id == 7).then(|| TargetKey::new("acme/web")));
        let target = route.target.map(|target| target.as_str().to_owned());
        (target, route.call)
    }

    #[test]
    fn paths_are_parsed() {
        for (path, target, call) in [
            ("/repos/Acme/Web/actions/runners", "acme/web", Call::ListRunners),
            ("/repositories/7/actions/runners", "acme/web", Call::ListRunners),
            ("/orgs/acme/actions/runners/12", "orgs/acme", Call::GetRunner(12)),
            ("/orgs/acme/actions/runners/deprecations/2.336.0", "orgs/acme", Call::GetVersion("2.336.0".to_owned())),
            ("/orgs/acme/actions/runner-groups", "orgs/acme", Call::ListGroups),
            ("/repos/acme/web/actions/runner-groups", "acme/web", Call::Unknown),
            ("/enterprises/big/actions/runners", "enterprises/big", Call::ListRunners),
            ("/api/v3/orgs/acme/repos", "orgs/acme", Call::ListRepositories),
            ("/users/jo/repos", "users/jo", Call::ListRepositories),
            ("/users/jo/actions/runners", "users/jo", Call::Unknown),
            ("/enterprises/big/installation", "enterprises/big", Call::Unknown),
            ("/repos/acme/web/installation", "acme/web", Call::GetInstallation),
            ("/repositories/7", "acme/web", Call::GetRepository),
            ("/repos/acme/web/actions/jobs/42", "acme/web", Call::GetJob(42)),
            ("/repos/acme/web/actions/runs", "acme/web", Call::ListRuns),
            ("/repos/acme/web/actions/runs/7/jobs", "acme/web", Call::ListRunJobs(7)),
            ("/orgs/acme/actions/runs", "orgs/acme", Call::Unknown),
            ("/orgs/acme/hooks", "orgs/acme", Call::ListHooks),
            ("/repos/acme/web/hooks/9/deliveries", "acme/web", Call::ListDeliveries(9)),
            ("/users/jo/hooks", "users/jo", Call::Unknown),
            ("/repos/acme/web/actions/runners/x", "acme/web", Call::Unknown),
            ("/repos/acme/web%20b/actions/runners", "acme/web b", Call::ListRunners),
        ] {
            assert_eq!(route("GET", path), (Some(target.to_owned()), call), "{path}");
        }
        assert_eq!(route("GET", "/repositories/8/actions/runners").1, Call::Unknown);
        assert_eq!(route("DELETE", "/orgs/acme/actions/runners/12").1, Call::Unknown);
        assert_eq!(route("POST", "/app/installations/3/access_tokens").1, Call::CreateAccessToken(3));
        assert_eq!(route("GET", "/rate_limit").1, Call::RateLimit);
        assert_eq!(route("GET", "/app").1, Call::GetApp);
        assert_eq!(route("GET", "/app/hook/config").1, Call::GetAppHook);
        assert_eq!(route("GET", "/app/hook/deliveries").1, Call::ListAppDeliveries);
    }
}
