//! `runner-monitor doctor`: finds what is wrong with an installation, and says how to fix it.

mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use monitor_config::{HostOptions, Settings, StatelyDbSettings, StoreChoice};
use monitor_domain::observation::{CredentialReport, Fault};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::{Target, TargetSpec};
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_domain::versions::{VersionEnd, is_version};
use monitor_github::{CredentialKind, GitHub, ProbeReport};
use monitor_pipeline::ports::{Clock, Route, RunnerSource};
use monitor_pipeline::records::read_monitor;
use monitor_slack::{Messenger, Taken};
use monitor_stately::MAX_BATCH;
use monitor_stately::canary::{self, Findings};
use monitor_telemetry::SystemClock;
use monitor_web::text::{ago, counted, one_line};
use serde::Serialize;
use serde_json::json;

use crate::Outcome;
use crate::config_file;
use crate::fleet_view::without_name;
use crate::local_time::minute;
use crate::out;
use crate::setup;
use crate::store::{ChosenStore, StoreArgument};
use crate::table::{Screen, Tone, wrapped};

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Send a test message to Slack: to the default channel, and to every channel that the policy names
    #[arg(long)]
    pub(crate) send_test: bool,
    /// Check only StatelyDB, before its first use: write an item of every type, compare what is read back with the
    /// published schema, and remove it
    #[arg(long, conflicts_with = "send_test")]
    pub(crate) stately: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgument,
    /// Print JSON instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// How many targets are probed at once.
const AT_ONCE: usize = 20;
/// Beyond this difference times in messages are misleading; from one minute on GitHub refuses an App's tokens.
const CLOCK_TOLERANCE_MS: u64 = 30_000;
/// How long before its expiry a token should be renewed.
const RENEW_AHEAD: Duration = Duration::from_secs(14 * 86_400);
/// How long before its end a version of the runner should be replaced.
const UPDATE_AHEAD: Duration = Duration::from_secs(21 * 86_400);

/// The result of one examination.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    what: String,
    pub(crate) rating: Rating,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Whether a target is unreachable or unknown, so that its runners cannot be monitored.
    #[serde(skip)]
    pub(crate) is_unreachable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Rating {
    Good,
    Warning,
    Problem,
}

impl Finding {
    fn ok(what: impl Into<String>, says: impl Into<String>) -> Self {
        Self { what: what.into(), rating: Rating::Good, says: says.into(), hint: None, is_unreachable: false }
    }

    fn warning(what: impl Into<String>, says: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            rating: Rating::Warning,
            says: says.into(),
            hint: Some(hint.into()),
            is_unreachable: false,
        }
    }

    fn problem(what: impl Into<String>, says: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { rating: Rating::Problem, ..Self::warning(what, says, hint) }
    }

    fn unreachable(what: impl Into<String>, says: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { is_unreachable: true, ..Self::problem(what, says, hint) }
    }
}

pub(crate) async fn run(arguments: &Doctor) -> anyhow::Result<Outcome> {
    let clock = SystemClock;
    if arguments.stately {
        let settings = StatelyDbSettings::read(&config_file::source())?;
        return conclude(arguments, &[of_stately(&settings, &clock).await?]);
    }
    let settings = setup::settings(&HostOptions { store: arguments.store.service(), ..HostOptions::default() })?;
    let http = setup::http()?;
    let github = setup::github(&settings, &clock)?;
    let mut findings = vec![Finding::ok("settings", format!("readable; {}", lines(&settings)))];
    findings.extend(settings.misspelt.iter().map(|misspelt| {
        let rename = format!("rename it, or unset it if another program reads it: `unset {}`", misspelt.given);
        Finding::warning("settings", misspelt.to_string(), rename)
    }));
    let exposure = config_file::exposure();
    findings
        .extend(exposure.map(|says| Finding::warning("configuration file", says, "then only its owner can read it")));
    let examined = examine(&github, &settings.targets, &mut findings).await;
    let targets: Vec<Finding> = examined.iter().map(of_target).collect();
    findings.extend(if arguments.json { targets } else { counted_if_many(targets) });
    findings.extend(of_credentials(&examined, clock.now()));
    findings.extend(of_versions(&github, &examined, clock.now()).await);
    if monitor_config::github_webhook_secret(&config_file::source())?.is_some() {
        findings.extend(webhooks::findings(&github, &examined, clock.now()).await);
    }
    findings.extend(webhooks::of_polled(&github, settings.policy.polled()).await);
    findings.extend(of_slack(&http, &settings, arguments.send_test).await?);
    findings.push(of_store(arguments, &settings, clock.now()).await);
    conclude(arguments, &findings)
}

