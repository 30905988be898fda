//! What the stages promise over any store: run by every store adapter.

use std::collections::BTreeSet;
use std::time::Duration;

use monitor_domain::change::Step;
use monitor_domain::notices::{News, Notice};
use monitor_domain::observation::{Failure, Fault, ObservedRunner};
use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::{Target, TargetSpec};

use crate::items::{Attempt, Item, Key, Query, SendEnding};
use crate::messages::{CheckJob, Reason, WakeUp};
use crate::ports::{ChatError, Clock, Form, Store};
use crate::stages::{
    Check, CheckReport, CheckSettings, Disposition, Ending, Notify, NotifyReport, NotifySettings, Schedule,
    ScheduleReport, ScheduleSettings,
};
use crate::testing::doubles::{FaultyStore, Outbox, PutFault, Requests, ScriptedChat, ScriptedSource, StillClock};

const INTERVAL: Duration = Duration::from_secs(300);
const MINUTE: Duration = Duration::from_secs(60);

/// Runs the whole suite, each part on a new store of `make`.
pub async fn run_all<S: Store>(make: impl AsyncFn() -> S) {
    a_lost_race_is_thrown_away_and_asked_again(&make().await).await;
    an_own_commit_whose_answer_is_lost_is_recognised(&make().await).await;
    a_claim_whose_answer_is_lost_is_recognised(&make().await).await;
    a_large_decision_is_split_and_told_whole(&make().await).await;
    a_split_that_broke_off_is_finished_and_told_whole(&make().await).await;
    two_notifiers_at_once_send_one_message(&make().await).await;
    a_claim_without_record_is_sent_again_after_its_lease(&make().await).await;
    a_send_that_failed_is_repeated_when_it_is_due(&make().await).await;
    a_short_wait_is_waited_out(&make().await).await;
    a_refused_layout_goes_as_plain_text_and_then_no_more(&make().await).await;
    what_happened_while_the_chat_was_dead_is_told_in_one_message(&make().await).await;
    a_steady_check_costs_two_reads_and_no_write(&make().await).await;
    nothing_to_tell_wakes_nobody(&make().await).await;
    only_a_look_that_counted_sends_a_recheck(&make().await).await;
    a_refused_credential_is_told_once_for_all_its_targets(&make().await, false).await;
    a_refused_credential_is_told_once_for_all_its_targets(&make().await, true).await;
    a_dropped_target_is_closed_and_forgotten(&make().await).await;
    old_jobs_and_unknown_targets_are_not_asked_for(&make().await).await;
    a_repository_found_by_its_account_is_watched(&make().await).await;
    no_item_type_has_two_writers(&make().await).await;
    writers_side_by_side_lose_nothing(&make().await).await;
    a_look_that_took_too_long_is_thrown_away(&make().await).await;
    a_tick_that_was_held_up_makes_no_gap(&make().await).await;
    a_gap_is_told_once_by_a_tick_that_broke_off(&make().await).await;
    what_the_list_does_not_find_is_looked_at_once_at_most(&make().await).await;
}

/// Everything of an installation but its store.
struct Installation<'a, S> {
    store: FaultyStore<'a, S>,
    source: ScriptedSource<'a>,
    jobs: Outbox,
    wakes: Outbox,
    chat: ScriptedChat,
    clock: StillClock,
    check: CheckSettings,
}

fn web() -> Target {
    Target::repository("acme/web").unwrap_or_else(|error| panic!("{error}"))
}

fn repository(name: &str) -> Target {
    Target::repository(&format!("acme/{name}")).unwrap_or_else(|error| panic!("{error}"))
}

fn runner(id: u64, status: Status) -> ObservedRunner {
    ObservedRunner {
        id: RunnerId(id),
        name: format!("runner-{id}"),
        os: "linux".to_owned(),
        status,
        busy: status == Status::Busy,
        ephemeral: false,
        version: Some("2.331.0".to_owned()),
        labels: vec!["self-hosted".to_owned()],
    }
}

