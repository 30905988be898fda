//! The settings of the schedule stage.

use std::time::Duration;

use monitor_domain::policy::Policy;
use monitor_domain::target::TargetSpec;

/// The settings of the schedule stage.
#[derive(Clone, Debug)]
pub struct ScheduleSettings {
    /// The policy.
    pub policy: Policy,
    /// The configured list.
    pub configured: Vec<TargetSpec>,
    /// The time between two ticks.
    pub interval: Duration,
    /// How many requests a minute GitHub accepts with one credential, and so how many jobs may start; `None` if the
    /// process that sends the requests paces them itself.
    pub jobs_per_minute: Option<u32>,
    /// Whether a webhook reports workflow jobs: checks then ask GitHub about those that wait too long.
    pub jobs: bool,
}
