//! Trouble with GitHub, Slack and the kernel's limits on connections.

use std::time::Duration;

use monitor_fakes::github::{Fault, Strikes};
use monitor_fakes::slack;

use super::world::{INTERVAL, Options, World};

pub(crate) async fn a_healthy_program_sends_its_heartbeat_and_no_message() {
    let world = World::start_well(Options::default()).await;
    world.stays_well_for(3 * INTERVAL).await;
    assert_eq!(world.texts().len(), 1, "{:?}", world.texts());
    world.stops_in_time().await;
}

pub(crate) async fn a_github_that_never_answers_stops_the_heartbeat_and_is_reported() {
    let world = World::start_well(Options::default()).await;
    world.fakes.github.state().fault(Fault::Hang, Strikes::always());
    world.falls_silent().await;
    world.says("3 targets", 1).await;
    world.stops_in_time().await;
}

pub(crate) async fn a_connection_to_github_that_stalls_is_replaced_and_no_outage_is_missed() {
    let world = World::start_well(Options { with_front: true, ..Options::default() }).await;
    let front = world.front.as_ref().expect("a front");
    let before = front.connections();
    front.stall();
    world.set("acme/app-1", "offline");
    world.says("app-1-runner-0", 1).await;
    // Parallel checks of different targets may each open one.
    let new = front.connections() - before;
    assert!((1..=3).contains(&new), "{new} new connections");
    world.beats(2).await;
    front.stall();
    world.stops_in_time().await;
}

pub(crate) async fn a_notification_that_slack_refuses_for_its_content_is_sent_in_a_plainer_form() {
    let world = World::start_well(Options::default()).await;
    let refused = || slack::Fault::Answer(400, "invalid_blocks");
    world.fakes.slack.state().fault_next(refused(), 1);
    world.set("acme/app-1", "offline");
    world.says("app-1-runner-0", 1).await;
    world.fakes.slack.state().fault_next(refused(), 2);
    world.set("acme/app-2", "offline");
    world.says("GitHub Runner Monitor has an alert about acme/app-2", 2).await;
    world.stays_well_for(INTERVAL).await;
    world.stops_in_time().await;
}

pub(crate) async fn a_slack_that_accepts_nothing_stops_the_heartbeat() {
    let world = World::start_well(Options { arguments: vec!["--pending-limit", "10s"], ..Options::default() }).await;
    world.fakes.slack.state().replace_webhook("/services/T0FAKE/B0NEW/notasecreteither");
    world.set("acme/app-1", "offline");
    world.falls_silent().await;
    let log = world.stops_in_time().await;
    assert!(log.contains("a notification has been pending for"), "{log}");
}

pub(crate) async fn the_heartbeat_resumes_when_slack_accepts_messages_again() {
    let world = World::start_well(Options { arguments: vec!["--pending-limit", "10s"], ..Options::default() }).await;
    world.fakes.slack.state().fault_always(slack::Fault::Answer(500, "internal_error"));
    world.set("acme/app-1", "offline");
    world.falls_silent().await;
    world.fakes.slack.state().clear_faults();
    world.says("app-1-runner-0", 1).await;
    world.beats(2).await;
    world.stops_in_time().await;
}

pub(crate) async fn a_list_that_cannot_be_resolved_sends_no_heartbeat() {
    let world = World::start(Options { repositories: vec!["acmee/*".to_owned()], ..Options::default() }).await;
    world.falls_silent().await;
    assert_eq!(world.heartbeats(), 0);
    world.stops_in_time().await;
}

pub(crate) async fn without_a_target_there_is_no_heartbeat() {
    let world = World::start(Options { repositories: vec!["empty/*".to_owned()], ..Options::default() }).await;
    world.falls_silent().await;
    assert_eq!(world.heartbeats(), 0);
    let log = world.stops_in_time().await;
    assert!(log.contains("there is no target to check"), "{log}");
}

pub(crate) async fn a_program_without_descriptors_left_sends_no_heartbeat() {
    let world = World::start_well(Options::default()).await;
    // Open connections stay open, including the heartbeat's; the reset closes those to GitHub.
    world.limit("--nofile=3:").await;
    world.fakes.github.state().fault(Fault::Reset, Strikes::next(9));
    world.falls_silent().await;
    world.limit("--nofile=1024:").await;
    world.beats(2).await;
    world.limit("--nofile=3:").await;
    world.fakes.github.state().fault(Fault::Reset, Strikes::next(9));
    world.stops_in_time().await;
}

pub(crate) async fn few_descriptors_are_reported_and_suffice_for_many_repositories() {
    let world = World::start_well(Options {
        fleet: Some(300),
        hourly_limit: Some(1_000_000),
        prelude: "ulimit -Sn 32; ulimit -Hn 64",
        ..Options::default()
    })
    .await;
    world.fakes.github.state().latency_ms = 200;
    world.stays_well_for(2 * INTERVAL + Duration::from_secs(1)).await;
    let log = world.stops_in_time().await;
    assert!(log.contains("too few file descriptors") && log.contains("targets=300"), "{log}");
    assert!(!log.contains("unseen=1") && !log.contains("not complete"), "{log}");
}
