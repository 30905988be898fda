//! What is answered where nothing was found, or something is on its way.

use super::*;

pub(super) fn recheck_sent(target: &Target) -> Part {
    Part {
        brief: Line::of("news of it come as an alert"),
        lead: Line::of("A look at ")
            .name(&place(target))
            .text(" is asked for and comes within seconds. What it finds is told as always: an outage once it is confirmed, nothing where all is as before. Afterwards: ")
            .command("/runner-status TARGET")
            .text("."),
        ..part(Mark::Info, Line::of("Looking at ").name(&place(target)).text(" again"))
    }
}

pub(super) fn not_watched(target: &Target, similar: &[Target]) -> Part {
    Part {
        brief: Line::of("it is not on the list of targets"),
        lead: Line::default()
            .name(&place(target))
            .text(" is not on the list of targets. It is added where the monitor is set up, in its repositories, organizations or enterprises.")
            .text(if similar.is_empty() { "" } else { " Watched, and like it:" }),
        items: similar.iter().map(|target| Line::default().name(target.as_str())).collect(),
        total: similar.len(),
        ..part(Mark::Warning, Line::default().name(&place(target)).text(" is not watched"))
    }
}

pub(super) fn nobody(asked: &str, what: &str, similar: &[String]) -> Part {
    Part {
        brief: Line::of(format!("no {what}")),
        lead: Line::of(format!("In the targets that are watched, no {what}.")).text(if similar.is_empty() {
            ""
        } else {
            " Like it:"
        }),
        items: similar.iter().map(|name| Line::default().name(name)).collect(),
        total: similar.len(),
        ..part(Mark::Warning, Line::of("Nothing goes by ").name(asked))
    }
}

pub(super) fn unread(targets: &[Target]) -> Option<Part> {
    (!targets.is_empty()).then(|| Part {
        lead: Line::of("Their records did not come in time; they are left out here. Ask again in a minute."),
        items: targets.iter().take(20).map(|target| Line::default().name(&place(target))).collect(),
        total: targets.len(),
        ..part(Mark::Warning, format!("{} could not be read", counted(targets.len(), "target", "targets")))
    })
}
