//! One target: its runners, pools and queues, how available and how busy they were, and its outages.

use std::time::Duration;

use maud::{Markup, html};
use monitor_domain::availability::{Span, TargetReport};
use monitor_domain::fleet::Fleet;
use monitor_domain::runner::Runner;
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_pipeline::history::{TargetHistory, Utilisation};

use crate::layout::{Place, mark, of_runners, own_health, page, runner_link, since, state};
use crate::snapshot::{OutageOf, Snapshot};
use crate::state::{State, Tone};
use crate::tables::{meter, outage_table, paged, pools, runner_table};
use crate::text::{ago, counted, escaped, grouped, one_line, percent};
use crate::view::VersionEnds;
use crate::why::why;

const DAY: Duration = Duration::from_secs(86_400);
/// The times of the table of availability.
const SPANS: [(&str, u32); 3] = [("24 hours", 1), ("7 days", 7), ("30 days", 30)];
/// Outages listed here, the latest; the page of outages has the others.
pub(crate) const OUTAGES: usize = 20;

/// The page.
pub(crate) fn target_page(snapshot: &Snapshot, fleet: &Fleet, history: &TargetHistory, outages: &[OutageOf]) -> String {
    let (record, now) = (&fleet.record, snapshot.now());
    let mut runners: Vec<(State, &Runner)> = fleet.runners.iter().map(|runner| (State::of(runner), runner)).collect();
    runners.sort_by_key(|(state, _)| std::cmp::Reverse(state.tone));
    let rows: Vec<(&State, &Fleet, &Runner)> = runners.iter().map(|(state, runner)| (state, fleet, *runner)).collect();
    let gone = fleet.runners.iter().filter(|runner| runner.is_gone()).count();
    let shown = paged(&rows, 1);
    let more = history.outages.len().saturating_sub(outages.len());
    let outages: Vec<&OutageOf> = outages.iter().collect();
    let content = html! {
        (own_health(snapshot))
        h1 { (record.target) }
        p .lead {
            @if fleet.is_target() { (of_runners(std::slice::from_ref(fleet))) } @else { "These pools count the runners of all targets of the credential" } ". "
            @match fleet.seen_at() { Some(at) => { "Checked " (ago(at, now)) "." } None => "No check has succeeded yet." } }
        @if let Some(failing) = &record.failing {
            div class=(if failing.unreachable { "banner" } else { "banner warning" }) role="status" {
                p { (mark(Tone::of_failing(failing).0)) strong { "Checks have failed for " (since(failing.since, now)) ": " } (one_line(&failing.failure.detail)) }
                p { "What this page shows is what the last successful check found." }
            }
        }
        (queues(fleet, now))
        (pools(fleet, now))
        @if fleet.is_target() {
            (availability(history, now))
            h2 { "Runners" span .age { (counted(rows.len() - gone, "runner")) @if gone > 0 { ", " (grouped(gone)) " no longer registered" } } }
            @if rows.is_empty() { p .empty { "No runner is registered." } } @else { (runner_table(snapshot, shown, false)) }
        }
        @if shown.len() < rows.len() {
            p .pages { a href={ "/?q=" (escaped(record.target.as_str())) } { "All " (grouped(rows.len())) " runners" } }
        }
        h2 { "Outages" }
        (outage_table(&outages, now, true, false))
        @if more > 0 { p .pages { a href={ "/outages?q=" (escaped(record.target.as_str())) } { (counted(more, "more outage")) } } }
    };
    page(record.target.as_str(), Place::Elsewhere, Some(snapshot), &content)
}

fn queues(fleet: &Fleet, now: Timestamp) -> Markup {
    html! {
        @if !fleet.queues.is_empty() {
            h2 { "Jobs that wait" }
            div .table { table {
                thead { tr { th { "Queue" } th { "State" } th .number { "For" } th { "What is known" } } }
                tbody {
                    @for queue in &fleet.queues {
                        @let of_queue = State::of(queue);
                        tr {
                            td { (runner_link(&fleet.record.target, queue.id, &queue.name)) }
                            td .state { (state(of_queue.tone, &of_queue.word)) }
                            td .number { (since(of_queue.since, now)) }
                            td .why { (why(queue, &VersionEnds::new(), now)) }
                        }
                    }
                }
            } }
        }
    }
}

fn availability(history: &TargetHistory, now: Timestamp) -> Markup {
    let of = |days: u32| history.report(Span { from: now.minus(DAY * days), until: now });
    let used = |days: u32| Utilisation::of(history, Span { from: now.minus(DAY * days), until: now });
    html! {
        h2 { "Availability" span .age { "without the time that nobody observed" } }
        div .table { table {
            thead { tr {
                th { "Time" } th .number { "Available" } th .number { "Outages" } th .number { "Mean time to recovery" } th .number { "Not observed" }
            } }
            tbody {
                @for (name, days) in SPANS { (row(name, &of(days))) }
            }
        } }
        @let used = SPANS.map(|(name, days)| (name, used(days)));
        @if !used[0].1.whole().is_zero() { (utilisation(&used)) }
    }
}

fn row(name: &str, report: &TargetReport) -> Markup {
    html! {
        tr {
            td { (name) }
            td .number { (percent(report.availability)) }
            td .number { (report.outages) }
            td .number { (report.mean_time_to_recovery.map_or_else(|| "–".to_owned(), spoken_duration)) }
            td .number { @if report.unobserved.is_zero() { "–" } @else { (spoken_duration(report.unobserved)) } }
        }
    }
}

fn utilisation(used: &[(&str, Utilisation)]) -> Markup {
    const PARTS: [(Tone, &str); 4] =
        [(Tone::Idle, "Idle"), (Tone::Busy, "Busy"), (Tone::Bad, "Offline"), (Tone::Faint, "Not known")];
    let per_mille = |of: &Utilisation| {
        let whole = of.whole().as_secs().max(1);
        let part = |part: Duration| usize::try_from(part.as_secs() * 1_000 / whole).unwrap_or(0);
        [of.idle, of.busy, of.offline, of.unknown].map(part)
    };
    html! {
        h2 { "Utilisation" span .age { "of all runners together" } }
        div .table { table .used {
            thead { tr {
                th { "Time" } @for (tone, word) in PARTS { th .number { (mark(tone)) (word) } } th .wide { "Idle, busy, offline, not known" }
            } }
            tbody {
                @for (name, of) in used {
                    @let parts = per_mille(of);
                    tr {
                        td { (name) }
                        @for part in parts { td .number { @if part == 0 { "–" } @else { (part / 10) "." (part % 10) " %" } } }
                        td .wide { (meter(&[0, 1, 2, 3].map(|index| (PARTS[index].0, parts[index])))) }
                    }
                }
            }
        } }
    }
}
