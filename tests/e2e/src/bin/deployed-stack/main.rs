//! The deployed stack without a cloud: the functions' real binaries under AWS's Runtime Interface Emulator, queues and
//! parameters as the template creates them, and a simulation of what Lambda and EventBridge do between them.
//!
//! `make stack` builds the binaries, starts the AWS emulators and runs this program.

mod aws;
mod emulator;
mod function;
mod gateway;
mod invocations;
mod mapping;
mod plan;
mod scenarios;
mod secrets;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use monitor_dynamodb_emulators::Emulator;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::plan::Plan;
use crate::scenarios::{Records, Scenario};
use crate::world::{Bench, World};

/// Scenarios of the deployed stack.
#[derive(Parser)]
struct Arguments {
    /// The plan of the stack, written by `create_stack.py`
    #[arg(long)]
    plan: PathBuf,
    /// The folder for the functions' logs, with a folder for each scenario
    #[arg(long)]
    logs: PathBuf,
    /// How many scenarios run at a time; they mostly wait
    #[arg(long, default_value_t = 6)]
    at_once: usize,
    /// MiniStack as DynamoDB instead of dynoxide
    #[arg(long)]
    ministack: bool,
    /// Only scenarios whose name contains one of these
    names: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plan = Plan::read(&arguments.plan)?;
    let dynamodb = match (&plan.table, arguments.ministack) {
        (None, _) => None,
        (Some(_), true) => Some(Emulator::ministack().await?),
        (Some(_), false) => Some(Emulator::dynoxide(None).await?),
    };
    let bench = Arc::new(Bench {
        plan,
        http: reqwest::Client::builder().no_proxy().build()?,
        logs: arguments.logs.clone(),
        dynamodb,
    });
    if arguments.logs.exists() {
        std::fs::remove_dir_all(&arguments.logs)?;
    }
    let is_meant = |scenario: &Scenario| {
        arguments.names.is_empty() || arguments.names.iter().any(|name| scenario.name.contains(name.as_str()))
    };
    let records = if bench.plan.table.is_some() { Records::DynamoDb } else { Records::StatelyDb };
    let is_possible = |scenario: &Scenario| scenario.needs.is_none_or(|needed| needed == records);
    let meant: Vec<Scenario> = scenarios::all().into_iter().filter(is_meant).filter(is_possible).collect();
    anyhow::ensure!(!meant.is_empty(), "no scenario's name contains {:?}", arguments.names);
    if !bench.plan.true_fifo {
        println!("moto serves the queues: it lets later messages of a FIFO group overtake a redelivered one");
    }
    println!("{} scenarios, {} at a time; logs in {}", meant.len(), arguments.at_once, arguments.logs.display());

    let began = Instant::now();
    let permits = Arc::new(Semaphore::new(arguments.at_once));
    let mut running = JoinSet::new();
    for (number, scenario) in (1..).zip(meant) {
        let (bench, permits) = (Arc::clone(&bench), Arc::clone(&permits));
        running.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let began = Instant::now();
            // In its own task, so that a panic fails only this scenario.
            let ended = tokio::spawn(play(bench, scenario.clone(), number)).await;
            (scenario, began.elapsed(), ended.unwrap_or_else(|panic| Err(panic.into())))
        });
    }
    let mut failed = 0;
    while let Some(ended) = running.join_next().await {
        let (scenario, took, outcome) = ended?;
        let sentence = scenario.name.replace('_', " ");
        match outcome {
            Ok(()) => println!("ok      {sentence} ({:.0} s)", took.as_secs_f64()),
            Err(error) => {
                failed += 1;
                println!("FAILED  {sentence} ({:.0} s): {error:#}", took.as_secs_f64());
                println!("        logs: {}", arguments.logs.join(scenario.name).display());
            }
        }
    }
    match secrets::search(&arguments.logs) {
        Ok((files, bytes)) => {
            println!(
                "ok      no planted secret in {files} files of logs, answers and dead letters ({} KB)",
                bytes / 1024
            );
        }
        Err(error) => {
            failed += 1;
            println!("FAILED  {error:#}");
        }
    }
    println!("{:.0} s, {failed} failed", began.elapsed().as_secs_f64());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(bench: Arc<Bench>, scenario: Scenario, number: u32) -> anyhow::Result<()> {
    let world = World::start(&bench, (scenario.name, number), (scenario.setting)()).await?;
    let outcome = (scenario.run)(&world).await;
    // Also writes the remaining dead letters to the logs, so that they are searched for secrets.
    for queue in ["ChecksDeadLetterQueue", "ChangesDeadLetterQueue"] {
        world.dead_letters(queue).await?;
    }
    outcome
}
