//! The fleet: what is wrong, then every target, or the runners that a search finds.

use std::collections::BTreeSet;

use maud::{Markup, html};
use monitor_domain::fleet::Fleet;
use monitor_domain::runner::{Runner, Status};
use monitor_domain::time::Timestamp;
use serde::Deserialize;

use crate::layout::{
    Place, is_found, mark, of_runners, own_health, page, runner_link, since, state, target_link, time,
};
use crate::snapshot::Snapshot;
use crate::state::{State, Tone, worst};
use crate::tables::{meter, page_links, paged, pools, runner_table};
use crate::text::{ago, counted, escaped, grouped, minute, one_line};
use crate::why::why;

/// Rows of the list of problems; the search finds the others.
const PROBLEMS: usize = 50;
/// The longest search text, in characters.
const LONGEST_QUERY: usize = 200;

/// The filter in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    /// Words that a runner's name, its labels or its target contain.
    q: String,
    /// One of [`STATES`].
    state: String,
    /// The name of a runner group.
    group: String,
    /// The page of the list, from 1.
    page: usize,
}

const STATES: [(&str, &str); 5] =
    [("", "Any state"), ("problem", "With a problem"), ("offline", "Offline"), ("busy", "Busy"), ("idle", "Idle")];

impl Filter {
    fn is_set(&self) -> bool {
        !self.q.trim().is_empty() || !self.group.is_empty() || STATES[1..].iter().any(|(state, _)| *state == self.state)
    }

    fn finds(&self, fleet: &Fleet, runner: &Runner) -> bool {
        let is_in_state = match self.state.as_str() {
            "problem" => Tone::of(runner).is_problem(),
            "offline" => !runner.status.is_healthy() && !runner.is_gone(),
            "busy" => runner.status == Status::Busy,
            "idle" => matches!(runner.status, Status::Idle | Status::Online),
            _ => true,
        };
        let is_in_group = self.group.is_empty() || fleet.group_of(runner) == Some(self.group.as_str());
        let query: String = self.q.chars().take(LONGEST_QUERY).collect();
        is_in_state
            && is_in_group
            && is_found(
                query.split_whitespace(),
                &fleet.record.target,
                &runner.name,
                &runner.labels,
                runner.version.as_deref(),
            )
    }

    /// The address of another page of the list.
    fn address(&self, page: usize) -> String {
        format!("/?q={}&state={}&group={}&page={page}", escaped(&self.q), escaped(&self.state), escaped(&self.group))
    }
}

/// The page.
pub(crate) fn fleet_page(snapshot: &Snapshot, filter: &Filter) -> String {
    let sentence = sentence(snapshot.fleets());
    let content = html! {
        (own_health(snapshot))
        h1 { (sentence) }
        p .lead { (summary(snapshot)) }
        @if !filter.is_set() {
            (problems(snapshot))
            (ahead(snapshot))
        }
        (form(snapshot, filter))
        @if filter.is_set() { (found(snapshot, filter)) } @else { (targets(snapshot, filter)) }
    };
    page(&sentence, Place::Fleet, Some(snapshot), &content)
}

/// The sentence that matters: `2 of 42 runners offline, 1 target unreachable, 7 jobs waiting`.
fn sentence(fleets: &[Fleet]) -> String {
    let is_unreachable =
        |fleet: &&Fleet| fleet.is_target() && fleet.record.failing.as_ref().is_some_and(|failing| failing.unreachable);
    let queues = fleets.iter().flat_map(|fleet| &fleet.queues).filter_map(|queue| queue.waiting.as_ref());
    let waiting: usize = queues.map(|waiting| waiting.count as usize).sum();
    let further =
        [(fleets.iter().filter(is_unreachable).count(), "target", "unreachable"), (waiting, "job", "waiting")];
    let further = further.into_iter().filter(|(count, ..)| *count > 0);
    let further = further.map(|(count, noun, how)| format!("{} {how}", counted(count, noun)));
    std::iter::once(of_runners(fleets)).chain(further).collect::<Vec<_>>().join(", ")
}

fn summary(snapshot: &Snapshot) -> String {
    let fleets = snapshot.fleets();
    let busy = fleets.iter().flat_map(|fleet| &fleet.runners).filter(|runner| runner.status == Status::Busy).count();
    let open = fleets.iter().flat_map(Fleet::pools_and_runners).filter(|one| one.open_outage().is_some()).count();
    // The header has the time of the last tick.
    let tick = match snapshot.monitoring.monitor.ticked_at {
        None => " No monitor runs on this store; these are the results of single checks.",
        Some(_) => "",
    };
    let targets = fleets.iter().filter(|fleet| fleet.is_target()).count();
    format!("{}, {}, {}.{tick}", counted(targets, "target"), counted(open, "open outage"), busy_text(busy))
}

