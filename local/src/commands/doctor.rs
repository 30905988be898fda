//! `runner-monitor doctor`: what is wrong with an installation, and how to mend it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use monitor_config::{HostOptions, Settings, Source, StatelyDbSettings};
use monitor_domain::observation::{CredentialReport, Failure, Fault};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::{Target, TargetSpec};
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_github::{CredentialKind, Examination, GitHub};
use monitor_pipeline::ports::{Clock, Route, RunnerSource};
use monitor_pipeline::records::read_monitor;
use monitor_slack::Messenger;
use monitor_stately::MAX_BATCH;
use monitor_stately::canary::{self, Findings};
use monitor_telemetry::SystemClock;
use serde::Serialize;

use crate::Outcome;
use crate::args::Doctor;
use crate::out;
use crate::outside;
use crate::table::{Tone, ago, colour_on_stdout, counted, one_line};

/// How many targets are examined at once.
const AT_ONCE: usize = 20;
/// A clock further off than this makes times in messages misleading, and from a minute on GitHub refuses an App.
const CLOCK_TOLERANCE_MS: u64 = 30_000;
/// How long before its end a token is worth renewing.
const RENEW_AHEAD: Duration = Duration::from_secs(14 * 86_400);

/// One thing that was examined.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    what: String,
    verdict: Verdict,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    Good,
    Doubtful,
    Bad,
}

impl Finding {
    fn good(what: impl Into<String>, says: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Good, says: says.into(), mend: None }
    }

    fn doubtful(what: impl Into<String>, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Doubtful, says: says.into(), mend: Some(mend.into()) }
    }

    fn bad(what: impl Into<String>, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, ..Self::doubtful(what, says, mend) }
    }
}

pub(crate) async fn run(arguments: &Doctor) -> anyhow::Result<Outcome> {
    let clock = SystemClock;
    if arguments.stately {
        let settings = StatelyDbSettings::read(&Source::environment())?;
        return conclude(arguments, &[of_stately(&settings, &clock).await?]);
    }
    let settings =
        outside::settings(&HostOptions { statelydb: arguments.store.is_stately(), ..HostOptions::default() })?;
    let http = outside::http()?;
    let github = outside::github(&http, &settings, &clock)?;
    let mut findings = vec![Finding::good("settings", format!("readable; {}", lines(&settings)))];
    let examined = examine(&github, &settings.targets, &mut findings).await;
    findings.extend(examined.iter().map(of_target));
    findings.extend(of_credentials(&examined, clock.now()));
    findings.extend(of_slack(&http, &settings, arguments.send_test).await?);
    findings.push(of_store(arguments, &settings, clock.now()).await);
    conclude(arguments, &findings)
}

fn conclude(arguments: &Doctor, findings: &[Finding]) -> anyhow::Result<Outcome> {
    if arguments.json {
        out::print(format_args!("{}\n", serde_json::to_string_pretty(findings)?))?;
    } else {
        print(findings)?;
    }
    let is_fine = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    Ok(if is_fine { Outcome::Healthy } else { Outcome::Unhealthy })
}

fn lines(settings: &Settings) -> String {
    format!("{} of the list of targets, GitHub at {}", counted(settings.targets.len(), "line"), settings.github.api_url)
}

async fn examine(github: &GitHub, specs: &[TargetSpec], findings: &mut Vec<Finding>) -> Vec<Examination> {
    let mut targets: Vec<Target> = Vec::new();
    for spec in specs {
        match spec {
            TargetSpec::One(target) => targets.push(target.clone()),
            TargetSpec::RepositoriesOf(account) => match github.repositories_of(account).await {
                Ok(found) => {
                    findings.push(Finding::good(spec.to_string(), format!("stands for {}", repositories(found.len()))));
                    targets.extend(found);
                }
                Err(failure) => {
                    let mend = match failure.fault {
                        Fault::NotFound | Fault::Forbidden => {
                            "mend the account's name, or let the credential read its repositories".to_owned()
                        }
                        fault => mend_of(fault, github.kind()),
                    };
                    findings.push(Finding::bad(spec.to_string(), without_name(&failure, account), mend));
                }
            },
        }
    }
    targets.sort();
    targets.dedup();
    futures_util::stream::iter(&targets).map(|target| github.examine(target)).buffered(AT_ONCE).collect().await
}

fn repositories(count: usize) -> String {
    if count == 1 { "1 repository".to_owned() } else { format!("{count} repositories") }
}

