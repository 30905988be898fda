//! Which of the runners on GitHub's list are which of those remembered.

use std::collections::BTreeMap;

use crate::fleet::Fleet;
use crate::observation::{Lookup, ObservedPage, ObservedRunner, PageTag};
use crate::runner::RunnerId;

/// How many missing runners are asked for by id in one check.
const LOOKUPS_PER_CHECK: usize = 20;

/// What a complete look says of a remembered runner.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'a> {
    /// On a page that is as remembered.
    Unchanged,
    /// Listed, or found by its id.
    Read(&'a ObservedRunner),
    /// Listed under its name alone, as a registration from before the one that is known.
    Earlier(&'a ObservedRunner),
    /// Not listed, and not registered as far as was asked (an ephemeral runner is not asked for).
    Missing,
    /// Not listed, and not asked for: no verdict.
    Unasked,
}

/// A complete look, sorted by remembered runner.
pub(super) struct Listing<'a> {
    /// For each of the fleet's runners, in order.
    pub(super) seen: Vec<Seen<'a>>,
    /// Listed runners that are not remembered.
    pub(super) unknown: Vec<&'a ObservedRunner>,
    /// The pages to remember.
    pub(super) tags: Vec<PageTag>,
}

impl<'a> Listing<'a> {
    /// Of a list that is short of runners (`is_short`) only an answer to a runner's own id says that it is gone, and its ETags
    /// are not kept: only an answer in full tells how many there are.
    pub(super) fn match_up(
        fleet: &Fleet,
        pages: &'a [ObservedPage],
        lookups: &'a BTreeMap<RunnerId, Lookup>,
        is_short: bool,
    ) -> Self {
        let (mut seen, unknown, mut tags) = match_pages(fleet, pages);
        if is_short {
            tags.iter_mut().for_each(|tag| tag.etag = None);
        }
        for (runner, seen) in fleet.runners.iter().zip(&mut seen) {
            if !is_missing(seen) {
                continue;
            }
            *seen = match (lookups.get(&runner.current_id), *seen) {
                (Some(Lookup::Found(observed)), _) => Seen::Read(observed),
                // Ids that begin anew: a server that was put back from a copy.
                (Some(Lookup::NotFound), Seen::Earlier(observed)) => Seen::Read(observed),
                (Some(Lookup::NotFound), _) => Seen::Missing,
                (None, _) if runner.ephemeral && !runner.is_gone() && !is_short => Seen::Missing,
                (None, _) => Seen::Unasked,
            };
        }
        Self { seen, unknown, tags }
    }
}

/// The runners missing from a list that are to be asked for by their present id, at most 20: those that were missed
/// before come first, so that each gets its second poll. Gone and ephemeral ones are not asked for.
pub fn lookups_wanted(fleet: &Fleet, pages: &[ObservedPage]) -> Vec<RunnerId> {
    let (seen, ..) = match_pages(fleet, pages);
    let mut missing: Vec<_> = (fleet.runners.iter().zip(seen))
        .filter(|(runner, seen)| is_missing(seen) && !runner.ephemeral && !runner.is_gone())
        .map(|(runner, _)| (runner.absence.is_none(), runner.current_id))
        .collect();
    missing.sort_unstable();
    missing.into_iter().take(LOOKUPS_PER_CHECK).map(|(_, id)| id).collect()
}

fn is_missing(seen: &Seen<'_>) -> bool {
    matches!(seen, Seen::Missing | Seen::Earlier(_))
}

fn match_pages<'a>(fleet: &Fleet, pages: &'a [ObservedPage]) -> (Vec<Seen<'a>>, Vec<&'a ObservedRunner>, Vec<PageTag>) {
    let mut by_current_id: Vec<(RunnerId, usize)> =
        fleet.runners.iter().enumerate().map(|(index, runner)| (runner.current_id, index)).collect();
    by_current_id.sort_unstable();
    let find = |id: RunnerId| {
        let found = by_current_id.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(by_current_id[found].1)
    };

    let mut seen = vec![Seen::Missing; fleet.runners.len()];
    let mut unknown: Vec<&ObservedRunner> = Vec::new();
    let mut tags = Vec::with_capacity(pages.len());
    for page in pages {
        match page {
            ObservedPage::Unchanged(tag) => {
                let mut tag = tag.clone();
                for &id in &tag.runner_ids {
                    match find(id) {
                        Some(index) => seen[index] = Seen::Unchanged,
                        // A page whose runners are not all remembered must be read in full next time.
                        None => tag.etag = None,
                    }
                }
                tags.push(tag);
            }
            ObservedPage::Fresh { tag, runners } => {
                for observed in runners {
                    match find(observed.id) {
                        Some(index) => seen[index] = Seen::Read(observed),
                        // A runner can slip from page to page while they are read, and so be listed twice.
                        None if unknown.iter().any(|known| known.id == observed.id) => {}
                        None => unknown.push(observed),
                    }
                }
                tags.push(tag.clone());
            }
        }
    }

    let unknown = registered_anew(fleet, &mut seen, unknown);
    (seen, unknown, tags)
}

/// Of listed runners that are not remembered by their id, finds those that are all the same: a name is one runner's at any
/// one time, so under a remembered name with another id it was registered again. GitHub's ids grow: a smaller one than
/// is known of the name stands on a page from before that. Gives the rest.
fn registered_anew<'a>(
    fleet: &Fleet,
    seen: &mut [Seen<'a>],
    unknown: Vec<&'a ObservedRunner>,
) -> Vec<&'a ObservedRunner> {
    let mut new: Vec<&ObservedRunner> = Vec::new();
    for observed in unknown {
        // By identity too: a record is kept under it, and a second one would take its place.
        let remembered = fleet.runners.iter().zip(&mut *seen);
        let namesakes = remembered.filter(|(runner, seen)| {
            let name = if let Seen::Read(read) = seen { &read.name } else { &runner.name };
            *name == observed.name || runner.id == observed.id
        });
        if let Some((runner, seen)) = namesakes.min_by_key(|(_, seen)| !matches!(seen, Seen::Missing)) {
            *seen = match *seen {
                Seen::Read(other) if other.id < observed.id => Seen::Read(observed),
                Seen::Unchanged if runner.current_id < observed.id => Seen::Read(observed),
                Seen::Missing | Seen::Earlier(_) if runner.current_id < observed.id || runner.is_gone() => {
                    Seen::Read(observed)
                }
                Seen::Missing => Seen::Earlier(observed),
                other => other,
            };
            continue;
        }
        match new.iter_mut().find(|other| other.name == observed.name) {
            Some(other) if other.id < observed.id => *other = observed,
            Some(_) => {}
            None => new.push(observed),
        }
    }
    new
}