impl<'a, S: Store> Installation<'a, S> {
    fn new(store: &'a S) -> Self {
        let document = PolicyDocument::default();
        let configured = vec![TargetSpec::One(web())];
        let policy = Policy::new(document, &configured).unwrap_or_default();
        Self {
            store: FaultyStore::over(store),
            source: ScriptedSource::default(),
            jobs: Outbox::default(),
            wakes: Outbox::default(),
            chat: ScriptedChat::default(),
            clock: StillClock::default(),
            check: CheckSettings { policy, configured, interval: INTERVAL },
        }
    }

    /// An installation whose policy takes the first bad reading for an outage.
    fn hasty(store: &'a S) -> Self {
        let mut this = Self::new(store);
        let document: PolicyDocument = serde_json::from_str(r#"{"confirm":1}"#).unwrap_or_default();
        this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
        this
    }

    /// An installation that has seen `runners` of acme/web, all of them well.
    async fn watching(store: &'a S, runners: u64) -> Self {
        let this = Self::new(store);
        this.source.set(&web(), (1..=runners).map(|id| runner(id, Status::Idle)).collect());
        this.check(&web()).await;
        this
    }

    async fn check(&self, target: &Target) -> CheckReport {
        self.check_for(target, Reason::Manual).await
    }

    async fn check_for(&self, target: &Target, reason: Reason) -> CheckReport {
        let (store, source, jobs, wakes) = (&self.store, &self.source, &self.jobs, &self.wakes);
        let stage = Check { store, source, jobs, wakes, clock: &self.clock, settings: &self.check };
        stage.run(&CheckJob { target: target.clone(), reason, requested_at: Some(self.clock.now()) }).await
    }

    async fn notify(&self, subject: &Subject) -> NotifyReport {
        let settings = NotifySettings::default();
        Notify { store: &self.store, chat: &self.chat, clock: &self.clock, settings }.run(subject).await
    }

    async fn tick(&self) -> ScheduleReport {
        let settings = ScheduleSettings {
            policy: self.check.policy.clone(),
            configured: self.check.configured.clone(),
            interval: INTERVAL,
            jobs_per_minute: None,
        };
        let (store, source, jobs, wakes) = (&self.store, &self.source, &self.jobs, &self.wakes);
        Schedule { store, source, jobs, wakes, clock: &self.clock, settings: &settings }.run().await
    }

    /// Hands the notifier what it was woken for.
    async fn tell(&self) -> Vec<Notice> {
        let subjects: BTreeSet<Subject> = self
            .wakes
            .take()
            .iter()
            .filter_map(|message| WakeUp::from_json(&message.body).ok())
            .map(|w| w.subject)
            .collect();
        for subject in subjects {
            self.notify(&subject).await;
        }
        self.chat.take().into_iter().map(|(notice, _)| notice).collect()
    }

    /// Three looks that find runner 1 offline, a minute apart: an outage.
    async fn outage(&self) {
        self.source.set_status(&web(), 1, Status::Offline);
        for _ in 0..3 {
            self.clock.advance(MINUTE);
            self.check(&web()).await;
        }
    }

    async fn changes(&self, subject: &Subject) -> Vec<monitor_domain::change::Change> {
        let query = Query::Changes { subject: subject.clone(), after: Revision(0), limit: 1_000 };
        let items = self.store.list(&query).await.unwrap_or_else(|error| panic!("{error}"));
        items.into_iter().filter_map(|item| if let Item::Change(change) = item { Some(change) } else { None }).collect()
    }

    async fn endings(&self, subject: &Subject) -> Vec<(Attempt, SendEnding)> {
        let query = Query::Notices { subject: subject.clone(), limit: 100 };
        let items = self.store.list(&query).await.unwrap_or_else(|error| panic!("{error}"));
        let sent = items.into_iter().filter_map(|item| if let Item::Sent(sent) = item { Some(sent) } else { None });
        sent.map(|sent| (sent.number, sent.ending)).collect()
    }
}

fn subject() -> Subject {
    Subject::from(&web())
}

fn offline_of(notice: &Notice) -> usize {
    let count = |news: &News| match news {
        News::Offline { outages } | News::MonitoringStarts { outages } => outages.len(),
        _ => 0,
    };
    notice.news.iter().map(count).sum()
}

async fn a_lost_race_is_thrown_away_and_asked_again<S: Store>(store: &S) {
    let other = Installation::watching(store, 2).await;
    let this = Installation::new(store);
    this.source.set(&web(), vec![runner(1, Status::Offline), runner(2, Status::Idle)]);
    other.source.set_status(&web(), 1, Status::Offline);
    this.clock.advance(MINUTE);
    other.clock.advance(MINUTE);
    // Both read revision 1; the other commits while this one is still asking GitHub.
    this.source.meanwhile(async {
        let report = other.check(&web()).await;
        assert!(report.steps.iter().any(|step| matches!(step, Step::Suspected { .. })));
    });
    let report = this.check(&web()).await;
    assert_eq!(report.disposition, Disposition::Done);
    assert!(report.steps.is_empty(), "the same reading must count once: {:?}", report.steps);
    let changes = this.changes(&subject()).await;
    assert_eq!(changes.len(), 2, "one commit for each revision");
}

async fn an_own_commit_whose_answer_is_lost_is_recognised<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    for fault in [PutFault::AnswerLost, PutFault::RequestLost] {
        let status = if fault == PutFault::AnswerLost { Status::Busy } else { Status::Idle };
        this.source.set_status(&web(), 1, status);
        this.clock.advance(MINUTE);
        this.store.plan([fault]);
        let before = this.changes(&subject()).await.len();
        let report = this.check(&web()).await;
        assert!(matches!(report.steps[..], [Step::StatusChanged { to, .. }] if to == status), "{fault:?}");
        assert_eq!(this.changes(&subject()).await.len(), before + 1, "{fault:?}");
    }
}

