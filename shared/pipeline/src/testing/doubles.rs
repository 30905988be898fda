//! Stand-ins for the ports that a suite is not about: scripted, in memory, in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use monitor_domain::notices::Notice;
use monitor_domain::observation::{CredentialReport, Failure, Lookup, ObservedPage, ObservedRunner, PageTag};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::{Target, TargetId};
use monitor_domain::time::Timestamp;

use crate::items::{Acknowledgement, Delivered, Item, Key, LiveMessage, Place, Put, Query};
use crate::ports::{
    Chat, ChatError, Clock, EditError, Form, Incomplete, Listing, Outgoing, PutOutcome, QueueError, RunnerSource,
    Sender, Store, StoreError,
};

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A clock that stands still but for waits. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct StillClock {
    now: Arc<Mutex<Timestamp>>,
    drawn: Arc<Mutex<u64>>,
}

impl Default for StillClock {
    fn default() -> Self {
        let start = Timestamp::from_epoch_ms(1_800_000_000_000);
        Self { now: Arc::new(Mutex::new(start)), drawn: Arc::default() }
    }
}

impl StillClock {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut now = lock(&self.now);
        *now = now.plus(by);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        *lock(&self.now)
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }

    fn random(&self) -> u64 {
        let mut drawn = lock(&self.drawn);
        *drawn += 1;
        *drawn
    }
}

/// GitHub as the test says it is. Pages have ETags, a hundred runners each.
#[derive(Default)]
pub struct ScriptedSource<'a> {
    runners: Mutex<BTreeMap<TargetId, Vec<ObservedRunner>>>,
    failures: Mutex<BTreeMap<TargetId, Incomplete>>,
    repositories: Mutex<BTreeMap<String, Vec<Target>>>,
    meanwhile: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>>,
    fresh_pages: Mutex<u32>,
}

impl<'a> ScriptedSource<'a> {
    /// Registers runners with a target, in place of those it had.
    pub fn set(&self, target: &Target, runners: Vec<ObservedRunner>) {
        lock(&self.failures).remove(target.id());
        lock(&self.runners).insert(target.id().clone(), runners);
    }

    /// Alters one runner's status.
    pub fn set_status(&self, target: &Target, id: u64, status: Status) {
        let mut runners = lock(&self.runners);
        for runner in runners.entry(target.id().clone()).or_default() {
            if runner.id == RunnerId(id) {
                (runner.status, runner.busy) = (status, status == Status::Busy);
            }
        }
    }

    /// Makes every look at a target fail, until its runners are set again.
    pub fn fail(&self, target: &Target, failure: Failure) {
        lock(&self.failures).insert(target.id().clone(), Incomplete { partial: false, failure });
    }

    /// Makes every look at a target break off after some pages, until its runners are set again.
    pub fn break_off(&self, target: &Target, failure: Failure) {
        lock(&self.failures).insert(target.id().clone(), Incomplete { partial: true, failure });
    }

    /// Gives an account its repositories.
    pub fn set_repositories(&self, account: &str, repositories: Vec<Target>) {
        lock(&self.repositories).insert(account.to_owned(), repositories);
    }

    /// Something that happens while the next list, of runners or of repositories, is being read, once.
    pub fn meanwhile(&self, happens: impl Future<Output = ()> + Send + 'a) {
        *lock(&self.meanwhile) = Some(Box::pin(happens));
    }

    /// How many pages were answered in full.
    pub fn fresh_pages(&self) -> u32 {
        *lock(&self.fresh_pages)
    }

    fn page(&self, runners: &[ObservedRunner], known: Option<&PageTag>) -> ObservedPage {
        let etag = Some(format!("{runners:?}"));
        let runner_ids = runners.iter().map(|runner| runner.id).collect();
        let tag = PageTag { etag, given_to: "token".to_owned(), runner_ids };
        match known {
            Some(known) if known.etag == tag.etag => ObservedPage::Unchanged(known.clone()),
            _ => {
                *lock(&self.fresh_pages) += 1;
                ObservedPage::Fresh { tag, runners: runners.to_vec() }
            }
        }
    }
}

