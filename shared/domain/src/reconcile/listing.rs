//! Matches the runners on GitHub's list with the stored ones.

use std::collections::BTreeMap;

use crate::fleet::Fleet;
use crate::observation::{Lookup, ObservedPage, ObservedRunner, PageTag};
use crate::runner::RunnerId;

/// The maximum number of missing runners looked up by id in one check.
const LOOKUPS_PER_CHECK: usize = 20;

/// What a complete check says about a stored runner.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'a> {
    /// On a page that has not changed.
    Unchanged,
    /// Listed, or found by its id.
    Read(&'a ObservedRunner),
    /// Listed by its name alone, as a registration from before the known one.
    Earlier(&'a ObservedRunner),
    /// Not listed, and not registered according to a lookup (ephemeral runners are not looked up).
    Missing,
    /// Not listed, and not looked up: no evaluation.
    Unasked,
}

/// A complete check, by stored runner.
pub(super) struct Listing<'a> {
    /// For each of the fleet's runners, in order.
    pub(super) seen: Vec<Seen<'a>>,
    /// Listed runners that are not stored.
    pub(super) unknown: Vec<&'a ObservedRunner>,
    /// The pages to store.
    pub(super) tags: Vec<PageTag>,
}

impl<'a> Listing<'a> {
    /// If the list lacks runners (`is_short`), only a lookup by a runner's own id proves that it is gone. The ETags are
    /// then not kept: only a full response says how many runners there are.
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
                // Ids that start again from small numbers: the server was restored from a backup.
                (Some(Lookup::NotFound), Seen::Earlier(observed)) => Seen::Read(observed),
                (Some(Lookup::NotFound), _) => Seen::Missing,
                (None, _) if runner.ephemeral && !runner.is_gone() && !is_short => Seen::Missing,
                (None, _) => Seen::Unasked,
            };
        }
        Self { seen, unknown, tags }
    }
}

/// The runners missing from a list that are to be looked up by their current id, at most 20. Those that were missing
/// before come first, so that each gets its second check. Gone and ephemeral runners are not looked up.
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
                        // A page with runners that are not stored must be read in full next time.
                        None => tag.etag = None,
                    }
                }
                tags.push(tag);
            }
            ObservedPage::Fresh { tag, runners } => {
                for observed in runners {
                    match find(observed.id) {
                        Some(index) => seen[index] = Seen::Read(observed),
                        // While pages are read, a runner can slip from one to the next and be listed twice.
                        None if unknown.iter().any(|known| known.id == observed.id) => {}
                        None => unknown.push(observed),
                    }
                }
                tags.push(tag.clone());
            }
        }
    }

    let unknown = match_by_name(fleet, &mut seen, unknown);
    (seen, unknown, tags)
}

/// Of the listed runners whose ids are not stored, finds those that are stored under their name. A name belongs to one
/// runner at a time, so a known name with another id is a new registration. GitHub's ids grow: a smaller id than the
/// stored one comes from a page from before that registration. Returns the rest.
fn match_by_name<'a>(
    fleet: &Fleet,
    seen: &mut [Seen<'a>],
    unknown: Vec<&'a ObservedRunner>,
) -> Vec<&'a ObservedRunner> {
    let mut new: Vec<&ObservedRunner> = Vec::new();
    for observed in unknown {
        // The identity is compared too: a second runner with the same identity would overwrite its record.
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
