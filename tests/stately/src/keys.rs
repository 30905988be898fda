//! Key paths such as `/repo-acme%/web/runner-7`, as segments of a namespace and an id.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::record::{Record, Value};

/// One segment. Numbers sort as numbers, and before texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Segment {
    pub(crate) namespace: String,
    pub(crate) id: Id,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Id {
    None,
    Number(u64),
    Text(String),
}

/// A key path. Paths sort segment by segment, a parent before its children.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeyPath(pub(crate) Vec<Segment>);

/// A key path of an item type, with fields as ids.
#[derive(Clone, Debug)]
pub(crate) struct Template(Vec<(String, Option<u32>)>);

impl KeyPath {
    /// Reads a whole key path.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fault = |what: &str| format!("`{text}` is not a key path: {what}");
        let parts = split(text).ok_or_else(|| fault("it must begin with a slash"))?;
        let segments: Vec<Segment> = parts.iter().map(|part| Segment::parse(part)).collect();
        let last = segments.len() - 1;
        for (place, segment) in segments.iter().enumerate() {
            let letters = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
            if segment.namespace.is_empty() || !segment.namespace.bytes().all(letters) {
                return Err(fault("a namespace must be letters and underscores"));
            }
            if segment.id == Id::None && (place == 0 || place < last) {
                return Err(fault("only the last segment may omit its id, and never the first"));
            }
            if segment.id == Id::Text(String::new()) {
                return Err(fault("an id must not be empty"));
            }
        }
        Ok(Self(segments))
    }

    /// The group: the first segment.
    pub(crate) fn group(&self) -> Self {
        Self(self.0.iter().take(1).cloned().collect())
    }

    /// All but the last segment.
    pub(crate) fn parent(&self) -> Self {
        Self(self.0[..self.0.len() - 1].to_vec())
    }
}

impl std::fmt::Display for KeyPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|segment| write!(f, "/{segment}"))
    }
}

impl std::fmt::Display for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.id {
            Id::None => f.write_str(&self.namespace),
            Id::Number(number) => write!(f, "{}-{number}", self.namespace),
            Id::Text(text) => write!(f, "{}-{}", self.namespace, escape(text)),
        }
    }
}

impl Segment {
    fn parse(part: &str) -> Self {
        match part.split_once('-') {
            None => Self { namespace: part.to_owned(), id: Id::None },
            Some((namespace, id)) => Self { namespace: namespace.to_owned(), id: Id::of(&unescape(id)) },
        }
    }
}

impl Id {
    /// An id; the canonical text of a number is that number.
    fn of(text: &str) -> Self {
        match text.parse::<u64>() {
            Ok(number) if number.to_string() == text => Id::Number(number),
            _ => Id::Text(text.to_owned()),
        }
    }
}

/// The keys that a list covers.
#[derive(Clone, Debug)]
pub(crate) struct Prefix {
    /// The whole segments.
    pub(crate) whole: KeyPath,
    /// The beginning of one more segment.
    pub(crate) partial: Option<String>,
}

/// How the last part of a prefix is read. It is not known which rule the service uses, so a client should only use
/// prefixes for which both give the same result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrefixRule {
    /// As text: `/repo-a/runner-7` covers runner 70 too.
    #[default]
    Text,
    /// By segment: `/repo-a/runner-7` covers only runner 7, `/repo-a/runner-` every runner and `/repo-a/run` none.
    Segments,
}

impl Prefix {
    /// Reads a prefix: at least one whole segment.
    pub(crate) fn parse(text: &str, rule: PrefixRule) -> Result<Self, String> {
        let mut parts =
            split(text).ok_or_else(|| format!("`{text}` is not a key path prefix: it must begin with a slash"))?;
        let partial = if parts.len() > 1 { parts.pop() } else { None };
        // A trailing slash covers everything below the last segment.
        let partial = partial.filter(|partial| !partial.is_empty());
        let mut whole = KeyPath::parse(&parts.iter().map(|part| format!("/{part}")).collect::<String>())?;
        match partial {
            Some(partial) if rule == PrefixRule::Segments && !partial.ends_with('-') => {
                whole.0.push(Segment::parse(&partial));
                Ok(Self { whole, partial: None })
            }
            partial => Ok(Self { whole, partial }),
        }
    }

    /// Whether a key starts with the whole segments, as every covered key does.
    pub(crate) fn encloses(&self, key: &KeyPath) -> bool {
        key.0.starts_with(&self.whole.0)
    }

    /// Whether a key is covered.
    pub(crate) fn covers(&self, key: &KeyPath) -> bool {
        let Some(partial) = &self.partial else { return self.encloses(key) };
        let next = key.0.get(self.whole.0.len());
        self.encloses(key) && next.is_some_and(|segment| segment.to_string().starts_with(partial.as_str()))
    }

    /// A key before every key that is covered.
    pub(crate) fn start(&self) -> KeyPath {
        let mut start = self.whole.clone();
        if let Some(partial) = &self.partial {
            let namespace = partial.split('-').next().unwrap_or_default().to_owned();
            start.0.push(Segment { namespace, id: Id::None });
        }
        start
    }
}

