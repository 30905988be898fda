//! The fleet as a whole, and one target.

use super::*;

impl AnswerBuilder<'_> {
    pub(super) fn overview(&self, fleets: &[Fleet]) -> Vec<Section> {
        if fleets.is_empty() {
            return vec![Section {
                brief: Line::of(" yet: the first run of the schedule finds the targets."),
                lead: Line::of("Nothing is stored yet: the first run of the schedule finds the targets."),
                ..part(Mark::Info, "No target is monitored")
            }];
        }
        let mut unwell: Vec<(&Fleet, &Runner)> = with_pools(fleets).filter(|(_, runner)| !is_well(runner)).collect();
        unwell.sort_by_key(|(fleet, runner)| (rank(runner), since(runner), fleet.record.target.clone(), runner.id));
        let figures = self.figures_of(fleets);
        let mut parts: Vec<Section> = self.some_unreachable(fleets).into_iter().collect();
        parts.push(Section {
            brief: figures.brief(),
            lead: figures.lead(),
            items: unwell.iter().take(MAX_UNWELL).map(|(fleet, runner)| self.line(fleet, runner, true)).collect(),
            total: unwell.len(),
            ..part(figures.mark(unwell.is_empty()), capitalized(&figures.title()))
        });
        parts.push(self.in_single(fleets));
        parts
    }

    /// One line of counts for each target, those with problems first.
    pub(super) fn in_single(&self, fleets: &[Fleet]) -> Section {
        let mut sorted: Vec<(&Fleet, Counts)> =
            fleets.iter().filter(|fleet| fleet.is_target()).map(|fleet| (fleet, Counts::of(&fleet.runners))).collect();
        let order = |(fleet, counts): &(&Fleet, Counts)| {
            let has_problem = is_unreachable(fleet) || !fleet.pools_and_runners().all(is_well);
            (!has_problem, std::cmp::Reverse(counts.down), counts.total == 0, fleet.record.target.clone())
        };
        sorted.sort_by_key(order);
        let line = |(fleet, counts): &(&Fleet, Counts)| {
            let line = Line::default().name(&place(&fleet.record.target)).text(": ").text(figures(counts));
            let line = if is_unreachable(fleet) { line.text(" when last checked; not monitored now") } else { line };
            match fleet.seen_at() {
                Some(at) => line.text(format!(" · as of {}", ago(at, self.now))),
                None => line.text(" · not checked yet"),
            }
        };
        Section {
            lead: Line::of("For one of them: ").command("/runner-status TARGET").text("."),
            items: sorted.iter().take(MAX_LINES).map(line).collect(),
            total: sorted.len(),
            ..part(Mark::Info, "By target")
        }
    }

    pub(super) fn target(&self, fleet: &Fleet) -> Vec<Section> {
        let target = &fleet.record.target;
        let counts = Counts::of(&fleet.runners);
        let mut runners: Vec<&Runner> = fleet.pools_and_runners().collect();
        runners.sort_by_key(|runner| (rank(runner), (!is_well(runner)).then(|| since(runner)), &runner.name));
        let is_well = runners.iter().all(|runner| is_well(runner));
        let figures = self.figures_of(std::slice::from_ref(fleet));
        let (title, lead) = match (fleet.seen_at(), counts.total) {
            _ if !fleet.is_target() => {
                let counted = Line::of("Its pools count the runners of all of these targets.");
                let lead = match &fleet.record.failing {
                    None => counted,
                    Some(failing) => {
                        counted.text(" What is shown is older, because ").quote(&failing.failure.detail).text(".")
                    }
                };
                (super::super::counted(fleet.pools.len(), "pool", "pools"), lead)
            }
            (None, 0) => ("not checked yet".to_owned(), Line::of("No check of it has succeeded yet.")),
            (_, 0) if figures.is_old => {
                ("last known: no runners".to_owned(), Line::of("When last checked, GitHub listed no runners."))
            }
            (_, 0) => ("no runners".to_owned(), Line::of("GitHub lists no runners for it.")),
            _ => (figures.title(), figures.lead()),
        };
        let mut parts: Vec<Section> = self.some_unreachable(std::slice::from_ref(fleet)).into_iter().collect();
        parts.push(Section {
            brief: Line::of(". ").and(lead.clone()),
            lead,
            items: runners.iter().take(MAX_LINES).map(|runner| self.line(fleet, runner, false)).collect(),
            total: runners.len(),
            link: self.runners_link(fleet),
            ..part(figures.mark(is_well), Line::default().name(&place(target)).text(": ").text(title))
        });
        parts
    }
}
