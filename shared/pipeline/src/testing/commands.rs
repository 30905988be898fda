//! The contract of the answers to commands over any store: run by every store adapter, in virtual time.

use std::time::Duration;

use monitor_domain::fleet::Fleet;
use monitor_domain::muting::{Authority, MuteRefusal};
use monitor_domain::outage::{Ending, Outage, OutageId};
use monitor_domain::runner::{Runner, RunnerId};
use monitor_domain::scope::Scope;
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::Target;
use monitor_domain::watchlist::Watchlist;

use crate::commands::{Answer, Answered, Asker, Command, RequestId};
use crate::items::{Item, LastSeen, OutageItem, RunnerItem};
use crate::keys::{Put, Query};
use crate::messages::{CheckJob, Reason};
use crate::ports::Store;
use crate::records;
use crate::stages::{Respond, RespondError};
use crate::testing::doubles::{Outbox, SlowStore, StillClock};
use crate::testing::samples::{asker, at, ended, outage, person, runner, target, target_record};

/// Runs the whole suite, each part on a new store of `make`. The runtime's time must be paused.
pub async fn run_all<S: Store>(make: impl AsyncFn() -> S) {
    an_overview_has_every_target_and_its_age(&make().await).await;
    a_name_is_found_in_every_target_that_has_it(&make().await).await;
    a_name_is_taken_for_a_label_if_no_runner_has_it(&make().await).await;
    history_lists_every_target_newest_first(&make().await).await;
    history_finds_runners_that_are_forgotten(&make().await).await;
    a_recheck_is_sent_only_for_a_watched_target(&make().await).await;
    an_unknown_name_is_answered_with_similar_names(&make().await).await;
    a_mute_can_be_set_listed_and_ended(&make().await).await;
    a_name_without_any_runner_is_not_muted(&make().await).await;
    each_outage_is_acknowledged_separately(&make().await).await;
    a_repeated_request_changes_nothing(&make().await).await;
    a_long_or_wide_mute_needs_an_admin(&make().await).await;
    five_hundred_targets_are_read_within_a_second(&make().await).await;
}

async fn fill<S: Store>(store: &S, items: impl IntoIterator<Item = Item>) {
    let puts: Vec<Put> = items.into_iter().map(Put::replacing).collect();
    for batch in puts.chunks(store.max_batch()) {
        let _ = store.put(batch).await.expect("the put is answered");
    }
}

/// An installation that watches `targets`, each with these runners.
async fn installation<S: Store>(store: &S, targets: &[(&str, Vec<Runner>)]) {
    let names: Vec<Target> = targets.iter().map(|(name, _)| target(name)).collect();
    let watchlist =
        Watchlist { revision: Revision(1), last_notifiable: Revision(1), targets: names, ..Watchlist::default() };
    let ticked = LastSeen { subject: Subject::Monitor, slot: 0, at: at(600), jobs_sent_at: None, next_tick_at: None };
    fill(store, [Item::Watchlist(watchlist), Item::LastSeen(ticked)]).await;
    for (name, runners) in targets {
        let id = target(name).id().clone();
        let of_target = |runner: &Runner| Item::Runner(RunnerItem { target: id.clone(), runner: runner.clone() });
        let last_seen = LastSeen {
            subject: Subject::from(&target(name)),
            slot: 0,
            at: at(590),
            jobs_sent_at: None,
            next_tick_at: None,
        };
        let record = Item::Target(target_record(name, 3));
        fill(store, [record, Item::LastSeen(last_seen)].into_iter().chain(runners.iter().map(of_target))).await;
    }
}

fn outages(name: &str, outages: impl IntoIterator<Item = Outage>) -> Vec<Item> {
    let target = target(name).id().clone();
    outages.into_iter().map(|outage| Item::Outage(OutageItem { target: target.clone(), outage })).collect()
}

async fn ask<S: Store>(store: &S, command: Command) -> Answered {
    let (jobs, clock) = (Outbox::default(), StillClock::default());
    let answered = Respond { store, jobs: &jobs, clock: &clock }.run(&command, &asker()).await.expect("it is answered");
    assert!(jobs.take().is_empty(), "{command:?} sends no job");
    answered
}

