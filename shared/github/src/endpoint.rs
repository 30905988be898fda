//! What a request is for: its name in a failure, and the permission that it needs.

use std::fmt;

use monitor_domain::jobs::JobId;
use monitor_domain::runner::RunnerId;
use monitor_domain::target::{Target, TargetKind};

/// What a request is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Endpoint<'a> {
    /// A target's runners.
    Runners(&'a Target),
    /// One runner of a target.
    Runner(&'a Target, RunnerId),
    /// The end of a version of the runner, asked through a target.
    Version(&'a Target, &'a str),
    /// A target's runner groups.
    Groups(&'a Target),
    /// One job of a repository.
    Job(&'a Target, JobId),
    /// The workflow runs of a repository, and their jobs.
    Jobs(&'a Target),
    /// A target's webhooks.
    Hooks(&'a Target),
    /// The webhook of the GitHub App.
    AppHook,
    /// An account's repositories.
    Repositories(&'a str),
    /// The GitHub App's installation on an account.
    Installation(&'a str),
}

impl fmt::Display for Endpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Runners(target) => write!(f, "the runners of {target}"),
            Endpoint::Runner(target, id) => write!(f, "runner {id} of {target}"),
            Endpoint::Version(_, version) => write!(f, "the end of runner version {version}"),
            Endpoint::Groups(target) => write!(f, "the runner groups of {target}"),
            Endpoint::Job(target, id) => write!(f, "job {} of {target}", id.0),
            Endpoint::Jobs(target) => write!(f, "the workflow jobs of {target}"),
            Endpoint::Hooks(target) => write!(f, "the webhooks of {target}"),
            Endpoint::AppHook => f.write_str("the webhook of the GitHub App"),
            Endpoint::Repositories(account) => write!(f, "the repositories of {account}"),
            Endpoint::Installation(account) => write!(f, "the GitHub App's installation on {account}"),
        }
    }
}

/// The kind of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A classic personal access token: permissions are scopes.
    ClassicToken,
    /// A fine-grained personal access token.
    FineGrainedToken,
    /// A token whose format shows no kind.
    OtherToken,
    /// A GitHub App's installation.
    App,
}

impl CredentialKind {
    /// The kind by the prefix of a token:
    /// <https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats>
    pub(crate) fn of_token(token: &str) -> Self {
        if token.starts_with("github_pat_") {
            Self::FineGrainedToken
        } else if token.starts_with("ghp_") {
            Self::ClassicToken
        } else {
            Self::OtherToken
        }
    }
}

/// The permissions that a kind of endpoint needs, as GitHub's pages for tokens and Apps call them.
struct Permissions {
    classic: &'static str,
    /// The permission of a fine-grained token or an App; `None` if only a classic token has access.
    fine_grained: Option<&'static str>,
}

const REPOSITORY: Permissions =
    Permissions { classic: "repo", fine_grained: Some("the repository permission `Administration: read`") };
const ORGANIZATION: Permissions =
    Permissions { classic: "admin:org", fine_grained: Some("the organization permission `Self-hosted runners: read`") };
const ENTERPRISE: Permissions = Permissions { classic: "manage_runners:enterprise", fine_grained: None };
const JOBS: Permissions =
    Permissions { classic: "repo", fine_grained: Some("the repository permission `Actions: read`") };
const REPOSITORY_HOOKS: Permissions =
    Permissions { classic: "repo", fine_grained: Some("the repository permission `Webhooks: read`") };
const ORGANIZATION_HOOKS: Permissions =
    Permissions { classic: "admin:org_hook", fine_grained: Some("the organization permission `Webhooks: read`") };
const REPOSITORIES: Permissions =
    Permissions { classic: "repo", fine_grained: Some("the repository permission `Metadata: read`") };

/// The permission that a credential of this kind needs, as text that follows "needs".
pub(crate) fn needed(endpoint: Endpoint<'_>, kind: CredentialKind) -> String {
    let permissions = match endpoint {
        Endpoint::Runners(target)
        | Endpoint::Runner(target, _)
        | Endpoint::Version(target, _)
        | Endpoint::Groups(target) => match target.kind() {
            TargetKind::Repository => REPOSITORY,
            TargetKind::Organization => ORGANIZATION,
            TargetKind::Enterprise | TargetKind::Pools => ENTERPRISE,
        },
        Endpoint::Job(..) | Endpoint::Jobs(_) => JOBS,
        Endpoint::Hooks(target) if target.kind() == TargetKind::Repository => REPOSITORY_HOOKS,
        Endpoint::Hooks(_) => ORGANIZATION_HOOKS,
        Endpoint::Repositories(_) | Endpoint::Installation(_) | Endpoint::AppHook => REPOSITORIES,
    };
    let classic = permissions.classic;
    match (kind, permissions.fine_grained) {
        (CredentialKind::ClassicToken, _) => format!("the scope `{classic}`"),
        (_, None) => format!("a classic token with the scope `{classic}`"),
        (CredentialKind::OtherToken, Some(fine)) => format!("the scope `{classic}` (classic token) or {fine}"),
        (CredentialKind::FineGrainedToken | CredentialKind::App, Some(fine)) => fine.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_credential_names_its_own_permission() {
        let needs = |target: &str, kind| needed(Endpoint::Runners(&target.parse().unwrap()), kind);
        assert_eq!(needs("acme/web", CredentialKind::ClassicToken), "the scope `repo`");
        assert_eq!(needs("orgs/acme", CredentialKind::ClassicToken), "the scope `admin:org`");
        assert!(needs("acme/web", CredentialKind::App).ends_with("`Administration: read`"));
        assert!(needs("orgs/acme", CredentialKind::FineGrainedToken).ends_with("`Self-hosted runners: read`"));
        for kind in [CredentialKind::App, CredentialKind::FineGrainedToken, CredentialKind::OtherToken] {
            assert_eq!(needs("enterprises/big", kind), "a classic token with the scope `manage_runners:enterprise`");
        }
    }

    #[test]
    fn a_tokens_kind_is_read_from_its_prefix() {
        assert_eq!(CredentialKind::of_token("ghp_x"), CredentialKind::ClassicToken);
        assert_eq!(CredentialKind::of_token("github_pat_x"), CredentialKind::FineGrainedToken);
        assert_eq!(CredentialKind::of_token("gho_x"), CredentialKind::OtherToken);
    }
}
