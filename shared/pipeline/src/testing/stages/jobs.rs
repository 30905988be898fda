//! Workflow jobs: what is stored of reports, and what is notified of those that wait.

use monitor_domain::jobs::{Job, JobAnswer, JobId, JobState, WaitReason};
use monitor_domain::observation::{Failure, Fault};
use monitor_domain::outage::Outage;
use monitor_domain::scope::Scope;
use monitor_domain::time::Timestamp;

use super::*;
use crate::items::{JobItem, Mute};
use crate::messages::JobReport;
use crate::records;
use crate::stages::{KnownTargets, RecordJob, read_jobs, waiting_jobs};
use crate::testing::samples::person;

/// Runner 1 has the label gpu.
fn installation<S: Store>(store: &S, status: Status) -> Installation<'_, S> {
    let mut this = Installation::hasty(store);
    this.check.jobs = true;
    let labels = vec!["self-hosted".to_owned(), "gpu".to_owned()];
    this.source.set(&web(), vec![ObservedRunner { labels, ..runner(1, status) }, runner(2, Status::Idle)]);
    this
}

fn job(id: u64, queued_at: Timestamp) -> Job {
    Job {
        id: JobId(id),
        repository: web(),
        workflow: Some("Nightly".to_owned()),
        name: format!("train-{id}"),
        url: format!("https://github.com/acme/web/actions/runs/1/job/{id}"),
        labels: vec!["self-hosted".to_owned(), "gpu".to_owned()],
        state: JobState::Queued,
        queued_at,
        runner: None,
        started_at: None,
    }
}

impl<S: Store> Installation<'_, S> {
    async fn report(&self, job: Job, completed: bool) {
        let report = JobReport { job, completed, enterprise: None };
        let read = JobReport::to_json(&report);
        assert!(matches!(crate::messages::ChecksMessage::from_json(&read),
            Ok(crate::messages::ChecksMessage::Report(read)) if *read == report));
        let stage = RecordJob { store: &self.store, clock: &self.clock, known: &KnownTargets::default() };
        assert_eq!(stage.run(&report).await, Disposition::Done);
    }

    /// GitHub says the same of a job as its reports.
    async fn queue(&self, id: u64) -> Job {
        let job = job(id, self.clock.now());
        self.source.set_job(job.id, Ok(JobAnswer::Open(job.clone())));
        self.report(job.clone(), false).await;
        job
    }

    async fn check_after(&self, minutes: u32) -> Vec<Notification> {
        self.clock.advance(MINUTE * minutes);
        self.check(&web()).await;
        self.notify_all().await
    }

    async fn stored_jobs(&self) -> Vec<(u64, JobState)> {
        let jobs = read_jobs(&self.store, web().id()).await.unwrap_or_else(|error| panic!("{error}"));
        jobs.into_iter().map(|job| (job.id.0, job.state)).collect()
    }
}

fn waiting(notified: &[Notification]) -> &Outage {
    match notified {
        [Notification { items, .. }] => match &items[..] {
            [NotificationItem::JobsWaiting { queues }] if queues.len() == 1 => &queues[0],
            items => panic!("{items:?}"),
        },
        notified => panic!("{notified:?}"),
    }
}

async fn started<S: Store>(store: &S, status: Status) -> Installation<'_, S> {
    let this = installation(store, status);
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    this
}

pub(super) async fn jobs_that_wait_are_notified_once_with_the_reason_and_again_when_they_are_taken<S: Store>(
    store: &S,
) {
    let this = started(store, Status::Busy).await;
    let first = this.queue(1).await;
    assert_eq!(this.check_after(5).await, [], "not for long enough");
    this.queue(2).await;
    let notified = this.check_after(5).await;
    let queue = waiting(&notified);
    let Some(found) = &queue.waiting else { panic!("{queue:?}") };
    assert_eq!((found.count, found.since, found.jobs.len()), (2, first.queued_at, 2));
    assert!(matches!(found.reason, WaitReason::Busy { runners: 1, offline: 0, .. }), "{found:?}");
    assert_eq!(queue.started_at, first.queued_at);
    let (listed, unread) = waiting_jobs(store, vec![web(), repository("other")], this.clock.now()).await;
    assert_eq!((listed.len(), unread.len()), (1, 0));
    assert_eq!(this.check_after(5).await, [], "once");

    let running = |job: Job| Job { state: JobState::InProgress, runner: Some("runner-1".to_owned()), ..job };
    this.report(running(first.clone()), false).await;
    assert_eq!(this.check_after(1).await, [], "the second waits too long as well");
    this.report(running(job(2, first.queued_at)), false).await;
    let notified = this.check_after(5).await;
    let [Notification { items, .. }] = &notified[..] else { panic!("{notified:?}") };
    assert!(matches!(&items[..], [NotificationItem::JobsTaken { queues }] if !queues[0].is_open()), "{items:?}");
    let outages = records::read_outages(store, web().id()).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(outages.iter().all(|outage| !outage.is_open()), "{outages:?}");
    let fleet = records::read_fleet(store, &web()).await.unwrap_or_else(|error| panic!("{error}")).fleet;
    assert!(fleet.queues.is_empty(), "it is forgotten");
}

