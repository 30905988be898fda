//! `runner-monitor run`, from its start to SIGTERM.

use monitor_e2e::{EVERY_CHECK_COUNTS, Switch, World, until};
use monitor_fakes::slack;

async fn world() -> World {
    World::new(3, EVERY_CHECK_COUNTS).await
}

#[tokio::test]
async fn an_outage_and_its_end_reach_slack_across_a_restart_and_sigterm_stops_cleanly() {
    let world = world().await;
    let mut running = world.start(&["run", "--every", "10s"]);
    assert!(world.texts(1).await[0].contains("3 targets"), "{:?}", world.texts(1).await);
    // A runner that is offline at its first check would be part of the message about the start of monitoring.
    running.logged("cycle complete").await;
    world.set("acme/app-1", "offline");
    let texts = world.texts(2).await;
    assert!(texts[1].contains("app-1-runner-0 offline"), "{texts:?}");
    let log = running.stop().await;
    assert!(log.contains("cycle complete") && log.contains("targets=3") && log.contains("stopped"), "{log}");
    let (code, status, _) = world.run(&["status"]).await;
    assert!(code == 1 && !status.contains("not complete"), "{status}");

    world.set("acme/app-1", "online");
    let running = world.start(&["run", "--every", "10s", "--log-format", "json"]);
    let texts = world.texts(3).await;
    assert!(texts[2].contains("app-1-runner-0") && texts[2].contains("online"), "{texts:?}");
    let log = running.stop().await;
    let cycle = log.lines().find(|line| line.contains("cycle complete")).expect("a cycle");
    let cycle: serde_json::Value = serde_json::from_str(cycle).expect("JSON");
    assert_eq!((&cycle["targets"], &cycle["runners"]), (&3.into(), &6.into()));
    assert_eq!(world.slack.messages().len(), 3, "something was notified twice");
}

#[tokio::test]
async fn status_reports_that_monitoring_has_stopped() {
    let world = world().await;
    let mut running = world.start(&["run", "--every", "10s"]);
    running.logged("cycle complete").await;
    running.stop().await;
    let store = rusqlite::Connection::open(&world.store).expect("the store");
    // The heartbeat, and the commit of the only tick.
    let back = "UPDATE items SET body = json_replace(body, '$.at', '2026-01-01T00:00:00.000Z',
                '$.nextTickAt', '2026-01-01T00:00:10.000Z', '$.tickedAt', '2026-01-01T00:00:00.000Z')
                WHERE section = 'watchlist' OR (section = 'last-seen' AND subject = 'monitor')";
    assert_eq!(store.execute(back, []).expect("a tick"), 2);
    let (code, status, _) = world.run(&["status"]).await;
    assert!(
        code == 2 && status.contains("Monitoring is not complete: the tick failed: the last tick was "),
        "{status}"
    );
}

#[tokio::test]
async fn a_message_that_slack_refused_is_sent_later_and_once() {
    let world = world().await;
    world.slack.state().fault_next(slack::Fault::Answer(500, "internal_error"), 1);
    world.slack.state().fault_next(slack::Fault::RateLimited(1), 1);
    let running = world.start(&["run", "--every", "10s"]);
    // The 500 is retried after 30 s, at the next tick; the 429 a second later.
    world.texts(1).await;
    running.stop().await;
    assert_eq!((world.slack.messages().len(), world.slack.state().posts()), (1, 3));
}

#[tokio::test]
async fn the_heartbeat_is_called_after_each_complete_cycle() {
    let world = world().await;
    let switch = Switch::start().await;
    let url = format!("{}/secret-key", switch.url());
    let running = world.start(&["run", "--every", "10s", "--heartbeat-url", &url]);
    until(|| switch.count() >= 2, || running.log()).await;
    assert!(switch.requests().iter().all(|request| request == "GET /ping/secret-key"), "{:?}", switch.requests());
    let log = running.stop().await;
    assert!(!log.contains("secret-key"), "{log}");
}
