//! The monitor in a scenario: its ports, its settings, and a function for each stage.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use monitor_domain::muting::Authority;
use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::target::{Target, TargetSpec};
use monitor_domain::weekly::WEEKDAYS;
use monitor_github::read_webhook;
use monitor_pipeline::commands::{Asker, Command};
use monitor_pipeline::messages::{ChecksMessage, JobReport, StateChange};
use monitor_pipeline::person::PersonId;
use monitor_pipeline::ports::{Clock, Outgoing, Sender};
use monitor_pipeline::stages::{
    Check, CheckSettings, Disposition, KnownTargets, LatestChecks, Notify, NotifySettings, QuotaEstimators, RecordJob,
    Respond, Schedule, ScheduleSettings,
};

use crate::calendar::{INTERVAL_MS, MINUTE_MS};
use crate::faults::StoreKind;
use crate::machine::Shared;
use crate::network::{SimulatedGitHub, SimulatedSender};
use crate::slack::SimulatedSlack;
use crate::store::{SimulatedStore, Stored};
use crate::targets::{FOUND, TARGETS};
use crate::world::{CREDENTIAL_POOL_LABELS, CREDENTIAL_POOL_MINIMUM, POOL_LABEL, POOL_MINIMUM, Rules};

/// `repeatInterval` of the policy, short enough that reminders occur in a scenario of one day.
pub const REMIND_MS: i64 = 60 * MINUTE_MS;
/// `maxRepeats` of the policy.
pub const REMINDERS: u32 = 2;

/// How long a delivery may take to be stored: GitHub waits 10 s.
const STORED_WITHIN_MS: i64 = 8_000;
/// How long a person waits before repeating a command that got no answer.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// The ports of an installation.
pub struct Installation {
    /// Virtual time and the simulated services.
    pub shared: Shared,
    /// The store, without faults.
    pub stored: Stored,
    github: SimulatedGitHub,
    slack: SimulatedSlack,
    jobs: SimulatedSender,
    changes: SimulatedSender,
    /// Functions that wait for the next message, each with its connection to the store.
    warm: Mutex<Vec<Arc<SimulatedStore>>>,
    /// The list of targets, as the reports of jobs know it.
    known: KnownTargets,
    /// The last parsed policy, and the rules that it was parsed from.
    policy: Mutex<Option<(Rules, Policy)>>,
}

impl Installation {
    /// Creates an installation with an empty store.
    pub fn new(store: StoreKind, is_bot: bool, shared: Shared) -> anyhow::Result<Self> {
        Ok(Self {
            stored: Stored::new(store, &shared)?,
            github: SimulatedGitHub(shared.clone()),
            slack: SimulatedSlack { shared: shared.clone(), is_bot },
            jobs: SimulatedSender { shared: shared.clone(), fifo: false },
            changes: SimulatedSender { shared: shared.clone(), fifo: true },
            warm: Mutex::default(),
            known: KnownTargets::default(),
            policy: Mutex::default(),
            shared,
        })
    }

