//! One runner, pool or queue: its state, 24 hours of statuses, 90 days of availability, and its outages.

use std::time::Duration;

use maud::{Markup, html};
use monitor_domain::availability::{Availability, RunnerReport, Span};
use monitor_domain::fleet::Fleet;
use monitor_domain::jobs::{JobName, WaitingJobs};
use monitor_domain::runner::{Runner, Status};
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_pipeline::history::{Stretch, TargetHistory};
use monitor_pipeline::items::Mute;

use crate::layout::{Place, labels, mark, own_health, page, since, state, target_link, time};
use crate::snapshot::{OutageOf, Snapshot};
use crate::state::{State, Tone};
use crate::tables::{outage_table, paged, pages_of};
use crate::text::{counted, one_line, percent};
use crate::why::why;

const DAY: Duration = Duration::from_secs(86_400);
const DAY_MS: i64 = 86_400_000;
/// The number of daily bars.
const DAYS: i64 = 90;

/// What people said about the runner, and what it is about.
pub(crate) struct Said {
    pub(crate) mutes: Vec<Mute>,
    /// Its outages, latest first.
    pub(crate) outages: Vec<OutageOf>,
}

/// One day of a runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    /// Its first moment.
    pub(crate) begins: Timestamp,
    /// How available the runner was.
    pub(crate) availability: Availability,
    /// The number of its outages that were open at some time.
    pub(crate) outages: usize,
}

/// The last 90 days of a runner or a pool, oldest first, by UTC. Today ends now.
pub(crate) fn days(history: &TargetHistory, runner: &Runner, now: Timestamp) -> Vec<Day> {
    let alone = history.of_runner(runner.id);
    let today_ms = now.epoch_ms().div_euclid(DAY_MS) * DAY_MS;
    let of_day = |ago: i64| {
        let begins = Timestamp::from_epoch_ms(today_ms - ago * DAY_MS);
        let report = alone.report(Span { from: begins, until: now.min(begins.plus(DAY)) });
        let own = report.runners.into_iter().chain(report.pools).next();
        let (availability, outages) =
            own.map_or_else(Default::default, |RunnerReport { availability, outages, .. }| (availability, outages));
        Day { begins, availability, outages }
    };
    (0..DAYS).rev().map(of_day).collect()
}

/// The page.
pub(crate) fn runner_page(
    snapshot: &Snapshot,
    (fleet, runner): (&Fleet, &Runner),
    history: &TargetHistory,
    said: &Said,
    on_github: Option<&str>,
) -> String {
    let now = snapshot.now();
    let of_runner = State::of(runner);
    let name = one_line(&runner.name);
    let target = &fleet.record.target;
    let outages: Vec<&OutageOf> = said.outages.iter().collect();
    let of_open = outages.iter().find(|of| of.outage.is_open()).map(|of| &of.note);
    let reason = why(runner, &snapshot.ends, now);
    let content = html! {
        (own_health(snapshot))
        h1 { (name) }
        p .lead { (state(of_runner.tone, &of_runner.word)) " for " (since(of_runner.since, now)) ", of " (target_link(target)) }
        @if of_runner.is_problem() && !reason.is_empty() {
            div class=(if of_runner.tone == Tone::Bad { "banner" } else { "banner warning" }) role="status" { p { (reason) } }
        }
        @if fleet.record.failing.is_some() {
            div .banner role="status" { p { "The latest check of the target failed: this is what the last successful check found." } }
        }
        dl .facts {
            @if runner.is_one() {
                div { dt { "Operating system" } dd { (one_line(&runner.os)) } }
                div { dt { "Version" } dd {
                    @match &runner.version {
                        Some(version) => { (one_line(version)) (end_of_version(snapshot.ends.get(version), now)) }
                        None => "not reported",
                    }
                } }
            }
            div { dt { "Labels" } dd { (labels(&runner.labels)) } }
            @if let Some(group) = fleet.group_of(runner) { div { dt { "Group" } dd { (one_line(group)) } } }
            @if let Some(job) = runner.current_job() { div { dt { "Current job" } dd { (current_job(job, now)) } } }
            div { dt { "First seen" } dd { (time(runner.first_seen_at)) } }
            @if runner.ephemeral { div { dt { "Kind" } dd { "ephemeral: it takes one job" } } }
            @if runner.is_pooled { div { dt { "Alerts" } dd { "about its pool only, by policy" } } }
            @for mute in &said.mutes {
                div { dt { "Muted" } dd {
                    "until " (time(mute.until)) " by " (mute.by.shown())
                    @if let Some(reason) = &mute.reason { ": " (one_line(reason)) }
                } }
            }
            @if let Some(item) = of_open.and_then(|note| note.acknowledgement.as_ref()) {
                div { dt { "Acknowledged" } dd { (time(item.at)) " by " (item.by.shown()) } }
            }
            @if let (Some(address), true) = (on_github, runner.is_one()) { div { dt { "On GitHub" } dd { a href=(address) rel="noreferrer" { "Settings of the runner" } } } }
        }
        @if let Some(waiting) = &runner.waiting { (jobs(waiting, now)) }
        @if runner.waiting.is_none() { (day_bars(&days(history, runner, now))) }
        @if runner.is_one() { (timeline(&history.stretches(runner, Span { from: now.minus(DAY), until: now }), now)) }
        h2 { "Outages" span .age { (counted(outages.len(), "outage")) } }
        (outage_table(paged(&outages, 1), now, false, false))
        @if pages_of(outages.len()) > 1 {
            p .pages { a href={ "/api/v1/runners/" (runner.id) "/" (target) } { "All " (counted(outages.len(), "outage")) " as JSON" } }
        }
    };
    page(&format!("{name}, {target}"), Place::Elsewhere, Some(snapshot), &content)
}

