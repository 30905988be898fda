//! Parses the text of a slash command as a person would mean it.

use std::time::Duration;

use monitor_domain::muting::{MAX_REASON_CHARS, MUTE_LENGTHS};
use monitor_domain::scope::Scope;
use monitor_domain::target::Target;
use monitor_domain::time::parse_duration;
use monitor_pipeline::commands::Command;

use super::{Asked, Verb};

/// GitHub allows names of 64 and labels of 256 characters.
const MAX_NAME_CHARS: usize = 300;

/// A command that cannot be carried out as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misunderstanding {
    /// The command, if it exists.
    pub verb: Option<Verb>,
    /// What is wrong.
    pub fault: CommandFault,
}

/// What is wrong with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandFault {
    /// There is no command with this name.
    Unknown(String),
    /// The target is missing.
    NoTarget,
    /// The runner's name is missing.
    NoName,
    /// The target, runner or label is missing.
    NoScope,
    /// The duration is missing.
    NoDuration,
    /// The duration of a mute is outside 1 min to 30 days.
    DurationOutOfRange,
    /// A name that cannot be a target on GitHub.
    NotATarget(String),
    /// An unknown option.
    UnknownOption(String),
    /// Unexpected arguments.
    TooMuch(String),
    /// A name longer than GitHub allows.
    TooLong,
    /// A button that another release made.
    OldButton,
}

/// Parses a command, and whether its answer is for the whole channel.
pub fn parse_command(command: &str, text: &str) -> (Asked, bool) {
    let text = unescaped(text);
    let mut words = words(&text);
    let before = words.len();
    words.retain(|word| !word.is_option("public"));
    let public = words.len() < before;
    let verb = Verb::from_name(command);
    let asked = match verb {
        None => Err(CommandFault::Unknown(shortened(command, MAX_NAME_CHARS))),
        Some(Verb::Help) => Ok(Asked::Help),
        Some(_) if matches!(&words[..], [only] if !only.quoted && only.is("help")) => Ok(Asked::Help),
        Some(Verb::Dashboard) if words.is_empty() => Ok(Asked::Dashboard),
        Some(verb) => command_of(verb, &words).map(Asked::Command),
    };
    (asked.unwrap_or_else(|fault| Asked::Misunderstood(Misunderstanding { verb, fault })), public)
}

fn command_of(verb: Verb, words: &[Word<'_>]) -> Result<Command, CommandFault> {
    // The reason for a mute is free text; everywhere else an unknown option is a mistake.
    let until_reason = words.iter().position(|word| lasting(word).is_some()).filter(|_| verb == Verb::Mute);
    let strange = words[..until_reason.unwrap_or(words.len())].iter().find(|word| word.option().is_some());
    if let Some(strange) = strange {
        return Err(CommandFault::UnknownOption(shortened(strange.text, MAX_NAME_CHARS)));
    }
    match verb {
        Verb::StatusAll if words.is_empty() => Ok(Command::StatusAll),
        Verb::Jobs if words.is_empty() => Ok(Command::Jobs),
        Verb::StatusAll | Verb::Jobs | Verb::Dashboard | Verb::Help => {
            Err(CommandFault::TooMuch(shortened(&joined(words), MAX_NAME_CHARS)))
        }
        Verb::Status if words.is_empty() => Ok(Command::StatusAll),
        Verb::Status => Ok(Command::Status { scope: scope(&joined(words), CommandFault::NoScope)? }),
        Verb::History => name(&joined(words), CommandFault::NoName).map(|name| Command::History { name }),
        Verb::Recheck => Ok(Command::Recheck { target: target(&name(&joined(words), CommandFault::NoTarget)?)? }),
        Verb::Mute => mute(words),
        Verb::Unmute => Ok(Command::Unmute { scope: scope(&joined(words), CommandFault::NoScope)? }),
    }
}

/// The scope, duration and reason of a mute. The first duration after the first word separates scope and reason, so a
/// name with spaces needs no quotes.
fn mute(words: &[Word<'_>]) -> Result<Command, CommandFault> {
    let [_, rest @ ..] = words else { return Err(CommandFault::NoScope) };
    let found = rest.iter().enumerate().find_map(|(index, word)| Some((index + 1, lasting(word)?)));
    let Some((at, lasting)) = found else { return Err(CommandFault::NoDuration) };
    if !MUTE_LENGTHS.contains(&lasting) {
        return Err(CommandFault::DurationOutOfRange);
    }
    let scope = scope(&joined(&words[..at]), CommandFault::NoScope)?;
    let reason = joined(&words[at + 1..]);
    let reason = (!reason.is_empty()).then(|| shortened(&reason, MAX_REASON_CHARS));
    Ok(Command::Mute { scope, lasting_secs: lasting.as_secs(), reason })
}

fn lasting(word: &Word<'_>) -> Option<Duration> {
    if word.quoted { None } else { parse_duration(&word.text.to_ascii_lowercase()).ok() }
}

fn name(text: &str, missing: CommandFault) -> Result<String, CommandFault> {
    match text.chars().count() {
        0 => Err(missing),
        count if count > MAX_NAME_CHARS => Err(CommandFault::TooLong),
        _ => Ok(text.to_owned()),
    }
}

/// Every target's name contains a slash, and no runner's does. `NAME in TARGET` is one runner, as in the list of mutes.
fn scope(text: &str, missing: CommandFault) -> Result<Scope, CommandFault> {
    let text = name(text, missing)?;
    if let Some((name, of)) = text.rsplit_once(" in ").filter(|(name, _)| !name.contains('/'))
        && let Ok(target) = target(of)
    {
        return Ok(Scope::Runner { target, name: name.trim().to_owned() });
    }
    if text.contains('/') { target(&text).map(Scope::Target) } else { Ok(Scope::Named(text)) }
}

fn target(text: &str) -> Result<Target, CommandFault> {
    pasted(text).parse().map_err(|_| CommandFault::NotATarget(text.to_owned()))
}

/// The target in a URL copied from a browser: `https://github.com/acme/web/settings/actions/runners`.
fn pasted(text: &str) -> String {
    let bare = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    let bare = bare.split('|').next().unwrap_or_default();
    let Some(address) = bare.strip_prefix("https://").or_else(|| bare.strip_prefix("http://")) else {
        return text.to_owned();
    };
    let mut parts = address.split(['/', '?', '#']).skip(1).filter(|part| !part.is_empty());
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let first = if first == "organizations" { "orgs" } else { first };
    format!("{first}/{second}")
}

/// A word, or quoted text.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    quoted: bool,
}

impl Word<'_> {
    fn is(&self, text: &str) -> bool {
        self.text.eq_ignore_ascii_case(text)
    }

    /// What follows two dashes. Phones turn them into one long dash.
    fn option(&self) -> Option<&str> {
        let stripped = ["--", "—", "–"].iter().find_map(|dash| self.text.strip_prefix(dash))?;
        (!self.quoted && !stripped.is_empty()).then_some(stripped)
    }

    fn is_option(&self, name: &str) -> bool {
        self.option().is_some_and(|option| option.eq_ignore_ascii_case(name))
    }
}