fn of_target(examination: &Examination) -> Finding {
    let what = examination.target.to_string();
    match &examination.runners {
        Ok(0) => {
            Finding::doubtful(what, "seen; no runner is registered", "register one, or take the target off the list")
        }
        Ok(runners) => {
            Finding::good(what, format!("seen; {}", counted(usize::try_from(*runners).unwrap_or(0), "runner")))
        }
        Err(failure) => {
            let (credential, needed) = (words_for(examination.kind), &examination.needed);
            let mend = match (failure.fault, &examination.missing) {
                (_, Some(permission)) => format!("{credential} needs {permission}"),
                (Fault::NotFound, None) => {
                    format!("check the name; if it is right, {credential} needs {needed}, and access to {what}")
                }
                (Fault::Credential, None) if examination.kind != CredentialKind::App => {
                    format!("{}; it needs {needed}", mend_of(failure.fault, examination.kind))
                }
                (fault, None) => mend_of(fault, examination.kind),
            };
            let says = without_name(failure, &what);
            Finding::bad(what, says, mend)
        }
    }
}

/// The mend of what lies with the credential, the way to GitHub or GitHub itself.
fn mend_of(fault: Fault, kind: CredentialKind) -> String {
    let mend = match fault {
        Fault::Credential if kind == CredentialKind::App => {
            "check GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, and on GitHub that the App is installed there and not suspended"
        }
        Fault::Credential => "make a new token and set it in GITHUB_TOKEN",
        Fault::Limited { .. } => "wait until then; if it comes again, give the monitor a credential of its own",
        Fault::Network => "check GITHUB_API_URL, and this machine's name server, proxy and firewall",
        Fault::Service => "try again later: https://www.githubstatus.com tells of faults at GitHub",
        Fault::BrokenAnswer => "check GITHUB_API_URL, and whether a proxy in between answers in GitHub's place",
        Fault::Unreadable => "restore the store from a backup, or move it away",
        // What is no lack of a permission is single sign-on, and the reason says where.
        Fault::Forbidden => "authorise the token for the organization's single sign-on, as the reason says",
        Fault::NotFound => "check the name, and that the credential has access to it",
    };
    mend.to_owned()
}

/// Why something failed, without the name with which the line begins.
fn without_name(failure: &Failure, name: &str) -> String {
    let detail = &failure.detail;
    let begins = [format!("{name}: "), format!("the runners of {name}: "), format!("the repositories of {name}: ")];
    begins.iter().find_map(|begin| detail.strip_prefix(begin)).unwrap_or(detail).to_owned()
}

fn words_for(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::ClassicToken => "the classic token",
        CredentialKind::FineGrainedToken => "the fine-grained token",
        CredentialKind::OtherToken => "the token",
        CredentialKind::App => "the GitHub App",
    }
}

/// What the answers told about each credential, once.
fn of_credentials(examined: &[Examination], now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut known = Vec::new();
    for examination in examined {
        if known.contains(&&examination.credential) {
            continue;
        }
        known.push(&examination.credential);
        let what = examination.credential.to_string();
        let report = Some(examination.report).filter(|_| !is_refused(examined, &examination.credential));
        findings.extend(report.map(|report| of_expiry(&what, report, now)));
        if let Some(CredentialReport { quota_remaining: Some(left), quota_limit: Some(limit), .. }) = report {
            let says = format!("{left} of {limit} requests left of the hourly quota");
            findings.push(if left < limit / 10 {
                Finding::doubtful(
                    what,
                    says,
                    "find out who else uses this credential, or give the monitor one of its own",
                )
            } else {
                Finding::good(what, says)
            });
        }
        if let Some(ahead_ms) = examination.clock_ahead_ms {
            let off = spoken_duration(Duration::from_millis(ahead_ms.unsigned_abs()));
            findings.push(if ahead_ms.unsigned_abs() > CLOCK_TOLERANCE_MS {
                let direction = if ahead_ms > 0 { "ahead of" } else { "behind" };
                Finding::bad("clock", format!("{off} {direction} GitHub's"), "let the machine keep its time by NTP")
            } else {
                Finding::good("clock", "agrees with GitHub's")
            });
        }
    }
    findings
}

/// Whether a target's line says already that the credential is refused, or that GitHub was not reached: nothing good is
/// known of it then.
fn is_refused(examined: &[Examination], credential: &CredentialId) -> bool {
    let fault = |examination: &Examination| examination.runners.as_ref().err().map(|failure| failure.fault);
    let mut its_own = examined.iter().filter(|examination| examination.credential == *credential);
    its_own.any(|examination| matches!(fault(examination), Some(Fault::Credential | Fault::Network)))
}

fn of_expiry(what: &str, report: CredentialReport, now: Timestamp) -> Finding {
    match report.expires_at {
        None => Finding::good(what, "does not say that it expires"),
        Some(end) if end.since(now) < RENEW_AHEAD => {
            let left = spoken_duration(end.since(now));
            Finding::doubtful(what, format!("expires in {left}"), "make a new token and set it before then")
        }
        Some(end) => Finding::good(what, format!("expires in {}", spoken_duration(end.since(now)))),
    }
}

