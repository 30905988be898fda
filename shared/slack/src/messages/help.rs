//! The list of commands, and answers to commands that were not understood or failed.

use monitor_domain::secret::Secret;

use super::{counted, part};
use crate::document::{Document, Line, Mark, Section};
use crate::incoming::{CommandFault, Misunderstanding, Verb};

/// Every command.
pub(crate) fn help() -> Document {
    let target = Line::of("A TARGET is ")
        .command("owner/name")
        .text(", ")
        .command("orgs/NAME")
        .text(" or ")
        .command("enterprises/NAME")
        .text("; in a name or label ")
        .command("*")
        .text(" matches anything. Only you see the answer, unless you add ")
        .command("--public")
        .text(".");
    one(Section {
        brief: Line::of(format!(": {}.", counted(Verb::ALL.len(), "command", "commands"))),
        lead: Line::of("GitHub Runner Monitor answers from its stored data:"),
        items: Verb::ALL.into_iter().map(|verb| usage(verb).text(": ").text(verb.what())).collect(),
        total: Verb::ALL.len(),
        advice: vec![target],
        ..part(Mark::Info, "What you can ask")
    })
}

/// What is wrong with a command, and the correct usage.
pub(crate) fn misunderstanding(Misunderstanding { verb, fault }: &Misunderstanding) -> Document {
    let what = match fault {
        CommandFault::Unknown(name) => Line::default().name(name).text(" is not a command of GitHub Runner Monitor."),
        CommandFault::NoTarget => Line::of("Say which target."),
        CommandFault::NoName => Line::of("Say which runner."),
        CommandFault::NoScope => Line::of("Say which target, runner or label."),
        CommandFault::NoDuration => Line::of("Say for how long, for example ")
            .command("30m")
            .text(", ")
            .command("2h")
            .text(" or ")
            .command("1d")
            .text("; a reason can follow."),
        CommandFault::DurationOutOfRange => Line::of("The duration must be between ")
            .command("1m")
            .text(" and ")
            .command("30d")
            .text(". Remove a runner that is no longer needed on GitHub, or list it in the policy's ")
            .command("ignore")
            .text("."),
        CommandFault::NotATarget(text) => Line::default()
            .name(text)
            .text(" is not a target: write ")
            .command("owner/name")
            .text(", ")
            .command("orgs/NAME")
            .text(" or ")
            .command("enterprises/NAME")
            .text("."),
        CommandFault::UnknownOption(option) => {
            Line::default().name(option).text(" is not an option; the only one is ").command("--public").text(".")
        }
        CommandFault::TooMuch(words) => Line::of("Unexpected argument ").name(words).text("."),
        CommandFault::TooLong => Line::of("That name is longer than GitHub allows."),
        CommandFault::OldButton => Line::of("This button was made by another release. Use a command instead:"),
    };
    let usages: Vec<Verb> = match verb {
        Some(verb) => vec![*verb],
        None => Verb::ALL.to_vec(),
    };
    let line = |verb: &Verb| match verbs_example(*verb) {
        Some(example) => usage(*verb).text(", for example ").and(example),
        None => usage(*verb),
    };
    one(Section {
        brief: Line::of(". ").and(what.clone()),
        lead: what,
        items: usages.iter().map(line).collect(),
        total: usages.len(),
        ..part(Mark::Warning, "That was not understood")
    })
}

/// The link to the page, or how to switch the page on.
pub(crate) fn dashboard(link: Option<&Secret>) -> Document {
    one(match link {
        Some(link) => Section {
            brief: Line::of(". It works once, within 10 minutes."),
            lead: Line::of(
                "The link is for you alone. It works once, within 10 minutes, and you then see the page for 12 hours.",
            ),
            link: Some(Line::default().link("Open the page", link.expose().to_owned())),
            ..part(Mark::Info, "A link to the page")
        },
        None => Section {
            brief: Line::of("."),
            lead: Line::of("The people who run the monitor can switch it on."),
            advice: vec![
                Line::of("On AWS: ").command("sam deploy --parameter-overrides ServePage=true"),
                Line::of("On one machine: ").command("run --slack-commands … --web … --web-host …"),
            ],
            ..part(Mark::Info, "There is no page")
        },
    })
}

/// Why a command has no answer yet, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It takes longer; the answer follows by `response_url`.
    Later,
    /// The store cannot be read.
    NoRecords,
    /// The job could not be put on its queue.
    NotSent,
    /// It took too long, and no later answer is possible.
    TooSlow,
}

pub(crate) fn trouble(trouble: Trouble) -> Document {
    let (mark, title, lead) = match trouble {
        Trouble::Later => (Mark::Info, "Still reading", "The store takes longer than usual. The answer follows here."),
        Trouble::NoRecords => (
            Mark::Warning,
            "The store cannot be read",
            "The store does not answer. Ask again in a minute; if that does not help, the reason is in the monitor's log.",
        ),
        Trouble::NotSent => (Mark::Warning, "Nothing was done", "The queue does not answer. Ask again in a minute."),
        Trouble::TooSlow => (
            Mark::Warning,
            "That took too long",
            "The store did not answer in time. Ask again, or for one target only.",
        ),
    };
    one(Section { brief: Line::of(". ").text(lead), lead: Line::of(lead), ..part(mark, title) })
}

fn usage(verb: Verb) -> Line {
    let line = Line::default().command(verb.name());
    if verb.arguments().is_empty() { line } else { line.text(" ").command(verb.arguments()) }
}

fn verbs_example(verb: Verb) -> Option<Line> {
    (verb.example() != verb.name()).then(|| Line::default().command(verb.example()))
}

fn one(part: Section) -> Document {
    Document { parts: vec![part], ..Document::default() }
}