async fn a_claim_whose_answer_is_lost_is_recognised<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.store.plan([PutFault::AnswerLost]);
    assert_eq!(this.notify(&subject()).await.delivered.len(), 1);
    assert_eq!(this.chat.take().len(), 1);
}

async fn a_large_decision_is_split_and_told_whole<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    let runners = u64::try_from(store.max_batch()).unwrap_or(50) + 70;
    this.source.set(&web(), (1..=runners).map(|id| runner(id, Status::Offline)).collect());
    this.check(&web()).await;
    let changes = this.changes(&subject()).await;
    assert!(changes.len() > 1 && changes.iter().rev().skip(1).all(|change| change.more));
    assert!(changes.last().is_some_and(|change| !change.more));
    let told = this.tell().await;
    assert_eq!(told.iter().map(offline_of).collect::<Vec<_>>(), [usize::try_from(runners).unwrap_or(0)]);
}

async fn a_split_that_broke_off_is_finished_and_told_whole<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    let runners = u64::try_from(store.max_batch()).unwrap_or(50) + 70;
    this.source.set(&web(), (1..=runners).map(|id| runner(id, Status::Offline)).collect());
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    let report = this.check(&web()).await;
    assert!(matches!(report.disposition, Disposition::Retry { .. }), "{:?}", report.disposition);
    assert_eq!(this.notify(&subject()).await.delivered, []);
    this.store.go_down(false);
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    let told = this.tell().await;
    assert_eq!(told.iter().map(offline_of).collect::<Vec<_>>(), [usize::try_from(runners).unwrap_or(0)]);
}

async fn two_notifiers_at_once_send_one_message<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    let subject = subject();
    tokio::join!(this.notify(&subject), this.notify(&subject), this.notify(&subject));
    assert_eq!(this.chat.take().len(), 1);
    assert_eq!(this.endings(&subject).await.len(), 1);
}

async fn a_claim_without_record_is_sent_again_after_its_lease<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    // The claim is stored and the message taken; then nothing more gets through, as after a crash.
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    let report = this.notify(&subject()).await;
    assert!(matches!(report.disposition, Disposition::Retry { .. }));
    assert_eq!(this.chat.take().len(), 1);
    this.store.go_down(false);
    let crashed_for = this.clock.now();
    this.notify(&subject()).await;
    assert_eq!(this.chat.take().len(), 0, "the lease still holds at {crashed_for}");
    this.clock.advance(NotifySettings::default().lease);
    this.notify(&subject()).await;
    assert_eq!(this.chat.take().len(), 1);
    assert_eq!(this.endings(&subject()).await[0].0, Attempt { notice: 1, attempt: 2 });
    this.clock.advance(NotifySettings::default().lease);
    this.notify(&subject()).await;
    assert_eq!(this.chat.take().len(), 0, "told is told");
}

