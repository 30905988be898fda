//! Probes one target during setup: whether the credential can see it, and which permission it lacks.

use std::collections::BTreeSet;

use monitor_domain::observation::{CredentialReport, Failure};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::Target;
use reqwest::Method;

use crate::credential::CredentialState;
use crate::endpoint::{CredentialKind, Endpoint, needed};
use crate::exchange::interpret;
use crate::headers::names;
use crate::list::{page_url, runners_path};
use crate::refusal::missing_permission;
use crate::request::{Answer, Request};
use crate::requester::Requester;
use crate::wire;

/// The result of probing a target.
#[derive(Clone, Debug)]
pub struct ProbeReport {
    /// The probed target.
    pub target: Target,
    /// The credential that was used.
    pub credential: CredentialId,
    /// The kind of the credential.
    pub kind: CredentialKind,
    /// The number of runners that it can see, or why it can see none.
    pub runners: Result<u64, Failure>,
    /// The versions of the runners on the first page of the list.
    pub versions: BTreeSet<String>,
    /// The missing permission, as text that follows "needs"; `None` if none is missing or GitHub does not say.
    pub missing: Option<String>,
    /// The permission that is needed to see the target, as text that follows "needs".
    pub needed: String,
    /// The scopes of a classic token.
    pub scopes: Option<Vec<String>>,
    /// The remaining quota and the token's expiry, as far as GitHub reported them.
    pub report: CredentialReport,
    /// This machine's clock minus GitHub's, in milliseconds, accurate to about a second. GitHub refuses an App whose
    /// clock is ahead by a minute or more.
    pub clock_ahead_ms: Option<i64>,
}

/// Requests a target's runners once and returns everything that the answer says. It never retries.
pub(crate) async fn probe(requester: &Requester, target: &Target) -> ProbeReport {
    let credential_state = requester.credential_state(&requester.credential_of(target.owner()));
    let mut seen = None;
    let runners = first_page(requester, &credential_state, target, &mut seen).await;

    let scopes = seen.as_ref().and_then(|answer| names(&answer.headers, "x-oauth-scopes"));
    // Only classic tokens have scopes, whatever their format.
    let kind = if scopes.is_some() { CredentialKind::ClassicToken } else { requester.transport.kind };
    let missing = seen.filter(|_| runners.is_err()).and_then(|answer| {
        let message = wire::error(&answer.body)?.message;
        missing_permission(answer.status, &answer.headers, &message, Endpoint::Runners(target), kind)
    });
    let latest_report = credential_state.latest_report();
    ProbeReport {
        missing,
        needed: needed(Endpoint::Runners(target), kind),
        target: target.clone(),
        credential: requester.credential_of(target.owner()),
        kind,
        versions: runners
            .iter()
            .flatten()
            .flat_map(|page| &page.runners)
            .filter_map(|one| one.version.clone())
            .collect(),
        runners: runners.map(|page| page.map_or(0, |page| page.total_count.unwrap_or(page.runners.len() as u64))),
        scopes,
        report: latest_report.report,
        clock_ahead_ms: latest_report.clock_ahead_ms,
    }
}

/// The first page of the list; `None` for a 304.
async fn first_page(
    requester: &Requester,
    credential_state: &CredentialState,
    target: &Target,
    seen: &mut Option<Answer>,
) -> Result<Option<wire::RunnerPage>, Failure> {
    let endpoint = Endpoint::Runners(target);
    let bearer_token = requester.bearer_token(credential_state, endpoint).await?;
    let request = Request {
        method: Method::GET,
        url: page_url(&requester.transport.url(&runners_path(target)), 1),
        endpoint,
        page: Some(1),
        expected: "a list of runners",
    };
    let answer = requester
        .transport
        .send(credential_state, &bearer_token, &request, None)
        .await
        .map_err(|request_error| request_error.failure)?;
    let interpreted =
        interpret(&requester.transport, credential_state, &bearer_token, &request, None, &answer, wire::runner_page);
    *seen = Some(answer);
    Ok(interpreted.map_err(|request_error| request_error.failure)?.content)
}
