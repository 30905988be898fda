//! Pools: what is stored, notified and recorded when too few of their runners are online.

use monitor_domain::fleet::Fleet;
use monitor_domain::outage::{Outage, Visibility};
use monitor_domain::scope::Scope;

use super::*;
use crate::commands::{Answer, Command};
use crate::records;
use crate::stages::Respond;
use crate::testing::samples::asker;

const POLICY: &str =
    r#"{"pools":{"gpu":{"minimumOnline":2,"alert":"pool"}},"failureThreshold":1,"successThreshold":1}"#;

fn installation<S: Store>(store: &S) -> Installation<'_, S> {
    let mut this = Installation::new(store);
    let document = serde_json::from_str(POLICY).unwrap_or_else(|error| panic!("{error}"));
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
    let gpu = |id| ObservedRunner { labels: vec!["gpu".to_owned()], ..runner(id, Status::Idle) };
    this.source.set(&web(), vec![gpu(1), gpu(2), gpu(3), runner(4, Status::Idle)]);
    this
}

async fn see<S: Store>(this: &Installation<'_, S>, statuses: [Status; 3]) -> Vec<Notification> {
    for (id, status) in (1..).zip(statuses) {
        this.source.set_status(&web(), id, status);
    }
    this.clock.advance(MINUTE);
    this.check(&web()).await;
    this.notify_all().await
}

/// The pools of the target as stored: each with how many of its runners are online.
async fn stored(store: &impl Store) -> Vec<(String, Option<u32>)> {
    let read = records::read_fleet(store, &web()).await.unwrap_or_else(|error| panic!("{error}"));
    read.fleet.pools.iter().map(|pool| (pool.name.clone(), pool.pool.map(|counts| counts.online))).collect()
}

pub(super) async fn a_shortage_is_notified_once_and_recorded_with_the_outages_of_its_runners<S: Store>(store: &S) {
    let this = installation(store);
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    assert_eq!(stored(store).await, [("pool gpu".to_owned(), Some(3))]);

    assert_eq!(see(&this, [Status::Offline, Status::Idle, Status::Idle]).await, [], "enough are online");
    let notified = see(&this, [Status::Offline, Status::Offline, Status::Idle]).await;
    let [Notification { items, .. }] = &notified[..] else { panic!("{notified:?}") };
    let [NotificationItem::Offline { outages }] = &items[..] else { panic!("{items:?}") };
    assert_eq!(outages.iter().map(|outage| &*outage.runner_name).collect::<Vec<_>>(), ["pool gpu"]);
    assert_eq!(see(&this, [Status::Offline, Status::Offline, Status::Idle]).await, [], "once");
    assert_eq!(stored(store).await, [("pool gpu".to_owned(), Some(1))]);

    let notified = see(&this, [Status::Idle, Status::Offline, Status::Idle]).await;
    let ended = |item: &NotificationItem| matches!(item, NotificationItem::Recovered { outages } if outages.len() == 1);
    assert!(notified.len() == 1 && notified[0].items.iter().all(ended), "{notified:?}");
    let mut recorded: Vec<Outage> =
        records::read_outages(store, web().id()).await.unwrap_or_else(|error| panic!("{error}"));
    recorded.sort_by(|one, other| one.runner_name.cmp(&other.runner_name));
    let recorded: Vec<_> =
        recorded.iter().map(|outage| (&*outage.runner_name, outage.visibility, outage.is_open())).collect();
    let expected = [
        ("pool gpu", Visibility::Alerted, false),
        ("runner-1", Visibility::Muted, false),
        ("runner-2", Visibility::Muted, true),
    ];
    assert_eq!(recorded, expected);
}

pub(super) async fn a_pool_that_the_policy_no_longer_has_is_no_longer_stored<S: Store>(store: &S) {
    let this = installation(store);
    this.check(&web()).await;
    see(&this, [Status::Offline, Status::Offline, Status::Idle]).await;
    let mut this = this;
    this.check.policy = Policy::new(PolicyDocument::default(), &this.check.configured).unwrap_or_default();
    see(&this, [Status::Offline, Status::Offline, Status::Idle]).await;
    assert_eq!(stored(store).await, []);
    let recorded = records::read_outages(store, web().id()).await.unwrap_or_else(|error| panic!("{error}"));
    let open: Vec<&str> = recorded.iter().filter(|one| one.is_open()).map(|one| &*one.runner_name).collect();
    assert!(!open.contains(&"pool gpu"), "{recorded:?}");
}

pub(super) async fn people_mute_a_pool_and_ask_for_it_by_its_name<S: Store>(store: &S) {
    let this = installation(store);
    this.tick().await;
    this.check(&web()).await;
    this.notify_all().await;
    let ask = async |command: Command| {
        let respond = Respond { store: &this.store, jobs: &this.jobs, clock: &this.clock };
        respond.run(&command, &asker()).await.unwrap_or_else(|error| panic!("{error}")).answer
    };
    let only_the_pool = |fleets: &[Fleet]| {
        let [fleet] = fleets else { return false };
        fleet.runners.is_empty() && fleet.pools.len() == 1
    };
    let named = Scope::Named("pool gpu".to_owned());
    let Answer::Runners { fleets, .. } = ask(Command::Status { scope: named }).await else { panic!() };
    assert!(only_the_pool(&fleets), "{fleets:?}");
    let Answer::History { fleets, .. } = ask(Command::History { name: "pool*".to_owned() }).await else { panic!() };
    assert!(only_the_pool(&fleets), "{fleets:?}");
    let typo = Scope::Named("pol gpu".to_owned());
    let Answer::Runners { similar, .. } = ask(Command::Status { scope: typo }).await else { panic!() };
    assert_eq!(similar, [""; 0]);
    let part = Scope::Named("pool".to_owned());
    let Answer::Runners { similar, .. } = ask(Command::Status { scope: part }).await else { panic!() };
    assert_eq!(similar, ["pool gpu"]);

    // As the button of an alert does.
    let scope = Scope::Runner { target: web(), name: "pool gpu".to_owned() };
    let answer = ask(Command::Mute { scope, lasting_secs: 7_200, reason: None }).await;
    let Answer::Muted { fleets, .. } = &answer else { panic!("{answer:?}") };
    assert!(only_the_pool(fleets), "{fleets:?}");
    assert_eq!(see(&this, [Status::Offline, Status::Offline, Status::Idle]).await, []);
    this.clock.advance(Duration::from_secs(7_200));
    let notified = see(&this, [Status::Offline, Status::Offline, Status::Idle]).await;
    let ended = |item: &NotificationItem| matches!(item, NotificationItem::MuteEnded { outages } if outages.len() == 1);
    assert!(notified.len() == 1 && notified[0].items.iter().all(ended), "{notified:?}");
}
