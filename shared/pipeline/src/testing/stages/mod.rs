//! What the stages promise over any store: run by every store adapter.

mod access_token;
mod clock;
mod commits;
mod edits;
mod looking;
mod pending;
mod recording;
mod routing;
mod telling;
mod ticks;
mod together;
mod watching;
mod wishes;

use std::collections::BTreeSet;
use std::time::Duration;

use monitor_domain::change::Step;
use monitor_domain::notices::{News, Notice};
use monitor_domain::observation::{Failure, Fault, ObservedRunner};
use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::{Target, TargetSpec};

use crate::items::{Attempt, Item, Key, LiveMessage, Put, Query, SendEnding, Sent};
use crate::messages::{CheckJob, Reason, StateChange};
use crate::ports::{ChatError, Clock, Form, PutOutcome, Store};
use crate::stages::{
    Check, CheckReport, CheckSettings, Disposition, Ending, LatestChecks, Meters, Notify, NotifyReport, NotifySettings,
    Schedule, ScheduleReport, ScheduleSettings, record_outages,
};
use crate::testing::doubles::{FaultyStore, Outbox, PutFault, Requests, ScriptedChat, ScriptedSource, StillClock};

const INTERVAL: Duration = Duration::from_secs(300);
const MINUTE: Duration = Duration::from_secs(60);

