//! The fleet as a whole, and one target.

use super::*;

impl Scene<'_> {
    pub(super) fn overview(&self, fleets: &[Fleet]) -> Vec<Part> {
        let targets = counted(fleets.len(), "target", "targets");
        if fleets.is_empty() {
            return vec![Part {
                brief: Line::of("nothing is on record yet"),
                lead: Line::of("Nothing is on record yet: the first tick of the schedule settles the list of targets."),
                ..part(Mark::Info, "No target is watched")
            }];
        }
        let counts = sum(fleets);
        let runners: Vec<(&Target, &Runner)> =
            fleets.iter().flat_map(|fleet| fleet.runners.iter().map(|runner| (&fleet.record.target, runner))).collect();
        let mut unwell: Vec<_> = runners.iter().filter(|(_, runner)| rank(runner) < Rank::Well).collect();
        unwell.sort_by_key(|(target, runner)| (rank(runner), since(runner), (*target).clone(), runner.id));
        let blind: Vec<&Fleet> = fleets.iter().filter(|fleet| fleet.record.failing.is_some()).collect();
        let mark = mark(&counts, unwell.is_empty() && blind.is_empty());
        let (title, lead) = (in_figures(&counts), self.lead(&counts, &runners));
        let mut parts = vec![Part {
            brief: Line::of(format!("in {targets}")),
            lead: lead.text(format!(", in {targets}.")),
            items: unwell.iter().take(MAX_UNWELL).map(|(target, runner)| self.line(Some(target), runner)).collect(),
            total: unwell.len(),
            ..part(mark, title)
        }];
        if !blind.is_empty() {
            parts.push(Part {
                lead: Line::of("What is told of them is as old as their last look."),
                items: blind.iter().take(MAX_LINES).map(|fleet| self.blind(fleet)).collect(),
                total: blind.len(),
                ..part(Mark::Alarm, format!("{} cannot be seen", counted(blind.len(), "target", "targets")))
            });
        }
        parts.push(self.in_single(fleets));
        parts
    }

    /// Targets in figures, those with trouble first.
    pub(super) fn in_single(&self, fleets: &[Fleet]) -> Part {
        let mut sorted: Vec<(&Fleet, Counts)> =
            fleets.iter().map(|fleet| (fleet, Counts::of(&fleet.runners))).collect();
        let order = |(fleet, counts): &(&Fleet, Counts)| {
            let is_well = counts.down == 0 && counts.online == counts.total && fleet.record.failing.is_none();
            (is_well, std::cmp::Reverse(counts.down), counts.total == 0, fleet.record.target.clone())
        };
        sorted.sort_by_key(order);
        let line = |(fleet, counts): &(&Fleet, Counts)| {
            let line = Line::default().name(&place(&fleet.record.target)).text(": ").text(figures(counts));
            let line = if fleet.record.failing.is_some() { line.text(", cannot be seen") } else { line };
            match fleet.seen_at() {
                Some(at) => line.text(format!(" · seen {}", ago(at, self.now))),
                None => line.text(" · not seen yet"),
            }
        };
        Part {
            lead: Line::of("More of one: ").command("/runner-status TARGET").text("."),
            items: sorted.iter().take(MAX_LINES).map(line).collect(),
            total: sorted.len(),
            ..part(Mark::Info, "By target")
        }
    }

    pub(super) fn target(&self, fleet: &Fleet) -> Vec<Part> {
        let target = &fleet.record.target;
        let counts = Counts::of(&fleet.runners);
        let mut runners: Vec<&Runner> = fleet.runners.iter().collect();
        runners.sort_by_key(|runner| (rank(runner), (rank(runner) < Rank::Well).then(|| since(runner)), &runner.name));
        let is_well = runners.iter().all(|runner| rank(runner) == Rank::Well) && fleet.record.failing.is_none();
        let named: Vec<(&Target, &Runner)> = runners.iter().map(|runner| (target, *runner)).collect();
        let (title, lead) = match (fleet.seen_at(), counts.total) {
            (None, 0) => ("not seen yet".to_owned(), Line::of("No look at it has succeeded yet.")),
            (_, 0) => ("no runners".to_owned(), Line::of("GitHub lists no runner of it.")),
            _ => (in_figures(&counts), self.lead(&counts, &named).text(".")),
        };
        let mut parts = vec![Part {
            brief: lead.clone(),
            lead,
            items: runners.iter().take(MAX_LINES).map(|runner| self.line(None, runner)).collect(),
            total: runners.len(),
            link: Some(Line::default().link("All runners on GitHub", self.web.runners_page(target))),
            ..part(mark(&counts, is_well), Line::default().name(&place(target)).text(": ").text(title))
        }];
        if fleet.record.failing.is_some() {
            let lead = self.blind(fleet).text(". What stands above is as old as the last look that succeeded.");
            parts.push(Part { lead, ..part(Mark::Alarm, "It cannot be seen") });
        }
        parts
    }
}
