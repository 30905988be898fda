//! A target's runners, page by page.

use std::collections::HashSet;

use futures_util::future::try_join_all;
use monitor_domain::observation::{Failure, Fault, Lookup, ObservedPage, PageTag};
use monitor_domain::quote::quote;
use monitor_domain::runner::RunnerId;
use monitor_domain::target::{Target, TargetKind};
use monitor_pipeline::ports::{Incomplete, Shortfall};
use reqwest::{Method, Url};

use crate::credential::CredentialState;
use crate::endpoint::Endpoint;
use crate::request::Request;
use crate::requester::Requester;
use crate::wire;

/// Runners per page: GitHub's maximum.
pub(crate) const PER_PAGE: usize = 100;

/// Pages of one list that are requested at the same time: a list of a hundred pages must not block all others.
pub(crate) const AT_ONCE: u32 = 10;

/// A list that was read to its end.
pub(crate) struct ReadList {
    pub(crate) pages: Vec<ObservedPage>,
    pub(crate) shortfall: Option<Shortfall>,
    pub(crate) moved_to: Option<Target>,
}

/// A page and what it says about those after it.
struct Page {
    content: ObservedPage,
    /// Whether the next page has to be requested to know whether this is the end.
    goes_on: bool,
    /// The number of the last page, if it is given.
    last: Option<u32>,
    /// The total number of runners, if it is given.
    total: Option<u64>,
    /// Names of runners whose id cannot be stored.
    refused: Vec<String>,
    /// The address that answered.
    url: Url,
}

impl Page {
    fn runner_ids(&self) -> &[RunnerId] {
        match &self.content {
            ObservedPage::Unchanged(tag) | ObservedPage::Fresh { tag, .. } => &tag.runner_ids,
        }
    }

    fn runner_count(&self) -> usize {
        self.runner_ids().len()
    }

    fn is_fresh(&self) -> bool {
        matches!(self.content, ObservedPage::Fresh { .. })
    }
}

/// Every page in order. Page 1 says how many pages there are; if it is unchanged, the known pages are requested.
/// Several are requested at the same time. A page without any new runner is the end, regardless of its links.
pub(crate) async fn pages(
    requester: &Requester,
    credential_state: &CredentialState,
    target: &Target,
    known: &[PageTag],
) -> Result<ReadList, Incomplete> {
    let start = requester.transport.url(&runners_path(target));
    let nothing = |failure| Incomplete { partial: false, failure };
    let partial = |failure| Incomplete { partial: true, failure };

    let first = page(requester, credential_state, target, &start, 1, known).await.map_err(nothing)?;
    let moved_to = moved_to(requester, credential_state, target, &start, &first.url).await;
    let start = if start.path() == first.url.path() { start } else { first.url.clone() };
    let known_end = if first.is_fresh() { 1 } else { page_number(known.len()) };
    let end = first.last.unwrap_or(1).max(known_end);
    let mut listed: HashSet<RunnerId> = first.runner_ids().iter().copied().collect();
    let mut pages = vec![first];
    loop {
        let read = page_number(pages.len());
        let is_short = total(&pages).is_some_and(|total| (listed.len() as u64) < total);
        let next = match pages.last() {
            _ if read < end => end.min(read + AT_ONCE),
            Some(last) if last.goes_on || is_short => read + 1,
            _ => break,
        };
        check_page_number(requester, target, next).map_err(partial)?;
        let wave = (read + 1..=next).map(|number| page(requester, credential_state, target, &start, number, known));
        let mut is_end = false;
        for page in try_join_all(wave).await.map_err(partial)? {
            let before = listed.len();
            listed.extend(page.runner_ids());
            let brings_nothing = listed.len() == before && page.refused.is_empty();
            // A page that only repeats earlier ones is not a page of the list.
            if !(brings_nothing && page.is_fresh() && page.runner_count() > 0) {
                pages.push(page);
            } else if page.goes_on && total(&pages).is_none() {
                let failure = format!("{target}: the list of runners never ends: page {next} repeats earlier pages");
                return Err(partial(Failure::new(Fault::BrokenAnswer, failure)));
            }
            is_end |= brings_nothing;
        }
        if is_end {
            break;
        }
    }
    let shortfall = shortfall(target, &pages, listed.len() as u64);
    drop_empty_end(&mut pages);
    Ok(ReadList { pages: pages.into_iter().map(|page| page.content).collect(), shortfall, moved_to })
}

/// The current name of a repository, if another address than the requested one answered.
async fn moved_to(
    requester: &Requester,
    credential_state: &CredentialState,
    target: &Target,
    asked: &Url,
    answered: &Url,
) -> Option<Target> {
    if asked.path() == answered.path() {
        return None;
    }
    if let Some(known) = requester.renamed(target, answered) {
        return Some(known);
    }
    let mut url = answered.clone();
    url.set_path(answered.path().strip_suffix("/actions/runners")?);
    url.set_query(None);
    let request =
        Request { method: Method::GET, url, endpoint: Endpoint::Runners(target), page: None, expected: "a repository" };
    let named = match requester.ask(credential_state, &request, None, wire::repository).await {
        Ok(reply) => Target::repository(&reply.content?.full_name).ok()?,
        Err(failure) => {
            tracing::warn!(%target, %failure, "the target has been renamed: GitHub redirects, and the new name is unknown");
            return None;
        }
    };
    tracing::warn!(%target, new_name = %named, "the target has been renamed: monitor it by its new name");
    requester.remember_renamed(target, answered, &named);
    Some(named)
}

