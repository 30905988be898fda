//! The monitor's own problems: targets that cannot be checked, its token, its list of targets, gaps in monitoring.

use std::time::Duration;

use monitor_domain::notifications::{ResolvedItem, UnresolvedItem};
use monitor_domain::observation::{Failure, Fault};
use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetKind};
use monitor_domain::time::{Timestamp, spoken_duration};

use super::detail::{names, to_do};
use super::{MAX_ITEMS, MessageBuilder, counted, part, place};
use crate::document::{Line, Mark, Section};

const DAY: Duration = Duration::from_secs(86_400);

impl MessageBuilder<'_> {
    pub(super) fn unreachable(&self, since: Timestamp, failure: &Failure, targets: u32) -> Section {
        if failure.fault == Fault::Incomplete {
            return self.incomplete(since, failure);
        }
        let targets = counted(targets, "target", "targets");
        let (title, whose) = match (&self.target, self.account()) {
            (Some(_), _) => (Line::of("Monitoring of ").and(self.its_name()).text(" is down"), "its"),
            (None, Some(account)) => (
                Line::of(format!("Monitoring of {targets} of the GitHub App on ")).name(account).text(" is down"),
                "their",
            ),
            (None, None) => (Line::of(format!("Monitoring of {targets} is down")), "their"),
        };
        let until = match failure.fault {
            Fault::Limited { .. } | Fault::Service | Fault::Network => "while this lasts",
            _ => "until this is fixed",
        };
        let rest = Line::of(": ").quote(&failure.detail).text(format!(". No alerts for {whose} runners {until}."));
        Section {
            brief: Line::of(" (since ").at(since).text(")").and(rest.clone()),
            lead: Line::of("No check has succeeded since ").at(since).and(rest),
            advice: to_do(vec![self.fix(failure.fault)]),
            ..part(Mark::Alarm, title)
        }
    }

    /// Some runners of a target are not monitored, while the others are.
    fn incomplete(&self, since: Timestamp, failure: &Failure) -> Section {
        let rest = Line::of(": ").quote(&failure.detail).text(". No alerts for the runners that are not listed.");
        Section {
            brief: Line::of(" (since ").at(since).text(")").and(rest.clone()),
            lead: Line::of("GitHub's list of runners has been incomplete since ").at(since).and(rest),
            advice: to_do(vec![self.fix(failure.fault)]),
            ..part(Mark::Alarm, Line::of("Some runners of ").and(self.its_name()).text(" are not monitored"))
        }
    }

    /// What to do about checks that fail.
    fn fix(&self, fault: Fault) -> Line {
        match fault {
            Fault::Credential => match self.account() {
                Some(account) => Line::of("Check that the GitHub App is still installed on ").name(account).text(
                    " and not suspended, and that its private key was not deleted. If it was, give the monitor a new key.",
                ),
                None => Line::of("Renew the token and put the new one where the monitor reads it. It needs ")
                    .and(self.permission())
                    .text("."),
            },
            Fault::Limited { until } => Line::of("Nothing. Checks resume automatically at ").on(until).text(
                ". If this happens often, use a longer interval, fewer targets, or a GitHub App, which has its own limits.",
            ),
            Fault::Network => Line::of(format!(
                "From the monitor's host, check that {} can be reached (DNS, proxy, firewall, certificates).",
                self.web
            )),
            Fault::Service => Line::of(if self.web.is_github_com() {
                "Check https://www.githubstatus.com: GitHub was reached, but did not respond properly."
            } else {
                "Check the GitHub server: it was reached, but did not respond properly."
            }),
            // GitHub denies access for many reasons; only its own words say which one applies.
            Fault::Forbidden => Line::of("Fix the cause that GitHub gives above. The credential needs ")
                .and(self.permission())
                .text("."),
            Fault::Incomplete => Line::of(
                "Check that the credential can see every runner. If it can, report the wrong count to GitHub Support.",
            ),
            Fault::NotFound => Line::of(
                "Check whether it was renamed, moved or deleted, or whether the credential lost access to it; then fix the list of targets.",
            ),
            Fault::Unreadable => Line::of(
                "Restore the store from a backup. Without one, move it away: the monitor starts with a new one and alerts again for what is offline.",
            ),
            Fault::BrokenAnswer => {
                Line::of("Check whether a proxy answers in GitHub's place: the answers are not what GitHub documents.")
            }
        }
    }

    /// The permission that a credential needs, in GitHub's words.
    fn permission(&self) -> Line {
        match self.target.as_ref().map(Target::kind) {
            Some(TargetKind::Repository) => {
                Line::of("Administration: read (fine-grained or App), or the scope ").command("repo")
            }
            Some(TargetKind::Organization) => {
                Line::of("Self-hosted runners: read (fine-grained or App), or the scope ").command("admin:org")
            }
            Some(TargetKind::Enterprise) => {
                Line::of("the scope ").command("manage_runners:enterprise").text(" (classic token)")
            }
            Some(TargetKind::Pools) | None => Line::of(
                "Administration: read for repositories and Self-hosted runners: read for organizations (classic: ",
            )
            .command("repo")
            .text(" and ")
            .command("admin:org")
            .text(")"),
        }
    }

    /// The account whose App installation this is about; `None` for a token or a target.
    fn account(&self) -> Option<&str> {
        match &self.notification.subject {
            Subject::Credential(id) => id.account(),
            Subject::Target(_) | Subject::Monitor => None,
        }
    }

    pub(super) fn reachable_again(&self, since: Timestamp, until: Timestamp) -> Section {
        let title = match (&self.target, self.account()) {
            (Some(_), _) => Line::of("Monitoring of ").and(self.its_name()).text(" works again"),
            (None, Some(account)) => Line::of("Monitoring by the GitHub App on ").name(account).text(" works again"),
            (None, None) => Line::of("Monitoring works again"),
        };
        let gap = spoken_duration(until.since(since));
        Section {
            brief: Line::of(format!(" after {gap}.")).text(MISSED),
            lead: Line::of("Checks of GitHub have succeeded again since ")
                .at(until)
                .text(format!(", after failing for {gap} (since "))
                .at(since)
                .text(").")
                .text(MISSED),
            ..part(Mark::Good, title)
        }
    }

    pub(super) fn entries_unresolved(&self, entries: &[UnresolvedItem]) -> Section {
        let entry_names = names(entries.iter().map(|one| &*one.entry));
        let why = |unresolved: &UnresolvedItem| {
            Line::of("since ").at(unresolved.since).text(": ").quote(&unresolved.failure.detail)
        };
        let stays = "New repositories are not monitored; those already monitored stay monitored.";
        let advice = |unresolved: &UnresolvedItem| match unresolved.failure.fault {
            Fault::NotFound => Line::of("Check the spelling of the account, and that the credential has access to it."),
            Fault::Forbidden => Line::of(
                "Check that the credential may list the account's repositories, and that single sign-on is authorized for it.",
            ),
            fault => self.fix(fault),
        };
        let what_to_do = |unresolved| to_do(vec![advice(unresolved)]);
        match entries {
            [one] => Section {
                brief: Line::of(" (since ")
                    .at(one.since)
                    .text("): ")
                    .quote(&one.failure.detail)
                    .text(". New repositories are not monitored."),
                lead: Line::of("GitHub has not listed the repositories of ")
                    .name(&one.entry)
                    .text(" since ")
                    .at(one.since)
                    .text(": ")
                    .quote(&one.failure.detail)
                    .text(format!(". {stays}")),
                advice: what_to_do(one),
                ..part(Mark::Alarm, Line::default().name(&one.entry).text(" cannot be resolved"))
            },
            _ => Section {
                brief: Line::of(". New repositories are not monitored."),
                lead: Line::of(format!("GitHub does not list the repositories of these accounts. {stays}")),
                items: (entries.iter().take(MAX_ITEMS))
                    .map(|unresolved| Line::default().name(&unresolved.entry).text(" ").and(why(unresolved)))
                    .collect(),
                total: entries.len(),
                advice: entries.first().map(what_to_do).unwrap_or_default(),
                ..part(Mark::Alarm, entry_names.text(" cannot be resolved"))
            },
        }
    }

    pub(super) fn expiring(&self, expires_at: Timestamp, raised_at: Timestamp) -> Section {
        let left = expires_at.since(raised_at);
        let is_over = left.is_zero();
        let when = if is_over {
            "has expired".to_owned()
        } else if left < DAY {
            format!("expires in {}", spoken_duration(left))
        } else {
            format!("expires in {}", counted(left.as_secs() / DAY.as_secs(), "day", "days"))
        };
        let mark = if left <= DAY { Mark::Alarm } else { Mark::Warning };
        let (valid, then) = if is_over {
            ("It was valid until ", ". Nothing can be monitored until it is renewed.")
        } else {
            ("It is valid until ", ". Nothing can be monitored after that.")
        };
        let lead = Line::of(valid).on(expires_at).text(then);
        Section {
            brief: Line::of(". ").and(lead.clone()),
            lead,
            advice: to_do(vec![
                Line::of("Renew the token and put the new one where the monitor reads it. It needs ")
                    .and(self.permission())
                    .text("."),
            ]),
            ..part(mark, format!("The GitHub token {when}"))
        }
    }
}

