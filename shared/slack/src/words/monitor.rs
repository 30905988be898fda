//! The monitor's own troubles: what it cannot see, its token, its list of targets, its gaps.

use std::time::Duration;

use monitor_domain::notices::{ResolvedNews, UnresolvedNews};
use monitor_domain::observation::{Failure, Fault};
use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetKind};
use monitor_domain::time::{Timestamp, spoken_duration};

use super::{MAX_ITEMS, Scene, counted, part, place};
use crate::document::{Line, Mark, Part};

const DAY: Duration = Duration::from_secs(86_400);

impl Scene<'_> {
    pub(super) fn blind(&self, since: Timestamp, failure: &Failure, targets: u32) -> Part {
        if failure.fault == Fault::Incomplete {
            return self.incomplete(since, failure);
        }
        let targets = format!("{} cannot be seen", counted(targets, "target", "targets"));
        let (title, whose) = match (&self.target, self.account()) {
            (Some(_), _) => (Line::of("Runners cannot be seen"), "its"),
            (None, Some(account)) => (Line::of(targets).text(" by the GitHub App on ").name(account), "their"),
            (None, None) => (Line::of(targets), "their"),
        };
        Part {
            brief: Line::of("since ").at(since).text(", ").quote(&failure.detail),
            lead: Line::of("No look at GitHub has succeeded since ")
                .at(since)
                .text(". The reason: ")
                .quote(&failure.detail)
                .text(format!(
                    ". While this lasts, nothing is known of {whose} runners, and no alert can come for them."
                )),
            advice: vec![Line::default().strong("Try first:").text(" ").and(self.mend(failure.fault))],
            ..part(Mark::Alarm, title)
        }
    }

    /// Some runners of a target are not watched, while the others are.
    fn incomplete(&self, since: Timestamp, failure: &Failure) -> Part {
        Part {
            brief: Line::of("since ").at(since).text(", ").quote(&failure.detail),
            lead: Line::of("Since ")
                .at(since)
                .text(", GitHub's list of runners is not the whole: ")
                .quote(&failure.detail)
                .text(". The listed runners are watched. No alert can come for the others until this is fixed."),
            advice: vec![Line::default().strong("Try first:").text(" ").and(self.mend(failure.fault))],
            ..part(Mark::Alarm, Line::of("Some runners are not watched"))
        }
    }

    /// What to do about looks that fail.
    fn mend(&self, fault: Fault) -> Line {
        match fault {
            Fault::Credential => match self.account() {
                Some(account) => Line::of("see whether the GitHub App is still installed on ")
                    .name(account)
                    .text(" and not suspended, and whether its private key still stands; then give the monitor the new key."),
                None => Line::of("renew the token and put the new one where the monitor reads it. It needs ")
                    .and(self.permission())
                    .text("."),
            },
            Fault::Limited { until } => Line::of("nothing before ")
                .on(until)
                .text(", when GitHub may be asked again. If it comes back: a longer interval, fewer targets, or a GitHub App with limits of its own."),
            Fault::Network => Line::of(format!(
                "from the monitor's host, see whether {} can be reached: DNS, proxy, firewall, certificates.",
                self.web
            )),
            Fault::Service => Line::of("wait; GitHub was reached but did not serve. Its state is told at www.githubstatus.com (an Enterprise Server: ask who runs it)."),
            // GitHub refuses for many reasons: which one it is stands in its own words.
            Fault::Forbidden => Line::of("fix what the reason names."),
            Fault::NotFound => Line::of("see whether it was renamed, moved or deleted, or whether the credential lost access to it; then mend the list of targets."),
            Fault::Unreadable => Line::of("restore the store from a backup. Without one, move it away: the monitor starts with a new one and alerts again for what is offline."),
            Fault::Incomplete => Line::of("see whether the credential may see every runner, and ask GitHub's support if the number stays wrong."),
            Fault::BrokenAnswer => Line::of("see whether a proxy stands between the monitor and GitHub; the answers are not those that GitHub describes."),
        }
    }

    /// What a credential must be allowed, in GitHub's words.
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
            None => Line::of(
                "Administration: read for repositories and Self-hosted runners: read for organizations (classic: ",
            )
            .command("repo")
            .text(" and ")
            .command("admin:org")
            .text(")"),
        }
    }

    /// The account of the App's installation that this is about, if it is about one.
    fn account(&self) -> Option<&str> {
        match &self.notice.subject {
            Subject::Credential(id) => id.account(),
            Subject::Target(_) | Subject::Monitor => None,
        }
    }

    pub(super) fn sees_again(&self, since: Timestamp, until: Timestamp) -> Part {
        let title = match (&self.target, self.account()) {
            (Some(_), _) => Line::of("Runners can be seen again"),
            (None, Some(account)) => Line::of("The GitHub App on ").name(account).text(" sees its targets again"),
            (None, None) => Line::of("GitHub can be seen again"),
        };
        let blind = spoken_duration(until.since(since));
        Part {
            brief: Line::of(format!("after {blind}")),
            lead: Line::of("Looks at GitHub succeed again since ")
                .at(until)
                .text(format!(", after {blind} (from "))
                .at(since)
                .text("). What began and ended in between was not seen; what lasts is told as usual."),
            ..part(Mark::Good, title)
        }
    }

    pub(super) fn entries_unresolved(&self, entries: &[UnresolvedNews]) -> Part {
        let why = |unresolved: &UnresolvedNews| {
            Line::of("since ").at(unresolved.since).text(", ").quote(&unresolved.failure.detail)
        };
        let stays = "Repositories that are already monitored stay so; new ones are not found.";
        let advice = |unresolved: &UnresolvedNews| match unresolved.failure.fault {
            Fault::NotFound => Line::of("check the spelling of the account, and that the credential has access to it."),
            Fault::Forbidden => Line::of(
                "check that the credential may list the account's repositories, and that single sign-on is authorized for it.",
            ),
            fault => self.mend(fault),
        };
        let try_first = |unresolved| Line::default().strong("Try first:").text(" ").and(advice(unresolved));
        match entries {
            [one] => Part {
                brief: why(one),
                lead: Line::of("GitHub has not listed the repositories of ")
                    .name(&one.entry)
                    .text(" since ")
                    .at(one.since)
                    .text(". The reason: ")
                    .quote(&one.failure.detail)
                    .text(format!(". {stays}")),
                advice: vec![try_first(one)],
                ..part(Mark::Alarm, Line::of("Cannot resolve the list entry ").name(&one.entry))
            },
            _ => Part {
                brief: entries
                    .first()
                    .map(|one| Line::default().name(&one.entry).text(" and more"))
                    .unwrap_or_default(),
                lead: Line::of(format!("GitHub does not list the repositories of these accounts. {stays}")),
                items: (entries.iter().take(MAX_ITEMS))
                    .map(|unresolved| Line::default().name(&unresolved.entry).text(" ").and(why(unresolved)))
                    .collect(),
                total: entries.len(),
                advice: entries.first().map(try_first).into_iter().collect(),
                ..part(Mark::Alarm, format!("Cannot resolve {}", counted(entries.len(), "list entry", "list entries")))
            },
        }
    }

    pub(super) fn expiring(&self, expires_at: Timestamp, noticed_at: Timestamp) -> Part {
        let left = expires_at.since(noticed_at);
        let is_over = left.is_zero();
        let when = if is_over {
            "has expired".to_owned()
        } else if left < DAY {
            format!("expires in {}", spoken_duration(left))
        } else {
            format!("expires in {}", counted(left.as_secs() / DAY.as_secs(), "day", "days"))
        };
        let mark = if left <= DAY { Mark::Alarm } else { Mark::Warning };
        Part {
            brief: Line::of("valid until ").on(expires_at),
            lead: Line::of(if is_over {
                "The GitHub token was valid until "
            } else {
                "The GitHub token is valid until "
            })
            .on(expires_at)
            .text(". Without a new one, no runner can be seen after that."),
            advice: vec![
                Line::default()
                    .strong("What to do:")
                    .text(" renew the token and put the new one where the monitor reads it. It needs ")
                    .and(self.permission())
                    .text("."),
            ],
            ..part(mark, format!("The GitHub token {when}"))
        }
    }
}

