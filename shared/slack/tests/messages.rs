//! Every message, sample by sample, in every form; and that all of them keep Slack's limits.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod limits;
mod outline;
mod samples;

use std::collections::BTreeSet;

use monitor_domain::notifications::NotificationItem;
use monitor_domain::outage::{Ending, Outage, Peers, Visibility};
use monitor_domain::subject::Subject;
use monitor_pipeline::ports::Form;
use monitor_slack::{WebBase, render, render_console, render_live};
use outline::outline;

#[test]
fn every_sample_reads_as_it_did() {
    for (name, notification) in samples::all() {
        let web = WebBase::default();
        let blocks = render(&notification, Form::Blocks, &web);
        let plain = render(&notification, Form::PlainText, &web);
        let console = render_console(&notification, false, &web);
        let read = format!("{}\n---- plain text ----\n{}\n---- console ----\n{console}", outline(&blocks), plain.text);
        insta::assert_snapshot!(name, read);
    }
}

#[test]
fn a_bots_messages_have_buttons_for_open_outages_and_keep_the_limits() {
    for (name, message) in samples::by_bot() {
        insta::assert_snapshot!(name, outline(&message));
        limits::check(&message);
    }
}

#[test]
fn every_sample_keeps_the_limits_in_every_form() {
    for (_, notification) in samples::all() {
        for form in [Form::Blocks, Form::PlainText] {
            limits::check(&render(&notification, form, &WebBase::default()));
        }
    }
}

#[test]
fn there_is_a_sample_of_every_kind_of_item() {
    let seen: BTreeSet<&str> =
        samples::all().iter().flat_map(|(_, notification)| &notification.items).map(kind).collect();
    assert_eq!(seen.len(), 28, "{seen:?}");
}

/// Does not compile when a kind is added: add a sample for it, and raise the number above.
fn kind(item: &NotificationItem) -> &'static str {
    match item {
        NotificationItem::Unreachable { .. } => "Unreachable",
        NotificationItem::Offline { .. } => "Offline",
        NotificationItem::JobsWaiting { .. } => "JobsWaiting",
        NotificationItem::JobsStillWaiting { .. } => "JobsStillWaiting",
        NotificationItem::QueuesChanged { .. } => "QueuesChanged",
        NotificationItem::JobsTaken { .. } => "JobsTaken",
        NotificationItem::MuteEnded { .. } => "MuteEnded",
        NotificationItem::StillOffline { .. } => "StillOffline",
        NotificationItem::RemovalNear { .. } => "RemovalNear",
        NotificationItem::VersionEnding { .. } => "VersionEnding",
        NotificationItem::Removed { .. } => "Removed",
        NotificationItem::Flapping { .. } => "Flapping",
        NotificationItem::MonitoringStarts { .. } => "MonitoringStarts",
        NotificationItem::Recovered { .. } => "Recovered",
        NotificationItem::CameAndWent { .. } => "CameAndWent",
        NotificationItem::Returned { .. } => "Returned",
        NotificationItem::Calm { .. } => "Calm",
        NotificationItem::ReachableAgain { .. } => "ReachableAgain",
        NotificationItem::NoLongerMonitored { .. } => "NoLongerMonitored",
        NotificationItem::Expiring { .. } => "Expiring",
        NotificationItem::EntriesUnresolved { .. } => "EntriesUnresolved",
        NotificationItem::EntriesResolved { .. } => "EntriesResolved",
        NotificationItem::EmptyListRefused { .. } => "EmptyListRefused",
        NotificationItem::ListRestored { .. } => "ListRestored",
        NotificationItem::Unwatched { .. } => "Unwatched",
        NotificationItem::WeekReported { .. } => "WeekReported",
        NotificationItem::TargetsAdded { .. } => "TargetsAdded",
        NotificationItem::TargetsRemoved { .. } => "TargetsRemoved",
    }
}