async fn a_send_that_failed_is_repeated_when_it_is_due<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.chat.refuse([ChatError::Transient("no answer".to_owned())]);
    assert_eq!(this.notify(&subject()).await.disposition, Disposition::Done);
    this.clock.advance(NotifySettings::default().first_backoff / 2);
    this.wakes.take();
    this.check(&web()).await;
    assert_eq!(this.wakes.take().len(), 0, "nobody is woken before the attempt is due");
    assert_eq!(this.notify(&subject()).await.delivered, []);
    this.clock.advance(NotifySettings::default().first_backoff);
    this.check(&web()).await;
    assert_eq!(this.tell().await.len(), 1);
}

async fn a_short_wait_is_waited_out<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    this.chat.refuse([ChatError::Busy { retry_after: Duration::from_secs(3) }]);
    assert_eq!(this.notify(&subject()).await.delivered.len(), 1);
    assert_eq!(this.endings(&subject()).await.len(), 1);
}

async fn a_refused_layout_goes_as_plain_text_and_then_no_more<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.outage().await;
    let refused = || ChatError::ContentRefused("invalid_blocks".to_owned());
    this.chat.refuse([refused()]);
    assert_eq!(this.notify(&subject()).await.delivered.len(), 1);
    assert!(matches!(this.chat.take()[..], [(_, Form::PlainText)]));
    // Refused in both forms: given up, and what comes later is told.
    this.source.set_status(&web(), 1, Status::Idle);
    for _ in 0..2 {
        this.clock.advance(MINUTE);
        this.check(&web()).await;
    }
    this.chat.refuse([refused(), refused()]);
    assert_eq!(this.notify(&subject()).await.delivered, []);
    this.outage().await;
    let told = this.tell().await;
    assert!(matches!(&told[..], [notice] if offline_of(notice) == 1), "{told:?}");
}

async fn what_happened_while_the_chat_was_dead_is_told_in_one_message<S: Store>(store: &S) {
    let this = Installation::watching(store, 2).await;
    this.outage().await;
    this.chat.refuse((0..8).map(|_| ChatError::Dead("404 no_service: make a new webhook".to_owned())));
    this.notify(&subject()).await;
    this.source.set_status(&web(), 1, Status::Idle);
    this.source.set_status(&web(), 2, Status::Offline);
    for _ in 0..10 {
        for _ in 0..2 {
            this.clock.advance(Duration::from_secs(600));
            this.check(&web()).await;
        }
        this.tell().await.iter().for_each(|notice| assert_eq!(offline_of(notice), 1));
        this.chat.take();
    }
    let delivered: Vec<_> =
        this.endings(&subject()).await.into_iter().filter(|(_, e)| matches!(e, SendEnding::Delivered(_))).collect();
    assert_eq!(delivered.len(), 1, "one message for both runners");
    assert_eq!(delivered[0].0, Attempt { notice: 1, attempt: 9 });
}

async fn a_steady_check_costs_two_reads_and_no_write<S: Store>(store: &S) {
    let this = Installation::watching(store, 3).await;
    this.store.take_requests();
    let pages = this.source.fresh_pages();
    let mut requests = Vec::new();
    for _ in 0..4 {
        this.clock.advance(INTERVAL);
        this.check(&web()).await;
        requests.push(this.store.take_requests());
    }
    let without = Requests { reads: 2, puts: 0, deletes: 0 };
    let fresh = Requests { puts: 1, ..without };
    assert_eq!(requests, [without, fresh, without, fresh], "freshness once in ten minutes, and nothing else");
    assert_eq!(this.source.fresh_pages(), pages, "every page was answered by 304");
}

