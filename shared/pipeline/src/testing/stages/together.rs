//! Reads that must run concurrently.

use monitor_domain::observation::{Failure, Lookup, PageTag};
use monitor_domain::subject::CredentialId;
use tokio::sync::{Barrier, Mutex};

use super::*;
use crate::ports::{Listing, RunnerSource, StoreError};

/// How long concurrent requests wait for each other.
const PATIENCE: Duration = Duration::from_secs(5);

/// Holds the first requests back until enough different ones have arrived.
struct Meeting {
    barrier: Barrier,
    met: Mutex<BTreeSet<&'static str>>,
}

impl Meeting {
    fn of(requests: usize) -> Self {
        Self { barrier: Barrier::new(requests), met: Mutex::default() }
    }

    async fn come(&self, request: &'static str) {
        if self.met.lock().await.insert(request) {
            let met = tokio::time::timeout(PATIENCE, self.barrier.wait()).await;
            assert!(met.is_ok(), "{request} is not concurrent with another request");
        }
    }
}

struct MeetingStore<'a, S>(&'a S, &'a Meeting);

impl<S: Store> Store for MeetingStore<'_, S> {
    fn max_batch(&self) -> usize {
        self.0.max_batch()
    }

    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        self.0.put(puts).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        self.1.come("get").await;
        self.0.get(keys).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        match query {
            Query::Fleet(target) if target == repository("api").id() => self.1.come("another list").await,
            _ => self.1.come("list").await,
        }
        self.0.list(query).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.0.delete(keys).await
    }
}

struct MeetingSource<'a, 's>(&'a ScriptedSource<'s>, &'a Meeting);

impl RunnerSource for MeetingSource<'_, '_> {
    fn credential(&self, target: &Target) -> CredentialId {
        self.0.credential(target)
    }

    async fn list(&self, target: &Target, known: &[PageTag]) -> Listing {
        assert_eq!(self.1.met.lock().await.len(), 2, "the store is read before GitHub is asked");
        self.0.list(target, known).await
    }

    async fn runner(&self, target: &Target, id: RunnerId) -> Result<Lookup, Failure> {
        self.0.runner(target, id).await
    }

    async fn repositories_of(&self, account: &str) -> Result<Vec<Target>, Failure> {
        self.0.repositories_of(account).await
    }
}

pub(super) async fn a_check_reads_its_stored_items_concurrently<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.clock.advance(INTERVAL);
    let meeting = Meeting::of(2);
    let (store, source) = (MeetingStore(store, &meeting), MeetingSource(&this.source, &meeting));
    let (jobs, changes, clock) = (&this.jobs, &this.changes, &this.clock);
    let stage = Check {
        store: &store,
        source: &source,
        jobs,
        changes,
        clock,
        settings: &this.check,
        latest: &LatestChecks::default(),
    };
    let job = CheckJob::from_json(r#"{"repository":"acme/web","reason":"recheck"}"#)
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(stage.run(&job).await.ending, CheckEnding::Seen(_)));
}

pub(super) async fn a_notifier_reads_its_deliveries_and_the_target_concurrently<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    let meeting = Meeting::of(2);
    let store = MeetingStore(store, &meeting);
    let (policy, settings) = (&this.check.policy, NotifySettings::default());
    let stage = Notify { store: &store, chat: &this.chat, clock: &this.clock, policy, settings };
    assert_eq!(stage.run(&subject(), 1).await.delivered.len(), 1);
}

pub(super) async fn a_tick_reads_dropped_targets_concurrently<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured.extend(["api", "app"].map(|name| TargetSpec::One(repository(name))));
    this.tick().await;
    this.check.configured.truncate(1);
    this.check.configured[0] = TargetSpec::One(repository("app"));
    this.tick().await;
    let meeting = Meeting::of(2);
    // The list of targets is read first, on its own.
    meeting.met.lock().await.insert("get");
    let slow = MeetingStore(store, &meeting);
    let configured = this.check.configured.clone();
    let mut next = Installation::new(&slow);
    next.check.configured = configured;
    assert_eq!(next.tick().await.dropped, [repository("api"), web()]);
    assert_eq!(meeting.met.lock().await.len(), 3);
}
