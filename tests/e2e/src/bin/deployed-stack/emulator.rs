//! A function under AWS's Runtime Interface Emulator: one process for each concurrent invocation.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const START: Duration = Duration::from_secs(20);
const ATTEMPTS: u32 = 5;
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;

/// How to start an instance.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The path of the emulator.
    pub(crate) emulator: PathBuf,
    /// The folder with `bootstrap`.
    pub(crate) folder: PathBuf,
    /// The value of `AWS_LAMBDA_FUNCTION_NAME`.
    pub(crate) name: String,
    /// The timeout after which the emulator ends an invocation.
    pub(crate) timeout_secs: u64,
    /// The value of `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`.
    pub(crate) memory_mb: u64,
    /// The function's whole environment.
    pub(crate) environment: BTreeMap<String, String>,
}

/// One instance of a function.
pub(crate) struct Emulator {
    process: Child,
    url: String,
    http: reqwest::Client,
}

/// How an invocation ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The function answered.
    Answer(Value),
    /// The function failed: `errorType: errorMessage`.
    Error(String),
}

impl Emulator {
    /// Starts an instance that writes to this file. The function itself starts with the first invocation.
    pub(crate) async fn start(launch: &Launch, http: &reqwest::Client, log: &Path) -> anyhow::Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::start_once(launch, http, log).await {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                ended => return ended,
            }
        }
    }

    /// May fail although both ports were free: another process can take them first.
    async fn start_once(launch: &Launch, http: &reqwest::Client, log: &Path) -> anyhow::Result<Self> {
        let (invoke, runtime) = (next_free_address().await?, next_free_address().await?);
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(&launch.emulator);
        command.args(["--runtime-interface-emulator-address", &invoke, "--runtime-api-address", &runtime]);
        command.arg(launch.folder.join("bootstrap")).current_dir(&launch.folder);
        command.env_clear().envs(&launch.environment);
        command.env("AWS_LAMBDA_FUNCTION_NAME", &launch.name);
        command.env("AWS_LAMBDA_FUNCTION_TIMEOUT", launch.timeout_secs.to_string());
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", launch.memory_mb.to_string());
        command.stdin(std::process::Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let mut process = command.spawn().with_context(|| launch.emulator.display().to_string())?;
        let deadline = Instant::now() + START;
        while TcpStream::connect(&invoke).await.is_err() {
            if let Some(status) = process.try_wait()? {
                bail!("the emulator of {} ended with {status}", launch.name);
            }
            if Instant::now() > deadline {
                bail!("the emulator of {} does not listen", launch.name);
            }
            sleep(Duration::from_millis(10)).await;
        }
        let url = format!("http://{invoke}/2015-03-31/functions/function/invocations");
        Ok(Self { process, url, http: http.clone() })
    }

    /// Invokes the function and waits for the outcome.
    pub(crate) async fn invoke(&self, event: &Value) -> anyhow::Result<Outcome> {
        let answer = self.http.post(&self.url).body(event.to_string()).send().await.context("the emulator is gone")?;
        let text = answer.text().await?;
        // An error of the function has status 200 as well; only the body shows it.
        let Ok(body) = serde_json::from_str::<Value>(&text) else { return Ok(Outcome::Error(text)) };
        let kind = body.get("errorType").and_then(Value::as_str);
        Ok(match kind {
            Some(kind) => {
                let message = body.get("errorMessage").and_then(Value::as_str).unwrap_or_default();
                Outcome::Error(format!("{kind}: {message}"))
            }
            None => Outcome::Answer(body),
        })
    }

    /// Kills (`kill -9`) the function's process; returns whether there was one.
    pub(crate) fn kill_function(&self) -> std::io::Result<bool> {
        let functions = self.process.id().map(children).transpose()?.unwrap_or_default();
        for pid in &functions {
            std::process::Command::new("kill").args(["-9", &pid.to_string()]).status()?;
        }
        Ok(!functions.is_empty())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The emulator first: it would restart the function.
        let functions = self.process.id().and_then(|pid| children(pid).ok()).unwrap_or_default();
        let _ = self.process.start_kill();
        for pid in functions {
            let _ = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

/// The child processes of this process.
fn children(pid: u32) -> std::io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(child) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // "PID (NAME) STATE PARENT …": the name may contain anything, and the process may end while it is read.
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if parent.is_some_and(|parent| parent == pid.to_string()) {
            found.push(child);
        }
    }
    Ok(found)
}

/// An address that no other instance gets. Its port is below the kernel's ephemeral ports, so that no connection or
/// server of this program takes it between this check and its use.
async fn next_free_address() -> anyhow::Result<String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..PORTS {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        // Parallel runs of this program start at different ports.
        let begin = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap_or_default();
        let address = format!("127.0.0.1:{}", FIRST_PORT + (begin + offset) % PORTS);
        if TcpListener::bind(&address).await.is_ok() {
            return Ok(address);
        }
    }
    bail!("no port from {FIRST_PORT} to {} is free", FIRST_PORT + PORTS - 1)
}