fn conclude(arguments: &Doctor, findings: &[Finding]) -> anyhow::Result<Outcome> {
    if arguments.json {
        out::print_json(json!({"findings": findings}))?;
    } else {
        print_each(findings)?;
        out::print(format_args!("\n{}\n", closing(findings)))?;
    }
    Ok(outcome(findings))
}

fn outcome(findings: &[Finding]) -> Outcome {
    let is_fine = findings.iter().all(|finding| finding.rating != Rating::Problem);
    Outcome::of(!findings.iter().any(|finding| finding.is_unreachable), is_fine)
}

fn lines(settings: &Settings) -> String {
    format!("{} in the target list, GitHub at {}", counted(settings.targets.len(), "line"), settings.github.api_url)
}

/// Asks GitHub for every target, and for the repositories of each account.
pub(crate) async fn examine(github: &GitHub, specs: &[TargetSpec], findings: &mut Vec<Finding>) -> Vec<ProbeReport> {
    let mut targets: Vec<Target> = Vec::new();
    for spec in specs {
        match spec {
            TargetSpec::One(target) => targets.push(target.clone()),
            TargetSpec::RepositoriesOf(account) => match github.repositories_of(account).await {
                Ok(found) => {
                    findings.push(Finding::ok(spec.to_string(), format!("matches {}", repositories(found.len()))));
                    targets.extend(found);
                }
                Err(failure) => {
                    let hint = match failure.fault {
                        Fault::NotFound | Fault::Forbidden => {
                            "check the account's name, or give the credential access to its repositories".to_owned()
                        }
                        fault => hint_for(fault, github.kind()),
                    };
                    findings.push(Finding::unreachable(spec.to_string(), without_name(&failure.detail, account), hint));
                }
            },
        }
    }
    targets.sort();
    targets.dedup();
    futures_util::stream::iter(&targets).map(|target| github.probe(target)).buffered(AT_ONCE).collect().await
}

/// Replaces healthy targets by their number if there are many.
fn counted_if_many(findings: Vec<Finding>) -> Vec<Finding> {
    const MANY: usize = 20;
    let (ok, mut others): (Vec<_>, Vec<_>) = findings.into_iter().partition(|finding| finding.rating == Rating::Good);
    if ok.len() <= MANY {
        others.splice(0..0, ok);
        return others;
    }
    others.insert(0, Finding::ok(counted(ok.len(), "target"), "reachable (--json lists them)"));
    others
}

fn repositories(count: usize) -> String {
    if count == 1 { "1 repository".to_owned() } else { format!("{count} repositories") }
}

/// What GitHub answered for a target.
pub(crate) fn of_target(probe_report: &ProbeReport) -> Finding {
    let what = probe_report.target.to_string();
    match &probe_report.runners {
        Ok(0) => Finding::warning(
            what,
            "reachable; no runner is registered",
            "register one, or remove the target from the list",
        ),
        Ok(runners) => {
            Finding::ok(what, format!("reachable; {}", counted(usize::try_from(*runners).unwrap_or(0), "runner")))
        }
        Err(failure) => {
            let (credential, needed) = (text_for(probe_report.kind), &probe_report.needed);
            let hint = match (failure.fault, &probe_report.missing) {
                (_, Some(permission)) => format!("{credential} needs {permission}"),
                (Fault::NotFound, None) => {
                    format!("check the name; if it is right, {credential} needs {needed}, and access to {what}")
                }
                (Fault::Credential, None) if probe_report.kind != CredentialKind::App => {
                    format!("{}; it needs {needed}", hint_for(failure.fault, probe_report.kind))
                }
                (fault, None) => hint_for(fault, probe_report.kind),
            };
            let says = without_name(&failure.detail, &what).to_owned();
            Finding::unreachable(what, says, hint)
        }
    }
}

