//! The bodies of the queues' messages.

use monitor_pipeline::messages::{CheckJob, StateChange};

use crate::text_checks::{assert_bearable, assert_storable};

const LONGEST: usize = 1_200;

/// A message that was read and written again means the same. An error fits in a line.
pub(crate) fn messages(input: &[u8]) {
    let body = String::from_utf8_lossy(input);
    match CheckJob::from_json(&body) {
        Ok(job) => {
            let again = CheckJob::from_json(&job.to_json()).unwrap();
            assert_eq!((again.target.as_str(), again.reason), (job.target.as_str(), job.reason));
            assert_eq!(again.requested_at, job.requested_at);
            job.requested_at.into_iter().for_each(assert_storable);
            assert!(again.target.id().as_str().len() <= 140, "a repoId is too long for a key");
        }
        Err(error) => assert_text(&error.to_string()),
    }
    match StateChange::from_json(&body) {
        Ok(message) => assert_eq!(StateChange::from_json(&message.to_json()), Ok(message)),
        Err(error) => assert_text(&error.to_string()),
    }
}

/// Messages contain no secrets, so an error may quote them: only its length matters.
fn assert_text(text: &str) {
    assert_bearable(&text.replace(crate::text_checks::SECRET, "…"), LONGEST);
}
