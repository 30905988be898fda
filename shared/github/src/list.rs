//! A target's runners, page by page.

use futures_util::future::try_join_all;
use monitor_domain::observation::{Failure, Fault, Lookup, ObservedPage, PageTag};
use monitor_domain::runner::RunnerId;
use monitor_domain::target::{Target, TargetKind};
use monitor_pipeline::ports::Incomplete;
use reqwest::{Method, Url};

use crate::about::About;
use crate::client::GitHub;
use crate::credential::Holder;
use crate::transfer::Request;
use crate::wire;

/// Runners on a page: GitHub's maximum.
pub(crate) const PER_PAGE: usize = 100;

/// A page and what it tells of those after it.
struct Page {
    content: ObservedPage,
    /// Whether the next page has to be asked for to know that this is the end.
    goes_on: bool,
    /// The number of the last page, where it is told.
    last: Option<u32>,
    /// The address that answered.
    url: Url,
}

impl Page {
    fn runner_count(&self) -> usize {
        match &self.content {
            ObservedPage::Unchanged(tag) | ObservedPage::Fresh { tag, .. } => tag.runner_ids.len(),
        }
    }

    fn is_fresh(&self) -> bool {
        matches!(self.content, ObservedPage::Fresh { .. })
    }
}

impl GitHub {
    /// Every page in order. Page 1 tells how many there are, or is as it was, and then those that are known are asked for;
    /// all after page 1 at the same time.
    pub(crate) async fn pages(
        &self,
        holder: &Holder,
        target: &Target,
        known: &[PageTag],
    ) -> Result<Vec<ObservedPage>, Incomplete> {
        let start = self.url(&runners_path(target));
        let nothing = |failure| Incomplete { partial: false, failure };
        let partial = |failure| Incomplete { partial: true, failure };

        let first = self.page(holder, target, &start, 1, known).await.map_err(nothing)?;
        let start = self.moved(target, &start, &first.url);
        let known_end = if first.is_fresh() { 1 } else { page_number(known.len()) };
        let end = first.last.unwrap_or(1).max(known_end);
        let mut pages = vec![first];
        self.check_page_number(target, end).map_err(partial)?;
        let rest = (2..=end).map(|number| self.page(holder, target, &start, number, known));
        pages.extend(try_join_all(rest).await.map_err(partial)?);

        while pages.last().is_some_and(|page| page.goes_on) {
            let number = page_number(pages.len() + 1);
            self.check_page_number(target, number).map_err(partial)?;
            pages.push(self.page(holder, target, &start, number, known).await.map_err(partial)?);
        }
        drop_empty_end(&mut pages);
        Ok(pages.into_iter().map(|page| page.content).collect())
    }

    async fn page(
        &self,
        holder: &Holder,
        target: &Target,
        start: &Url,
        number: u32,
        known: &[PageTag],
    ) -> Result<Page, Failure> {
        let known = known.get(number as usize - 1);
        let request = Request {
            method: Method::GET,
            url: page_url(start, number),
            about: About::Runners(target),
            page: Some(number),
            expected: "a list of runners",
        };
        let reply = self.ask(holder, &request, known, wire::runner_page).await?;
        let Some(read) = reply.content else {
            // A 304 answers an ETag, and only a known page has one.
            let tag = known.cloned().ok_or_else(|| contradiction(&request, "a 304 for a page that is not known"))?;
            // A full page that stays the same may have got one after it. A 304 can tell so in its links, which are not part of
            // what its ETag stands for (https://github.com/app-sre/github-mirror/pull/113), and need not.
            let goes_on = reply.links.next || tag.runner_ids.len() == PER_PAGE;
            let content = ObservedPage::Unchanged(tag);
            return Ok(Page { content, goes_on, last: reply.links.last, url: reply.url });
        };
        let total = read.total_count.unwrap_or(0);
        if number == 1 && read.runners.is_empty() && total > 0 {
            return Err(contradiction(&request, &format!("none, though it counts {total}")));
        }
        let tag = PageTag {
            etag: reply.etag,
            given_to: reply.given_to.to_string(),
            runner_ids: read.runners.iter().map(|runner| runner.id).collect(),
        };
        let content = ObservedPage::Fresh { tag, runners: read.runners };
        Ok(Page { content, goes_on: reply.links.next, last: reply.links.last, url: reply.url })
    }

    /// One runner by its id.
    pub(crate) async fn lookup(&self, holder: &Holder, target: &Target, id: RunnerId) -> Result<Lookup, Failure> {
        let request = Request {
            method: Method::GET,
            url: self.url(&format!("{}/{id}", runners_path(target))),
            about: About::Runner(target, id),
            page: None,
            expected: "a runner",
        };
        match self.ask(holder, &request, None, wire::runner).await {
            Ok(reply) => match reply.content {
                Some(runner) if runner.id == id => Ok(Lookup::Found(runner)),
                Some(other) => Err(contradiction(&request, &format!("runner {}", other.id))),
                None => Err(contradiction(&request, "a 304 to a plain request")),
            },
            Err(failure) if failure.fault == Fault::NotFound => Ok(Lookup::NotFound),
            Err(failure) => Err(failure),
        }
    }

    fn check_page_number(&self, target: &Target, number: u32) -> Result<(), Failure> {
        let max_pages = self.settings.max_pages;
        if number <= max_pages {
            return Ok(());
        }
        let runners = max_pages as usize * PER_PAGE;
        let detail =
            format!("{target} has more than {max_pages} pages of runners ({runners} runners), which is not read");
        Err(Failure::new(Fault::BrokenAnswer, detail))
    }
}

/// The address of a target's runners below the API's.
pub(crate) fn runners_path(target: &Target) -> String {
    match target.kind() {
        TargetKind::Repository => format!("/repos/{target}/actions/runners"),
        TargetKind::Organization | TargetKind::Enterprise => format!("/{target}/actions/runners"),
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

/// Drops empty pages at the end, which are of a list that has become shorter. One that was asked for after a full page
/// stays: its ETag makes it free the next time.
fn drop_empty_end(pages: &mut Vec<Page>) {
    while let [.., before, last] = pages.as_slice()
        && last.is_fresh()
        && last.runner_count() == 0
        && before.runner_count() < PER_PAGE
    {
        pages.pop();
    }
}
