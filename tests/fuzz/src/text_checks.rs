//! What every text for people must be like, whatever it is about.

use monitor_domain::time::Timestamp;

/// Stands for a secret: inputs hold it, texts never do.
pub(crate) const SECRET: &str = "hunter2hunter2";

/// A text about bad input fits in a log line and repeats no secret.
pub(crate) fn assert_bearable(text: &str, longest: usize) {
    assert!(!text.is_empty(), "an error without words");
    assert!(text.len() <= longest, "a text of {} bytes: {}", text.len(), text.chars().take(300).collect::<String>());
    assert!(!text.chars().any(char::is_control), "control characters reach a log: {text:?}");
    assert!(!text.contains(SECRET), "a secret is told: {text}");
}

/// A moment that came from outside can be stored and read back.
pub(crate) fn assert_storable(moment: Timestamp) {
    assert_eq!(moment.to_string().parse::<Timestamp>(), Ok(moment), "a moment does not survive its text");
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