/// Runs the whole suite, each part on a new store of `make`.
pub async fn run_all<S: Store>(make: impl AsyncFn() -> S) {
    Box::pin(commits::a_lost_race_is_thrown_away_and_asked_again(&make().await)).await;
    Box::pin(commits::what_was_seen_before_a_lost_race_is_not_believed(&make().await)).await;
    Box::pin(commits::an_own_commit_whose_answer_is_lost_is_recognised(&make().await)).await;
    Box::pin(commits::a_large_decision_is_split_and_told_whole(&make().await)).await;
    Box::pin(commits::a_split_that_broke_off_is_finished_and_told_whole(&make().await)).await;
    Box::pin(commits::no_item_type_has_two_writers(&make().await)).await;
    Box::pin(commits::writers_side_by_side_lose_nothing(&make().await)).await;
    Box::pin(telling::a_claim_whose_answer_is_lost_is_recognised(&make().await)).await;
    Box::pin(telling::two_notifiers_at_once_send_one_message(&make().await)).await;
    Box::pin(telling::a_claim_without_record_is_sent_again_after_its_lease(&make().await)).await;
    Box::pin(telling::a_notifier_that_was_frozen_takes_nothing_back(&make().await)).await;
    Box::pin(telling::a_lease_that_ended_while_it_was_claimed_is_not_used(&make().await)).await;
    Box::pin(telling::a_send_that_failed_is_repeated_when_it_is_due(&make().await)).await;
    Box::pin(telling::the_message_of_a_failed_attempt_comes_back_when_the_next_is_due(&make().await)).await;
    Box::pin(telling::a_wait_that_the_chat_asks_for_brings_the_message_back_then(&make().await)).await;
    Box::pin(telling::what_a_crash_left_unsaid_is_sent_soon_after_its_lease(&make().await)).await;
    Box::pin(wishes::what_is_undone_before_it_is_notified_is_not_pending(&make().await)).await;
    Box::pin(telling::only_what_may_have_arrived_counts_as_uncertain(&make().await)).await;
    Box::pin(telling::a_short_wait_is_waited_out(&make().await)).await;
    Box::pin(telling::what_is_refused_as_laid_out_goes_as_plain_text_then_as_its_subject_and_else_stays_pending(
        &make().await,
    ))
    .await;
    Box::pin(telling::what_happened_while_the_chat_was_dead_is_told_in_one_message(&make().await)).await;
    Box::pin(telling::an_alert_is_edited_as_its_outages_end_and_their_ends_go_in_its_thread(&make().await)).await;
    Box::pin(telling::an_edit_that_fails_is_repeated_with_its_notice_and_nothing_is_said_twice(&make().await)).await;
    Box::pin(telling::where_the_alert_is_gone_its_end_is_told_in_a_message_of_its_own(&make().await)).await;
    Box::pin(telling::a_notifier_that_stood_still_between_two_requests_sends_under_a_lease_or_not_at_all(
        &make().await,
    ))
    .await;
    Box::pin(edits::an_edit_refused_as_laid_out_goes_as_plain_text_within_the_same_attempt(&make().await)).await;
    Box::pin(edits::an_edit_refused_in_both_forms_is_let_be_and_its_notice_told(&make().await)).await;
    Box::pin(edits::an_edit_that_goes_on_failing_is_let_be_at_the_third_attempt(&make().await)).await;
    Box::pin(edits::a_wait_that_is_asked_for_at_an_edit_is_kept_at_every_attempt(&make().await)).await;
    Box::pin(edits::edits_that_take_long_leave_time_for_the_notice(&make().await)).await;
    Box::pin(routing::each_channel_is_told_of_its_own_and_its_messages_live_on(&make().await)).await;
    Box::pin(routing::what_one_channel_does_not_take_waits_as_it_was_and_no_other_with_it(&make().await)).await;
    Box::pin(routing::a_crash_between_two_channels_repeats_nothing(&make().await)).await;
    Box::pin(routing::a_record_that_is_lost_repeats_its_own_channel_alone(&make().await)).await;
    Box::pin(routing::a_dead_channel_is_told_of_in_the_default_one(&make().await)).await;
    Box::pin(routing::a_dead_channel_does_not_keep_an_end_from_being_told(&make().await)).await;
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
    Box::pin(looking::last_healthy_is_of_the_check_before(&make().await)).await;
    Box::pin(looking::after_a_restart_last_healthy_is_of_the_check_that_is_stored(&make().await)).await;
    Box::pin(looking::a_steady_check_costs_two_reads_and_no_write(&make().await)).await;
    Box::pin(looking::nothing_to_tell_wakes_nobody(&make().await)).await;
    Box::pin(looking::only_a_look_that_counted_sends_a_recheck(&make().await)).await;
    Box::pin(looking::checks_by_hand_are_one_at_a_time_and_one_more(&make().await)).await;
    Box::pin(looking::old_jobs_and_unknown_targets_are_not_asked_for(&make().await)).await;
    Box::pin(looking::a_look_that_took_too_long_is_thrown_away(&make().await)).await;
    Box::pin(watching::a_refused_credential_is_told_once_for_all_its_targets(&make().await)).await;
    Box::pin(watching::a_refused_credential_is_told_once_by_checks_side_by_side(&make().await)).await;
    Box::pin(watching::a_dropped_target_is_closed_and_forgotten(&make().await)).await;
    Box::pin(watching::a_drop_that_comes_late_leaves_alone_what_is_on_the_list_again(&make().await)).await;
    Box::pin(watching::a_look_that_is_slower_than_a_drop_begins_nothing(&make().await)).await;
    Box::pin(watching::a_gap_is_on_record_before_the_sign_of_life_that_hides_it(&make().await)).await;
    Box::pin(together::a_look_reads_its_records_at_the_same_time(&make().await)).await;
    Box::pin(access_token::what_github_is_asked_with_is_on_record_for_every_poller(&make().await)).await;
    Box::pin(together::a_notifier_reads_its_records_and_the_target_at_the_same_time(&make().await)).await;
    Box::pin(together::a_tick_reads_what_was_taken_off_the_list_at_the_same_time(&make().await)).await;
    Box::pin(looking::a_failed_check_that_is_late_counts_towards_unreachable(&make().await)).await;
    Box::pin(looking::a_check_that_is_late_twice_is_a_failed_one(&make().await)).await;
    Box::pin(looking::a_check_while_failing_costs_two_reads_and_no_write(&make().await)).await;
    Box::pin(watching::an_item_that_cannot_be_read_makes_its_target_unreachable(&make().await)).await;
    Box::pin(watching::an_entry_that_cannot_be_resolved_is_notified_once_and_again_when_it_can_be(&make().await)).await;
    Box::pin(watching::an_entry_is_unresolved_since_a_tick_that_stood_still_asked(&make().await)).await;
    Box::pin(watching::an_entry_does_not_repeat_what_its_credentials_checks_say(&make().await)).await;
    Box::pin(watching::a_target_record_that_cannot_be_read_is_made_anew(&make().await)).await;
    Box::pin(clock::a_clock_that_is_set_back_delays_no_notification(&make().await)).await;
    Box::pin(clock::what_a_clock_that_was_ahead_stored_keeps_nobody_waiting(&make().await)).await;
    Box::pin(clock::a_clock_that_is_set_forward_makes_no_gap(&make().await)).await;
    Box::pin(clock::a_mute_by_a_clock_that_was_ahead_is_over(&make().await)).await;
    Box::pin(clock::a_mute_that_comes_while_a_check_runs_is_in_force(&make().await)).await;
    Box::pin(looking::a_list_that_breaks_off_is_no_verdict(&make().await)).await;
    Box::pin(looking::a_list_that_is_short_is_a_failed_check_unless_the_missing_are_found(&make().await)).await;
    Box::pin(looking::under_two_names_a_repository_is_watched_once(&make().await)).await;
    Box::pin(watching::a_repository_found_by_its_account_is_watched(&make().await)).await;
    Box::pin(wishes::a_muted_outage_is_told_when_the_mute_ends(&make().await)).await;
    Box::pin(wishes::what_ended_in_a_mute_is_never_told(&make().await)).await;
    Box::pin(wishes::reminders_come_in_the_alerts_thread_until_somebody_looks_after_it(&make().await)).await;
    Box::pin(wishes::a_day_without_the_chat_is_told_in_one_message(&make().await)).await;
    Box::pin(ticks::a_gap_is_three_intervals_and_no_less_than_the_policy_says(&make)).await;
    Box::pin(ticks::a_tick_that_was_held_up_makes_no_gap(&make().await)).await;
    Box::pin(ticks::a_tick_that_is_held_up_in_its_sign_of_life_makes_no_gap(&make().await)).await;
    Box::pin(ticks::a_gap_is_told_once_by_a_tick_that_broke_off(&make().await)).await;
    Box::pin(ticks::what_the_list_does_not_find_is_looked_at_once_at_most(&make().await)).await;
    Box::pin(ticks::a_tick_whose_jobs_were_not_sent_is_repeated_and_one_whose_jobs_were_is_not(&make().await)).await;
    Box::pin(ticks::a_repository_that_one_reading_lacks_is_watched_on_and_one_that_two_lack_is_dropped(&make().await))
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
    meters: Meters,
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
            meters: Meters::default(),
            jobs_per_minute: None,
            latest: LatestChecks::default(),
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
        self.check_for(target, Reason::Recheck).await
    }

    async fn check_for(&self, target: &Target, reason: Reason) -> CheckReport {
        let (store, source, jobs, changes) = (&self.store, &self.source, &self.jobs, &self.changes);
        let stage =
            Check { store, source, jobs, changes, clock: &self.clock, settings: &self.check, latest: &self.latest };
        stage
            .run(&CheckJob { target: target.clone(), reason, requested_at: Some(self.clock.now()), good_until: None })
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
        let meters = &self.meters;
        Schedule { store, source, jobs, changes, clock: &self.clock, settings: &settings, meters }.run().await
    }

    /// Hands the notifier the state-change messages that were sent.
    async fn tell(&self) -> Vec<Notice> {
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
