//! The runner groups of an organization or enterprise.

use monitor_domain::observation::Failure;
use monitor_domain::target::Target;
use reqwest::Method;
use serde::Deserialize;

use crate::credential::CredentialState;
use crate::endpoint::Endpoint;
use crate::list::{page_url, runners_path};
use crate::request::Request;
use crate::requester::Requester;
use crate::wire;

/// The most pages of a hundred groups that are read.
const MAX_PAGES: u32 = 5;
/// How much of a name is stored, in characters.
const MAX_NAME: usize = 100;

#[derive(Deserialize)]
struct WireGroups {
    runner_groups: Vec<WireGroup>,
}

#[derive(Deserialize)]
struct WireGroup {
    id: u64,
    name: String,
}

/// The number and the name of each of a target's groups:
/// <https://docs.github.com/en/rest/actions/self-hosted-runner-groups>
pub(crate) async fn runner_groups(
    requester: &Requester,
    credential_state: &CredentialState,
    target: &Target,
) -> Result<Vec<(u64, String)>, Failure> {
    let path = runners_path(target).replace("/actions/runners", "/actions/runner-groups");
    let mut names = Vec::new();
    for number in 1..=MAX_PAGES {
        let request = Request {
            method: Method::GET,
            url: page_url(&requester.transport.url(&path), number),
            endpoint: Endpoint::Groups(target),
            page: Some(number),
            expected: "a list of runner groups",
        };
        let reply = requester.ask(credential_state, &request, None, |body| wire::decode::<WireGroups>(body)).await?;
        let groups = reply.content.map(|page| page.runner_groups).unwrap_or_default();
        names.extend(groups.into_iter().map(|group| (group.id, group.name.chars().take(MAX_NAME).collect())));
        if !reply.links.next {
            break;
        }
    }
    Ok(names)
}
