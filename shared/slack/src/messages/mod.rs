//! All texts that people read. The forms lay them out and add only markup.
//!
//! GitHub knows only whether it can reach a runner, so a runner is "reported offline", never "down".

pub(crate) mod answers;
mod detail;
mod foresight;
pub(crate) mod help;
mod jobs;
mod monitor;
mod outages;
pub(crate) mod overrides;
mod runners;
mod weekly;

use monitor_domain::notifications::{Notification, NotificationItem};
use monitor_domain::outage::Outage;
use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetKind};
use monitor_pipeline::items::Acknowledgement;

use crate::document::{Document, Line, Mark, Section};
use crate::web::WebBase;

/// What `doctor --send-test` sends.
pub(crate) const TEST_MESSAGE: &str =
    "This is a test from GitHub Runner Monitor: alerts about self-hosted runners will appear here.";
/// The most items in a list; the rest is given as a number.
const MAX_ITEMS: usize = 20;
/// The most parts in a message: more than a notification about one target can have.
const MAX_PARTS: usize = 12;

/// A notification as a document, most urgent part first.
pub(crate) fn document(notification: &Notification, web: &WebBase) -> Document {
    let builder = MessageBuilder::of(notification, web);
    let parts: Vec<Section> = notification.items.iter().filter_map(|item| builder.part(item)).collect();
    Document {
        place: builder.target.as_ref().map_or_else(String::new, short_place),
        omitted: parts.len().saturating_sub(MAX_PARTS),
        parts: parts.into_iter().take(MAX_PARTS).collect(),
        footer: builder.footer(),
        ..Document::default()
    }
}

/// What is sent if Slack refuses a notification in both forms: nothing in it comes from a runner or from GitHub.
pub(crate) fn subject_only(document: &Document) -> String {
    let about = if document.place.is_empty() { String::new() } else { format!(" about {}", document.place) };
    format!(
        "GitHub Runner Monitor has an alert{about}, but Slack refuses its text. Run `runner-monitor status` or \
         /runner-status-all to see what happened."
    )
}

/// The first line of a message that is sent to the default channel in place of another.
pub(crate) fn diverted(channel: &str, reason: &str) -> Line {
    Line::of("This was for ").name(channel).text(", which accepts no messages: ").quote(reason)
}

/// An earlier message, updated: which outages have ended, and who acknowledged those still open.
pub(crate) fn live(
    outages: &[Outage],
    notification: &Notification,
    acknowledged: &[Acknowledgement],
    web: &WebBase,
) -> Document {
    let builder = MessageBuilder::of(notification, web);
    let are_queues = outages.iter().all(|outage| outage.waiting.is_some());
    let live = if are_queues { builder.live_queues(outages) } else { builder.live(outages) };
    Document {
        place: builder.target.as_ref().map_or_else(String::new, short_place),
        parts: vec![Section { advice: overrides::acknowledgement_line(outages, acknowledged), ..live }],
        footer: builder.target.as_ref().map(|target| match target.kind() {
            TargetKind::Pools => counted_over(target),
            _ => Line::default().name(&place(target)).text(" · ").link("All runners", web.runners_page(target)),
        }),
        ..Document::default()
    }
}

/// The context that all parts share.
struct MessageBuilder<'a> {
    notification: &'a Notification,
    target: Option<Target>,
    web: &'a WebBase,
}

impl<'a> MessageBuilder<'a> {
    fn of(notification: &'a Notification, web: &'a WebBase) -> Self {
        let by_id = || match &notification.subject {
            Subject::Target(id) => id.as_str().parse().ok(),
            Subject::Credential(_) | Subject::Monitor => None,
        };
        Self { notification, target: notification.target.clone().or_else(by_id), web }
    }

