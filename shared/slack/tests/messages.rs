//! What people read, sample by sample, in every form; and that all of it keeps Slack's limits.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod limits;
mod outline;
mod samples;

use std::collections::BTreeSet;

use monitor_domain::notices::News;
use monitor_pipeline::ports::Form;
use monitor_slack::{WebBase, render, render_console};
use outline::outline;

#[test]
fn every_sample_reads_as_it_did() {
    for (name, notice) in samples::all() {
        let web = WebBase::default();
        let blocks = render(&notice, Form::Blocks, &web);
        let plain = render(&notice, Form::PlainText, &web);
        let console = render_console(&notice, false, &web);
        let read = format!("{}\n---- plain text ----\n{}\n---- console ----\n{console}", outline(&blocks), plain.text);
        insta::assert_snapshot!(name, read);
    }
}

#[test]
fn what_a_bot_sends_has_buttons_for_what_is_open_and_keeps_the_limits() {
    for (name, message) in samples::by_bot() {
        insta::assert_snapshot!(name, outline(&message));
        limits::check(&message);
    }
}

#[test]
fn every_sample_keeps_the_limits_in_every_form() {
    for (_, notice) in samples::all() {
        for form in [Form::Blocks, Form::PlainText] {
            limits::check(&render(&notice, form, &WebBase::default()));
        }
    }
}

#[test]
fn there_is_a_sample_of_every_kind_of_news() {
    let seen: BTreeSet<&str> = samples::all().iter().flat_map(|(_, notice)| &notice.news).map(kind).collect();
    assert_eq!(seen.len(), 21, "{seen:?}");
}

/// Does not compile once there is another kind: it wants a sample, and the number above raised.
fn kind(news: &News) -> &'static str {
    match news {
        News::Blind { .. } => "Blind",
        News::Offline { .. } => "Offline",
        News::MuteEnded { .. } => "MuteEnded",
        News::StillOffline { .. } => "StillOffline",
        News::Removed { .. } => "Removed",
        News::Flapping { .. } => "Flapping",
        News::MonitoringStarts { .. } => "MonitoringStarts",
        News::Recovered { .. } => "Recovered",
        News::CameAndWent { .. } => "CameAndWent",
        News::Returned { .. } => "Returned",
        News::Calm { .. } => "Calm",
        News::SeesAgain { .. } => "SeesAgain",
        News::NoLongerMonitored { .. } => "NoLongerMonitored",
        News::Expiring { .. } => "Expiring",
        News::EntriesUnresolved { .. } => "EntriesUnresolved",
        News::EntriesResolved { .. } => "EntriesResolved",
        News::EmptyListRefused { .. } => "EmptyListRefused",
        News::ListRestored { .. } => "ListRestored",
        News::Unwatched { .. } => "Unwatched",
        News::TargetsAdded { .. } => "TargetsAdded",
        News::TargetsRemoved { .. } => "TargetsRemoved",
    }
}

#[test]
fn a_runner_is_never_said_to_be_down() {
    for (name, notice) in samples::all() {
        let console = render_console(&notice, false, &WebBase::default());
        assert!(!console.contains(" down"), "{name}: {console}");
    }
}

#[test]
fn colour_adds_nothing_but_escape_sequences() {
    for (name, notice) in samples::all() {
        let web = WebBase::default();
        let mut coloured = render_console(&notice, true, &web);
        assert!(coloured.contains("\u{1b}["), "{name}");
        for sequence in ["0", "1", "2", "36", "1;31", "1;32", "1;33", "1;34"] {
            coloured = coloured.replace(&format!("\u{1b}[{sequence}m"), "");
        }
        assert_eq!(coloured, render_console(&notice, false, &web), "{name}");
    }
}

#[test]
fn links_lead_to_the_enterprise_server_that_is_set() {
    let (_, notice) = samples::all().into_iter().find(|(name, _)| *name == "offline_one").unwrap();
    let web = WebBase::from_api_url("https://git.acme.test/api/v3").unwrap();
    let message = serde_json::to_string(&render(&notice, Form::Blocks, &web)).unwrap();
    assert!(message.contains("<https://git.acme.test/acme/web/settings/actions/runners/1001|"), "{message}");
    assert!(!message.contains("https://github.com"), "{message}");
}