    /// A function's connection to the store: a warm one if there is one, else a new one.
    pub fn start(&self) -> Arc<SimulatedStore> {
        let warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner).pop();
        warm.unwrap_or_else(|| Arc::new(self.stored.connect(&self.shared)))
    }

    /// Keeps the connection of a function that ended normally, for the next message.
    pub fn keep_warm(&self, store: Arc<SimulatedStore>) {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner).push(store);
    }

    /// Closes all warm connections.
    pub fn stop(&self) {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn configured(&self) -> Vec<TargetSpec> {
        let machine = self.shared.lock();
        let by_name = TARGETS.iter().zip(machine.world.watched).take(FOUND).filter(|(_, watched)| *watched);
        let by_name = by_name.filter_map(|(name, _)| name.parse::<Target>().ok()).map(TargetSpec::One);
        by_name.chain([TargetSpec::RepositoriesOf("late".to_owned())]).collect()
    }

    fn policy(&self) -> Policy {
        let rules = self.shared.lock().world.rules;
        let mut read = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        match &*read {
            Some((of, policy)) if *of == rules => policy.clone(),
            _ => read.insert((rules, Self::read_policy(rules))).1.clone(),
        }
    }

    fn read_policy(rules: Rules) -> Policy {
        let removed = if rules.alert_on_removed { "alert" } else { "ignore" };
        let (remind, reminders) = (REMIND_MS / MINUTE_MS, REMINDERS);
        let of_target = format!(r#""{POOL_LABEL}":{{"minimumOnline":{POOL_MINIMUM}}}"#);
        let of_credential =
            format!(r#""{CREDENTIAL_POOL_LABELS}":{{"minimumOnline":{CREDENTIAL_POOL_MINIMUM},"over":"credential"}}"#);
        let pools = match (rules.has_pool, rules.has_pool_over_credential) {
            (false, false) => String::new(),
            (true, false) => format!(r#","pools":{{{of_target}}}"#),
            (false, true) => format!(r#","pools":{{{of_credential}}}"#),
            (true, true) => format!(r#","pools":{{{of_target},{of_credential}}}"#),
        };
        let report = rules.report.map_or_else(String::new, |(day, hour)| {
            format!(r#","report":{{"day":"{}","hour":{hour}}}"#, WEEKDAYS[day])
        });
        let json = format!(
            r#"{{"failureThreshold":{},"onRemoved":"{removed}","repeatInterval":"{remind}m","maxRepeats":{reminders}{pools}{report}}}"#,
            rules.failure_threshold
        );
        // Never the default in its place: the scenario would have another policy than the model.
        let document: PolicyDocument = serde_json::from_str(&json).expect("the policy is JSON");
        Policy::new(document, &[]).expect("the policy has no faults")
    }

    async fn record(&self, store: &SimulatedStore, report: &JobReport) -> Disposition {
        RecordJob { store, clock: &self.shared, known: &self.known }.run(report).await
    }

    fn interval() -> Duration {
        Duration::from_millis(INTERVAL_MS.unsigned_abs())
    }
}

/// Runs the scheduler.
pub async fn schedule(this: Arc<Installation>, store: Arc<SimulatedStore>) -> Disposition {
    let (policy, configured) = (this.policy(), this.configured());
    let settings = ScheduleSettings {
        policy,
        configured,
        interval: Installation::interval(),
        jobs_per_minute: Some(600),
        jobs: false,
    };
    let (store, source, jobs, changes, clock) = (&*store, &this.github, &this.jobs, &this.changes, &this.shared);
    let began_ms = clock.lock().now_ms;
    let quota_estimators = &QuotaEstimators::default();
    let report = Schedule { store, source, jobs, changes, clock, settings: &settings, quota_estimators }.run().await;
    if report.disposition == Disposition::Done {
        let mut machine = clock.lock();
        let settled_ms = machine.now_ms;
        machine.world.ticks_ms.push((began_ms, settled_ms));
    }
    report.disposition
}

/// Runs the check that a message asks for.
pub async fn check(this: Arc<Installation>, store: Arc<SimulatedStore>, body: String) -> Disposition {
    let job = match ChecksMessage::from_json(&body) {
        Ok(ChecksMessage::Check(job)) => job,
        Ok(ChecksMessage::Report(report)) => return this.record(&store, &report).await,
        Err(error) => return Disposition::DeadLetter { reason: error.to_string() },
    };
    let settings = CheckSettings {
        policy: this.policy(),
        configured: this.configured(),
        interval: Installation::interval(),
        jobs: this.shared.lock().world.jobs.webhook.is_some(),
    };
    let (store, source, jobs, changes, clock) = (&*store, &this.github, &this.jobs, &this.changes, &this.shared);
    Check { store, source, jobs, changes, clock, settings: &settings, latest: &LatestChecks::default() }
        .run(&job)
        .await
        .disposition
}

/// Answers a delivery of the webhook: on AWS its report goes to the queue for checks, otherwise it is stored at once.
pub async fn receive(this: Arc<Installation>, store: Arc<SimulatedStore>, body: String) -> Disposition {
    let report = match read_webhook("workflow_job", body.as_bytes(), Clock::now(&this.shared)) {
        Ok(Some(report)) => report,
        Ok(None) => return Disposition::Done,
        Err(refusal) => return Disposition::DeadLetter { reason: refusal.to_string() },
    };
    if this.shared.lock().world.jobs.webhook.is_some_and(|webhook| webhook.is_queued) {
        let message = Outgoing { body: report.to_json(), ..Outgoing::default() };
        return match this.jobs.send(vec![message]).await {
            Ok(()) => Disposition::Done,
            Err(error) => Disposition::Retry { after: Duration::ZERO, reason: error.to_string() },
        };
    }
    let stored = std::pin::pin!(this.record(&store, &report));
    match select(stored, std::pin::pin!(this.shared.wait(STORED_WITHIN_MS))).await {
        Either::Left((disposition, _)) => disposition,
        Either::Right(_) => Disposition::Retry { after: Duration::ZERO, reason: "not stored in time".to_owned() },
    }
}

/// Runs the notifier for the subject of a message.
pub async fn notify(this: Arc<Installation>, store: Arc<SimulatedStore>, body: String, receives: u32) -> Disposition {
    let Ok(message) = StateChange::from_json(&body) else {
        return Disposition::DeadLetter { reason: body };
    };
    let (store, chat, clock) = (&*store, &this.slack, &this.shared);
    let settings = NotifySettings { lease: Duration::from_secs(90), ..NotifySettings::default() };
    let policy = &this.policy();
    Notify { store, chat, clock, policy, settings }.run(&message.subject, receives).await.disposition
}

/// Answers a person's command. A person who gets no answer asks again.
pub async fn respond(this: Arc<Installation>, store: Arc<SimulatedStore>, command: Command) -> Disposition {
    let Ok(person) = PersonId::try_from("U0SOMEBODY".to_owned()) else {
        return Disposition::DeadLetter { reason: "not a person's id".to_owned() };
    };
    let respond = Respond { store: &*store, jobs: &this.jobs, clock: &this.shared };
    match respond.run(&command, &Asker { id: person, authority: Authority::Admin, request: None }).await {
        Ok(_) => Disposition::Done,
        Err(error) => Disposition::Retry { after: ASK_AGAIN, reason: error.to_string() },
    }
}