pub(super) fn entries_resolved(entries: &[ResolvedItem]) -> Section {
    let after = |resolved: &ResolvedItem| spoken_duration(resolved.until.since(resolved.since));
    match entries {
        [one] => Section {
            brief: Line::of(format!(" after {}.", after(one))),
            lead: Line::of("GitHub lists the repositories of ")
                .name(&one.entry)
                .text(" again since ")
                .at(one.until)
                .text(format!(", after {}. New ones are monitored from now on.", after(one))),
            ..part(Mark::Good, Line::default().name(&one.entry).text(" resolves again"))
        },
        _ => Section {
            brief: Line::of(". New repositories are monitored from now on."),
            lead: Line::of("GitHub lists their repositories again. New ones are monitored from now on."),
            items: (entries.iter().take(MAX_ITEMS))
                .map(|resolved| Line::default().name(&resolved.entry).text(format!(" after {}", after(resolved))))
                .collect(),
            total: entries.len(),
            ..part(Mark::Good, names(entries.iter().map(|one| &*one.entry)).text(" resolve again"))
        },
    }
}

pub(super) fn empty_list_refused(kept: u32) -> Section {
    let kept = counted(kept, "target stays", "targets stay");
    Section {
        brief: Line::of(format!(": {kept} monitored.")),
        lead: Line::of(format!(
            "The list of targets was read and is empty. That is probably a mistake, so {kept} monitored as before."
        )),
        advice: to_do(vec![Line::of(
            "Check the setting that lists the targets. To stop all monitoring on purpose, stop the monitor.",
        )]),
        ..part(Mark::Alarm, "The list of targets is empty")
    }
}

