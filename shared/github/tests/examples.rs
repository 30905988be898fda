//! GitHub's own examples, as `prism mock` serves them from its OpenAPI description:
//! `node tests/openapi/mock.mjs cargo test -p monitor-github --test examples`.

#[path = "over_http/script.rs"]
mod script;

use std::sync::Arc;

use monitor_domain::observation::{Lookup, ObservedPage};
use monitor_domain::runner::RunnerId;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_github::{Credential, GitHub, Secret, Settings};
use monitor_pipeline::ports::RunnerSource;
use script::{Script, http};

fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("an HTTP client")
}

/// The example of a good answer, without its `Link` header, which names pages that do not exist.
async fn example(mock: &str, path: &str) -> Script {
    let request = http_client().get(format!("{mock}{path}")).bearer_auth("anything");
    let answer = request.send().await.expect("an answer of the mock");
    assert_eq!(answer.status(), 200, "{path}");
    let body = answer.text().await.expect("an example");
    Script::start(move |_| http("200 OK", &[], &body)).await
}

fn github(script: &Script) -> GitHub {
    let settings = Settings { api_url: script.base_url(), ..Settings::new(Credential::Token(Secret::new("anything"))) };
    GitHub::new(http_client(), settings, Arc::new(Timestamp::default)).expect("good settings")
}

#[tokio::test]
async fn githubs_own_examples_are_read() {
    let Ok(mock) = std::env::var("PRISM_MOCK_URL") else {
        println!("skipped: PRISM_MOCK_URL is not set (see the head of this file)");
        return;
    };
    for (name, path) in [
        ("octo-org/hello", "/repos/octo-org/hello/actions/runners"),
        ("orgs/octo-org", "/orgs/octo-org/actions/runners"),
        ("enterprises/octo-corp", "/enterprises/octo-corp/actions/runners"),
    ] {
        let target: Target = name.parse().expect("a target");
        let list = example(&mock, path).await;
        let read = github(&list).list(&target, &[]).await.pages.expect("a complete list");
        let [ObservedPage::Fresh { runners, .. }] = &read[..] else { panic!("{name}: {read:?}") };
        assert!(runners.len() >= 2, "{name}: {runners:?}");
        assert!(runners.iter().all(|runner| !runner.labels.is_empty()), "{name}: {runners:?}");
        assert_eq!(list.heads().len(), 1, "{name}: read at the first attempt");

        let one = example(&mock, &format!("{path}/23")).await;
        let found = github(&one).runner(&target, RunnerId(23)).await;
        let Ok(Lookup::Found(runner)) = found else { panic!("{name}: {found:?}") };
        assert_eq!((&*runner.name, &*runner.os), ("MBP", "macos"), "{name}");
    }
    for path in ["/orgs/octocat/repos", "/users/octocat/repos"] {
        let listed = example(&mock, path).await;
        let repositories = github(&listed).repositories_of("octocat").await.expect("repositories");
        assert_eq!(repositories, ["octocat/Hello-World".parse().expect("a target")], "{path}");
    }
}
