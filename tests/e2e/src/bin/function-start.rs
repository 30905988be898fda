//! The start of a function: from exec to its first request for work, against a local runtime API.
//!
//! Functions are built before, each in its own folder, as `sam build` does: `cd functions/poller && cargo build --release`.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use serde_json::json;
use tokio::time::Instant;

/// What a function may take at its start.
const MAX_BYTES: u64 = 8_000_000;
const MAX_START: Duration = Duration::from_millis(6);
const MAX_PEAK_KIB: u64 = 12 * 1024;

/// Starts functions over and over: size, time until the first request for work, and peak memory by then.
#[derive(Parser)]
struct Arguments {
    /// The folder that the binaries are in
    #[arg(long, default_value = "target/release")]
    folder: PathBuf,
    /// How often each is started
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Which functions
    #[arg(default_values = ["scheduler", "poller", "notifier", "slack"])]
    functions: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut is_within = true;
    println!("function      size MB   exec → /next ms (median, slowest)   peak MiB there");
    for function in &arguments.functions {
        let path = arguments.folder.join(function);
        let bytes = path
            .metadata()
            .with_context(|| {
                format!("{} is not built: cd functions/{function} && cargo build --release", path.display())
            })?
            .len();
        let mut starts =
            (0..=arguments.runs).map(|_| start(&path)).collect::<anyhow::Result<Vec<(Duration, u64)>>>()?;
        // The first one reads the file from disk.
        starts.remove(0);
        starts.sort_unstable();
        let (median, slowest) = (starts[starts.len() / 2].0, starts[starts.len() - 1].0);
        let peak_kib = starts.iter().map(|(_, peak_kib)| *peak_kib).max().unwrap_or(0);
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        println!(
            "{function:<12} {:>8.2} {:>14.2} {:>19.2} {:>19.1}",
            bytes as f64 / 1e6,
            ms(median),
            ms(slowest),
            peak_kib as f64 / 1024.0
        );
        println!(
            "{}",
            json!({"function": function, "bytes": bytes, "medianMs": ms(median), "slowestMs": ms(slowest), "peakKib": peak_kib})
        );
        is_within &= bytes <= MAX_BYTES && median <= MAX_START && peak_kib <= MAX_PEAK_KIB;
    }
    ensure!(
        is_within,
        "a function takes more than {MAX_BYTES} bytes, {} ms or {MAX_PEAK_KIB} KiB",
        MAX_START.as_millis()
    );
    Ok(())
}

/// Starts a function once; gives the time until it asked for work, and the most memory it had by then.
fn start(path: &Path) -> anyhow::Result<(Duration, u64)> {
    let runtime_api = TcpListener::bind(("127.0.0.1", 0))?;
    let began = Instant::now();
    let mut function = Command::new(path)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.local_addr()?.to_string())
        .envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "eu-central-1"),
        ])
        .stdin(Stdio::null())
        .spawn()?;
    // The connection stays open until then: the function waits for work.
    let asked = asked_for_work(&runtime_api);
    let took = began.elapsed();
    let peak_kib = peak_kib(function.id());
    function.kill()?;
    function.wait()?;
    drop(asked?);
    Ok((took, peak_kib?))
}

/// Waits until a function asks for work; it gets no answer.
fn asked_for_work(runtime_api: &TcpListener) -> anyhow::Result<TcpStream> {
    let (mut connection, _) = runtime_api.accept()?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match connection.read(&mut buffer)? {
            0 => bail!("the function hung up"),
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    ensure!(request.starts_with(b"GET /2018-06-01/runtime/invocation/next "), "another request came first");
    Ok(connection)
}

fn peak_kib(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    line.split_whitespace().next().context("no number")?.parse().context("no number")
}
