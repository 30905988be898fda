//! What people ask for: mutes, acknowledgements; and reminders, which both keep away.

mod support;

use monitor_domain::change::Step;
use monitor_domain::notices::{News, fold};
use monitor_domain::outage::Telling;
use monitor_domain::runner::Status;
use monitor_domain::scope::Scope;
use monitor_domain::subject::{Revision, Subject};
use support::{History, closed, opened, runner, target};

const QUICK: &str = r#"{"confirm":1,"recover":1,"remind":"1h","reminders":2}"#;
const HOUR: u64 = 3_600;

fn muted(name: &str) -> Vec<Scope> {
    vec![Scope::Named(name.to_owned())]
}

fn told(history: &History, after: u64) -> Vec<News> {
    let subject = Subject::from(&target());
    fold(&subject, None, Revision(after), &history.changes).notice.map_or_else(Vec::new, |notice| notice.news)
}

#[test]
fn a_muted_outage_is_recorded_and_neither_it_nor_its_end_is_told() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    history.wishes.muted = muted("runner-*");
    let steps = history.see(300, &[runner(1, Status::Offline)]);
    assert_eq!(opened(&steps)[0].telling, Telling::Muted);
    history.see(600, &[runner(1, Status::Offline)]);
    let steps = history.see(900, &[runner(1, Status::Idle)]);
    assert_eq!(closed(&steps)[0].telling, Telling::Muted);
    assert!(told(&history, 0).is_empty(), "{:?}", told(&history, 0));
}

#[test]
fn what_is_still_open_after_a_mute_is_told_then_and_so_is_its_end() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle), runner(2, Status::Idle)]);
    history.wishes.muted = muted("self-hosted");
    history.see(300, &[runner(1, Status::Offline), runner(2, Status::Offline)]);
    history.see(600, &[runner(1, Status::Offline), runner(2, Status::Idle)]);
    history.wishes.muted.clear();
    let steps = history.see(900, &[runner(1, Status::Offline), runner(2, Status::Idle)]);
    let [Step::MuteEnded { outage }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!((outage.runner_name.as_str(), outage.telling), ("runner-1", Telling::Alert));
    let news = told(&history, 0);
    assert!(matches!(&news[..], [News::MuteEnded { outages }] if outages == &[(**outage).clone()]), "{news:?}");
    let through = history.fleet.record.revision.0;
    history.see(1_200, &[runner(1, Status::Idle), runner(2, Status::Idle)]);
    assert!(matches!(&told(&history, through)[..], [News::Recovered { outages }] if outages.len() == 1));
    // Told after all that at once, it came and went.
    assert!(matches!(&told(&history, 0)[..], [News::CameAndWent { outages }] if outages.len() == 1));
}

#[test]
fn what_was_told_before_a_mute_is_ended_in_it() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    history.see(300, &[runner(1, Status::Offline)]);
    history.wishes.muted = vec![Scope::Target(target())];
    assert!(history.see(300 + 3 * HOUR, &[runner(1, Status::Offline)]).is_empty(), "no reminder in a mute");
    let steps = history.see(300 + 4 * HOUR, &[runner(1, Status::Idle)]);
    assert_eq!(closed(&steps)[0].telling, Telling::Alert);
}

#[test]
fn a_mute_keeps_flapping_and_removal_quiet_and_what_goes_on_flapping_is_told_after_it() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    history.wishes.muted = muted("runner-1");
    let mut secs = 0;
    let mut flap = |history: &mut History| {
        secs += 300;
        let mut steps = history.see(secs, &[runner(1, Status::Offline)]);
        secs += 300;
        steps.extend(history.see(secs, &[runner(1, Status::Idle)]));
        steps
    };
    for _ in 0..4 {
        flap(&mut history);
    }
    assert!(told(&history, 0).is_empty(), "{:?}", told(&history, 0));
    history.wishes.muted.clear();
    let started = |steps: &[Step]| steps.iter().any(|step| matches!(step, Step::FlappingStarted { muted: false, .. }));
    assert!(started(&flap(&mut history)));
    assert!(!started(&flap(&mut history)));
    assert!(matches!(&told(&history, 0)[..], [News::Flapping { runners }] if runners[0].outages == 5));

    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    history.wishes.muted = muted("runner-1");
    history.see(300, &[]);
    history.see(600, &[]);
    assert!(history.runner(1).is_gone());
    history.see(900, &[runner(1, Status::Idle)]);
    assert!(told(&history, 0).is_empty(), "{:?}", told(&history, 0));
}

