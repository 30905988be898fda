//! The repositories of an account.

use std::collections::{BTreeSet, HashSet};

use futures_util::future::try_join_all;
use monitor_domain::observation::{Failure, Fault};
use monitor_domain::target::Target;
use reqwest::Method;

use crate::credential::CredentialState;
use crate::endpoint::Endpoint;
use crate::headers::Links;
use crate::list::{AT_ONCE, page_url};
use crate::request::Request;
use crate::requester::Requester;
use crate::wire::{self, Repository};

/// The repositories of an organization, or else of a user, that are neither archived nor disabled; sorted.
pub(crate) async fn account_repositories(
    requester: &Requester,
    credential_state: &CredentialState,
    account: &str,
) -> Result<Vec<Target>, Failure> {
    if Target::organization(account).is_err() {
        return Err(Failure::new(Fault::NotFound, format!("`{account}` cannot be an account on GitHub")));
    }
    let listed = match all_repositories(requester, credential_state, account, "orgs").await {
        Err(failure) if failure.fault == Fault::NotFound => {
            all_repositories(requester, credential_state, account, "users").await
        }
        listed => listed,
    };
    let mut targets = BTreeSet::new();
    for repository in listed? {
        if repository.archived == Some(true) || repository.disabled == Some(true) {
            continue;
        }
        match Target::repository(&repository.full_name) {
            Ok(target) => drop(targets.insert(target)),
            // One odd name must not stop the monitoring of all others.
            Err(error) => tracing::warn!(%error, account, "GitHub lists a repository that cannot be monitored"),
        }
    }
    Ok(targets.into_iter().collect())
}

async fn all_repositories(
    requester: &Requester,
    credential_state: &CredentialState,
    account: &str,
    kind: &str,
) -> Result<Vec<Repository>, Failure> {
    let (mut listed, mut links) = repository_page(requester, credential_state, account, kind, 1).await?;
    let last = links.last.unwrap_or(1);
    let mut names: HashSet<String> = listed.iter().map(|repository| repository.full_name.clone()).collect();
    let mut read = 1;
    while read < last || links.next {
        let next = if read < last { last.min(read + AT_ONCE) } else { read + 1 };
        check_repository_pages(requester, account, next)?;
        let wave = (read + 1..=next).map(|number| repository_page(requester, credential_state, account, kind, number));
        let before = names.len();
        for (more, its_links) in try_join_all(wave).await? {
            names.extend(more.iter().map(|repository| repository.full_name.clone()));
            listed.extend(more);
            links = its_links;
        }
        read = next;
        if names.len() == before && links.next {
            let detail = format!("{account}: the list of repositories never ends: page {read} repeats earlier pages");
            return Err(Failure::new(Fault::BrokenAnswer, detail));
        }
    }
    Ok(listed)
}

async fn repository_page(
    requester: &Requester,
    credential_state: &CredentialState,
    account: &str,
    kind: &str,
    number: u32,
) -> Result<(Vec<Repository>, Links), Failure> {
    let request = Request {
        method: Method::GET,
        url: page_url(&requester.transport.url(&format!("/{kind}/{account}/repos")), number),
        endpoint: Endpoint::Repositories(account),
        page: Some(number),
        expected: "a list of repositories",
    };
    let reply = requester.ask(credential_state, &request, None, wire::repositories).await?;
    Ok((reply.content.unwrap_or_default(), reply.links))
}

fn check_repository_pages(requester: &Requester, account: &str, number: u32) -> Result<(), Failure> {
    let max_pages = requester.transport.settings.max_pages;
    if number <= max_pages {
        return Ok(());
    }
    let detail = format!("{account} has more than {max_pages} pages of repositories, the most that are read");
    Err(Failure::new(Fault::BrokenAnswer, detail))
}
