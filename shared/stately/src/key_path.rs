//! Key paths: `/namespace-ID/namespace-ID…`, the key of an item.

use std::fmt;

/// A key path or a prefix of one. The first segment is the group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyPath(String);

impl KeyPath {
    /// An empty path.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a segment with a text as its ID, escaped: `%` as `%%`, `/` as `%/`.
    #[must_use]
    pub fn text(mut self, namespace: &str, id: &str) -> Self {
        self.push(namespace);
        self.0.push('-');
        for c in id.chars() {
            if matches!(c, '%' | '/') {
                self.0.push('%');
            }
            self.0.push(c);
        }
        self
    }

    /// Adds a segment with a number as its ID.
    #[must_use]
    pub fn number(mut self, namespace: &str, id: u64) -> Self {
        self.push(namespace);
        self.0.push('-');
        self.0.push_str(&id.to_string());
        self
    }

    /// Adds a last segment without an ID, for the only item of its kind.
    #[must_use]
    pub fn only(mut self, namespace: &str) -> Self {
        self.push(namespace);
        self
    }

    /// Adds a segment without its ID: the prefix of every ID in a namespace.
    #[must_use]
    pub fn any(mut self, namespace: &str) -> Self {
        self.push(namespace);
        self.0.push('-');
        self
    }

    /// The path as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn push(&mut self, namespace: &str) {
        self.0.push('/');
        self.0.push_str(namespace);
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Splits a path into its segments, as a reader has to.
    fn segments(path: &KeyPath) -> Vec<(String, String)> {
        let mut segments = Vec::new();
        let mut chars = path.as_str().chars();
        let mut segment = String::new();
        assert_eq!(chars.next(), Some('/'));
        while let Some(c) = chars.next() {
            match c {
                '/' => segments.push(std::mem::take(&mut segment)),
                '%' => segment.push(chars.next().expect("an escape has two characters")),
                c => segment.push(c),
            }
        }
        segments.push(segment);
        let apart = |segment: String| segment.split_once('-').map(|(a, b)| (a.to_owned(), b.to_owned()));
        segments.into_iter().map(|segment| apart(segment).expect("a segment has an ID")).collect()
    }

    #[test]
    fn ids_are_escaped_as_the_official_clients_do() {
        let path = KeyPath::new().text("repo", "acme/web").number("runner", 7).number("outage", 42);
        assert_eq!(path.as_str(), "/repo-acme%/web/runner-7/outage-42");
        assert_eq!(KeyPath::new().text("repo", "100%/a").any("change").as_str(), "/repo-100%%%/a/change-");
        assert_eq!(KeyPath::new().text("fleet", "monitor").only("cursor").as_str(), "/fleet-monitor/cursor");
    }

    proptest! {
        #[test]
        fn different_ids_never_share_a_key(first in ".*", second in "[%/a-]*", number: u64) {
            let path = KeyPath::new().text("repo", &first).text("more", &second).number("runner", number);
            let expected = [("repo", first), ("more", second), ("runner", number.to_string())];
            prop_assert_eq!(segments(&path), expected.map(|(namespace, id)| (namespace.to_owned(), id)).to_vec());
        }

        #[test]
        fn two_ids_never_have_the_same_path(first in "[%/a-]{0,6}", second in "[%/a-]{0,6}") {
            let path = |id: &str| KeyPath::new().text("repo", id).any("change");
            prop_assert_eq!(first == second, path(&first) == path(&second));
        }
    }
}
