//! How many files and connections this process may open, and how many checks that allows.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// How many checks run at once: more than the 100 concurrent requests that GitHub allows, so that a request is always
/// ready when an answer arrives.
pub(crate) const CHECKS_AT_ONCE: usize = 150;
/// Descriptors needed besides the connections of checks: the store, logs, timers, Slack, the heartbeat.
const RESERVED: u64 = 40;

/// Raises the soft limit to the hard one. Returns how many checks may run at once, so that each has a connection; warns
/// if that is fewer than [`CHECKS_AT_ONCE`].
pub(crate) fn checks_at_once() -> usize {
    let limit = raise();
    let checks = checks_within(limit);
    if checks < CHECKS_AT_ONCE {
        let wanted = CHECKS_AT_ONCE as u64 + RESERVED;
        warn!(
            limit,
            checks,
            "too few file descriptors: fewer checks run at once; raise the hard limit to {wanted} or more (ulimit -Hn, LimitNOFILE=)"
        );
    }
    checks
}

/// Whether no further file or connection can be opened.
pub(crate) fn are_used_up() -> bool {
    let opened = std::fs::File::open("/dev/null").map_err(|error| error.raw_os_error());
    let used_up = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    opened.is_err_and(|error| used_up.contains(&error))
}

/// Raises the soft limit if it can; returns the limit in force.
fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current.unwrap_or(u64::MAX);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(error) => {
            warn!(%error, "the file descriptor limit was not raised");
            current.unwrap_or(u64::MAX)
        }
    }
}

fn checks_within(limit: u64) -> usize {
    let left = limit.saturating_sub(RESERVED).max(1);
    usize::try_from(left).unwrap_or(usize::MAX).min(CHECKS_AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_connection_and_there_is_always_one() {
        let checks = [0, RESERVED, 64, 190, 1_024, u64::MAX].map(checks_within);
        assert_eq!(checks, [1, 1, 24, 150, 150, 150]);
    }

    #[test]
    fn descriptors_are_not_used_up_here() {
        assert!(!are_used_up());
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let soft = hard.unwrap_or(u64::MAX).min(300);
        setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum: hard }).unwrap();
        assert_eq!(raise(), hard.unwrap_or(u64::MAX));
        assert_eq!(getrlimit(Resource::Nofile).current, hard);
    }
}
