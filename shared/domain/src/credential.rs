//! Failures and expiry of a credential. They affect all its targets, and are notified once instead of once per target.

use std::time::Duration;

use crate::change::{Change, Event};
use crate::fleet::{Counts, CredentialRecord, ExpiryWarning, Failing, TargetRecord};
use crate::observation::{CredentialReport, Fault, Outcome};
use crate::policy::Thresholds;
use crate::subject::{CredentialId, Subject};
use crate::time::Timestamp;
use crate::versions::{VersionRecord, known, with_answers};

/// The number of days before its expiry at which a token is warned of, soonest first.
const EXPIRY_WARNING_DAYS: [u32; 3] = [1, 3, 14];
/// The stage of an expired token: its expiry date has passed, and GitHub refuses it.
const EXPIRED: u32 = 0;
/// The time left that is reported for a token that GitHub still accepts after its expiry date.
const SOONEST_END: Duration = Duration::from_secs(60);

/// One atomic commit to a credential's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialCommit {
    /// The lock, the outbox and the history.
    pub change: Change,
    /// The credential's record at this revision.
    pub record: CredentialRecord,
}

/// Decides what the outcome of a check says about its credential; `None` if there is nothing to commit.
///
/// `targets_served` is the number of targets the credential serves, for the notification. A successful check, or a
/// fault of the target alone, shows that the credential works. `answers` are GitHub's answers about versions of the
/// target's runners. `now` is the present: a check may have started long
/// before another that has committed since.
pub fn reconcile_credential(
    record: &CredentialRecord,
    (started_at, outcome): (Timestamp, &Outcome),
    report: &CredentialReport,
    answers: &[VersionRecord],
    targets_served: u32,
    thresholds: &Thresholds,
    (now, nonce): (Timestamp, u64),
) -> Option<CredentialCommit> {
    let mut after = record.clone();
    let mut events = Vec::new();
    if !answers.is_empty() {
        after.versions = with_answers(&record.versions, answers, now);
        let is_new =
            |answer: &&VersionRecord| known(&record.versions, &answer.version).map(|old| old.end) != Some(answer.end);
        let changed = after.versions.iter().filter(|record| known(answers, &record.version).is_some()).filter(is_new);
        events.extend(
            changed.map(|VersionRecord { version, end, .. }| Event::VersionAnswered {
                version: version.clone(),
                end: *end,
            }),
        );
    }
    let failure = match outcome {
        Outcome::Partial(failure) | Outcome::Failed(failure) => {
            Some(failure).filter(|failure| failure.fault.is_shared())
        }
        Outcome::Complete { .. } | Outcome::Short { .. } => None,
    };
    match failure {
        Some(failure) => {
            let failing = after.failing.get_or_insert_with(|| {
                events.push(Event::ChecksFailing { failure: failure.clone() });
                Failing { since: started_at, failure: failure.clone(), unreachable: false, notified: false }
            });
            let has_lasted = started_at.since(failing.since) >= thresholds.unreachable_after;
            if !failing.notified && (has_lasted || failing.since.is_impossible(now)) {
                failing.unreachable = true;
                failing.notified = true;
                failing.failure = failure.clone();
                let (since, failure) = (failing.since, failure.clone());
                events.push(Event::BecameUnreachable { since, failure, targets: targets_served });
            }
        }
        // A check that started before the first failed one does not prove that the credential works again.
        None => {
            let is_over = |failing: &mut Failing| failing.since <= started_at || failing.since.is_impossible(now);
            if let Some(failing) = after.failing.take_if(is_over) {
                let (since, notified) = (failing.since, failing.notified);
                after.recovered_at = notified.then_some(started_at).or(after.recovered_at);
                events.push(Event::ReachableAgain { since, until: started_at, notified });
            }
        }
    }
    // An App's installation token lives for an hour and renews itself.
    if record.id == CredentialId::token() {
        let is_refused = failure.is_some_and(|failure| failure.fault == Fault::Credential);
        note_expiry(&mut after, report, is_refused, now, &mut events);
    }
    if events.is_empty() && after.versions == record.versions {
        return None;
    }
    after.revision = record.revision.next();
    let change = Change {
        subject: Subject::Credential(record.id.clone()),
        revision: after.revision,
        nonce,
        decided_at: now,
        observed_at: started_at,
        counts: Counts::default(),
        more: false,
        events,
    };
    if change.is_notifiable() {
        after.last_notifiable = after.revision;
    }
    Some(CredentialCommit { change, record: after })
}

