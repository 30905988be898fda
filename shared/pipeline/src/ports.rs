//! The ports of the stages: traits that adapters implement.

use std::future::Future;
use std::time::Duration;

use monitor_domain::jobs::{JobAnswer, JobId};
use monitor_domain::notifications::Notification;
use monitor_domain::observation::{CredentialReport, Failure, Lookup, ObservedPage, PageTag};
use monitor_domain::pace::Quota;
use monitor_domain::polling::{PolledJobs, PolledRuns};
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::CredentialId;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_domain::versions::{VersionEnd, VersionRecord};

use crate::items::{AccessToken, Acknowledgement, Delivered, Item, LiveMessage, MessagePlace};
use crate::keys::{Key, Put, Query};

/// The database: items under keys, atomic batches, and one condition.
///
/// A put replaces the whole item. The contract suite in `testing` defines the rest.
pub trait Store: Send + Sync {
    /// Puts all items or none; [`PutOutcome::Exists`] if an item exists that must not, and then nothing is put.
    fn put(&self, puts: &[Put]) -> impl Future<Output = Result<PutOutcome, StoreError>> + Send;

    /// The existing items under these keys, in any order.
    fn get(&self, keys: &[Key]) -> impl Future<Output = Result<Vec<Item>, StoreError>> + Send;

    /// The items that match a query, in its order.
    fn list(&self, query: &Query) -> impl Future<Output = Result<Vec<Item>, StoreError>> + Send;

    /// Deletes the items under these keys; one that does not exist counts as deleted.
    fn delete(&self, keys: &[Key]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The maximum number of items in a put.
    fn max_batch(&self) -> usize;
}

/// How a put ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum PutOutcome {
    /// All items are stored.
    Done,
    /// An item exists that must not. It may be the caller's own, from a put whose answer was lost.
    Exists,
}

/// An error of the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It did not answer, or not in time. A put may have succeeded all the same.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It refuses the key, until a person fixes it or its permissions: not a fault of the request.
    #[error("the store denies access: {0}")]
    Denied(String),
    /// It refuses the request, and a retry would not help.
    #[error("the store refuses the request: {0}")]
    Refused(String),
    /// An item cannot be read.
    #[error("the item {key} cannot be read: {reason}")]
    Unreadable {
        /// Its key.
        key: String,
        /// Why it cannot be read.
        reason: String,
    },
}

/// The sending side of a queue. Delivery is at least once, in order only within a group.
pub trait Sender: Send + Sync {
    /// Sends messages. An error means that some may not have been sent.
    fn send(&self, messages: Vec<Outgoing>) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// The receiving side of a queue.
pub trait Receiver: Send + Sync {
    /// Up to `max` messages, each hidden from other receivers for `visibility`; waits up to `wait` for the first. While
    /// a message of a group is in flight, no other message of that group is received.
    fn receive(
        &self,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Delivery>, QueueError>> + Send;

    /// Removes a message for good. A receipt that is no longer valid is ignored.
    fn delete(&self, receipt: &str) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Makes a message visible again after `delay`. A receipt that is no longer valid is ignored.
    fn release(&self, receipt: &str, delay: Duration) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// A message to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Its text.
    pub body: String,
    /// How long the message stays invisible at first; at most 15 minutes (SQS), and zero on a FIFO queue.
    pub delay: Duration,
    /// FIFO only: messages of a group are received in order, one batch at a time.
    pub group: Option<String>,
    /// FIFO only: another message with the same id within 5 minutes is dropped.
    pub deduplication_id: Option<String>,
}

/// A message as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its text.
    pub body: String,
    /// Identifies this delivery to the queue.
    pub receipt: String,
    /// How often it was received, including this time.
    pub receive_count: u32,
    /// FIFO only: its group.
    pub group: Option<String>,
}

/// An error of a queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue does not answer: {0}")]
pub struct QueueError(pub String);

/// The parts of GitHub's API about runners.
pub trait RunnerSource: Send + Sync {
    /// The credential that is used for a target.
    fn credential(&self, target: &Target) -> CredentialId;

