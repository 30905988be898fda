//! A look at one target for whoever sets the monitor up: does the credential see it, and if not, what is missing.

use monitor_domain::observation::{CredentialReport, Failure, Fault};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::Target;
use monitor_pipeline::ports::RunnerSource;
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::about::{About, CredentialKind, needed};
use crate::client::GitHub;
use crate::credential::Holder;
use crate::headers::{names, text};
use crate::list::{page_url, runners_path};
use crate::transfer::Request;
use crate::wire;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The target that was asked for.
    pub target: Target,
    /// The credential that asked.
    pub credential: CredentialId,
    /// Its kind.
    pub kind: CredentialKind,
    /// How many runners it sees, or why it sees none.
    pub runners: Result<u64, Failure>,
    /// The permission that is missing, in words that follow "needs"; none where nothing is, or where GitHub does not tell.
    pub missing: Option<String>,
    /// The permission that it takes to see the target, in words that follow "needs".
    pub needed: String,
    /// The scopes of a classic token.
    pub scopes: Option<Vec<String>>,
    /// Quota left and the token's end, as far as GitHub told.
    pub report: CredentialReport,
    /// This machine's clock less GitHub's, milliseconds, to about a second. A GitHub App is refused from a minute on.
    pub clock_ahead_ms: Option<i64>,
}

impl GitHub {
    /// Asks once for a target's runners and tells everything that the answer tells. Nothing is asked again.
    pub async fn examine(&self, target: &Target) -> Examination {
        let holder = self.holder(&self.credential(target));
        let mut headers = HeaderMap::new();
        let runners = self.count_runners(&holder, target, &mut headers).await;

        let scopes = names(&headers, "x-oauth-scopes");
        // Only classic tokens have scopes, whatever they look like.
        let kind = if scopes.is_some() { CredentialKind::ClassicToken } else { self.kind() };
        let accepted = names(&headers, "x-accepted-oauth-scopes").unwrap_or_default();
        let news = holder.news();
        Examination {
            missing: missing(target, kind, &runners, &headers, scopes.as_deref(), &accepted),
            needed: needed(About::Runners(target), kind),
            target: target.clone(),
            credential: self.credential(target),
            kind,
            runners,
            scopes,
            report: news.report,
            clock_ahead_ms: news.clock_ahead_ms,
        }
    }

    async fn count_runners(&self, holder: &Holder, target: &Target, headers: &mut HeaderMap) -> Result<u64, Failure> {
        let about = About::Runners(target);
        let session = self.session(holder, about).await?;
        let request = Request {
            method: Method::GET,
            url: page_url(&self.url(&runners_path(target)), 1),
            about,
            page: Some(1),
            expected: "a list of runners",
        };
        let answer = self.send(holder, &session, &request, None).await.map_err(|setback| setback.failure)?;
        headers.clone_from(&answer.headers);
        let judged = self.judge(holder, &session, &request, None, &answer, wire::runner_page);
        let page = judged.map_err(|setback| setback.failure)?.content;
        Ok(page.map_or(0, |page| page.total_count.unwrap_or(page.runners.len() as u64)))
    }
}

fn missing(
    target: &Target,
    kind: CredentialKind,
    runners: &Result<u64, Failure>,
    headers: &HeaderMap,
    scopes: Option<&[String]>,
    accepted: &[String],
) -> Option<String> {
    let fault = runners.as_ref().err()?.fault;
    // Single sign-on is no permission, and its failure says what to do.
    if text(headers, "x-github-sso").is_some() {
        return None;
    }
    let lacks_scope =
        !accepted.is_empty() && scopes.is_some_and(|scopes| !scopes.iter().any(|scope| accepted.contains(scope)));
    // To a classic token without the scope GitHub answers 404, as if there were no such target.
    let is_missing = fault == Fault::Forbidden || (fault == Fault::NotFound && lacks_scope);
    is_missing.then(|| needed(About::Runners(target), kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_permission_is_told_where_github_tells_it() {
        let target: Target = "orgs/acme".parse().unwrap();
        let kind = CredentialKind::ClassicToken;
        let missing = |fault, scopes: &[&str], accepted: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
            let (scopes, accepted) = (owned(scopes), owned(accepted));
            let runners = Err(Failure::new(fault, "x"));
            missing(&target, kind, &runners, &HeaderMap::new(), Some(&scopes), &accepted)
        };
        let needs = Some("the scope `admin:org`".to_owned());
        assert_eq!(missing(Fault::Forbidden, &[], &[]), needs);
        assert_eq!(missing(Fault::NotFound, &["repo"], &["admin:org", "manage_runners:org"]), needs);
        assert_eq!(missing(Fault::NotFound, &["manage_runners:org"], &["admin:org", "manage_runners:org"]), None);
        assert_eq!(missing(Fault::NotFound, &["repo"], &[]), None);
        assert_eq!(missing(Fault::Service, &["repo"], &["admin:org"]), None);
    }
}