pub(super) async fn a_report_that_was_lost_alarms_nobody<S: Store>(store: &S) {
    let this = started(store, Status::Offline).await;
    let job = this.queue(1).await;
    this.source.set_job(job.id, Ok(JobAnswer::Ended));
    assert_eq!(this.check_after(11).await, [], "its end was not reported");
    assert_eq!(this.stored_jobs().await, []);
    this.report(job.clone(), false).await;
    assert_eq!(this.stored_jobs().await, [], "a late report does not bring it back");

    let taken = this.queue(2).await;
    let running = Job { state: JobState::InProgress, runner: Some("runner-1".to_owned()), ..taken };
    this.source.set_job(running.id, Ok(JobAnswer::Open(running.clone())));
    assert_eq!(this.check_after(11).await, [], "its start was not reported");
    assert_eq!(this.stored_jobs().await, [(2, JobState::InProgress)]);
    this.report(running, true).await;
    assert_eq!(this.stored_jobs().await, []);
}

pub(super) async fn reports_arrive_in_any_order_and_only_of_targets_that_are_monitored<S: Store>(store: &S) {
    let this = started(store, Status::Offline).await;
    let queued = job(1, this.clock.now());
    let running = Job { state: JobState::InProgress, runner: Some("runner-1".to_owned()), ..queued.clone() };
    this.report(running.clone(), false).await;
    this.report(queued.clone(), false).await;
    assert_eq!(this.stored_jobs().await, [(1, JobState::InProgress)]);
    this.report(running.clone(), true).await;
    this.report(running, false).await;
    assert_eq!(this.stored_jobs().await, [], "an end is final");
    // The process that ended it could not delete it.
    let left = JobItem { target: web().id().clone(), job: queued.clone() };
    assert!(matches!(this.store.put(&[Put::replacing(Item::Job(left))]).await, Ok(PutOutcome::Done)));
    this.report(queued, true).await;
    assert_eq!(this.stored_jobs().await, []);
    let elsewhere = Job { repository: repository("other"), ..job(3, this.clock.now()) };
    this.report(elsewhere, false).await;
    assert_eq!(this.stored_jobs().await, []);
}

pub(super) async fn a_job_of_a_new_target_is_stored<S: Store>(store: &S) {
    let mut this = installation(store, Status::Offline);
    let known = KnownTargets::default();
    let record = async |this: &Installation<'_, S>, id: u64, repository: &Target| {
        let job = Job { repository: repository.clone(), ..job(id, this.clock.now()) };
        let stage = RecordJob { store: &this.store, clock: &this.clock, known: &known };
        let disposition = stage.run(&JobReport { job, completed: false, enterprise: None }).await;
        let jobs = read_jobs(&this.store, repository.id()).await.unwrap_or_else(|error| panic!("{error}"));
        (disposition, jobs.len())
    };
    let before_the_first_tick = record(&this, 1, &web()).await;
    assert!(matches!(before_the_first_tick, (Disposition::Retry { .. }, 0)), "{before_the_first_tick:?}");
    this.tick().await;
    assert_eq!(record(&this, 1, &web()).await, (Disposition::Done, 1));

    let other = repository("other");
    assert_eq!(record(&this, 2, &other).await, (Disposition::Done, 0));
    this.check.configured.push(TargetSpec::One(other.clone()));
    this.clock.advance(Duration::from_secs(10));
    this.tick().await;
    assert_eq!(record(&this, 3, &other).await, (Disposition::Done, 1), "its list is ten seconds old");
}

