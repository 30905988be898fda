//! A look at one target for whoever sets the monitor up: does the credential see it, and if not, what is missing.

use monitor_domain::observation::{CredentialReport, Failure};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::Target;
use monitor_pipeline::ports::RunnerSource;
use reqwest::Method;

use crate::about::{About, CredentialKind, needed};
use crate::client::GitHub;
use crate::credential::Holder;
use crate::headers::names;
use crate::list::{page_url, runners_path};
use crate::refusal::missing_permission;
use crate::transfer::{Answer, Request};
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
        let mut seen = None;
        let runners = self.count_runners(&holder, target, &mut seen).await;

        let scopes = seen.as_ref().and_then(|answer| names(&answer.headers, "x-oauth-scopes"));
        // Only classic tokens have scopes, whatever they look like.
        let kind = if scopes.is_some() { CredentialKind::ClassicToken } else { self.kind() };
        let missing = seen.filter(|_| runners.is_err()).and_then(|answer| {
            let message = wire::error(&answer.body)?.message;
            missing_permission(answer.status, &answer.headers, &message, About::Runners(target), kind)
        });
        let news = holder.news();
        Examination {
            missing,
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

    async fn count_runners(&self, holder: &Holder, target: &Target, seen: &mut Option<Answer>) -> Result<u64, Failure> {
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
        let judged = self.judge(holder, &session, &request, None, &answer, wire::runner_page);
        *seen = Some(answer);
        let page = judged.map_err(|setback| setback.failure)?.content;
        Ok(page.map_or(0, |page| page.total_count.unwrap_or(page.runners.len() as u64)))
    }
}
