//! A killed process loses no commit that was acknowledged.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use monitor_domain::change::Event;
use monitor_domain::subject::Revision;
use monitor_embedded::store::EmbeddedStore;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store};
use monitor_pipeline::testing::samples::{change, subject, target_record};

const FILE: &str = "MONITOR_TEST_FILE";

#[tokio::test]
async fn every_answered_commit_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.db");
    let mut answered = 0;
    for _ in 0..3 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "commits_until_killed", "--ignored", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let numbers = lines.filter_map(|line| line.strip_prefix("committed ").and_then(|it| it.parse::<u64>().ok()));
        // Kill it while it is still committing.
        answered = numbers.take_while(|revision| *revision <= answered + 50).last().unwrap_or(answered);
        writer.kill().unwrap();
        writer.wait().unwrap();

        let store = EmbeddedStore::open(&path).unwrap();
        let query = Query::Changes { subject: subject("acme/web"), after: Revision(0), limit: usize::MAX };
        let stored = store.list(&query).await.unwrap().len() as u64;
        assert!(stored >= answered && answered >= 50, "{stored} stored of {answered} answered");
        let targets = store.list(&Query::Targets).await.unwrap();
        assert!(matches!(&targets[..], [Item::Target(record)] if record.revision == Revision(stored)), "whole commits");
        answered = stored;
    }
}

/// The process that the test above starts and kills.
#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn commits_until_killed() {
    let Ok(path) = std::env::var(FILE) else { return };
    let store = EmbeddedStore::open(path).unwrap();
    let query = Query::Changes { subject: subject("acme/web"), after: Revision(0), limit: usize::MAX };
    let first = store.list(&query).await.unwrap().len() as u64 + 1;
    for revision in first.. {
        let commit = [
            Put::new(Item::Change(change("acme/web", revision, Event::MonitoringStarted))),
            Put::replacing(Item::Target(target_record("acme/web", revision))),
        ];
        assert_eq!(store.put(&commit).await.unwrap(), PutOutcome::Done);
        println!("committed {revision}");
    }
}