async fn page(
    requester: &Requester,
    credential_state: &CredentialState,
    target: &Target,
    start: &Url,
    number: u32,
    known: &[PageTag],
) -> Result<Page, Failure> {
    let known = known.get(number as usize - 1);
    let request = Request {
        method: Method::GET,
        url: page_url(start, number),
        endpoint: Endpoint::Runners(target),
        page: Some(number),
        expected: "a list of runners",
    };
    let reply = requester.ask(credential_state, &request, known, wire::runner_page).await?;
    let Some(read) = reply.content else {
        // A 304 answers a request with an ETag, and only a known page has one.
        let tag = known.cloned().ok_or_else(|| contradiction(&request, "a 304 for an unknown page"))?;
        // A full, unchanged page may have got another page after it. The links of a 304 can say so, because they
        // are not covered by its ETag (https://github.com/app-sre/github-mirror/pull/113), but need not.
        let goes_on = reply.links.next || tag.runner_ids.len() == PER_PAGE;
        let content = ObservedPage::Unchanged(tag);
        let (last, url) = (reply.links.last, reply.url);
        return Ok(Page { content, goes_on, last, total: None, refused: Vec::new(), url });
    };
    let total = read.total_count.unwrap_or(0);
    if number == 1 && read.runners.is_empty() && read.refused.is_empty() && total > 0 {
        return Err(contradiction(&request, &format!("none, although it counts {total}")));
    }
    let tag = PageTag {
        etag: reply.etag,
        given_to: reply.given_to.to_string(),
        runner_ids: read.runners.iter().map(|runner| runner.id).collect(),
    };
    // Without an ETag the page is read in full again: a 304 would hide the refused runners.
    let tag = if read.refused.is_empty() { tag } else { PageTag { etag: None, ..tag } };
    let content = ObservedPage::Fresh { tag, runners: read.runners };
    let (goes_on, last) = (reply.links.next, reply.links.last);
    Ok(Page { content, goes_on, last, total: read.total_count, refused: read.refused, url: reply.url })
}

/// One runner by its id.
pub(crate) async fn lookup(
    requester: &Requester,
    credential_state: &CredentialState,
    target: &Target,
    id: RunnerId,
) -> Result<Lookup, Failure> {
    let request = Request {
        method: Method::GET,
        url: requester.transport.url(&format!("{}/{id}", runners_path(target))),
        endpoint: Endpoint::Runner(target, id),
        page: None,
        expected: "a runner",
    };
    match requester.ask(credential_state, &request, None, wire::runner).await {
        Ok(reply) => match reply.content {
            Some(runner) if runner.id == id => Ok(Lookup::Found(runner)),
            Some(other) => Err(contradiction(&request, &format!("runner {}", other.id))),
            None => Err(contradiction(&request, "a 304 to a request without an ETag")),
        },
        Err(failure) if failure.fault == Fault::NotFound => Ok(Lookup::NotFound),
        Err(failure) => Err(failure),
    }
}

fn check_page_number(requester: &Requester, target: &Target, number: u32) -> Result<(), Failure> {
    let max_pages = requester.transport.settings.max_pages;
    if number <= max_pages {
        return Ok(());
    }
    let runners = max_pages as usize * PER_PAGE;
    let detail =
        format!("{target} has more than {max_pages} pages of runners ({runners} runners), the most that are read");
    Err(Failure::new(Fault::BrokenAnswer, detail))
}

/// The total number of runners, according to the pages that were read in full. Runners may come and go while the pages
/// are read, so the smallest number applies.
fn total(pages: &[Page]) -> Option<u64> {
    pages.iter().filter_map(|page| page.total).min()
}

/// The runners that are missing from the pages of a list.
fn shortfall(target: &Target, pages: &[Page], listed: u64) -> Option<Shortfall> {
    let refused: Vec<String> =
        pages.iter().flat_map(|page| &page.refused).map(|name| format!("`{}`", quote(name, 64))).collect();
    let missing = total(pages).unwrap_or(0).saturating_sub(listed).max(refused.len() as u64);
    if missing == 0 {
        return None;
    }
    let detail = match &refused[..] {
        [] => {
            format!("{target}: the list is incomplete: GitHub counts {} runners and lists {listed}", listed + missing)
        }
        [first, rest @ ..] => {
            let others = if rest.is_empty() { String::new() } else { format!(" and {} others", rest.len()) };
            format!(
                "{target}: runner {first}{others} cannot be monitored: the id is larger than {}",
                wire::MAX_RUNNER_ID
            )
        }
    };
    Some(Shortfall { missing, failure: Failure::new(Fault::Incomplete, detail) })
}

/// The path of a target's runners below the API's address.
pub(crate) fn runners_path(target: &Target) -> String {
    match target.kind() {
        TargetKind::Repository => format!("/repos/{target}/actions/runners"),
        TargetKind::Organization | TargetKind::Enterprise | TargetKind::Pools => format!("/{target}/actions/runners"),
    }
}

/// The address of one page of a list.
pub(crate) fn page_url(start: &Url, number: u32) -> Url {
    let mut url = start.clone();
    url.set_query(Some(&format!("per_page={PER_PAGE}&page={number}")));
    url
}

pub(crate) fn page_number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn contradiction(request: &Request<'_>, got: &str) -> Failure {
    Failure::new(Fault::BrokenAnswer, format!("{}: expected {}, got {got}", request.place(), request.expected))
}

/// Drops empty pages at the end, which remain when a list has become shorter. An empty page after a full one is kept:
/// its ETag makes it free the next time.
fn drop_empty_end(pages: &mut Vec<Page>) {
    while let [.., before, last] = pages.as_slice()
        && last.is_fresh()
        && last.runner_count() == 0
        && before.runner_count() < PER_PAGE
    {
        pages.pop();
    }
}
