//! Runners of a name or label, and what has been of them.

use super::*;

impl Scene<'_> {
    pub(super) fn runners(&self, asked: &str, fleets: &[Fleet]) -> Vec<Part> {
        let all = || fleets.iter().flat_map(|fleet| fleet.runners.iter().map(move |runner| (fleet, runner)));
        let mut found: Vec<(&Fleet, &Runner)> = all().collect();
        if let [(fleet, runner)] = found[..] {
            return vec![self.one(fleet, runner)];
        }
        found.sort_by_key(|(fleet, runner)| (rank(runner), &runner.name, &fleet.record.target, runner.id));
        let counts = Counts::of(found.iter().map(|(_, runner)| *runner));
        let title = Line::default().name(asked).text(": ").text(in_figures(&counts).replacen("runners ", "", 1));
        let named: Vec<(&Target, &Runner)> =
            found.iter().map(|(fleet, runner)| (&fleet.record.target, *runner)).collect();
        let targets = counted(fleets.len(), "target", "targets");
        let is_well = found.iter().all(|(_, runner)| rank(runner) == Rank::Well);
        let mut parts = vec![Part {
            brief: Line::of(format!("in {targets}")),
            lead: self.lead(&counts, &named).text(format!(", in {targets}.")),
            items: named.iter().take(MAX_LINES).map(|(target, runner)| self.line(Some(target), runner)).collect(),
            total: found.len(),
            ..part(mark(&counts, is_well), title)
        }];
        parts.extend(self.some_blind(fleets));
        parts
    }

    pub(super) fn one(&self, fleet: &Fleet, runner: &Runner) -> Part {
        let target = &fleet.record.target;
        let mark = match rank(runner) {
            Rank::Offline => Mark::Alarm,
            Rank::Gone | Rank::Doubtful | Rank::Flapping => Mark::Warning,
            Rank::Well => Mark::Good,
        };
        let mut facts = vec![
            fact("Labels", labels(&runner.labels, 10)),
            fact("System", system(&runner.os, runner.version.as_deref())),
            fact("First seen", Line::default().on(runner.first_seen_at)),
        ];
        if let Some(last) = runner.open_outage().and_then(|outage| outage.last_healthy) {
            facts.insert(0, fact("Last healthy", Line::default().on(last.at).text(format!(", {}", last.status))));
        }
        if runner.ephemeral {
            facts.push(fact("Kind", "ephemeral: leaves after one job"));
        }
        let status = self.status(runner);
        let lead = Line::default().name(&runner.name).text(" in ").name(&place(target)).text(": ").and(status.clone());
        let lead = match &fleet.record.failing {
            Some(_) => lead.text(". ").and(self.blind(fleet)).text("."),
            None => lead.text("."),
        };
        Part {
            brief: status,
            lead,
            facts,
            link: Some(
                Line::default().link("Open this runner on GitHub", self.web.runner_page(target, runner.current_id)),
            ),
            advice: vec![Line::of("What has been: ").command("/runner-history NAME")],
            ..part(mark, Line::default().name(&runner.name).text(format!(" {} in ", word(runner))).name(&place(target)))
        }
    }

    pub(super) fn history(
        &self,
        name: &str,
        outages: &[(Target, Outage)],
        total: usize,
        fleets: &[Fleet],
    ) -> Vec<Part> {
        let now: Vec<(&Target, &Runner)> =
            fleets.iter().flat_map(|fleet| fleet.runners.iter().map(|runner| (&fleet.record.target, runner))).collect();
        let open = outages.iter().filter(|(_, outage)| outage.is_open()).count();
        let title = match total {
            0 => "no outage on record".to_owned(),
            total => format!("{} on record", counted(total, "outage", "outages")),
        };
        let first = now
            .first()
            .map(|(target, runner)| Line::of("Now, in ").name(&place(target)).text(": ").and(self.status(runner)));
        let lead = match (&now[..], first) {
            ([_], Some(first)) => first.text("."),
            ([], _) | (_, None) => Line::of("No runner of this name is registered any more."),
            (several, _) => {
                let online = several.iter().filter(|(_, runner)| runner.status.is_healthy()).count();
                let targets = counted(fleets.len(), "target", "targets");
                Line::of(format!("{online} of {} such runners in {targets} online now.", several.len()))
            }
        };
        let lead = if total > 0 { lead.text(" Outages, the newest first:") } else { lead };
        let several = outages
            .iter()
            .any(|(target, outage)| *target != outages[0].0 || outage.runner_name != outages[0].1.runner_name);
        let line = |(target, outage): &(Target, Outage)| {
            let who = Line::default().name(&outage.runner_name).text(" in ").name(&place(target)).text(": ");
            if several { who } else { Line::default() }.and(self.outage(outage))
        };
        let mut parts = vec![Part {
            brief: lead.clone(),
            lead,
            items: outages.iter().take(MAX_LINES).map(line).collect(),
            total,
            ..part(
                if open > 0 { Mark::Alarm } else { Mark::Info },
                Line::default().name(name).text(format!(": {title}")),
            )
        }];
        parts.extend(self.some_blind(fleets));
        parts
    }

    /// One line about an outage.
    pub(super) fn outage(&self, outage: &Outage) -> Line {
        let in_job = if outage.in_job { ", in mid-job" } else { "" };
        let what = if outage.status == Status::Unknown { "not registered" } else { "offline" };
        let line = match (outage.resolved_at, outage.ending) {
            (Some(end), ending) => {
                let how = match ending {
                    Some(Ending::Removed) => ", then no longer registered",
                    Some(Ending::NoLongerMonitored) => ", then no longer monitored",
                    Some(Ending::Recovered) | None => "",
                };
                Line::default()
                    .on(outage.started_at)
                    .text(" to ")
                    .on(end)
                    .text(format!(": {what} for {}{how}", lasted(outage)))
            }
            _ => {
                let so_far = spoken_duration(self.now.since(outage.started_at));
                Line::default().on(outage.started_at).text(format!(": {what} for {so_far} so far"))
            }
        };
        line.text(in_job)
    }
}
