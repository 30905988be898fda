/**
 * What GitHub Runner Monitor keeps in StatelyDB.
 *
 * A field's number on the wire is given when the schema is published: declaration order from 1, and the next free
 * number for a field added later. So fields are only ever added at the end of their type, and never reordered or removed;
 * `fields.ledger.json` holds the numbers, and `make schema-check` the ledger.
 *
 * Required means "not zero" here, and a put that breaks it fails. Only what is never zero is required: what stands in a
 * key path, and a runner's status. An empty label list and a moment that is not yet known are real.
 *
 * `repoId` is the text of what an item is about: `owner/name`, `orgs/NAME` or `enterprises/NAME` in lower case,
 * `credential:ID`, or `monitor`. Keys under `/repo-:repoId` hold everything; keys under `/fleet-:repoId` are a group of
 * their own with just what a check reads, so that a check costs the same however long the history is.
 *
 * `body` is JSON that only the monitor itself reads; a long one is `z:` and the base64 of its deflated text, so that it fits
 * into an item (DynamoDB, below StatelyDB, takes 400 KB).
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

/** How a runner is, as far as GitHub tells. */
export const RunnerStatus = enumType("RunnerStatus", {
  /** Connected, nothing more known. */
  ONLINE: 1,
  /** GitHub reports it offline. */
  OFFLINE: 2,
  /** Connected and running a job. */
  BUSY: 3,
  /** No longer registered, or GitHub uses a word not known here. */
  UNKNOWN: 4,
  /** Connected and waiting for a job. */
  IDLE: 5,
});

/** A text that may be empty. */
const text = { type: string, required: false };
/** Yes or no. */
const flag = { type: bool, required: false };
/** A number that may be 0. */
const number = { type: uint, required: false };
/** A moment; 0 for none. */
const moment = { type: timestampMilliseconds, required: false };

// The compiler takes a comment from where a field is declared in a type; these are declared once for many.
const repoId = { type: string, comments: "What the item is about: the group that it belongs to." };
const status = { type: RunnerStatus, comments: "How the runner is." };
const labels = { type: arrayOf(string), required: false, comments: "The runner's label names in GitHub's order." };
const revision = { ...number, comments: "The last committed revision." };
const lastNotifiable = { ...number, comments: "The last revision with something to tell." };
const body = { ...text, comments: "JSON that only the monitor itself reads; deflated where it is long." };
const expiresAt = { type: timestampSeconds, required: false, comments: "When the item is deleted; 0 for never." };
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

/** A repository, organization or enterprise whose runners are watched. */
export const Repository = itemType("Repository", {
  keyPath: ["/repo-:repoId", "/fleet-:repoId"],
  syncable: false,
  fields: {
    repoId,
    /** The account that owns it: the organization or enterprise itself where it is one. */
    owner: text,
    /** The last part of its name. */
    name: text,
    /** Its whole name in the spelling of the configuration. */
    displayName: text,
    /** Whether it is watched and was seen at least once. */
    isActive: flag,
    revision,
    lastNotifiable,
    /** When the first complete look began. */
    watchedSince: moment,
    /** When the last complete look began that found something new. */
    lastSyncedAt: moment,
    /** When the first of the looks began that fail; 0 while they succeed. */
    failingSince: moment,
    /** Whether they have failed for so long that nothing is known of its runners. */
    isUnreachable: flag,
    /** Whether the last commit was one part of several. */
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
    /** In GitHub's word. */
    os: text,
    labels,
    /** When it was last recorded as connected. It may have been for longer: a look that finds nothing new writes nothing. */
    lastSeenAt: moment,
    /** When it was first read. */
    firstSeenAt: moment,
    /** When the last reading first differed from the one before. */
    statusSince: moment,
    /** GitHub's id of its present registration. */
    currentId: number,
    /** Whether GitHub last said that it runs a job. */
    busy: flag,
    /** Whether it leaves after one job. */
    ephemeral: flag,
    /** Its version; empty until it has connected once. */
    version: text,
    /** How far a verdict has got: healthy, suspect, down, gone or retired. */
    health: text,
    body,
    createdAt,
    updatedAt,
  },
});

/** One outage of one runner. It expires some time after its end, and never before. */
export const OutageEvent = itemType("OutageEvent", {
  keyPath: "/repo-:repoId/runner-:runnerId/outage-:outageId",
  syncable: false,
  ttl,
  fields: {
    /** The revision of the target that recorded the first bad reading. */
    outageId: { type: uint },
    repoId,
    /** GitHub's id of the runner's first registration. */
    runnerId: { type: uint },
    status,
    /** The first bad reading. */
    startedAt: moment,
    /** The first of the good readings that ended it; 0 while it is open. */
    resolvedAt: moment,
    /** One line for people. */
    description: text,
    /** The runner's name. */
    runnerName: text,
    /** The reading that confirmed it. */
    confirmedAt: moment,
    /** How it ended: recovered, removed or noLongerMonitored; empty while it is open. */
    ending: text,
    /** The runner's operating system. */
    os: text,
    labels,
    /** The runner's version. */
    version: text,
    /** GitHub's id of the registration that the runner had. */
    currentId: number,
    /** Whether the runner ran a job when it went away. */
    inJob: flag,
    body,
    expiresAt,
    createdAt,
    updatedAt,
  },
});

