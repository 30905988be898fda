//! Versions that end: who asks GitHub, how often, and what is notified.

use std::time::Duration;

use monitor_domain::notifications::NotificationItem;
use monitor_domain::observation::{Failure, Fault, ObservedRunner};
use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::runner::Status;
use monitor_domain::subject::{CredentialId, Subject};
use monitor_domain::target::TargetSpec;
use monitor_domain::versions::VersionEnd;

use super::{INTERVAL, Installation, MINUTE, repository, runner, web};
use crate::ports::{Clock, Store};
use crate::records;

const DAY: Duration = Duration::from_secs(86_400);

fn of_version(id: u64, version: &str) -> ObservedRunner {
    ObservedRunner { version: Some(version.to_owned()), ..runner(id, Status::Idle) }
}

/// The versions that notifications warn of, each with the number of runners that it names.
fn warned(items: &[NotificationItem]) -> Vec<(String, usize)> {
    let of = |item: &NotificationItem| match item {
        NotificationItem::VersionEnding { version, runners, .. } => Some((version.clone(), runners.len())),
        _ => None,
    };
    items.iter().filter_map(of).collect()
}

pub(super) async fn a_fleets_versions_are_asked_about_once_a_day<S: Store>(store: &S) {
    let this = Installation::new(store);
    let targets = [web(), repository("api"), repository("app")];
    let this = Installation {
        check: crate::stages::CheckSettings {
            configured: targets.iter().cloned().map(TargetSpec::One).collect(),
            ..this.check.clone()
        },
        ..this
    };
    this.source.set_version("2.331.0", Ok(VersionEnd::NoDate));
    this.source.set_version("2.330.0", Ok(VersionEnd::At { at: this.clock.now().plus(60 * DAY) }));
    for target in &targets {
        this.source.set(target, vec![of_version(1, "2.330.0"), of_version(2, "2.331.0"), of_version(3, "two")]);
    }
    this.tick().await;
    let mut asked = Vec::new();
    for check in 0..2 * 288 {
        for target in &targets {
            this.check(target).await;
        }
        asked.extend(this.source.take_asked_versions().into_iter().map(|version| (check / 12, version)));
        this.clock.advance(INTERVAL);
    }
    let expected = [(0, "2.330.0"), (0, "2.331.0"), (24, "2.330.0"), (24, "2.331.0")];
    assert_eq!(asked, expected.map(|(hour, version)| (hour, version.to_owned())), "by one check for all targets");
    this.check(&web()).await;
    this.store.take_requests();
    this.check(&web()).await;
    let requests = this.store.take_requests();
    assert_eq!((requests.reads, requests.puts), (2, 0), "a steady check costs what it did");
}

pub(super) async fn an_enterprise_server_is_not_asked_about_versions<S: Store>(store: &S) {
    let this = Installation::watching(store, 2).await;
    this.clock.advance(DAY);
    this.check(&web()).await;
    assert_eq!(this.source.take_asked_versions(), [""; 0]);
    let read = records::read_credential(store, &CredentialId::token()).await;
    assert_eq!(read.unwrap_or_else(|error| panic!("{error}")).record.versions, []);
}

pub(super) async fn one_of_two_checks_at_once_asks_about_a_version<S: Store>(store: &S) {
    let first = Installation::new(store);
    let second = Installation { clock: first.clock.clone(), ..Installation::new(store) };
    first.tick().await;
    for this in [&first, &second] {
        this.source.set(&web(), vec![runner(1, Status::Idle)]);
        this.source.set_version("2.331.0", Ok(VersionEnd::NoDate));
    }
    // The first check of a target commits that monitoring started; here no check has anything to commit but an answer.
    first.source.set_version("2.331.0", Err(Failure::new(Fault::Service, "GitHub does not answer (502)")));
    first.check(&web()).await;
    assert_eq!(first.source.take_asked_versions(), ["2.331.0"]);
    first.source.set_version("2.331.0", Ok(VersionEnd::NoDate));
    first.clock.advance(7 * 60 * MINUTE);
    // The second check begins while the first reads the list, and is done before the first asks.
    first.source.meanwhile(async move {
        second.check(&web()).await;
        assert_eq!(second.source.take_asked_versions(), ["2.331.0"]);
    });
    first.check(&web()).await;
    assert_eq!(first.source.take_asked_versions(), [""; 0], "the other has claimed it");
    let read = records::read_credential(store, &CredentialId::token()).await;
    assert_eq!(read.unwrap_or_else(|error| panic!("{error}")).record.versions.len(), 1);
}

