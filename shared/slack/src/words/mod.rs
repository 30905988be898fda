//! Every word that people are told. The forms lay them out and add none, but for the markup.
//!
//! GitHub knows only whether it can reach a runner, so it is "reported offline", never "down".

pub(crate) mod answers;
mod detail;
pub(crate) mod help;
mod monitor;
mod outages;
mod runners;
pub(crate) mod wishes;

use monitor_domain::notices::{News, Notice};
use monitor_domain::outage::Outage;
use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetKind};
use monitor_pipeline::items::Acknowledgement;

use crate::document::{Document, Line, Mark, Part};
use crate::web::WebBase;

/// What `doctor --send-test` sends.
pub(crate) const TEST_MESSAGE: &str =
    "This is a test from GitHub Runner Monitor: alerts about self-hosted runners will appear here.";
/// A list shows so many; the rest is a number.
const MAX_ITEMS: usize = 20;
/// More than a notice about one target can have.
const MAX_PARTS: usize = 12;

/// What a notice says, in order of urgency.
pub(crate) fn document(notice: &Notice, web: &WebBase) -> Document {
    let scene = Scene::of(notice, web);
    Document {
        place: scene.target.as_ref().map_or_else(String::new, short_place),
        parts: notice.news.iter().take(MAX_PARTS).map(|news| scene.part(news)).collect(),
        omitted: notice.news.len().saturating_sub(MAX_PARTS),
        footer: scene.footer(),
        ..Document::default()
    }
}

/// What is sent where Slack accepts a notification in neither form: nothing in it comes from a runner or from GitHub.
pub(crate) fn subject_only(document: &Document) -> String {
    let about = if document.place.is_empty() { String::new() } else { format!(" about {}", document.place) };
    format!(
        "GitHub Runner Monitor has an alert{about}, but Slack refuses its text. Run `runner-monitor status` or \
         /runner-status-all to see what happened."
    )
}

/// What stands at the head of a message that goes to the default channel in place of another.
pub(crate) fn diverted(channel: &str, reason: &str) -> Line {
    Line::of("This was for ").name(channel).text(", which accepts no messages: ").quote(reason)
}

/// What has become of the outages of an earlier message, and who looks after those that are open.
pub(crate) fn live(outages: &[Outage], notice: &Notice, acknowledged: &[Acknowledgement], web: &WebBase) -> Document {
    let scene = Scene::of(notice, web);
    Document {
        place: scene.target.as_ref().map_or_else(String::new, short_place),
        parts: vec![Part { advice: wishes::looked_after(outages, acknowledged), ..scene.live(outages) }],
        footer: scene.target.as_ref().map(|target| {
            Line::default().name(&place(target)).text(" · ").link("All runners", web.runners_page(target))
        }),
        ..Document::default()
    }
}

/// What every part needs to know.
struct Scene<'a> {
    notice: &'a Notice,
    target: Option<Target>,
    web: &'a WebBase,
}

impl<'a> Scene<'a> {
    fn of(notice: &'a Notice, web: &'a WebBase) -> Self {
        let by_id = || match &notice.subject {
            Subject::Target(id) => id.as_str().parse().ok(),
            Subject::Credential(_) | Subject::Monitor => None,
        };
        Self { notice, target: notice.target.clone().or_else(by_id), web }
    }

    fn part(&self, news: &News) -> Part {
        match news {
            News::Blind { since, failure, targets } => self.blind(*since, failure, *targets),
            News::Offline { outages } => self.offline(outages),
            News::MuteEnded { outages } => self.mute_ended(outages),
            News::StillOffline { outages, noticed_at, is_last } => self.still_offline(outages, *noticed_at, *is_last),
            News::Removed { outages } => self.removed(outages),
            News::Flapping { runners } => self.flapping(runners),
            News::MonitoringStarts { outages } => self.monitoring_starts(outages),
            News::Recovered { outages } => self.recovered(outages),
            News::CameAndWent { outages } => self.came_and_went(outages),
            News::Returned { runners } => self.returned(runners),
            News::Calm { runners } => self.calm(runners),
            News::SeesAgain { since, until } => self.sees_again(*since, *until),
            News::NoLongerMonitored { outages, whole_target: true, again_since: Some(since) } => {
                self.monitored_again(outages, *since)
            }
            News::NoLongerMonitored { outages, whole_target, .. } => self.no_longer_monitored(outages, *whole_target),
            News::Expiring { expires_at, noticed_at } => self.expiring(*expires_at, *noticed_at),
            News::EntriesUnresolved { entries } => self.entries_unresolved(entries),
            News::EntriesResolved { entries } => monitor::entries_resolved(entries),
            News::EmptyListRefused { kept } => monitor::empty_list_refused(*kept),
            News::ListRestored { total } => monitor::list_restored(*total),
            News::Unwatched { from, until } => monitor::unwatched(*from, *until),
            News::TargetsAdded { targets, total } => monitor::targets_added(targets, *total),
            News::TargetsRemoved { targets, total } => monitor::targets_removed(targets, *total),
        }
    }

    /// The target's runners in figures, and its page.
    fn footer(&self) -> Option<Line> {
        let target = self.target.as_ref()?;
        let counts = &self.notice.counts;
        let unknown = |news: &News| {
            matches!(news, News::Blind { .. } | News::NoLongerMonitored { whole_target: true, again_since: None, .. })
        };
        let mut line = Line::default().name(&place(target));
        if !self.notice.news.iter().any(unknown) {
            let registered = counted(counts.total, "runner", "runners");
            let open = match counts.down {
                0 => "no open outage".to_owned(),
                open => counted(open, "open outage", "open outages"),
            };
            line = line.text(format!(": {registered} registered, {} online, {open}", counts.online));
        }
        Some(line.text(" · ").link("All runners", self.web.runners_page(target)))
    }

    /// The target's name, where a title does not begin with it.
    fn its_name(&self) -> Line {
        self.target.as_ref().map_or_else(|| Line::of("a target"), |target| Line::default().name(&place(target)))
    }

    /// A link to the runner that had this outage.
    fn runner_link(&self, outage: &Outage, label: &'static str) -> Option<Line> {
        let target = self.target.as_ref()?;
        Some(Line::default().link(label, self.web.runner_page(target, outage.current_id)))
    }
}

/// A target as it is called in a sentence.
fn place(target: &Target) -> String {
    match target.kind() {
        TargetKind::Repository => target.as_str().to_owned(),
        TargetKind::Organization => format!("organization {}", target.name()),
        TargetKind::Enterprise => format!("enterprise {}", target.name()),
    }
}

/// A target at the head of a title.
fn short_place(target: &Target) -> String {
    match target.kind() {
        TargetKind::Repository => target.as_str().to_owned(),
        TargetKind::Organization => target.name().to_owned(),
        TargetKind::Enterprise => place(target),
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

fn part(mark: Mark, title: impl Into<Line>) -> Part {
    Part { mark, title: title.into(), ..Part::default() }
}