pub(super) async fn what_github_does_not_confirm_is_notified_as_such_and_not_at_all_while_github_fails<S: Store>(
    store: &S,
) {
    let this = started(store, Status::Idle).await;
    let job = this.queue(1).await;
    this.source.set_job(job.id, Err(Failure::new(Fault::Service, "GitHub does not answer")));
    assert_eq!(this.check_after(11).await, []);
    this.source.set_job(job.id, Err(Failure::new(Fault::Forbidden, "the credential needs `Actions: read`")));
    let notified = this.check_after(5).await;
    let Some(found) = &waiting(&notified).waiting else { panic!("{notified:?}") };
    assert!(found.is_unconfirmed);
    assert!(matches!(&found.reason, WaitReason::Idle { runners: 1, name } if name == "runner-1"), "{found:?}");
}

pub(super) async fn the_alert_about_a_queue_is_edited_as_its_jobs_start_and_nothing_is_sent<S: Store>(store: &S) {
    let mut this = installation(store, Status::Offline);
    this.chat = ScriptedChat::with_threads();
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    let jobs = [this.queue(1).await, this.queue(2).await, this.queue(3).await];
    assert_eq!(this.check_after(11).await.len(), 1);
    this.chat.take();
    let counted = |edited: &[LiveMessage]| -> Vec<u32> {
        let outages = edited.iter().flat_map(|message| &message.outages);
        outages.filter_map(|outage| Some(outage.waiting.as_ref()?.count)).collect()
    };
    let runs = async |job: &Job| {
        let running = Job { state: JobState::InProgress, runner: Some("runner-1".to_owned()), ..job.clone() };
        this.source.set_job(job.id, Ok(JobAnswer::Open(running.clone())));
        this.report(running, false).await;
    };
    runs(&jobs[0]).await;
    assert_eq!(this.check_after(5).await, [], "nothing is sent");
    let threads = this.chat.take_threads();
    assert_eq!((counted(&threads.edits), threads.replies.len()), (vec![2], 0), "the alert says how many wait now");
    assert_eq!(this.check_after(5).await, []);
    assert_eq!(this.chat.take_threads().edits.len(), 0, "nothing has changed");

    // An edit that fails is tried again, and holds nothing back for ever.
    this.chat.refuse_edits([ChatError::Transient("no answer".to_owned())]);
    runs(&jobs[1]).await;
    this.check_after(5).await;
    assert_eq!(this.chat.take_threads().edits.len(), 0);
    this.clock.advance(NotifySettings::default().longest_backoff);
    this.notify(&subject()).await;
    assert_eq!(counted(&this.chat.take_threads().edits), [1]);

    runs(&jobs[2]).await;
    assert_eq!(this.check_after(5).await.len(), 1, "that it is over is sent");
    let threads = this.chat.take_threads();
    assert_eq!((threads.edits.len(), threads.replies.len()), (1, 1), "in the thread of its alert");
    assert!(threads.edits.iter().flat_map(|message| &message.outages).all(|outage| !outage.is_open()));
}

pub(super) async fn a_chat_that_cannot_edit_gets_no_message_about_a_queue_that_changes<S: Store>(store: &S) {
    let this = started(store, Status::Offline).await;
    this.queue(1).await;
    assert_eq!(this.check_after(11).await.len(), 1);
    this.chat.take();
    this.queue(2).await;
    assert_eq!(this.check_after(5).await, []);
    assert_eq!(this.chat.take().len(), 0);
    assert!(
        matches!(this.endings(&subject()).await.first(), Some((_, SendEnding::Delivered(_)))),
        "nothing is pending"
    );
}

pub(super) async fn an_alert_that_is_still_pending_says_which_jobs_wait_now<S: Store>(store: &S) {
    let this = started(store, Status::Offline).await;
    this.queue(1).await;
    this.clock.advance(MINUTE * 11);
    this.check(&web()).await;
    this.queue(2).await;
    let notified = this.check_after(5).await;
    assert_eq!(waiting(&notified).waiting.as_ref().map(|waiting| waiting.count), Some(2));
    assert_eq!(this.notify_all().await, []);
}