impl Template {
    /// Reads `/repo-:repoId/runner-:runnerId`.
    pub(crate) fn parse(text: &str, number_of: impl Fn(&str) -> Option<u32>) -> Result<Self, String> {
        let parts = text.strip_prefix('/').ok_or_else(|| format!("`{text}` must begin with a slash"))?.split('/');
        let segment = |part: &str| match part.split_once("-:") {
            None => Ok((part.to_owned(), None)),
            Some((namespace, field)) => {
                let number = number_of(field).ok_or_else(|| format!("`{text}` has an unknown field `{field}`"))?;
                Ok((namespace.to_owned(), Some(number)))
            }
        };
        Ok(Self(parts.map(segment).collect::<Result<_, String>>()?))
    }

    /// The numbers of the fields in it.
    pub(crate) fn fields(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter_map(|(_, field)| *field)
    }

    /// An item's key; an error if a field in it is empty and not in `may_be_zero`.
    pub(crate) fn fill(&self, record: &Record, may_be_zero: &[u32]) -> Result<KeyPath, String> {
        let segment = |(namespace, field): &(String, Option<u32>)| {
            let Some(number) = field else {
                return Ok(Segment { namespace: namespace.clone(), id: Id::None });
            };
            let value = record.get(number).and_then(|values| values.first());
            let id = match value {
                Some(Value::Text(text)) => Id::of(text),
                Some(Value::Uint(number)) => Id::Number(*number),
                Some(Value::Int(number)) => Id::of(&number.to_string()),
                Some(Value::Bytes(bytes)) => Id::Text(URL_SAFE_NO_PAD.encode(bytes)),
                None if may_be_zero.contains(number) => Id::Number(0),
                _ => return Err(format!("field {number}, which is part of a key path, is empty")),
            };
            Ok(Segment { namespace: namespace.clone(), id })
        };
        Ok(KeyPath(self.0.iter().map(segment).collect::<Result<_, String>>()?))
    }
}

/// The parts between unescaped slashes; escapes are kept.
fn split(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut letters = text.strip_prefix('/')?.chars();
    while let Some(letter) = letters.next() {
        let part = parts.last_mut()?;
        match letter {
            '/' => parts.push(String::new()),
            '%' => {
                part.push('%');
                part.extend(letters.next());
            }
            other => part.push(other),
        }
    }
    Some(parts)
}

fn escape(id: &str) -> String {
    id.replace('%', "%%").replace('/', "%/")
}

fn unescape(id: &str) -> String {
    let mut letters = id.chars();
    let mut plain = String::with_capacity(id.len());
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '%' { letters.next() } else { Some(letter) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(prefix: &str, key: &str, rule: PrefixRule) -> bool {
        Prefix::parse(prefix, rule).unwrap().covers(&KeyPath::parse(key).unwrap())
    }

    #[test]
    fn keys_are_read_and_written_with_escapes() {
        for text in ["/repo-acme%/web", "/repo-100%%/runner-7", "/a-b-c/d", "/a-007/b_c-x"] {
            assert_eq!(KeyPath::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(KeyPath::parse("/repo-acme%/web").unwrap().0[0].id, Id::Text("acme/web".to_owned()));
        for bad in ["", "repo-x", "/repo", "/repo-", "/repo-x//a", "/repo-x/a/b-1", "/re2po-x", "/repo-x/"] {
            assert!(KeyPath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_sort_as_numbers_and_parents_first() {
        let mut keys = ["/r-a/c-10", "/r-a/c-9", "/r-a/c-9/x", "/r-a", "/r-a/b-99", "/r-a/c"]
            .map(|text| KeyPath::parse(text).unwrap());
        keys.sort();
        let sorted: Vec<String> = keys.iter().map(KeyPath::to_string).collect();
        assert_eq!(sorted, ["/r-a", "/r-a/b-99", "/r-a/c", "/r-a/c-9", "/r-a/c-9/x", "/r-a/c-10"]);
    }

    #[test]
    fn a_prefix_covers_by_text_or_by_segment() {
        use PrefixRule::{Segments, Text};
        for rule in [Text, Segments] {
            assert!(covers("/r-a", "/r-a", rule) && covers("/r-a", "/r-a/c-1", rule));
            assert!(!covers("/r-a", "/r-ab", rule) && !covers("/r-a", "/r-ab/c-1", rule));
            assert!(covers("/r-a/c-", "/r-a/c-1/d-2", rule) && !covers("/r-a/c-", "/r-a/d-1", rule));
            assert!(covers("/r-a/c-1/", "/r-a/c-1/d-2", rule) && !covers("/r-a/c-1/", "/r-a/c-10/d-2", rule));
            assert!(covers("/r-a/c-7", "/r-a/c-7/d-1", rule));
        }
        assert!(covers("/r-a/c-7", "/r-a/c-70", Text) && !covers("/r-a/c-7", "/r-a/c-70", Segments));
        assert!(covers("/r-a/cu", "/r-a/cursor", Text) && !covers("/r-a/cu", "/r-a/cursor", Segments));
        assert!(Prefix::parse("/r", Text).is_err() && Prefix::parse("r-a", Text).is_err());
    }
}
