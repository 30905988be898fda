//! What the stages need of the outside, as traits that adapters implement.

use std::future::Future;
use std::time::Duration;

use monitor_domain::notifications::Notification;
use monitor_domain::observation::{CredentialReport, Failure, Lookup, ObservedPage, PageTag};
use monitor_domain::pace::Quota;
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::CredentialId;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;

use crate::items::{AccessToken, Acknowledgement, Delivered, Item, Key, LiveMessage, Place, Put, Query};

/// The database: items under keys, atomic batches, and one condition.
///
/// A put replaces the whole item. The contract suite in `testing` says the rest.
pub trait Store: Send + Sync {
    /// Puts all items or none; [`PutOutcome::Exists`] if an item that must not exist does, and then nothing was put.
    fn put(&self, puts: Vec<Put>) -> impl Future<Output = Result<PutOutcome, StoreError>> + Send;

    /// The items under these keys, those that exist, in any order.
    fn get(&self, keys: &[Key]) -> impl Future<Output = Result<Vec<Item>, StoreError>> + Send;

    /// Whether it is the change with this nonce that is stored under this key. A store may know without reading the change.
    fn holds(&self, change: &Key, nonce: u64) -> impl Future<Output = Result<bool, StoreError>> + Send {
        let keys = [change.clone()];
        async move {
            let found = self.get(&keys).await?;
            Ok(found.iter().any(|item| matches!(item, Item::Change(change) if change.nonce == nonce)))
        }
    }

    /// The items that a query names, in its order.
    fn list(&self, query: &Query) -> impl Future<Output = Result<Vec<Item>, StoreError>> + Send;

    /// Deletes the items under these keys; one that does not exist counts as deleted.
    fn delete(&self, keys: &[Key]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How many items a put may hold.
    fn max_batch(&self) -> usize;
}

/// How a put ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum PutOutcome {
    /// All items are stored.
    Done,
    /// An item that must not exist does. It may be one's own from a put whose answer was lost.
    Exists,
}

/// Faults of the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It did not answer, or not in time. A put may have been done all the same.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It refuses whoever asks, until a person mends the key or its rights: no fault of the request.
    #[error("the store refuses whoever asks: {0}")]
    Denied(String),
    /// It refuses the request, and will again.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// An item cannot be read.
    #[error("the item {key} cannot be read: {reason}")]
    Unreadable {
        /// Its key.
        key: String,
        /// Why.
        reason: String,
    },
}

/// The sending side of a queue. Delivery is at least once, in any order but within a group.
pub trait Sender: Send + Sync {
    /// Sends messages. An error means that some may not have been sent.
    fn send(&self, messages: Vec<Outgoing>) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// The receiving side of a queue.
pub trait Receiver: Send + Sync {
    /// Up to `max` messages, each hidden from others for `visibility`; waits up to `wait` for the first. Of a group
    /// with a message under way nothing further is handed out.
    fn receive(
        &self,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Delivery>, QueueError>> + Send;

    /// Takes a message out for good. A receipt that is no longer valid is ignored.
    fn delete(&self, receipt: &str) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Hands a message out again after `delay`. A receipt that is no longer valid is ignored.
    fn release(&self, receipt: &str, delay: Duration) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// A message to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Its text.
    pub body: String,
    /// Not handed out before; at most 15 minutes (SQS), and zero on a FIFO queue.
    pub delay: Duration,
    /// FIFO only: messages of a group are handed out in order, one batch at a time.
    pub group: Option<String>,
    /// FIFO only: a message with the same id within 5 minutes is swallowed.
    pub deduplication_id: Option<String>,
}

/// A message as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its text.
    pub body: String,
    /// What to name it by to the queue, this time.
    pub receipt: String,
    /// How often it was handed out, with this time.
    pub receive_count: u32,
    /// FIFO only: its group.
    pub group: Option<String>,
}

/// Faults of a queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue does not answer: {0}")]
pub struct QueueError(pub String);

/// GitHub, as far as runners go.
pub trait RunnerSource: Send + Sync {
    /// The credential that sees a target.
    fn credential(&self, target: &Target) -> CredentialId;

    /// Gets ready to ask for a target: with the access token on record where that is of use. Gives the one that belongs on
    /// record in its place, so that everybody asks with the same.
    fn prepare(
        &self,
        target: &Target,
        stored: Option<&AccessToken>,
    ) -> impl Future<Output = Option<AccessToken>> + Send {
        let _ = (target, stored);
        std::future::ready(None)
    }