fn busy_text(busy: usize) -> String {
    if busy == 1 { "1 runner busy".to_owned() } else { format!("{} runners busy", grouped(busy)) }
}

/// Targets whose checks fail, then pools and runners that need attention, the worst and oldest first.
fn problems(snapshot: &Snapshot) -> Markup {
    let fleets = snapshot.fleets();
    let mut failing: Vec<_> = fleets.iter().filter_map(|fleet| Some((fleet, fleet.record.failing.as_ref()?))).collect();
    failing.sort_by_key(|(_, failing)| (!failing.unreachable, failing.since));
    let mut runners: Vec<(State, &Fleet, &Runner)> = fleets
        .iter()
        .flat_map(|fleet| fleet.pools_and_runners().map(move |runner| (fleet, runner)))
        .filter(|(_, runner)| Tone::of(runner).is_problem())
        .map(|(fleet, runner)| (State::of(runner), fleet, runner))
        .collect();
    runners.sort_by_key(|(state, _, runner)| (std::cmp::Reverse(state.tone), runner.is_one(), state.since));
    let count = failing.len() + runners.len();
    let shown = failing.len().min(PROBLEMS / 2);
    let shown_runners = PROBLEMS - shown;
    let now = snapshot.now();
    html! {
        @if count > 0 {
            h2 { "Problems" span .age { (grouped(count)) } }
            div .table { table {
                thead { tr {
                    th { "Runner or target" } th { "State" } th .number { "For" } th { "What is known" }
                } }
                tbody {
                    @for (fleet, failing) in failing.iter().take(shown) {
                        @let (tone, word) = Tone::of_failing(failing);
                        tr {
                            td { (target_link(&fleet.record.target)) }
                            td .state { (state(tone, word)) }
                            td .number { (since(failing.since, now)) }
                            td .why { (one_line(&failing.failure.detail)) }
                        }
                    }
                    @for (of_runner, fleet, runner) in runners.iter().take(shown_runners) {
                        tr {
                            td { (runner_link(&fleet.record.target, runner.id, &runner.name)) " " span .faint { "of" } " " (target_link(&fleet.record.target)) }
                            td .state { (state(of_runner.tone, &of_runner.word)) }
                            td .number { (since(of_runner.since, now)) }
                            td .why { (why(runner, &snapshot.ends, now)) }
                        }
                    }
                }
            } }
            @if failing.len() > shown {
                p .pages { "Checks of " (counted(failing.len() - shown, "more target")) " fail: the list of targets begins with them." }
            }
            @if runners.len() > shown_runners {
                p .pages { a href="/?state=problem" { "All " (grouped(runners.len())) " runners, pools and queues with a problem" } }
            }
        }
    }
}

/// Versions that end.
fn ahead(snapshot: &Snapshot) -> Markup {
    let now = snapshot.now();
    let mut versions: Vec<(Timestamp, &str, usize)> = Vec::new();
    for (version, at) in &snapshot.ends {
        let runners = snapshot.fleets().iter().flat_map(|fleet| &fleet.runners);
        let count = runners.filter(|one| !one.is_gone() && one.version.as_ref() == Some(version)).count();
        if count > 0 {
            versions.push((*at, version, count));
        }
    }
    versions.sort_unstable();
    html! {
        @if !versions.is_empty() {
            h2 { "Versions that end" }
            div .table { table { thead { tr { th { "Version" } th { "End" } th .number { "Runners" } } } tbody {
                @for (at, version, count) in versions {
                    tr {
                        td { (mark(if at <= now { Tone::Bad } else { Tone::Warning })) (one_line(version)) }
                        td { @if at <= now { "ended on " (time(at)) "; GitHub gives it no more jobs" } @else { "ends on " (time(at)) } }
                        td .number { a href={ "/?q=" (escaped(version)) } { (counted(count, "runner")) } }
                    }
                }
            } } }
        }
    }
}

/// The names of all runner groups that have runners.
fn groups(snapshot: &Snapshot) -> BTreeSet<&str> {
    let fleets = snapshot.fleets().iter();
    fleets.flat_map(|fleet| fleet.runners.iter().filter_map(|runner| fleet.group_of(runner))).collect()
}

