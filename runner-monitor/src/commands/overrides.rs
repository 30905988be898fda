//! `runner-monitor mute`, `unmute` and `acknowledge`: what people do in Slack, at the command line.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use monitor_config::HostOptions;
use monitor_domain::fleet::Fleet;
use monitor_domain::muting::{Authority, MAX_REASON_CHARS, MUTE_LENGTHS};
use monitor_domain::outage::OutageId;
use monitor_domain::runner::RunnerId;
use monitor_domain::scope::Scope;
use monitor_domain::target::{Target, TargetSpec, Written};
use monitor_pipeline::commands::{Answer, Answered, Asker, Command};
use monitor_pipeline::monitoring::Monitoring;
use monitor_pipeline::person::PersonId;
use monitor_pipeline::stages::Respond;
use monitor_slack::{Announcement, Covered, Reply};
use monitor_telemetry::SystemClock;
use monitor_web::text::{counted, one_line};

use crate::Outcome;
use crate::args::{parse_name, parse_target, parse_within};
use crate::commands::check::Nowhere;
use crate::commands::status::unknown_text;
use crate::config_file;
use crate::local_time::minute;
use crate::out;
use crate::selection::{Named, Selection};
use crate::setup;
use crate::store::{ChosenStore, StoreArgument};

#[derive(Debug, Args)]
pub(crate) struct Mute {
    /// A target, the name or label of runners, or a pool or queue. `*` in a name matches anything; quote a name with
    /// spaces: 'pool gpu'
    #[arg(value_name = "TARGET_OR_RUNNER", value_parser = parse_name)]
    pub(crate) what: Written,
    /// How long, 1m to 30d
    #[arg(value_name = "DURATION", value_parser = parse_mute)]
    pub(crate) lasting: Duration,
    /// Why, for the others
    #[arg(value_name = "REASON")]
    pub(crate) reason: Vec<String>,
    /// Only the runner of this target
    #[arg(long = "in", value_name = "TARGET", value_parser = parse_target)]
    pub(crate) target: Option<TargetSpec>,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
}

fn parse_mute(text: &str) -> Result<Duration, String> {
    parse_within(text, MUTE_LENGTHS, "1m to 30d, for example 2h")
}

#[derive(Debug, Args)]
pub(crate) struct Unmute {
    /// What was muted: a target, or the name or label of runners
    #[arg(value_name = "TARGET_OR_RUNNER", value_parser = parse_name)]
    pub(crate) what: Written,
    /// Only the runner of this target
    #[arg(long = "in", value_name = "TARGET", value_parser = parse_target)]
    pub(crate) target: Option<TargetSpec>,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
}

#[derive(Debug, Args)]
pub(crate) struct Acknowledge {
    /// Targets and runners; `*` in a runner's name matches anything
    #[arg(value_name = "TARGET_OR_RUNNER", value_parser = parse_name, required = true)]
    pub(crate) what: Vec<Written>,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
}

impl Acknowledge {
    /// What is acknowledged.
    pub(crate) fn selection(&self) -> Selection {
        Selection::of(self.what.clone())
    }
}

pub(crate) async fn mute(arguments: &Mute) -> anyhow::Result<Outcome> {
    let scope = scope(&arguments.what, arguments.target.as_ref())?;
    let reason = arguments.reason.join(" ");
    let reason = (!reason.is_empty()).then(|| reason.chars().take(MAX_REASON_CHARS).collect());
    let command = Command::Mute { scope, lasting_secs: arguments.lasting.as_secs(), reason };
    let store = setup::existing_store(&arguments.store).await?;
    let answered = respond(&store, &command).await?;
    match &answered.answer {
        Answer::Muted { mute, fleets } => {
            let (runners, until) = (counted_runners(fleets), minute(mute.until));
            out::print(format_args!("Muted until {until}: {} ({runners}).\n", one_line(&mute.scope.to_string())))?;
            let covered = Covered::of(fleets);
            let announcement = Announcement::Muted { mute: mute.clone(), covered };
            announce(&arguments.store, &announcement).await;
            Ok(Outcome::Healthy)
        }
        other => not_found(other),
    }
}

pub(crate) async fn unmute(arguments: &Unmute) -> anyhow::Result<Outcome> {
    let scope = scope(&arguments.what, arguments.target.as_ref())?;
    let store = setup::existing_store(&arguments.store).await?;
    let answered = respond(&store, &Command::Unmute { scope }).await?;
    match &answered.answer {
        Answer::Unmuted { mute } => {
            out::print(format_args!("No longer muted: {}.\n", one_line(&mute.scope.to_string())))?;
            announce(&arguments.store, &Announcement::Unmuted { mute: mute.clone(), by: PersonId::operator() }).await;
            Ok(Outcome::Healthy)
        }
        Answer::NotMuted { scope, mutes } => {
            let muted: Vec<String> = mutes.iter().map(|mute| as_arguments(&mute.scope)).collect();
            let hint = if muted.is_empty() { "nothing is".to_owned() } else { format!("muted: {}", muted.join(", ")) };
            out::error(&format_args!("{} is not muted; {hint}", as_arguments(scope)));
            Ok(Outcome::Incomplete)
        }
        other => not_found(other),
    }
}

