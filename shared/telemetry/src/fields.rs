//! The names of the fields of log events, so that a search finds every event of a kind. docs/LOGGING.md lists them.

macro_rules! fields {
    ($($constant:ident = $name:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: &str = $name;
        )*

        /// All fields, each with its meaning, in the order of the documentation.
        pub const ALL: &[(&str, &str)] = &[$(($constant, $meaning)),*];
    };
}

fields! {
    STAGE = "stage", "The stage at work: `schedule`, `check`, `notify` or `slack`.";
    REQUEST_ID = "request_id", "The invocation of a Lambda: the request id that AWS gave it.";
    MESSAGE_ID = "message_id", "A message of a queue: the id that the queue gave it.";
    TARGET_ID = "target_id", "The target: `owner/name`, `orgs/name` or `enterprises/name`.";
    SUBJECT = "subject", "The owner of the history concerned: a target, a credential or the monitor itself.";
    CREDENTIAL = "credential", "The credential: `token`, or `app:` and the account.";
    EXPIRES_AT = "expires_at", "When the token expires, UTC.";
    NEW_NAME = "new_name", "The name that GitHub redirects to.";
    ACCOUNT = "account", "The account whose repositories are looked up.";
    REVISION = "revision", "The committed revision of the subject.";
    RUNNER = "runner", "The runner: its id at GitHub.";
    OUTAGE_ID = "outage_id", "The outage.";
    NOTIFICATION = "notification", "The number of the notification within its subject.";
    ATTEMPT = "attempt", "The number of the attempt, from 1.";
    CHANNEL = "channel", "The channel that the policy names; absent for the default channel.";
    DISPOSITION = "disposition", "What happens to the message: `done`, `retry` or `dead-letter`.";
    REASON = "reason", "Why, in a sentence.";
    FAILURE = "failure", "The kind of a failed answer from GitHub.";
    PLACE = "place", "Where in the source a stage panicked.";
    ERROR = "error", "An error's text, without addresses and secrets.";
    UNTIL = "until", "When it is retried, or when a mute ends, UTC.";
    ELAPSED_MS = "elapsed_ms", "How long it took, in milliseconds.";
    REQUESTS = "requests", "How many requests it took.";
    ADDRESS = "address", "The address at which requests from Slack are answered.";
    BODY_BYTES = "body_bytes", "The size of a message that cannot be read, in bytes.";
    COUNT = "count", "The number of requests refused or dropped since the last line with this reason.";
    SIGNAL = "signal", "The signal that stops the program.";
    BY = "by", "Who muted, unmuted or acknowledged: their id in Slack.";
    BY_NAME = "by_name", "Their name, as Slack sends it.";
    SCOPE = "scope", "What was muted or unmuted.";
    QUOTA_REMAINING = "quota_remaining", "Requests left to the credential in this hour, as GitHub last reported.";
    TARGETS = "targets", "How many targets the credential sees.";
    JOBS = "jobs", "How many of them are checked at this tick.";
    EVERY_SECS = "every_secs", "The interval between two checks of one target at this rate, in seconds.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_documentation_shows_every_field() {
        let table: String = ALL.iter().map(|(name, meaning)| format!("| `{name}` | {meaning} |\n")).collect();
        let documentation = include_str!("../../../docs/LOGGING.md");
        let shown = documentation.split_once("| Field | What it says |\n|---|---|\n").map(|(_, rest)| rest);
        assert!(
            shown.is_some_and(|shown| shown.starts_with(&format!("{table}\n"))),
            "docs/LOGGING.md should show\n{table}"
        );
    }

    #[test]
    fn names_are_unique_and_differ_from_those_of_every_json_line() {
        let taken = ["timestamp", "level", "target", "message", "span"];
        let names: HashSet<&str> = ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(taken.iter().all(|name| !names.contains(name)));
    }
}
