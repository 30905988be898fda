//! The outages that are recorded, whether or not anybody is notified.

mod support;

use monitor_domain::recording::OutageRecords;
use monitor_domain::runner::Status::{Idle, Offline};
use monitor_domain::subject::Revision;
use support::{History, closed, opened, runner};

#[test]
fn an_outage_is_recorded_as_it_opened_and_then_as_it_ended() {
    let mut history = History::watching(r#"{"failureThreshold":1}"#, &[runner(1, Idle)]);
    let begin = opened(&history.see(300, &[runner(1, Offline)]))[0].clone();
    let records = OutageRecords::of(Revision(0), &history.changes);
    assert_eq!((records.opened, records.ended), (vec![begin.clone()], vec![]));
    assert_eq!(records.through, history.fleet.record.revision);

    history.see(600, &[runner(1, Idle)]);
    let end = closed(&history.see(900, &[runner(1, Idle)]))[0].clone();
    let both = OutageRecords::of(Revision(0), &history.changes);
    assert_eq!((both.opened, both.ended), (vec![], vec![end.clone()]), "only the end of the two is recorded");
    let later = OutageRecords::of(records.through, &history.changes);
    assert_eq!((&later.opened, &later.ended), (&vec![], &vec![end.clone()]));
    assert_eq!(later.over(vec![begin]), [end]);
}

#[test]
fn the_recorded_outages_do_not_depend_on_where_reading_starts() {
    let mut history =
        History::watching(r#"{"failureThreshold":1,"successThreshold":1}"#, &[runner(1, Idle), runner(2, Idle)]);
    for round in 0..6_u64 {
        let status = |bit: u64| if round >> bit & 1 == 0 { Offline } else { Idle };
        history.see(300 * (round + 1), &[runner(1, status(0)), runner(2, status(1))]);
    }
    let whole = OutageRecords::of(Revision(0), &history.changes).over(Vec::new());
    assert!(whole.len() >= 4, "{whole:?}");
    for cut in 0..=history.changes.len() {
        let (before, _) = history.changes.split_at(cut);
        let first = OutageRecords::of(Revision(0), before);
        let rest = OutageRecords::of(first.through, &history.changes);
        let recorded = rest.clone().over(first.over(Vec::new()));
        assert_eq!(recorded, whole, "recorded in two parts");
        let late = OutageRecords::of(Revision(0), before);
        assert_eq!(
            late.over(whole.clone()).iter().filter(|outage| outage.is_open()).count(),
            whole.iter().filter(|outage| outage.is_open()).count(),
            "late changes open nothing again"
        );
    }
}

#[test]
fn recording_waits_for_a_missing_change() {
    let mut history = History::watching(r#"{"failureThreshold":1,"successThreshold":1}"#, &[runner(1, Idle)]);
    history.see(300, &[runner(1, Offline)]);
    history.see(600, &[runner(1, Idle)]);
    let all = history.changes.clone();
    let gap = [all[0].clone(), all[2].clone()];
    let records = OutageRecords::of(Revision(0), &gap);
    assert_eq!((records.through, records.ended), (all[0].revision, vec![]));
}