pub(crate) async fn acknowledge(arguments: &Acknowledge) -> anyhow::Result<Outcome> {
    let store = setup::existing_store(&arguments.store).await?;
    let fleets = Monitoring::read(&store, &SystemClock).await?.fleets;
    let selection = arguments.selection();
    let mut open: BTreeMap<Target, Vec<(RunnerId, OutageId)>> = BTreeMap::new();
    let mut unknown = selection.named();
    for fleet in &fleets {
        let target = &fleet.record.target;
        unknown.retain(|name| !name.covers(target, None));
        for runner in fleet.pools_and_runners() {
            unknown.retain(|name| !name.covers(target, Some(&runner.name)));
            if let Some(outage) = runner.open_outage().filter(|_| selection.covers(target, Some(&runner.name))) {
                open.entry(target.clone()).or_default().push((outage.runner_id, outage.id));
            }
        }
    }
    for (target, outages) in open.iter() {
        let command = Command::Acknowledge { target: target.clone(), outages: outages.clone() };
        respond(&store, &command).await?;
        out::print(format_args!(
            "Acknowledged {} in {target}: no more reminders.\n",
            counted(outages.len(), "open outage")
        ))?;
    }
    if open.is_empty() && unknown.is_empty() {
        out::print(format_args!("There is no open outage to acknowledge.\n"))?;
    }
    unknown.iter().for_each(|name| out::error(&unknown_text(name)));
    Ok(Outcome::of(unknown.is_empty(), true))
}

/// What a mute covers.
fn scope(what: &Written, of: Option<&TargetSpec>) -> anyhow::Result<Scope> {
    const ONE: &str = "must be one target, not a whole account: mute its runners by a name or label";
    let one = |spec: &TargetSpec| match spec {
        TargetSpec::One(target) => Ok(target.clone()),
        TargetSpec::RepositoriesOf(_) => anyhow::bail!("{spec}: {ONE}"),
    };
    Ok(match (what, of) {
        (Written::Spec(spec), None) => Scope::Target(one(spec)?),
        (Written::Spec(spec), Some(_)) => {
            anyhow::bail!("{spec}: must be a runner's name, because --in names its target")
        }
        (Written::Name(name), Some(spec)) => Scope::Runner { target: one(spec)?, name: name.clone() },
        (Written::Name(name), None) => Scope::Named(name.clone()),
    })
}

/// Carries a command out. A process that can write the store may mute anything.
async fn respond(store: &ChosenStore, command: &Command) -> anyhow::Result<Answered> {
    let asker = Asker { id: PersonId::operator(), authority: Authority::Admin, request: None };
    let answered = Respond { store, jobs: &Nowhere, clock: &SystemClock }.run(command, &asker).await?;
    if !answered.unread.is_empty() {
        out::warn(&format_args!("{} cannot be read", counted(answered.unread.len(), "target")));
    }
    Ok(answered)
}

/// The error for what is not stored.
fn not_found(answer: &Answer) -> anyhow::Result<Outcome> {
    match answer {
        Answer::Runners { scope: Scope::Runner { target, name }, similar, .. } => {
            let hint = if similar.is_empty() { String::new() } else { format!("; similar: {}", similar.join(", ")) };
            let fault = format!("{target} has no runner called `{name}` (--in takes no labels and no patterns){hint}");
            out::error(&one_line(&fault));
        }
        Answer::Runners { scope, similar, .. } => {
            out::error(&unknown_text(&Named::Runner(scope.to_string())));
            if !similar.is_empty() {
                let names: Vec<String> = similar.iter().map(|name| one_line(name)).collect();
                out::error(&format_args!("similar names: {}", names.join(", ")));
            }
        }
        Answer::NotWatched { target, similar } => {
            let names: Vec<String> = similar.iter().map(ToString::to_string).collect();
            let hint = if names.is_empty() { String::new() } else { format!("; similar: {}", names.join(", ")) };
            out::error(&format_args!("{target} is not monitored{hint}"));
        }
        _ => out::error(&"the command was not carried out"),
    }
    Ok(Outcome::Incomplete)
}

/// A scope as it is written on the command line.
fn as_arguments(scope: &Scope) -> String {
    one_line(&match scope {
        Scope::Runner { target, name } => format!("{name} --in {target}"),
        other => other.to_string(),
    })
}

/// What a mute covers now: `2 runners and 1 pool in acme/web`.
fn counted_runners(fleets: &[Fleet]) -> String {
    let count = |of: fn(&Fleet) -> usize| fleets.iter().map(of).sum::<usize>();
    let (runners, pools) = (count(|fleet| fleet.runners.len()), count(|fleet| fleet.pools.len()));
    let what = match (runners, pools) {
        (0, 0) => return "no runner yet".to_owned(),
        (runners, 0) => counted(runners, "runner"),
        (0, pools) => counted(pools, "pool"),
        (runners, pools) => format!("{} and {}", counted(runners, "runner"), counted(pools, "pool")),
    };
    match fleets {
        [fleet] => format!("{what} in {}", fleet.record.target),
        _ => {
            let targets = fleets.iter().filter(|fleet| fleet.is_target()).count();
            format!("{what} in {}", counted(targets, "target"))
        }
    }
}

/// Announces in Slack's channel what was muted, if Slack is set here. What is stored counts; a failure is a warning.
async fn announce(store: &StoreArgument, announcement: &Announcement) {
    let host_options = HostOptions { store: store.service(), ..HostOptions::default() };
    if ["SLACK_WEBHOOK", "SLACK_BOT_TOKEN"].iter().all(|name| config_file::value(name).is_none()) {
        return;
    }
    let announced = async {
        let settings = setup::settings(&host_options)?;
        let messenger = setup::messenger(&setup::http()?, &settings, false)?;
        messenger
            .announce(Reply::announcement(announcement).message())
            .await
            .context("Slack did not take the announcement")
    };
    if let Err(error) = announced.await {
        out::warn(&format_args!("not announced in Slack: {error:#}"));
    }
}
