//! Properties of every text for people.

use monitor_domain::time::Timestamp;

/// A placeholder for a secret: inputs contain it, texts must not.
pub(crate) const SECRET: &str = "hunter2hunter2";

/// A text about bad input must fit in a log line and contain no secret.
pub(crate) fn assert_bearable(text: &str, longest: usize) {
    assert!(!text.is_empty(), "an error without text");
    assert!(text.len() <= longest, "a text of {} bytes: {}", text.len(), text.chars().take(300).collect::<String>());
    assert!(!text.chars().any(char::is_control), "a text contains control characters: {text:?}");
    assert!(!text.contains(SECRET), "a text contains a secret: {text}");
}

/// A time from an input can be stored and read again.
pub(crate) fn assert_storable(moment: Timestamp) {
    assert_eq!(moment.to_string().parse::<Timestamp>(), Ok(moment), "a time is not read as written");
}

/// The parts of an input, between lines of five equal signs.
pub(crate) fn parts(input: &[u8]) -> Vec<&[u8]> {
    const BETWEEN: &[u8] = b"\n=====\n";
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        parts.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    parts.push(rest);
    parts
}
