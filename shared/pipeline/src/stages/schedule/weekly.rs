//! The weekly report: made from the store by the first tick after it is due, and committed like every other event.

use std::time::Duration;

use futures_util::future::join_all;
use monitor_domain::availability::Span;
use monitor_domain::subject::Subject;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_domain::watchlist::{Watchlist, report_week};
use monitor_domain::weekly::{ReportBuilder, WeeklyReport};
use tracing::{info, warn};

use super::{READS_AT_ONCE, Schedule};
use crate::history::{TargetHistory, Unobserved};
use crate::items::Item;
use crate::messages::StateChange;
use crate::ports::{Clock, RunnerSource, Sender, Store, StoreError};
use crate::records::{self, Backlog, Committed, StoredMonitor};
use crate::stages::{Stopwatch, announce};

/// How long a tick reads histories. A Lambda has a minute for the whole tick.
const READ_FOR: Duration = Duration::from_secs(20);

impl<St: Store, Gh: RunnerSource, Jobs: Sender, Changes: Sender, Cl: Clock> Schedule<'_, St, Gh, Jobs, Changes, Cl> {
    /// Commits the report of a week if it is due. `list` is the list of targets as this tick left it. If another tick
    /// commits first, the next one finds out whether the report is still due.
    pub(super) async fn report_week(
        &self,
        list: &Watchlist,
        monitor: &StoredMonitor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let due = self.settings.policy.report().and_then(|time| time.due(list.reported_until, now));
        let Some(week) = due else { return Ok(()) };
        let report = self.read_week(list, monitor, week).await?;
        if let Some(WeeklyReport { targets: 0, unread, .. }) = report {
            warn!(unread, "no target could be read for the weekly report: the next tick tries again");
            return Ok(());
        }
        let (list, change) = report_week(list, week.until, report, (self.clock.now(), self.clock.random()));
        let message = StateChange::of(Subject::Monitor, list.revision, &change.events);
        let is_notifiable = change.is_notifiable();
        let last = Backlog::from(&list).last();
        if records::commit(self.store, self.clock, change, vec![Item::Watchlist(list)]).await? == Committed::Lost {
            info!("another tick committed first: the next one finds out whether the weekly report is due");
        } else if is_notifiable && let Err(error) = announce(self.changes, &message, last, now).await {
            // The next tick sends another one.
            warn!(%error, "the state-change message about the weekly report was not sent");
        }
        Ok(())
    }

    /// Reads the history of every target, as far as time allows.
    async fn read_week(
        &self,
        list: &Watchlist,
        monitor: &StoredMonitor,
        week: Span,
    ) -> Result<Option<WeeklyReport>, StoreError> {
        let stopwatch = Stopwatch::start(self.clock);
        let unobserved = Unobserved::read(self.store, monitor, self.clock.now()).await?;
        let versions = records::read_versions(self.store, list.targets.iter()).await?.into_iter();
        let ends = versions.filter_map(|(version, record)| Some((version, record.ends_at()?))).collect();
        let mut report = ReportBuilder::new(week, Some(self.settings.interval));
        let checked: Vec<&Target> = list.checked().collect();
        for together in checked.chunks(READS_AT_ONCE) {
            if stopwatch.elapsed(self.clock) >= READ_FOR {
                together.iter().for_each(|_| report.leave_out());
                continue;
            }
            let reads = together.iter().map(|target| TargetHistory::read(self.store, target, &unobserved, week.from));
            for (target, read) in together.iter().zip(join_all(reads).await) {
                match read {
                    Ok(history) => report.add(&history.fleet, &history.report(week)),
                    Err(error @ StoreError::Unreadable { .. }) => {
                        warn!(target_id = %target, %error, "a target is missing from the weekly report");
                        report.leave_out();
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(report.finish(&ends))
    }
}