fn named(name: &str) -> Scope {
    Scope::Named(name.to_owned())
}

fn found(fleets: &[Fleet]) -> Vec<(&str, Vec<&str>)> {
    fleets
        .iter()
        .map(|fleet| (fleet.record.target.as_str(), fleet.runners.iter().map(|runner| runner.name.as_str()).collect()))
        .collect()
}

async fn an_overview_has_every_target_and_its_age<S: Store>(store: &S) {
    installation(store, &[("acme/api", vec![]), ("orgs/acme", vec![runner(1, "a"), runner(2, "b")])]).await;
    // Stored, but no longer watched.
    fill(store, [Item::Target(target_record("acme/old", 9))]).await;
    let answered = ask(store, Command::StatusAll).await;
    assert_eq!((answered.ticked_at, answered.unread), (Some(at(600)), Vec::new()));
    let Answer::Overview { fleets } = answered.answer else { panic!("an overview") };
    assert_eq!(found(&fleets), [("acme/api", vec![]), ("orgs/acme", vec!["a", "b"])]);
    assert!(fleets.iter().all(|fleet| fleet.seen_at() == Some(at(590))));
}

async fn a_name_is_found_in_every_target_that_has_it<S: Store>(store: &S) {
    let labelled = Runner { labels: vec!["build-7".to_owned()], ..runner(3, "other") };
    let targets = [
        ("acme/api", vec![runner(1, "Build-7"), runner(2, "build-8")]),
        ("acme/web", vec![runner(1, "build-7"), labelled]),
        ("orgs/acme", vec![runner(9, "build-77")]),
    ];
    installation(store, &targets).await;
    let runners = async |name: &str| match ask(store, Command::Status { scope: named(name) }).await.answer {
        Answer::Runners { fleets, .. } => fleets,
        other => panic!("{other:?}"),
    };
    assert_eq!(found(&runners("build-7").await), [("acme/api", vec!["Build-7"]), ("acme/web", vec!["build-7"])]);
    assert_eq!(found(&runners("BUILD-7*").await).len(), 3);
}

async fn a_name_is_taken_for_a_label_if_no_runner_has_it<S: Store>(store: &S) {
    let with = |id, name, label: &str| Runner { labels: vec![label.to_owned()], ..runner(id, name) };
    let targets =
        [("acme/web", vec![with(1, "a", "GPU"), with(2, "b", "cpu")]), ("orgs/acme", vec![with(3, "c", "gpu")])];
    installation(store, &targets).await;
    let Answer::Runners { fleets, similar, .. } = ask(store, Command::Status { scope: named("gpu") }).await.answer
    else {
        panic!("runners")
    };
    assert_eq!(found(&fleets), [("acme/web", vec!["a"]), ("orgs/acme", vec!["c"])]);
    assert!(similar.is_empty());
}

async fn history_lists_every_target_newest_first<S: Store>(store: &S) {
    let build = |id| runner(id, "build-7");
    installation(store, &[("acme/api", vec![build(1)]), ("acme/web", vec![build(2), runner(3, "x")])]).await;
    fill(store, outages("acme/api", [outage(&build(1), 5), ended(&outage(&build(1), 20), Ending::Recovered)])).await;
    fill(store, outages("acme/web", [outage(&build(2), 10), outage(&runner(3, "x"), 11), outage(&build(2), 30)])).await;
    let history = |name: &str| ask(store, Command::History { name: name.to_owned() });
    let Answer::History { outages, total, fleets, .. } = history("Build-7").await.answer else { panic!("a history") };
    let listed: Vec<(&str, u64)> = outages.iter().map(|(target, outage)| (target.as_str(), outage.id.0.0)).collect();
    assert_eq!(listed, [("acme/web", 30), ("acme/api", 20), ("acme/web", 10), ("acme/api", 5)]);
    assert_eq!((total, fleets.len()), (4, 2));
    let many = (100..500).map(|id| outage(&runner(3, "x"), id));
    fill(store, self::outages("acme/web", many)).await;
    let Answer::History { outages, total, .. } = history("x").await.answer else { panic!("a history") };
    assert_eq!((outages.len(), total, outages[0].1.id.0), (200, 401, Revision(499)));
}