pub(super) async fn an_alert_names_the_job_that_its_runner_was_running<S: Store>(store: &S) {
    let this = started(store, Status::Idle).await;
    let stored = async || {
        let fleet = records::read_fleet(store, &web()).await.unwrap_or_else(|error| panic!("{error}")).fleet;
        fleet.runners.into_iter().find(|runner| runner.id.0 == 1).and_then(|runner| runner.job)
    };
    let take = async |id: u64| {
        let (job, at) = (this.queue(id).await, Some(this.clock.now()));
        let running = Job { state: JobState::InProgress, runner: Some("runner-1".to_owned()), started_at: at, ..job };
        this.source.set_job(running.id, Ok(JobAnswer::Open(running.clone())));
        this.report(running.clone(), false).await;
        running
    };
    let first = take(1).await;
    this.source.set_status(&web(), 1, Status::Busy);
    this.check_after(5).await;
    assert_eq!(stored().await.map(|job| job.name), Some("Nightly / train-1".to_owned()));

    // It takes another job between two checks: nothing else about it changes.
    this.report(first, true).await;
    let second = take(2).await;
    this.check_after(5).await;
    assert_eq!(stored().await.map(|job| job.name), Some("Nightly / train-2".to_owned()));

    // GitHub ends the job before the alert is sent.
    this.source.set_status(&web(), 1, Status::Offline);
    this.report(second, true).await;
    let mut notified = this.check_after(5).await;
    for _ in 0..3 {
        notified.extend(this.check_after(5).await);
    }
    let [Notification { items, .. }] = &notified[..] else { panic!("{notified:?}") };
    let [NotificationItem::Offline { outages }] = &items[..] else { panic!("{items:?}") };
    let named = outages[0].job.as_ref().map(|job| (&*job.name, &*job.url));
    assert_eq!(named, Some(("Nightly / train-2", "https://github.com/acme/web/actions/runs/1/job/2")));

    this.source.set_status(&web(), 1, Status::Idle);
    this.check_after(5).await;
    assert_eq!(stored().await, None, "it is idle again");
}

/// GitHub shows these jobs when it is polled.
fn show<S: Store>(this: &Installation<'_, S>, jobs: Vec<(Job, bool)>) {
    let open = jobs.iter().filter(|(_, completed)| !completed);
    open.for_each(|(job, _)| this.source.set_job(job.id, Ok(JobAnswer::Open(job.clone()))));
    this.source.set_open_jobs(&web(), Ok(jobs));
}