impl RunnerSource for ScriptedSource<'_> {
    fn credential(&self, _: &Target) -> CredentialId {
        CredentialId::token()
    }

    async fn list(&self, target: &Target, known: &[PageTag]) -> Listing {
        let runners = lock(&self.runners).get(target.id()).cloned().unwrap_or_default();
        let failure = lock(&self.failures).get(target.id()).cloned();
        let meanwhile = lock(&self.meanwhile).take();
        if let Some(happens) = meanwhile {
            happens.await;
        }
        let pages = match failure {
            Some(incomplete) => Err(incomplete),
            None => {
                let mut chunks: Vec<&[ObservedRunner]> = runners.chunks(100).collect();
                if chunks.is_empty() {
                    chunks.push(&[]);
                }
                Ok(chunks.iter().enumerate().map(|(index, page)| self.page(page, known.get(index))).collect())
            }
        };
        Listing { pages, report: CredentialReport::default() }
    }

    async fn runner(&self, target: &Target, id: RunnerId) -> Result<Lookup, Failure> {
        let found =
            lock(&self.runners).get(target.id()).and_then(|runners| runners.iter().find(|r| r.id == id).cloned());
        Ok(found.map_or(Lookup::NotFound, Lookup::Found))
    }

    async fn repositories_of(&self, account: &str) -> Result<Vec<Target>, Failure> {
        let meanwhile = lock(&self.meanwhile).take();
        if let Some(happens) = meanwhile {
            happens.await;
        }
        Ok(lock(&self.repositories).get(account).cloned().unwrap_or_default())
    }
}

/// A queue that only remembers what was sent.
#[derive(Debug, Default)]
pub struct Outbox(Mutex<VecDeque<Outgoing>>);

impl Outbox {
    /// Takes out what was sent.
    pub fn take(&self) -> Vec<Outgoing> {
        lock(&self.0).drain(..).collect()
    }
}

impl Sender for Outbox {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        lock(&self.0).extend(messages);
        Ok(())
    }
}

/// A chat that takes every message, but for the answers it was told to give first.
#[derive(Debug, Default)]
pub struct ScriptedChat {
    answers: Mutex<VecDeque<ChatError>>,
    taken: Mutex<Vec<(Notice, Form)>>,
    /// None where it has no threads.
    threads: Option<Mutex<Threads>>,
}

/// What became of messages in a chat that has threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threads {
    /// The messages that were edited, as they read then; by their id.
    pub edits: Vec<LiveMessage>,
    /// The ids of the messages that were replied to.
    pub replies: Vec<String>,
    sent: u32,
    are_gone: bool,
}

impl ScriptedChat {
    /// A chat that says where its messages are, so that they can be edited and replied to.
    pub fn with_threads() -> Self {
        Self { threads: Some(Mutex::default()), ..Self::default() }
    }

    /// Takes out what became of earlier messages.
    pub fn take_threads(&self) -> Threads {
        let Some(threads) = &self.threads else { return Threads::default() };
        let mut threads = lock(threads);
        let (sent, are_gone) = (threads.sent, threads.are_gone);
        std::mem::replace(&mut *threads, Threads { sent, are_gone, ..Threads::default() })
    }

    /// From now on, no earlier message is there any more.
    pub fn lose_messages(&self) {
        if let Some(threads) = &self.threads {
            lock(threads).are_gone = true;
        }
    }

    /// Refuses the next messages so, in order.
    pub fn refuse(&self, answers: impl IntoIterator<Item = ChatError>) {
        lock(&self.answers).extend(answers);
    }

    /// Forgets the answers that it was to give: it takes messages again.
    pub fn accept(&self) {
        lock(&self.answers).clear();
    }

    /// Takes out the messages taken so far.
    pub fn take(&self) -> Vec<(Notice, Form)> {
        std::mem::take(&mut lock(&self.taken))
    }
}

impl Chat for ScriptedChat {
    async fn send(&self, notice: &Notice, form: Form) -> Result<Delivered, ChatError> {
        if let Some(answer) = lock(&self.answers).pop_front() {
            return Err(answer);
        }
        // Another task may run between taking a message and answering.
        tokio::task::yield_now().await;
        lock(&self.taken).push((notice.clone(), form));
        let Some(threads) = &self.threads else { return Ok(Delivered::default()) };
        let mut threads = lock(threads);
        threads.sent += 1;
        Ok(Delivered { channel: Some("C1".to_owned()), ts: Some(threads.sent.to_string()) })
    }

    async fn reply(&self, notice: &Notice, form: Form, to: &Place) -> Result<Delivered, EditError> {
        let Some(threads) = &self.threads else { return Err(EditError::Gone) };
        if lock(threads).are_gone {
            return Err(EditError::Gone);
        }
        let delivered = self.send(notice, form).await?;
        lock(threads).replies.push(to.ts.clone());
        Ok(delivered)
    }

    async fn edit(&self, message: &LiveMessage, _: &Notice, _: &[Acknowledgement]) -> Result<(), EditError> {
        let Some(threads) = &self.threads else { return Err(EditError::Gone) };
        if lock(threads).are_gone {
            return Err(EditError::Gone);
        }
        if let Some(answer) = lock(&self.answers).pop_front() {
            return Err(answer.into());
        }
        lock(threads).edits.push(message.clone());
        Ok(())
    }
}

