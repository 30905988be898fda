//! Pages of a list, and the `Link` header between them.

use crate::http::{Request, format_query};

/// GitHub's default page size.
const DEFAULT_PER_PAGE: usize = 30;
/// GitHub's largest page size; larger values are reduced to it.
const MAX_PER_PAGE: usize = 100;

/// The requested page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Counted from 1.
    pub(crate) number: usize,
    per_page: usize,
}

impl Page {
    /// Reads `page` and `per_page`; as at GitHub, a value that is not a number above 0 counts as absent.
    pub(crate) fn of(request: &Request) -> Self {
        let number = |name| {
            let given = request.parameter(name)?.parse::<usize>().ok()?;
            (given > 0).then_some(given)
        };
        Self {
            number: number("page").unwrap_or(1),
            per_page: number("per_page").unwrap_or(DEFAULT_PER_PAGE).min(MAX_PER_PAGE),
        }
    }

    /// The items on this page.
    pub(crate) fn cut<T>(self, items: &[T]) -> &[T] {
        let start = (self.number - 1).saturating_mul(self.per_page);
        let end = start.saturating_add(self.per_page).min(items.len());
        items.get(start..end).unwrap_or_default()
    }

    /// The `Link` header, or `None` if everything fits on page 1.
    ///
    /// Relations in GitHub's order: `prev`, `next`, `last`, `first`; each only if there is such a page.
    pub(crate) fn link(self, total: usize, url: &str, request: &Request) -> Option<String> {
        let last = total.div_ceil(self.per_page).max(1);
        let mut links = Vec::new();
        if self.number > 1 {
            links.push((self.number.min(last + 1) - 1, "prev"));
        }
        if self.number < last {
            links.push((self.number + 1, "next"));
        }
        if self.number != last {
            links.push((last, "last"));
        }
        if self.number > 1 {
            links.push((1, "first"));
        }
        let links: Vec<String> = links
            .into_iter()
            .map(|(page, relation)| {
                let mut query = request.query.clone();
                query.retain(|(name, _)| name != "page");
                query.push(("page".to_owned(), page.to_string()));
                format!("<{url}?{}>; rel=\"{relation}\"", format_query(&query))
            })
            .collect();
        (!links.is_empty()).then(|| links.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Page {
        Page::of(&Request::get(&format!("/x?{query}")))
    }

    fn relations(query: &str, total: usize) -> String {
        let link = page(query).link(total, "/x", &Request::get("/x"));
        let relation = |part: &str| part.split('"').nth(1).unwrap_or_default().to_owned();
        let parts: Vec<String> = link.unwrap_or_default().split(", ").map(relation).collect();
        parts.join(" ")
    }

    #[test]
    fn sizes_are_clamped_and_invalid_values_ignored() {
        let items: Vec<usize> = (0..250).collect();
        for (query, first, count) in [
            ("", 0, 30),
            ("per_page=100&page=3", 200, 50),
            ("per_page=1000", 0, 100),
            ("per_page=0&page=0", 0, 30),
            ("per_page=x&page=-1", 0, 30),
        ] {
            let cut = page(query).cut(&items);
            assert_eq!((cut[0], cut.len()), (first, count), "{query}");
        }
        assert!(page("page=99").cut(&items).is_empty());
        assert!(page("page=18446744073709551615").cut(&items).is_empty());
    }

    #[test]
    fn links_lead_only_to_existing_pages() {
        assert_eq!(relations("", 30), "");
        assert_eq!(relations("", 31), "next last");
        assert_eq!(relations("page=2", 61), "prev next last first");
        assert_eq!(relations("page=3", 61), "prev first");
        assert_eq!(relations("page=9", 61), "prev last first");
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let request = Request::get("/x?per_page=2&page=1&name=a%20b");
        let link = Page::of(&request).link(3, "https://h/x", &request);
        assert_eq!(
            link.as_deref(),
            Some(
                "<https://h/x?per_page=2&name=a%20b&page=2>; rel=\"next\", \
                 <https://h/x?per_page=2&name=a%20b&page=2>; rel=\"last\""
            )
        );
    }
}