/// What a busy runner does, and since when.
fn current_job(job: &JobName, now: Timestamp) -> Markup {
    html! {
        (job_link(job)) " in " (job.repository)
        @if let Some(at) = job.started_at { ", for " (since(at, now)) }
    }
}

fn job_link(job: &JobName) -> Markup {
    html! {
        @if job.url.is_empty() { (one_line(&job.name)) }
        @else { a href=(job.url) rel="noreferrer" { (one_line(&job.name)) } }
    }
}

/// The oldest jobs of a queue.
fn jobs(waiting: &WaitingJobs, now: Timestamp) -> Markup {
    let more = usize::try_from(waiting.count).unwrap_or(usize::MAX).saturating_sub(waiting.jobs.len());
    html! {
        h2 { "Waiting jobs" span .age { (counted(waiting.count as usize, "job")) } }
        div .table { table {
            thead { tr { th { "Job" } th { "Repository" } th .number { "For" } } }
            tbody {
                @for job in &waiting.jobs {
                    tr {
                        td {
                            (job_link(job))
                        }
                        td { (job.repository) }
                        td .number { (since(job.queued_at, now)) }
                    }
                }
            }
        } }
        @if more > 0 { p .pages { "and " (counted(more, "other")) } }
    }
}

/// A bar for each day; what is red in it is the part of the observed time that an outage took.
fn day_bars(days: &[Day]) -> Markup {
    let sum = days.iter().fold(Availability::default(), |sum, day| sum.plus(day.availability));
    let outages = days.iter().filter(|day| day.outages > 0).count();
    let label =
        format!("Availability over {} days: {}, with outages on {}", days.len(), percent(sum), counted(outages, "day"));
    html! {
        h2 { "Availability, 90 days" span .age { (percent(sum)) } }
        svg .bars viewBox={ "0 0 " (days.len() * 10) " 40" } preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (index, day) in days.iter().enumerate() { (bar(index * 10, day)) }
        }
        div .scale { span { "90 days ago" } span { "today" } }
        p .key {
            span { (mark(Tone::Idle)) "available" }
            span { (mark(Tone::Bad)) "outage" }
            span { (mark(Tone::Faint)) "not observed" }
        }
    }
}

fn bar(x: usize, day: &Day) -> Markup {
    let date = crate::text::date(day.begins);
    let down = day.availability.ratio().map_or(0.0, |ratio| 1.0 - ratio);
    // A short outage must be visible too.
    let height = if day.outages > 0 { (down * 40.0).clamp(8.0, 40.0) } else { 0.0 };
    let title = match day.availability.ratio() {
        None => format!("{date}: not observed"),
        Some(_) if day.outages == 0 => format!("{date}: no outage"),
        Some(_) => format!(
            "{date}: {} available, {}, {} offline",
            percent(day.availability),
            counted(day.outages, "outage"),
            spoken_duration(day.availability.down)
        ),
    };
    let tone = if day.availability.ratio().is_some() { "idle" } else { "none" };
    html! {
        g {
            title { (title) }
            rect class=(tone) x=(x) y="0" width="8" height="40" {}
            @if height > 0.0 { rect .bad x=(x) y=(format!("{:.1}", 40.0 - height)) width="8" height=(format!("{height:.1}")) {} }
        }
    }
}

fn timeline(stretches: &[Stretch], now: Timestamp) -> Markup {
    let begins = now.minus(DAY);
    let x = |at: Timestamp| at.since(begins).as_secs_f64() / DAY.as_secs_f64() * 1_440.0;
    let word = |status: Option<Status>| status.map_or_else(|| "not observed".to_owned(), |status| status.to_string());
    let class = |status| match status {
        Some(Status::Busy) => Tone::Busy.class(),
        Some(Status::Idle | Status::Online) => Tone::Idle.class(),
        Some(Status::Offline | Status::Unknown) => Tone::Bad.class(),
        None => "none",
    };
    let length = |of: fn(&Option<Status>) -> bool| -> Duration {
        stretches.iter().filter(|one| of(&one.status)).map(|one| one.span.until.since(one.span.from)).sum()
    };
    let busy = length(|status| *status == Some(Status::Busy));
    let offline = length(|status| matches!(status, Some(Status::Offline | Status::Unknown)));
    let label = format!("Last 24 hours: busy for {}, offline for {}", spoken_duration(busy), spoken_duration(offline));
    html! {
        h2 { "Last 24 hours" span .age { "busy for " (spoken_duration(busy)) ", offline for " (spoken_duration(offline)) } }
        svg .line viewBox="0 0 1440 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            @for Stretch { span, status } in stretches {
                g {
                    title { (word(*status)) " from " (crate::text::minute(span.from)) " for " (spoken_duration(span.until.since(span.from))) }
                    rect class=(class(*status)) x=(format!("{:.1}", x(span.from))) width=(format!("{:.1}", x(span.until) - x(span.from))) height="10" {}
                }
            }
        }
        div .scale { span { "24 hours ago" } span { "now" } }
        p .key {
            @for (tone, word) in [(Tone::Idle, "idle"), (Tone::Busy, "busy"), (Tone::Bad, "offline"), (Tone::Faint, "not observed")] {
                span { (mark(tone)) (word) }
            }
        }
    }
}

/// When a runner's version ends, in the list of its facts.
fn end_of_version(at: Option<&Timestamp>, now: Timestamp) -> Markup {
    html! {
        @if let Some(at) = at {
            @if *at <= now { ", ended on " (time(*at)) } @else { ", ends on " (time(*at)) }
        }
    }
}