impl CredentialRecord {
    /// Whether it explains why a target is unreachable at `at`: its own failure is notified, or has lasted about as
    /// long as the target's, so that its notification is imminent, or ended only just now. After a token is replaced,
    /// some checks still use the old one.
    pub fn explains(&self, target: &TargetRecord, at: Timestamp, thresholds: &Thresholds) -> bool {
        let Thresholds { unreachable_after, .. } = *thresholds;
        let failing = target.failing.as_ref();
        if let (Some(recovered_at), Some(failing)) = (self.recovered_at, failing)
            && failing.since < recovered_at
            && !at.has_waited(recovered_at, unreachable_after)
        {
            return true;
        }
        let Some(own) = &self.failing else { return false };
        own.notified || failing.is_none_or(|failing| own.since.since(failing.since) < unreachable_after / 2)
    }
}

/// Notes the stages of a token's expiry: 14, 3 and 1 days ahead, and 0 once it has expired. Each stage is notified at
/// most once per token, however the date moves: some servers compute a new date for each response.
fn note_expiry(
    after: &mut CredentialRecord,
    report: &CredentialReport,
    is_refused: bool,
    now: Timestamp,
    events: &mut Vec<Event>,
) {
    let given = after.expiry_warning;
    let is_another =
        |given: &ExpiryWarning| given.token.is_some() && report.token.is_some() && given.token != report.token;
    let another = given.is_some_and(|given| is_another(&given));
    let known = report.expires_at.or(given.filter(|_| is_refused && !another).map(|given| given.expires_at));
    let Some(known) = known else { return };
    let stage = match is_refused {
        true => (known <= now).then_some(EXPIRED),
        // A token that GitHub has just accepted has not expired, whatever the date says.
        false => EXPIRY_WARNING_DAYS
            .into_iter()
            .find(|&days| known.since(now) <= Duration::from_secs(u64::from(days) * 86_400)),
    };
    if is_refused && stage.is_none() {
        return;
    }
    // A replacement token has its later stages ahead of it again, but the stage that it is in counts as passed if the
    // old token had passed it. Otherwise a token that is replaced more often than a stage lasts would cause a warning
    // at each replacement.
    let passed = match given {
        Some(given) if another => stage.map(|stage| stage.max(given.days)),
        given => given.map(|given| given.days),
    };
    let due = stage.filter(|&stage| passed.is_none_or(|passed| stage < passed));
    let token = report.token.or(given.and_then(|given| given.token));
    if another {
        events.push(Event::TokenReplaced);
        after.expiry_warning = passed.map(|days| ExpiryWarning { expires_at: known, days, token });
    }
    if let Some(days) = due {
        let expires_at = if days == EXPIRED { known } else { known.max(now.plus(SOONEST_END)) };
        after.expiry_warning = Some(ExpiryWarning { expires_at: known, days, token });
        events.push(Event::CredentialExpiring { expires_at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Failure, Fault};

    const MINUTE: Duration = Duration::from_secs(60);

    fn start() -> Timestamp {
        Timestamp::from_epoch_ms(1_800_000_000_000)
    }

    fn refused() -> Outcome {
        Outcome::Failed(Failure::new(Fault::Credential, "GitHub refuses the token (401)"))
    }

    fn seen() -> Outcome {
        Outcome::Complete { pages: Vec::new(), lookups: Default::default() }
    }

    /// Applies checks to a credential; returns the events of each.
    fn checks(checks: &[(Duration, Outcome)]) -> Vec<Vec<Event>> {
        let mut record = CredentialRecord::new(CredentialId::token());
        let thresholds = Thresholds::default();
        let feed = |(after, outcome): &(Duration, Outcome)| {
            let at = start().plus(*after);
            let report = CredentialReport::default();
            let commit = reconcile_credential(&record, (at, outcome), &report, &[], 7, &thresholds, (at, 1));
            commit.map_or_else(Vec::new, |commit| {
                assert_eq!(commit.change.revision, record.revision.next());
                record = commit.record;
                commit.change.events
            })
        };
        checks.iter().map(feed).collect()
    }

    #[test]
    fn a_refused_token_is_notified_once_after_unreachable_after_and_once_when_it_works_again() {
        let events = checks(&[
            (Duration::ZERO, refused()),
            (5 * MINUTE, refused()),
            (15 * MINUTE, refused()),
            (20 * MINUTE, refused()),
            (25 * MINUTE, seen()),
            (30 * MINUTE, seen()),
        ]);
        assert!(matches!(events[0][..], [Event::ChecksFailing { .. }]));
        assert!(events[1].is_empty());
        assert!(matches!(events[2][..], [Event::BecameUnreachable { since, targets: 7, .. }] if since == start()));
        assert!(events[3].is_empty());
        assert!(matches!(events[4][..], [Event::ReachableAgain { notified: true, .. }]));
        assert!(events[5].is_empty());
    }

    #[test]
    fn a_credential_explains_failures_of_its_targets_at_about_the_same_time() {
        let failing = |since, notified| {
            Some(Failing { since, failure: Failure::new(Fault::Network, "no"), unreachable: notified, notified })
        };
        let mut credential = CredentialRecord::new(CredentialId::token());
        let mut target = TargetRecord::new("acme/web".parse().unwrap());
        target.failing = failing(start(), false);
        let explains_at = |credential: &CredentialRecord, at| credential.explains(&target, at, &Thresholds::default());
        let explains = |credential: &CredentialRecord| explains_at(credential, start().plus(20 * MINUTE));
        assert!(!explains(&credential), "it works");
        credential.failing = failing(start().plus(5 * MINUTE), false);
        assert!(explains(&credential), "another target failed a little later");
        credential.failing = failing(start().plus(10 * MINUTE), false);
        assert!(!explains(&credential), "other targets were checked successfully in between");
        credential.failing = failing(start().plus(10 * MINUTE), true);
        assert!(explains(&credential), "its failure is notified");

        credential.failing = failing(start().plus(31 * MINUTE), false);
        credential.recovered_at = Some(start().plus(30 * MINUTE));
        assert!(explains_at(&credential, start().plus(31 * MINUTE)), "checks with the old token may still be running");
        assert!(!explains_at(&credential, start().plus(45 * MINUTE)), "the others have been reachable for long");
        credential.recovered_at = Some(start());
        assert!(!explains_at(&credential, start().plus(31 * MINUTE)), "the target failed after the recovery");
    }

    #[test]
    fn only_the_end_of_a_notified_failure_counts_as_a_recovery() {
        let mut record = CredentialRecord::new(CredentialId::token());
        let mut check = |after, outcome: &Outcome| {
            let at = start().plus(after);
            let (report, thresholds) = (CredentialReport::default(), Thresholds::default());
            let commit = reconcile_credential(&record, (at, outcome), &report, &[], 1, &thresholds, (at, 1));
            record = commit.map_or_else(|| record.clone(), |commit| commit.record);
            record.recovered_at
        };
        assert_eq!(check(Duration::ZERO, &refused()), None);
        assert_eq!(check(5 * MINUTE, &seen()), None, "one target of several is refused at each check");
        assert_eq!(check(10 * MINUTE, &refused()), None);
        assert_eq!(check(25 * MINUTE, &refused()), None);
        assert_eq!(check(30 * MINUTE, &seen()), Some(start().plus(30 * MINUTE)));
        assert_eq!(check(35 * MINUTE, &refused()), Some(start().plus(30 * MINUTE)));
        assert_eq!(check(40 * MINUTE, &seen()), Some(start().plus(30 * MINUTE)));
    }

    #[test]
    fn a_targets_own_fault_shows_that_the_credential_works() {
        let not_found = Outcome::Failed(Failure::new(Fault::NotFound, "404"));
        let events = checks(&[(Duration::ZERO, refused()), (MINUTE, not_found.clone()), (2 * MINUTE, not_found)]);
        assert!(matches!(events[1][..], [Event::ReachableAgain { notified: false, .. }]));
        assert!(events[2].is_empty());
    }

    #[test]
    fn a_check_that_began_before_the_failed_one_does_not_prove_the_credential_works() {
        let events = checks(&[(2 * MINUTE, refused()), (MINUTE, seen()), (3 * MINUTE, seen())]);
        assert!(events[1].is_empty());
        assert!(matches!(events[2][..], [Event::ReachableAgain { notified: false, .. }]));
    }

    #[test]
    fn a_check_that_began_before_the_first_failed_one_neither_ends_nor_prolongs_the_failure() {
        let mut record = CredentialRecord::new(CredentialId::token());
        let (since, failure) = (start().plus(5 * MINUTE), Failure::new(Fault::Network, "no"));
        record.failing = Some(Failing { since, failure, unreachable: false, notified: false });
        for outcome in [seen(), refused()] {
            let (check, report, now) = ((start(), &outcome), CredentialReport::default(), start().plus(9 * MINUTE));
            assert_eq!(reconcile_credential(&record, check, &report, &[], 1, &Thresholds::default(), (now, 1)), None);
        }
    }

    #[test]
    fn an_expiring_token_is_notified_14_3_and_1_days_ahead() {
        let day = Duration::from_secs(86_400);
        let mut record = CredentialRecord::new(CredentialId::token());
        let report = CredentialReport { expires_at: Some(start().plus(30 * day)), ..Default::default() };
        let mut notified_on = Vec::new();
        for hours in 0..30 * 24 {
            let now = start().plus(Duration::from_secs(hours * 3_600));
            let check = (now, &seen());
            if let Some(commit) =
                reconcile_credential(&record, check, &report, &[], 1, &Thresholds::default(), (now, 1))
            {
                record = commit.record;
                notified_on.push(30 - hours / 24);
            }
        }
        assert_eq!(notified_on, [14, 3, 1]);
    }

    /// A credential whose token reports an expiry date at each check.
    struct Expiry {
        record: CredentialRecord,
    }

    impl Expiry {
        fn new() -> Self {
            Self { record: CredentialRecord::new(CredentialId::token()) }
        }

        fn check(
            &mut self,
            at: Timestamp,
            token: u64,
            expires_at: Option<Timestamp>,
            outcome: &Outcome,
        ) -> Vec<Timestamp> {
            let report = CredentialReport { token: Some(token), expires_at, ..Default::default() };
            let thresholds = Thresholds::default();
            let commit = reconcile_credential(&self.record, (at, outcome), &report, &[], 1, &thresholds, (at, 1));
            let Some(commit) = commit else { return Vec::new() };
            self.record = commit.record;
            let expiring = commit.change.events.iter().filter_map(|event| match event {
                Event::CredentialExpiring { expires_at } => Some(*expires_at),
                _ => None,
            });
            expiring.collect()
        }
    }

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn an_expiry_date_that_moves_is_notified_once_per_stage() {
        // The expiry date is now, in an hour, alternates between the two, and so on.
        let (hour, ten_days) = (Duration::from_secs(3_600), 10 * DAY);
        for (ahead, expected) in [
            (&[Duration::ZERO][..], 1),
            (&[hour], 1),
            (&[hour, Duration::ZERO], 1),
            (&[ten_days, hour, Duration::ZERO, 2 * DAY], 2),
            (&[30 * DAY, hour], 1),
            (&[ten_days, 2 * DAY, hour], 3),
        ] {
            let mut expiry = Expiry::new();
            let mut notified = 0;
            for number in 0..600 {
                let at = start().plus(5 * MINUTE * number);
                let end = at.plus(ahead[number as usize % ahead.len()]);
                for expires_at in expiry.check(at, 7, Some(end), &seen()) {
                    assert!(expires_at > at, "GitHub has just accepted it");
                    notified += 1;
                }
            }
            assert_eq!(notified, expected, "{ahead:?}");
        }
    }

    #[test]
    fn a_token_counts_as_expired_after_its_date_if_github_refuses_it() {
        let mut expiry = Expiry::new();
        let end = start().plus(DAY / 2);
        assert_eq!(expiry.check(start(), 7, Some(end), &seen()), [end]);
        assert!(expiry.check(start().plus(DAY / 4), 7, Some(end), &refused()).is_empty(), "refused for another reason");
        // A process started since knows the expiry date from the stored record alone.
        assert_eq!(expiry.check(start().plus(DAY), 7, None, &refused()), [end]);
        assert!(expiry.check(start().plus(DAY + MINUTE), 7, Some(end), &refused()).is_empty());
        assert!(
            expiry.check(start().plus(DAY + 2 * MINUTE), 8, None, &refused()).is_empty(),
            "nothing is known about another token"
        );
    }

    #[test]
    fn a_new_token_has_its_own_stages_but_frequent_replacement_is_not_notified_each_time() {
        let mut expiry = Expiry::new();
        let mut notified = Vec::new();
        // Each token lives for 30 days and is replaced when 2 are left.
        for day in 0..84 {
            let at = start().plus(DAY * day);
            let (token, end) = (u64::from(day / 28), start().plus(DAY * (day / 28 * 28 + 30)));
            notified.extend(expiry.check(at, token, Some(end), &seen()).iter().map(|_| day % 28));
        }
        assert_eq!(notified, [16, 27, 16, 27, 16, 27]);
        // Each token lives for an hour.
        let mut expiry = Expiry::new();
        let mut count = 0;
        for hour in 0..500 {
            let at = start().plus(12 * 5 * MINUTE * hour);
            count += expiry.check(at, u64::from(hour), Some(at.plus(12 * 5 * MINUTE)), &seen()).len();
        }
        assert_eq!(count, 1);
    }
}
