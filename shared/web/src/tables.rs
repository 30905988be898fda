//! Tables that several pages show, and how a long list is divided into pages.

use maud::{Markup, html};
use monitor_domain::fleet::Fleet;
use monitor_domain::outage::{Ending, Outage};
use monitor_domain::runner::Runner;
use monitor_domain::time::Timestamp;
use monitor_pipeline::chat_notes::ChatNote;

use crate::layout::{labels, runner_link, since, state, target_link, time};
use crate::snapshot::{OutageOf, Snapshot, thread_address};
use crate::state::{State, Tone};
use crate::text::{grouped, minute, one_line};
use crate::why::of_outage;

/// Rows of one page of a list.
const ROWS: usize = 200;

/// A table of runners.
pub(crate) fn runner_table(snapshot: &Snapshot, rows: &[(&State, &Fleet, &Runner)], with_target: bool) -> Markup {
    html! {
        div .table { table {
            thead { tr {
                th { "Runner" } @if with_target { th { "Target" } } th { "State" } th .number { "For" } th .wide { "Labels" } th .wide { "Version" }
            } }
            tbody {
                @for (of_runner, fleet, runner) in rows {
                    tr {
                        td { (runner_link(&fleet.record.target, runner.id, &runner.name)) }
                        @if with_target { td { (target_link(&fleet.record.target)) } }
                        td .state { (state(of_runner.tone, &of_runner.word)) }
                        td .number { (since(of_runner.since, snapshot.now())) }
                        td .wide { (labels(&runner.labels)) }
                        td .wide { (runner.version.as_deref().map(one_line).unwrap_or_default()) }
                    }
                }
            }
        } }
    }
}

/// The pools of a target, or of a credential.
pub(crate) fn pools(fleet: &Fleet, now: Timestamp) -> Markup {
    html! {
        @if !fleet.pools.is_empty() {
            h2 { "Pools" @if !fleet.is_target() { span .age { "over all targets, " (target_link(&fleet.record.target)) } } }
            div .table { table {
                thead { tr { th { "Labels" } th { "Online" } th .number { "For" } th .wide { "Online, offline" } } }
                tbody {
                    @for pool in &fleet.pools {
                        @let of_pool = State::of(pool);
                        tr {
                            td { (runner_link(&fleet.record.target, pool.id, &pool.name)) }
                            td { (state(of_pool.tone, &of_pool.word)) }
                            td .number { (since(of_pool.since, now)) }
                            td .wide { @if let Some(counts) = pool.pool {
                                (meter(&[(Tone::Idle, counts.online as usize), (Tone::Bad, counts.total.saturating_sub(counts.online) as usize)]))
                            } }
                        }
                    }
                }
            } }
        }
    }
}

/// A table of outages.
pub(crate) fn outage_table(outages: &[&OutageOf], now: Timestamp, with_runner: bool, with_target: bool) -> Markup {
    // A webhook says nothing of its messages, so most of those installations would have an empty column.
    let with_note = outages.iter().any(|of| of.note != ChatNote::default());
    html! {
        @if outages.is_empty() { p .empty { "No outage is stored" @if with_target { " for this selection" } "." } }
        @else {
            div .table { table {
                thead { tr {
                    th { "Began" } @if with_runner { th { "Runner" } } @if with_target { th { "Target" } } th .number { "Lasted" } th { "Ended" }
                    @if with_note { th { "In Slack" } } th .wide { "What is known" }
                } }
                tbody {
                    @for OutageOf { target, outage, note } in outages {
                        @let (tone, word) = ending(outage);
                        tr {
                            td .time { (time(outage.started_at)) }
                            @if with_runner {
                                td {
                                    // A queue is forgotten with its last job.
                                    @if outage.waiting.is_some() && !outage.is_open() { (one_line(&outage.runner_name)) }
                                    @else { (runner_link(target, outage.runner_id, &outage.runner_name)) }
                                }
                            }
                            @if with_target { td { (target_link(target)) } }
                            td .number { (since(outage.started_at, outage.resolved_at.unwrap_or(now))) }
                            td .state { (state(tone, word)) }
                            @if with_note { td .note { (in_slack(outage, note)) } }
                            td .why .wide { (of_outage(outage, outage.resolved_at.unwrap_or(now))) }
                        }
                    }
                }
            } }
        }
    }
}

/// How an outage ended, or that it is open.
pub(crate) fn ending(outage: &Outage) -> (Tone, &'static str) {
    match outage.ending {
        None => (Tone::Bad, "open"),
        Some(Ending::Recovered) => (Tone::Idle, "recovered"),
        Some(Ending::Removed) if outage.was_removed_by_github() => (Tone::Faint, "removed by GitHub"),
        Some(Ending::Removed) => (Tone::Faint, "no longer registered"),
        Some(Ending::NoLongerMonitored) => (Tone::Faint, "no longer monitored"),
    }
}

/// A link to the alert of an outage, and who acknowledged it.
fn in_slack(outage: &Outage, note: &ChatNote) -> Markup {
    html! {
        @if let Some(alert) = &note.alert {
            a href=(thread_address(alert)) rel="noreferrer" aria-label={ "Thread of " (one_line(&outage.runner_name)) " in Slack" } { "Thread" }
        }
        @if let Some(acknowledgement) = &note.acknowledgement {
            @if note.alert.is_some() { ", " }
            span title=(minute(acknowledgement.at)) { "acknowledged by " (acknowledgement.by.shown()) }
        }
    }
}

/// Parts of a whole, side by side. The numbers beside it say the same.
pub(crate) fn meter(parts: &[(Tone, usize)]) -> Markup {
    let whole = parts.iter().map(|(_, count)| count).sum::<usize>();
    let mut x = 0;
    let rects: Vec<(Tone, usize, usize)> = parts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(tone, count)| {
            let width = count * 1_000 / whole;
            let rect = (*tone, x, width);
            x += width;
            rect
        })
        .collect();
    html! {
        svg .meter viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            @if rects.is_empty() { rect .none x="0" width="1000" height="10" {} }
            @for (tone, x, width) in rects { rect class=(tone.class()) x=(x) width=(width) height="10" {} }
        }
    }
}

/// The rows of a page of a list; of the last one, if there are fewer pages.
pub(crate) fn paged<T>(rows: &[T], page: usize) -> &[T] {
    let begin = (page_number(rows.len(), page) - 1) * ROWS;
    &rows[begin..rows.len().min(begin + ROWS)]
}

/// The number of the page that is shown, from 1.
fn page_number(count: usize, page: usize) -> usize {
    page.clamp(1, pages_of(count).max(1))
}

/// How many pages a list has.
pub(crate) fn pages_of(count: usize) -> usize {
    count.div_ceil(ROWS)
}

/// Links to the pages before and after the one that is shown, if the list has more than one.
pub(crate) fn page_links(count: usize, page: usize, address: impl Fn(usize) -> String) -> Markup {
    let (page, last) = (page_number(count, page), pages_of(count));
    html! {
        @if last > 1 {
            nav .pages aria-label="Pages of the list" {
                @if page > 1 { a href=(address(page - 1)) { "Previous" } }
                span { "Page " (grouped(page)) " of " (grouped(last)) }
                @if page < last { a href=(address(page + 1)) { "Next" } }
            }
        }
    }
}
