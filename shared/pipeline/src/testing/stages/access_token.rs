//! The token of a GitHub App's installation, which all pollers share.

use monitor_domain::observation::{Failure, Lookup, PageTag};
use monitor_domain::subject::CredentialId;
use tokio::sync::Mutex;

use super::*;
use crate::items::AccessToken;
use crate::ports::{Listing, RunnerSource};
use crate::testing::samples::access_token;

/// A source that uses a GitHub App's installation. Records the stored token it receives, and returns the one to store.
struct OfAnApp<'a, 's> {
    source: &'a ScriptedSource<'s>,
    handed: Mutex<Vec<Option<AccessToken>>>,
    gives: Mutex<Option<AccessToken>>,
}

impl RunnerSource for OfAnApp<'_, '_> {
    fn credential(&self, target: &Target) -> CredentialId {
        CredentialId::app_installation(target.owner())
    }

    async fn prepare(&self, _: &Target, stored: Option<&AccessToken>) -> Option<AccessToken> {
        self.handed.lock().await.push(stored.cloned());
        self.gives.lock().await.take()
    }

    async fn list(&self, target: &Target, known: &[PageTag]) -> Listing {
        self.source.list(target, known).await
    }

    async fn runner(&self, target: &Target, id: RunnerId) -> Result<Lookup, Failure> {
        self.source.runner(target, id).await
    }

    async fn repositories_of(&self, account: &str) -> Result<Vec<Target>, Failure> {
        self.source.repositories_of(account).await
    }
}

pub(super) async fn the_access_token_is_stored_for_every_poller<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    let (first, second) = (access_token("acme", "one"), access_token("acme", "two"));
    let (jobs, changes, clock) = (&this.jobs, &this.changes, &this.clock);
    for (gives, is_handed) in [(Some(first.clone()), None), (Some(second.clone()), Some(first)), (None, Some(second))] {
        this.clock.advance(INTERVAL);
        let source = OfAnApp { source: &this.source, handed: Mutex::default(), gives: Mutex::new(gives) };
        let stage = Check {
            store: &this.store,
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
        assert_eq!(*source.handed.lock().await, [is_handed]);
    }
}