async fn history_finds_runners_that_are_forgotten<S: Store>(store: &S) {
    installation(store, &[("acme/api", vec![runner(1, "a")]), ("acme/web", vec![])]).await;
    fill(store, outages("acme/web", [ended(&outage(&runner(7, "gone"), 4), Ending::Removed)])).await;
    let Answer::History { outages, fleets, similar, .. } =
        ask(store, Command::History { name: "gone".to_owned() }).await.answer
    else {
        panic!("a history")
    };
    assert!(outages.len() == 1 && fleets.is_empty() && similar.is_empty());
}

async fn a_recheck_is_sent_only_for_a_watched_target<S: Store>(store: &S) {
    installation(store, &[("Acme/Web", vec![])]).await;
    let (jobs, clock) = (Outbox::default(), StillClock::default());
    let respond = Respond { store, jobs: &jobs, clock: &clock };
    let sent = respond.run(&Command::Recheck { target: target("acme/web") }, &asker()).await.expect("it is answered");
    assert!(matches!(sent.answer, Answer::RecheckSent { seen_at, .. } if seen_at == Some(at(590))));
    let [job] = &jobs.take()[..] else { panic!("one job") };
    let job = CheckJob::from_json(&job.body).expect("a job");
    assert_eq!((job.target.as_str(), job.reason), ("Acme/Web", Reason::Manual));
    let refused =
        respond.run(&Command::Recheck { target: target("acme/api") }, &asker()).await.expect("it is answered");
    assert!(matches!(refused.answer, Answer::NotWatched { similar, .. } if similar == [target("Acme/Web")]));
    assert!(jobs.take().is_empty());
}

async fn a_mute_can_be_set_listed_and_ended<S: Store>(store: &S) {
    installation(store, &[("acme/web", vec![runner(1, "build-7")]), ("acme/api", vec![runner(2, "build-8")])]).await;
    let mute = |name: &str, hours: u64| Command::Mute {
        scope: named(name),
        lasting_secs: hours * 3_600,
        reason: Some("new disk".to_owned()),
    };
    let answered = ask(store, mute("build-7", 2)).await;
    let Answer::Muted { mute: made, fleets } = &answered.answer else { panic!("{:?}", answered.answer) };
    assert_eq!((made.since, made.until), (answered.now, answered.now.plus(Duration::from_secs(7_200))));
    assert_eq!(found(fleets), [("acme/web", vec!["build-7"])]);
    ask(store, mute("BUILD-7", 3)).await;

    let shown = async |scope: &str| {
        let command = match scope.parse() {
            Ok(target) => Command::Status { scope: Scope::Target(target) },
            Err(_) => Command::Status { scope: named(scope) },
        };
        ask(store, command).await.mutes.len()
    };
    assert_eq!(
        (shown("acme/web").await, shown("acme/api").await),
        (1, 0),
        "the second mute of the same runners replaces the first"
    );
    assert_eq!((shown("build-7").await, shown("build-8").await), (1, 0));
    assert_eq!(ask(store, Command::StatusAll).await.mutes.len(), 1);

    let unmute = |name: &str| Command::Unmute { scope: named(name) };
    let answer = ask(store, unmute("build-8")).await.answer;
    assert!(matches!(&answer, Answer::NotMuted { mutes, .. } if mutes.len() == 1), "{answer:?}");
    let answer = ask(store, unmute("build-7")).await.answer;
    assert!(matches!(&answer, Answer::Unmuted { mute } if mute.by == person()), "{answer:?}");
    assert!(ask(store, Command::StatusAll).await.mutes.is_empty());
    // A mute that has ended by itself is not listed.
    let over = crate::items::Mute { until: answered.now, ..made.clone() };
    fill(store, [Item::Mute(over)]).await;
    assert!(ask(store, Command::StatusAll).await.mutes.is_empty());
}