    /// Prepares the requests for a target, with the stored access token if that is usable. Returns the token to store
    /// in its place, so that all pollers use the same one.
    fn prepare(
        &self,
        target: &Target,
        stored: Option<&AccessToken>,
    ) -> impl Future<Output = Option<AccessToken>> + Send {
        let _ = (target, stored);
        std::future::ready(None)
    }

    /// Lists a target's runners, sending the ETags of the known pages.
    fn list(&self, target: &Target, known: &[PageTag]) -> impl Future<Output = Listing> + Send;

    /// One runner, by the id of its current registration.
    fn runner(&self, target: &Target, id: RunnerId) -> impl Future<Output = Result<Lookup, Failure>> + Send;

    /// What is left of the hourly quota of a target's credential, shared by everybody who uses it; `None` if there is
    /// no such limit, or if GitHub does not report it. The request does not count against the quota.
    fn quota(&self, through: &Target) -> impl Future<Output = Option<Quota>> + Send {
        let _ = through;
        std::future::ready(None)
    }

    /// Whether GitHub says when it stops giving jobs to a version of the runner. An Enterprise Server does not.
    fn answers_version_ends(&self) -> bool {
        false
    }

    /// When GitHub stops giving jobs to a version of the runner, asked with a target's credential. `known` is the last
    /// answer.
    fn version_end(
        &self,
        through: &Target,
        version: &str,
        known: Option<&VersionRecord>,
    ) -> impl Future<Output = Result<VersionAnswer, Failure>> + Send {
        let _ = (through, version, known);
        std::future::ready(Ok(VersionAnswer { end: VersionEnd::Unlisted, tag: None }))
    }

    /// The number and the name of each runner group of an organization or enterprise. A source without groups knows of none.
    fn groups(&self, target: &Target) -> impl Future<Output = Result<Vec<(u64, String)>, Failure>> + Send {
        let _ = target;
        std::future::ready(Ok(Vec::new()))
    }

    /// Asks about one job of a repository. A source without jobs knows of none.
    fn job(&self, repository: &Target, id: JobId) -> impl Future<Output = Result<JobAnswer, Failure>> + Send {
        let _ = (repository, id);
        std::future::ready(Ok(JobAnswer::Ended))
    }

    /// Reads the jobs of a repository's open workflow runs; `known` is what the last poll left. A source without jobs has
    /// none.
    fn open_jobs(
        &self,
        repository: &Target,
        known: Option<&PolledRuns>,
    ) -> impl Future<Output = Result<PolledJobs, Failure>> + Send {
        let (repository, given_to) = (repository.clone(), String::new());
        let _ = known;
        let runs = PolledRuns { repository, given_to, lists: Vec::new(), runs: Vec::new() };
        std::future::ready(Ok(PolledJobs { jobs: Vec::new(), runs }))
    }

    /// Every repository of an account that the credential can see and that is not archived.
    fn repositories_of(&self, account: &str) -> impl Future<Output = Result<Vec<Target>, Failure>> + Send;
}

/// The result of listing a target's runners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Every page in order, or why the list is incomplete.
    pub pages: Result<Vec<ObservedPage>, Incomplete>,
    /// What is missing from the pages, if GitHub counts more runners than it lists.
    pub shortfall: Option<Shortfall>,
    /// The target's new name, if GitHub redirects from the one that was asked for.
    pub moved_to: Option<Target>,
    /// What the answers say about the credential.
    pub report: CredentialReport,
}

impl Listing {
    /// A listing with nothing missing, under the name that was asked for.
    pub fn of(pages: Result<Vec<ObservedPage>, Incomplete>, report: CredentialReport) -> Self {
        Self { pages, shortfall: None, moved_to: None, report }
    }
}

