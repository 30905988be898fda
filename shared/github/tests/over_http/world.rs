//! A fake GitHub, a clock that the test controls, and the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use monitor_domain::observation::{Failure, ObservedPage, ObservedRunner, PageTag};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_fakes::FakeGitHub;
use monitor_fakes::github::{Endpoint, RunnerSpec, State};
use monitor_github::{Clock, Credential, GitHub, Secret, Settings};
use monitor_pipeline::ports::{Listing, RunnerSource};

/// 2026-11-23 12:00:00 UTC.
pub(crate) const NOON_MS: i64 = 1_795_435_200_000;
pub(crate) const TOKEN: &str = "ghp_test-token";

pub(crate) struct World {
    pub(crate) fake: FakeGitHub,
    now_ms: Arc<AtomicI64>,
}

impl World {
    /// A GitHub with a token, `Acme/Web`, `orgs/Acme` and `enterprises/big`.
    pub(crate) async fn start() -> Self {
        let mut state = State::new();
        state.add_token(TOKEN);
        state.add_target("Acme/Web");
        state.add_target("enterprises/big");
        let now_ms = Arc::new(AtomicI64::new(NOON_MS));
        let fakes_clock = Arc::clone(&now_ms);
        let fake = FakeGitHub::start_with(state, 0, move || fakes_clock.load(Ordering::SeqCst)).await;
        Self { fake: fake.expect("a free port"), now_ms }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_epoch_ms(self.now_ms.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, duration: Duration) {
        let ms = i64::try_from(duration.as_millis()).expect("a short time");
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn add_runners(&self, target: &str, count: usize) -> Vec<u64> {
        let mut state = self.fake.state();
        let spec = |number| RunnerSpec::new(&format!("runner-{number:03}"));
        (0..count).map(|number| state.add_runner(target, spec(number))).collect()
    }

    /// Settings for this GitHub, without waits.
    pub(crate) fn settings(&self) -> Settings {
        Settings { api_url: self.fake.base_url(), ..quick(token()) }
    }

    pub(crate) fn github(&self) -> GitHub {
        self.with(self.settings())
    }

    pub(crate) fn with(&self, settings: Settings) -> GitHub {
        let now_ms = Arc::clone(&self.now_ms);
        github(settings, Arc::new(move || Timestamp::from_epoch_ms(now_ms.load(Ordering::SeqCst))))
    }

    pub(crate) fn requests(&self) -> u64 {
        self.fake.state().counters().requests
    }

    pub(crate) fn requests_of(&self, endpoint: Endpoint) -> u64 {
        self.fake.state().counters().by_endpoint.get(&endpoint).copied().unwrap_or(0)
    }
}

pub(crate) fn token() -> Credential {
    Credential::Token(Secret::new(TOKEN))
}

/// Settings without long waits.
pub(crate) fn quick(credential: Credential) -> Settings {
    let retry_waits = vec![Duration::from_millis(1), Duration::from_millis(2)];
    Settings { retry_waits, timeout: Duration::from_secs(10), ..Settings::new(credential) }
}

pub(crate) fn github(settings: Settings, clock: Clock) -> GitHub {
    // The client needs a crypto provider even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
    GitHub::new(http.expect("an HTTP client"), settings, clock).expect("good settings")
}

pub(crate) fn target(text: &str) -> Target {
    text.parse().expect("a target")
}

pub(crate) fn pages(listing: Listing) -> Vec<ObservedPage> {
    listing.pages.expect("a complete list")
}

pub(crate) fn tags(pages: &[ObservedPage]) -> Vec<PageTag> {
    let tag = |page: &ObservedPage| match page {
        ObservedPage::Unchanged(tag) | ObservedPage::Fresh { tag, .. } => tag.clone(),
    };
    pages.iter().map(tag).collect()
}

/// The number of runners on each page, with a `=` before that of an unchanged page.
pub(crate) fn shape(pages: &[ObservedPage]) -> Vec<String> {
    let one = |page: &ObservedPage| match page {
        ObservedPage::Unchanged(tag) => format!("={}", tag.runner_ids.len()),
        ObservedPage::Fresh { tag, runners } => {
            let ids: Vec<_> = runners.iter().map(|runner| runner.id).collect();
            assert_eq!(tag.runner_ids, ids);
            ids.len().to_string()
        }
    };
    pages.iter().map(one).collect()
}

/// The runners on pages that are all fresh.
pub(crate) fn runners(pages: Vec<ObservedPage>) -> Vec<ObservedRunner> {
    let fresh = |page| match page {
        ObservedPage::Fresh { runners, .. } => runners,
        ObservedPage::Unchanged(tag) => panic!("unchanged: {tag:?}"),
    };
    pages.into_iter().flat_map(fresh).collect()
}

/// Why listing a target fails before any page is read.
pub(crate) async fn failure(github: &GitHub, name: &str) -> Failure {
    let incomplete = github.list(&target(name), &[]).await.pages.expect_err("a failure");
    assert!(!incomplete.partial, "{incomplete:?}");
    let detail = &incomplete.failure.detail;
    assert!(!detail.contains("test-token") && !detail.contains('\n'), "{detail}");
    incomplete.failure
}