pub(super) async fn jobs_that_are_polled_are_notified_without_any_report<S: Store>(store: &S) {
    let mut this = installation(store, Status::Busy);
    this.check.jobs = false;
    let document = serde_json::from_str(r#"{"failureThreshold":9,"jobs":{"poll":["acme/web"]}}"#).unwrap_or_default();
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_else(|faults| panic!("{faults:?}"));
    this.tick().await;
    let queued = job(1, this.clock.now());
    show(&this, vec![(queued.clone(), false)]);
    this.check(&web()).await;
    assert_eq!(this.stored_jobs().await, [(1, JobState::Queued)]);
    this.notify_all().await;
    show(&this, Vec::new());
    let notified = this.check_after(11).await;
    assert!(matches!(waiting(&notified).waiting.as_ref().map(|waiting| waiting.count), Some(1)));

    // While GitHub does not answer, what is stored stays.
    this.source.set_open_jobs(&web(), Err(Failure::new(Fault::Service, "GitHub does not answer")));
    assert_eq!(this.check_after(5).await, []);
    assert_eq!(this.stored_jobs().await, [(1, JobState::Queued)]);

    let running = Job { state: JobState::InProgress, runner: Some("runner-1".to_owned()), ..queued.clone() };
    show(&this, vec![(running.clone(), false)]);
    let notified = this.check_after(5).await;
    assert!(matches!(&notified[0].items[..], [NotificationItem::JobsTaken { .. }]), "{notified:?}");
    show(&this, vec![(running, true)]);
    this.check_after(5).await;
    assert_eq!(this.stored_jobs().await, []);
    show(&this, vec![(queued, false)]);
    this.check_after(5).await;
    assert_eq!(this.stored_jobs().await, [], "an end is final");

    let record = records::read_fleet(store, &web()).await.unwrap_or_else(|error| panic!("{error}")).fleet.record;
    assert_eq!(record.polled.len(), 1, "GitHub need not say again what has not changed");
    this.store.take_written();
    this.check_after(5).await;
    let written = this.store.take_written();
    let is_of_poll = |key: &&Key| matches!(key, Key::Job(..) | Key::Target(_) | Key::Marker(..));
    assert_eq!(written.iter().find(is_of_poll), None, "an unchanged poll costs no write");
    this.check.policy = Policy::default();
    this.check_after(5).await;
    let record = records::read_fleet(store, &web()).await.unwrap_or_else(|error| panic!("{error}")).fleet.record;
    assert!(record.polled.is_empty(), "it is no longer polled");
}

pub(super) async fn polling_stops_at_the_first_repository_about_which_github_does_not_answer<S: Store>(store: &S) {
    let mut this = installation(store, Status::Idle);
    let organization = Target::organization("acme").unwrap_or_else(|error| panic!("{error}"));
    this.check.configured = vec![TargetSpec::One(organization.clone())];
    let poll = r#"{"jobs":{"poll":["acme/web","acme/api","acme/other"]}}"#;
    let document = serde_json::from_str(poll).unwrap_or_default();
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_else(|faults| panic!("{faults:?}"));
    this.source.set(&organization, vec![runner(1, Status::Idle)]);
    this.tick().await;
    this.check(&organization).await;
    assert_eq!(this.source.take_polled().len(), 3);
    for name in ["web", "api", "other"] {
        this.source.set_open_jobs(&repository(name), Err(Failure::new(Fault::Service, "GitHub does not answer")));
    }
    let report = this.check(&organization).await;
    assert!(matches!(report.ending, CheckEnding::Seen(_)), "{report:?}");
    assert_eq!(this.source.take_polled().len(), 1, "each could take as long as the first");
    for name in ["web", "api", "other"] {
        this.source.set_open_jobs(&repository(name), Err(Failure::new(Fault::Forbidden, "no")));
    }
    this.check(&organization).await;
    assert_eq!(this.source.take_polled().len(), 3, "one's permissions say nothing of the others");
}

pub(super) async fn runners_of_an_enterprise_may_serve_the_jobs_of_its_repositories<S: Store>(store: &S) {
    let mut this = installation(store, Status::Idle);
    let enterprise = Target::enterprise("big").unwrap_or_else(|error| panic!("{error}"));
    this.check.configured.push(TargetSpec::One(enterprise.clone()));
    let fpga = vec!["fpga".to_owned()];
    this.source.set(&enterprise, vec![ObservedRunner { labels: fpga.clone(), ..runner(9, Status::Offline) }]);
    this.tick().await;
    this.check(&enterprise).await;
    this.check(&web()).await;
    this.notify_all().await;
    let job = Job { labels: fpga, ..job(1, this.clock.now()) };
    this.source.set_job(job.id, Ok(JobAnswer::Open(job.clone())));
    this.report(job, false).await;
    let notified = this.check_after(11).await;
    let Some(found) = &waiting(&notified).waiting else { panic!("{notified:?}") };
    assert!(matches!(found.reason, WaitReason::Offline { runners: 1, .. }), "{found:?}");
    let (listed, _) = waiting_jobs(store, vec![web(), enterprise], this.clock.now()).await;
    assert_eq!(listed.len(), 1);
}

pub(super) async fn a_queue_stays_as_it_is_while_github_does_not_answer_about_its_jobs<S: Store>(store: &S) {
    let this = started(store, Status::Busy).await;
    let job = this.queue(1).await;
    assert_eq!(this.check_after(11).await.len(), 1);
    this.source.set_job(job.id, Err(Failure::new(Fault::Service, "GitHub does not answer")));
    assert_eq!(this.check_after(5).await, [], "it may still wait");
    this.source.set_job(job.id, Ok(JobAnswer::Ended));
    let notified = this.check_after(5).await;
    assert!(matches!(&notified[0].items[..], [NotificationItem::JobsTaken { .. }]), "{notified:?}");
}

pub(super) async fn a_queue_stays_as_it_is_while_the_store_cannot_read_its_jobs<S: Store>(store: &S) {
    let this = started(store, Status::Busy).await;
    let job = this.queue(1).await;
    assert_eq!(this.check_after(11).await.len(), 1);
    this.store.spoil(Key::Job(web().id().clone(), job.id));
    assert_eq!(this.check_after(5).await, [], "it may still wait");
    this.store.heal();
    this.source.set_job(job.id, Ok(JobAnswer::Ended));
    let notified = this.check_after(5).await;
    assert!(matches!(&notified[0].items[..], [NotificationItem::JobsTaken { .. }]), "{notified:?}");
}

pub(super) async fn a_muted_queue_is_notified_when_the_mute_ends_if_it_still_waits<S: Store>(store: &S) {
    let this = started(store, Status::Busy).await;
    let since = this.clock.now();
    let scope = Scope::Named("gpu".to_owned());
    let mute = Mute { scope, since, until: since.plus(MINUTE * 60), reason: None, by: person() };
    assert_eq!(this.store.put(&[Put::replacing(Item::Mute(mute))]).await, Ok(PutOutcome::Done));
    this.queue(1).await;
    for _ in 0..11 {
        assert_eq!(this.check_after(5).await, [], "it is muted");
    }
    let notified = this.check_after(6).await;
    assert_eq!(waiting(&notified).started_at, since, "since its job waits, not since the mute ended");
}

pub(super) async fn a_job_belongs_to_its_repository_before_its_organization<S: Store>(store: &S) {
    let mut this = installation(store, Status::Busy);
    let organization = Target::organization("acme").unwrap_or_else(|error| panic!("{error}"));
    this.check.configured.push(TargetSpec::One(organization.clone()));
    this.tick().await;
    this.queue(1).await;
    assert_eq!(this.stored_jobs().await, [(1, JobState::Queued)]);
    let elsewhere = Job { repository: repository("other"), ..job(2, this.clock.now()) };
    this.report(elsewhere, false).await;
    let jobs = read_jobs(&this.store, organization.id()).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(jobs.iter().map(|job| job.id.0).collect::<Vec<_>>(), [2], "the organization has the others");
}

pub(super) async fn an_approved_job_has_not_waited_since_its_creation<S: Store>(store: &S) {
    let this = started(store, Status::Busy).await;
    let created = job(1, this.clock.now());
    this.report(Job { state: JobState::Held, ..created.clone() }, false).await;
    this.clock.advance(MINUTE * 60);
    let approved_at = this.clock.now();
    this.report(created.clone(), false).await;
    // GitHub knows only when it was created.
    this.source.set_job(created.id, Ok(JobAnswer::Open(created)));
    let notified = this.check_after(11).await;
    assert_eq!(waiting(&notified).waiting.as_ref().map(|waiting| waiting.since), Some(approved_at));
}

pub(super) async fn a_long_queue_does_not_hide_another<S: Store>(store: &S) {
    let this = started(store, Status::Busy).await;
    for id in 1..=25 {
        this.queue(id).await;
    }
    this.clock.advance(Duration::from_secs(1));
    let other = Job { labels: vec!["self-hosted".to_owned(), "fpga".to_owned()], ..job(26, this.clock.now()) };
    this.source.set_job(other.id, Ok(JobAnswer::Open(other.clone())));
    this.report(other, false).await;
    let notified = this.check_after(11).await;
    assert!(
        matches!(&notified[0].items[..], [NotificationItem::JobsWaiting { queues }] if queues.len() == 2),
        "{notified:?}"
    );
}

pub(super) async fn a_job_waits_since_its_approval_also_if_that_was_not_reported<S: Store>(store: &S) {
    let this = started(store, Status::Busy).await;
    let queued = job(1, this.clock.now());
    this.report(Job { state: JobState::Held, ..queued.clone() }, false).await;
    this.source.set_job(queued.id, Ok(JobAnswer::Open(Job { state: JobState::Held, ..queued.clone() })));
    assert_eq!(this.check_after(20).await, [], "nobody has approved it");
    this.source.set_job(queued.id, Ok(JobAnswer::Open(queued)));
    // It is asked about once an hour.
    for _ in 0..13 {
        if this.stored_jobs().await == [(1, JobState::Queued)] {
            break;
        }
        assert_eq!(this.check_after(5).await, []);
    }
    assert_eq!(this.stored_jobs().await, [(1, JobState::Queued)]);
    assert_eq!(this.check_after(5).await, [], "it has just been approved");
    assert_eq!(this.check_after(5).await.len(), 1);
}

pub(super) async fn a_job_that_github_failed_after_a_day_is_forgotten<S: Store>(store: &S) {
    let this = started(store, Status::Busy).await;
    let job = this.queue(1).await;
    this.check_after(24 * 60).await;
    this.source.set_job(job.id, Ok(JobAnswer::Ended));
    for _ in 0..12 {
        this.check_after(5).await;
    }
    assert_eq!(this.stored_jobs().await, [], "its end was not reported");
}

pub(super) async fn queues_of_a_monitor_without_jobs_are_forgotten<S: Store>(store: &S) {
    let mut this = started(store, Status::Offline).await;
    this.queue(1).await;
    assert_eq!(this.check_after(11).await.len(), 1);
    this.check.jobs = false;
    this.check_for(&web(), Reason::Once).await;
    assert_eq!(this.notify_all().await, [], "a single check leaves the queues to the store's monitor");
    let notified = this.check_after(5).await;
    assert!(matches!(&notified[0].items[..], [NotificationItem::JobsTaken { .. }]), "{notified:?}");
    let fleet = records::read_fleet(store, &web()).await.unwrap_or_else(|error| panic!("{error}")).fleet;
    assert!(fleet.queues.is_empty());
}