fn form(snapshot: &Snapshot, filter: &Filter) -> Markup {
    let mut groups = groups(snapshot);
    // A group without runners is still what the page is filtered by.
    if !filter.group.is_empty() {
        groups.insert(&filter.group);
    }
    html! {
        h2 { @if filter.is_set() { "Runners found" } @else { "Targets" } }
        form .filter method="get" action="/" role="search" {
            label { "Name, label or target" input type="search" name="q" value=(filter.q) maxlength=(LONGEST_QUERY); }
            label { "State"
                select name="state" {
                    @for (value, word) in STATES { option value=(value) selected[value == filter.state] { (word) } }
                }
            }
            @if !groups.is_empty() {
                label { "Group"
                    select name="group" {
                        option value="" selected[filter.group.is_empty()] { "Any group" }
                        @for group in groups { option value=(group) selected[group == filter.group] { (one_line(group)) } }
                    }
                }
            }
            button type="submit" { "Search" }
            @if filter.is_set() { a href="/" { "Show all targets" } }
        }
    }
}

fn found(snapshot: &Snapshot, filter: &Filter) -> Markup {
    let mut found: Vec<(State, &Fleet, &Runner)> = snapshot
        .fleets()
        .iter()
        .flat_map(|fleet| fleet.pools_and_runners().map(move |runner| (fleet, runner)))
        .filter(|(fleet, runner)| filter.finds(fleet, runner))
        .map(|(fleet, runner)| (State::of(runner), fleet, runner))
        .collect();
    found.sort_by_key(|(state, ..)| std::cmp::Reverse(state.tone));
    let rows: Vec<_> = found.iter().map(|(state, fleet, runner)| (state, *fleet, *runner)).collect();
    html! {
        @if rows.is_empty() { p .empty { "No runner matches." } }
        @else { (runner_table(snapshot, paged(&rows, filter.page), true)) }
        (page_links(rows.len(), filter.page, |page| filter.address(page)))
    }
}

fn targets(snapshot: &Snapshot, filter: &Filter) -> Markup {
    let (mut fleets, of_credentials): (Vec<&Fleet>, Vec<&Fleet>) =
        snapshot.fleets().iter().partition(|fleet| fleet.is_target());
    fleets.sort_by_cached_key(|fleet| std::cmp::Reverse((fleet.record.failing.is_some(), worst(fleet).is_problem())));
    let now = snapshot.now();
    html! {
        @if fleets.is_empty() { p .empty { "No target has been checked yet. The first tick checks those in REPOS, ORGANIZATIONS and ENTERPRISES." } }
        @else {
            div .table { table {
                thead { tr {
                    th { "Target" } th .number { "Runners" } th .number .wide { "Idle" } th .number .wide { "Busy" } th .number { "Offline" }
                    th .wide { "Idle, busy, offline" } th .number { "Checked" }
                } }
                tbody {
                    @for fleet in paged(&fleets, filter.page) { (target_row(fleet, now)) }
                }
            } }
            (page_links(fleets.len(), filter.page, |page| filter.address(page)))
        }
        @for fleet in of_credentials { (pools(fleet, now)) }
    }
}

fn target_row(fleet: &Fleet, now: Timestamp) -> Markup {
    let registered = || fleet.runners.iter().filter(|runner| !runner.is_gone());
    let total = registered().count();
    let busy = registered().filter(|runner| runner.status == Status::Busy).count();
    let idle = registered().filter(|runner| runner.status.is_healthy()).count() - busy;
    let offline = total - idle - busy;
    let tone = worst(fleet);
    html! {
        tr {
            td { (mark(tone)) (target_link(&fleet.record.target))
                @if let Some((tone, word)) = fleet.record.failing.as_ref().map(Tone::of_failing) { " " span class=(tone.class()) { (word) } } }
            td .number { (grouped(total)) }
            td .number .wide { (grouped(idle)) }
            td .number .wide { (grouped(busy)) }
            td .number { @if offline > 0 { span class=[tone.is_problem().then_some("bad")] { (grouped(offline)) } } @else { "0" } }
            td .wide { (meter(&[(Tone::Idle, idle), (Tone::Busy, busy), (Tone::Bad, offline)])) }
            td .number { @match fleet.seen_at() { Some(at) => { time datetime=(at.to_string()) title=(minute(at)) { (ago(at, now)) } } None => "never" } }
        }
    }
}
