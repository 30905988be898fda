//! Every item type with its fields and their numbers: the only place with field numbers.
//!
//! They are the numbers in `schema/FIELDS.md`; a test compares them. StatelyDB assigns numbers at publish time, so the
//! canary verifies a published schema before it is trusted.

/// The schema version that these numbers belong to; sent with every request.
pub const SCHEMA_VERSION: u32 = 1;

/// The wire type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `string`
    Text,
    /// `repeated string`
    Texts,
    /// `bool`
    Flag,
    /// `uint64` or `uint32`, which are encoded alike.
    Number,
    /// `sint64`: milliseconds since 1970.
    Millis,
    /// `sint64`: seconds since 1970.
    Seconds,
    /// The enum `RunnerStatus`.
    Status,
}

/// A field of an item type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's number on the wire.
    pub number: u32,
    /// The field's name in the schema and in JSON.
    pub name: &'static str,
    /// The field's wire type.
    pub kind: Kind,
    /// Whether the service sets it, regardless of what is sent.
    pub by_service: bool,
}

/// An item type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemType {
    /// The type's name in the schema.
    pub name: &'static str,
    /// The type's fields, in order of their numbers.
    pub fields: &'static [Field],
}

impl ItemType {
    /// The type with this name, if this release knows it.
    pub fn named(name: &str) -> Option<&'static ItemType> {
        ALL.into_iter().find(|known| known.name == name)
    }

    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, by_service: false }
}

const fn by_service(number: u32, name: &'static str) -> Field {
    Field { number, name, kind: Kind::Millis, by_service: true }
}

use Kind::{Flag, Millis, Number, Seconds, Status, Text, Texts};

/// `Item::Target`
pub const REPOSITORY: ItemType = ItemType {
    name: "Repository",
    fields: &[
        field(1, "repoId", Text),
        field(2, "owner", Text),
        field(3, "name", Text),
        field(4, "displayName", Text),
        field(5, "isActive", Flag),
        field(6, "revision", Number),
        field(7, "lastNotifiable", Number),
        field(8, "watchedSince", Millis),
        field(9, "lastSyncedAt", Millis),
        field(10, "failingSince", Millis),
        field(11, "isUnreachable", Flag),
        field(12, "unfinished", Flag),
        field(13, "body", Text),
        by_service(14, "createdAt"),
        by_service(15, "updatedAt"),
    ],
};

/// `Item::Runner`
pub const RUNNER: ItemType = ItemType {
    name: "Runner",
    fields: &[
        field(1, "runnerId", Number),
        field(2, "repoId", Text),
        field(3, "name", Text),
        field(4, "status", Status),
        field(5, "os", Text),
        field(6, "labels", Texts),
        field(7, "lastSeenAt", Millis),
        field(8, "firstSeenAt", Millis),
        field(9, "statusSince", Millis),
        field(10, "currentId", Number),
        field(11, "busy", Flag),
        field(12, "ephemeral", Flag),
        field(13, "version", Text),
        field(14, "health", Text),
        field(15, "body", Text),
        by_service(16, "createdAt"),
        by_service(17, "updatedAt"),
    ],
};

/// `Item::Outage`
pub const OUTAGE_EVENT: ItemType = ItemType {
    name: "OutageEvent",
    fields: &[
        field(1, "outageId", Number),
        field(2, "repoId", Text),
        field(3, "runnerId", Number),
        field(4, "status", Status),
        field(5, "startedAt", Millis),
        field(6, "resolvedAt", Millis),
        field(7, "description", Text),
        field(8, "runnerName", Text),
        field(9, "confirmedAt", Millis),
        field(10, "ending", Text),
        field(11, "os", Text),
        field(12, "labels", Texts),
        field(13, "version", Text),
        field(14, "currentId", Number),
        field(15, "inJob", Flag),
        field(16, "body", Text),
        field(17, "expiresAt", Seconds),
        by_service(18, "createdAt"),
        by_service(19, "updatedAt"),
    ],
};

/// `Item::LastSeen`
pub const LAST_SEEN: ItemType = ItemType {
    name: "LastSeen",
    fields: &[
        field(1, "repoId", Text),
        field(2, "seenAt", Millis),
        field(3, "jobsSentAt", Millis),
        field(4, "nextTickAt", Millis),
        field(5, "slot", Number),
    ],
};

/// `Item::Cursor`
pub const CURSOR: ItemType = ItemType {
    name: "Cursor",
    fields: &[
        field(1, "repoId", Text),
        field(2, "notifiedThrough", Number),
        field(3, "nextAttemptAt", Millis),
        field(4, "recordedThrough", Number),
    ],
};

