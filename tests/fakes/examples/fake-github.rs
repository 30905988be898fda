//! A fake GitHub to run: `cargo run -p monitor-fakes --example fake-github -- [--port N] [--fault wrong-shape]`.
//!
//! Prints its URL as one line and serves until it is stopped. Token: `test-token`; App: id 1, the key in `fixtures/`.

use std::io::Write;
use std::process::ExitCode;

use monitor_fakes::github::{APP_PUBLIC_KEY_DER, Fault, Hook, Job, RunnerSpec, State, Strikes};
use monitor_fakes::{FakeGitHub, wall_clock_ms};

/// Runners of the enterprise: more than GitHub's largest page.
const ENTERPRISE_RUNNERS: usize = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let served = match Options::read(std::env::args().skip(1)) {
        Ok(options) => serve(options).await.map_err(|error| error.to_string()),
        Err(fault) => Err(fault),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("fake-github: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> std::io::Result<()> {
    let mut state = seeded();
    if let Some(fault) = options.fault {
        state.fault(fault, Strikes::always());
    }
    let github = FakeGitHub::start_with(state, options.port, wall_clock_ms).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", github.base_url())?;
    stdout.flush()?;
    tokio::signal::ctrl_c().await
}

#[derive(Default)]
struct Options {
    port: u16,
    fault: Option<Fault>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            match (argument.as_str(), value.as_str()) {
                ("--port", port) => {
                    options.port = port.parse().map_err(|_| {
                        format!("--port: must be a port from 0 to 65535, for example 8080; found {port:?}")
                    })?;
                }
                ("--fault", "wrong-shape") => options.fault = Some(Fault::WrongShape),
                (other, _) => {
                    return Err(format!("unexpected argument {other:?}; use --port N, --fault wrong-shape"));
                }
            }
        }
        Ok(options)
    }
}

fn seeded() -> State {
    let mut state = State::new();
    state.add_token("test-token");
    state.add_app(1, APP_PUBLIC_KEY_DER);
    for target in ["acme/web", "acme/empty", "enterprises/acme-corp", "users/jo", "jo/dotfiles"] {
        state.add_target(target);
    }
    for number in 0..40 {
        state.add_target(&format!("acme/service-{number:02}"));
    }
    for target in ["acme/web", "orgs/acme"] {
        let (events, deliveries) =
            (vec!["workflow_job".to_owned()], vec![(wall_clock_ms(), 202), (wall_clock_ms(), 401)]);
        let url = "https://hooks.example.com/github".to_owned();
        let hook = Hook { url, events, deliveries, ..Hook::default() };
        state.app_hook = Some(hook.clone());
        state.add_hook(target, hook);
    }
    state.set_job("acme/web", 42, Job::queued("train", &["self-hosted", "gpu"], wall_clock_ms()));
    state.install_app(1, "acme");
    state.install_app(1, "jo");

    for name in ["build-1", "build-2", "build-3"] {
        state.add_runner("acme/web", RunnerSpec::new(name).with_labels(&["gpu"]));
    }
    state.add_runner("acme/web", RunnerSpec::new("build-4").offline());
    state.add_runner("acme/web", RunnerSpec::new("warm-1").never_connected().ephemeral());
    // 2026-11-05T08:04:55Z.
    state.versions.extend([("2.336.0".to_owned(), Some(1_793_865_895_000)), ("2.337.0".to_owned(), None)]);
    state.add_runner("orgs/acme", RunnerSpec::new("shared-1").busy());
    let mut windows = RunnerSpec::new("shared-2");
    windows.os = "Windows".to_owned();
    windows.runner_group_id = None;
    state.add_runner("orgs/acme", windows);
    for number in 0..ENTERPRISE_RUNNERS {
        let name = format!("fleet-{number:03}");
        state.add_runner("enterprises/acme-corp", RunnerSpec::new(&name));
    }
    state.add_runner("jo/dotfiles", RunnerSpec::new("laptop").offline());
    state
}
