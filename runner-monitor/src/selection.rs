//! The targets and runners that a command names.

use std::fmt;

use clap::Args;
use monitor_domain::target::{Target, TargetSpec, Written};
use wildmatch::WildMatch;

use crate::args::{parse_name, parse_target};

/// Which targets and runners of the store to show.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Selection {
    /// Only these targets and runners; `*` in a runner's name matches anything
    #[arg(value_name = "TARGET_OR_RUNNER", value_parser = parse_name)]
    names: Vec<Written>,
    /// Only this target
    #[arg(long, value_name = "TARGET", value_parser = parse_target)]
    target: Option<TargetSpec>,
    /// Only runners of this name; `*` matches anything
    #[arg(long, value_name = "NAME")]
    runner: Option<String>,
}

impl Selection {
    /// What all these names cover.
    pub(crate) fn of(names: Vec<Written>) -> Self {
        Self { names, ..Self::default() }
    }

    /// All targets and runners that the selection names.
    pub(crate) fn named(&self) -> Vec<Named> {
        let names = self.names.iter().map(|name| match name {
            Written::Spec(spec) => Named::Target(spec.clone()),
            Written::Name(name) => Named::Runner(name.clone()),
        });
        let flags =
            self.target.iter().cloned().map(Named::Target).chain(self.runner.iter().cloned().map(Named::Runner));
        names.chain(flags).collect()
    }

    /// Whether to show this runner of a target. Without a runner: whether to show the target itself.
    pub(crate) fn covers(&self, target: &Target, runner: Option<&str>) -> bool {
        let of = |name: &Written| match name {
            Written::Spec(spec) => Named::Target(spec.clone()),
            Written::Name(name) => Named::Runner(name.clone()),
        };
        let by_name = self.names.is_empty() || self.names.iter().any(|name| of(name).covers(target, runner));
        let by_target = self.target.as_ref().is_none_or(|spec| spec.covers(target));
        let by_runner = self.runner.as_ref().is_none_or(|name| Named::Runner(name.clone()).covers(target, runner));
        by_name && by_target && by_runner
    }

    /// Whether the selection names runners. A target without any of them then has nothing to show.
    pub(crate) fn is_by_runner(&self) -> bool {
        self.runner.is_some() || self.names.iter().any(|name| matches!(name, Written::Name(_)))
    }
}

/// One thing that a selection names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Target(TargetSpec),
    Runner(String),
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Target(spec) => spec.fmt(f),
            Named::Runner(name) => name.fmt(f),
        }
    }
}

impl Named {
    /// Whether it names this runner of this target. Without a runner: whether it names the target itself.
    pub(crate) fn covers(&self, target: &Target, runner: Option<&str>) -> bool {
        match (self, runner) {
            (Named::Target(spec), _) => spec.covers(target),
            (Named::Runner(pattern), Some(name)) => WildMatch::new_case_insensitive(pattern).matches(name),
            (Named::Runner(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    #[test]
    fn a_selection_names_targets_runners_or_both() {
        let of = |arguments: &[&str]| {
            let command = Selection::augment_args(clap::Command::new("history"));
            let matches = command.try_get_matches_from([&["history"], arguments].concat()).unwrap();
            Selection::from_arg_matches(&matches).unwrap()
        };
        let [web, api]: [Target; 2] = ["acme/web", "acme/api"].map(|name| name.parse().unwrap());
        for (arguments, expected) in [
            (&[][..], [true, true, true, true]),
            (&["acme/web"], [true, true, false, true]),
            (&["https://github.com/acme/web"], [true, true, false, true]),
            (&["build-*"], [true, true, true, false]),
            (&["BUILD-1"], [true, false, false, false]),
            (&["build-2", "acme/api"], [false, true, true, false]),
            (&["--target", "acme/web", "--runner", "build-*"], [true, true, false, false]),
            (&["--target", "acme/*"], [true, true, true, true]),
        ] {
            let selection = of(arguments);
            let covers = |target: &Target, runner: &str| selection.covers(target, Some(runner));
            let found =
                [covers(&web, "build-1"), covers(&web, "build-2"), covers(&api, "build-3"), covers(&web, "gpu")];
            assert_eq!(found, expected, "{arguments:?}");
        }
        assert!(of(&["build-1"]).is_by_runner() && !of(&["acme/web"]).is_by_runner());
    }
}
