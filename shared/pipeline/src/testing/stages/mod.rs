//! What the stages promise over any store: run by every store adapter.

mod access_token;
mod checking;
mod clock;
mod commits;
mod edits;
mod notifying;
mod overrides;
mod pending;
mod recording;
mod routing;
mod ticks;
mod together;
mod watching;

use std::collections::BTreeSet;
use std::time::Duration;

use monitor_domain::change::Event;
use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::observation::{Failure, Fault, ObservedRunner};
use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::{Target, TargetSpec};

use crate::items::{Attempt, Item, Key, LiveMessage, Put, Query, SendEnding, Sent};
use crate::messages::{CheckJob, Reason, StateChange};
use crate::ports::{ChatError, Clock, Form, PutOutcome, Store};
use crate::stages::{
    Check, CheckReport, CheckSettings, Disposition, Ending, LatestChecks, Notify, NotifyReport, NotifySettings,
    QuotaEstimators, Schedule, ScheduleReport, ScheduleSettings, record_outages,
};
use crate::testing::doubles::{FaultyStore, Outbox, PutFault, Requests, ScriptedChat, ScriptedSource, StillClock};

const INTERVAL: Duration = Duration::from_secs(300);
const MINUTE: Duration = Duration::from_secs(60);

/// Runs the whole suite, each part on a new store of `make`.
pub async fn run_all<S: Store>(make: impl AsyncFn() -> S) {
    Box::pin(commits::a_lost_race_is_thrown_away_and_asked_again(&make().await)).await;
    Box::pin(commits::what_was_seen_before_a_lost_race_is_not_believed(&make().await)).await;
    Box::pin(commits::an_own_commit_whose_answer_is_lost_is_recognised(&make().await)).await;
    Box::pin(commits::a_large_decision_is_split_and_notified_as_one(&make().await)).await;
    Box::pin(commits::an_interrupted_split_is_finished_and_notified_as_one(&make().await)).await;
    Box::pin(commits::no_item_type_has_two_writers(&make().await)).await;
    Box::pin(commits::writers_side_by_side_lose_nothing(&make().await)).await;
    Box::pin(notifying::a_claim_whose_answer_is_lost_is_recognised(&make().await)).await;
    Box::pin(notifying::two_notifiers_at_once_send_one_message(&make().await)).await;
    Box::pin(notifying::a_claim_without_an_ending_is_sent_again_after_its_lease(&make().await)).await;
    Box::pin(notifying::a_notifier_that_was_frozen_takes_nothing_back(&make().await)).await;
    Box::pin(notifying::a_notifier_that_stood_still_before_its_claim_repeats_nothing(&make().await)).await;
    Box::pin(notifying::a_lease_that_ended_while_it_was_claimed_is_not_used(&make().await)).await;
    Box::pin(notifying::a_send_that_failed_is_repeated_when_it_is_due(&make().await)).await;
    Box::pin(notifying::the_message_of_a_failed_attempt_comes_back_when_the_next_is_due(&make().await)).await;
    Box::pin(notifying::a_wait_that_the_chat_asks_for_brings_the_message_back_then(&make().await)).await;
    Box::pin(notifying::what_a_crash_left_unsaid_is_sent_soon_after_its_lease(&make().await)).await;
    Box::pin(overrides::what_is_undone_before_it_is_notified_is_not_pending(&make().await)).await;
    Box::pin(notifying::only_what_may_have_arrived_counts_as_uncertain(&make().await)).await;
    Box::pin(notifying::a_short_wait_is_waited_out(&make().await)).await;
    Box::pin(notifying::what_is_refused_as_laid_out_goes_as_plain_text_then_as_its_subject_and_else_stays_pending(
        &make().await,
    ))
    .await;
    Box::pin(notifying::outages_during_a_chat_failure_are_notified_in_one_message(&make().await)).await;
    Box::pin(notifying::an_alert_is_edited_as_its_outages_end_and_their_ends_go_in_its_thread(&make().await)).await;
    Box::pin(notifying::an_edit_that_fails_is_retried_with_its_notification_and_nothing_is_sent_twice(&make().await))
        .await;
    Box::pin(notifying::the_end_of_an_outage_whose_alert_is_gone_is_notified_in_a_message_of_its_own(&make().await))
        .await;
    Box::pin(notifying::a_notifier_that_stood_still_between_two_requests_sends_under_a_lease_or_not_at_all(
        &make().await,
    ))
    .await;
    Box::pin(edits::an_edit_refused_as_laid_out_goes_as_plain_text_within_the_same_attempt(&make().await)).await;
    Box::pin(edits::an_edit_refused_in_both_forms_is_abandoned_and_its_notification_is_sent(&make().await)).await;
    Box::pin(edits::an_edit_that_keeps_failing_is_abandoned_at_the_third_attempt(&make().await)).await;
    Box::pin(edits::a_wait_requested_at_an_edit_is_respected_at_every_attempt(&make().await)).await;
    Box::pin(edits::slow_edits_leave_time_for_the_notification(&make().await)).await;
    Box::pin(routing::each_channel_is_notified_of_its_own_runners_and_its_messages_stay_live(&make().await)).await;
    Box::pin(routing::what_one_channel_does_not_take_waits_as_it_was_and_no_other_with_it(&make().await)).await;
    Box::pin(routing::a_crash_between_two_channels_repeats_nothing(&make().await)).await;
    Box::pin(routing::a_lost_delivery_record_repeats_its_own_channel_alone(&make().await)).await;
    Box::pin(routing::a_dead_channel_falls_back_to_the_default_one(&make().await)).await;
    Box::pin(routing::a_dead_channel_does_not_prevent_the_end_of_an_outage_from_being_notified(&make().await)).await;
    Box::pin(routing::a_layout_refused_in_one_channel_repeats_nothing_in_another(&make().await)).await;
    Box::pin(routing::runners_named_without_their_labels_go_by_them_all_the_same(&make().await)).await;
    Box::pin(pending::a_notification_is_pending_from_its_commit_until_it_is_sent(&make().await)).await;
    Box::pin(pending::what_a_credential_or_the_monitor_has_to_say_is_pending_too(&make().await)).await;
    Box::pin(pending::a_target_off_the_list_is_pending_until_its_end_is_sent(&make().await)).await;
    Box::pin(pending::where_the_store_cannot_say_a_notification_is_overdue(&make().await)).await;
    Box::pin(recording::an_outage_is_recorded_as_it_opens_and_whole_when_it_has_ended(&make().await)).await;
    Box::pin(recording::an_opening_that_comes_late_does_not_reopen_an_outage(&make().await)).await;
    Box::pin(recording::outages_that_nobody_is_notified_of_are_recorded(&make().await)).await;
    Box::pin(recording::the_outages_of_a_dropped_target_are_recorded_before_it_is_forgotten(&make().await)).await;
    Box::pin(recording::what_is_offline_when_monitoring_starts_is_recorded(&make().await)).await;
    Box::pin(recording::recording_again_changes_nothing(&make().await)).await;
    Box::pin(recording::the_next_check_makes_up_for_a_lost_state_change_message(&make().await)).await;
    Box::pin(recording::a_day_without_notifier_or_chat_leaves_no_gap_in_the_outages(&make().await)).await;
    Box::pin(recording::an_outage_that_cannot_be_recorded_keeps_no_notification_from_being_sent(&make().await)).await;
    Box::pin(checking::last_healthy_is_of_the_check_before(&make().await)).await;
    Box::pin(checking::after_a_restart_last_healthy_is_of_the_check_that_is_stored(&make().await)).await;
    Box::pin(checking::a_steady_check_costs_two_reads_and_no_write(&make().await)).await;
    Box::pin(checking::a_check_without_a_pending_notification_sends_no_state_change_message(&make().await)).await;
    Box::pin(checking::only_a_check_that_counted_requests_a_recheck(&make().await)).await;
    Box::pin(checking::checks_by_hand_are_one_at_a_time_and_one_more(&make().await)).await;
    Box::pin(checking::old_jobs_and_unknown_targets_are_not_asked_for(&make().await)).await;
    Box::pin(checking::a_check_that_took_too_long_is_discarded(&make().await)).await;
    Box::pin(watching::a_refused_credential_is_notified_once_for_all_its_targets(&make().await)).await;
    Box::pin(watching::a_refused_credential_is_notified_once_by_concurrent_checks(&make().await)).await;
    Box::pin(watching::a_dropped_target_is_closed_and_forgotten(&make().await)).await;
    Box::pin(watching::a_drop_that_comes_late_leaves_alone_what_is_on_the_list_again(&make().await)).await;
    Box::pin(watching::a_check_that_is_slower_than_a_drop_starts_nothing(&make().await)).await;
    Box::pin(watching::a_gap_is_stored_before_the_heartbeat_that_would_hide_it(&make().await)).await;
    Box::pin(together::a_check_reads_its_stored_items_concurrently(&make().await)).await;
    Box::pin(access_token::the_access_token_is_stored_for_every_poller(&make().await)).await;
    Box::pin(together::a_notifier_reads_its_deliveries_and_the_target_concurrently(&make().await)).await;
    Box::pin(together::a_tick_reads_what_was_taken_off_the_list_at_the_same_time(&make().await)).await;
    Box::pin(checking::a_failed_check_that_is_late_counts_towards_unreachable(&make().await)).await;
    Box::pin(checking::a_check_that_is_late_twice_is_a_failed_one(&make().await)).await;
    Box::pin(checking::a_check_while_failing_costs_two_reads_and_no_write(&make().await)).await;
    Box::pin(watching::an_item_that_cannot_be_read_makes_its_target_unreachable(&make().await)).await;
    Box::pin(watching::an_entry_that_cannot_be_resolved_is_notified_once_and_again_when_it_can_be(&make().await)).await;
    Box::pin(watching::an_entry_is_unresolved_since_a_tick_that_stood_still_asked(&make().await)).await;
    Box::pin(watching::an_entry_does_not_repeat_what_its_credentials_checks_say(&make().await)).await;
    Box::pin(watching::a_damaged_target_record_is_created_anew(&make().await)).await;
    Box::pin(clock::a_clock_that_is_set_back_delays_no_notification(&make().await)).await;
    Box::pin(clock::what_a_clock_that_was_ahead_stored_keeps_nobody_waiting(&make().await)).await;
    Box::pin(clock::a_clock_that_is_set_forward_makes_no_gap(&make().await)).await;
    Box::pin(clock::a_mute_by_a_clock_that_was_ahead_is_over(&make().await)).await;
    Box::pin(clock::a_mute_that_comes_while_a_check_runs_is_in_force(&make().await)).await;
    Box::pin(checking::an_interrupted_list_changes_no_runner(&make().await)).await;
    Box::pin(checking::a_list_that_is_short_is_a_failed_check_unless_the_missing_are_found(&make().await)).await;
    Box::pin(checking::under_two_names_a_repository_is_watched_once(&make().await)).await;
    Box::pin(watching::a_repository_found_by_its_account_is_watched(&make().await)).await;
    Box::pin(overrides::a_muted_outage_is_notified_when_the_mute_ends(&make().await)).await;
    Box::pin(overrides::an_outage_that_ended_during_a_mute_is_never_notified(&make().await)).await;
    Box::pin(overrides::reminders_appear_in_the_alert_thread_until_somebody_acknowledges(&make().await)).await;
    Box::pin(overrides::a_day_without_the_chat_is_notified_in_one_message(&make().await)).await;
    Box::pin(ticks::a_gap_is_three_intervals_and_no_less_than_the_policy_says(&make)).await;
    Box::pin(ticks::a_stalled_tick_makes_no_gap(&make().await)).await;
    Box::pin(ticks::a_tick_that_stalls_in_its_heartbeat_makes_no_gap(&make().await)).await;
    Box::pin(ticks::a_gap_is_notified_once_by_an_interrupted_tick(&make().await)).await;
    Box::pin(ticks::a_target_missing_from_its_account_is_checked_once_more_at_most(&make().await)).await;
    Box::pin(ticks::a_tick_whose_jobs_were_not_sent_is_repeated_and_one_whose_jobs_were_is_not(&make().await)).await;
    Box::pin(ticks::a_repository_missing_from_one_list_stays_monitored_and_one_missing_from_two_is_dropped(
        &make().await,
    ))
    .await;
    Box::pin(ticks::a_large_drop_holds_no_tick_up(&make().await)).await;
}

