//! Pools: runners that share labels, of which a minimum must be online.
//!
//! A pool is stored and evaluated like a runner. So its outages are confirmed, notified, reminded of, muted, routed and
//! recorded as those of runners are.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::status::RunnerId;

/// How many runners of a pool must be online.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Minimum {
    /// This many.
    Runners(u32),
    /// This part of the registered ones, in percent; rounded up, and at least one.
    Percent(u32),
}

impl Minimum {
    /// The number for a pool with this many registered runners.
    pub fn of(self, total: u32) -> u32 {
        match self {
            Minimum::Runners(count) => count,
            Minimum::Percent(percent) => {
                u32::try_from((u64::from(total) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX).max(1)
            }
        }
    }
}

/// Which alerts a pool sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolAlerts {
    /// One about the pool, and one about each of its runners.
    #[default]
    Each,
    /// Only about the pool: outages of its runners are recorded, but not notified.
    Pool,
}

/// Whose runners a pool counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolOver {
    /// Those of one target: each target has its own.
    #[default]
    Target,
    /// Those of all targets of a credential.
    Credential,
}

/// A pool as the policy describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolRule {
    /// The labels that a runner must have, as written.
    pub labels: Vec<String>,
    /// How many must be online.
    pub minimum: Minimum,
    /// Which alerts are sent.
    pub alerts: PoolAlerts,
    /// Whose runners count.
    pub over: PoolOver,
}

impl PoolRule {
    /// The name of the pool in messages.
    pub fn name(&self) -> String {
        format!("pool {}", self.labels.join(","))
    }

    /// The identity under which it is stored. Its labels in another order or case are the same pool.
    pub fn id(&self) -> RunnerId {
        id_of_labels("", &self.labels)
    }
}

/// Labels as a set: in one order and case, each once.
pub(crate) fn label_set(labels: &[String]) -> Vec<String> {
    let mut set: Vec<String> = labels.iter().map(|label| label.to_lowercase()).collect();
    set.sort_unstable();
    set.dedup();
    set
}

/// The identity of what is known by its labels, in any order and case; `kind` keeps different things with the same labels
/// apart.
pub(crate) fn id_of_labels(kind: &str, labels: &[String]) -> RunnerId {
    // FNV-1a. GitHub's ids have eight digits, and JavaScript reads integers below 2^53 exactly.
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = kind.bytes().chain(label_set(labels).join(",").bytes()).fold(0xcbf2_9ce4_8422_2325, mix);
    RunnerId((1 << 52) | (hash >> 12))
}

/// The runners of a pool at a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolCounts {
    /// Registered runners with its labels.
    pub total: u32,
    /// Those of them that are online.
    pub online: u32,
    /// How many must be online.
    pub wanted: u32,
}

impl PoolCounts {
    /// Whether enough are online.
    pub fn is_enough(self) -> bool {
        self.online >= self.wanted
    }
}

/// `1 of 4 online, at least 2 wanted`
impl fmt::Display for PoolCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, online, wanted } = self;
        write!(f, "{online} of {total} online, at least {wanted} wanted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minimum_in_percent_is_rounded_up() {
        for (percent, total, wanted) in [(50, 4, 2), (50, 5, 3), (1, 1, 1), (100, 7, 7), (50, 0, 1), (1, 9, 1)] {
            assert_eq!(Minimum::Percent(percent).of(total), wanted, "{percent} % of {total}");
        }
        assert_eq!(Minimum::Runners(2).of(0), 2);
    }

    #[test]
    fn a_pool_is_known_by_its_labels_in_any_order_and_case() {
        let rule = |labels: &[&str]| PoolRule {
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            minimum: Minimum::Runners(1),
            alerts: PoolAlerts::Each,
            over: PoolOver::Target,
        };
        assert_eq!(rule(&["gpu", "X64"]).id(), rule(&["x64", "GPU", "gpu"]).id());
        assert_ne!(rule(&["gpu"]).id(), rule(&["cpu"]).id());
        assert!((1 << 52..1 << 53).contains(&rule(&["gpu"]).id().0));
        assert_eq!(rule(&["gpu", "X64"]).name(), "pool gpu,X64");
    }
}
