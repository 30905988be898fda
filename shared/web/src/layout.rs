//! What all pages have in common, and small parts of them.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use monitor_domain::fleet::{Counts, Fleet};
use monitor_domain::runner::RunnerId;
use monitor_domain::target::Target;
use monitor_domain::time::{Timestamp, spoken_duration};

use crate::snapshot::Snapshot;
use crate::state::Tone;
use crate::text::{ago, counted, escaped, grouped, minute, one_line};

/// The icon: a dot. Without one, browsers ask for /favicon.ico.
const ICON: &str = "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'%20viewBox='0%200%2016%2016'%3E%3Ccircle%20cx='8'%20cy='8'%20r='6'%20fill='%231f5fbf'/%3E%3C/svg%3E";

/// The pages in the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Fleet,
    Outages,
    Elsewhere,
}

/// A whole page.
pub(crate) fn page(title: &str, place: Place, snapshot: Option<&Snapshot>, content: &Markup) -> String {
    let current = |of: Place| (of == place).then_some("page");
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                (head(title))
                script src="/live.js" defer {}
                noscript { meta http-equiv="refresh" content="60"; }
            }
            body {
                a .skip href="#content" { "Skip to the content" }
                header .top {
                    a .brand href="/" { "Runner Monitor" }
                    nav aria-label="Pages" {
                        a href="/" aria-current=[current(Place::Fleet)] { "Fleet" }
                        a href="/outages" aria-current=[current(Place::Outages)] { "Outages" }
                    }
                    span .age {
                        @if let Some(snapshot) = snapshot { (age(snapshot)) }
                    }
                }
                main #content data-state=[snapshot.map(|one| format!("{:016x}", one.tag))] { (content) }
                footer {
                    span { "Times are in UTC." }
                    a href="/api/v1/fleet" { "JSON" }
                    a href="/api/v1/openapi.json" { "API description" }
                    a href="/metrics" { "Metrics" }
                }
            }
        }
    };
    document.into_string()
}

/// A page as an answer.
pub(crate) fn html_page(status: StatusCode, content: String) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], content).into_response()
}

/// A page without a menu, which neither reloads nor loads anything but its style.
pub(crate) fn bare_page(title: &str, content: &Markup) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(title)) }
            body { main #content { (content) } }
        }
    };
    document.into_string()
}

fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        title { (title) " – Runner Monitor" }
        link rel="icon" href=(PreEscaped(ICON));
        link rel="stylesheet" href="/style.css";
    }
}

/// How old what the pages show is.
fn age(snapshot: &Snapshot) -> String {
    let seen = snapshot.fleets().iter().filter_map(|fleet| fleet.seen_at());
    match (snapshot.monitoring.monitor.ticked_at, seen.min()) {
        (_, None) => "nothing has been checked yet".to_owned(),
        (None, Some(oldest)) => format!("oldest check {}", ago(oldest, snapshot.now())),
        (Some(tick), Some(oldest)) => {
            format!("last tick {}, oldest check {}", ago(tick, snapshot.now()), ago(oldest, snapshot.now()))
        }
    }
}

/// What is wrong with the monitor itself: first on every page.
pub(crate) fn own_health(snapshot: &Snapshot) -> Markup {
    html! {
        @if !snapshot.monitoring.not_complete.is_empty() {
            div .banner role="status" {
                @for why in &snapshot.monitoring.not_complete {
                    p { strong { "Monitoring is not complete: " } (one_line(why)) }
                }
            }
        }
    }
}

/// A state's mark: its shape says the same as its colour.
pub(crate) fn mark(tone: Tone) -> Markup {
    let shape = match tone {
        Tone::Idle => r#"<circle cx="5" cy="5" r="3.6" fill="none" stroke="currentColor" stroke-width="2"/>"#,
        Tone::Busy => r#"<circle cx="5" cy="5" r="4.6" fill="currentColor"/>"#,
        Tone::Warning => r#"<path d="M5 .4 9.8 9.4H.2Z" fill="currentColor"/>"#,
        Tone::Bad => r#"<path d="M1 1 9 9M9 1 1 9" stroke="currentColor" stroke-width="2.4"/>"#,
        Tone::Faint => r#"<path d="M1 5H9" stroke="currentColor" stroke-width="2.2"/>"#,
    };
    html! {
        svg class={ "mark " (tone.class()) } viewBox="0 0 10 10" aria-hidden="true" { (PreEscaped(shape)) }
    }
}

/// A state with its mark.
pub(crate) fn state(tone: Tone, word: &str) -> Markup {
    html! { (mark(tone)) span class=[(tone >= Tone::Warning).then(|| tone.class())] { (word) } }
}

/// A time with the exact moment behind it.
pub(crate) fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at.to_string()) { (minute(at)) } }
}

/// How long ago, with the exact moment behind it.
pub(crate) fn since(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at.to_string()) title=(minute(at)) { (spoken_duration(now.since(at))) } }
}

/// The labels of a runner, without those that nearly every runner has.
pub(crate) fn labels(labels: &[String]) -> Markup {
    html! {
        span .labels {
            @for label in labels.iter().filter(|label| label.as_str() != "self-hosted") {
                span .label { (one_line(label)) }
            }
        }
    }
}

/// The address of a target's page.
pub(crate) fn target_path(target: &Target) -> String {
    format!("/target/{}", escaped(target.as_str()))
}

/// The address of a runner's page.
fn runner_path(target: &Target, id: RunnerId) -> String {
    format!("/runner/{id}/{}", escaped(target.as_str()))
}

/// A link to a target's page.
pub(crate) fn target_link(target: &Target) -> Markup {
    html! { a .name href=(target_path(target)) title=(target) { (target) } }
}

/// A link to the page of a runner, by the id of its first registration.
pub(crate) fn runner_link(target: &Target, id: RunnerId, name: &str) -> Markup {
    let name = one_line(name);
    html! { a .name href=(runner_path(target, id)) title=(name) { (name) } }
}

/// Whether a name, a label or the target contains each of these words, whatever their case.
pub(crate) fn is_found<'a>(
    words: impl Iterator<Item = &'a str>,
    target: &Target,
    name: &str,
    labels: &[String],
    version: Option<&str>,
) -> bool {
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    if words.is_empty() {
        return true;
    }
    let texts = [name, target.as_str()].into_iter().chain(labels.iter().map(String::as_str)).chain(version);
    let texts: Vec<String> = texts.map(str::to_lowercase).collect();
    words.iter().all(|word| texts.iter().any(|text| text.contains(word.as_str())))
}

/// How many runners are offline.
pub(crate) fn of_runners(fleets: &[Fleet]) -> String {
    let counts = || fleets.iter().map(|fleet| Counts::of(&fleet.runners));
    let total: usize = counts().map(|counts| counts.total as usize).sum();
    let online: usize = counts().map(|counts| counts.online as usize).sum();
    match (total, total - online) {
        (0, _) if fleets.iter().all(|fleet| fleet.seen_at().is_none()) => "No runners are known yet".to_owned(),
        (0, _) => "No runners are registered".to_owned(),
        (1, 0) => "The runner is online".to_owned(),
        (_, 0) => format!("All {} runners online", grouped(total)),
        (_, offline) => format!("{} of {} offline", grouped(offline), counted(total, "runner")),
    }
}
