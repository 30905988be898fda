//! `runner-monitor init`: asks for what is needed, tries it, and writes the configuration file.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use monitor_config::{ConfigFile, HostOptions, Settings, Source};
use monitor_telemetry::SystemClock;

use crate::Outcome;
use crate::commands::doctor::{Finding, Rating, examine, of_slack, of_target, print_each};
use crate::config_file;
use crate::out;
use crate::setup;

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

/// The most answers that are refused if nobody is there to read why.
const ATTEMPTS: usize = 5;

pub(crate) async fn run(arguments: &Init, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let given = config.map(Path::to_owned).filter(|path| !path.as_os_str().is_empty());
    let is_default = given.is_none();
    let path = given
        .or_else(config_file::default_path)
        .context("HOME is not set, so there is no place for the file: name it with --config FILE")?;
    let (path, is_new) = prepared(&path, arguments.force)?;
    out::print(format_args!(
        "This writes {}, after the last question. Ctrl-C ends it and {}.\n\n",
        path.display(),
        if is_new { "leaves no file" } else { "leaves the file as it is" }
    ))?;
    let mut draft = Draft { path: path.clone(), lines: Vec::new() };
    let mut ask = Ask::new()?;

    let api_url = ask.until_sound("Address of GitHub's API [https://api.github.com]: ", false, |answer| {
        draft.with("github_api_url", answer, "GITHUB_API_URL")
    })?;
    draft.add("github_api_url", &api_url);
    if let Some(hosts) = allowed_http_hosts("ALLOW_HTTP_HOSTS") {
        draft.add("allow_http_hosts", &hosts);
    }
    let settings = targets_and_credential(&mut ask, &mut draft).await?;
    slack(&mut ask, &mut draft, &settings).await?;

    write(&path, &draft.text())?;
    let argument = if is_default { String::new() } else { format!(" --config '{}'", path.display()) };
    out::print(format_args!(
        "\nWritten: {}\nNext:\n  runner-monitor{argument} check   shows the runners now\n  \
         runner-monitor{argument} run     watches them, and alerts\n",
        path.display()
    ))?;
    Ok(Outcome::Healthy)
}

/// Asks for targets and a credential until GitHub accepts them, or the user takes them as they are.
async fn targets_and_credential(ask: &mut Ask, draft: &mut Draft) -> anyhow::Result<Settings> {
    let mut before = String::new();
    loop {
        let mut tried = draft.clone();
        let which = if before.is_empty() { String::new() } else { format!(" [{before}]") };
        let question = format!(
            "Repositories (owner/name, or owner/* for all), organizations (orgs/NAME) or enterprises to watch, with commas \
             between them{which}: "
        );
        let or_before = |answer: &str| if answer.is_empty() { before.clone() } else { answer.to_owned() };
        let answer = ask.until_sound(&question, false, |answer| Targets::read(&or_before(answer), &tried))?;
        before = or_before(&answer);
        Targets::read(&before, &tried).map_err(anyhow::Error::msg)?.add_to(&mut tried);
        let Some(settings) = credential(ask, &mut tried).await? else { continue };
        *draft = tried;
        return Ok(settings);
    }
}

/// Asks for a token or a GitHub App and tries it. `None` if the user wants to answer again.
async fn credential(ask: &mut Ask, draft: &mut Draft) -> anyhow::Result<Option<Settings>> {
    const TOKEN: &str = "Token that may read self-hosted runners (not shown; empty for a GitHub App): ";
    let token = ask.until_sound(TOKEN, true, |answer| draft.with("github_token", answer, "GITHUB_TOKEN"))?;
    if token.is_empty() {
        let id = ask.until_sound("Id of the GitHub App: ", false, |answer| match answer {
            "" => Err("must be the App ID or client ID".to_owned()),
            id => draft.with("github_app_id", id, "GITHUB_APP_ID"),
        })?;
        draft.add("github_app_id", &id);
        let key = ask.until_sound("Path of its private key (a .pem file): ", false, |answer| match answer {
            "" => Err("must be the path of a file".to_owned()),
            path => draft.with("github_app_private_key", &as_file(path), "GITHUB_APP_PRIVATE_KEY"),
        })?;
        draft.add("github_app_private_key", &as_file(&key));
    } else {
        draft.add("github_token", &token);
    }
    let settings = draft.settings()?;
    out::print(format_args!("\nAsking GitHub …\n"))?;
    let github = setup::github(&settings, &SystemClock)?;
    let mut findings = Vec::new();
    let examined = examine(&github, &settings.targets, &mut findings).await;
    findings.extend(examined.iter().map(of_target));
    print_each(&findings)?;
    let is_sound = !findings.iter().any(|finding: &Finding| finding.is_unreachable);
    let is_kept = is_sound || ask.yes("\nSome of it does not work yet. Keep it all the same? [y/N]: ", false)?;
    Ok(is_kept.then_some(settings))
}

