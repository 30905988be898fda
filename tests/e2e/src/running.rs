use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;

const LONG: Duration = Duration::from_secs(90);

/// The running program, and its log so far.
pub struct Running {
    child: Child,
    log: watch::Receiver<String>,
}

impl Running {
    /// Starts the program and reads its log.
    pub fn start(mut command: Command) -> std::io::Result<Self> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
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
        while self.log.changed().await.is_ok() {}
        (status.code(), self.log())
    }

    /// Stops the program as a supervisor does; panics if it does not exit with 0. Returns its whole log.
    pub async fn stop(mut self) -> String {
        let pid = self.child.id().expect("it runs").to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill");
        assert!(killed.success());
        let status = tokio::time::timeout(LONG, self.child.wait()).await.expect("it ends").expect("an ending");
        // The log is complete once its writer is gone.
        while self.log.changed().await.is_ok() {}
        let log = self.log.borrow().clone();
        assert_eq!(status.code(), Some(0), "{log}");
        log
    }
}

async fn read_log(stderr: ChildStderr, written: watch::Sender<String>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        written.send_modify(|log| *log += &(line + "\n"));
    }
}
