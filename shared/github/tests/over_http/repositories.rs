//! The repositories of an account.

use monitor_domain::observation::Fault as Sort;
use monitor_fakes::github::{Access, Endpoint};
use monitor_pipeline::ports::RunnerSource;

use crate::world::World;

#[tokio::test]
async fn an_organizations_repositories_are_read_page_by_page_without_the_archived() {
    let world = World::start().await;
    {
        let mut state = world.fake.state();
        for number in 0..230 {
            state.add_target(&format!("Acme/r{number:03}"));
        }
        state.set_archived("acme/r007", true);
        state.set_access("acme/r008", Access::Hidden);
        state.add_target("other/site");
    }
    let read = world.github().repositories_of("acme").await.unwrap();
    // `Acme/Web` and 230 others, minus two.
    assert_eq!(read.len(), 229);
    assert_eq!(read[0].as_str(), "Acme/r000");
    assert!(read.iter().all(|target| target.owner() == "Acme" && target.name() != "r007"));
    assert_eq!(world.requests_of(Endpoint::ListRepositories), 3);
}

#[tokio::test]
async fn a_users_repositories_are_found_if_there_is_no_such_organization() {
    let world = World::start().await;
    world.fake.state().add_target("users/jo");
    world.fake.state().add_target("jo/dotfiles");
    let read = world.github().repositories_of("jo").await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].as_str(), "jo/dotfiles");
}

#[tokio::test]
async fn an_account_that_does_not_exist_is_not_found() {
    let world = World::start().await;
    let github = world.github();
    let failure = github.repositories_of("nobody").await.unwrap_err();
    assert_eq!(failure.fault, Sort::NotFound);
    assert_eq!(failure.detail, "nobody: no such account, or the credential has no access to it");
    let before = world.requests();
    assert_eq!(github.repositories_of("../orgs").await.unwrap_err().fault, Sort::NotFound);
    assert_eq!(world.requests(), before, "an impossible name causes no request");
}