pub(super) async fn a_version_without_an_answer_is_asked_about_again_and_alarms_nobody<S: Store>(store: &S) {
    let this = Installation::new(store);
    let failure = Failure::new(Fault::Service, "GitHub does not answer (502)");
    this.source.set_version("2.331.0", Err(failure));
    this.source.set(&web(), vec![of_version(1, "2.331.0"), of_version(2, "2.100.0")]);
    this.tick().await;
    this.notify_all().await;
    let mut asked = Vec::new();
    for hour in 0..14 {
        if hour == 7 {
            this.source.set_version("2.331.0", Ok(VersionEnd::At { at: this.clock.now().minus(DAY) }));
        }
        this.check(&web()).await;
        let notified = this.notify_all().await;
        let items: Vec<NotificationItem> = notified.into_iter().flat_map(|notification| notification.items).collect();
        let ended = vec![("2.331.0".to_owned(), 1)];
        assert_eq!(warned(&items), if hour == 13 { ended } else { Vec::new() }, "hour {hour}");
        assert!(!items.iter().any(|item| matches!(item, NotificationItem::Unreachable { .. })), "{items:?}");
        asked.extend(this.source.take_asked_versions().into_iter().map(|version| (hour, version)));
        this.clock.advance(60 * MINUTE);
    }
    let expected = [(0, "2.100.0"), (0, "2.331.0"), (6, "2.331.0"), (12, "2.331.0")];
    assert_eq!(asked, expected.map(|(hour, version)| (hour, version.to_owned())));
}

pub(super) async fn the_end_of_a_version_is_notified_once_a_stage_and_target<S: Store>(store: &S) {
    let mut this = Installation::new(store);
    this.check.configured = vec![TargetSpec::One(web()), TargetSpec::One(repository("api"))];
    let document: PolicyDocument =
        serde_json::from_str(r##"{"labels":{"gpu":{"channel":"#gpu"}}}"##).unwrap_or_default();
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
    this.source.set_version("2.331.0", Ok(VersionEnd::At { at: this.clock.now().plus(30 * DAY) }));
    let gpu = ObservedRunner { labels: vec!["gpu".to_owned()], ..runner(2, Status::Idle) };
    this.source.set(&web(), vec![runner(1, Status::Idle), gpu]);
    this.source.set(&repository("api"), vec![runner(3, Status::Idle), of_version(4, "2.332.0")]);
    this.tick().await;
    this.notify_all().await;
    let mut notified = Vec::new();
    for day in 0..34 {
        // The first check of a day asks, and the next ones know.
        this.check(&web()).await;
        for target in [web(), repository("api")] {
            this.check(&target).await;
            for notification in this.notify_all().await {
                let Subject::Target(id) = &notification.subject else { panic!("{notification:?}") };
                let runners = warned(&notification.items).iter().map(|(_, runners)| runners).sum::<usize>();
                notified.push((day, id.as_str().to_owned(), runners));
            }
        }
        this.clock.advance(DAY);
    }
    // The runner with the label has a channel of its own.
    let of_day = |day| [(day, "acme/web", 1), (day, "acme/web", 1), (day, "acme/api", 1)];
    let expected: Vec<_> = [9, 23, 29, 30].into_iter().flat_map(of_day).collect();
    assert_eq!(
        notified,
        expected.into_iter().map(|(day, id, runners)| (day, id.to_owned(), runners)).collect::<Vec<_>>()
    );
}
