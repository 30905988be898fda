//! When a subject or a runner was not observed, by the changes.

use crate::availability::Span;
use crate::change::{Change, Event};
use crate::status::RunnerId;

/// The times in which a subject was not observed, by its changes: failed checks of a target, or gaps of the monitor.
pub fn gaps(changes: &[Change]) -> impl Iterator<Item = Span> + '_ {
    let events = changes.iter().flat_map(|change| &change.events);
    events.filter_map(|event| match event {
        Event::ReachableAgain { since, until, .. } => Some(Span { from: *since, until: *until }),
        Event::Unwatched { from, until } => Some(Span { from: *from, until: *until }),
        _ => None,
    })
}

/// The times in which runners were not registered, by the changes of their target.
pub fn absences(changes: &[Change]) -> impl Iterator<Item = (RunnerId, Span)> + '_ {
    changes.iter().flat_map(|change| {
        change.events.iter().filter_map(|event| match event {
            Event::Returned { runner, gone_since, .. } => {
                Some((runner.id, Span { from: *gone_since, until: change.observed_at }))
            }
            _ => None,
        })
    })
}
