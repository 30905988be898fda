//! A signal ends `runner-monitor run` in every state, within 8 s: the unit files let a supervisor wait that long.

use std::io::{PipeReader, Write as _};
use std::process::Stdio;
use std::time::Duration;

use monitor_e2e::{LONG, Running, World, fleet, under, until};
use monitor_fakes::github::{Fault, Strikes};
use tokio::process::Command;
use tokio::time::Instant;

/// Starts it with no signal ignored: of tests that run in the background, it would inherit an ignored SIGINT.
fn start(world: &World, change: impl FnOnce(&mut Command)) -> Running {
    start_under(&["env", "--default-signal=HUP,INT"], world, change)
}

fn start_under(launcher: &[&str], world: &World, change: impl FnOnce(&mut Command)) -> Running {
    let mut command = under(launcher, &world.command(&["run", "--every", "5m"]));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    change(&mut command);
    Running::spawn(command).expect("it starts")
}

/// Waits until the program handles SIGTERM itself.
async fn listens(program: &Running) {
    let path = format!("/proc/{}/status", program.pid());
    let handles_it = || {
        let status = std::fs::read_to_string(&path).expect("it runs");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask");
        u64::from_str_radix(mask.trim(), 16).expect("a number") >> 14 & 1 == 1
    };
    until(handles_it, || "it does not handle SIGTERM".to_owned()).await;
}

/// A world whose GitHub accepts every request and answers none.
async fn with_hanging_github() -> World {
    let world = World { webhook: None, ..World::new(3, "{}").await };
    world.github.state().fault(Fault::Hang, Strikes::always());
    world
}

async fn asks_github(world: &World) {
    until(|| world.github.state().counters().requests > 0, || "no request".to_owned()).await;
}

#[tokio::test]
async fn with_1500_repositories_at_900_requests_a_minute() {
    let world = World { webhook: None, ..World::of(fleet(1_500, 1), 1_500, "{}").await };
    let program = start(&world, |command| {
        command.env("GITHUB_REQUESTS_PER_MINUTE", "900");
    });
    let is_used_up = || world.github.state().counters().requests >= 900;
    until(is_used_up, || "the minute is not used up".to_owned()).await;
    let log = program.stops_in_time("-TERM").await;
    assert!(log.contains("stopping") && log.lines().last().is_some_and(|line| line.contains("stopped")), "{log}");
}

#[tokio::test]
async fn while_github_answers_nothing_and_for_sighup_and_sigint_too() {
    for signal in ["-TERM", "-HUP", "-INT"] {
        let world = with_hanging_github().await;
        let program = start(&world, |_| {});
        asks_github(&world).await;
        let log = program.stops_in_time(signal).await;
        assert!(log.contains(&format!("SIG{}", &signal[1..])) && log.contains("stopped"), "{log}");
    }
}

#[tokio::test]
async fn at_once_at_the_second_signal() {
    let world = with_hanging_github().await;
    let mut program = start(&world, |_| {});
    asks_github(&world).await;
    program.send("-TERM").await;
    // The kernel merges two pending signals of the same kind, so the second one is of another kind.
    program.send("-INT").await;
    let began = Instant::now();
    let (code, log) = program.ended(LONG).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}\n{log}", began.elapsed());
    assert!(matches!(code, Some(130 | 143)), "{code:?}\n{log}");
    assert!(log.contains("stopped at the second signal"), "{log}");
}

#[tokio::test]
async fn while_another_process_holds_the_store() {
    let world = with_hanging_github().await;
    drop(monitor_embedded::store::EmbeddedStore::open(&world.store).expect("a store"));
    let holder = rusqlite::Connection::open(&world.store).expect("the store");
    holder.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let mut program = start(&world, |_| {});
    // The lock has an effect: a tick has waited for it and failed.
    program.logged("the tick failed").await;
    program.stops_in_time("-TERM").await;
    holder.execute_batch("ROLLBACK").expect("it was held all the time");
}

#[tokio::test]
async fn while_nobody_reads_its_log() {
    let world = with_hanging_github().await;
    let (unread, mut full): (PipeReader, _) = std::io::pipe().expect("a pipe");
    full.write_all(&[b'\n'; 65_536]).expect("as much as a pipe holds");
    let program = start(&world, |command| {
        command.stderr(full);
    });
    listens(&program).await;
    program.stops_in_time("-TERM").await;
    drop(unread);
}

#[tokio::test]
async fn not_by_a_sighup_that_nohup_ignores() {
    let world = with_hanging_github().await;
    let program = start_under(&["env", "--default-signal=INT", "nohup"], &world, |_| {});
    asks_github(&world).await;
    program.send("-HUP").await;
    let log = program.stops_in_time("-TERM").await;
    assert!(log.contains("SIGTERM") && !log.contains("SIGHUP") && !log.contains("second"), "{log}");
}