/// GitHub's answer about a version of the runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionAnswer {
    /// When it ends.
    pub end: VersionEnd,
    /// The ETag of the answer, to be sent with the next question.
    pub tag: Option<PageTag>,
}

/// Runners that GitHub counts but does not list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The number of missing runners.
    pub missing: u64,
    /// The failure that describes it.
    pub failure: Failure,
}

/// A list that was not read to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// Whether at least one page was read.
    pub partial: bool,
    /// Why the rest was not read.
    pub failure: Failure,
}

/// The chat in which people are notified.
pub trait Chat: Send + Sync {
    /// Sends a notification as a message.
    fn send(
        &self,
        notification: &Notification,
        form: Form,
        to: Route<'_>,
    ) -> impl Future<Output = Result<Delivered, ChatError>> + Send;

    /// Sends a notification as a reply to an earlier message. A chat without threads never returns the place of a
    /// message, so there is nothing to reply to.
    fn reply(
        &self,
        notification: &Notification,
        form: Form,
        to: &MessagePlace,
    ) -> impl Future<Output = Result<Delivered, EditError>> + Send {
        let _ = (notification, form, to);
        std::future::ready(Err(EditError::Gone))
    }

    /// Updates an earlier message with the current state of its outages, and with who acknowledged the open ones.
    /// Idempotent.
    fn edit(
        &self,
        message: &LiveMessage,
        notification: &Notification,
        form: Form,
        acknowledged: &[Acknowledgement],
    ) -> impl Future<Output = Result<(), EditError>> + Send {
        let _ = (message, notification, form, acknowledged);
        std::future::ready(Err(EditError::Gone))
    }
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route<'a> {
    /// To the default channel.
    #[default]
    Default,
    /// To this one. A chat without such a channel returns [`ChatError::Dead`].
    Channel(&'a str),
    /// To the default channel in place of one that takes no message; the message says so at the top.
    InsteadOf {
        /// The intended channel.
        channel: &'a str,
        /// Why that channel takes no message.
        reason: &'a str,
    },
}

impl<'a> Route<'a> {
    /// The route to a channel; `None` is the default channel.
    pub fn to(channel: Option<&'a str>) -> Self {
        channel.map_or(Route::Default, Route::Channel)
    }
}

/// An error of editing an earlier message, or of replying to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It does not exist, or can no longer be edited.
    #[error("the earlier message cannot be edited or replied to")]
    Gone,
    /// An error that any message can meet.
    #[error(transparent)]
    Chat(#[from] ChatError),
}

/// The layout of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With the full layout.
    Blocks,
    /// Plain text, after the layout was refused.
    PlainText,
    /// Only the subject, after the text was refused too.
    SubjectOnly,
}

/// An error of sending a message, by what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// A rate limit: retry after this long. The message was not accepted.
    #[error("rate limited: retry in {} s", retry_after.as_secs())]
    Busy {
        /// How long to wait before the retry.
        retry_after: Duration,
    },
    /// It failed this time. The message may have been accepted all the same.
    #[error("{0}")]
    Transient(String),
    /// No connection: nothing was sent, so the message was certainly not accepted.
    #[error("{0}")]
    NotSent(String),
    /// This message is refused because of its content.
    #[error("the message was refused: {0}")]
    ContentRefused(String),
    /// No message is accepted until a person fixes the webhook, the token or the channel.
    #[error("{0}")]
    Dead(String),
}

/// Time and random numbers: the pipeline gets both only from here.
pub trait Clock: Send + Sync {
    /// The current time of day.
    fn now(&self) -> Timestamp;

    /// How long this machine has been up, by a clock that nobody can set and that keeps running while the machine
    /// sleeps; `None` if there is no such clock that can be trusted, as in a Lambda, which may be frozen.
    fn uptime(&self) -> Option<Duration> {
        None
    }

    /// Waits for this long.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// A random number, unique for all practical purposes.
    fn random(&self) -> u64;
}
