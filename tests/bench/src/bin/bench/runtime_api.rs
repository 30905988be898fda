//! Lambda's runtime API for one function, and the function's process.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use monitor_pipeline::ports::Clock as _;
use monitor_telemetry::SystemClock;
use serde_json::Value;
use tokio::time::Instant;

const NEXT: &str = "GET /2018-06-01/runtime/invocation/next ";
const PATIENCE: Duration = Duration::from_secs(20);

/// A function that has asked for work.
pub(crate) struct Function {
    process: Child,
    connection: Connection,
    /// The time from exec to the first request for work.
    pub(crate) start: Duration,
}

impl Function {
    /// Starts a function and waits until it asks for work.
    pub(crate) fn start(binary: &Path, variables: &[(&str, String)]) -> anyhow::Result<Self> {
        let runtime_api = TcpListener::bind(("127.0.0.1", 0))?;
        let mut command = Command::new(binary);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("LOG").is_none() {
            command.stderr(Stdio::null());
        }
        command.env("AWS_LAMBDA_RUNTIME_API", runtime_api.local_addr()?.to_string()).envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "key"),
        ]);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let began = Instant::now();
        let mut process = command.spawn().with_context(|| binary.display().to_string())?;
        let asked = Connection::accept(&runtime_api).and_then(|mut connection| {
            let (head, _) = connection.read()?;
            ensure!(head.starts_with(NEXT), "unexpected first request: {head}");
            Ok(connection)
        });
        let start = began.elapsed();
        match asked {
            Ok(connection) => Ok(Self { process, connection, start }),
            Err(error) => {
                process.kill()?;
                process.wait()?;
                Err(error.context(binary.display().to_string()))
            }
        }
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// Invokes it with an event. Returns its answer, and the time from the event to the answer.
    pub(crate) fn invoke(&mut self, event: &[u8]) -> anyhow::Result<(Value, Duration)> {
        let began = Instant::now();
        self.connection.write_event(event)?;
        let (head, body) = self.connection.read()?;
        let took = began.elapsed();
        ensure!(
            head.contains("/invocation/bench/response "),
            "the function failed: {}",
            String::from_utf8_lossy(&body)
        );
        self.connection.acknowledge()?;
        // After the answer it asks for the next event.
        let (head, _) = self.connection.read()?;
        ensure!(head.starts_with(NEXT), "expected a request for the next event: {head}");
        Ok((serde_json::from_slice(&body)?, took))
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The function's only connection, which it keeps open.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    fn accept(runtime_api: &TcpListener) -> anyhow::Result<Self> {
        let (stream, _) = runtime_api.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Reads a request: its head and its body.
    fn read(&mut self) -> anyhow::Result<(String, Vec<u8>)> {
        let head_ends = loop {
            match self.read.windows(4).position(|end| end == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more()?,
            }
        };
        let head = String::from_utf8(self.read[..head_ends].to_vec())?;
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let length: usize = header("content-length").map_or(Ok(0), |length| length.parse())?;
        if header("transfer-encoding").is_some() {
            bail!("chunked bodies are not supported");
        }
        while self.read.len() < head_ends + length {
            self.more()?;
        }
        let body = self.read[head_ends..head_ends + length].to_vec();
        self.read.drain(..head_ends + length);
        Ok((head, body))
    }

    fn more(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 65_536];
        let count = self.stream.read(&mut buffer)?;
        ensure!(count > 0, "the function closed the connection");
        self.read.extend_from_slice(&buffer[..count]);
        Ok(())
    }

    fn write_event(&mut self, event: &[u8]) -> anyhow::Result<()> {
        let deadline_ms = SystemClock.now().epoch_ms() + 120_000;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             lambda-runtime-aws-request-id: bench\r\nlambda-runtime-deadline-ms: {deadline_ms}\r\n\
             lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:f\r\n\r\n",
            event.len()
        );
        let whole = [head.as_bytes(), event].concat();
        Ok(self.stream.write_all(&whole)?)
    }

    fn acknowledge(&mut self) -> anyhow::Result<()> {
        Ok(self.stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?)
    }
}
