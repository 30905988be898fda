//! The contract of the stages over any store: run by every store adapter.

mod access_token;
mod checking;
mod clock;
mod commits;
mod edits;
mod groups;
mod incidents;
mod jobs;
mod notifying;
mod overrides;
mod pending;
mod pools;
mod pools_over_credentials;
mod recording;
mod routing;
mod ticks;
mod together;
mod versions;
mod watching;
mod weekly;

use std::collections::BTreeSet;
use std::time::Duration;

use monitor_domain::change::Event;
use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::observation::{Failure, Fault, ObservedRunner};
use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::{Target, TargetSpec};

use crate::items::{Attempt, Item, LiveMessage, SendEnding, Sent};
use crate::keys::{Key, Put, Query};
use crate::messages::{CheckJob, Reason, StateChange};
use crate::ports::{ChatError, Clock, Form, PutOutcome, Store};
use crate::stages::{
    Check, CheckEnding, CheckReport, CheckSettings, Disposition, LatestChecks, Notify, NotifyReport, NotifySettings,
    QuotaEstimators, Schedule, ScheduleReport, ScheduleSettings, record_outages,
};
use crate::testing::doubles::{FaultyStore, Outbox, PutFault, Requests, ScriptedChat, ScriptedSource, StillClock};

const INTERVAL: Duration = Duration::from_secs(300);
const MINUTE: Duration = Duration::from_secs(60);

/// Runs the whole suite, each part on a new store of `make`.
pub async fn run_all<S: Store>(make: impl AsyncFn() -> S) {
    // One function with room for the future of every part would overflow the stack of a test.
    Box::pin(run_notifications(&make)).await;
    Box::pin(run_checks(&make)).await;
    Box::pin(run_ticks(&make)).await;
}

