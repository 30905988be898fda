//! Availability, counted from what is stored.

mod support;

use std::time::Duration;

use monitor_domain::availability::{Availability, Span, Spans, TargetReport, report};
use monitor_domain::change::Event;
use monitor_domain::observation::{Fault, ObservedRunner};
use monitor_domain::outage::Outage;
use monitor_domain::runner::Status::{Idle, Offline};
use monitor_domain::unobserved::{absences, gaps};
use proptest::prelude::*;

use support::{History, at, failed_check, runner};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn span(from: u64, until: u64) -> Span {
    Span { from: at(from), until: at(until) }
}

/// The outages of a history, as they are recorded.
fn outages(history: &History) -> Vec<Outage> {
    let mut recorded: Vec<Outage> = Vec::new();
    for outage in history.changes.iter().flat_map(|change| &change.events).filter_map(Event::outage_event) {
        recorded.retain(|known| (known.runner_id, known.id) != (outage.runner_id, outage.id));
        recorded.push(outage.clone());
    }
    recorded
}

fn report_of(history: &History, span: Span) -> TargetReport {
    let absences: Vec<_> = absences(&history.changes).collect();
    report(&history.fleet, &outages(history), &Spans::of(gaps(&history.changes)), &absences, span)
}

#[test]
fn an_outage_counts_from_its_first_reading_to_its_first_healthy_one() {
    let mut history = History::watching("{}", &[runner(1, Idle), runner(2, Idle)]);
    for check in 1..=5 {
        history.see(check * 300, &[runner(1, Offline), runner(2, Idle)]);
    }
    for check in 6..=9 {
        history.see(check * 300, &[runner(1, Idle), runner(2, Idle)]);
    }
    let report = report_of(&history, span(0, 3_000));
    assert_eq!(report.runners[0].availability, Availability { observed: secs(3_000), down: secs(1_500) });
    assert_eq!(report.runners[1].availability, Availability { observed: secs(3_000), down: secs(0) });
    assert_eq!(report.availability.ratio(), Some(0.75));
    assert_eq!((report.outages, report.recovered, report.mean_time_to_recovery), (1, 1, Some(secs(1_500))));
    // A later window has only the rest of the outage, whose whole duration is its time to recovery.
    let later = report_of(&history, span(1_000, 3_000));
    assert_eq!(later.runners[0].availability, Availability { observed: secs(2_000), down: secs(800) });
    assert_eq!(later.mean_time_to_recovery, Some(secs(1_500)));
    let after = report_of(&history, span(2_000, 3_000));
    assert_eq!((after.outages, after.recovered, after.availability.ratio()), (0, 0, Some(1.0)));
}

#[test]
fn a_pool_is_reported_apart_from_the_runners() {
    let labelled = |status| ObservedRunner { labels: vec!["gpu".to_owned()], ..runner(1, status) };
    let policy = r#"{"pools":{"gpu":{"minimumOnline":1}},"failureThreshold":1,"successThreshold":1}"#;
    let mut history = History::watching(policy, &[labelled(Idle), runner(2, Idle)]);
    history.see(300, &[labelled(Offline), runner(2, Idle)]);
    history.see(900, &[labelled(Idle), runner(2, Idle)]);
    let report = report_of(&history, span(0, 1_200));
    assert_eq!((report.runners.len(), report.outages, report.recovered), (2, 1, 1));
    assert_eq!(report.availability, Availability { observed: secs(2_400), down: secs(600) });
    let [pool] = &report.pools[..] else { panic!("{report:?}") };
    assert_eq!((&*pool.name, pool.outages), ("pool gpu", 1));
    assert_eq!(pool.availability, Availability { observed: secs(1_200), down: secs(600) });
}