#[test]
fn the_line_that_a_phone_shows_names_the_target() {
    let web = WebBase::default();
    for (name, notification) in samples::all() {
        let Subject::Target(target) = &notification.subject else { continue };
        let text = render(&notification, Form::Blocks, &web).text;
        let name_of = target.as_str().rsplit("orgs/").next().and_then(|name| name.rsplit("enterprises/").next());
        let is_named = name_of.is_some_and(|name| text.to_lowercase().contains(&name.to_lowercase()));
        assert!(is_named || text.contains("all targets"), "{name}: {text}");
    }
}

#[test]
fn a_runner_is_never_said_to_be_down() {
    for (name, notification) in samples::all() {
        let console = render_console(&notification, false, &WebBase::default());
        let mut of_runners = console.lines().filter(|line| !line.contains("Monitoring of "));
        assert!(of_runners.all(|line| !line.contains(" down")), "{name}: {console}");
    }
}

#[test]
fn colour_adds_nothing_but_escape_sequences() {
    for (name, notification) in samples::all() {
        let web = WebBase::default();
        let mut coloured = render_console(&notification, true, &web);
        assert!(coloured.contains("\u{1b}["), "{name}");
        for sequence in ["0", "1", "2", "36", "1;31", "1;32", "1;33", "1;34"] {
            coloured = coloured.replace(&format!("\u{1b}[{sequence}m"), "");
        }
        assert_eq!(coloured, render_console(&notification, false, &web), "{name}");
    }
}

#[test]
fn links_lead_to_the_configured_enterprise_server() {
    let (_, notification) = samples::all().into_iter().find(|(name, _)| *name == "offline_one").unwrap();
    let web = WebBase::from_api_url("https://git.acme.test/api/v3").unwrap();
    let message = serde_json::to_string(&render(&notification, Form::Blocks, &web)).unwrap();
    assert!(message.contains("<https://git.acme.test/acme/web/settings/actions/runners/1001|"), "{message}");
    assert!(!message.contains("https://github.com"), "{message}");
}

/// The notification line for outages of `acme/web`.
fn text_of(down: u32, item: NotificationItem) -> String {
    render(&samples::about("acme/web", down, vec![item]), Form::Blocks, &WebBase::default()).text
}

#[test]
fn the_text_alone_names_the_runners_their_target_since_when_and_what_it_means() {
    let labelled = |number, online| {
        let labels = ["self-hosted", "Linux", "X64", "gpu"].map(str::to_owned).to_vec();
        Outage { labels, peers: Peers { total: 3, online }, in_job: number == 2, ..samples::outage(number) }
    };
    let of = |count: u64, online| (1..=count).map(|number| labelled(number, online)).collect::<Vec<_>>();
    let left = "No runner left with labels gpu, self-hosted, Linux, X64: jobs will queue.";
    let job = "One was running a job, which will probably fail.";
    let offline = |count, online| text_of(count, NotificationItem::Offline { outages: of(u64::from(count), online) });
    let text = offline(3, 0);
    assert_eq!(
        text,
        format!("🔴 acme/web: build-01, build-02, build-03 offline (3 of 8) since 21:06 UTC. {job} {left}")
    );
    let text = offline(7, 0);
    assert!(text.contains("build-01, build-02, build-03 and 4 more offline (7 of 8)") && text.contains(left), "{text}");
    let text = offline(1, 2);
    assert!(text.ends_with("since 21:06 UTC. 2 of 3 other runners with its labels are online."), "{text}");
    let names = "build-01, build-02";
    let ended = |ending| {
        let end = |outage: Outage| Outage { resolved_at: Some(outage.confirmed_at), ending: Some(ending), ..outage };
        of(2, 1).into_iter().map(end).collect::<Vec<_>>()
    };
    let raised_at = samples::outage(1).started_at.plus(std::time::Duration::from_secs(86_400));
    for item in [
        NotificationItem::MonitoringStarts { outages: of(2, 0) },
        NotificationItem::MuteEnded { outages: of(2, 0) },
        NotificationItem::StillOffline { outages: of(2, 0), raised_at, is_last: false },
        NotificationItem::Removed { outages: ended(Ending::Removed) },
        NotificationItem::Recovered { outages: ended(Ending::Recovered) },
        NotificationItem::CameAndWent { outages: ended(Ending::Recovered) },
        NotificationItem::NoLongerMonitored {
            outages: ended(Ending::NoLongerMonitored),
            whole_target: false,
            again_since: None,
        },
        NotificationItem::NoLongerMonitored {
            outages: ended(Ending::NoLongerMonitored),
            whole_target: true,
            again_since: None,
        },
    ] {
        let text = text_of(2, item.clone());
        assert!(text.contains(names) && text.contains("acme/web"), "{item:?}: {text}");
    }
    assert!(text_of(2, NotificationItem::MonitoringStarts { outages: of(2, 0) }).contains(left));
}