async fn run_notifications<S: Store>(make: &impl AsyncFn() -> S) {
    Box::pin(commits::a_lost_race_is_discarded_and_github_is_asked_again(&make().await)).await;
    Box::pin(commits::an_observation_from_before_a_lost_race_is_discarded(&make().await)).await;
    Box::pin(commits::an_own_commit_whose_answer_is_lost_is_recognised(&make().await)).await;
    Box::pin(commits::a_large_decision_is_split_and_notified_as_one(&make().await)).await;
    Box::pin(commits::an_interrupted_split_is_finished_and_notified_as_one(&make().await)).await;
    Box::pin(commits::no_item_type_has_two_writers(&make().await)).await;
    Box::pin(commits::concurrent_writers_lose_nothing(&make().await)).await;
    Box::pin(notifying::a_claim_whose_answer_is_lost_is_recognised(&make().await)).await;
    Box::pin(notifying::two_notifiers_at_once_send_one_message(&make().await)).await;
    Box::pin(notifying::a_claim_without_an_ending_is_sent_again_after_its_lease(&make().await)).await;
    Box::pin(notifying::a_late_ending_from_a_frozen_notifier_changes_nothing(&make().await)).await;
    Box::pin(notifying::a_notifier_that_stalls_before_its_claim_repeats_nothing(&make().await)).await;
    Box::pin(notifying::a_lease_that_ended_while_it_was_claimed_is_not_used(&make().await)).await;
    Box::pin(notifying::a_failed_send_is_retried_when_it_is_due(&make().await)).await;
    Box::pin(notifying::the_message_of_a_failed_attempt_is_retried_when_the_next_attempt_is_due(&make().await)).await;
    Box::pin(notifying::a_message_is_retried_after_the_wait_that_the_chat_asks_for(&make().await)).await;
    Box::pin(notifying::a_notification_left_by_a_crash_is_sent_soon_after_its_lease(&make().await)).await;
    Box::pin(overrides::a_change_undone_before_it_is_notified_is_not_pending(&make().await)).await;
    Box::pin(notifying::only_a_message_that_may_have_arrived_counts_as_uncertain(&make().await)).await;
    Box::pin(notifying::a_short_wait_is_waited_out(&make().await)).await;
    Box::pin(notifying::a_refused_layout_falls_back_to_plain_text_then_to_the_subject_and_then_stays_pending(
        &make().await,
    ))
    .await;
    Box::pin(notifying::outages_during_a_chat_failure_are_notified_in_one_message(&make().await)).await;
    Box::pin(notifying::an_alert_is_edited_as_its_outages_end_and_recoveries_are_sent_in_its_thread(&make().await))
        .await;
    Box::pin(notifying::an_edit_that_fails_is_retried_with_its_notification_and_nothing_is_sent_twice(&make().await))
        .await;
    Box::pin(notifying::the_end_of_an_outage_whose_alert_is_gone_is_notified_in_a_message_of_its_own(&make().await))
        .await;
    Box::pin(notifying::a_notifier_that_stalls_between_two_requests_sends_only_under_a_lease(&make().await)).await;
    Box::pin(edits::an_edit_with_a_refused_layout_is_sent_as_plain_text_within_the_same_attempt(&make().await)).await;
    Box::pin(edits::an_edit_refused_in_both_forms_is_abandoned_and_its_notification_is_sent(&make().await)).await;
    Box::pin(edits::an_edit_that_keeps_failing_is_abandoned_at_the_third_attempt(&make().await)).await;
    Box::pin(edits::a_wait_requested_at_an_edit_is_respected_at_every_attempt(&make().await)).await;
    Box::pin(edits::slow_edits_leave_time_for_the_notification(&make().await)).await;
    Box::pin(routing::each_channel_is_notified_of_its_own_runners_and_its_messages_stay_live(&make().await)).await;
    Box::pin(routing::a_part_that_one_channel_refuses_waits_unchanged_and_holds_back_no_other(&make().await)).await;
    Box::pin(routing::a_crash_between_two_channels_repeats_nothing(&make().await)).await;
    Box::pin(routing::a_lost_delivery_record_repeats_only_its_own_channel(&make().await)).await;
    Box::pin(routing::a_dead_channel_falls_back_to_the_default_one(&make().await)).await;
    Box::pin(routing::a_dead_channel_does_not_prevent_the_end_of_an_outage_from_being_notified(&make().await)).await;
    Box::pin(routing::a_layout_refused_in_one_channel_repeats_nothing_in_another(&make().await)).await;
    Box::pin(routing::runners_in_items_without_labels_are_still_routed_by_label(&make().await)).await;
    Box::pin(pending::a_notification_is_pending_from_its_commit_until_it_is_sent(&make().await)).await;
    Box::pin(pending::notifications_of_a_credential_or_the_monitor_are_pending_too(&make().await)).await;
    Box::pin(pending::a_target_off_the_list_is_pending_until_its_end_is_sent(&make().await)).await;
    Box::pin(pending::a_notification_is_overdue_if_the_store_cannot_be_read(&make().await)).await;
    Box::pin(recording::an_outage_is_recorded_as_it_opens_and_whole_when_it_has_ended(&make().await)).await;
    Box::pin(recording::a_late_opening_does_not_reopen_an_outage(&make().await)).await;
    Box::pin(recording::outages_without_a_notification_are_recorded(&make().await)).await;
    Box::pin(recording::the_outages_of_a_dropped_target_are_recorded_before_it_is_forgotten(&make().await)).await;
    Box::pin(recording::an_outage_that_exists_when_monitoring_starts_is_recorded(&make().await)).await;
    Box::pin(recording::recording_again_changes_nothing(&make().await)).await;
    Box::pin(recording::the_next_check_makes_up_for_a_lost_state_change_message(&make().await)).await;
    Box::pin(recording::a_day_without_notifier_or_chat_leaves_no_gap_in_the_outages(&make().await)).await;
    Box::pin(recording::an_outage_that_cannot_be_recorded_does_not_prevent_its_notification(&make().await)).await;
}