pub(super) fn list_restored(total: u32) -> Section {
    let monitored = format!("{} monitored", counted(total, "target is", "targets are"));
    Section {
        brief: Line::of(format!(": {monitored}.")),
        lead: Line::of(format!("The list of targets has entries again: {monitored}.")),
        ..part(Mark::Good, "The list of targets is no longer empty")
    }
}

/// What a gap in monitoring means for outages.
const MISSED: &str = " Outages that started and ended in that window were missed; ongoing ones will be reported.";

pub(super) fn unwatched(from: Timestamp, until: Timestamp) -> Section {
    let gap = spoken_duration(until.since(from));
    Section {
        brief: Line::of(" (").at(from).text(" to ").at(until).text(").").text(MISSED),
        lead: Line::of("The monitor did not run from ").at(from).text(" to ").at(until).text(".").text(MISSED),
        advice: to_do(vec![Line::of("If this was not planned, find out why the schedule or the process stopped.")]),
        ..part(Mark::Warning, format!("Nothing was monitored for {gap}"))
    }
}

pub(super) fn targets_added(targets: &[Target], total: u32) -> Section {
    let part = part(Mark::Info, names(targets.iter().map(Target::as_str)).text(" added"));
    listed(part, targets, "", "monitored from now on", total)
}

pub(super) fn targets_removed(targets: &[Target], total: u32) -> Section {
    let part = part(Mark::Warning, names(targets.iter().map(Target::as_str)).text(" no longer monitored"));
    let advice = Line::default()
        .strong("If this was not on purpose:")
        .text(" check the setting that lists the targets. For an entry such as ")
        .name("owner/*")
        .text(", only repositories that the credential can see are monitored.");
    let reason = " taken off the list of targets;";
    Section { advice: vec![advice], ..listed(part, targets, reason, "no longer monitored", total) }
}

/// Targets that were added or removed.
fn listed(part: Section, targets: &[Target], reason: &str, what: &str, total: u32) -> Section {
    let monitored = format!("{} monitored now", counted(total, "target is", "targets are"));
    match targets {
        [one] => Section {
            brief: Line::of(format!(":{reason} {monitored}.")),
            lead: Line::default().name(&place(one)).text(format!(" is {what}; {monitored}.")),
            ..part
        },
        _ => Section {
            brief: Line::of(format!(":{reason} {monitored}.")),
            lead: Line::of(format!("They are {what}; {monitored}.")),
            items: targets.iter().take(MAX_ITEMS).map(|target| Line::default().name(&place(target))).collect(),
            total: targets.len(),
            ..part
        },
    }
}
