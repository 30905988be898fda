//! The views, as the sqlite3 program shows them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use monitor_domain::pool::{Minimum, PoolAlerts, PoolCounts, PoolOver, PoolRule};
use monitor_domain::runner::Runner;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::items::{Item, RunnerItem};
use monitor_pipeline::keys::Put;
use monitor_pipeline::ports::{PutOutcome, Store};
use monitor_pipeline::testing::samples::{every_item, runner};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// A view's rows as the sqlite3 program prints them.
fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let text = |value: ValueRef<'_>| match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{other:?} is not readable for people"),
    };
    let line = |row: &rusqlite::Row<'_>| {
        let values: Vec<String> = (0..columns).map(|column| text(row.get_ref(column).unwrap())).collect();
        Ok(values.join("|"))
    };
    statement.query_map([], line).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn every_view_has_the_columns_that_people_need() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    let store = EmbeddedStore::open(&path).unwrap();
    let puts: Vec<_> = every_item().into_iter().map(Put::replacing).collect();
    assert_eq!(store.put(&puts).await.unwrap(), PutOutcome::Done);
    let connection = Connection::open(&path).unwrap();
    let view = |sql: &str| rows(&connection, sql);

    assert_eq!(
        view("SELECT * FROM targets"),
        [
            "Acme/Web|42|41|2027-01-15T08:00:00.007Z|2027-01-15T08:42:00.007Z|2027-01-15T08:05:00.007Z|GitHub's \"limit\" — wait until 08:15; it's 100 %",
            "credential:app:acme/pools|6||2027-01-15T08:00:00.007Z|2027-01-15T08:06:00.007Z||",
        ]
    );
    assert_eq!(
        view("SELECT target, id, status, status_since, health, os, labels, version, ephemeral FROM runners LIMIT 2"),
        [
            "acme/web|7|idle|2027-01-15T08:00:00.007Z|healthy|linux|self-hosted linux x64|2.331.0|0",
            "acme/web|8|idle|2027-01-15T08:00:00.007Z|suspect|linux|self-hosted linux x64|2.331.0|0",
        ]
    );
    assert_eq!(
        view("SELECT target, runner, started_at, resolved_at, ending, in_job, outage_id FROM outages"),
        [
            "acme/web|build-7|2027-01-15T08:12:00.007Z|2027-01-15T08:24:00.007Z|removed|1|12",
            "acme/web|runner-7|2027-01-15T08:41:00.007Z||open|1|41",
        ]
    );
    assert_eq!(
        view("SELECT * FROM changes WHERE subject = 'credential:token'"),
        ["credential:token|1|2027-01-15T08:01:00.007Z|credentialExpiring|8|7|1"]
    );
    let notifications =
        view("SELECT subject, notification, attempt, claimed_at, items, ending, ended_at, reason FROM notifications");
    assert_eq!(notifications.len(), 7);
    assert!(
        notifications[0].starts_with(
            "acme/web|1|1|2027-01-15T08:10:01.007Z|unreachable offline muteEnded stillOffline removalNear "
        ),
        "{}",
        notifications[0]
    );
    assert!(notifications[0].ends_with("|delivered|2027-01-15T08:10:03.007Z|"), "{}", notifications[0]);
    assert!(
        notifications[3].ends_with("|layoutRefused|2027-01-15T08:40:03.007Z|it's \"full\""),
        "{}",
        notifications[3]
    );
    assert!(notifications[4].ends_with("|recovered|deferred|2027-01-15T11:20:04.007Z|later"), "{}", notifications[4]);
    assert!(notifications[6].ends_with("|recovered|unknown||"), "{}", notifications[6]);
    assert_eq!(
        view("SELECT credential, revision, failing_since, expires_at FROM credentials"),
        ["app:acme|3|2027-01-15T08:05:00.007Z|2027-01-16T08:00:00.007Z", "token|0||"]
    );
    assert_eq!(
        view("SELECT * FROM watchlist"),
        [
            "Acme/Web|watched",
            "enterprises/acme-corp|watched",
            "orgs/Acme|watched",
            "credential:app:acme/pools|pools",
            "acme/old|dropping",
        ]
    );
    let mut mutes = view("SELECT scope, until, reason FROM mutes");
    mutes.sort();
    assert_eq!(
        mutes,
        [
            "Acme/Web|2027-01-15T09:00:00.007Z|new “disk” <b>",
            "Build \"7\" in Acme/Web|2027-01-15T10:00:00.007Z|",
            "gpu-*|2027-01-15T11:00:00.007Z|new “disk” <b>",
        ]
    );
    assert_eq!(view("SELECT * FROM acknowledgements"), ["acme/web|7|41|2027-01-15T08:46:00.007Z|U2CERLKJA"]);
}

#[tokio::test]
async fn a_runner_has_its_pools_and_a_pool_its_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    let store = EmbeddedStore::open(&path).unwrap();
    let pool = |labels: &[&str]| {
        let rule = PoolRule {
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            minimum: Minimum::Runners(2),
            alerts: PoolAlerts::Each,
            over: PoolOver::Target,
        };
        Runner::first_pool(&rule, PoolCounts { total: 4, online: 1, wanted: 2 }, Timestamp::default())
    };
    let put = |target: &str, runner: Runner| {
        let target: Target = target.parse().unwrap();
        Put::replacing(Item::Runner(RunnerItem { target: target.id().clone(), runner }))
    };
    let puts = vec![
        put("acme/web", runner(7, "build-7")),
        put("acme/web", pool(&["LINUX", "x64"])),
        put("acme/web", pool(&["gpu"])),
        put("acme/api", pool(&["linux"])),
        put("credential:app:acme/pools", pool(&["self-hosted"])),
        put("credential:app:other/pools", pool(&["linux"])),
        put("orgs/acme", runner(8, "build-8")),
    ];
    assert_eq!(store.put(&puts).await.unwrap(), PutOutcome::Done);
    let connection = Connection::open(&path).unwrap();
    assert_eq!(
        rows(&connection, "SELECT target, name, pools FROM runners WHERE pool_online IS NULL"),
        ["acme/web|build-7|pool LINUX,x64; pool self-hosted", "orgs/acme|build-8|pool self-hosted"]
            .map(str::to_owned)
            .to_vec()
    );
    assert_eq!(
        rows(
            &connection,
            "SELECT name, pool_online, pool_total, pool_wanted, pools FROM runners WHERE name = 'pool gpu'"
        ),
        ["pool gpu|1|4|2|"]
    );
}