/// How to fix a fault of the credential, the connection to GitHub or GitHub itself.
fn hint_for(fault: Fault, kind: CredentialKind) -> String {
    let hint = match fault {
        Fault::Credential if kind == CredentialKind::App => {
            "check GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, and on GitHub that the App is installed there and not suspended"
        }
        Fault::Credential => "make a new token and set it in GITHUB_TOKEN",
        Fault::Limited { .. } => "wait until then; if it happens again, give the monitor its own credential",
        Fault::Network => "check GITHUB_API_URL, and this machine's name server, proxy and firewall",
        Fault::Service => "try again later; incidents are listed at https://www.githubstatus.com",
        Fault::Incomplete => "check that the credential can list every runner",
        Fault::BrokenAnswer => "check GITHUB_API_URL, and whether a proxy in between answers in GitHub's place",
        Fault::Unreadable => "restore the store from a backup, or move it away",
        Fault::Forbidden => "fix the cause that GitHub gives above",
        Fault::NotFound => "check the name, and that the credential has access to it",
    };
    hint.to_owned()
}

fn text_for(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::ClassicToken => "the classic token",
        CredentialKind::FineGrainedToken => "the fine-grained token",
        CredentialKind::OtherToken => "the token",
        CredentialKind::App => "the GitHub App",
    }
}

/// What GitHub's answers report about each credential, once per credential.
fn of_credentials(examined: &[ProbeReport], now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut known = Vec::new();
    for probe_report in examined {
        if known.contains(&&probe_report.credential) {
            continue;
        }
        known.push(&probe_report.credential);
        let what = probe_report.credential.to_string();
        let report = Some(probe_report.report).filter(|_| !is_refused(examined, &probe_report.credential));
        findings.extend(report.map(|report| of_expiry(&what, report, now)));
        if let Some(CredentialReport { quota_remaining: Some(left), quota_limit: Some(limit), .. }) = report {
            findings.push(of_quota(what, left, limit));
        }
        findings.extend(probe_report.clock_ahead_ms.map(of_clock));
    }
    findings
}