pub(super) fn entries_resolved(entries: &[ResolvedNews]) -> Part {
    let after = |resolved: &ResolvedNews| spoken_duration(resolved.until.since(resolved.since));
    match entries {
        [one] => Part {
            brief: Line::of(format!("after {}", after(one))),
            lead: Line::of("GitHub lists the repositories of ")
                .name(&one.entry)
                .text(" again since ")
                .at(one.until)
                .text(format!(", after {}. New ones are monitored from now on.", after(one))),
            ..part(Mark::Good, Line::of("The list entry ").name(&one.entry).text(" resolves again"))
        },
        _ => Part {
            brief: entries.first().map(|one| Line::default().name(&one.entry).text(" and more")).unwrap_or_default(),
            lead: Line::of("GitHub lists their repositories again. New ones are monitored from now on."),
            items: (entries.iter().take(MAX_ITEMS))
                .map(|resolved| Line::default().name(&resolved.entry).text(format!(" after {}", after(resolved))))
                .collect(),
            total: entries.len(),
            ..part(Mark::Good, format!("{} resolve again", counted(entries.len(), "list entry", "list entries")))
        },
    }
}

pub(super) fn empty_list_refused(kept: u32) -> Part {
    let kept = counted(kept, "target stays", "targets stay");
    Part {
        brief: Line::of(format!("{kept} watched")),
        lead: Line::of(format!(
            "The setting with the targets was read and names none. That is more likely a slip than a wish, so {kept} \
             watched as before."
        )),
        advice: vec![
            Line::default()
                .strong("Try first:")
                .text(" look at the setting with the targets. To watch nothing on purpose, stop the monitor instead."),
        ],
        ..part(Mark::Alarm, "The list of targets came up empty")
    }
}