/// What happens to a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutFault {
    /// Nothing.
    None,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is not done, and nobody answers.
    RequestLost,
}

/// A store with faults by plan, which counts its requests.
pub struct FaultyStore<'s, S> {
    store: &'s S,
    faults: Mutex<VecDeque<PutFault>>,
    down: Mutex<bool>,
    counts: Mutex<Requests>,
    written: Mutex<Vec<Key>>,
}

/// Requests to a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Gets and lists.
    pub reads: u32,
    /// Puts.
    pub puts: u32,
    /// Deletes.
    pub deletes: u32,
}

impl<'s, S: Store> FaultyStore<'s, S> {
    /// A store without faults so far.
    pub fn over(store: &'s S) -> Self {
        Self {
            store,
            faults: Mutex::default(),
            down: Mutex::new(false),
            counts: Mutex::default(),
            written: Mutex::default(),
        }
    }

    /// What happens to the next puts, in order.
    pub fn plan(&self, faults: impl IntoIterator<Item = PutFault>) {
        lock(&self.faults).extend(faults);
    }

    /// From the end of the plan on, no put is done.
    pub fn go_down(&self, down: bool) {
        *lock(&self.down) = down;
    }

    /// Takes out the count of requests.
    pub fn take_requests(&self) -> Requests {
        std::mem::take(&mut lock(&self.counts))
    }

    /// Takes out the keys written so far.
    pub fn take_written(&self) -> Vec<Key> {
        std::mem::take(&mut lock(&self.written))
    }

    fn unavailable() -> StoreError {
        StoreError::Unavailable("no answer in time".to_owned())
    }
}

impl<S: Store> Store for FaultyStore<'_, S> {
    async fn put(&self, puts: Vec<Put>) -> Result<PutOutcome, StoreError> {
        lock(&self.counts).puts += 1;
        let planned = lock(&self.faults).pop_front();
        let fault = match planned {
            Some(fault) => fault,
            None if *lock(&self.down) => PutFault::RequestLost,
            None => PutFault::None,
        };
        if fault == PutFault::RequestLost {
            return Err(Self::unavailable());
        }
        lock(&self.written).extend(puts.iter().map(|put| put.item.key()));
        let outcome = self.store.put(puts).await;
        // Others may act between a write and its answer.
        tokio::task::yield_now().await;
        if fault == PutFault::AnswerLost { Err(Self::unavailable()) } else { outcome }
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        lock(&self.counts).reads += 1;
        tokio::task::yield_now().await;
        self.store.get(keys).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        lock(&self.counts).reads += 1;
        tokio::task::yield_now().await;
        self.store.list(query).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        lock(&self.counts).deletes += 1;
        self.store.delete(keys).await
    }

    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }
}

/// A store that takes its time, and loses what it is asked about some targets.
pub struct SlowStore<'s, S> {
    store: &'s S,
    delay: Duration,
    lost: Mutex<Vec<TargetId>>,
    all_lost: Mutex<bool>,
}

impl<'s, S: Store> SlowStore<'s, S> {
    /// A store whose every answer takes `delay` of the runtime's time.
    pub fn over(store: &'s S, delay: Duration) -> Self {
        Self { store, delay, lost: Mutex::default(), all_lost: Mutex::new(false) }
    }

    /// From now on, nobody answers what is asked about the runners of a target.
    pub fn lose(&self, target: TargetId) {
        lock(&self.lost).push(target);
    }

    /// From now on, nobody answers anything.
    pub fn lose_all(&self) {
        *lock(&self.all_lost) = true;
    }

    async fn answer(&self) -> Result<(), StoreError> {
        tokio::time::sleep(self.delay).await;
        if *lock(&self.all_lost) { Err(StoreError::Unavailable("no answer in time".to_owned())) } else { Ok(()) }
    }
}

impl<S: Store> Store for SlowStore<'_, S> {
    async fn put(&self, puts: Vec<Put>) -> Result<PutOutcome, StoreError> {
        self.answer().await?;
        self.store.put(puts).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        self.answer().await?;
        self.store.get(keys).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        self.answer().await?;
        match query {
            Query::Fleet(target) if lock(&self.lost).contains(target) => {
                Err(StoreError::Unavailable("no answer in time".to_owned()))
            }
            query => self.store.list(query).await,
        }
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.answer().await?;
        self.store.delete(keys).await
    }

    fn max_batch(&self) -> usize {
        self.store.max_batch()
    }
}
