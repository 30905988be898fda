//! When GitHub stops giving jobs to a version of the runner.

use monitor_domain::observation::{Failure, Fault, PageTag};
use monitor_domain::target::Target;
use monitor_domain::versions::{VersionEnd, VersionRecord};
use monitor_pipeline::ports::VersionAnswer;
use reqwest::Method;

use crate::credential::CredentialState;
use crate::endpoint::Endpoint;
use crate::list::runners_path;
use crate::request::Request;
use crate::requester::Requester;
use crate::wire;

/// Asks GitHub about a version, with the ETag of the last answer. A 404 means that GitHub does not list the version:
/// <https://docs.github.com/en/rest/actions/self-hosted-runners>
pub(crate) async fn version_end(
    requester: &Requester,
    credential_state: &CredentialState,
    through: &Target,
    version: &str,
    known: Option<&VersionRecord>,
) -> Result<VersionAnswer, Failure> {
    let request = Request {
        method: Method::GET,
        url: requester.transport.url(&format!("{}/deprecations/{version}", runners_path(through))),
        endpoint: Endpoint::Version(through, version),
        page: None,
        expected: "the end of a version",
    };
    let tag = known.and_then(|known| known.tag.as_ref());
    let reply = match requester.ask(credential_state, &request, tag, wire::version_end).await {
        Ok(reply) => reply,
        Err(failure) if failure.fault == Fault::NotFound => {
            return Ok(VersionAnswer { end: VersionEnd::Unlisted, tag: None });
        }
        Err(failure) => return Err(failure),
    };
    let end = match (reply.content, known) {
        (Some(Some(at)), _) => VersionEnd::At { at },
        (Some(None), _) => VersionEnd::NoDate,
        // 304, which answers a request with the ETag of the last answer.
        (None, Some(known)) => known.end,
        (None, None) => VersionEnd::Unanswered,
    };
    let tag = reply.etag.map(|etag| PageTag {
        etag: Some(etag),
        given_to: reply.given_to.to_string(),
        runner_ids: Vec::new(),
    });
    Ok(VersionAnswer { end, tag })
}