/// Asks for a webhook, and sends a test message if the user wants one.
async fn slack(ask: &mut Ask, draft: &mut Draft, settings: &Settings) -> anyhow::Result<()> {
    const WEBHOOK: &str =
        "\nIncoming webhook of the Slack channel (not shown; empty for alerts on the console alone): ";
    loop {
        let mut tried = draft.clone();
        let webhook = ask.until_sound(WEBHOOK, true, |answer| draft.with("slack_webhook", answer, "SLACK_WEBHOOK"))?;
        tried.add("slack_webhook", &webhook);
        if !webhook.is_empty() && ask.yes("Send a test message to it? [Y/n]: ", true)? {
            let slack = Settings { slack: tried.settings()?.slack, ..settings.clone() };
            let findings = of_slack(&setup::http()?, &slack, true).await?;
            print_each(&findings)?;
            let is_sound = findings.iter().all(|finding| finding.rating != Rating::Problem);
            if !is_sound && !ask.yes("\nKeep it all the same? [y/N]: ", false)? {
                continue;
            }
        }
        *draft = tried;
        return Ok(());
    }
}

/// Finds out before the first question whether the file can be written. Returns its place, behind a link if it is one,
/// and whether it is new.
fn prepared(path: &Path, is_forced: bool) -> anyhow::Result<(PathBuf, bool)> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    ensure!(!path.is_dir(), "{} is a folder: name a file with --config FILE", path.display());
    ensure!(is_forced || !path.exists(), "{} exists: edit it, or replace it with --force", path.display());
    let (new, folder) = beside(&path);
    std::fs::create_dir_all(folder)
        .and_then(|()| create(&new))
        .and_then(|_| std::fs::remove_file(&new))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    let is_new = !path.exists();
    Ok((path, is_new))
}

/// The hosts that may be reached over plain http, by the environment.
fn allowed_http_hosts(variable: &str) -> Option<String> {
    if variable == "ALLOW_HTTP_HOSTS" { config_file::set_variable(variable) } else { None }
}

/// The path of a file, as a setting that is read from it.
fn as_file(path: &str) -> String {
    let path = path.trim_start_matches('@');
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
    if path.is_empty() { String::new() } else { format!("@{}", whole.display()) }
}

/// The settings of a file alone, but for the hosts that may be reached over plain http.
fn source_of(file: &ConfigFile) -> Source<'_> {
    Source::variables_and(allowed_http_hosts, Some(file))
}

/// The lines of the file so far.
#[derive(Clone)]
struct Draft {
    path: PathBuf,
    /// Keys, each with a value in TOML.
    lines: Vec<(&'static str, String)>,
}

impl Draft {
    /// Adds a text; an empty one is left out.
    fn add(&mut self, key: &'static str, text: &str) {
        if !text.is_empty() {
            self.lines.push((key, quoted(text)));
        }
    }

    fn text(&self) -> String {
        let lines = self.lines.iter().map(|(key, value)| format!("{key} = {value}\n"));
        format!(
            "# Settings of GitHub Runner Monitor. `runner-monitor settings` lists all, `runner-monitor config check` checks them.\n\
             # A secret may also be in a file of its own: github_token = \"@/run/secrets/github-token\"\n{}",
            lines.collect::<String>()
        )
    }

    fn file(&self) -> Result<ConfigFile, String> {
        ConfigFile::parse(&self.path, &self.text()).map_err(|faults| faults.to_string())
    }

    /// Whether a setting with this value is sound, by its own faults alone.
    fn with(&self, key: &'static str, text: &str, variable: &str) -> Result<(), String> {
        let mut tried = self.clone();
        tried.add(key, text);
        let file = tried.file()?;
        let Err(faults) = Settings::read(&source_of(&file), &HostOptions::default()) else {
            return Ok(());
        };
        let own = faults.0.iter().find(|fault| fault.setting == variable && !text.is_empty());
        own.map_or(Ok(()), |fault| Err(fault.text.replace(&format!(" (`{key}` in {})", self.path.display()), "")))
    }