/// `Item::Credential`
pub const CREDENTIAL: ItemType = ItemType {
    name: "Credential",
    fields: &[
        field(1, "repoId", Text),
        field(2, "credentialId", Text),
        field(3, "revision", Number),
        field(4, "lastNotifiable", Number),
        field(5, "body", Text),
    ],
};

/// `Item::Watchlist`
pub const WATCHLIST: ItemType = ItemType {
    name: "Watchlist",
    fields: &[
        field(1, "repoId", Text),
        field(2, "revision", Number),
        field(3, "lastNotifiable", Number),
        field(4, "targetCount", Number),
        field(5, "body", Text),
    ],
};

/// `Item::Change`
pub const CHANGE: ItemType = ItemType {
    name: "Change",
    fields: &[
        field(1, "repoId", Text),
        field(2, "revision", Number),
        field(3, "nonce", Number),
        field(4, "decidedAt", Millis),
        field(5, "observedAt", Millis),
        field(6, "more", Flag),
        field(7, "notifiable", Flag),
        field(8, "body", Text),
        field(9, "expiresAt", Seconds),
    ],
};

/// `Item::Claim`
pub const CLAIM: ItemType = ItemType {
    name: "Claim",
    fields: &[
        field(1, "repoId", Text),
        field(2, "notification", Number),
        field(3, "attempt", Number),
        field(4, "nonce", Number),
        field(5, "after", Number),
        field(6, "through", Number),
        field(7, "claimedAt", Millis),
        field(8, "leaseUntil", Millis),
        field(9, "plainText", Flag),
        field(10, "body", Text),
        field(11, "expiresAt", Seconds),
    ],
};

/// `Item::Sent`
pub const SENT: ItemType = ItemType {
    name: "Sent",
    fields: &[
        field(1, "repoId", Text),
        field(2, "notification", Number),
        field(3, "attempt", Number),
        field(4, "through", Number),
        field(5, "endedAt", Millis),
        field(6, "ending", Text),
        field(7, "channel", Text),
        field(8, "ts", Text),
        field(9, "body", Text),
        field(10, "expiresAt", Seconds),
    ],
};

/// `Item::Mute`
pub const MUTE: ItemType = ItemType {
    name: "Mute",
    fields: &[
        field(1, "repoId", Text),
        field(2, "muteId", Number),
        field(3, "scope", Text),
        field(4, "since", Millis),
        field(5, "until", Millis),
        field(6, "reason", Text),
        field(7, "by", Text),
        field(8, "body", Text),
        field(9, "expiresAt", Seconds),
    ],
};

/// `Item::Acknowledgement`
pub const ACKNOWLEDGEMENT: ItemType = ItemType {
    name: "Acknowledgement",
    fields: &[
        field(1, "repoId", Text),
        field(2, "runnerId", Number),
        field(3, "outageId", Number),
        field(4, "acknowledgedAt", Millis),
        field(5, "by", Text),
        field(6, "body", Text),
        field(7, "expiresAt", Seconds),
    ],
};

/// `Item::Marker`
pub const MARKER: ItemType = ItemType {
    name: "Marker",
    fields: &[
        field(1, "repoId", Text),
        field(2, "markerId", Number),
        field(3, "nonce", Number),
        field(4, "markedAt", Millis),
        field(5, "body", Text),
        field(6, "expiresAt", Seconds),
    ],
};

/// `Item::AccessToken`
pub const ACCESS_TOKEN: ItemType = ItemType {
    name: "AccessToken",
    fields: &[
        field(1, "repoId", Text),
        field(2, "credentialId", Text),
        field(3, "endsAt", Millis),
        field(4, "body", Text),
        field(5, "expiresAt", Seconds),
    ],
};

/// `Item::Job`
pub const WORKFLOW_JOB: ItemType = ItemType {
    name: "WorkflowJob",
    fields: &[
        field(1, "repoId", Text),
        field(2, "jobId", Number),
        field(3, "repository", Text),
        field(4, "labels", Texts),
        field(5, "queuedAt", Millis),
        field(6, "body", Text),
        field(7, "expiresAt", Seconds),
    ],
};

/// Every item type, in the order of schema.ts.
pub const ALL: [&ItemType; 15] = [
    &REPOSITORY,
    &RUNNER,
    &OUTAGE_EVENT,
    &LAST_SEEN,
    &CURSOR,
    &CREDENTIAL,
    &WATCHLIST,
    &CHANGE,
    &CLAIM,
    &SENT,
    &MUTE,
    &ACKNOWLEDGEMENT,
    &ACCESS_TOKEN,
    &MARKER,
    &WORKFLOW_JOB,
];

/// `RunnerStatus` by name. 0 means "unset".
pub const RUNNER_STATUS: [(&str, i32); 5] = [("ONLINE", 1), ("OFFLINE", 2), ("BUSY", 3), ("UNKNOWN", 4), ("IDLE", 5)];