    /// What is said of an item; nothing of one that only edits earlier messages.
    fn part(&self, item: &NotificationItem) -> Option<Section> {
        Some(match item {
            NotificationItem::QueuesChanged { .. } => return None,
            NotificationItem::Unreachable { since, failure, targets } => self.unreachable(*since, failure, *targets),
            NotificationItem::Offline { outages } => self.offline(outages),
            NotificationItem::JobsWaiting { queues } => self.jobs_waiting(queues),
            NotificationItem::JobsStillWaiting { queues, raised_at } => self.jobs_still_waiting(queues, *raised_at),
            NotificationItem::JobsTaken { queues } => self.jobs_taken(queues),
            NotificationItem::MuteEnded { outages } => self.mute_ended(outages),
            NotificationItem::StillOffline { outages, raised_at, is_last } => {
                self.still_offline(outages, *raised_at, *is_last)
            }
            NotificationItem::RemovalNear { outages, raised_at } => self.removal_near(outages, *raised_at),
            NotificationItem::VersionEnding { version, ends_at, raised_at, runners } => {
                self.version_ending(version, *ends_at, *raised_at, runners)
            }
            NotificationItem::Removed { outages } => self.removed(outages),
            NotificationItem::Flapping { runners } => self.flapping(runners),
            NotificationItem::MonitoringStarts { outages } => self.monitoring_starts(outages),
            NotificationItem::Recovered { outages } => self.recovered(outages),
            NotificationItem::CameAndWent { outages } => self.came_and_went(outages),
            NotificationItem::Returned { runners } => self.returned(runners),
            NotificationItem::Calm { runners } => self.calm(runners),
            NotificationItem::ReachableAgain { since, until } => self.reachable_again(*since, *until),
            NotificationItem::NoLongerMonitored { outages, whole_target: true, again_since: Some(since) } => {
                self.monitored_again(outages, *since)
            }
            NotificationItem::NoLongerMonitored { outages, whole_target, .. } => {
                self.no_longer_monitored(outages, *whole_target)
            }
            NotificationItem::Expiring { expires_at, raised_at } => self.expiring(*expires_at, *raised_at),
            NotificationItem::EntriesUnresolved { entries } => self.entries_unresolved(entries),
            NotificationItem::EntriesResolved { entries } => monitor::entries_resolved(entries),
            NotificationItem::EmptyListRefused { kept } => monitor::empty_list_refused(*kept),
            NotificationItem::ListRestored { total } => monitor::list_restored(*total),
            NotificationItem::Unwatched { from, until } => monitor::unwatched(*from, *until),
            NotificationItem::WeekReported { report } => weekly::week_reported(report),
            NotificationItem::TargetsAdded { targets, total } => monitor::targets_added(targets, *total),
            NotificationItem::TargetsRemoved { targets, total } => monitor::targets_removed(targets, *total),
        })
    }

    /// The counts of the target's runners, and a link to its page.
    fn footer(&self) -> Option<Line> {
        let target = self.target.as_ref()?;
        if target.kind() == TargetKind::Pools {
            return Some(counted_over(target));
        }
        let counts = &self.notification.counts;
        let unknown = |item: &NotificationItem| {
            matches!(
                item,
                NotificationItem::Unreachable { .. }
                    | NotificationItem::NoLongerMonitored { whole_target: true, again_since: None, .. }
            )
        };
        let mut line = Line::default().name(&place(target));
        if !self.notification.items.iter().any(unknown) {
            let registered = counted(counts.total, "runner", "runners");
            let open = match counts.down {
                0 => "no open outage".to_owned(),
                open => counted(open, "open outage", "open outages"),
            };
            line = line.text(format!(": {registered} registered, {} online, {open}", counts.online));
        }
        Some(line.text(" · ").link("All runners", self.web.runners_page(target)))
    }

    /// The target's name, for titles that do not begin with it.
    fn its_name(&self) -> Line {
        self.target.as_ref().map_or_else(|| Line::of("a target"), |target| Line::default().name(&place(target)))
    }

    /// A link to the runner that had this outage.
    fn runner_link(&self, outage: &Outage, label: &'static str) -> Option<Line> {
        let target = self.target.as_ref().filter(|_| outage.is_of_runner())?;
        Some(Line::default().link(label, self.web.runner_page(target, outage.current_id)))
    }
}

/// The footer of messages about the pools of a credential, which have no runners of their own and no page on GitHub.
fn counted_over(pools: &Target) -> Line {
    Line::of("Counted over ").name(&place(pools))
}

/// A target's name within a sentence.
fn place(target: &Target) -> String {
    match target.kind() {
        TargetKind::Repository => target.as_str().to_owned(),
        TargetKind::Organization => format!("organization {}", target.name()),
        TargetKind::Enterprise => format!("enterprise {}", target.name()),
        TargetKind::Pools => match target.owner() {
            "token" => "all targets".to_owned(),
            account => format!("all targets of {account}"),
        },
    }
}

/// A target's name at the start of a title.
fn short_place(target: &Target) -> String {
    match target.kind() {
        TargetKind::Repository => target.as_str().to_owned(),
        TargetKind::Organization => target.name().to_owned(),
        TargetKind::Enterprise | TargetKind::Pools => place(target),
    }
}

/// `1 runner`, `2 runners`.
fn counted(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Line::of(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Line::of(text)
    }
}

fn part(mark: Mark, title: impl Into<Line>) -> Section {
    Section { mark, title: title.into(), ..Section::default() }
}
