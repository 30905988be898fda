//! Where items are in the table, and the key ranges that the queries read.
//!
//! A subject is a partition. Numbers in sort keys have 20 digits, because DynamoDB sorts text by its bytes. The items of
//! a fleet are neighbours, so that one query reads them and nothing else.

use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::TargetId;
use monitor_pipeline::keys::{Key, Query};

/// The table's partition key.
pub const KEY: &str = "pk";
/// The table's sort key.
pub const SORT_KEY: &str = "sk";
/// The index of all targets. It contains keys only, so it is written once for each new target.
pub const TARGETS_INDEX: &str = "targets";
/// The index's partition key. Only targets have this attribute.
pub const TARGETS_INDEX_KEY: &str = "list";

/// The sort key of a target's own record.
const TARGET: &str = "fleet#target";

/// The primary key of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The partition key: the subject.
    pub partition: String,
    /// The sort key.
    pub sort: String,
}

impl Place {
    pub(crate) fn of(key: &Key) -> Self {
        let sort = match key {
            Key::Target(_) => TARGET.to_owned(),
            Key::Runner(_, runner) => format!("fleet#runner#{:020}", runner.0),
            Key::LastSeen(_, 0) => "fleet#last-seen".to_owned(),
            Key::LastSeen(_, slot) => format!("fleet#last-seen#{slot}"),
            Key::Cursor(_) => "fleet#cursor".to_owned(),
            Key::Outage(_, runner, outage) => format!("outage#{:020}#{:020}", runner.0, outage.0.0),
            Key::Acknowledgement(_, runner, outage) => {
                format!("acknowledgement#{:020}#{:020}", runner.0, outage.0.0)
            }
            Key::Change(_, revision) => change(*revision),
            Key::Claim(_, number) => notification(number.notification, number.attempt, "claim"),
            Key::Sent(_, number) => notification(number.notification, number.attempt, "sent"),
            Key::Credential(_) => "credential".to_owned(),
            Key::AccessToken(_) => "access-token".to_owned(),
            Key::Watchlist => "watchlist".to_owned(),
            Key::Mute(number) => format!("mute#{number:020}"),
            Key::Job(_, job) => format!("job#{:020}", job.0),
            Key::Marker(_, number) => format!("marker#{number:020}"),
        };
        Self { partition: key.subject().to_string(), sort }
    }

    /// The place of a target, by the key that the index has.
    pub(crate) fn of_target(partition: String) -> Self {
        Self { partition, sort: TARGET.to_owned() }
    }
}

fn change(revision: Revision) -> String {
    format!("change#{:020}", revision.0)
}

/// `sent` sorts after `claim`: the list goes backwards and returns the end of an attempt first.
fn notification(notification: u64, attempt: u32, kind: &str) -> String {
    format!("notification#{notification:020}#{attempt:010}#{kind}")
}

/// The rows of one partition that a query reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The partition.
    pub partition: String,
    /// The sort keys.
    pub sort: SortKeys,
    /// Whether the last row comes first.
    pub descending: bool,
    /// The maximum number of rows.
    pub limit: usize,
}

/// A condition on sort keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortKeys {
    /// Those that start with this text.
    StartingWith(String),
    /// Those from the first to the last, both included.
    Between(String, String),
}

impl SortKeys {
    /// Whether a sort key meets the condition.
    pub fn contains(&self, sort: &str) -> bool {
        match self {
            Self::StartingWith(prefix) => sort.starts_with(prefix),
            Self::Between(first, last) => (&**first..=&**last).contains(&sort),
        }
    }
}

impl Range {
    /// The rows of a query; `None` for the targets, which are in every partition.
    pub(crate) fn of(query: &Query) -> Option<Self> {
        let of_target = |target: &TargetId, prefix: String| Self::new(target.to_string(), prefix);
        Some(match query {
            Query::Fleet(target) => of_target(target, "fleet#".to_owned()),
            Query::Changes { subject, after, limit } => {
                let after = Revision(after.0.saturating_add(1));
                let sort = SortKeys::Between(change(after), change(Revision(u64::MAX)));
                Self { partition: subject.to_string(), sort, descending: false, limit: *limit }
            }
            Query::Notifications { subject, limit } => {
                Self { descending: true, limit: *limit, ..Self::new(subject.to_string(), "notification#".to_owned()) }
            }
            Query::Outages { target, runner: None } => of_target(target, "outage#".to_owned()),
            Query::Outages { target, runner: Some(runner) } => of_target(target, format!("outage#{:020}#", runner.0)),
            Query::Jobs { target } => of_target(target, "job#".to_owned()),
            Query::Mutes => Self::new(Subject::Monitor.to_string(), "mute#".to_owned()),
            Query::Targets => return None,
        })
    }

    fn new(partition: String, prefix: String) -> Self {
        Self { partition, sort: SortKeys::StartingWith(prefix), descending: false, limit: usize::MAX }
    }
}
