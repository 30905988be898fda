//! The site over an embedded store: what it answers, to whom, and how often it reads the store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use monitor_domain::fleet::{Failing, TargetRecord};
use monitor_domain::groups::RunnerGroups;
use monitor_domain::jobs::{JobName, Queue, WaitReason, WaitingJobs};
use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::observation::{Failure, Fault};
use monitor_domain::outage::{Ending, Outage, OutageId};
use monitor_domain::pool::PoolCounts;
use monitor_domain::runner::{Down, Health, Runner, Status};
use monitor_domain::scope::Scope;
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::watchlist::Watchlist;
use monitor_pipeline::items::{Claim, Delivered, Item, LastSeen, Mute, OutageItem, RunnerItem, SendEnding};
use monitor_pipeline::keys::Put;
use monitor_pipeline::person::PersonId;
use monitor_pipeline::ports::{PutOutcome, Store};
use monitor_pipeline::testing::samples::{
    acknowledgement, at, claim, cursor, ended, mute, notification, outage, runner, sent, target, target_record,
};
use serde_json::json;

use support::{NOW_SECS, Site};

fn record(name: &str) -> Item {
    let names = vec![(1, "Default".to_owned()), (3, "gpu machines".to_owned())];
    Item::Target(TargetRecord {
        groups: RunnerGroups { asked_at: at(0), names },
        watched_since: Some(at(0)),
        observed_at: at(NOW_SECS - 60),
        failing: None,
        ..target_record(name, 3)
    })
}

fn item(name: &str, runner: Runner) -> Item {
    Item::Runner(RunnerItem { target: target(name).id().clone(), runner })
}

fn healthy(id: u64, name: &str, status: Status) -> Runner {
    Runner { status, status_since: at(NOW_SECS - 600), health: Health::Healthy, group_id: Some(1), ..runner(id, name) }
}

fn down(id: u64, name: &str) -> Runner {
    let mut down = healthy(id, name, Status::Offline);
    let mut open = outage(&down, 1);
    open.started_at = at(NOW_SECS - 7_200);
    down.health = Health::Down(Box::new(Down::new(open)));
    down
}

/// The list of targets and the tick that checked them.
fn ticked(names: &[&str]) -> Vec<Item> {
    let watchlist = Watchlist { targets: names.iter().map(|name| target(name)).collect(), ..Watchlist::default() };
    let (subject, ticked_at) = (Subject::Monitor, at(NOW_SECS - 60));
    let next_tick_at = Some(at(NOW_SECS + 240));
    let heartbeat = LastSeen { subject, slot: 0, at: ticked_at, jobs_sent_at: None, next_tick_at };
    vec![Item::Watchlist(watchlist), Item::LastSeen(heartbeat)]
}

async fn site() -> Site {
    let labels = vec!["self-hosted".to_owned(), "gpu".to_owned()];
    let gpu = Runner { labels, group_id: Some(3), ..healthy(2, "gpu-1", Status::Busy) };
    let mut items = vec![
        record("acme/web"),
        record("orgs/acme"),
        item("acme/web", down(1, "<script>alert(1)</script>")),
        item("acme/web", healthy(3, "web-3", Status::Idle)),
        item("orgs/acme", gpu),
        Item::Cursor(cursor("acme/web", 3)),
        Item::Cursor(cursor("orgs/acme", 3)),
    ];
    let past = ended(&outage(&runner(3, "web-3"), 2), Ending::Recovered);
    items.push(Item::Outage(OutageItem { target: target("acme/web").id().clone(), outage: past }));
    items.extend(ticked(&["acme/web", "orgs/acme"]));
    Site::new(items).await
}

const PAGES: [&str; 7] = [
    "/",
    "/?q=web&state=idle",
    "/target/acme/web",
    "/target/orgs/acme",
    "/runner/1/acme/web",
    "/outages",
    "/outages?q=web-3&state=past&days=30",
];