async fn a_name_without_any_runner_is_not_muted<S: Store>(store: &S) {
    installation(store, &[("acme/web", vec![runner(1, "build-7")])]).await;
    let mute = |scope| Command::Mute { scope, lasting_secs: 60, reason: None };
    let answer = ask(store, mute(named("biuld-7"))).await.answer;
    assert!(matches!(&answer, Answer::Runners { fleets, .. } if fleets.is_empty()), "{answer:?}");
    let answer = ask(store, mute(Scope::Target(target("acme/wob")))).await.answer;
    assert!(matches!(&answer, Answer::NotWatched { similar, .. } if similar == &[target("acme/web")]), "{answer:?}");
    assert!(store.list(&Query::Mutes).await.expect("a list").is_empty());
}

async fn each_outage_is_acknowledged_separately<S: Store>(store: &S) {
    installation(store, &[("acme/web", vec![runner(1, "build-7")])]).await;
    let outages: Vec<_> = (1..=120).map(|id| (RunnerId(id), OutageId(Revision(40 + id)))).collect();
    let target = target("acme/web");
    let command = Command::Acknowledge { target: target.clone(), outages: outages.clone() };
    assert!(matches!(ask(store, command).await.answer, Answer::Acknowledged { outages: 120, .. }));
    let kept = records::read_acknowledgements(store, target.id(), outages).await.expect("they are read");
    assert!(kept.len() == 120 && kept.iter().all(|item| item.by == person()));
}

async fn a_long_or_wide_mute_needs_an_admin<S: Store>(store: &S) {
    let labelled = |id, name| Runner { labels: vec!["gpu".to_owned()], ..runner(id, name) };
    installation(store, &[("acme/web", vec![labelled(1, "a")]), ("acme/api", vec![labelled(2, "b")])]).await;
    let (jobs, clock) = (Outbox::default(), StillClock::default());
    let respond = Respond { store, jobs: &jobs, clock: &clock };
    let mute = async |name: &str, hours: u64, authority| {
        let command = Command::Mute { scope: named(name), lasting_secs: hours * 3_600, reason: None };
        respond.run(&command, &Asker { authority, ..asker() }).await.expect("it is answered").answer
    };
    let kept = async || store.list(&Query::Mutes).await.expect("a list").len();
    for (name, hours, authority, expected) in [
        ("*", 720, Authority::NoAdmins, MuteRefusal::TooWide),
        ("?", 1, Authority::Member, MuteRefusal::TooWide),
        ("gpu", 1, Authority::Member, MuteRefusal::TooWide),
        ("gpu", 25, Authority::NoAdmins, MuteRefusal::TooLong),
        ("a", 25, Authority::Member, MuteRefusal::TooLong),
        ("a", 25, Authority::Unknown, MuteRefusal::Unknown),
    ] {
        let answer = mute(name, hours, authority).await;
        assert!(
            matches!(answer, Answer::MuteRefused { refusal, has_admins, .. }
                if refusal == expected && has_admins == (authority != Authority::NoAdmins)),
            "{name} {hours} {authority:?}: {answer:?}"
        );
        assert_eq!(kept().await, 0);
    }
    for (name, hours, authority) in
        [("a", 24, Authority::Member), ("gpu", 24, Authority::NoAdmins), ("*", 720, Authority::Admin)]
    {
        assert!(matches!(mute(name, hours, authority).await, Answer::Muted { .. }), "{name} {hours} {authority:?}");
    }
    assert_eq!(kept().await, 3);
}