#[test]
fn what_flaps_in_a_mute_and_is_down_at_its_end_is_told_then_and_once() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    let [down, well] = [Status::Offline, Status::Idle].map(|status| [runner(1, status)]);
    history.wishes.muted = muted("runner-1");
    for secs in [300, 900] {
        history.see(secs, &down);
        history.see(secs + 300, &well);
    }
    history.see(1_500, &down);
    assert!(told(&history, 0).is_empty(), "{:?}", told(&history, 0));
    history.wishes.muted.clear();
    let steps = history.see(1_800, &down);
    assert!(matches!(&steps[..], [Step::FlappingStarted { outages: 3, muted: false, .. }]), "{steps:?}");
    let through = history.fleet.record.revision.0;
    assert!(history.see(2_100, &down).is_empty());
    history.see(2_400, &well);
    history.see(2_700, &down);
    assert!(told(&history, through).is_empty(), "{:?}", told(&history, through));
    let reopened = history.see(2_700 + HOUR, &down);
    assert!(matches!(&reopened[..], [Step::OutageOpened { outage }] if outage.telling == Telling::Alert));
}

#[test]
fn what_was_told_to_flap_before_a_mute_and_stays_away_in_it_is_told_to_be_well_or_as_an_outage_after_it() {
    for is_back_in_the_mute in [true, false] {
        let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
        let [down, well] = [Status::Offline, Status::Idle].map(|status| [runner(1, status)]);
        for secs in [300, 900, 1_500] {
            history.see(secs, &down);
            history.see(secs + 300, &well);
        }
        let through = history.fleet.record.revision.0;
        assert!(told(&history, 0).iter().any(|news| matches!(news, News::Flapping { .. })));
        history.wishes.muted = muted("runner-1");
        for minutes in (35..75).step_by(5) {
            history.see(minutes * 60, &down);
        }
        assert!(told(&history, through).is_empty(), "{:?}", told(&history, through));
        if is_back_in_the_mute {
            history.see(80 * 60, &well);
            history.see(120 * 60, &well);
            assert!(matches!(&told(&history, through)[..], [News::Calm { .. }]));
        } else {
            history.wishes.muted.clear();
            history.see(80 * 60, &down);
            assert!(matches!(&told(&history, through)[..], [News::Offline { outages }] if outages.len() == 1));
        }
    }
}

#[test]
fn an_open_outage_is_reminded_of_as_often_as_the_policy_says() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    let down = [runner(1, Status::Offline)];
    history.see(300, &down);
    assert!(history.see(300 + HOUR - 1, &down).is_empty());
    let reminded = |steps: &[Step]| match steps {
        [Step::Reminded { is_last, .. }] => *is_last,
        other => panic!("{other:?}"),
    };
    assert!(!reminded(&history.see(300 + HOUR, &down)));
    assert!(history.see(600 + HOUR, &down).is_empty());
    let through = history.fleet.record.revision.0;
    assert!(reminded(&history.see(400 + 2 * HOUR, &down)));
    let news = told(&history, through);
    assert!(matches!(&news[..], [News::StillOffline { outages, is_last: true, .. }] if outages.len() == 1), "{news:?}");
    assert!(history.see(30 * HOUR, &down).is_empty());
    // Told late, the outage itself says everything.
    assert!(matches!(&told(&history, 0)[..], [News::Offline { .. }]));
    history.see(31 * HOUR, &[runner(1, Status::Idle)]);
    assert!(matches!(&told(&history, through)[..], [News::Recovered { .. }]));
}

#[test]
fn whoever_looks_after_an_outage_is_not_reminded_of_it_but_of_the_next() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    let down = [runner(1, Status::Offline)];
    let first = opened(&history.see(300, &down))[0].id;
    history.wishes.acknowledged.insert((history.runner(1).id, first));
    assert!(history.see(300 + 3 * HOUR, &down).is_empty());
    history.see(4 * HOUR, &[runner(1, Status::Idle)]);
    history.see(5 * HOUR, &down);
    assert!(matches!(&history.see(6 * HOUR, &down)[..], [Step::Reminded { .. }]));
}

#[test]
fn only_a_decision_that_tells_something_asks_what_people_want() {
    let mut history = History::watching(QUICK, &[runner(1, Status::Idle)]);
    assert!(!history.decide(&support::look(support::at(300), &[runner(1, Status::Busy)])).heeds_wishes());
    let down = support::look(support::at(300), &[runner(1, Status::Offline)]);
    assert!(history.decide(&down).heeds_wishes());
    history.look(&down);
    let still = |secs| support::look(support::at(secs), &[runner(1, Status::Offline)]);
    assert!(!history.decide(&still(600)).heeds_wishes());
    assert!(history.decide(&still(300 + HOUR)).heeds_wishes());
    let back = support::look(support::at(900), &[runner(1, Status::Idle)]);
    assert!(!history.decide(&back).heeds_wishes(), "the end of what was told is told in any case");
}