#[test]
fn what_was_not_observed_counts_neither_as_up_nor_as_down() {
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    for check in 1..=3 {
        history.see(check * 300, &[runner(1, Offline)]);
    }
    for check in 4..=6 {
        history.check(&failed_check(at(check * 300), Fault::Service));
    }
    let failing = report_of(&history, span(0, 2_000));
    assert_eq!(failing.unobserved, secs(800), "checks still fail");
    assert_eq!(failing.availability, Availability { observed: secs(1_200), down: secs(900) });
    history.see(2_100, &[runner(1, Idle)]);
    history.see(2_400, &[runner(1, Idle)]);
    let report = report_of(&history, span(0, 3_000));
    assert_eq!(report.unobserved, secs(900));
    assert_eq!(report.availability, Availability { observed: secs(2_100), down: secs(900) });
    let before = report_of(&history, span(1_200, 2_100));
    assert_eq!((before.availability.ratio(), before.unobserved), (None, secs(900)), "nothing was observed");
}

#[test]
fn a_runner_counts_while_it_is_registered() {
    let mut history = History::watching("{}", &[runner(1, Idle)]);
    history.see(600, &[runner(1, Idle), runner(2, Idle)]);
    for check in 3..=6 {
        history.see(check * 300, &[runner(2, Idle)]);
    }
    let report = report_of(&history, span(0, 3_000));
    let observed = |report: &TargetReport| -> Vec<Duration> {
        report.runners.iter().map(|runner| runner.availability.observed).collect()
    };
    assert_eq!(observed(&report), [secs(900), secs(2_400)]);
    // It is registered again.
    history.see(2_000, &[runner(2, Idle), support::runner(1, Idle)]);
    assert_eq!(observed(&report_of(&history, span(0, 3_000))), [secs(1_900), secs(2_400)]);
    // Nothing is known of the time before the first check, nor of a runner that never connected.
    let ahead = ObservedRunner { version: None, ..runner(3, Offline) };
    history.see(2_300, &[runner(2, Idle), runner(1, Idle), ahead]);
    let report = report_of(&history, Span { from: at(0).minus(secs(5_000)), until: at(3_000) });
    assert_eq!((report.from, observed(&report)), (at(0), vec![secs(1_900), secs(2_400)]));
}

proptest! {
    /// The union, the difference and the overlap of spans are those of the seconds that they contain.
    #[test]
    fn spans_are_sets_of_seconds(
        outage_starts in proptest::collection::vec((0_u64..90, 0_u64..40), 0..6),
        gap_starts in proptest::collection::vec((0_u64..90, 0_u64..40), 0..6),
        first_seen in 0_u64..60,
        from in 0_u64..50,
        length in 1_u64..60,
    ) {
        let mut history = History::new("{}");
        history.see(first_seen, &[runner(1, Idle)]);
        let sample = {
            let mut history = History::watching("{}", &[runner(1, Idle)]);
            (1..=3).for_each(|check| _ = history.see(check * 300, &[runner(1, Offline)]));
            outages(&history).remove(0)
        };
        let recorded: Vec<Outage> = (1..)
            .zip(&outage_starts)
            .map(|(id, (start, lasts))| Outage {
                id: monitor_domain::outage::OutageId(monitor_domain::subject::Revision(id)),
                started_at: at(*start),
                resolved_at: Some(at(start + lasts)),
                ..sample.clone()
            })
            .collect();
        let spans = |list: &[(u64, u64)]| Spans::of(list.iter().map(|(start, lasts)| span(*start, start + lasts)));
        let contains = |list: &[(u64, u64)], second: u64| {
            list.iter().any(|(start, lasts)| (*start..start + lasts).contains(&second))
        };
        let until = from + length;
        let report = report(&history.fleet, &recorded, &spans(&gap_starts), &[], span(from, until));
        let observed = (from.max(first_seen)..until).filter(|second| !contains(&gap_starts, *second));
        let down = observed.clone().filter(|second| contains(&outage_starts, *second)).count();
        let expected = Availability { observed: secs(observed.count() as u64), down: secs(down as u64) };
        prop_assert_eq!(report.availability, expected);
    }
}