async fn nothing_to_tell_wakes_nobody<S: Store>(store: &S) {
    let this = Installation::watching(store, 2).await;
    this.source.set_status(&web(), 1, Status::Busy);
    this.clock.advance(INTERVAL);
    assert_eq!(this.check(&web()).await.steps.len(), 1);
    assert_eq!((this.wakes.take().len(), this.jobs.take().len()), (0, 0));
    // Untold news wake the notifier after every check, also after one that saw nothing new.
    this.outage().await;
    assert_eq!(this.wakes.take().len(), 1);
    this.clock.advance(INTERVAL);
    this.check(&web()).await;
    let woken = this.wakes.take();
    assert_eq!(woken.len(), 1);
    assert!(woken[0].group.as_ref().is_some_and(|group| group.len() <= 128));
    this.notify(&subject()).await;
    this.clock.advance(INTERVAL);
    this.check(&web()).await;
    assert_eq!(this.wakes.take().len(), 0);
}

async fn only_a_look_that_counted_sends_a_recheck<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.source.set_status(&web(), 1, Status::Offline);
    let mut sent = Vec::new();
    for wait_secs in [60, 10, 50, 60, 300] {
        this.clock.advance(Duration::from_secs(wait_secs));
        this.check(&web()).await;
        sent.push(this.jobs.take().iter().map(|message| message.delay).collect::<Vec<_>>());
    }
    // First bad reading; too soon; second; third, which opens the outage; and one that counts for nothing.
    assert_eq!(sent, [vec![MINUTE], vec![], vec![MINUTE], vec![], vec![]]);
}

/// Whether its targets are looked at one after the other, or at once.
async fn a_refused_credential_is_told_once_for_all_its_targets<S: Store>(store: &S, at_once: bool) {
    let mut this = Installation::new(store);
    let targets: Vec<Target> = (0..5).map(|n| repository(&format!("app-{n}"))).collect();
    this.check.configured = targets.iter().cloned().map(TargetSpec::One).collect();
    let mut told = Vec::new();
    for round in 0..10_u64 {
        for (n, target) in (1_u64..).zip(&targets) {
            match round {
                1..6 => this.source.fail(target, Failure::new(Fault::Credential, "GitHub refuses the token (401)")),
                _ => this.source.set(target, vec![runner(n, Status::Idle)]),
            }
        }
        this.tick().await;
        if at_once {
            let [a, b, c, d, e] = &targets[..] else { panic!("five targets") };
            tokio::join!(this.check(a), this.check(b), this.check(c), this.check(d), this.check(e));
        } else {
            for target in &targets {
                this.check(target).await;
            }
        }
        told.extend(this.tell().await);
        this.clock.advance(INTERVAL);
    }
    let of_credential: Vec<&News> =
        told.iter().filter(|n| matches!(n.subject, Subject::Credential(_))).flat_map(|n| &n.news).collect();
    assert!(matches!(of_credential[..], [News::Blind { targets: 5, .. }, News::SeesAgain { .. }]), "{of_credential:?}");
    assert!(!told.iter().any(|notice| matches!(notice.subject, Subject::Target(_))), "{told:?}");
}

async fn a_dropped_target_is_closed_and_forgotten<S: Store>(store: &S) {
    let mut this = Installation::hasty(store);
    this.check.configured = vec![TargetSpec::One(web()), TargetSpec::One(repository("api"))];
    this.source.set(&web(), vec![runner(1, Status::Offline), runner(2, Status::Idle)]);
    this.tick().await;
    this.check(&web()).await;
    this.tell().await;
    this.check.configured = vec![TargetSpec::One(repository("api"))];
    this.clock.advance(INTERVAL);
    // The first job is lost on its way: the next tick sends another.
    for _ in 0..2 {
        this.jobs.take();
        this.tick().await;
    }
    let jobs = this.jobs.take();
    let dropped: Vec<CheckJob> = (jobs.iter().filter_map(|message| CheckJob::from_json(&message.body).ok()))
        .filter(|job| job.reason == Reason::Dropped)
        .collect();
    assert_eq!(dropped.len(), 1);
    this.check_for(&dropped[0].target, Reason::Dropped).await;
    // Slack does not take it at once: it is told all the same, though nobody looks at the target any more.
    this.chat.refuse([ChatError::Transient("no answer".to_owned())]);
    assert!(this.tell().await.is_empty());
    this.clock.advance(INTERVAL);
    this.tick().await;
    assert_eq!(this.jobs.take().len(), 2, "the drop is sent again until it is told");
    this.check_for(&dropped[0].target, Reason::Dropped).await;
    let told = this.tell().await;
    assert!(
        matches!(&told[..], [Notice { news, .. }]
            if matches!(&news[..], [News::NoLongerMonitored { whole_target: true, outages }] if outages.len() == 1)),
        "{told:?}"
    );
    // A job that was on its way all the time does not begin to watch the target anew.
    let mut stale = Installation::new(store);
    stale.check.configured = vec![TargetSpec::One(web())];
    stale.source.set(&web(), vec![runner(1, Status::Idle)]);
    assert_eq!(stale.check_for(&web(), Reason::Recheck).await.ending, Ending::NotConfigured);
    this.tick().await;
    let jobs = this.jobs.take();
    assert_eq!(jobs.len(), 1, "nothing is left to be dropped");
    let fleet = store.list(&Query::Fleet(web().id().clone())).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!fleet.iter().any(|item| matches!(item, Item::Runner(_))), "{fleet:?}");
}