pub(super) fn list_restored(total: u32) -> Part {
    let watched = format!("{} watched", counted(total, "target is", "targets are"));
    Part {
        brief: Line::of(watched.clone()),
        lead: Line::of(format!("The setting with the targets names some again: {watched}.")),
        ..part(Mark::Good, "The list of targets is no longer empty")
    }
}

pub(super) fn unwatched(from: Timestamp, until: Timestamp) -> Part {
    let gap = spoken_duration(until.since(from));
    Part {
        brief: Line::of("from ").at(from).text(" to ").at(until),
        lead: Line::of("The monitor did not run from ")
            .at(from)
            .text(" to ")
            .at(until)
            .text(". What began and ended in between was not seen; what lasts is told as usual."),
        advice: vec![
            Line::default()
                .strong("Try first:")
                .text(" if this was not planned, see why its schedule or its process had stopped."),
        ],
        ..part(Mark::Warning, format!("Nobody watched for {gap}"))
    }
}

pub(super) fn targets_added(targets: &[Target], total: u32) -> Part {
    let part = part(Mark::Info, format!("{} added", counted(targets.len(), "target", "targets")));
    listed(part, targets, "watched from now on", total)
}

pub(super) fn targets_removed(targets: &[Target], total: u32) -> Part {
    let part = part(Mark::Warning, format!("{} off the list", counted(targets.len(), "target is", "targets are")));
    let advice = Line::default()
        .strong("If nobody meant that:")
        .text(" look at the setting with the targets. Of an account that it names as ")
        .name("owner/*")
        .text(" those are found that the credential may see.");
    Part { advice: vec![advice], ..listed(part, targets, "no longer watched", total) }
}

/// What became of targets, one or several.
fn listed(part: Part, targets: &[Target], what: &str, total: u32) -> Part {
    let watched = format!("{} watched now", counted(total, "target is", "targets are"));
    match targets {
        [one] => Part {
            brief: Line::of(format!("{}; {watched}", place(one))),
            lead: Line::default().name(&place(one)).text(format!(" is {what}; {watched}.")),
            ..part
        },
        _ => Part {
            brief: Line::of(watched.clone()),
            lead: Line::of(format!("They are {what}; {watched}.")),
            items: targets.iter().take(MAX_ITEMS).map(|target| Line::default().name(&place(target))).collect(),
            total: targets.len(),
            ..part
        },
    }
}