/// Splits at white space outside quotes: straight quotes, curly ones as phones write them, or the backticks of a name
/// copied from a message.
fn words(text: &str) -> Vec<Word<'_>> {
    const QUOTES: [(char, char); 5] = [('"', '"'), ('“', '”'), ('„', '“'), ('\'', '\''), ('`', '`')];
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let closing = QUOTES.iter().find(|(open, _)| *open == first).map(|(_, close)| *close);
        let quoted = closing.and_then(|close| {
            let inner = &rest[first.len_utf8()..];
            let end = inner.find(close)?;
            let after = &inner[end + close.len_utf8()..];
            // A quote within a word is an ordinary character.
            let is_end = after.chars().next().is_none_or(char::is_whitespace);
            is_end.then(|| (inner[..end].trim(), after))
        });
        let (word, after) = match quoted {
            Some((text, after)) => (Word { text, quoted: true }, after),
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (Word { text: &rest[..end], quoted: false }, &rest[end..])
            }
        };
        if !word.text.is_empty() {
            words.push(word);
        }
        rest = after.trim_start();
    }
    words
}

fn joined(words: &[Word<'_>]) -> String {
    words.iter().map(|word| word.text).collect::<Vec<_>>().join(" ")
}

/// Slack escapes these three, and only these.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn shortened(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(command: &str, text: &str) -> Asked {
        parse_command(command, text).0
    }

    fn command(command: &str, text: &str) -> Command {
        match asked(command, text) {
            Asked::Command(command) => command,
            other => panic!("{command} {text}: {other:?}"),
        }
    }

    fn fault(command: &str, text: &str) -> CommandFault {
        match asked(command, text) {
            Asked::Misunderstood(Misunderstanding { fault, .. }) => fault,
            other => panic!("{command} {text}: {other:?}"),
        }
    }

    fn of_target(name: &str) -> Scope {
        Scope::Target(name.parse().unwrap())
    }

    fn named(name: &str) -> Scope {
        Scope::Named(name.to_owned())
    }

    #[test]
    fn every_command_is_read_from_its_example() {
        let read: Vec<Asked> = Verb::ALL
            .map(|verb| verb.example().split_once(' ').unwrap_or((verb.example(), "")))
            .map(|(name, text)| asked(name, text))
            .into();
        let [web, organization] = ["acme/web", "orgs/acme"].map(|name| name.parse::<Target>().unwrap());
        let expected = [
            Asked::Command(Command::StatusAll),
            Asked::Command(Command::Status { scope: Scope::Target(web) }),
            Asked::Command(Command::Jobs),
            Asked::Command(Command::History { name: "build-7".to_owned() }),
            Asked::Command(Command::Recheck { target: organization }),
            Asked::Command(Command::Mute {
                scope: named("build-7"),
                lasting_secs: 7_200,
                reason: Some("new disk".to_owned()),
            }),
            Asked::Command(Command::Unmute { scope: named("build-7") }),
            Asked::Dashboard,
            Asked::Help,
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn names_are_read_as_they_are_pasted() {
        let status = |text| command("/runner-status", text);
        for text in [
            "Acme/Web",
            " acme/web ",
            "`acme/web`",
            "\"acme/web\"",
            "“acme/web”",
            "https://github.com/acme/web",
            "<https://github.com/acme/web/settings/actions/runners|github.com/acme/web>",
            "&lt;https://github.com/acme/web&gt;",
        ] {
            assert_eq!(status(text), Command::Status { scope: of_target("acme/web") }, "{text}");
        }
        assert_eq!(
            status("https://ghes.acme.test/organizations/acme/settings/actions/runners"),
            Command::Status { scope: of_target("orgs/acme") }
        );
        assert_eq!(status("my old runner"), Command::Status { scope: named("my old runner") });
        assert_eq!(status("it's"), Command::Status { scope: named("it's") });
        assert_eq!(status("a &amp;lt; b"), Command::Status { scope: named("a &lt; b") });
        assert_eq!(command("/runner-history", "`build *`"), Command::History { name: "build *".to_owned() });
    }

    #[test]
    fn an_answer_is_public_where_that_is_asked_anywhere() {
        for text in ["--public", "—public build-7", "build-7 –PUBLIC", "--public build-7 --public"] {
            assert!(parse_command("/runner-status", text).1, "{text}");
        }
        for text in ["", "build-7", "\"--public\"", "--publicly", "public"] {
            assert!(!parse_command("/runner-status", text).1, "{text}");
        }
        assert_eq!(command("/runner-status", "—public gpu"), Command::Status { scope: named("gpu") });
    }

    #[test]
    fn a_mute_takes_a_duration_and_a_reason() {
        let mute = |text| match command("/runner-mute", text) {
            Command::Mute { scope, lasting_secs, reason } => (scope, lasting_secs, reason.unwrap_or_default()),
            other => panic!("{other:?}"),
        };
        assert_eq!(mute("acme/web 30m"), (of_target("acme/web"), 1_800, String::new()));
        assert_eq!(
            mute("gpu rack 1D rack -- is moved in 2h"),
            (named("gpu rack"), 86_400, "rack -- is moved in 2h".to_owned())
        );
        assert_eq!(mute("\"2h\" 2h"), (named("2h"), 7_200, String::new()));
        assert_eq!(mute("gpu 2h --public disk").2, "disk");
        let long = format!("gpu 2h {}", "x".repeat(900));
        assert_eq!(mute(&long).2.len(), MAX_REASON_CHARS);
        let one = Scope::Runner { target: "acme/web".parse().unwrap(), name: "build 7".to_owned() };
        assert_eq!(mute("build 7 in acme/web 2h").0, one);
        assert_eq!(mute("racks in use 2h").0, named("racks in use"));
        assert_eq!(fault("/runner-mute", ""), CommandFault::NoScope);
        assert_eq!(fault("/runner-mute", "gpu"), CommandFault::NoDuration);
        assert_eq!(fault("/runner-mute", "2h"), CommandFault::NoDuration);
        assert_eq!(fault("/runner-mute", "gpu forever"), CommandFault::NoDuration);
        assert_eq!(fault("/runner-mute", "gpu 30s"), CommandFault::DurationOutOfRange);
        assert_eq!(fault("/runner-mute", "gpu 31d"), CommandFault::DurationOutOfRange);
        assert_eq!(fault("/runner-mute", "--until gpu 2h"), CommandFault::UnknownOption("--until".to_owned()));
    }

    #[test]
    fn commands_that_cannot_be_carried_out_are_distinguished() {
        assert_eq!(fault("/runner-reboot", "now"), CommandFault::Unknown("/runner-reboot".to_owned()));
        assert_eq!(fault("/runner-history", "  "), CommandFault::NoName);
        assert_eq!(fault("/runner-history", "--public"), CommandFault::NoName);
        assert_eq!(fault("/runner-recheck", ""), CommandFault::NoTarget);
        assert_eq!(fault("/runner-recheck", "acme"), CommandFault::NotATarget("acme".to_owned()));
        assert_eq!(fault("/runner-status", "a/b/c"), CommandFault::NotATarget("a/b/c".to_owned()));
        assert_eq!(fault("/runner-status", "--verbose gpu"), CommandFault::UnknownOption("--verbose".to_owned()));
        assert_eq!(fault("/runner-status-all", "acme/web"), CommandFault::TooMuch("acme/web".to_owned()));
        assert_eq!(fault("/runner-dashboard", "acme/web"), CommandFault::TooMuch("acme/web".to_owned()));
        assert_eq!(fault("/runner-status", &"x".repeat(301)), CommandFault::TooLong);
        for verb in Verb::ALL {
            assert_eq!(asked(verb.name(), " Help "), Asked::Help, "{}", verb.name());
        }
        assert_eq!(command("/runner-history", "\"help\""), Command::History { name: "help".to_owned() });
    }
}