async fn run_checks<S: Store>(make: &impl AsyncFn() -> S) {
    Box::pin(checking::last_healthy_is_the_time_of_the_previous_check(&make().await)).await;
    Box::pin(checking::after_a_restart_last_healthy_is_the_time_of_the_stored_check(&make().await)).await;
    Box::pin(checking::a_steady_check_costs_two_reads_and_no_write(&make().await)).await;
    Box::pin(checking::a_check_without_a_pending_notification_sends_no_state_change_message(&make().await)).await;
    Box::pin(checking::only_a_check_that_counted_requests_a_recheck(&make().await)).await;
    Box::pin(checking::checks_by_hand_run_once_and_once_more_in_the_next_window(&make().await)).await;
    Box::pin(checking::expired_jobs_and_unknown_targets_send_no_request_to_github(&make().await)).await;
    Box::pin(checking::a_check_that_took_too_long_is_discarded(&make().await)).await;
    Box::pin(watching::a_refused_credential_is_notified_once_for_all_its_targets(&make().await)).await;
    Box::pin(watching::a_refused_credential_is_notified_once_by_concurrent_checks(&make().await)).await;
    Box::pin(watching::a_dropped_target_is_closed_and_forgotten(&make().await)).await;
    Box::pin(watching::a_late_drop_leaves_a_target_alone_that_is_listed_again(&make().await)).await;
    Box::pin(watching::a_check_that_is_slower_than_a_drop_does_not_start_watching(&make().await)).await;
    Box::pin(watching::a_gap_is_stored_before_the_heartbeat_that_would_hide_it(&make().await)).await;
    Box::pin(together::a_check_reads_its_stored_items_concurrently(&make().await)).await;
    Box::pin(access_token::the_access_token_is_stored_for_every_poller(&make().await)).await;
    Box::pin(together::a_notifier_reads_its_deliveries_and_the_target_concurrently(&make().await)).await;
    Box::pin(together::a_tick_reads_dropped_targets_concurrently(&make().await)).await;
    Box::pin(checking::a_failed_check_that_is_late_counts_towards_unreachable(&make().await)).await;
    Box::pin(checking::a_check_that_is_late_twice_counts_as_failed(&make().await)).await;
    Box::pin(checking::a_check_while_failing_costs_two_reads_and_no_write(&make().await)).await;
    Box::pin(watching::an_item_that_cannot_be_read_makes_its_target_unreachable(&make().await)).await;
    Box::pin(watching::an_entry_that_cannot_be_resolved_is_notified_once_and_again_when_it_can_be(&make().await)).await;
    Box::pin(watching::an_entry_is_unresolved_since_the_request_of_a_stalled_tick(&make().await)).await;
    Box::pin(watching::an_entry_is_not_reported_while_checks_with_its_credential_fail(&make().await)).await;
    Box::pin(watching::a_damaged_target_record_is_rebuilt(&make().await)).await;
    Box::pin(clock::a_clock_that_is_set_back_delays_no_notification(&make().await)).await;
    Box::pin(clock::items_stored_by_a_clock_that_was_ahead_delay_nothing(&make().await)).await;
    Box::pin(clock::a_clock_that_is_set_forward_makes_no_gap(&make().await)).await;
    Box::pin(clock::a_mute_stored_by_a_clock_that_was_ahead_has_ended(&make().await)).await;
    Box::pin(clock::a_mute_set_while_a_check_runs_is_in_force(&make().await)).await;
    Box::pin(checking::an_interrupted_list_changes_no_runner(&make().await)).await;
    Box::pin(checking::a_short_list_is_a_failed_check_unless_the_missing_runners_are_found(&make().await)).await;
    Box::pin(checking::a_repository_with_two_names_is_watched_once(&make().await)).await;
    Box::pin(watching::a_repository_found_by_its_account_is_watched(&make().await)).await;
    Box::pin(overrides::a_muted_outage_is_notified_when_the_mute_ends(&make().await)).await;
    Box::pin(overrides::an_outage_that_ended_during_a_mute_is_never_notified(&make().await)).await;
    Box::pin(overrides::reminders_appear_in_the_alert_thread_until_somebody_acknowledges(&make().await)).await;
    Box::pin(overrides::a_day_without_the_chat_is_notified_in_one_message(&make().await)).await;
}