async fn old_jobs_and_unknown_targets_are_not_asked_for<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    let pages = this.source.fresh_pages();
    let (source, jobs, wakes, clock) = (&this.source, &this.jobs, &this.wakes, &this.clock);
    let stage = Check { store: &this.store, source, jobs, wakes, clock, settings: &this.check };
    let requested_at = Some(this.clock.now());
    this.clock.advance(INTERVAL + MINUTE);
    this.source.set_status(&web(), 1, Status::Busy);
    let old = CheckJob { target: web(), reason: Reason::Schedule, requested_at };
    assert_eq!(stage.run(&old).await.ending, Ending::Overtaken);
    let unknown = CheckJob { target: repository("other"), reason: Reason::Manual, requested_at: None };
    assert_eq!(stage.run(&unknown).await.ending, Ending::NotConfigured);
    assert_eq!(this.source.fresh_pages(), pages);
    let recheck = CheckJob { target: web(), reason: Reason::Recheck, requested_at };
    assert!(matches!(stage.run(&recheck).await.ending, Ending::Seen(_)));
}

async fn a_repository_found_by_its_account_is_watched<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acme".to_owned())];
    this.source.set_repositories("acme", vec![web()]);
    assert_eq!(this.tick().await.targets, [web()]);
    this.source.set_repositories("acme", vec![web(), repository("api")]);
    this.clock.advance(INTERVAL);
    assert_eq!(this.tick().await.targets, [repository("api"), web()]);
    assert!(matches!(this.check(&repository("api")).await.ending, Ending::Seen(_)));
    let told = this.tell().await;
    assert!(matches!(&told[..], [Notice { news, .. }] if matches!(news[..], [News::TargetsAdded { total: 2, .. }])));
}

/// Each stage beside each: two checks, a tick beside a check, a notifier beside both, two notifiers, two ticks.
async fn writers_side_by_side_lose_nothing<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    this.source.set(&web(), (1..=4).map(|id| runner(id, Status::Idle)).collect());
    let subject = subject();
    let mut told = Vec::new();
    for round in 0..12_u64 {
        let status = if round % 2 == 0 { Status::Offline } else { Status::Idle };
        this.source.set_status(&web(), 1 + round / 2 % 4, status);
        let target = web();
        tokio::join!(
            this.check(&target),
            this.check(&target),
            this.tick(),
            this.notify(&subject),
            this.tick(),
            this.notify(&subject),
        );
        // Two recoveries' worth of readings, for the ends of the outages.
        this.clock.advance(INTERVAL);
        tokio::join!(this.check(&target), this.notify(&subject));
        this.clock.advance(INTERVAL);
        this.check(&target).await;
        this.notify(&subject).await;
        told.extend(this.chat.take().into_iter().map(|(notice, _)| notice).filter(|notice| notice.subject == subject));
    }
    for subject in [&subject, &Subject::Monitor] {
        let revisions: Vec<u64> = this.changes(subject).await.iter().map(|change| change.revision.0).collect();
        assert_eq!(
            revisions,
            (1..=revisions.len() as u64).collect::<Vec<_>>(),
            "{subject}: no revision twice, none left out"
        );
    }
    let began: usize = told.iter().map(offline_of).sum();
    let ended = |notice: &Notice| {
        let outages =
            notice.news.iter().map(|news| if let News::Recovered { outages } = news { outages.len() } else { 0 });
        outages.sum::<usize>()
    };
    assert_eq!((began, told.iter().map(ended).sum::<usize>()), (6, 6), "{told:?}");
}