#[test]
fn an_edited_message_contains_nothing_outdated() {
    let in_job = |number, peers| Outage { in_job: true, peers, ..samples::outage(number) };
    let alone = Peers { total: 3, online: 0 };
    let over =
        |outage: Outage| Outage { resolved_at: Some(outage.confirmed_at), ending: Some(Ending::Recovered), ..outage };
    let notification =
        samples::about("acme/web", 0, vec![NotificationItem::Recovered { outages: vec![over(in_job(1, alone))] }]);
    for outages in [vec![over(in_job(1, alone))], vec![over(in_job(1, alone)), in_job(2, alone)]] {
        for form in [Form::Blocks, Form::PlainText] {
            let read = outline(&render_live(&outages, &notification, form, &[], &WebBase::default()));
            for of_then in ["Same labels", "jobs will queue", "will probably fail", "expect it to fail", "others"] {
                assert!(!read.contains(of_then), "{of_then}: {read}");
            }
            assert!(read.contains("running a job"), "the job is still mentioned: {read}");
        }
    }
}

#[test]
fn an_outage_whose_start_was_not_observed_lasted_at_least_that_long() {
    let unseen = Outage { last_healthy: None, visibility: Visibility::Baseline, ..samples::outage(1) };
    let end = Some(unseen.started_at.plus(std::time::Duration::from_secs(29)));
    let over = Outage { resolved_at: end, ending: Some(Ending::Recovered), ..unseen.clone() };
    let notification = |item| samples::about("acme/web", 0, vec![item]);
    let recovered = notification(NotificationItem::Recovered { outages: vec![over.clone()] });
    let read = |notification| render_console(notification, false, &WebBase::default());
    let said = read(&recovered);
    assert!(said.contains("after at least 29 s offline (since before 21:06 UTC)"), "{said}");
    let edited =
        outline(&render_live(std::slice::from_ref(&over), &recovered, Form::PlainText, &[], &WebBase::default()));
    assert!(edited.contains("offline from before 21:06 UTC to 21:06 UTC (at least 29 s)"), "{edited}");
    let several = vec![over.clone(), Outage { last_healthy: samples::outage(2).last_healthy, ..over }];
    let said = read(&notification(NotificationItem::Recovered { outages: several }));
    assert!(said.contains("after at least 29 s offline"), "{said}");
}

