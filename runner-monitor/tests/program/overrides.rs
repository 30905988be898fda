//! Mutes and acknowledgements from the command line.

use std::time::Duration;

use monitor_fakes::FakeSlack;
use tokio::time::Instant;

use crate::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_is_muted_and_the_mute_is_ended() {
    let bench = Bench::new().await;
    bench.check(&[]).await;
    let (code, stdout, stderr) = bench.output(&["mute", "build-0", "2h", "new", "disk"], &[]).await;
    assert!(
        code == Some(0)
            && stdout.starts_with("Muted until ")
            && stdout.ends_with(": build-0 (1 runner in acme/web).\n"),
        "{stdout}{stderr}"
    );
    let (_, stdout, _) = bench.output(&["status"], &[]).await;
    assert!(stdout.contains(": build-0 (new disk)\n"), "{stdout}");
    // An option is an option in every place.
    let (code, stdout, stderr) = bench.output(&["mute", "build-1", "1h", "new", "disk", "--in", "acme/web"], &[]).await;
    assert!(code == Some(0) && stdout.contains("build-1 in acme/web"), "{stdout}{stderr}");
    let (code, _, stderr) = bench.output(&["unmute", "acme/web"], &[]).await;
    assert!(
        code == Some(2)
            && stderr.contains("acme/web is not muted; muted: ")
            && stderr.contains("build-1 --in acme/web"),
        "{stderr}"
    );
    for arguments in [&["unmute", "build-0"][..], &["unmute", "build-1", "--in", "acme/web"]] {
        let (code, stdout, stderr) = bench.output(arguments, &[]).await;
        assert!(code == Some(0) && stdout.starts_with("No longer muted: build-"), "{stdout}{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_muted_is_named() {
    let bench = Bench::new().await;
    bench.check(&[]).await;
    for (arguments, expected) in [
        (&["mute", "bild-0", "2h"][..], "no runner called `bild-0` is stored"),
        (&["mute", "acme/api", "2h"], "acme/api is not monitored; similar: acme/web"),
        (&["mute", "acme/*", "2h"], "acme/*: must be one target, not a whole account"),
        (&["mute", "build-9", "2h", "--in", "acme/web"], "acme/web has no runner called `build-9`"),
        (&["mute", "build-0", "2h", "why", "--force"], "unexpected argument '--force' found"),
        (
            &["status", "build-0", "--target", "acme/web", "--runner", "build-1"],
            "no stored runner matches all of these together",
        ),
        (&["mute", "build-0", "5s"], "must be a duration from 1m to 30d, for example 2h"),
        (&["mute", "acme/web", "2h", "--in", "acme/web"], "must be a runner's name, because --in names its target"),
        (&["acknowledge", "bild-0"], "no runner called `bild-0` is stored"),
    ] {
        let (code, stdout, stderr) = bench.output(arguments, &[]).await;
        assert!(code == Some(2) && stderr.contains(expected), "{arguments:?}: {stdout}{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_outages_are_acknowledged() {
    let bench = Bench::new().await;
    bench.check(&[]).await;
    let (code, stdout, stderr) = bench.output(&["ack", "build-*"], &[]).await;
    assert_eq!((code, &*stdout), (Some(0), "Acknowledged 1 open outage in acme/web: no more reminders.\n"), "{stderr}");
    let (code, stdout, stderr) = bench.output(&["acknowledge", "build-1"], &[]).await;
    assert_eq!((code, &*stdout), (Some(0), "There is no open outage to acknowledge.\n"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_is_announced_in_slack() {
    let bench = Bench::new().await;
    let slack = FakeSlack::start().await.unwrap();
    bench.check(&[]).await;
    let webhook = slack.webhook_url();
    let (code, _, stderr) = bench.output(&["mute", "build-0", "2h"], &[("SLACK_WEBHOOK", &webhook)]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let accepted = slack.messages();
    assert!(
        accepted.len() == 1 && accepted[0].body.to_string().contains("an operator on the command line"),
        "{accepted:?}"
    );
    // What is stored counts, whatever Slack answers.
    let (code, _, stderr) = bench.output(&["unmute", "build-0"], &[("SLACK_WEBHOOK", "http://127.0.0.1:1/x")]).await;
    assert!(code == Some(0) && stderr.contains("warning: not announced in Slack"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_lists_only_what_needs_attention_and_repeats_itself() {
    let bench = Bench::new().await;
    bench.check(&[]).await;
    let (_, stdout, _) = bench.output(&["status", "--unhealthy"], &[]).await;
    assert!(stdout.contains("build-0") && !stdout.contains("build-1") && stdout.contains("1 more runner"), "{stdout}");
    let log = bench.folder.path().join("log");
    let mut command = bench.command(&["status", "--watch", "1s"]);
    let mut child = command.stdout(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let times = || std::fs::read_to_string(&log).unwrap().matches("build-0").count();
    while times() < 2 {
        assert!(Instant::now() < deadline, "it was shown {} times", times());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ended = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(ended.unwrap().success());
    let status = tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}
