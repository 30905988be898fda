//! The stages over a store, with a scripted GitHub, a scripted chat and a manual clock.

use std::collections::BTreeSet;
use std::time::Duration;

use monitor_domain::notifications::Notification;
use monitor_domain::observation::ObservedRunner;
use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetSpec};
use monitor_pipeline::messages::{CheckJob, Reason, StateChange};
use monitor_pipeline::ports::Store;
use monitor_pipeline::stages::{Check, CheckReport, CheckSettings, Disposition, LatestChecks, Notify, NotifySettings};
use monitor_pipeline::testing::doubles::{Outbox, ScriptedChat, ScriptedSource, StillClock};

/// Everything in an installation except its store.
pub(crate) struct Installation<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) source: ScriptedSource<'a>,
    pub(crate) clock: StillClock,
    jobs: Outbox,
    changes: Outbox,
    chat: ScriptedChat,
    settings: CheckSettings,
}

/// The only target.
pub(crate) fn web() -> Target {
    "acme/web".parse().unwrap()
}

fn observed(id: u64) -> ObservedRunner {
    ObservedRunner {
        id: RunnerId(id),
        name: format!("runner-{id}"),
        os: "linux".to_owned(),
        status: Status::Idle,
        busy: false,
        ephemeral: false,
        group_id: None,
        version: Some("2.331.0".to_owned()),
        labels: vec!["self-hosted".to_owned()],
    }
}

impl<'a, S: Store> Installation<'a, S> {
    /// An installation before its first check, with this many idle runners.
    pub(crate) fn new(store: &'a S, runners: u64) -> Self {
        let configured = vec![TargetSpec::One(web())];
        let policy = Policy::new(PolicyDocument::default(), &configured).unwrap();
        let source = ScriptedSource::default();
        source.set(&web(), (1..=runners).map(observed).collect());
        Self {
            store,
            source,
            clock: StillClock::default(),
            jobs: Outbox::default(),
            changes: Outbox::default(),
            chat: ScriptedChat::default(),
            settings: CheckSettings { policy, configured, interval: Duration::from_secs(300), jobs: false },
        }
    }

    /// Sets the status of the first `runners` runners.
    pub(crate) fn set_status(&self, runners: u64, status: Status) {
        (1..=runners).for_each(|id| self.source.set_status(&web(), id, status));
    }

    /// Runs one check, a minute later.
    pub(crate) async fn check(&self) -> CheckReport {
        self.clock.advance(Duration::from_secs(60));
        let (jobs, changes, clock) = (&self.jobs, &self.changes, &self.clock);
        let stage = Check {
            store: self.store,
            source: &self.source,
            jobs,
            changes,
            clock,
            settings: &self.settings,
            latest: &LatestChecks::default(),
        };
        stage.run(&CheckJob { target: web(), reason: Reason::Recheck, requested_at: None, valid_until: None }).await
    }

    /// Checks until the job is done, and returns the number of attempts.
    pub(crate) async fn check_until_done(&self) -> u32 {
        for tries in 1..20 {
            if self.check().await.disposition == Disposition::Done {
                return tries;
            }
        }
        panic!("the check does not end");
    }

    /// Delivers the state-change messages to the notifier until each is done. Returns the sent notifications.
    pub(crate) async fn notify_all(&self) -> Vec<Notification> {
        let subjects: BTreeSet<Subject> =
            self.changes.take().iter().map(|message| StateChange::from_json(&message.body).unwrap().subject).collect();
        for subject in subjects {
            for tries in 0.. {
                assert!(tries < 20, "notifying does not end");
                let settings = NotifySettings::default();
                let policy = &Policy::default();
                let stage = Notify { store: self.store, chat: &self.chat, clock: &self.clock, policy, settings };
                if stage.run(&subject, tries + 1).await.disposition == Disposition::Done {
                    break;
                }
                // Let the lease of a claim without a known outcome expire.
                self.clock.advance(settings.lease);
            }
        }
        self.chat.take().into_iter().map(|(notification, _)| notification).collect()
    }
}
