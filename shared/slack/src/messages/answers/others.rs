//! Answers if nothing was found, or if a check was queued.

use super::*;

pub(super) fn recheck_sent(target: &Target) -> Section {
    Section {
        brief: Line::of(": an alert follows if something changed."),
        lead: Line::of("A check of ")
            .name(&place(target))
            .text(" is queued and runs within seconds. Changes are alerted as usual, outages once they are confirmed. To see the result: ")
            .command("/runner-status TARGET")
            .text("."),
        ..part(Mark::Info, Line::of("Checking ").name(&place(target)).text(" again"))
    }
}

pub(super) fn not_watched(target: &Target, similar: &[Target]) -> Section {
    Section {
        brief: Line::of(": it is not in the list of targets."),
        lead: Line::default()
            .name(&place(target))
            .text(" is not in the list of targets. Add it to the repositories, organizations or enterprises in the monitor's settings.")
            .text(if similar.is_empty() { "" } else { " Similar targets that are monitored:" }),
        items: similar.iter().map(|target| Line::default().name(target.as_str())).collect(),
        total: similar.len(),
        ..part(Mark::Warning, Line::default().name(&place(target)).text(" is not monitored"))
    }
}

/// `none_called` ends where the name follows. If `may_be_a_target`, a possible account name gets a hint about `orgs/`.
pub(super) fn nobody(asked: &str, none_called: &'static str, may_be_a_target: bool, similar: &[String]) -> Section {
    let is_name = !asked.is_empty() && asked.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_account = may_be_a_target && is_name && similar.is_empty();
    let hint = Line::of(" For the organization: ").name(&format!("orgs/{asked}")).text(".");
    let line = Line::of(none_called).name(asked).text(".");
    let line = if is_account { line.and(hint) } else { line };
    Section {
        brief: Line::of("."),
        lead: line.text(if similar.is_empty() { "" } else { " Similar:" }),
        items: similar.iter().map(|name| Line::default().name(name)).collect(),
        total: similar.len(),
        ..part(Mark::Warning, Line::of(none_called).name(asked))
    }
}

pub(super) fn unread(targets: &[Target]) -> Option<Section> {
    (!targets.is_empty()).then(|| Section {
        lead: Line::of("The store did not answer for them in time, so they are left out here. Ask again in a minute."),
        items: targets.iter().take(20).map(|target| Line::default().name(&place(target))).collect(),
        total: targets.len(),
        ..part(Mark::Warning, format!("{} could not be read", counted(targets.len(), "target", "targets")))
    })
}
