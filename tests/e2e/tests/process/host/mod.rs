//! The program for one machine when its host has trouble. Judged only by its heartbeats and messages, it either works
//! or reports that it does not, and SIGTERM always ends it in time.

mod clock;
mod front;
mod network;
mod store;
mod world;

use tokio::task::JoinSet;
use tokio::time::Instant;

/// Runs all scenarios in parallel, on any number of processors: they mostly wait for the clock.
macro_rules! run {
    ($($scenario:path),* $(,)?) => {{
        let only = std::env::var("HOST_SCENARIO").unwrap_or_default();
        let (mut running, began) = (JoinSet::new(), Instant::now());
        $(
            let name = stringify!($scenario);
            if name.contains(&only) {
                running.spawn(async move { (name, tokio::spawn($scenario()).await) });
            }
        )*
        let mut failed = Vec::new();
        while let Some(ended) = running.join_next().await {
            let (name, outcome) = ended.expect("a scenario");
            println!("{name}: {:?} s, {}", began.elapsed().as_secs(), if outcome.is_ok() { "ok" } else { "FAILED" });
            if outcome.is_err() {
                failed.push(name);
            }
        }
        assert!(failed.is_empty(), "{failed:#?}; to run only one: HOST_SCENARIO={}", failed[0]);
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_its_host_the_program_works_or_reports_that_it_does_not() {
    run![
        clock::a_clock_set_back_by_two_hours_suppresses_no_outage,
        clock::a_clock_set_forward_by_two_hours_suppresses_no_outage_and_makes_no_gap,
        network::a_connection_to_github_that_stalls_is_replaced_and_no_outage_is_missed,
        network::a_github_that_never_answers_stops_the_heartbeat_and_is_reported,
        network::a_list_that_cannot_be_resolved_sends_no_heartbeat,
        network::a_healthy_program_sends_its_heartbeat_and_no_message,
        network::a_program_without_descriptors_left_sends_no_heartbeat,
        network::a_notification_that_slack_refuses_for_its_content_is_sent_in_a_plainer_form,
        network::a_slack_that_accepts_nothing_stops_the_heartbeat,
        network::few_descriptors_are_reported_and_suffice_for_many_repositories,
        network::the_heartbeat_resumes_when_slack_accepts_messages_again,
        network::without_a_target_there_is_no_heartbeat,
        store::when_the_store_is_replaced_the_program_reports_it_and_ends,
        store::when_the_log_of_the_store_is_deleted_the_program_reports_it_and_ends,
        store::when_the_store_is_deleted_the_program_reports_it_and_ends,
        store::a_full_disk_stops_the_heartbeat_and_outages_are_sent_afterwards,
        store::while_the_store_is_locked_there_is_no_heartbeat,
    ];
}