async fn of_slack(http: &reqwest::Client, settings: &Settings, send_test: bool) -> anyhow::Result<Vec<Finding>> {
    let messenger = outside::messenger(http, settings, false)?;
    let what = match &messenger {
        Messenger::Webhook(_) => "a webhook is set",
        Messenger::Bot(_) => "a bot is set",
        Messenger::Console(_) => {
            let says = "neither webhook nor bot is set: messages go to the console";
            return Ok(vec![Finding::doubtful("Slack", says, "set SLACK_WEBHOOK to tell a channel")]);
        }
    };
    let named: BTreeSet<&str> = settings.policy.channels().map(|(_, channel)| channel).collect();
    if !send_test {
        let further = if named.is_empty() { "" } else { ", and the policy names further channels" };
        let says = format!("{what}{further}; not tried (`doctor --send-test` sends a message)");
        return Ok(vec![Finding::good("Slack", says)]);
    }
    let mut findings = Vec::new();
    for channel in std::iter::once(None).chain(named.into_iter().map(Some)) {
        let what = channel.map_or("Slack".to_owned(), |channel| format!("Slack, {channel}"));
        let mend = "see the reason; a new webhook is made in the Slack app's settings";
        findings.push(match messenger.send_test(Route::to(channel)).await {
            Ok(()) => Finding::good(what, "took the test message"),
            Err(error) => Finding::bad(what, error.to_string(), mend),
        });
    }
    Ok(findings)
}

async fn of_store(arguments: &Doctor, settings: &Settings, now: Timestamp) -> Finding {
    let what = format!("store {}", arguments.store.place());
    let is_stately = arguments.store.is_stately();
    if !is_stately && !arguments.store.path().exists() {
        return Finding::good(what, "not there yet; `check` and `run` make it");
    }
    let store = match outside::store(&arguments.store, settings.statelydb.as_ref()) {
        Ok(store) => store,
        Err(error) => {
            return Finding::bad(what, format!("{error:#}"), "name another file with --store, or mend this one");
        }
    };
    match read_monitor(&store).await {
        Err(error) if is_stately => {
            Finding::bad(what, error.to_string(), "mend that; `doctor --stately` then tells whether all is in place")
        }
        Err(error) => {
            Finding::bad(what, error.to_string(), "restore the file from a copy, or move it away to start anew")
        }
        Ok(on_record) => match on_record.ticked_at {
            None => Finding::good(what, "readable; `run` has not used it yet"),
            Some(at) => Finding::good(what, format!("readable; `run` last looked {}", ago(at, now))),
        },
    }
}

/// Whether StatelyDB and the published schema are what this release takes them for.
async fn of_stately(settings: &StatelyDbSettings, clock: &SystemClock) -> anyhow::Result<Finding> {
    let what = format!("StatelyDB store {}, schema {}", settings.store_id, settings.schema_id);
    let client = outside::stately_client(settings)?;
    let Findings { compared, faults } = canary::run(&client, MAX_BATCH, clock.now(), clock.random()).await;
    if faults.is_empty() {
        let says = format!("takes, orders and gives back what it should; {compared} fields agree with the schema");
        return Ok(Finding::good(what, says));
    }
    const SHOWN: usize = 12;
    let mut says = faults.iter().take(SHOWN).map(|fault| format!("\n        {fault}")).collect::<String>();
    if faults.len() > SHOWN {
        says.push_str(&format!("\n        and {} more", faults.len() - SHOWN));
    }
    let mend = "do not use it before this is mended: check the STATELYDB_… settings, and that the schema of this release \
                is published under that number, as docs/OPERATIONS.md says";
    Ok(Finding::bad(what, says, mend))
}

fn print(findings: &[Finding]) -> anyhow::Result<()> {
    let colour = colour_on_stdout();
    for finding in findings {
        let (sign, tone) = match finding.verdict {
            Verdict::Good => ("ok ", Tone::Good),
            Verdict::Doubtful => ("?  ", Tone::Doubtful),
            Verdict::Bad => ("BAD", Tone::Bad),
        };
        out::print(format_args!("{} {}: {}\n", tone.paint(sign, colour), one_line(&finding.what), finding.says))?;
        if let Some(mend) = &finding.mend {
            out::print(format_args!("      → {mend}\n"))?;
        }
    }
    let bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count();
    let closing = if bad == 0 { "Nothing has to be mended.".to_owned() } else { format!("{bad} to be mended.") };
    out::print(format_args!("\n{closing}\n"))
}
