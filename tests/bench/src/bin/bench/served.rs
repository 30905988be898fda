//! The program with one of its listeners.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, ensure};

use tokio::time::Instant;

use crate::measure::{memory_kib, ms};

/// How long a start may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// A program with a listener, ended when it is dropped.
pub(crate) struct Served {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    log: Receiver<String>,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// Starts it, and reads its address from the first line with these words.
    pub(crate) fn start(command: &mut Command, words: &str) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (line, log) = mpsc::channel();
        // `web` prints its address, `run` logs it.
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().context("no standard output")?);
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().context("no standard error")?);
        for output in [stdout, stderr].map(BufReader::new) {
            let line = line.clone();
            std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|one| line.send(one)));
        }
        let mut served = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), log };
        let said = served.logged(words)?;
        let (_, port) = said.split_once("127.0.0.1:").with_context(|| said.clone())?;
        let port = port.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        served.address.set_port(port.parse()?);
        Ok(served)
    }

    /// Waits for a line of the log.
    pub(crate) fn logged(&self, words: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + DEADLINE;
        let mut last = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left);
            let line = line.with_context(|| format!("not in the log: {words}; its last line is: {last}"))?;
            if line.contains(words) {
                return Ok(line);
            }
            last = line;
        }
    }

    /// Asks for a page. Returns the time to its first byte and its size.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<(f64, usize)> {
        let mut connection = TcpStream::connect(self.address)?;
        let began = Instant::now();
        write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut first = [0; 12];
        connection.read_exact(&mut first)?;
        let took = ms(began.elapsed());
        ensure!(&first == b"HTTP/1.1 200", "{path}: {}", String::from_utf8_lossy(&first));
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest)?;
        Ok((took, first.len() + rest.len()))
    }

    /// The times of many requests, and the largest size.
    pub(crate) fn times(&self, path: &str, requests: usize) -> anyhow::Result<(Vec<f64>, usize)> {
        let answers: Vec<(f64, usize)> = (0..requests).map(|_| self.get(path)).collect::<Result<_, _>>()?;
        Ok((answers.iter().map(|(took, _)| *took).collect(), answers.iter().map(|(_, size)| *size).max().unwrap_or(0)))
    }

    /// What it holds now.
    pub(crate) fn memory_mib(&self) -> anyhow::Result<f64> {
        Ok(memory_kib(self.child.id(), "VmRSS")? / 1_024.0)
    }
}