    /// The settings as the file would have them.
    fn settings(&self) -> anyhow::Result<Settings> {
        let file = self.file().map_err(anyhow::Error::msg)?;
        Ok(Settings::read(&source_of(&file), &HostOptions::default())?)
    }
}

/// The targets by the settings in which they belong.
#[derive(Default)]
struct Targets {
    repositories: Vec<String>,
    organizations: Vec<String>,
    enterprises: Vec<String>,
}

impl Targets {
    fn read(answer: &str, draft: &Draft) -> Result<Self, String> {
        let file = draft.file()?;
        let mut targets = Self::default();
        for entry in answer.split([',', ' ']).filter(|entry| !entry.is_empty()) {
            let written = monitor_config::written_target(&source_of(&file), entry);
            let spec = written.map_err(|fault| fault.to_string())?.into_spec().map_err(|fault| fault.to_string())?;
            let text = spec.to_string();
            match (text.strip_prefix("orgs/"), text.strip_prefix("enterprises/")) {
                (Some(name), _) => targets.organizations.push(name.to_owned()),
                (_, Some(name)) => targets.enterprises.push(name.to_owned()),
                _ => targets.repositories.push(text),
            }
        }
        let is_empty =
            targets.repositories.is_empty() && targets.organizations.is_empty() && targets.enterprises.is_empty();
        if is_empty { Err("at least one is needed, for example acme/web".to_owned()) } else { Ok(targets) }
    }

    fn add_to(&self, draft: &mut Draft) {
        for (key, names) in
            [("repos", &self.repositories), ("organizations", &self.organizations), ("enterprises", &self.enterprises)]
        {
            if !names.is_empty() {
                let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
                draft.lines.push((key, format!("[{}]", names.join(", "))));
            }
        }
    }
}

/// A text in TOML, which accepts what JSON writes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Asks questions on standard output, and reads the answers from standard input.
struct Ask {
    is_terminal: bool,
    refusals: usize,
}

impl Ask {
    fn new() -> anyhow::Result<Self> {
        let is_terminal = std::io::stdin().is_terminal();
        ensure!(
            !is_terminal || std::io::stdout().is_terminal(),
            "standard output must be a terminal, because the questions are asked there"
        );
        Ok(Self { is_terminal, refusals: 0 })
    }

    /// One answer, without white space at its ends. A secret is not shown while it is typed.
    fn answer(&self, question: &str, is_secret: bool) -> anyhow::Result<String> {
        out::print(format_args!("{question}"))?;
        let ended = || format!("the answers ended before the question `{}` was answered", question.trim());
        if self.is_terminal && is_secret {
            let answer = rpassword::read_password().with_context(ended)?;
            out::print(format_args!("\n"))?;
            return Ok(answer.trim().to_owned());
        }
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).context("the answer cannot be read")?;
        ensure!(read > 0, ended());
        if !self.is_terminal {
            out::print(format_args!("\n"))?;
        }
        Ok(line.trim().to_owned())
    }

    /// Asks until the answer is sound.
    fn until_sound<Sound>(
        &mut self,
        question: &str,
        is_secret: bool,
        check: impl Fn(&str) -> Result<Sound, String>,
    ) -> anyhow::Result<String> {
        loop {
            let answer = self.answer(question, is_secret)?;
            match check(&answer) {
                Ok(_) => return Ok(answer),
                Err(fault) => self.refused(&fault)?,
            }
        }
    }

    fn refused(&mut self, fault: &str) -> anyhow::Result<()> {
        out::print(format_args!("  {fault}\n"))?;
        self.refusals += 1;
        if !self.is_terminal && self.refusals >= ATTEMPTS {
            bail!("{ATTEMPTS} answers were refused");
        }
        Ok(())
    }

    fn yes(&mut self, question: &str, default: bool) -> anyhow::Result<bool> {
        loop {
            match &*self.answer(question, false)?.to_ascii_lowercase() {
                "" => return Ok(default),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => self.refused("must be y or n")?,
            }
        }
    }
}

/// The file that is written first, and the folder of both.
fn beside(path: &Path) -> (PathBuf, &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    (folder.join(name), folder)
}

/// Creates a file that nobody else can read.
fn create(path: &Path) -> std::io::Result<std::fs::File> {
    let _ = std::fs::remove_file(path);
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes the file so that nobody else can read it. It replaces another file only when it is whole.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let (new, _) = beside(path);
    let written = create(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        // It holds the token.
        let _ = std::fs::remove_file(&new);
    }
    written.with_context(|| format!("{} cannot be written", path.display()))
}
