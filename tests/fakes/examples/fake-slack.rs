//! A fake Slack to run: `cargo run -p monitor-fakes --example fake-slack`.
//!
//! Prints the URL of its webhook as one line and serves until it is stopped.

use std::io::Write;

use monitor_fakes::FakeSlack;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let slack = FakeSlack::start().await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", slack.webhook_url())?;
    stdout.flush()?;
    tokio::signal::ctrl_c().await
}