async fn run_ticks<S: Store>(make: &impl AsyncFn() -> S) {
    Box::pin(ticks::a_gap_is_at_least_three_intervals_and_unreachable_after(make)).await;
    Box::pin(ticks::heartbeats_of_a_clock_that_was_ahead_hide_no_gap(&make().await)).await;
    Box::pin(ticks::a_tick_that_stalls_before_it_reads_makes_no_gap(&make().await)).await;
    Box::pin(ticks::a_stalled_tick_makes_no_gap(&make().await)).await;
    Box::pin(ticks::a_tick_that_stalls_before_its_commit_makes_no_gap(&make().await)).await;
    Box::pin(ticks::a_tick_that_stalls_in_its_heartbeat_makes_no_gap(&make().await)).await;
    Box::pin(ticks::a_tick_that_stalls_in_its_commit_makes_no_gap(make)).await;
    Box::pin(ticks::a_gap_is_notified_once_by_an_interrupted_tick(&make().await)).await;
    Box::pin(ticks::a_target_missing_from_its_account_is_checked_only_with_reason_once(&make().await)).await;
    Box::pin(ticks::a_tick_is_repeated_only_if_its_jobs_were_not_sent(&make().await)).await;
    Box::pin(ticks::a_repository_missing_from_one_list_stays_monitored_and_one_missing_from_two_is_dropped(
        &make().await,
    ))
    .await;
    Box::pin(ticks::a_large_drop_does_not_delay_a_tick(&make().await)).await;
    Box::pin(jobs::a_job_of_a_new_target_is_stored(&make().await)).await;
    Box::pin(jobs::jobs_that_wait_are_notified_once_with_the_reason_and_again_when_they_are_taken(&make().await)).await;
    Box::pin(jobs::a_report_that_was_lost_alarms_nobody(&make().await)).await;
    Box::pin(jobs::a_queue_stays_as_it_is_while_github_does_not_answer_about_its_jobs(&make().await)).await;
    Box::pin(jobs::a_queue_stays_as_it_is_while_the_store_cannot_read_its_jobs(&make().await)).await;
    Box::pin(jobs::a_muted_queue_is_notified_when_the_mute_ends_if_it_still_waits(&make().await)).await;
    Box::pin(jobs::a_job_belongs_to_its_repository_before_its_organization(&make().await)).await;
    Box::pin(jobs::an_approved_job_has_not_waited_since_its_creation(&make().await)).await;
    Box::pin(jobs::a_long_queue_does_not_hide_another(&make().await)).await;
    Box::pin(jobs::a_job_waits_since_its_approval_also_if_that_was_not_reported(&make().await)).await;
    Box::pin(jobs::a_job_that_github_failed_after_a_day_is_forgotten(&make().await)).await;
    Box::pin(jobs::reports_arrive_in_any_order_and_only_of_targets_that_are_monitored(&make().await)).await;
    Box::pin(jobs::what_github_does_not_confirm_is_notified_as_such_and_not_at_all_while_github_fails(&make().await))
        .await;
    Box::pin(jobs::the_alert_about_a_queue_is_edited_as_its_jobs_start_and_nothing_is_sent(&make().await)).await;
    Box::pin(jobs::a_chat_that_cannot_edit_gets_no_message_about_a_queue_that_changes(&make().await)).await;
    Box::pin(jobs::an_alert_that_is_still_pending_says_which_jobs_wait_now(&make().await)).await;
    Box::pin(jobs::an_alert_names_the_job_that_its_runner_was_running(&make().await)).await;
    Box::pin(jobs::jobs_that_are_polled_are_notified_without_any_report(&make().await)).await;
    Box::pin(jobs::polling_stops_at_the_first_repository_about_which_github_does_not_answer(&make().await)).await;
    Box::pin(jobs::runners_of_an_enterprise_may_serve_the_jobs_of_its_repositories(&make().await)).await;
    Box::pin(jobs::queues_of_a_monitor_without_jobs_are_forgotten(&make().await)).await;
    Box::pin(pools::a_shortage_is_notified_once_and_recorded_with_the_outages_of_its_runners(&make().await)).await;
    Box::pin(pools::people_mute_a_pool_and_ask_for_it_by_its_name(&make().await)).await;
    Box::pin(pools::a_pool_that_the_policy_no_longer_has_is_no_longer_stored(&make().await)).await;
    Box::pin(pools_over_credentials::a_tick_sends_one_job_for_the_pools_of_each_credential(&make().await)).await;
    Box::pin(pools_over_credentials::a_shortage_over_all_targets_is_notified_once_and_recorded(&make().await)).await;
    Box::pin(pools_over_credentials::each_installation_of_an_app_has_its_own(&make().await)).await;
    Box::pin(pools_over_credentials::readings_of_the_same_checks_count_once(&make().await)).await;
    Box::pin(pools_over_credentials::while_a_target_is_unknown_its_credentials_pools_stay_as_they_are(&make().await))
        .await;
    Box::pin(pools_over_credentials::a_target_without_such_runners_keeps_no_pool_unknown(&make().await)).await;
    Box::pin(pools_over_credentials::a_runner_that_its_target_ignores_does_not_count(&make().await)).await;
    Box::pin(pools_over_credentials::steady_pools_cost_a_read_a_target_and_no_write(&make().await)).await;
    Box::pin(pools_over_credentials::pools_over_a_credential_are_closed_when_the_policy_has_none_any_more(
        &make().await,
    ))
    .await;
    Box::pin(pools_over_credentials::people_mute_acknowledge_and_ask_for_a_pool_over_a_credential(&make().await)).await;
    Box::pin(incidents::outages_of_many_targets_at_once_say_so(&make().await)).await;
    Box::pin(incidents::a_target_counts_once_and_only_while_it_is_recent(&make().await)).await;
    Box::pin(groups::runner_groups_are_named_and_a_steady_check_asks_nothing(&make().await)).await;
    Box::pin(weekly::a_week_is_reported_once_whatever_ticks(&make().await)).await;
    Box::pin(weekly::a_week_is_reported_once_a_target_can_be_read(&make().await)).await;
    Box::pin(weekly::a_week_before_the_first_check_is_not_reported(&make().await)).await;
    Box::pin(weekly::a_week_is_reported_up_to_a_day_late(&make().await)).await;
    Box::pin(weekly::a_target_that_cannot_be_read_is_missing_from_the_report(&make().await)).await;
    Box::pin(versions::a_fleets_versions_are_asked_about_once_a_day(&make().await)).await;
    Box::pin(versions::an_enterprise_server_is_not_asked_about_versions(&make().await)).await;
    Box::pin(versions::one_of_two_checks_at_once_asks_about_a_version(&make().await)).await;
    Box::pin(versions::a_version_without_an_answer_is_asked_about_again_and_alarms_nobody(&make().await)).await;
    Box::pin(versions::the_end_of_a_version_is_notified_once_a_stage_and_target(&make().await)).await;
}

