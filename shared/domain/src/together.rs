//! Targets of one credential that lose all of their runners at about the same time, as in an incident at GitHub.

use std::time::Duration;

/// Losses are counted over two of these windows: the present one and the one before.
pub const LOSS_WINDOW: Duration = Duration::from_secs(600);
/// The most targets that are noted in a window.
pub const LOSSES_NOTED: u32 = 20;
/// With fewer targets, something that they share is as likely.
const FEWEST: u32 = 3;

/// Whether too many targets lost all of their runners for the cause to be single hosts: a tenth of the targets that the
/// credential serves, but at least 3, and 20 are enough.
pub fn are_many(lost: u32, served: u32) -> bool {
    lost >= (served / 10).clamp(FEWEST, LOSSES_NOTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_targets_is_many() {
        let fewest = |served| (0..=LOSSES_NOTED).find(|lost| are_many(*lost, served));
        let served = [0, 3, 30, 39, 40, 100, 200, 4_000];
        assert_eq!(served.map(fewest), [3, 3, 3, 3, 4, 10, 20, 20].map(Some));
    }
}
