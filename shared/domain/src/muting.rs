//! Which mutes a person may set, and for how long.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::scope::Scope;

/// The longest mute that does not require an admin.
pub const LONGEST_WITHOUT_ADMIN: Duration = Duration::from_secs(86_400);

/// The lengths that a mute can have; anything else is a mistake.
pub const MUTE_LENGTHS: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(30 * 86_400);

/// The longest reason stored with a mute, in characters.
pub const MAX_REASON_CHARS: usize = 200;

/// What a person may mute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Anything: the settings name the person as an admin.
    Admin,
    /// One target, for at most [`LONGEST_WITHOUT_ADMIN`]: the settings name other people as admins.
    Member,
    /// At most [`LONGEST_WITHOUT_ADMIN`], and no pattern that covers more than one target: the settings name no admin.
    NoAdmins,
    /// Slack did not say whether the person is an admin.
    Unknown,
}

/// Why a mute is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MuteRefusal {
    /// The mute is longer than [`LONGEST_WITHOUT_ADMIN`].
    TooLong,
    /// The mute covers runners of more than one target, or all runners.
    TooWide,
    /// The mute requires an admin, and Slack did not say who is one.
    Unknown,
}

/// Whether a person may set this mute. `targets` is the number of targets in which it covers runners.
pub fn examine_mute(scope: &Scope, lasting: Duration, targets: usize, authority: Authority) -> Result<(), MuteRefusal> {
    let pattern = if let Scope::Named(name) = scope { name.as_str() } else { "" };
    let is_everything = !pattern.is_empty() && pattern.bytes().all(|b| matches!(b, b'*' | b'?'));
    let is_too_wide = match authority {
        Authority::Admin => return Ok(()),
        Authority::NoAdmins => is_everything || pattern.contains(['*', '?']) && targets > 1,
        Authority::Member | Authority::Unknown => is_everything || targets > 1,
    };
    let refusal = match (is_too_wide, lasting > LONGEST_WITHOUT_ADMIN) {
        (false, false) => return Ok(()),
        (true, _) => MuteRefusal::TooWide,
        (false, true) => MuteRefusal::TooLong,
    };
    Err(if authority == Authority::Unknown { MuteRefusal::Unknown } else { refusal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_an_admin() {
        let (hour, day) = (Duration::from_secs(3_600), LONGEST_WITHOUT_ADMIN);
        let named = |name: &str| Scope::Named(name.to_owned());
        let target = Scope::Target("acme/web".parse().unwrap());
        let longer = day + Duration::from_secs(1);
        let (long, wide) = (Err(MuteRefusal::TooLong), Err(MuteRefusal::TooWide));
        // Scope, duration, targets, then the result for a member if admins are named, and the result if none is.
        let cases = [
            (&target, hour, 1, Ok(()), Ok(())),
            (&target, day, 1, Ok(()), Ok(())),
            (&target, longer, 1, long, long),
            (&named("gpu"), hour, 1, Ok(()), Ok(())),
            (&named("gpu"), hour, 2, wide, Ok(())),
            (&named("gpu"), longer, 2, wide, long),
            (&named("gpu-*"), hour, 1, Ok(()), Ok(())),
            (&named("gpu-*"), hour, 2, wide, wide),
            (&named("gpu-?"), hour, 2, wide, wide),
            (&named("*"), hour, 1, wide, wide),
            (&named("**?"), hour, 0, wide, wide),
        ];
        for (scope, lasting, targets, member, nobody) in cases {
            let examine = |authority| examine_mute(scope, lasting, targets, authority);
            assert_eq!(examine(Authority::Member), member, "{scope} {lasting:?} {targets}");
            assert_eq!(examine(Authority::NoAdmins), nobody, "{scope} {lasting:?} {targets}");
            assert_eq!(examine(Authority::Admin), Ok(()));
            assert_eq!(examine(Authority::Unknown), member.map_err(|_| MuteRefusal::Unknown));
        }
    }
}