/// When GitHub gives no more jobs to the versions of the runners, oldest first.
async fn of_versions(github: &GitHub, examined: &[ProbeReport], now: Timestamp) -> Vec<Finding> {
    const MOST: usize = 5;
    if !github.answers_version_ends() {
        return Vec::new();
    }
    let mut seen: BTreeMap<&String, &Target> = BTreeMap::new();
    for probe_report in examined {
        let versions = probe_report.versions.iter().filter(|version| is_version(version));
        versions.for_each(|version| _ = seen.entry(version).or_insert(&probe_report.target));
    }
    let number = |version: &str| -> Vec<u64> { version.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    let mut seen: Vec<(&String, &Target)> = seen.into_iter().collect();
    seen.sort_by_key(|(version, _)| number(version));
    let mut findings = Vec::new();
    for (version, through) in seen.into_iter().take(MOST) {
        findings.push(match github.version_end(through, version, None).await {
            Ok(answer) => of_version(version, answer.end, now),
            Err(failure) => {
                let says = format!("GitHub does not say when it ends: {failure}");
                Finding::warning(format!("runner version {version}"), says, hint_for(failure.fault, github.kind()))
            }
        });
    }
    findings
}

fn of_version(version: &str, end: VersionEnd, now: Timestamp) -> Finding {
    const FIX: &str = "install a newer version on the hosts, or in the image that the runners start from";
    let what = format!("runner version {}", one_line(version));
    match end {
        VersionEnd::At { at } if at <= now => {
            Finding::problem(what, format!("ended on {}: GitHub gives it no more jobs", minute(at)), FIX)
        }
        VersionEnd::At { at } if at.since(now) <= UPDATE_AHEAD => {
            let left = spoken_duration(at.since(now));
            Finding::warning(what, format!("ends in {left}, on {}: GitHub then gives it no more jobs", minute(at)), FIX)
        }
        VersionEnd::At { at } => Finding::ok(what, format!("ends on {}", minute(at))),
        VersionEnd::NoDate => Finding::ok(what, "GitHub has set no end"),
        VersionEnd::Unlisted => Finding::ok(what, "GitHub does not list it, so its end is not known"),
        VersionEnd::Unanswered => Finding::ok(what, "GitHub does not say when it ends"),
    }
}

fn of_quota(what: String, left: u32, limit: u32) -> Finding {
    let says = format!("{left} of {limit} requests left of the hourly quota");
    if left >= limit / 10 {
        return Finding::ok(what, says);
    }
    Finding::warning(what, says, "find out what else uses this credential, or give the monitor its own")
}

/// Rates this machine's clock by how far it is ahead of GitHub's, in milliseconds; negative if it is behind.
fn of_clock(ahead_ms: i64) -> Finding {
    if ahead_ms.unsigned_abs() <= CLOCK_TOLERANCE_MS {
        return Finding::ok("clock", "agrees with GitHub's");
    }
    let off = spoken_duration(Duration::from_millis(ahead_ms.unsigned_abs()));
    let direction = if ahead_ms > 0 { "ahead of" } else { "behind" };
    Finding::problem("clock", format!("{off} {direction} GitHub's"), "synchronize this machine's clock by NTP")
}

/// Whether a target's line already says that the credential is refused, or that GitHub was not reached: then nothing
/// good is known about the credential.
fn is_refused(examined: &[ProbeReport], credential: &CredentialId) -> bool {
    let fault = |probe_report: &ProbeReport| probe_report.runners.as_ref().err().map(|failure| failure.fault);
    let mut its_own = examined.iter().filter(|probe_report| probe_report.credential == *credential);
    its_own.any(|probe_report| matches!(fault(probe_report), Some(Fault::Credential | Fault::Network)))
}

fn of_expiry(what: &str, report: CredentialReport, now: Timestamp) -> Finding {
    match report.expires_at {
        None => Finding::ok(what, "has no expiry date as far as GitHub reports"),
        Some(end) if end.since(now) < RENEW_AHEAD => {
            let left = spoken_duration(end.since(now));
            Finding::warning(what, format!("expires in {left}"), "make a new token and set it before then")
        }
        Some(end) => Finding::ok(what, format!("expires in {}", spoken_duration(end.since(now)))),
    }
}

/// Whether Slack is set, and with `send_test` whether it takes a message.
pub(crate) async fn of_slack(
    http: &reqwest::Client,
    settings: &Settings,
    send_test: bool,
) -> anyhow::Result<Vec<Finding>> {
    let messenger = setup::messenger(http, settings, false)?;
    let (what, fix) = match &messenger {
        Messenger::Webhook(_) => ("a webhook is set", "create a new webhook in the Slack app's settings"),
        Messenger::Bot(_) => (
            "a bot is set",
            "check SLACK_BOT_TOKEN and the channel's name, and invite the bot to the channel with /invite",
        ),
        Messenger::Console(_) => return Ok(vec![without_slack(settings, send_test)]),
    };
    let named: BTreeSet<&str> = settings.policy.channels().map(|(_, channel)| channel).collect();
    if !send_test {
        let further = if named.is_empty() { "" } else { ", and the policy names more channels" };
        let says = format!("{what}{further}; not tested (`doctor --send-test` sends a message)");
        return Ok(vec![Finding::ok("Slack", says)]);
    }
    let mut findings = Vec::new();
    for channel in std::iter::once(None).chain(named.into_iter().map(Some)) {
        let what = channel.map_or("Slack".to_owned(), |channel| format!("Slack, {channel}"));
        findings.push(match messenger.send_test(Route::to(channel)).await {
            Ok(Taken { oddity: None, .. }) => Finding::ok(what, "accepted the test message"),
            Ok(Taken { oddity: Some(oddity), .. }) => Finding::warning(
                what,
                format!("{oddity}: messages count as delivered and are not sent again"),
                "check that the test message arrived in the channel; only Slack itself is supported",
            ),
            Err(error) => Finding::problem(what, error.to_string(), format!("see the reason; {fix}")),
        });
    }
    Ok(findings)
}

/// No Slack settings. That is a problem if a test message was requested, or if a setting is misspelt.
fn without_slack(settings: &Settings, send_test: bool) -> Finding {
    let says = "neither SLACK_WEBHOOK nor SLACK_BOT_TOKEN is set: alerts go to the console";
    let misspelt = settings.misspelt.iter().find(|misspelt| misspelt.meant.starts_with("SLACK_"));
    let fix = misspelt.map_or_else(|| "set SLACK_WEBHOOK to alert a channel".to_owned(), ToString::to_string);
    match (send_test, misspelt) {
        (true, _) => Finding::problem("Slack", format!("no test message was sent: {says}"), fix),
        (false, Some(_)) => Finding::problem("Slack", says, fix),
        (false, None) => Finding::warning("Slack", says, fix),
    }
}

async fn of_store(arguments: &Doctor, settings: &Settings, now: Timestamp) -> Finding {
    let place = match arguments.store.place() {
        Ok(place) => place,
        Err(error) => return Finding::problem("store", error.to_string(), "set HOME, or name a file with --store"),
    };
    let what = format!("store {place}");
    let service = arguments.store.service();
    if service.is_none() && !std::path::Path::new(&place).exists() {
        return Finding::ok(what, "does not exist yet; `check` and `run` create it");
    }
    // The line already begins with the path.
    let without_path = |error: &dyn std::fmt::Display| {
        let said = format!("{error:#}");
        said.strip_prefix(&format!("the store {place} "))
            .map_or_else(|| said.replace(&place, "the file"), str::to_owned)
    };
    let store = match setup::store(&arguments.store, settings).await {
        Ok(store) => store,
        Err(error) => {
            return Finding::problem(what, without_path(&error), "name another file with --store, or repair this one");
        }
    };
    let items = match &store {
        ChosenStore::Embedded(store, _) => store.verify().map(Some),
        ChosenStore::Network(_) => Ok(None),
    };
    let read = match items {
        Ok(items) => read_monitor(&store, &SystemClock).await.map(|stored| (items, stored)),
        Err(error) => Err(error),
    };
    match read {
        Err(error) if service == Some(StoreChoice::StatelyDb) => {
            Finding::problem(what, error.to_string(), "fix that, then run `doctor --stately` to check the whole store")
        }
        Err(error) if service.is_some() => {
            Finding::problem(what, error.to_string(), "fix that; docs/DEPLOY-AWS.md creates the table")
        }
        Err(error) => {
            let fix = "restore the file from a backup, or move it away to start with an empty store";
            Finding::problem(what, without_path(&error), fix)
        }
        Ok((items, stored)) => {
            let items = items.and_then(|items| usize::try_from(items).ok());
            let whole = items.map_or_else(String::new, |items| format!(", each of its {}", counted(items, "item")));
            let used = stored.ticked_at.map_or_else(
                || "`run` has not used it yet".to_owned(),
                |at| format!("`run` last checked {}", ago(at, now)),
            );
            Finding::ok(what, format!("readable{whole}; {used}"))
        }
    }
}

/// Whether StatelyDB and the published schema are what this release expects.
async fn of_stately(settings: &StatelyDbSettings, clock: &SystemClock) -> anyhow::Result<Finding> {
    let what = format!("StatelyDB store {}, schema {}", settings.store_id, settings.schema_id);
    let client = setup::stately_client(settings)?;
    let Findings { compared, faults } = canary::run(&client, MAX_BATCH, clock.now(), clock.random()).await;
    if faults.is_empty() {
        let says = format!("writes, sorts and reads items as expected; {compared} fields agree with the schema");
        return Ok(Finding::ok(what, says));
    }
    const SHOWN: usize = 12;
    let mut says = faults.iter().take(SHOWN).map(|fault| format!("\n        {fault}")).collect::<String>();
    if faults.len() > SHOWN {
        says.push_str(&format!("\n        and {} more", faults.len() - SHOWN));
    }
    let hint = "do not use this store until that is fixed: check the STATELYDB_… settings, and that the schema of this release \
                is published under that number, see docs/DEPLOY-AWS.md";
    Ok(Finding::problem(what, says, hint))
}

/// Prints each finding with its fix.
pub(crate) fn print_each(findings: &[Finding]) -> anyhow::Result<()> {
    let screen = Screen::of_stdout();
    for finding in findings {
        let (sign, tone) = match finding.rating {
            Rating::Good => ("ok ", Tone::Good),
            Rating::Warning => ("?  ", Tone::Warning),
            Rating::Problem => ("BAD", Tone::Bad),
        };
        let line = format!("{} {}: {}", tone.paint(sign, screen.colour), one_line(&finding.what), finding.says);
        out::print(format_args!("{}\n", wrapped(&line, 4, screen.width)))?;
        if let Some(hint) = &finding.hint {
            out::print(format_args!("{}\n", wrapped(&format!("      → {hint}"), 8, screen.width)))?;
        }
    }
    Ok(())
}

fn closing(findings: &[Finding]) -> String {
    let count = |rating| findings.iter().filter(|finding| finding.rating == rating).count();
    let warning = match count(Rating::Warning) {
        0 => String::new(),
        count => format!(" {} (?).", counted(count, "warning")),
    };
    match count(Rating::Problem) {
        0 => format!("Nothing to fix.{warning}"),
        count => format!("{} to fix (BAD).{warning}", counted(count, "problem")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_ahead_or_behind_only_beyond_the_tolerance() {
        for (ahead_ms, expected) in [
            (0, "ok: agrees with GitHub's"),
            (30_000, "ok: agrees with GitHub's"),
            (-30_000, "ok: agrees with GitHub's"),
            (30_001, "BAD: 30 s ahead of GitHub's"),
            (-30_001, "BAD: 30 s behind GitHub's"),
            (7_200_000, "BAD: 2 h ahead of GitHub's"),
            (i64::MIN, "BAD: "),
        ] {
            let finding = of_clock(ahead_ms);
            let rating = if finding.rating == Rating::Good { "ok" } else { "BAD" };
            assert!(format!("{rating}: {}", finding.says).starts_with(expected), "{ahead_ms}: {}", finding.says);
        }
    }

    #[test]
    fn healthy_targets_are_counted_when_there_are_many() {
        let of = |ok: usize| {
            let findings =
                (0..ok).map(|_| Finding::ok("acme/web", "seen")).chain([Finding::problem("acme/api", "b", "c")]);
            counted_if_many(findings.collect()).iter().map(|finding| finding.what.clone()).collect::<Vec<_>>()
        };
        assert_eq!(of(2), ["acme/web", "acme/web", "acme/api"]);
        assert_eq!(of(1_000), ["1,000 targets", "acme/api"]);
    }

    #[test]
    fn less_than_a_tenth_of_the_quota_is_a_warning() {
        let rating = |left| of_quota("token".to_owned(), left, 5_000).rating;
        assert!(rating(500) == Rating::Good && rating(499) == Rating::Warning);
    }

    #[test]
    fn a_token_that_expires_within_two_weeks_is_a_warning() {
        let now = Timestamp::from_epoch_ms(0);
        let of = |left: Duration| {
            let report = CredentialReport { expires_at: Some(now.plus(left)), ..CredentialReport::default() };
            of_expiry("token", report, now).rating
        };
        assert!(of(RENEW_AHEAD) == Rating::Good && of(RENEW_AHEAD - Duration::from_millis(1)) == Rating::Warning);
        let none = of_expiry("token", CredentialReport::default(), now);
        assert!(none.rating == Rating::Good && none.says.contains("no expiry date"), "{}", none.says);
    }

    #[test]
    fn an_unreachable_target_outweighs_a_problem() {
        let ok = || Finding::ok("a", "b");
        let problem = || Finding::problem("a", "b", "c");
        assert_eq!(outcome(&[ok(), Finding::warning("a", "b", "c")]), Outcome::Healthy);
        assert_eq!(outcome(&[ok(), problem()]), Outcome::Unhealthy);
        assert_eq!(outcome(&[problem(), Finding::unreachable("a", "b", "c")]), Outcome::Incomplete);
        assert_eq!(closing(&[ok(), Finding::warning("a", "b", "c")]), "Nothing to fix. 1 warning (?).");
        assert_eq!(closing(&[problem(), problem()]), "2 problems to fix (BAD).");
    }
}
