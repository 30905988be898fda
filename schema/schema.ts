/**
 * What GitHub Runner Monitor stores in StatelyDB.
 *
 * StatelyDB assigns a field's wire number when the schema is published: declaration order from 1, then the next free
 * number for each field added later. So fields are only added at the end of their type, and never reordered or removed.
 * `fields.ledger.json` records the numbers, and `make schema-check` checks the schema against it.
 *
 * In StatelyDB, "required" means "not zero", and a put that breaks it fails. Only fields that are never zero are
 * required: those in a key path, and a runner's status. An empty label list and an unknown time are valid values.
 *
 * `repoId` names the subject of an item: `owner/name`, `orgs/NAME` or `enterprises/NAME` in lower case,
 * `credential:ID`, or `monitor`. The group `/repo-:repoId` holds everything. The separate group `/fleet-:repoId` holds
 * only what a check reads, so a check costs the same however long the history is.
 *
 * `body` is JSON that only the monitor reads. A long body is stored as `z:` plus the base64 of its deflated text, so it
 * fits into an item (DynamoDB, which StatelyDB is built on, limits items to 400 KB).
 */
import {
  arrayOf,
  bool,
  enumType,
  itemType,
  string,
  timestampMilliseconds,
  timestampSeconds,
  uint,
  uint32,
} from "@stately-cloud/schema";

/** A runner's status as GitHub reports it. */
export const RunnerStatus = enumType("RunnerStatus", {
  /** Connected; whether it runs a job is not known. */
  ONLINE: 1,
  /** GitHub reports it offline. */
  OFFLINE: 2,
  /** Connected and running a job. */
  BUSY: 3,
  /** No longer registered, or a status that the monitor does not know. */
  UNKNOWN: 4,
  /** Connected and waiting for a job. */
  IDLE: 5,
});

/** A string that may be empty. */
const text = { type: string, required: false };
const flag = { type: bool, required: false };
/** A number that may be 0. */
const number = { type: uint, required: false };
/** A time; 0 if unset. */
const moment = { type: timestampMilliseconds, required: false };

// Shared by several types. The compiler cannot see a doc comment here, so each has `comments`.
const repoId = { type: string, comments: "The subject that the item belongs to; its group key." };
const status = { type: RunnerStatus, comments: "The runner's status." };
const labels = { type: arrayOf(string), required: false, comments: "The runner's label names in GitHub's order." };
const revision = { ...number, comments: "The last committed revision." };
const lastNotifiable = { ...number, comments: "The last revision with a notifiable change." };
const body = { ...text, comments: "JSON that only the monitor reads; deflated if it is long." };
const expiresAt = { type: timestampSeconds, required: false, comments: "When the item expires; 0 for never." };
const createdAt = {
  ...moment,
  fromMetadata: "createdAtTime",
  comments: "When the item was first stored.",
} as const;
const updatedAt = {
  ...moment,
  fromMetadata: "lastModifiedAtTime",
  comments: "When the item was last stored.",
} as const;
const ttl = { source: "atTimestamp", field: "expiresAt" } as const;

/** A repository, organization or enterprise whose runners are monitored. */
export const Repository = itemType("Repository", {
  keyPath: ["/repo-:repoId", "/fleet-:repoId"],
  syncable: false,
  fields: {
    repoId,
    /** The account that owns it; for an organization or enterprise, its own name. */
    owner: text,
    /** The last part of its name. */
    name: text,
    /** Its full name as spelled in the configuration. */
    displayName: text,
    /** Whether it is watched and at least one check has succeeded. */
    isActive: flag,
    revision,
    lastNotifiable,
    /** When the first complete check began. */
    watchedSince: moment,
    /** When the last complete check that found a change began. */
    lastSyncedAt: moment,
    /** When the first of the current run of failed checks began; 0 while checks succeed. */
    failingSince: moment,
    /** Whether checks have failed for longer than `unreachableAfter`. */
    isUnreachable: flag,
    /** Whether the last commit was one part of a split decision, with parts still to come. */
    unfinished: flag,
    body,
    createdAt,
    updatedAt,
  },
});

