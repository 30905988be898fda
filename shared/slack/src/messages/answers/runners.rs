//! Runners with a name or label, and their past outages.

use super::*;

impl AnswerBuilder<'_> {
    pub(super) fn runners(&self, asked: &str, fleets: &[Fleet]) -> Vec<Section> {
        let mut found: Vec<(&Fleet, &Runner)> = with_pools(fleets).collect();
        if let [(fleet, runner)] = found[..] {
            return self.some_unreachable(fleets).into_iter().chain([self.one(fleet, runner)]).collect();
        }
        found.sort_by_key(|(fleet, runner)| (rank(runner), &runner.name, &fleet.record.target, runner.id));
        let figures = self.figures_of(fleets);
        let title = Line::default().name(asked).text(": ").text(figures.title().replacen("runners ", "", 1));
        let is_well = found.iter().all(|(_, runner)| is_well(runner));
        let mut parts: Vec<Section> = self.some_unreachable(fleets).into_iter().collect();
        parts.push(Section {
            brief: figures.brief(),
            lead: figures.lead(),
            items: found.iter().take(MAX_LINES).map(|(fleet, runner)| self.line(fleet, runner, true)).collect(),
            total: found.len(),
            ..part(figures.mark(is_well), title)
        });
        parts
    }

    pub(super) fn one(&self, fleet: &Fleet, runner: &Runner) -> Section {
        let target = &fleet.record.target;
        let is_old = self.is_old(fleet);
        let mark = match rank(runner) {
            Rank::Offline => Mark::Alarm,
            Rank::Gone | Rank::Suspect | Rank::Flapping => Mark::Warning,
            Rank::Well if is_old => Mark::Warning,
            Rank::Well => Mark::Good,
        };
        let mut facts = vec![fact("Labels", labels(&runner.labels, 10))];
        if runner.is_one() {
            facts.push(fact("System", system(&runner.os, runner.version.as_deref())));
        }
        facts.push(fact("First seen", Line::default().on(runner.first_seen_at)));
        if let Some(last) = runner.open_outage().filter(|_| runner.is_one()).and_then(|outage| outage.last_healthy) {
            facts.insert(
                0,
                fact("Last healthy", Line::default().on(last.at).text(format!(" or later, {}", last.status))),
            );
        }
        if runner.ephemeral {
            facts.push(fact("Kind", "ephemeral: leaves after one job"));
        }
        if runner.is_pooled {
            facts.push(fact("Alerts", "about its pool only, by policy"));
        }
        if let Some(at) = fleet.version_ends_at(runner) {
            let (ends, then) = match at <= self.now {
                true => ("ended on ", "; GitHub gives it no more jobs"),
                false => ("ends on ", "; GitHub gives it no more jobs then"),
            };
            facts.push(fact("Version", Line::of(ends).on(at).text(then)));
        }
        if let Some(outage) = runner.open_outage().filter(|outage| outage.removal().is_some()) {
            facts.push(fact("GitHub removes it", removal(outage).text(", unless it connects")));
        }
        let status = self.status(runner, is_old);
        let last_known = if is_old { "last known: " } else { "" };
        let lead = Line::default().name(&runner.name).text(" in ").name(&place(target)).text(": ").text(last_known);
        Section {
            brief: Line::of(": ").and(status.clone()).text("."),
            lead: lead.and(status).text("."),
            facts,
            link: match runner.pool {
                Some(_) => self.runners_link(fleet),
                None => Some(
                    Line::default().link("Open this runner on GitHub", self.web.runner_page(target, runner.current_id)),
                ),
            },
            advice: vec![Line::of("Its outages: ").command("/runner-history NAME")],
            ..part(
                mark,
                Line::default()
                    .name(&runner.name)
                    .text(format!(" {last_known}{} in ", word(runner)))
                    .name(&place(target)),
            )
        }
    }

    /// A link to the runners of a target. No page of GitHub lists those of several targets.
    pub(super) fn runners_link(&self, fleet: &Fleet) -> Option<Line> {
        let page = || self.web.runners_page(&fleet.record.target);
        fleet.is_target().then(|| Line::default().link("All runners on GitHub", page()))
    }

    pub(super) fn history(
        &self,
        name: &str,
        outages: &[(Target, Outage)],
        total: usize,
        fleets: &[Fleet],
    ) -> Vec<Section> {
        let now: Vec<(&Fleet, &Runner)> = with_pools(fleets).collect();
        let open = outages.iter().filter(|(_, outage)| outage.is_open()).count();
        let title = match total {
            0 => "no outages".to_owned(),
            total => counted(total, "outage", "outages"),
        };
        let figures = self.figures_of(fleets);
        let as_of = if figures.is_old { "Last known, in " } else { "Now, in " };
        let first = now.first().map(|(fleet, runner)| {
            let status = self.status(runner, self.is_old(fleet));
            Line::of(as_of).name(&place(&fleet.record.target)).text(": ").and(status)
        });
        let lead = match (&now[..], first) {
            ([_], Some(first)) => first.text("."),
            ([], _) | (_, None) => Line::of("No runner with this name is registered any more."),
            _ => figures.lead(),
        };
        let lead = if total > 0 { lead.text(" Outages, newest first:") } else { lead };
        let several = outages
            .iter()
            .any(|(target, outage)| *target != outages[0].0 || outage.runner_name != outages[0].1.runner_name);
        let line = |(target, outage): &(Target, Outage)| {
            let who = Line::default().name(&outage.runner_name).text(" in ").name(&place(target)).text(": ");
            if several { who } else { Line::default() }.and(self.outage(outage))
        };
        let mut parts: Vec<Section> = self.some_unreachable(fleets).into_iter().collect();
        parts.push(Section {
            brief: Line::of(". ").and(lead.clone()),
            lead,
            items: outages.iter().take(MAX_LINES).map(line).collect(),
            total,
            ..part(
                if open > 0 { Mark::Alarm } else { Mark::Info },
                Line::default().name(name).text(format!(": {title}")),
            )
        });
        parts
    }

    /// One line about an outage.
    pub(super) fn outage(&self, outage: &Outage) -> Line {
        let what = match outage.status {
            _ if outage.pool.is_some() => "short of runners",
            Status::Unknown => "not registered",
            _ => "offline",
        };
        let before = Line::of(if began_unseen(outage) { "before " } else { "" });
        let line = match (outage.resolved_at, outage.ending) {
            (Some(end), ending) => {
                let how = match ending {
                    Some(Ending::Removed) if outage.was_removed_by_github() => ", then removed by GitHub",
                    Some(Ending::Removed) => ", then no longer registered",
                    Some(Ending::NoLongerMonitored) => ", then no longer monitored",
                    Some(Ending::Recovered) | None => "",
                };
                before.on(outage.started_at).text(" to ").on(end).text(format!(": {what} for {}{how}", lasted(outage)))
            }
            _ => {
                let so_far = lasted_until(outage, self.now);
                before.on(outage.started_at).text(format!(": {what} for {so_far} so far"))
            }
        };
        let reason = if outage.version_ended_at.is_some() { ", its version had ended" } else { "" };
        line.and(was_running_a_job(outage)).text(reason)
    }
}
