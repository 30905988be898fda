//! A notice taken apart by channel: nothing is lost, nothing is told twice, nothing goes nowhere.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use monitor_domain::change::RunnerName;
use monitor_domain::fleet::Counts;
use monitor_domain::notices::{Flap, News, Notice};
use monitor_domain::outage::{Outage, OutageId, Peers, Telling};
use monitor_domain::policy::Policy;
use monitor_domain::routing::{Part, split};
use monitor_domain::runner::{RunnerId, Status};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::{Target, TargetSpec};
use monitor_domain::time::Timestamp;
use proptest::prelude::*;

const LABELS: [&str; 3] = ["linux", "gpu", "arm64"];
/// Of runner `n` the `n % 4`-th: none of the policies below knows the last.
const NAMES: [&str; 4] = ["build", "spot", "gpu", "other"];
const POLICIES: [&str; 5] = [
    "{}",
    r##"{"targets":{"acme/*":{"channel":"#web"}}}"##,
    r##"{"labels":{"gpu":{"channel":"#gpu"}}}"##,
    r##"{"labels":{"gpu":{"channel":"#gpu"},"arm*":{"channel":"#arm"}},"runners":{"spot-*":{"channel":"#spot"}}}"##,
    r##"{"targets":{"acme/web":{"channel":"#web"}},"labels":{"linux":{"channel":"#gpu"}},"runners":{"gpu-*":{"channel":"#gpu"}}}"##,
];

fn name(runner: u64) -> String {
    format!("{}-{runner}", NAMES[usize::try_from(runner).unwrap() % NAMES.len()])
}

fn labels(runner: u64) -> Vec<String> {
    let label = LABELS[usize::try_from(runner / 4).unwrap() % LABELS.len()];
    vec!["self-hosted".to_owned(), label.to_owned()]
}

fn outage(runner: u64) -> Outage {
    let at = Timestamp::from_epoch_ms(1_800_000_000_000);
    Outage {
        id: OutageId(Revision(7)),
        runner_id: RunnerId(runner),
        current_id: RunnerId(runner),
        runner_name: name(runner),
        os: "linux".to_owned(),
        version: None,
        labels: labels(runner),
        status: Status::Offline,
        in_job: false,
        started_at: at,
        confirmed_at: at,
        last_healthy: None,
        peers: Peers::default(),
        telling: Telling::Alert,
        resolved_at: None,
        ending: None,
    }
}

fn flap(runner: u64) -> Flap {
    let since = Timestamp::from_epoch_ms(1_800_000_000_000);
    Flap { runner: runner_name(runner), since, outages: 3, healthy_since: None }
}

fn runner_name(runner: u64) -> RunnerName {
    RunnerName { id: RunnerId(runner), name: name(runner) }
}

fn news() -> impl Strategy<Value = News> {
    let since = Timestamp::from_epoch_ms(0);
    let runners = || prop::collection::btree_set(0_u64..24, 1..12);
    fn outages(runners: BTreeSet<u64>) -> Vec<Outage> {
        runners.into_iter().map(outage).collect()
    }
    prop_oneof![
        runners().prop_map(|runners| News::Offline { outages: outages(runners) }),
        runners().prop_map(|runners| News::MuteEnded { outages: outages(runners) }),
        (runners(), any::<bool>()).prop_map(move |(runners, is_last)| {
            News::StillOffline { outages: outages(runners), noticed_at: since, is_last }
        }),
        runners().prop_map(|runners| News::Removed { outages: outages(runners) }),
        runners().prop_map(|runners| News::MonitoringStarts { outages: outages(runners) }),
        runners().prop_map(|runners| News::Recovered { outages: outages(runners) }),
        runners().prop_map(|runners| News::CameAndWent { outages: outages(runners) }),
        runners().prop_map(|runners| News::Flapping { runners: runners.into_iter().map(flap).collect() }),
        runners().prop_map(|runners| News::Calm { runners: runners.into_iter().map(flap).collect() }),
        runners().prop_map(|runners| News::Returned { runners: runners.into_iter().map(runner_name).collect() }),
        (prop::collection::btree_set(0_u64..24, 0..12), any::<bool>()).prop_map(|(runners, whole_target)| {
            let whole_target = whole_target || runners.is_empty();
            News::NoLongerMonitored { outages: outages(runners), whole_target, again_since: None }
        }),
        Just(News::SeesAgain { since, until: since }),
    ]
}

fn notice(news: Vec<News>) -> Notice {
    let target: Target = "acme/web".parse().unwrap();
    Notice { subject: Subject::from(&target), target: Some(target), counts: Counts::default(), news }
}

fn policy(json: &str) -> Policy {
    let configured: Vec<TargetSpec> = vec!["acme/web".parse().unwrap()];
    Policy::new(serde_json::from_str(json).unwrap(), &configured).unwrap()
}

