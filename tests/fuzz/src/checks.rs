//! A target's history from arbitrary lists of GitHub: all decisions on them must be consistent.

use std::collections::{BTreeMap, BTreeSet};

use monitor_domain::change::{Change, Event};
use monitor_domain::decision::Handled;
use monitor_domain::fleet::Fleet;
use monitor_domain::notifications::pending_notification;
use monitor_domain::observation::{
    Failure, Fault, Lookup, Observation, ObservedPage, ObservedRunner, Outcome, PageTag,
};
use monitor_domain::overrides::Overrides;
use monitor_domain::policy::Policy;
use monitor_domain::reconcile::{OfCredential, drop_target, lookups_wanted, reconcile};
use monitor_domain::runner::{Health, RunnerId};
use monitor_domain::subject::{Revision, Subject};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_github::fuzzing::{Content, Question, read};
use monitor_pipeline::ports::Form;
use monitor_slack::{WebBase, render};

use crate::text_checks::parts;

const MAX_ITEMS: usize = 8;

/// Each part of the input is one check, a minute after the one before: bodies of pages, one per line. A check with an
/// unreadable line has failed. Each missing runner is looked up and not found.
pub(crate) fn checks(input: &[u8]) {
    let target: Target = "acme/web".parse().unwrap();
    let policy = Policy::default();
    let policy = policy.for_target(&target);
    let mut fleet = Fleet::unknown(target.clone());
    let mut changes: Vec<Change> = Vec::new();
    let (mut names, mut keep_their_names) = (BTreeMap::new(), true);
    let mut at = Timestamp::from_epoch_ms(1_800_000_000_000);
    for part in parts(input).into_iter().take(40) {
        at = at.plus(std::time::Duration::from_secs(60));
        let observation = Observation::of(at, outcome(&fleet, part));
        let decision = reconcile(&fleet, &observation, &policy, &Overrides::default(), OfCredential::default(), at);
        assert_eq!(
            decision,
            reconcile(&fleet, &observation, &policy, &Overrides::default(), OfCredential::default(), at),
            "the same check leads to the same decision"
        );
        if matches!(observation.outcome, Outcome::Failed(_)) {
            assert!(!decision.all_events().any(opens_or_closes), "a failed check opened or closed an outage");
        }
        commit(&mut fleet, &mut changes, decision.commits(7, MAX_ITEMS, Handled::default()));
        if let Outcome::Complete { pages, .. } = &observation.outcome {
            keep_their_names &= pages.iter().flat_map(runners).all(|runner| {
                let name = names.entry(runner.id).or_insert_with(|| runner.name.clone());
                *name == runner.name
            });
        }
        // GitHub runners cannot be renamed. If a name moves to another id, the result depends on earlier checks.
        if keep_their_names {
            let again = reconcile(&fleet, &observation, &policy, &Overrides::default(), OfCredential::default(), at);
            assert!(!again.all_events().any(opens_or_closes), "the same check repeated opened or closed an outage");
        }
    }
    let dropped = drop_target(&fleet, at).commits(7, MAX_ITEMS, Handled::default());
    commit(&mut fleet, &mut changes, dropped);
    assert!(fleet.runners.iter().all(|runner| runner.open_outage().is_none()), "an outage is open in a dropped target");
    check_notifications(&target, &changes);
}

fn outcome(fleet: &Fleet, part: &[u8]) -> Outcome {
    let bodies = part.split(|&byte| byte == b'\n').filter(|body| !body.is_empty());
    let pages: Option<Vec<ObservedPage>> = bodies.map(page).collect();
    match pages {
        Some(pages) if !pages.is_empty() => {
            let wanted = lookups_wanted(fleet, &pages);
            assert!(wanted.len() <= 20, "more lookups than a check may make");
            Outcome::Complete { pages, lookups: wanted.into_iter().map(|id| (id, Lookup::NotFound)).collect() }
        }
        _ => Outcome::Failed(Failure::new(Fault::BrokenAnswer, "no list of runners")),
    }
}

fn page(body: &[u8]) -> Option<ObservedPage> {
    let Ok(Content::Runners(_, runners)) = read(Question::Runners, body) else { return None };
    let runner_ids = runners.iter().map(|runner| runner.id).collect();
    Some(ObservedPage::Fresh { tag: PageTag { etag: None, given_to: "token".to_owned(), runner_ids }, runners })
}

fn runners(page: &ObservedPage) -> &[ObservedRunner] {
    if let ObservedPage::Fresh { runners, .. } = page { runners } else { &[] }
}

/// Applies commits as a store does, and checks what the store relies on.
fn commit(fleet: &mut Fleet, changes: &mut Vec<Change>, commits: Vec<monitor_domain::decision::Commit>) {
    for commit in commits {
        assert_eq!(commit.change.revision, fleet.record.revision.next(), "there is a gap between the revisions");
        assert!(2 + commit.runners.len() <= MAX_ITEMS, "a batch is too large");
        let ids: BTreeSet<RunnerId> = commit.runners.iter().map(|runner| runner.id).collect();
        assert_eq!(ids.len(), commit.runners.len(), "two items under one key");
        let written = serde_json::to_string(&commit.change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&written).unwrap(), commit.change, "a change is not read as written");
        fleet.record = commit.record;
        for runner in commit.runners {
            fleet.runners.retain(|known| known.id != runner.id);
            if runner.health != Health::Retired {
                fleet.runners.push(runner);
            }
        }
        fleet.runners.sort_by_key(|runner| runner.id);
        changes.push(commit.change);
    }
    let mut open = BTreeSet::new();
    for event in changes.iter().flat_map(|change| &change.events) {
        match event {
            // An outage of a flapping runner that stays offline is opened again, so that it is notified.
            Event::OutageOpened { outage } => drop(open.insert((outage.runner_id, outage.id))),
            Event::OutageClosed { outage } => {
                assert!(open.remove(&(outage.runner_id, outage.id)), "an outage was closed that was not open")
            }
            _ => {}
        }
    }
    let runners: BTreeSet<RunnerId> = open.iter().map(|(runner, _)| *runner).collect();
    assert_eq!(runners.len(), open.len(), "a runner has two open outages");
    let stored = fleet.runners.iter().filter_map(|runner| runner.open_outage()).map(|it| (it.runner_id, it.id));
    assert_eq!(stored.collect::<BTreeSet<_>>(), open, "the stored runners and the history disagree");
}

fn opens_or_closes(event: &Event) -> bool {
    matches!(event, Event::OutageOpened { .. } | Event::OutageClosed { .. })
}

/// All changes can be notified, in any portions and in both forms.
fn check_notifications(target: &Target, changes: &[Change]) {
    let subject = Subject::from(target);
    let whole = pending_notification(&subject, Some(target), Revision(0), changes);
    for (index, change) in changes.iter().enumerate() {
        let before = pending_notification(&subject, Some(target), Revision(0), &changes[..index]);
        assert!(before.through <= change.revision, "notified before it happened");
    }
    if let Some(notification) = whole.notification {
        assert!(changes.iter().any(Change::is_notifiable), "a notification without a notifiable change");
        for form in [Form::Blocks, Form::PlainText] {
            let message = serde_json::to_string(&render(&notification, form, &WebBase::default())).unwrap();
            assert!(message.len() < 200_000, "a message is too large for Slack");
        }
    }
}
