//! Runs the server until it is stopped, for experiments.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use monitor_stately_server::{Schema, Settings, State, StatelyServer};

/// A StatelyDB server in memory with the monitor's schema.
#[derive(Parser)]
struct Arguments {
    /// The port to listen on at 127.0.0.1; 0 takes a free port.
    #[arg(long, default_value_t = 3030)]
    port: u16,
    /// Keeps the items in this file.
    #[arg(long)]
    file: Option<PathBuf>,
    /// The only valid access key; if it is not set, no token is needed.
    #[arg(long, env = "STATELY_SERVER_ACCESS_KEY", hide_env_values = true)]
    access_key: Option<String>,
    /// How long a token is valid, in seconds.
    #[arg(long, default_value_t = 3600)]
    token_life_secs: u64,
    /// The delay before each response, in milliseconds.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let settings = Settings {
        access_key: arguments.access_key,
        token_life_secs: arguments.token_life_secs,
        latency_ms: arguments.latency_ms,
        ..Settings::default()
    };
    let mut state = State::new(Schema::product(), settings);
    if let Some(file) = &arguments.file {
        state.load(file)?;
    }
    let server = StatelyServer::start_with(arguments.port, state).await?;
    println!("{}", server.base_url());
    let mut stopped = std::pin::pin!(tokio::signal::ctrl_c());
    let mut saved = 0;
    loop {
        let has_stopped = tokio::select! {
            _ = &mut stopped => true,
            () = tokio::time::sleep(Duration::from_millis(200)) => false,
        };
        if let Some(file) = &arguments.file {
            let mut state = server.state();
            if state.write_count() != saved {
                state.save(file)?;
                saved = state.write_count();
            }
        }
        if has_stopped {
            return Ok(());
        }
    }
}
