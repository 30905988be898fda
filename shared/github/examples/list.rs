//! Lists the runners of one target: `GITHUB_TOKEN=... cargo run -p monitor-github --example list -- owner/name`
//! (or `orgs/NAME`, `enterprises/NAME`). `GITHUB_API_URL` names an Enterprise Server's `https://HOST/api/v3`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use monitor_domain::observation::ObservedPage;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_github::{Credential, GITHUB_COM, GitHub, Secret, Settings};
use monitor_pipeline::ports::RunnerSource;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match list().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("list: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn list() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("name a target: owner/name, orgs/NAME or enterprises/NAME")?;
    let target: Target = name.parse()?;
    let token = std::env::var("GITHUB_TOKEN").map_err(|_| "set GITHUB_TOKEN to a personal access token")?;
    let api_url = std::env::var("GITHUB_API_URL").unwrap_or_else(|_| GITHUB_COM.to_owned());

    // Fails only if a provider is already installed, which is fine too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let settings = Settings { api_url, ..Settings::new(Credential::Token(Secret::new(&token))) };
    let github = GitHub::new(http, settings, Arc::new(now))?;

    let listing = github.list(&target, &[]).await;
    for page in listing.pages.map_err(|incomplete| incomplete.failure.detail)? {
        if let ObservedPage::Fresh { runners, .. } = page {
            for runner in runners {
                println!("{:>10}  {:<8} {:<8} {}", runner.id, runner.status, runner.os, runner.name);
            }
        }
    }
    if let Some(left) = listing.report.quota_remaining {
        println!("{left} requests left this hour");
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "the host provides the clock, and this is the host")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_epoch_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