/// Everything of an installation but its store.
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
            check: CheckSettings { policy, configured, interval: INTERVAL },
            quota_estimators: QuotaEstimators::default(),
            jobs_per_minute: None,
            latest: LatestChecks::default(),
        }
    }

    /// An installation whose policy takes the first bad reading for an outage.
    fn hasty(store: &'a S) -> Self {
        let mut this = Self::new(store);
        let document: PolicyDocument = serde_json::from_str(r#"{"failureThreshold":1}"#).unwrap_or_default();
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

    /// Hands the notifier a message for the `receives`th time.
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
        };
        let (store, source, jobs, changes) = (&self.store, &self.source, &self.jobs, &self.changes);
        let quota_estimators = &self.quota_estimators;
        Schedule { store, source, jobs, changes, clock: &self.clock, settings: &settings, quota_estimators }.run().await
    }

    /// Hands the notifier the state-change messages that were sent.
    async fn notify_all(&self) -> Vec<Notification> {
        let subjects: BTreeSet<Subject> = self
            .changes
            .take()
            .iter()
            .filter_map(|message| StateChange::from_json(&message.body).ok())
            .map(|w| w.subject)
            .collect();
        for subject in subjects {
            self.notify(&subject).await;
        }
        self.chat.take().into_iter().map(|(notification, _)| notification).collect()
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