#[tokio::test]
async fn every_page_escapes_names_and_forbids_what_is_not_its_own() {
    let site = site().await;
    for path in PAGES {
        let response = site.ask(path, &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let header = |name| response.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert_eq!(
            (header("x-content-type-options"), header("referrer-policy"), header("cache-control")),
            ("nosniff".to_owned(), "no-referrer".to_owned(), "no-cache".to_owned())
        );
        let (_, page) = site.page(path).await;
        assert!(!page.contains("<script>alert"), "{path}: {page}");
        assert!(!page.contains("style=\"") && !page.contains("onclick"), "{path}: nothing inline");
    }
    let (_, fleet) = site.page("/").await;
    assert!(fleet.contains("<h1>1 of 3 runners offline</h1>"), "{fleet}");
    assert!(fleet.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{fleet}");
    assert!(fleet.contains("last tick 1 min ago, oldest check 1 min ago"), "{fleet}");
}

#[tokio::test]
async fn pools_over_a_credential_have_a_page_and_are_no_target() {
    let pools = "credential:app:acme/pools";
    let mut short = down(1 << 52, "pool gpu");
    short.pool = Some(PoolCounts { total: 4, online: 1, wanted: 2 });
    let pooled = Runner { is_pooled: true, ..healthy(3, "web-3", Status::Idle) };
    let mut items = vec![record("acme/web"), item("acme/web", pooled), record(pools), item(pools, short)];
    items.extend(ticked(&["acme/web"]));
    let site = Site::new(items).await;
    let (_, fleet) = site.page("/").await;
    assert!(fleet.contains("1 target, 1 open outage"), "{fleet}");
    assert!(fleet.contains("The runner is online") && fleet.contains("1 of 4 online, at least 2 wanted"), "{fleet}");
    let (status, page) = site.page(&format!("/target/{pools}")).await;
    assert!(status == StatusCode::OK && page.contains("count the runners of all targets"), "{page}");
    assert!(page.contains("pool gpu") && !page.contains("No runner is registered"), "{page}");
    let (status, page) = site.page(&format!("/runner/{}/{pools}", 1_u64 << 52)).await;
    assert!(status == StatusCode::OK && page.contains("pool gpu"), "{page}");
    let (_, page) = site.page("/runner/3/acme/web").await;
    assert!(page.contains("about its pool only, by policy"), "{page}");
    let (_, metrics) = site.page("/metrics").await;
    assert!(metrics.contains(&format!("runner_monitor_pool_online_runners{{target=\"{pools}\"")), "{metrics}");
    assert!(!metrics.contains(&format!("runner_monitor_target_up{{target=\"{pools}\"")), "{metrics}");
}

#[tokio::test]
async fn a_search_finds_by_name_label_target_and_state() {
    let site = site().await;
    for (query, found) in [
        ("q=GPU", &["gpu-1"][..]),
        ("q=orgs/acme", &["gpu-1"]),
        ("q=web-3", &["web-3"]),
        ("q=acme+web-3", &["web-3"]),
        ("state=busy", &["gpu-1"]),
        ("state=idle&q=acme/web", &["web-3"]),
        ("state=offline", &["&lt;script&gt;"]),
        ("q=2.331.0+gpu", &["gpu-1"]),
        ("group=gpu+machines", &["gpu-1"]),
        ("group=Default", &["web-3", "&lt;script&gt;"]),
        ("group=Default&state=idle", &["web-3"]),
        ("q=nothing", &[]),
    ] {
        let (_, page) = site.page(&format!("/?{query}")).await;
        for name in ["gpu-1", "web-3", "&lt;script&gt;"] {
            assert_eq!(page.contains(&format!(">{name}")), found.contains(&name), "{query}: {name}");
        }
    }
    let found = async |query: &str| site.json(&format!("/api/v1/outages?{query}")).await["found"].as_u64().unwrap();
    assert_eq!((found("").await, found("state=past").await, found("state=open").await), (1, 1, 0));
    assert_eq!((found("days=1").await, found("q=web-3").await, found("q=gpu").await), (0, 1, 0));
    let (status, _) = site.page("/outages?page=-1").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_queue_says_how_many_jobs_wait_and_why_and_lists_them() {
    let since = at(NOW_SECS - 1_800);
    let job = JobName {
        repository: target("acme/web"),
        name: "Nightly / <b>train</b>".to_owned(),
        url: "https://github.com/acme/web/actions/runs/7/job/42".to_owned(),
        queued_at: since,
        started_at: None,
    };
    let reason = WaitReason::Offline { runners: 3, since: at(NOW_SECS - 3_600) };
    let waiting = WaitingJobs { count: 7, since, reason, jobs: vec![job], is_unconfirmed: false };
    let mut queue = Runner::first_queue(&Queue { labels: vec!["gpu".to_owned()], waiting: waiting.clone() }, since);
    let open = Outage { waiting: Some(Box::new(waiting)), ..outage(&queue, 2) };
    let past = Outage { id: OutageId(Revision(1)), ..ended(&open, Ending::Recovered) };
    queue.health = Health::Down(Box::new(Down::new(open.clone())));
    let id = queue.id;
    let mut items = vec![record("acme/web"), item("acme/web", queue), Item::Cursor(cursor("acme/web", 3))];
    let of_target = |outage| Item::Outage(OutageItem { target: target("acme/web").id().clone(), outage });
    items.extend([of_target(open), of_target(past)]);
    items.extend(ticked(&["acme/web"]));
    let site = Site::new(items).await;

    let why = "All 3 runners with these labels are offline, the last since 2027-01-16 10:46 UTC.";
    let page_of_queue = format!("/runner/{id}/acme/web");
    for path in ["/", "/target/acme/web", &page_of_queue, "/outages"] {
        let (status, page) = site.page(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(page.contains(why), "{path}: {page}");
        if path != "/outages" {
            assert!(page.contains("7 jobs wait"), "{path}: {page}");
        }
    }
    let (_, page) = site.page("/").await;
    assert!(page.contains("<h1>No runners are registered, 7 jobs waiting</h1>"), "{page}");
    let (_, page) = site.page(&page_of_queue).await;
    assert!(page.contains("Nightly / &lt;b&gt;train&lt;/b&gt;") && page.contains("and 6 others"), "{page}");
    assert!(page.contains("https://github.com/acme/web/actions/runs/7/job/42"), "{page}");
    assert!(!page.contains("Settings of the runner"), "GitHub has no page of a queue: {page}");
    let (_, page) = site.page("/outages").await;
    assert_eq!(page.matches(&format!("href=\"{page_of_queue}\"")).count(), 1, "only the open one has a page: {page}");
    let fleet = site.json("/api/v1/fleet").await;
    assert_eq!(fleet["targets"][0]["queues"][0]["waiting"]["count"], 7, "{fleet}");
    assert_eq!(fleet["targets"][0]["queues"][0]["waiting"]["reason"]["why"], "offline", "{fleet}");
}

#[tokio::test]
async fn a_mute_from_the_command_line_names_an_operator() {
    let mut items = vec![record("acme/web"), item("acme/web", healthy(3, "web-3", Status::Idle))];
    let (since, until) = (at(NOW_SECS - 60), at(NOW_SECS + 3_600));
    items.push(Item::Mute(Mute {
        since,
        until,
        by: PersonId::operator(),
        ..mute(Scope::Named("web-3".to_owned()), 1)
    }));
    let site = Site::new(items).await;
    let (_, page) = site.page("/runner/3/acme/web").await;
    assert!(page.contains(" by an operator on the command line") && !page.contains("OPERATOR"), "{page}");
}

#[tokio::test]
async fn an_outage_links_to_its_thread_and_names_who_acknowledged_it() {
    let past = ended(&outage(&runner(3, "web-3"), 2), Ending::Recovered);
    let opened = NotificationItem::Offline { outages: vec![outage(&runner(3, "web-3"), 2)] };
    let alert = Claim {
        notification: Notification { items: vec![opened], ..notification("acme/web") },
        further: Vec::new(),
        ..claim("acme/web", 1, 1)
    };
    let place = Delivered { channel: Some("C024BE91L".to_owned()), ts: Some("1800000000.000700".to_owned()) };
    let site = Site::new(vec![
        record("acme/web"),
        item("acme/web", healthy(3, "web-3", Status::Idle)),
        Item::Cursor(cursor("acme/web", 3)),
        Item::Outage(OutageItem { target: target("acme/web").id().clone(), outage: past }),
        Item::Sent(sent(&alert, SendEnding::Delivered(place))),
        Item::Claim(alert),
        Item::Acknowledgement(acknowledgement("acme/web", 3, 2)),
    ])
    .await;
    let address = "https://slack.com/archives/C024BE91L/p1800000000000700";
    for path in ["/outages", "/target/acme/web", "/runner/3/acme/web"] {
        let (_, page) = site.page(path).await;
        assert!(page.contains(&format!("<a href=\"{address}\"")), "{path}: {page}");
        assert!(page.contains("acknowledged by U2CERLKJA"), "{path}: {page}");
    }
    let (_, csv) = site.page("/outages.csv").await;
    assert!(csv.trim_end().ends_with(&format!(",2027-01-15T08:07:00.007Z,U2CERLKJA,{address}")), "{csv}");
    let listed = site.json("/api/v1/outages").await["outages"][0]["outage"].clone();
    let acknowledged = json!({"at": "2027-01-15T08:07:00.007Z", "by": "U2CERLKJA"});
    assert_eq!((&listed["alert"], &listed["acknowledged"]), (&address.into(), &acknowledged));
    assert_eq!(site.json("/api/v1/runners/3/acme/web").await["outages"][0], listed);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let site = site().await;
    for path in ["/nothing", "/target/acme/other", "/runner/99/acme/web", "/api/v1/runners/99/acme/web", "/target/%22"]
    {
        assert_eq!(site.page(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let request = Request::post("/").header("host", "localhost").body(Body::empty()).unwrap();
    assert_eq!(site.answer(request).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn only_this_machine_and_named_hosts_are_answered() {
    let site = site().await;
    let status = async |host| site.ask("/api/v1/fleet", &[("host", host)]).await.status();
    assert_eq!(status("runners.acme.test").await, StatusCode::OK);
    for path in ["/", "/events", "/metrics", "/style.css"] {
        let refused = site.ask(path, &[("host", "evil.test")]).await;
        assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn without_sessions_no_link_is_answered() {
    let site = site().await;
    let response = site.ask("/open?link=1", &[("host", "runners.acme.test")]).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_answer_that_the_client_has_is_not_sent_again() {
    let site = site().await;
    let status = async |path: &str, tag: &str| site.ask(path, &[("if-none-match", tag)]).await.status();
    let mut tags = Vec::new();
    for path in ["/", "/api/v1/fleet", "/api/v1/outages", "/metrics", "/style.css"] {
        let first = site.ask(path, &[]).await;
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(status(path, &tag).await, StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!(status(path, "\"0\"").await, StatusCode::OK, "{path}");
        tags.push((path, tag));
    }
    let busy = item("acme/web", healthy(3, "web-3", Status::Busy));
    assert_eq!(site.store.put(&[Put::replacing(busy)]).await, Ok(PutOutcome::Done));
    for (path, tag) in tags {
        // The state is read again after a while; the outages and the style are the same.
        let changed = async {
            while status(path, &tag).await == StatusCode::NOT_MODIFIED {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let is_same = matches!(path, "/api/v1/outages" | "/style.css");
        let within = Duration::from_millis(if is_same { 200 } else { 10_000 });
        assert_eq!(tokio::time::timeout(within, changed).await.is_err(), is_same, "{path}");
    }
}

#[tokio::test]
async fn two_hundred_open_pages_read_the_store_once() {
    let mut items = vec![record("acme/web"), item("acme/web", healthy(1, "web-1", Status::Idle))];
    items.extend(ticked(&["acme/web"]));
    let site = Site::with(items, |options| options.pause = Duration::from_secs(600)).await;
    let answers = join_all((0..200).map(|_| site.page("/"))).await;
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::OK));
    assert_eq!(site.store.lists.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_open_page_receives_each_change_and_nothing_else() {
    let site = site().await;
    let mut events = site.ask("/events", &[]).await.into_body().into_data_stream();
    let first = events.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: "), "{first:?}");
    let quiet = tokio::time::timeout(Duration::from_millis(300), events.next()).await;
    assert!(quiet.is_err(), "nothing has changed: {quiet:?}");
    let busy = item("acme/web", healthy(3, "web-3", Status::Busy));
    assert_eq!(site.store.put(&[Put::replacing(busy)]).await, Ok(PutOutcome::Done));
    let second = tokio::time::timeout(Duration::from_secs(10), events.next()).await.unwrap().unwrap().unwrap();
    assert!(second.starts_with(b"data: ") && second != first, "{second:?}");
}

#[tokio::test]
async fn health_is_that_of_monitoring_and_readiness_that_of_the_store() {
    let new = Site::new(vec![record("acme/web"), item("acme/web", healthy(1, "web-1", Status::Idle))]).await;
    let (status, why) = new.page("/healthz").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && why.contains("no tick"), "{why}");
    assert_eq!(new.page("/readyz").await.0, StatusCode::OK);
    let site = site().await;
    assert_eq!(site.page("/healthz").await, (StatusCode::OK, "monitoring is complete\n".to_owned()));
    let mut late = vec![record("acme/web")];
    late.extend(ticked(&["acme/web", "acme/never-checked"]));
    let late = Site::new(late).await;
    let (status, why) = late.page("/healthz").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && why.contains("acme/never-checked"), "{why}");
    let (_, page) = late.page("/").await;
    assert!(page.contains("Monitoring is not complete: "), "{page}");
    let (_, metrics) = late.page("/metrics").await;
    assert!(metrics.contains("\ngithub_runners_up 0\n"), "{metrics}");
}

#[tokio::test]
async fn one_failed_check_does_not_make_a_target_unreachable() {
    for (unreachable, word, sentence) in [
        (false, "latest check failed", "<h1>All 2 runners online</h1>"),
        (true, "unreachable", "<h1>All 2 runners online, 1 target unreachable</h1>"),
    ] {
        let failure = Failure::new(Fault::Service, "GitHub answers 502");
        let failing = Failing { since: at(NOW_SECS - 30), failure, unreachable, notified: unreachable };
        let Item::Target(healthy_record) = record("acme/web") else { panic!("a record") };
        let failed = Item::Target(TargetRecord { failing: Some(failing), ..healthy_record });
        let runners = [1, 2].map(|id| item("acme/web", healthy(id, &format!("web-{id}"), Status::Idle)));
        let site = Site::new(runners.into_iter().chain([failed]).chain(ticked(&["acme/web"])).collect()).await;
        let (_, page) = site.page("/").await;
        assert!(page.contains(sentence), "{page}");
        assert_eq!(page.matches(word).count(), if unreachable { 4 } else { 2 }, "{word}: {page}");
        assert!(page.contains("GitHub answers 502"), "{page}");
    }
}

#[tokio::test]
async fn those_who_wait_for_a_store_without_an_answer_get_the_same_error() {
    let site = Site::with(ticked(&["acme/web"]), |options| options.pause = Duration::from_secs(60)).await;
    site.store.is_unreadable.store(true, Ordering::SeqCst);
    let answers = join_all((0..50).map(|_| site.page("/"))).await;
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::SERVICE_UNAVAILABLE), "{answers:?}");
    assert_eq!(site.store.unanswered.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_target_with_many_runners_lists_the_worst_and_leads_to_all() {
    let runners = (1..=300).map(|id| item("orgs/acme", healthy(id, &format!("build-{id}"), Status::Idle)));
    let items = runners.chain([record("orgs/acme"), item("orgs/acme", down(301, "gone-1"))]);
    let site = Site::new(items.chain(ticked(&["orgs/acme"])).collect()).await;
    let (_, page) = site.page("/target/orgs/acme").await;
    assert!(page.contains("gone-1") && page.contains("All 301 runners"), "{page}");
    assert_eq!(page.matches("href=\"/runner/").count(), 200);
}

#[tokio::test]
async fn a_large_fleet_is_shown_in_pages() {
    let mut items = Vec::new();
    let mut names: Vec<String> = (0..4_000).map(|number| format!("acme/service-{number}")).collect();
    for (index, name) in names.iter().enumerate() {
        items.push(record(name));
        let first = u64::try_from(index).unwrap() * 5;
        let of_target = |id| if id % 1_000 == 0 { down(id, "build-x") } else { healthy(id, "build-x", Status::Idle) };
        items.extend((first..first + 5).map(|id| item(name, of_target(id))));
    }
    let site = Site::new(items).await;
    let (status, page) = site.page("/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("20 of 20,000 runners offline"), "{}", &page[..2_000]);
    assert!(page.len() <= 300_000, "{} bytes", page.len());
    let (_, last) = site.page("/?page=20").await;
    assert!(last.contains("Page 20 of 20") && last.len() <= 300_000, "{} bytes", last.len());
    assert!(site.page("/?q=build&page=999").await.1.contains("Page 100 of 100"), "beyond the last page");

    for path in ["/api/v1/fleet", "/metrics"] {
        let pieces: Vec<_> = site.ask(path, &[]).await.into_body().into_data_stream().collect().await;
        let largest_piece = pieces.iter().map(|piece| piece.as_ref().unwrap().len()).max().unwrap();
        assert!(
            pieces.len() > 100 && largest_piece < 100_000,
            "{path}: {} pieces, {largest_piece} bytes",
            pieces.len()
        );
    }
    let fleet = site.json("/api/v1/fleet").await;
    let listed: Vec<&str> =
        fleet["targets"].as_array().unwrap().iter().map(|of| of["target"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(listed, names);
    let (_, metrics) = site.page("/metrics").await;
    for metric in ["github_runner_up", "github_runner_busy", "github_runner_info"] {
        assert_eq!(metrics.matches(&format!("\n{metric}{{")).count(), 20_000, "{metric}");
        assert_eq!(metrics.matches(&format!("# TYPE {metric} gauge\n")).count(), 1, "{metric}");
    }
}

#[tokio::test]
async fn csv_has_a_row_for_each_outage() {
    let site = site().await;
    let (_, csv) = site.page("/outages.csv").await;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 2, "{csv}");
    assert!(lines[1].starts_with("acme/web,web-3,3,"), "{csv}");
    assert_eq!(site.ask("/outages.csv", &[]).await.headers()["content-type"], "text/csv; charset=utf-8");
}

#[tokio::test]
async fn a_runner_has_ninety_days_and_each_second_counts_once() {
    let site = site().await;
    let runner = site.json("/api/v1/runners/3/acme/web").await;
    let days = runner["days"].as_array().unwrap();
    assert_eq!(days.len(), 90);
    let sum = |key: &str| days.iter().map(|day| day[key].as_u64().unwrap()).sum::<u64>();
    // The outage began at 120 s, was confirmed at 240 s and ended 600 s later.
    assert_eq!(sum("downSecs"), 720);
    assert!(sum("observedSecs") > 0 && sum("observedSecs") <= NOW_SECS, "{}", sum("observedSecs"));
}
