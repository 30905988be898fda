//! The slash commands: names, arguments and descriptions. Help, parser and app manifest all follow this table.

/// A slash command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `/runner-status-all`
    StatusAll,
    /// `/runner-status`
    Status,
    /// `/runner-jobs`
    Jobs,
    /// `/runner-history`
    History,
    /// `/runner-recheck`
    Recheck,
    /// `/runner-mute`
    Mute,
    /// `/runner-unmute`
    Unmute,
    /// `/runner-dashboard`
    Dashboard,
    /// `/runner-help`
    Help,
}

impl Verb {
    /// All commands, in the order of the help.
    pub const ALL: [Verb; 9] = [
        Verb::StatusAll,
        Verb::Status,
        Verb::Jobs,
        Verb::History,
        Verb::Recheck,
        Verb::Mute,
        Verb::Unmute,
        Verb::Dashboard,
        Verb::Help,
    ];

    /// The command by its name, with or without the slash, in any case.
    pub fn from_name(name: &str) -> Option<Verb> {
        let name = name.trim().trim_start_matches('/');
        Self::ALL.into_iter().find(|verb| verb.name()[1..].eq_ignore_ascii_case(name))
    }

    /// Its name, with the slash.
    pub fn name(self) -> &'static str {
        match self {
            Verb::StatusAll => "/runner-status-all",
            Verb::Status => "/runner-status",
            Verb::Jobs => "/runner-jobs",
            Verb::History => "/runner-history",
            Verb::Recheck => "/runner-recheck",
            Verb::Mute => "/runner-mute",
            Verb::Unmute => "/runner-unmute",
            Verb::Dashboard => "/runner-dashboard",
            Verb::Help => "/runner-help",
        }
    }

    /// Its arguments; Slack shows them as a hint.
    pub fn arguments(self) -> &'static str {
        match self {
            Verb::StatusAll | Verb::Jobs => "[--public]",
            Verb::Status => "[TARGET or NAME or label] [--public]",
            Verb::History => "NAME [--public]",
            Verb::Recheck => "TARGET [--public]",
            Verb::Mute => "TARGET|NAME|label 2h [reason] [--public]",
            Verb::Unmute => "TARGET|NAME|label [--public]",
            Verb::Dashboard | Verb::Help => "",
        }
    }

    /// What it does, as help and the app manifest say it.
    pub fn what(self) -> &'static str {
        match self {
            Verb::StatusAll => "a summary of every target, and the runners that are unhealthy",
            Verb::Status => "one target, or all runners with a name or label",
            Verb::Jobs => "the jobs that wait for a runner, and why",
            Verb::History => "past and open outages of the runners with a name",
            Verb::Recheck => "check a target now, without waiting for the schedule",
            Verb::Mute => "pause alerts about these runners; their outages are still recorded",
            Verb::Unmute => "resume alerts about them",
            Verb::Dashboard => "a link to the page with all runners, for you alone",
            Verb::Help => "list these commands",
        }
    }

    /// An example.
    pub fn example(self) -> &'static str {
        match self {
            Verb::StatusAll => "/runner-status-all",
            Verb::Status => "/runner-status acme/web",
            Verb::Jobs => "/runner-jobs",
            Verb::History => "/runner-history build-7",
            Verb::Recheck => "/runner-recheck orgs/acme",
            Verb::Mute => "/runner-mute build-7 2h new disk",
            Verb::Unmute => "/runner-unmute build-7",
            Verb::Dashboard => "/runner-dashboard",
            Verb::Help => "/runner-help",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_and_example() {
        for verb in Verb::ALL {
            assert_eq!(Verb::from_name(verb.name()), Some(verb));
            let (name, _) = verb.example().split_once(' ').unwrap_or((verb.example(), ""));
            assert_eq!(name, verb.name());
        }
        assert_eq!(Verb::from_name(" Runner-Status "), Some(Verb::Status));
        assert_eq!(Verb::from_name("/runner"), None);
        assert_eq!(Verb::from_name(""), None);
    }
}
