#![doc = include_str!("../README.md")]

mod proxy;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use aws_smithy_async::time::{StaticTimeSource, TimeSource};
use monitor_dynamodb::{DynamoStore, KEY, SORT_KEY, TARGETS_INDEX, TARGETS_INDEX_KEY};
use tokio::process::{Child, Command};
use tokio::time::Instant;

pub use proxy::{FaultProxy, Trouble};

/// How long an emulator may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A running emulator. It ends with this value.
#[derive(Debug)]
pub struct Emulator {
    url: String,
    process: Child,
}

impl Emulator {
    /// Starts dynoxide, in memory or with a database in `file`.
    pub async fn dynoxide(file: Option<&Path>) -> anyhow::Result<Self> {
        let port = free_port()?;
        let program = dynoxide()?;
        let mut command = Command::new(&program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        if let Some(file) = file {
            command.arg("--db-path").arg(file);
        }
        Self::start(command, port).await
    }

    /// Starts MiniStack, as `make unit` installs it.
    pub async fn ministack() -> anyhow::Result<Self> {
        let port = free_port()?;
        let program = workspace().join(".tools/ministack/bin/ministack");
        ensure!(program.exists(), "{} is missing: make unit installs it", program.display());
        let mut command = Command::new(program);
        // Without this it listens on all addresses.
        command.env("GATEWAY_PORT", port.to_string()).env("BIND_HOST", "127.0.0.1");
        Self::start(command, port).await
    }

    async fn start(mut command: Command, port: u16) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().with_context(|| format!("{command:?}"))?;
        let mut this = Self { url: format!("http://127.0.0.1:{port}"), process };
        let deadline = Instant::now() + STARTS_WITHIN;
        loop {
            if let Some(status) = this.process.try_wait()? {
                anyhow::bail!("{command:?} ended at once: {status}");
            }
            if this.client().list_tables().send().await.is_ok() {
                return Ok(this);
            }
            ensure!(Instant::now() < deadline, "{command:?} does not answer after {STARTS_WITHIN:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills it with SIGKILL and waits for its end.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    /// A client for whatever does not depend on the time.
    pub fn client(&self) -> Client {
        client(&self.url, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
    }

    /// A store in a new table, whose clock shows `now`.
    pub async fn store(&self, now: SystemTime) -> anyhow::Result<DynamoStore> {
        self.store_over(&self.url, now).await
    }

    /// A store in a new table that is reached at `url`.
    pub async fn store_over(&self, url: &str, now: SystemTime) -> anyhow::Result<DynamoStore> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let table = format!("monitor-{number}");
        create_table(&self.client(), &table).await?;
        Ok(DynamoStore::new(client(url, now), table, number))
    }
}

/// A client of an emulator, or of a proxy in front of one. Its clock shows `now`.
pub fn client(url: &str, now: SystemTime) -> Client {
    client_with(url, StaticTimeSource::new(now))
}

/// A client with its own clock.
pub fn client_with(url: &str, clock: impl TimeSource + 'static) -> Client {
    let http = || monitor_http::http().no_proxy().build();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(monitor_http::sdk_http(http))
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "key", None, None, "emulator"))
        .endpoint_url(url)
        .time_source(clock)
        // The default is a second.
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(5)))
        .build();
    Client::from_conf(config)
}

/// Creates a table as infra/template.yaml does.
pub async fn create_table(client: &Client, table: &str) -> anyhow::Result<()> {
    let key = |name: &str, kind: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let attribute =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    let index = GlobalSecondaryIndex::builder()
        .index_name(TARGETS_INDEX)
        .key_schema(key(TARGETS_INDEX_KEY, KeyType::Hash)?)
        .key_schema(key(KEY, KeyType::Range)?)
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()?;
    client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute(KEY)?)
        .attribute_definitions(attribute(SORT_KEY)?)
        .attribute_definitions(attribute(TARGETS_INDEX_KEY)?)
        .key_schema(key(KEY, KeyType::Hash)?)
        .key_schema(key(SORT_KEY, KeyType::Range)?)
        .global_secondary_indexes(index)
        .send()
        .await?;
    Ok(())
}

/// Runs a test on a thread of its own: without optimization, the SDK's futures need more than the stack of a test's thread.
///
/// # Panics
/// If the test does, or if the thread cannot be started.
pub fn on_a_large_stack(test: impl AsyncFnOnce() + Send + 'static) {
    let run = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(test());
    };
    let thread = std::thread::Builder::new().stack_size(32 << 20).spawn(run).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn dynoxide() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("DYNOXIDE") {
        return Ok(path.into());
    }
    let path = workspace().join("tests/dynamodb/node_modules/@dynoxide/linux-x64/dynoxide");
    ensure!(path.exists(), "{} is missing: make unit installs it; or name another one in DYNOXIDE", path.display());
    Ok(path)
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A port that was free a moment ago.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