/// An installation: the settings and the doubles of the ports, over the store under test.
struct Installation<'a, S> {
    store: FaultyStore<'a, S>,
    source: ScriptedSource<'a>,
    jobs: Outbox,
    changes: Outbox,
    chat: ScriptedChat,
    clock: StillClock,
    check: CheckSettings,
    quota_estimators: QuotaEstimators,
    jobs_per_minute: Option<u32>,
    latest: LatestChecks,
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
        group_id: None,
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
            changes: Outbox::default(),
            chat: ScriptedChat::default(),
            clock: StillClock::default(),
            check: CheckSettings { policy, configured, interval: INTERVAL, jobs: false },
            quota_estimators: QuotaEstimators::default(),
            jobs_per_minute: None,
            latest: LatestChecks::default(),
        }
    }

    /// An installation whose policy opens an outage at the first unhealthy check.
    fn hasty(store: &'a S) -> Self {
        let mut this = Self::new(store);
        let document: PolicyDocument = serde_json::from_str(r#"{"failureThreshold":1}"#).unwrap_or_default();
        this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
        this
    }

    /// An installation that has seen this many runners of acme/web, all healthy.
    async fn watching(store: &'a S, runners: u64) -> Self {
        let this = Self::new(store);
        this.source.set(&web(), (1..=runners).map(|id| runner(id, Status::Idle)).collect());
        this.check(&web()).await;
        this
    }

    async fn check(&self, target: &Target) -> CheckReport {
        self.check_for(target, Reason::Recheck).await
    }

    async fn check_for(&self, target: &Target, reason: Reason) -> CheckReport {
        let (store, source, jobs, changes) = (&self.store, &self.source, &self.jobs, &self.changes);
        let stage =
            Check { store, source, jobs, changes, clock: &self.clock, settings: &self.check, latest: &self.latest };
        stage
            .run(&CheckJob { target: target.clone(), reason, requested_at: Some(self.clock.now()), valid_until: None })
            .await
    }

    async fn notify(&self, subject: &Subject) -> NotifyReport {
        self.notify_again(subject, 1).await
    }

    /// Delivers a state-change message to the notifier for the `receives`th time.
    async fn notify_again(&self, subject: &Subject, receives: u32) -> NotifyReport {
        let settings = NotifySettings::default();
        let policy = &self.check.policy;
        Notify { store: &self.store, chat: &self.chat, clock: &self.clock, policy, settings }
            .run(subject, receives)
            .await
    }

    /// Records outages, as a notifier does before it claims.
    async fn record(&self) {
        record_outages(&self.store, &self.clock, &subject()).await.unwrap_or_else(|error| panic!("{error}"));
    }

    async fn tick(&self) -> ScheduleReport {
        let settings = ScheduleSettings {
            policy: self.check.policy.clone(),
            configured: self.check.configured.clone(),
            interval: self.check.interval,
            jobs_per_minute: self.jobs_per_minute,
            jobs: self.check.jobs,
        };
        let (store, source, jobs, changes) = (&self.store, &self.source, &self.jobs, &self.changes);
        let quota_estimators = &self.quota_estimators;
        Schedule { store, source, jobs, changes, clock: &self.clock, settings: &settings, quota_estimators }.run().await
    }

    /// Delivers the state-change messages that were sent to the notifier.
    async fn notify_all(&self) -> Vec<Notification> {
        let subjects: BTreeSet<Subject> = self
            .changes
            .take()
            .iter()
            .filter_map(|message| StateChange::from_json(&message.body).ok())
            .map(|message| message.subject)
            .collect();
        for subject in subjects {
            self.notify(&subject).await;
        }
        self.chat.take().into_iter().map(|(notification, _)| notification).collect()
    }

    /// Three checks that find runner 1 offline, a minute apart: an outage.
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
        let query = Query::Notifications { subject: subject.clone(), limit: 100 };
        let items = self.store.list(&query).await.unwrap_or_else(|error| panic!("{error}"));
        let sent = items.into_iter().filter_map(|item| if let Item::Sent(sent) = item { Some(sent) } else { None });
        sent.map(|sent| (sent.number, sent.ending)).collect()
    }
}

fn subject() -> Subject {
    Subject::from(&web())
}

fn offline_of(notification: &Notification) -> usize {
    let count = |item: &NotificationItem| match item {
        NotificationItem::Offline { outages } | NotificationItem::MonitoringStarts { outages } => outages.len(),
        _ => 0,
    };
    notification.items.iter().map(count).sum()
}
