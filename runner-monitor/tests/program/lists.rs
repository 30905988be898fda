//! Incomplete lists and refusals from GitHub.

use monitor_fakes::github::{Access, Fault, Links, RunnerSpec, Strikes};

use crate::Bench;

// An older Enterprise Server, as reported: {"id":2,"name":"r","os":"linux","status":"offline","busy":true,"labels":[]}
#[tokio::test]
async fn an_offline_runner_in_a_list_without_versions_counts_as_offline() {
    let bench = Bench::new().await;
    {
        let mut state = bench.github.state();
        for runner in state.runners("acme/web") {
            state.update_runner("acme/web", runner.id, |spec| spec.version = None);
        }
        let mut died = RunnerSpec::new("died").offline().busy();
        died.version = None;
        state.add_runner("acme/web", died);
    }
    let (code, said) = bench.check(&[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("never"), "{said}");
}

#[tokio::test]
async fn runners_behind_a_page_without_a_link_are_seen() {
    let bench = Bench::new().await;
    {
        let mut state = bench.github.state();
        state.links = Links::Missing;
        for runner in state.runners("acme/web") {
            state.remove_runner("acme/web", runner.id);
        }
        for number in 1..=150 {
            let spec = RunnerSpec::new(&format!("pool-{number:03}"));
            state.add_runner("acme/web", if number == 150 { spec.offline() } else { spec });
        }
    }
    let (code, said) = bench.check(&[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("pool-150"), "{said}");
}

#[tokio::test]
async fn a_list_that_lacks_a_runner_is_a_failure() {
    let bench = Bench::new().await;
    let last = bench.github.state().add_runner("acme/web", RunnerSpec::new("build-2"));
    bench.github.state().fault(Fault::Slip(last), Strikes::always());
    let (code, said) = bench.check(&[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("GitHub counts 3 runners and lists 2"), "{said}");
}

#[tokio::test]
async fn a_refusal_shows_githubs_reason() {
    let bench = Bench::new().await;
    let message = "the `acme` organization has an IP allow list enabled, and your IP address is not permitted to access this resource.";
    bench.github.state().set_access("acme/web", Access::Refused(message.to_owned()));
    for arguments in [&["check"][..], &["doctor"]] {
        let (_, stdout, stderr) = bench.output(arguments, &[]).await;
        let said = stdout + &stderr;
        // Long lines are wrapped.
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("your IP address is not permitted"), "{said}");
        assert!(!said.contains("needs the scope") && !said.contains("sign-on"), "{said}");
    }
}

#[tokio::test]
async fn a_refused_token_is_logged_once_and_not_for_each_target() {
    let bench = Bench::new().await;
    for target in ["acme/api", "acme/tools"] {
        bench.github.state().add_target(target);
    }
    let variables = [("LOG", "warn"), ("GITHUB_TOKEN", "wrong"), ("REPOS", "acme/web,acme/api,acme/tools")];
    let (code, said) = bench.check(&variables).await;
    assert_eq!(code, Some(2), "{said}");
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{said}");
    assert!(warnings[0].contains("of every target of this credential"), "{said}");
    // The next check finds the same state and does not warn again.
    let (_, said) = bench.check(&variables).await;
    assert!(!said.contains("WARN"), "{said}");
}
