//! What every scenario monitors.

/// The targets of every scenario. The last is the only repository of its account, is found by `late/*`, and does not
/// exist at the start.
pub const TARGETS: [&str; 4] = ["acme/web", "acme/api", "orgs/acme", "late/one"];
/// The index of the target that is found by its account.
pub const FOUND: usize = 3;

/// The index of a target in [`TARGETS`].
pub fn place_of(target: &str) -> Option<usize> {
    TARGETS.iter().position(|name| *name == target)
}