/// What a piece of news tells, one by one: its kind, and of whom.
fn told(news: &News) -> Vec<(String, Option<u64>)> {
    let kind = serde_json::to_value(news).unwrap()["news"].as_str().unwrap().to_owned();
    let runners: Vec<u64> = match news {
        News::Offline { outages }
        | News::MuteEnded { outages }
        | News::StillOffline { outages, .. }
        | News::Removed { outages }
        | News::MonitoringStarts { outages }
        | News::Recovered { outages }
        | News::CameAndWent { outages }
        | News::NoLongerMonitored { outages, .. } => outages.iter().map(|outage| outage.runner_id.0).collect(),
        News::Flapping { runners } | News::Calm { runners } => runners.iter().map(|flap| flap.runner.id.0).collect(),
        News::Returned { runners } => runners.iter().map(|runner| runner.id.0).collect(),
        _ => return vec![(kind, None)],
    };
    runners.into_iter().map(|runner| (kind.clone(), Some(runner))).collect()
}

fn all_labels() -> BTreeMap<RunnerId, Vec<String>> {
    (0..24).map(|runner| (RunnerId(runner), labels(runner))).collect()
}

proptest! {
    #[test]
    fn the_parts_are_the_notice_and_each_piece_of_news_goes_where_the_policy_says(
        news in prop::collection::vec(news(), 1..6),
        chosen in 0_usize..POLICIES.len(),
    ) {
        let (notice, policy) = (notice(news), policy(POLICIES[chosen]));
        let parts = split(notice.clone(), &policy, &all_labels());
        prop_assert!(!parts.is_empty());
        prop_assert_eq!(&split(notice.clone(), &policy, &all_labels()), &parts, "twice the same");
        let channels: Vec<&Option<String>> = parts.iter().map(|part| &part.channel).collect();
        prop_assert!(channels.windows(2).all(|pair| pair[0] < pair[1]), "in order, each once: {:?}", channels);

        let mut before: Vec<_> = notice.news.iter().flat_map(told).collect();
        let mut after: Vec<_> = parts.iter().flat_map(|part| &part.notice.news).flat_map(told).collect();
        before.sort();
        after.sort();
        prop_assert_eq!(before, after, "nothing is lost, nothing is doubled");

        let target = policy.for_target(notice.target.as_ref().unwrap());
        let ends = |news: &&News| matches!(news, News::NoLongerMonitored { whole_target: true, .. });
        for Part { channel, notice: of_part } in &parts {
            prop_assert!(!of_part.news.is_empty());
            prop_assert_eq!((&of_part.subject, of_part.counts), (&notice.subject, notice.counts));
            for (_, runner) in of_part.news.iter().flat_map(told) {
                let wanted = match runner {
                    Some(runner) => target.channel_for(&name(runner), &labels(runner)),
                    None => target.channel(),
                };
                prop_assert_eq!(channel.as_deref(), wanted);
            }
        }
        let of_target = parts.iter().find(|part| part.channel.as_deref() == target.channel());
        let told_there = of_target.map_or(0, |part| part.notice.news.iter().filter(ends).count());
        prop_assert_eq!(told_there, notice.news.iter().filter(ends).count(), "the end of the whole target");
    }
}

#[test]
fn what_concerns_no_target_goes_to_the_default() {
    let policy = policy(r##"{"targets":{"acme/web":{"channel":"#web"}}}"##);
    let unwatched = News::Unwatched { from: Timestamp::from_epoch_ms(0), until: Timestamp::from_epoch_ms(9) };
    let of_monitor =
        Notice { subject: Subject::Monitor, target: None, counts: Counts::default(), news: vec![unwatched.clone()] };
    assert_eq!(split(of_monitor.clone(), &policy, &BTreeMap::new()), [Part { channel: None, notice: of_monitor }]);
    let of_target = split(notice(vec![unwatched]), &policy, &BTreeMap::new());
    assert_eq!(of_target[0].channel.as_deref(), Some("#web"));
}

#[test]
fn without_its_labels_a_runner_goes_by_its_name_and_target() {
    let policy = policy(POLICIES[3]);
    // 5 is spot-5 with gpu, 6 is gpu-6 with gpu.
    let flaps = News::Flapping { runners: vec![flap(5), flap(6)] };
    let channels = |labels: &BTreeMap<RunnerId, Vec<String>>| {
        let parts = split(notice(vec![flaps.clone()]), &policy, labels);
        parts.into_iter().map(|part| part.channel.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(channels(&all_labels()), ["#gpu", "#spot"]);
    assert_eq!(channels(&BTreeMap::new()), ["", "#spot"]);
}