/** A self-hosted runner. */
export const Runner = itemType("Runner", {
  keyPath: ["/repo-:repoId/runner-:runnerId", "/fleet-:repoId/runner-:runnerId"],
  syncable: false,
  fields: {
    /** GitHub's id of its first registration. */
    runnerId: { type: uint },
    repoId,
    name: text,
    status,
    /** The operating system, as GitHub names it. */
    os: text,
    labels,
    /** When it was last stored as connected. That may be outdated: a check without changes writes nothing. */
    lastSeenAt: moment,
    /** When a check first found it. */
    firstSeenAt: moment,
    /** When the status last changed. */
    statusSince: moment,
    /** GitHub's id of its current registration. */
    currentId: number,
    /** Whether it was running a job when last checked. */
    busy: flag,
    /** Whether it is ephemeral: removed after one job. */
    ephemeral: flag,
    /** The runner's version; empty until it has connected once. */
    version: text,
    /** The monitor's evaluation: healthy, suspect, down, gone or retired. */
    health: text,
    body,
    createdAt,
    updatedAt,
  },
});

/** One outage of one runner. It expires after it has ended; an open outage never expires. */
export const OutageEvent = itemType("OutageEvent", {
  keyPath: "/repo-:repoId/runner-:runnerId/outage-:outageId",
  syncable: false,
  ttl,
  fields: {
    /** The target's revision at which the runner was first found unhealthy. */
    outageId: { type: uint },
    repoId,
    /** GitHub's id of the runner's first registration. */
    runnerId: { type: uint },
    status,
    /** When the runner was first found unhealthy. */
    startedAt: moment,
    /** When the runner was first found healthy again; 0 while the outage is open. */
    resolvedAt: moment,
    /** One line of text for people. */
    description: text,
    /** The runner's name. */
    runnerName: text,
    /** When the outage was confirmed (`failureThreshold` reached). */
    confirmedAt: moment,
    /** How it ended: recovered, removed or noLongerMonitored; empty while it is open. */
    ending: text,
    /** The runner's operating system. */
    os: text,
    labels,
    /** The runner's version. */
    version: text,
    /** GitHub's id of the runner's registration at the time. */
    currentId: number,
    /** Whether the runner was running a job when it went offline. */
    inJob: flag,
    body,
    expiresAt,
    createdAt,
    updatedAt,
  },
});

/** The heartbeat: when a subject was last processed without anything to commit. */
export const LastSeen = itemType("LastSeen", {
  keyPath: "/fleet-:repoId/last_seen-:slot",
  syncable: false,
  fields: {
    repoId,
    seenAt: moment,
    /** Monitor only: the last tick whose jobs were sent. Set when there are too many jobs to send them twice. */
    jobsSentAt: moment,
    /** Monitor only: when the next tick is due. */
    nextTickAt: moment,
    /** From 1. The monitor's heartbeats use several in turn, so that a late put does not replace the latest one. */
    slot: { type: uint },
  },
});

/** How far a subject's changes have been notified and a target's outages recorded. */
export const Cursor = itemType("Cursor", {
  keyPath: "/fleet-:repoId/cursor",
  syncable: false,
  fields: {
    repoId,
    /** The last revision that has been notified. */
    notifiedThrough: number,
    /** When the next attempt to send is due, if one was deferred. */
    nextAttemptAt: moment,
    /** The last revision whose outages are recorded. */
    recordedThrough: number,
  },
});

/** The state of a credential. */
export const Credential = itemType("Credential", {
  keyPath: "/repo-:repoId/credential",
  syncable: false,
  fields: {
    repoId,
    /** `token`, or `app:ACCOUNT` for an installation of the GitHub App. Never the secret itself. */
    credentialId: text,
    revision,
    lastNotifiable,
    body,
  },
});

/** The list of watched targets. */
export const Watchlist = itemType("Watchlist", {
  keyPath: "/repo-:repoId/watchlist",
  syncable: false,
  fields: {
    repoId,
    revision,
    lastNotifiable,
    /** The number of watched targets. */
    targetCount: number,
    body,
  },
});