#[test]
fn advice_claims_no_more_than_is_known() {
    let hours = |number: u64| std::time::Duration::from_secs(number * 3_600);
    let at_once =
        || (1..=3).map(|number| Outage { started_at: samples::outage(1).started_at, ..samples::outage(number) });
    let one_by_one = || {
        at_once().zip(0..).map(|(outage, hour)| Outage { started_at: outage.started_at.plus(hours(hour)), ..outage })
    };
    let advice = |outages: Vec<Outage>, online: u32, web: &WebBase| {
        let mut notification = samples::about("acme/web", 3, vec![NotificationItem::Offline { outages }]);
        notification.counts.online = online;
        render_console(&notification, false, web)
    };
    let (github, server) = (WebBase::default(), WebBase::from_api_url("https://git.acme.test/api/v3").unwrap());
    let (together, status) = ("They failed together", "https://www.githubstatus.com");
    let said = advice(at_once().collect(), 5, &github);
    assert!(said.contains(together) && !said.contains(status), "{said}");
    let said = advice(at_once().collect(), 0, &github);
    assert!(said.contains(together) && said.contains(status) && said.contains("If runners of other targets"), "{said}");
    let said = advice(at_once().collect(), 0, &server);
    assert!(said.contains("first check the GitHub server itself") && !said.contains(status), "{said}");
    for outages in [one_by_one().collect::<Vec<_>>(), at_once().take(2).collect()] {
        let said = advice(outages, 0, &github);
        assert!(!said.contains(together) && !said.contains(status), "{said}");
    }
}

#[test]
fn last_healthy_is_a_bound_because_checks_without_changes_are_stored_every_ten_minutes() {
    let said = render_console(
        &samples::about("acme/web", 1, vec![NotificationItem::Offline { outages: vec![samples::outage(1)] }]),
        false,
        &WebBase::default(),
    );
    assert!(said.contains("21:02 UTC or later, idle"), "{said}");
    let two = vec![samples::outage(1), samples::outage(2)];
    let said = render_console(
        &samples::about("acme/web", 2, vec![NotificationItem::Offline { outages: two }]),
        false,
        &WebBase::default(),
    );
    assert!(said.contains("(healthy at most 4 min before)"), "{said}");
}

/// The lines of a page's code blocks that begin with a coloured sign. A line that continues on the next one is whole.
fn alerts_on(page: &str) -> Vec<String> {
    let mut alerts = Vec::new();
    for block in page.split("```").skip(1).step_by(2) {
        let mut lines: Vec<String> = Vec::new();
        for line in block.lines().skip(1) {
            match (line.strip_prefix("  "), lines.last_mut()) {
                (Some(more), Some(last)) => *last = format!("{last} {more}"),
                _ => lines.push(line.to_owned()),
            }
        }
        if lines.first().is_some_and(|line| line.starts_with(['🔴', '✅', '⚠'])) {
            alerts.extend(lines);
        }
    }
    alerts
}

/// A line as Slack shows it: without signs for bold and code, and links and times by their text.
fn without_markup(line: &str) -> String {
    let mut plain = String::new();
    for (number, part) in line.split('<').enumerate() {
        match part.split_once('>') {
            Some((link, rest)) if number > 0 => plain.extend([link.rsplit('|').next().unwrap_or(link), rest]),
            _ => plain.push_str(part),
        }
    }
    plain.replace(['*', '`'], "")
}

#[test]
fn the_pages_show_alerts_as_they_are_sent() {
    // The snapshots of all messages and answers, without the names of the blocks. `*` is also in commands.
    let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
    let mut sent: BTreeSet<String> = BTreeSet::new();
    for snapshot in std::fs::read_dir(snapshots).unwrap() {
        let text = std::fs::read_to_string(snapshot.unwrap().path()).unwrap();
        sent.extend(text.lines().map(|line| {
            let of_block = line.strip_prefix('[').and_then(|line| line.split_once("] ")).map(|(_, text)| text);
            without_markup(of_block.or(line.strip_prefix("text: ")).unwrap_or(line).trim())
        }));
    }
    let pages = [
        (include_str!("../../../README.md"), 10),
        (include_str!("../../../docs/SLACK.md"), 10),
        (include_str!("../../../docs/JOBS.md"), 1),
    ];
    for (page, least) in pages {
        let shown = alerts_on(page);
        assert!(shown.len() >= least, "{shown:?}");
        let unknown: Vec<&String> = shown.iter().filter(|line| !sent.contains(&without_markup(line))).collect();
        assert!(unknown.is_empty(), "no message has these lines: {unknown:#?}");
    }
}
