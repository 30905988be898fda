//! The one-machine program from outside, in the troubles of its host: by its heartbeats and its messages alone, it is either
//! well or says that it is not. And SIGTERM ends it in time, whatever the trouble.

mod clock;
mod front;
mod network;
mod store;
mod world;

use tokio::task::JoinSet;
use tokio::time::Instant;

/// All at the same time, whatever the number of processors: they wait for the clock, not for each other.
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
        assert!(failed.is_empty(), "{failed:#?}; one alone: HOST_SCENARIO={}", failed[0]);
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_trouble_of_its_host_the_program_is_well_or_says_that_it_is_not() {
    run![
        clock::a_clock_set_back_by_two_hours_suppresses_no_outage,
        clock::a_clock_set_forward_by_two_hours_suppresses_no_outage_and_makes_no_gap,
        network::a_connection_to_github_that_stalls_is_replaced_and_no_outage_is_missed,
        network::a_github_that_takes_requests_and_never_answers_stops_the_heartbeat_and_is_said,
        network::a_list_that_cannot_be_resolved_sends_no_heartbeat,
        network::a_program_that_is_well_sends_its_heartbeat_and_says_nothing,
        network::a_program_without_descriptors_left_sends_no_heartbeat,
        network::a_notification_that_slack_refuses_for_its_content_is_sent_in_a_plainer_form,
        network::a_slack_that_takes_nothing_stops_the_heartbeat,
        network::few_descriptors_are_said_and_are_enough_for_many_repositories,
        network::what_slack_takes_late_starts_the_heartbeat_again,
        network::without_a_target_there_is_no_heartbeat,
        store::when_another_file_takes_the_place_of_the_store_the_program_says_so_and_ends,
        store::when_the_log_of_the_store_is_deleted_the_program_says_so_and_ends,
        store::when_the_store_is_deleted_the_program_says_so_and_ends,
        store::a_full_disk_stops_the_heartbeat_and_outages_are_sent_afterwards,
        store::while_the_store_is_locked_there_is_no_heartbeat,
    ];
}