    /// Lists a target's runners, asking with the ETags of the pages that are known.
    fn list(&self, target: &Target, known: &[PageTag]) -> impl Future<Output = Listing> + Send;

    /// One runner by the id of its present registration.
    fn runner(&self, target: &Target, id: RunnerId) -> impl Future<Output = Result<Lookup, Failure>> + Send;

    /// What is left of the hour of the credential that sees a target, for everybody who uses it; none where there is no such
    /// limit, or where it is not told. Asking for it costs nothing.
    fn quota(&self, through: &Target) -> impl Future<Output = Option<Quota>> + Send {
        let _ = through;
        std::future::ready(None)
    }

    /// Every repository of an account that the credential sees and that is not archived.
    fn repositories_of(&self, account: &str) -> impl Future<Output = Result<Vec<Target>, Failure>> + Send;
}

/// What came of listing a target's runners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Every page in order, or why there is not every page.
    pub pages: Result<Vec<ObservedPage>, Incomplete>,
    /// What is missing from the pages, where GitHub counts more runners than it lists.
    pub shortfall: Option<Shortfall>,
    /// The target's new name, where GitHub redirects from the one that was asked for.
    pub moved_to: Option<Target>,
    /// What the answers told about the credential.
    pub report: CredentialReport,
}

impl Listing {
    /// A list with nothing missing, under the name that was asked for.
    pub fn of(pages: Result<Vec<ObservedPage>, Incomplete>, report: CredentialReport) -> Self {
        Self { pages, shortfall: None, moved_to: None, report }
    }
}

/// Runners that GitHub counts and does not list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// How many.
    pub missing: u64,
    /// The same in words.
    pub failure: Failure,
}

/// A list that was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// Whether some pages were read.
    pub partial: bool,
    /// Why no more.
    pub failure: Failure,
}

/// Where people are told.
pub trait Chat: Send + Sync {
    /// Sends a notice as a message.
    fn send(
        &self,
        notification: &Notification,
        form: Form,
        to: Route<'_>,
    ) -> impl Future<Output = Result<Delivered, ChatError>> + Send;

    /// Sends a notice as a reply to an earlier message. A chat without threads never says where a message is, so that
    /// nothing can be replied to.
    fn reply(
        &self,
        notification: &Notification,
        form: Form,
        to: &Place,
    ) -> impl Future<Output = Result<Delivered, EditError>> + Send {
        let _ = (notification, form, to);
        std::future::ready(Err(EditError::Gone))
    }

    /// Puts into an earlier message what has become of its outages, and who looks after those that are open. Doing it
    /// twice is the same as doing it once.
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
    /// To this one. A chat that knows no such channel says that it is dead.
    Channel(&'a str),
    /// To the default channel in place of one that takes nothing, which the message says at its head.
    InsteadOf {
        /// Where it should have gone.
        channel: &'a str,
        /// Why it could not.
        reason: &'a str,
    },
}

impl<'a> Route<'a> {
    /// The way to a channel; none is the default.
    pub fn to(channel: Option<&'a str>) -> Self {
        channel.map_or(Route::Default, Route::Channel)
    }
}

/// Faults of altering an earlier message, or of replying to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is not there, or can no longer be altered.
    #[error("the earlier message cannot be edited or replied to")]
    Gone,
    /// As with any message.
    #[error(transparent)]
    Chat(#[from] ChatError),
}

/// How a notice is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As laid out.
    Blocks,
    /// As plain text, after the layout was refused.
    PlainText,
    /// Only what it is about, after its text was refused too.
    SubjectOnly,
}

/// Faults of sending a message, sorted by what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// A rate limit: again after this long. The message was not taken.
    #[error("asked to wait {} s", retry_after.as_secs())]
    Busy {
        /// How long to wait.
        retry_after: Duration,
    },
    /// It did not work this time. The message may have been taken all the same.
    #[error("{0}")]
    Transient(String),
    /// No connection: nothing was sent, so the message was certainly not taken.
    #[error("{0}")]
    NotSent(String),
    /// This message is refused for what is in it.
    #[error("the message was refused: {0}")]
    ContentRefused(String),
    /// No message is taken until a person mends something: webhook, token or channel.
    #[error("{0}")]
    Dead(String),
}

/// Time and chance. The only way for either into the pipeline.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// How long this machine has been up, by a clock that nobody can set and that goes on while it sleeps; none where there
    /// is none that can be trusted, as in a Lambda, which may be frozen.
    fn uptime(&self) -> Option<Duration> {
        None
    }

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// A number that nobody else has drawn, as far as chance allows.
    fn random(&self) -> u64;
}
