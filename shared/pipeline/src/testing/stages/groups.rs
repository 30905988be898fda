//! Runner groups: GitHub is asked for their names, and not too often.

use monitor_domain::observation::{Failure, Fault};

use super::*;
use crate::records;

const HOUR: Duration = Duration::from_secs(3_600);

fn in_group(id: u64, group_id: u64) -> ObservedRunner {
    ObservedRunner { group_id: Some(group_id), ..runner(id, Status::Idle) }
}

async fn groups<S: Store>(store: &S, target: &Target) -> Vec<Option<String>> {
    let fleet = records::read_fleet(store, target).await.unwrap_or_else(|error| panic!("{error}")).fleet;
    fleet.runners.iter().map(|runner| fleet.group_of(runner).map(str::to_owned)).collect()
}

pub(super) async fn runner_groups_are_named_and_a_steady_check_asks_nothing<S: Store>(store: &S) {
    let acme = Target::organization("acme").unwrap_or_else(|error| panic!("{error}"));
    let mut this = Installation::new(store);
    this.check.configured.push(TargetSpec::One(acme.clone()));
    let name = |name: &str| Some(name.to_owned());
    let answer =
        |names: &[(u64, &str)]| Ok(names.iter().map(|(id, name)| (*id, (*name).to_owned())).collect::<Vec<_>>());
    this.source.set_groups(answer(&[(1, "Default"), (2, "GPU")]));
    this.source.set(&acme, vec![in_group(1, 1), in_group(2, 2)]);
    this.source.set(&web(), vec![in_group(7, 1)]);
    this.tick().await;
    for target in [&acme, &web(), &acme] {
        this.check(target).await;
    }
    assert_eq!(groups(store, &acme).await, [name("Default"), name("GPU")]);
    assert_eq!(groups(store, &web()).await, [None], "a repository has no groups");
    assert_eq!(this.source.take_asked_groups(), 1);

    // A group that GitHub does not name is asked for once an hour, and only while lists change.
    this.clock.advance(HOUR);
    for id in 3..6 {
        this.source.set(&acme, vec![in_group(1, 1), in_group(2, 2), in_group(id, 9)]);
        this.check(&acme).await;
    }
    assert_eq!(this.source.take_asked_groups(), 1);
    assert_eq!(groups(store, &acme).await[2], None);

    this.source.set_groups(Err(Failure::new(Fault::Forbidden, "no access to groups")));
    this.clock.advance(24 * HOUR);
    this.source.set(&acme, vec![in_group(1, 1), in_group(2, 1)]);
    this.check(&acme).await;
    assert_eq!(groups(store, &acme).await[..2], [name("Default"), name("Default")], "the last names stay");
    this.source.set_groups(answer(&[(1, "Shared")]));
    this.clock.advance(HOUR);
    this.check(&acme).await;
    assert_eq!(this.source.take_asked_groups(), 1, "nothing has changed");
    this.source.set_status(&acme, 1, Status::Busy);
    this.check(&acme).await;
    assert_eq!(groups(store, &acme).await[..2], [name("Shared"), name("Shared")]);
}