/** A committed revision: lock, outbox and history in one. Immutable. */
export const Change = itemType("Change", {
  keyPath: "/repo-:repoId/change-:revision",
  syncable: false,
  ttl,
  fields: {
    repoId,
    revision: { type: uint },
    /** Identifies the writer's own commit. */
    nonce: number,
    /** When the decision was made. */
    decidedAt: moment,
    /** When the check that it is based on began. */
    observedAt: moment,
    /** Whether the decision continues in the next revision. */
    more: flag,
    /** Whether it leads to a notification. */
    notifiable: flag,
    body,
    expiresAt,
  },
});

/** A claim to send a notification. Immutable. */
export const Claim = itemType("Claim", {
  keyPath: "/repo-:repoId/notification-:notification/attempt-:attempt/claim",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** The notification's number, from 1. */
    notification: { type: uint },
    /** The attempt's number, from 1. */
    attempt: { type: uint32 },
    /** Identifies the claimant's own claim. */
    nonce: number,
    /** The last revision notified before this one. */
    after: number,
    /** The last revision that this notification covers. */
    through: number,
    claimedAt: moment,
    /** When the lease ends; until then no other process may send it. */
    leaseUntil: moment,
    /** Whether it is sent as plain text. */
    plainText: flag,
    body,
    expiresAt,
  },
});

/** The outcome of an attempt to send a notification. */
export const Sent = itemType("Sent", {
  keyPath: "/repo-:repoId/notification-:notification/attempt-:attempt/sent",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** The notification's number, from 1. */
    notification: { type: uint },
    /** The attempt's number, from 1. */
    attempt: { type: uint32 },
    /** The last revision that the notification covers. */
    through: number,
    endedAt: moment,
    /** delivered, deferred, layoutRefused or givenUp. */
    ending: text,
    /** The channel it was sent to, if the chat reports it. */
    channel: text,
    /** The message's id within the channel, if the chat reports it. */
    ts: text,
    body,
    expiresAt,
  },
});

/** Runners whose notifications are muted until a given time. */
export const Mute = itemType("Mute", {
  keyPath: "/repo-:repoId/mute-:muteId",
  syncable: false,
  ttl,
  fields: {
    /** Always `monitor`: a mute can apply to any target. */
    repoId,
    /** A hash of the scope, so a later mute of the same scope replaces the earlier one. */
    muteId: { type: uint },
    /** What is muted, as the user wrote it. */
    scope: text,
    since: moment,
    until: moment,
    reason: text,
    /** The chat user id of the person who muted. */
    by: text,
    body,
    expiresAt,
  },
});

/** An acknowledged outage: its notification is not repeated. */
export const Acknowledgement = itemType("Acknowledgement", {
  keyPath: "/repo-:repoId/acknowledged-:runnerId/outage-:outageId",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** GitHub's id of the runner's first registration. */
    runnerId: { type: uint },
    /** The outage's number. */
    outageId: { type: uint },
    acknowledgedAt: moment,
    /** The chat user id of the person who acknowledged. */
    by: text,
    body,
    expiresAt,
  },
});

/** The installation access token of a GitHub App, shared by all pollers. */
export const AccessToken = itemType("AccessToken", {
  keyPath: "/repo-:repoId/access_token",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** `app:account`. */
    credentialId: text,
    /** When the token expires. */
    endsAt: moment,
    /** The token is encrypted: reading it takes the App's private key. */
    body,
    expiresAt,
  },
});

/** Marks work that is done at most once: a manual check in its time window, or a Slack request. Immutable. */
export const Marker = itemType("Marker", {
  keyPath: "/repo-:repoId/marker-:markerId",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** Identifies the work within its subject. */
    markerId: { type: uint },
    /** Identifies the writer's own marker. */
    nonce: number,
    markedAt: moment,
    body,
    expiresAt,
  },
});

/** A workflow job that is not completed. */
export const WorkflowJob = itemType("WorkflowJob", {
  keyPath: "/repo-:repoId/job-:jobId",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** GitHub's id of the job. */
    jobId: { type: uint },
    /** The repository whose workflow it belongs to. */
    repository: text,
    /** The labels that a runner must have. */
    labels: { type: arrayOf(string), required: false },
    queuedAt: moment,
    body,
    expiresAt,
  },
});
