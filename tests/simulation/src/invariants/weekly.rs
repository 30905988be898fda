//! The weekly report: once a week, in time, and about what was recorded.

use std::collections::BTreeSet;

use monitor_domain::change::{Change, Event};
use monitor_domain::notifications::NotificationItem;
use monitor_domain::subject::Subject;
use monitor_domain::weekly::WeeklyReport;

use super::{Examination, moment};
use crate::calendar::HOUR_MS;
use crate::calendar::scenario_ms;
use crate::record::Record;
use crate::targets::TARGETS;

const ONCE: &str = "a week is reported once";
const TRUE: &str = "a weekly report is about a week that has just ended, and counts what was recorded";
const IN_TIME: &str = "a week is reported in time";

/// The promise of scenarios with a weekly report.
pub(super) const WEEK_PROMISE: &str = "week that ends";

impl Examination<'_> {
    /// Checks the weekly reports. `list` has the changes of the monitor.
    pub(super) fn weeks(&mut self, records: &[Record], list: &[Change]) {
        let ends = self.model.week_ends();
        let mut reported = BTreeSet::new();
        for change in list {
            for event in &change.events {
                let Event::WeekReported { report } = event else { continue };
                let (until_ms, decided_ms) = (scenario_ms(report.until), scenario_ms(change.decided_at));
                let what = |why: String| format!("the week to {}, at {}: {why}", moment(until_ms), moment(decided_ms));
                if !ends.contains(&until_ms) || !self.model.may_report(until_ms, decided_ms) {
                    self.found(TRUE, what("it is not due".to_owned()));
                }
                if !reported.insert(until_ms) {
                    self.found(ONCE, what("it was committed before".to_owned()));
                }
                if let Err(why) = self.is_true(report, (until_ms, decided_ms), records) {
                    self.found(TRUE, what(why));
                }
            }
        }
        let monitor = &records[TARGETS.len() + 1];
        for until_ms in ends {
            let is_of_week = |item: &NotificationItem| matches!(item, NotificationItem::WeekReported { report } if scenario_ms(report.until) == until_ms);
            let taken = self.taken_of(&Subject::Monitor).into_iter();
            let taken_ms: Vec<i64> = taken
                .filter(|taken| taken.notification.items.iter().any(is_of_week))
                .map(|taken| taken.at_ms)
                .collect();
            if taken_ms.len() > 1 + monitor.uncertain().count() {
                self.found(ONCE, format!("the week to {} at {taken_ms:?}", moment(until_ms)));
            }
            let Some(by_ms) = self.model.reported_by(until_ms) else { continue };
            self.promised(WEEK_PROMISE);
            if !taken_ms.iter().any(|at_ms| *at_ms <= by_ms) {
                let what = format!("the week to {}: nothing by {}", moment(until_ms), moment(by_ms));
                self.found(IN_TIME, what);
            }
        }
    }

    /// Compares the numbers of a report with the outages that were recorded in the end.
    fn is_true(
        &self,
        report: &WeeklyReport,
        (until_ms, decided_ms): (i64, i64),
        records: &[Record],
    ) -> Result<(), String> {
        let from_ms = scenario_ms(report.from);
        let count = |places: &[usize], confirmed_by_ms: i64| {
            let outages = places.iter().flat_map(|place| &records[*place].outages);
            let of_week = outages.filter(|outage| {
                let is_over = outage.resolved_at.is_some_and(|at| scenario_ms(at) <= from_ms);
                outage.pool.is_none()
                    && !is_over
                    && scenario_ms(outage.started_at) < until_ms
                    && scenario_ms(outage.confirmed_at) <= confirmed_by_ms
            });
            of_week.count()
        };
        let all: Vec<usize> = (0..TARGETS.len()).collect();
        let sure: Vec<usize> = self.model.surely_monitored(until_ms, decided_ms).collect();
        // A target that was off the list for a while has no week before that.
        let whole: Vec<usize> = sure
            .iter()
            .copied()
            .filter(|place| self.model.was_always_listed(*place, (from_ms.max(0), decided_ms), true))
            .collect();
        let (fewest, most) = (count(&whole, until_ms - HOUR_MS), count(&all, i64::MAX));
        let outages = report.outages as usize;
        if report.unread == 0 && outages < fewest || outages > most {
            return Err(format!("{outages} outages, but {fewest} to {most} were recorded"));
        }
        let targets = report.targets as usize;
        if targets > TARGETS.len() || (report.unread == 0 && targets < sure.len()) {
            return Err(format!("{targets} targets, but {sure:?} were monitored"));
        }
        if report.down_secs > report.observed_secs {
            return Err(format!("down for {} s of {} s", report.down_secs, report.observed_secs));
        }
        Ok(())
    }
}
