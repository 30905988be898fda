//! SIGTERM, SIGINT and SIGHUP: the first signal starts an orderly, bounded stop; a second one ends the process at once.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

/// How long running stages may take to end, counted from the signal.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// When the process exits at the latest, counted from the signal. Docker kills after 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(7);
/// How long the last log line may take: the reader of the log may have stopped reading.
const LOG_WITHIN: Duration = Duration::from_millis(500);

/// Turns true at the first signal. The process ends [`STOP_WITHIN`] later, or at once at a second signal.
///
/// Signals have their own thread and runtime: a locked store, or a log that nobody reads, can block every worker of the
/// program's runtime.
pub(crate) fn stop_on_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let (ready, is_ready) = mpsc::channel();
    let listen = move || {
        let listening = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
            let signals = runtime.block_on(async { Signals::listen() })?;
            Ok((runtime, signals))
        });
        match listening {
            Ok((runtime, signals)) => {
                let _ = ready.send(Ok(()));
                runtime.block_on(stop_within(signals, stop));
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(listen).context("cannot start the thread for signals")?;
    is_ready.recv().context("the thread for signals ended")?.context("cannot listen for signals")?;
    Ok(stopped)
}

async fn stop_within(mut signals: Signals, stop: watch::Sender<bool>) {
    let (name, _) = signals.next().await;
    let _ = stop.send(true);
    log_aside(move || info!(signal = name, "stopping"));
    tokio::select! {
        (name, number) = signals.next() => {
            log_briefly(move || warn!(signal = name, "stopped at the second signal"));
            std::process::exit(128 + number);
        }
        () = sleep(STOP_WITHIN) => {
            log_briefly(|| warn!("stopped with work unfinished: nothing is lost, the next start continues"));
            std::process::exit(0);
        }
    }
}

/// The signals that stop the program.
struct Signals {
    terminate: Signal,
    interrupt: Option<Signal>,
    hang_up: Option<Signal>,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        // `nohup`, and shells that start a background job, set a signal to ignored. It stays ignored.
        let unless_ignored = |kind: SignalKind| match is_ignored(kind) {
            true => Ok(None),
            false => signal(kind).map(Some),
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: unless_ignored(SignalKind::interrupt())?,
            hang_up: unless_ignored(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal; returns its name and number.
    async fn next(&mut self) -> (&'static str, i32) {
        async fn received(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => {
                    signal.recv().await;
                }
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 15),
            () = received(&mut self.interrupt) => ("SIGINT", 2),
            () = received(&mut self.hang_up) => ("SIGHUP", 1),
        }
    }
}

/// Whether the process was started with this signal ignored. Only Linux reports that; elsewhere the answer is no.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}

/// Logs from a separate thread, so that a log that nobody reads blocks only that thread.
fn log_aside(log: impl FnOnce() + Send + 'static) -> Option<thread::JoinHandle<()>> {
    thread::Builder::new().spawn(log).ok()
}

/// Logs, and waits at most [`LOG_WITHIN`] for it.
fn log_briefly(log: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel::<()>();
    let logging = log_aside(move || {
        log();
        drop(done);
    });
    if logging.is_some() {
        let _ = is_done.recv_timeout(LOG_WITHIN);
    }
}
