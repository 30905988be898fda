//! What GitHub will do: stop giving jobs to versions of the runner, and remove runners that stay offline.

use std::collections::BTreeMap;
use std::time::Duration;

use monitor_domain::fleet::Fleet;
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_web::text::{grouped, one_line};
use monitor_web::view::VersionEnds;

use crate::fleet_view::{Rows, View, cut_to};
use crate::local_time::minute;
use crate::table::{Tone, wrapped};

/// Removals that are further ahead are not listed.
const REMOVALS_AHEAD: Duration = Duration::from_secs(7 * 86_400);
/// The most runners named in one line.
const NAMED: usize = 3;

/// The versions that end and the removals that are near, soonest first.
#[derive(Debug, Default)]
pub(crate) struct Forecast {
    /// By end and version: the runners, each with its target.
    versions: BTreeMap<(Timestamp, String), Vec<String>>,
    /// Runners with the time of their removal at the earliest.
    removals: Vec<(Timestamp, String)>,
}

impl Forecast {
    /// The forecast for some fleets.
    pub(crate) fn of(fleets: &[Fleet], ends: &VersionEnds) -> Self {
        let mut forecast = Self::default();
        for fleet in fleets {
            for runner in fleet.runners.iter().filter(|runner| !runner.is_gone()) {
                let named = format!("{} {}", fleet.record.target, one_line(&runner.name));
                if let Some((version, at)) = runner.version.as_ref().and_then(|version| ends.get_key_value(version)) {
                    forecast.versions.entry((*at, one_line(version))).or_default().push(named.clone());
                }
                let removal = runner.open_outage().and_then(|outage| outage.removal()?.earliest);
                forecast.removals.extend(removal.map(|earliest| (earliest, named)));
            }
        }
        forecast.removals.sort();
        forecast
    }

    /// Whether a runner's version ends within this time, or has ended.
    pub(crate) fn has_version_ending_within(&self, ahead: Duration, now: Timestamp) -> bool {
        self.versions.keys().any(|(at, _)| at.since(now) <= ahead)
    }

    /// The lines below a table; empty if there is nothing to say.
    pub(crate) fn text(&self, view: View) -> String {
        let of_version = |((at, version), runners): (&(Timestamp, String), &Vec<String>)| {
            let when = if *at <= view.now {
                format!("ended on {}; GitHub gives it no more jobs", minute(*at))
            } else {
                format!("ends in {}, on {}", spoken_duration(at.since(view.now)), minute(*at))
            };
            format!("  version {version} {when}: {}", named(runners))
        };
        let is_near = |(at, _): &&(Timestamp, String)| view.rows == Rows::All || at.since(view.now) <= REMOVALS_AHEAD;
        let of_removal = |(at, runner): &(Timestamp, String)| {
            format!("  GitHub removes {runner} from {} on, unless it connects", minute(*at))
        };
        let removals = self.removals.iter().filter(is_near).map(of_removal);
        let lines = self.versions.iter().map(of_version).chain(removals);
        let mut lines: Vec<String> = lines.map(|line| wrapped(&line, 4, view.screen.width)).collect();
        if lines.is_empty() {
            return String::new();
        }
        cut_to(&mut lines, view.rows == Rows::All);
        let heading = Tone::Warning.paint("Ahead:", view.screen.colour);
        format!("\n{heading}\n{}\n", lines.join("\n"))
    }
}

fn named(runners: &[String]) -> String {
    match runners.len().saturating_sub(NAMED) {
        0 => runners.join(", "),
        more => format!("{} and {} more", runners[..NAMED].join(", "), grouped(more)),
    }
}

#[cfg(test)]
mod tests {
    use monitor_domain::observation::ObservedRunner;
    use monitor_domain::outage::{LastHealthy, Outage, OutageId, Peers, Visibility};
    use monitor_domain::runner::{Down, Health, Runner, RunnerId, Status};
    use monitor_domain::subject::Revision;

    use super::*;
    use crate::table::Screen;

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> Timestamp {
        "2026-11-29T12:00:00Z".parse().unwrap()
    }

    fn view(all: bool) -> View {
        View {
            now: now(),
            screen: Screen { colour: false, width: None },
            rows: if all { Rows::All } else { Rows::Fitting },
            just_checked: false,
        }
    }

    fn fleet(runners: u64) -> Fleet {
        let mut fleet = Fleet::unknown("acme/web".parse().unwrap());
        let runner = |id| {
            let observed = ObservedRunner {
                id: RunnerId(id),
                name: format!("web-{id}"),
                os: "linux".to_owned(),
                status: Status::Idle,
                busy: false,
                ephemeral: false,
                group_id: None,
                version: Some(if id == 5 { "2.337.0" } else { "2.336.0" }.to_owned()),
                labels: Vec::new(),
            };
            Runner::first_seen(&observed, true, now())
        };
        fleet.runners = (1..=runners).map(runner).collect();
        fleet
    }

    fn offline(runner: &mut Runner, days: u32) {
        runner.status = Status::Offline;
        let at = now().minus(DAY * days);
        let last_healthy = Some(LastHealthy { at, status: Status::Idle });
        let outage = Outage {
            id: OutageId(Revision(1)),
            runner_id: runner.id,
            current_id: runner.current_id,
            runner_name: runner.name.clone(),
            os: runner.os.clone(),
            version: runner.version.clone(),
            version_ended_at: None,
            lost_targets: None,
            ephemeral: false,
            pool: None,
            waiting: None,
            labels: Vec::new(),
            status: runner.status,
            in_job: false,
            job: None,
            started_at: at,
            confirmed_at: at,
            last_healthy,
            connected_at: None,
            peers: Peers::default(),
            visibility: Visibility::Alerted,
            resolved_at: None,
            ending: None,
        };
        runner.health = Health::Down(Box::new(Down::new(outage)));
    }

    #[test]
    fn versions_and_removals_are_listed_soonest_first() {
        let mut fleet = fleet(5);
        offline(&mut fleet.runners[0], 12);
        offline(&mut fleet.runners[1], 3);
        let ends = [("2.336.0".to_owned(), now().minus(DAY * 24)), ("2.337.0".to_owned(), now().plus(DAY * 6))];
        let forecast = Forecast::of(std::slice::from_ref(&fleet), &ends.into());
        let expected = [
            "",
            "Ahead:",
            "  version 2.336.0 ended on 2026-11-05 12:00 UTC; GitHub gives it no more jobs: \
             acme/web web-1, acme/web web-2, acme/web web-3 and 1 more",
            "  version 2.337.0 ends in 6 days, on 2026-12-05 12:00 UTC: acme/web web-5",
            "  GitHub removes acme/web web-1 from 2026-12-01 12:00 UTC on, unless it connects",
            "",
        ];
        assert_eq!(forecast.text(view(false)), expected.join("\n"));
        assert!(forecast.text(view(true)).contains("acme/web web-2 from 2026-12-10"), "--all lists every removal");
    }

    #[test]
    fn a_version_ends_within_a_time_from_its_last_moment_on() {
        let forecast = Forecast::of(&[fleet(1)], &[("2.336.0".to_owned(), now().plus(DAY * 14))].into());
        assert!(forecast.has_version_ending_within(DAY * 14, now()));
        assert!(!forecast.has_version_ending_within(DAY * 14 - Duration::from_millis(1), now()));
        let nothing = Forecast::of(&[fleet(5)], &VersionEnds::new());
        assert!(!nothing.has_version_ending_within(DAY * 300, now()));
        assert_eq!(nothing.text(view(true)), "");
    }
}
