use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::world::{LONG, STOPS_WITHIN};

/// The running program, and its log so far.
pub struct Running {
    child: Child,
    log: watch::Receiver<String>,
}

impl Running {
    /// Starts the program and reads its log.
    pub fn start(mut command: Command) -> std::io::Result<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        Self::spawn(command)
    }

    /// Starts the program as the command says, and reads its log if it is piped.
    pub fn spawn(mut command: Command) -> std::io::Result<Self> {
        let mut child = command.spawn()?;
        let (written, log) = watch::channel(String::new());
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(read_log(stderr, written));
        }
        Ok(Self { child, log })
    }

    /// Waits until the log contains this text; panics if the log ends without it.
    pub async fn logged(&mut self, text: &str) {
        let waiting = tokio::time::timeout(LONG, self.log.wait_for(|log| log.contains(text)));
        let found = matches!(waiting.await, Ok(Ok(_)));
        assert!(found, "no {text:?} in:\n{}", *self.log.borrow());
    }

    /// Waits for the first event with this message in a log of JSON; returns it.
    pub async fn event(&mut self, message: &str) -> Value {
        let of_line = |line: &str| serde_json::from_str(line).ok().filter(|event: &Value| event["message"] == message);
        let found = |log: &String| log.lines().any(|line| of_line(line).is_some());
        let waiting = tokio::time::timeout(LONG, self.log.wait_for(found)).await.map(|waited| waited.map(drop));
        assert!(matches!(waiting, Ok(Ok(()))), "no {message:?} in:\n{}", self.log());
        self.log().lines().find_map(of_line).unwrap_or_default()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits until the program ends by itself. Returns its exit code and its whole log.
    pub async fn ended(&mut self, within: Duration) -> (Option<i32>, String) {
        let ended = tokio::time::timeout(within, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("it still runs:\n{}", self.log())).expect("an ending");
        // The log is complete once its writer is gone.
        while self.log.changed().await.is_ok() {}
        (status.code(), self.log())
    }

    /// Sends a signal, for example `-TERM`.
    pub async fn send(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid().to_string()]).status().await.expect("kill");
        assert!(sent.success());
    }

    /// Stops the program as a supervisor does; panics if it does not exit with 0. Returns its whole log.
    pub async fn stop(self) -> String {
        self.stop_within("-TERM", LONG).await
    }

    /// The same with a signal, within the time that a supervisor waits.
    pub async fn stops_in_time(self, signal: &str) -> String {
        self.stop_within(signal, STOPS_WITHIN).await
    }

    async fn stop_within(mut self, signal: &str, within: Duration) -> String {
        let began = Instant::now();
        self.send(signal).await;
        let (code, log) = self.ended(LONG).await;
        assert!(began.elapsed() < within, "it took {:?} to end:\n{log}", began.elapsed());
        assert_eq!(code, Some(0), "{log}");
        log
    }

    /// Kills the program; returns its whole log.
    pub async fn kill(mut self) -> String {
        self.send("-KILL").await;
        self.ended(LONG).await.1
    }
}

async fn read_log(stderr: ChildStderr, written: watch::Sender<String>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        written.send_modify(|log| *log += &(line + "\n"));
    }
}