async fn a_repeated_request_changes_nothing<S: Store>(store: &S) {
    installation(store, &[("acme/web", vec![runner(1, "build-7")])]).await;
    let (jobs, clock) = (Outbox::default(), StillClock::default());
    let respond = Respond { store, jobs: &jobs, clock: &clock };
    let sent = |number, nonce| Asker { request: Some(RequestId { number, nonce }), ..asker() };
    let mute = Command::Mute { scope: named("build-7"), lasting_secs: 7_200, reason: None };
    let unmute = Command::Unmute { scope: named("build-7") };
    assert!(respond.run(&mute, &sent(1, 11)).await.is_ok());
    assert!(respond.run(&unmute, &sent(2, 12)).await.is_ok());
    // The captured mute request, replayed after its unmute; a restart of the host makes no difference.
    assert_eq!(respond.run(&mute, &sent(1, 13)).await, Err(RespondError::Repeated));
    assert!(store.list(&Query::Mutes).await.expect("a list").is_empty());
    let recheck = Command::Recheck { target: target("acme/web") };
    assert!(respond.run(&recheck, &sent(3, 14)).await.is_ok());
    assert_eq!(respond.run(&recheck, &sent(3, 15)).await, Err(RespondError::Repeated));
    assert_eq!(jobs.take().len(), 1);
    let acknowledge = Command::Acknowledge { target: target("acme/web"), outages: vec![] };
    assert!(respond.run(&acknowledge, &sent(4, 16)).await.is_ok());
    assert_eq!(respond.run(&acknowledge, &sent(4, 17)).await, Err(RespondError::Repeated));
    // The same process may retry its own request, and commands that only read may be repeated.
    assert!(respond.run(&mute, &sent(5, 18)).await.is_ok());
    assert!(respond.run(&mute, &sent(5, 18)).await.is_ok());
    assert!(respond.run(&Command::StatusAll, &sent(6, 19)).await.is_ok());
    assert!(respond.run(&Command::StatusAll, &sent(6, 20)).await.is_ok());
}

async fn an_unknown_name_is_answered_with_similar_names<S: Store>(store: &S) {
    installation(store, &[("acme/web", vec![runner(1, "build-7"), runner(2, "build-8"), runner(3, "gpu")])]).await;
    let Answer::Runners { fleets, similar, .. } = ask(store, Command::Status { scope: named("build") }).await.answer
    else {
        panic!("runners")
    };
    assert!(fleets.is_empty());
    assert_eq!(similar, ["build-7", "build-8"]);
    let Answer::History { similar, .. } = ask(store, Command::History { name: "build-9".to_owned() }).await.answer
    else {
        panic!("a history")
    };
    assert_eq!(similar, ["build-7", "build-8"]);
    let elsewhere = Scope::Target(target("orgs/acme"));
    let Answer::NotWatched { similar, .. } = ask(store, Command::Status { scope: elsewhere }).await.answer else {
        panic!("not watched")
    };
    assert_eq!(similar, [target("acme/web")]);
}

async fn five_hundred_targets_are_read_within_a_second<S: Store>(store: &S) {
    let names: Vec<String> = (1..=500).map(|number| format!("acme/repository-{number:03}")).collect();
    let targets: Vec<(&str, Vec<Runner>)> =
        names.iter().map(|name| (name.as_str(), vec![runner(1, "build-1"), runner(2, "build-2")])).collect();
    installation(store, &targets).await;
    let slow = SlowStore::over(store, Duration::from_millis(20));
    let commands = [
        Command::StatusAll,
        Command::Status { scope: named("build-1") },
        Command::History { name: "build-1".to_owned() },
        Command::History { name: "nobody".to_owned() },
    ];
    for command in commands {
        let began = tokio::time::Instant::now();
        let answered = ask(&slow, command.clone()).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "{command:?} takes {took:?}");
        assert!(
            took > Duration::from_millis(20 * 8),
            "{command:?}: too many concurrent requests to the store: {took:?}"
        );
        assert!(answered.unread.is_empty());
    }
    // Only the target that cannot be read is missing from the answer.
    slow.lose(target("acme/repository-250").id().clone());
    let answered = ask(&slow, Command::StatusAll).await;
    assert_eq!(answered.unread, [target("acme/repository-250")]);
    assert!(matches!(answered.answer, Answer::Overview { fleets } if fleets.len() == 499));
    slow.lose_all();
    let (jobs, clock) = (Outbox::default(), StillClock::default());
    let broken = Respond { store: &slow, jobs: &jobs, clock: &clock }.run(&Command::StatusAll, &asker()).await;
    assert!(matches!(broken, Err(RespondError::Store(_))), "{broken:?}");
}