async fn a_look_that_took_too_long_is_thrown_away<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.source.set_status(&web(), 1, Status::Offline);
    // Held up while GitHub answers, for longer than an interval.
    let clock = this.clock.clone();
    this.source.meanwhile(async move { clock.advance(INTERVAL + MINUTE) });
    this.check(&web()).await;
    let changes = this.changes(&subject()).await;
    assert_eq!(changes.last().map(|change| change.observed_at), Some(this.clock.now()), "asked again, and dated anew");
}

fn gaps(told: &[Notice]) -> usize {
    told.iter().flat_map(|notice| &notice.news).filter(|news| matches!(news, News::Unwatched { .. })).count()
}

async fn a_tick_that_was_held_up_makes_no_gap<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acme".to_owned())];
    this.source.set_repositories("acme", vec![web()]);
    this.tick().await;
    this.clock.advance(INTERVAL);
    let clock = this.clock.clone();
    this.source.meanwhile(async move { clock.advance(2 * INTERVAL) });
    this.tick().await;
    this.clock.advance(INTERVAL);
    this.tick().await;
    assert_eq!(gaps(&this.tell().await), 0, "its sign of life is of when it gave it");
}

async fn a_gap_is_told_once_by_a_tick_that_broke_off<S: Store>(store: &S) {
    let this = Installation::watching(store, 1).await;
    this.tick().await;
    this.clock.advance(4 * INTERVAL);
    this.store.plan([PutFault::None]);
    this.store.go_down(true);
    this.tick().await;
    this.store.go_down(false);
    this.clock.advance(MINUTE);
    this.tick().await;
    assert_eq!(gaps(&this.tell().await), 1);
}

async fn what_the_list_does_not_find_is_looked_at_once_at_most<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::RepositoriesOf("acme".to_owned())];
    this.source.set_repositories("acme", vec![web()]);
    this.tick().await;
    let archived = repository("archived");
    this.source.set(&archived, vec![runner(1, Status::Idle)]);
    assert_eq!(this.check_for(&archived, Reason::Manual).await.ending, Ending::NotConfigured);
    assert!(matches!(this.check_for(&archived, Reason::Once).await.ending, Ending::Seen(_)));
}

async fn no_item_type_has_two_writers<S: Store>(store: &S) {
    let this = Installation::hasty(store);
    this.source.set(&web(), vec![runner(1, Status::Offline), runner(2, Status::Idle)]);
    let kinds = |keys: Vec<Key>| -> BTreeSet<&'static str> {
        let kind = |key: &Key| match key {
            Key::Target(_) => "target",
            Key::Runner(..) => "runner",
            Key::Outage(..) => "outage",
            Key::Freshness(Subject::Monitor) => "tick",
            Key::Freshness(_) => "freshness",
            Key::Change(Subject::Monitor, _) => "change of the monitor",
            Key::Change(..) => "change of a target or credential",
            Key::Credential(_) => "credential",
            Key::Watchlist => "watchlist",
            Key::Claim(..) => "claim",
            Key::Sent(..) => "sent",
            Key::Cursor(_) => "cursor",
        };
        keys.iter().map(kind).collect()
    };
    let (mut by_schedule, mut by_check, mut by_notify) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for round in 0..6 {
        this.tick().await;
        by_schedule.extend(kinds(this.store.take_written()));
        if round == 2 {
            this.source.set_status(&web(), 1, Status::Idle);
        }
        this.check(&web()).await;
        by_check.extend(kinds(this.store.take_written()));
        this.tell().await;
        by_notify.extend(kinds(this.store.take_written()));
        this.clock.advance(Duration::from_secs(660));
    }
    assert_eq!(by_schedule, BTreeSet::from(["tick", "change of the monitor", "watchlist"]));
    assert_eq!(by_notify, BTreeSet::from(["claim", "sent", "cursor"]));
    let of_check = ["target", "runner", "outage", "freshness", "change of a target or credential"];
    assert_eq!(by_check, BTreeSet::from(of_check));
}
