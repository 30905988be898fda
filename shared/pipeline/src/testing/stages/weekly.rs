//! The weekly report: committed by one tick, sent once, from what is stored.

use monitor_domain::change::Event;
use monitor_domain::weekly::WeeklyReport;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The clock starts on a Friday at 08:00.
fn installation<S: Store>(store: &S) -> Installation<'_, S> {
    let mut this = Installation::new(store);
    let json = r#"{"failureThreshold":1,"successThreshold":1,"report":{"day":"friday","hour":9}}"#;
    let document = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}"));
    this.check.policy = Policy::new(document, &this.check.configured).unwrap_or_default();
    this.source.set(&web(), vec![runner(1, Status::Idle), runner(2, Status::Idle)]);
    this
}

fn reports(notified: &[Notification]) -> Vec<WeeklyReport> {
    let items = notified.iter().flat_map(|notification| &notification.items);
    items
        .filter_map(|item| match item {
            NotificationItem::WeekReported { report } => Some((**report).clone()),
            _ => None,
        })
        .collect()
}

/// Ticks and checks until a time, and returns the reports that were sent.
async fn run<S: Store>(this: &Installation<'_, S>, for_how_long: Duration, step: Duration) -> Vec<WeeklyReport> {
    let until = this.clock.now().plus(for_how_long);
    let mut sent = Vec::new();
    while this.clock.now() < until {
        this.clock.advance(step);
        this.tick().await;
        this.check(&web()).await;
        sent.extend(reports(&this.notify_all().await));
    }
    sent
}

pub(super) async fn a_week_is_reported_once_whatever_ticks<S: Store>(store: &S) {
    let this = installation(store);
    assert_eq!(run(&this, 20 * MINUTE, INTERVAL).await, []);
    this.source.set_status(&web(), 1, Status::Offline);
    assert_eq!(run(&this, 10 * MINUTE, INTERVAL).await, []);
    this.source.set_status(&web(), 1, Status::Idle);
    assert_eq!(run(&this, 25 * MINUTE, INTERVAL).await, []);

    // It is 08:55. A second scheduler ticks at the same time, and Slack's answer is awaited only later.
    let other = Installation { clock: this.clock.clone(), ..installation(store) };
    this.clock.advance(INTERVAL);
    this.tick().await;
    other.tick().await;
    let mut sent = reports(&this.notify_all().await);
    sent.extend(reports(&other.notify_all().await));
    let [report] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((report.targets, report.runners, report.outages, report.recovered), (1, 2, 1, 1));
    assert_eq!((report.until, report.recovery_secs), (this.clock.now(), 600));
    let [worst] = &report.worst_runners.shown[..] else { panic!("{report:?}") };
    assert_eq!((worst.name.as_str(), worst.down_secs, worst.outages), ("runner-1", 600, 1));
    assert!(report.observed_secs > 2 * 50 * 60 && report.down_secs == 600, "{report:?}");

    assert_eq!(run(&this, 6 * DAY, 6 * HOUR).await, []);
    let next = run(&this, 2 * DAY, 6 * HOUR).await;
    assert_eq!(next.iter().map(|next| (next.from, next.outages)).collect::<Vec<_>>(), [(report.until, 0)]);
    let changes = this.changes(&Subject::Monitor).await;
    let is_report = |event: &&Event| matches!(event, Event::WeekReported { .. });
    assert_eq!(changes.iter().flat_map(|change| &change.events).filter(is_report).count(), 2);
}

pub(super) async fn a_week_before_the_first_check_is_not_reported<S: Store>(store: &S) {
    let this = installation(store);
    this.clock.advance(2 * HOUR);
    assert_eq!(run(&this, 2 * HOUR, INTERVAL).await, [], "it was due an hour before the start");
    let unwanted = Installation { clock: this.clock.clone(), ..Installation::new(store) };
    assert_eq!(run(&unwanted, 8 * DAY, 6 * HOUR).await, [], "a policy without a report");
}

pub(super) async fn a_week_is_reported_up_to_a_day_late<S: Store>(store: &S) {
    let this = installation(store);
    run(&this, 10 * MINUTE, INTERVAL).await;
    this.clock.advance(DAY);
    let sent = run(&this, HOUR, INTERVAL).await;
    assert_eq!(sent.len(), 1, "the monitor did not run from Friday 08:10 to Saturday 08:10");
    this.clock.advance(7 * DAY + 2 * HOUR);
    assert_eq!(run(&this, HOUR, INTERVAL).await, [], "it did not run from one Saturday to the next");
}

pub(super) async fn a_target_that_cannot_be_read_is_missing_from_the_report<S: Store>(store: &S) {
    let mut this = installation(store);
    this.check.configured.push(TargetSpec::One(repository("other")));
    this.source.set(&repository("other"), vec![runner(7, Status::Idle)]);
    this.tick().await;
    this.check(&web()).await;
    this.check(&repository("other")).await;
    this.notify_all().await;
    this.store.spoil(Key::Target(repository("other").id().clone()));
    let sent = run(&this, HOUR, INTERVAL).await;
    assert_eq!(sent.iter().map(|report| (report.targets, report.unread)).collect::<Vec<_>>(), [(1, 1)]);
}

pub(super) async fn a_week_is_reported_once_a_target_can_be_read<S: Store>(store: &S) {
    let this = installation(store);
    assert_eq!(run(&this, 55 * MINUTE, INTERVAL).await, []);
    this.store.spoil(Key::Target(web().id().clone()));
    this.clock.advance(INTERVAL);
    this.tick().await;
    assert_eq!(reports(&this.notify_all().await), [], "nothing can be read when it is due");
    this.store.heal();
    let sent = run(&this, INTERVAL, INTERVAL).await;
    assert_eq!(sent.iter().map(|report| (report.targets, report.unread)).collect::<Vec<_>>(), [(1, 0)]);
}