/** When something was last looked after with nothing to commit. */
export const LastSeen = itemType("LastSeen", {
  keyPath: "/fleet-:repoId/last_seen",
  syncable: false,
  fields: {
    repoId,
    seenAt: moment,
    /** Of the monitor: the last tick whose jobs were sent, noted where they are so many that none may be sent twice. */
    jobsSentAt: moment,
    /** Of the monitor: when the next tick is due. */
    nextTickAt: moment,
  },
});

/** How far the changes of something are notified, and the outages of a target recorded. */
export const Cursor = itemType("Cursor", {
  keyPath: "/fleet-:repoId/cursor",
  syncable: false,
  fields: {
    repoId,
    /** The last revision told. */
    notifiedThrough: number,
    /** When the next attempt to send is due, if one was put off. */
    nextAttemptAt: moment,
    /** The last revision whose outages are recorded. */
    recordedThrough: number,
  },
});

/** What is known of a credential. */
export const Credential = itemType("Credential", {
  keyPath: "/repo-:repoId/credential",
  syncable: false,
  fields: {
    repoId,
    /** `token`, or `app:ACCOUNT` for an installation of the GitHub App. Never the secret. */
    credentialId: text,
    revision,
    lastNotifiable,
    body,
  },
});

/** The list of what is watched. */
export const Watchlist = itemType("Watchlist", {
  keyPath: "/repo-:repoId/watchlist",
  syncable: false,
  fields: {
    repoId,
    revision,
    lastNotifiable,
    /** How many are watched. */
    targetCount: number,
    body,
  },
});

/** A committed revision: lock, outbox and history at once. Never altered. */
export const Change = itemType("Change", {
  keyPath: "/repo-:repoId/change-:revision",
  syncable: false,
  ttl,
  fields: {
    repoId,
    revision: { type: uint },
    /** Tells one's own commit from another's. */
    nonce: number,
    /** When it was decided. */
    decidedAt: moment,
    /** When the look began that it rests on. */
    observedAt: moment,
    /** Whether the same decision goes on in the next revision. */
    more: flag,
    /** Whether a notice comes of it. */
    notifiable: flag,
    body,
    expiresAt,
  },
});

/** A claim to send a notice. Never altered. */
export const Claim = itemType("Claim", {
  keyPath: "/repo-:repoId/notification-:notification/attempt-:attempt/claim",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** The notice's number, from 1. */
    notification: { type: uint },
    /** The attempt's number, from 1. */
    attempt: { type: uint32 },
    /** Tells one's own claim from another's. */
    nonce: number,
    /** The last revision told before it. */
    after: number,
    /** The last revision that it tells. */
    through: number,
    claimedAt: moment,
    /** Until when nobody else may send it. */
    leaseUntil: moment,
    /** Whether it goes as plain text. */
    plainText: flag,
    body,
    expiresAt,
  },
});

/** How an attempt to send a notice ended. */
export const Sent = itemType("Sent", {
  keyPath: "/repo-:repoId/notification-:notification/attempt-:attempt/sent",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** The notice's number, from 1. */
    notification: { type: uint },
    /** The attempt's number, from 1. */
    attempt: { type: uint32 },
    /** The last revision that it told. */
    through: number,
    endedAt: moment,
    /** delivered, deferred, layoutRefused or givenUp. */
    ending: text,
    /** Where it went, if the chat says so. */
    channel: text,
    /** The message's id within the channel, if the chat says so. */
    ts: text,
    body,
    expiresAt,
  },
});

/** Runners of whom nothing is told for a time. */
export const Mute = itemType("Mute", {
  keyPath: "/repo-:repoId/mute-:muteId",
  syncable: false,
  ttl,
  fields: {
    /** `monitor`: a mute may concern any target. */
    repoId,
    /** A number made of whom it concerns: of two mutes of the same runners, the later one holds. */
    muteId: { type: uint },
    /** Whom it concerns, as people wrote it. */
    scope: text,
    since: moment,
    until: moment,
    reason: text,
    /** The id that the chat gives to whoever asked for it. */
    by: text,
    body,
    expiresAt,
  },
});

/** An outage that somebody looks after: nobody is reminded of it. */
export const Acknowledgement = itemType("Acknowledgement", {
  keyPath: "/repo-:repoId/acknowledged-:runnerId/outage-:outageId",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** GitHub's id of the runner's first registration. */
    runnerId: { type: uint },
    /** The number of its outage. */
    outageId: { type: uint },
    acknowledgedAt: moment,
    /** The id that the chat gives to whoever looks after it. */
    by: text,
    body,
    expiresAt,
  },
});

/** The access token with which every poller asks GitHub for one installation of a GitHub App. */
export const AccessToken = itemType("AccessToken", {
  keyPath: "/repo-:repoId/access_token",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** `app:account`. */
    credentialId: text,
    /** When GitHub ends it. */
    endsAt: moment,
    /** The token in it is sealed: only whoever holds the App's private key can read it. */
    body,
    expiresAt,
  },
});

/** Something that is done at most once: a check by hand in its window, or a request of Slack's. Never altered. */
export const Marker = itemType("Marker", {
  keyPath: "/repo-:repoId/marker-:markerId",
  syncable: false,
  ttl,
  fields: {
    repoId,
    /** What is done, as a number within its subject. */
    markerId: { type: uint },
    /** Tells one's own marker from another's. */
    nonce: number,
    markedAt: moment,
    body,
    expiresAt,
  },
});
