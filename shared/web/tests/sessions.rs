//! The site with sessions: who is answered, how a link opens a session, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use monitor_access::{AccessKeys, Refusal};
use monitor_domain::secret::Secret;
use monitor_pipeline::items::Item;
use monitor_pipeline::ports::Clock as _;
use monitor_pipeline::testing::samples::target_record;
use monitor_web::{Access, Hosts, Options};
use tower::ServiceExt as _;

use support::{HOST, Site};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
/// Everything that is answered, except the style.
const PATHS: [&str; 13] = [
    "/",
    "/?q=web&state=idle",
    "/target/acme/web",
    "/runner/1/acme/web",
    "/outages",
    "/outages.csv",
    "/api/v1/fleet",
    "/api/v1/outages",
    "/api/v1/runners/1/acme/web",
    "/api/v1/openapi.json",
    "/events",
    "/live.js",
    "/nothing",
];
const PROBES: [&str; 3] = ["/metrics", "/healthz", "/readyz"];

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    refusal: Option<Refusal>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// What a browser sends after this answer.
    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }
}

/// A site with sessions.
struct WithSessions(Site);

impl WithSessions {
    async fn new(is_https: bool) -> Self {
        Self::with(is_https, |_| ()).await
    }

    async fn with(is_https: bool, change: impl FnOnce(&mut Options)) -> Self {
        let items = vec![Item::Target(target_record("acme/web", 3))];
        let site = Site::with(items, |options| {
            options.access = Some(Access::new(&Secret::new(SECRET), is_https));
            options.pause = Duration::ZERO;
            change(options);
        });
        Self(site.await)
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header("host", HOST);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.0.answer(request.body(Body::from(body)).unwrap()).await;
        let (head, body) = response.into_parts();
        let is_stream = head.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let body = if is_stream { Vec::new() } else { to_bytes(body, usize::MAX).await.unwrap().into() };
        let refusal = head.extensions.get::<Refusal>().copied();
        Answer { status: head.status, headers: head.headers, refusal, body: String::from_utf8(body).unwrap() }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, String::new()).await
    }

    async fn open(&self, token: &str) -> Answer {
        self.send(Method::POST, "/open", &[], format!("link={token}")).await
    }

    /// A link that was just asked for.
    fn link(&self, number: u64) -> String {
        AccessKeys::new(&Secret::new(SECRET)).link(number, self.0.clock.now()).expose().to_owned()
    }

    async fn status_with(&self, cookie: &str) -> StatusCode {
        self.get("/", &[("cookie", cookie)]).await.status
    }
}

#[tokio::test]
async fn without_a_session_nothing_is_shown_and_the_answer_says_how_to_get_one() {
    let site = WithSessions::new(true).await;
    for path in PATHS.into_iter().chain(PROBES) {
        let answer = site.get(path, &[]).await;
        assert_eq!((answer.status, answer.refusal), (StatusCode::UNAUTHORIZED, None), "{path}");
        assert!(answer.body.contains("/runner-dashboard"), "{path}: {}", answer.body);
        assert!(!answer.body.contains("acme") && !answer.body.contains("<script"), "{path}: {}", answer.body);
        assert_eq!((answer.header("cache-control"), answer.header("referrer-policy")), ("no-store", "no-referrer"));
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    }
    assert_eq!(site.get("/style.css", &[]).await.status, StatusCode::OK);
    let elsewhere = site.get("/", &[("host", "evil.test")]).await;
    assert_eq!(elsewhere.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn a_link_opens_one_session_by_a_button_and_not_by_a_preview() {
    let site = WithSessions::new(true).await;
    let link = site.link(7);
    // However often it is previewed.
    for _ in 0..3 {
        let shown = site.get(&format!("/open?link={link}"), &[]).await;
        assert_eq!(shown.status, StatusCode::OK);
        assert!(shown.body.contains(&link) && shown.body.contains("method=\"post\""), "{}", shown.body);
        assert!(!shown.headers.contains_key("set-cookie"));
        assert_eq!((shown.header("cache-control"), shown.header("referrer-policy")), ("no-store", "no-referrer"));
        assert!(shown.header("content-security-policy").contains("form-action 'self'"));
    }
    let opened = site.open(&link).await;
    assert_eq!((opened.status, opened.header("location")), (StatusCode::SEE_OTHER, "/"));
    let cookie = opened.cookie();
    for path in PATHS.into_iter().chain(PROBES).filter(|path| *path != "/nothing") {
        let answer = site.get(path, &[("cookie", &format!("theme=dark; {cookie}"))]).await;
        assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(site.get("/", &[("cookie", &cookie)]).await.header("cache-control"), "private, no-cache");

    let again = site.open(&link).await;
    assert_eq!((again.status, again.refusal), (StatusCode::FORBIDDEN, Some(Refusal::Used)));
    assert!(!again.headers.contains_key("set-cookie"));
    let pressed_twice = site.send(Method::POST, "/open", &[("cookie", &cookie)], format!("link={link}")).await;
    assert_eq!(pressed_twice.status, StatusCode::SEE_OTHER);
    assert!(!pressed_twice.headers.contains_key("set-cookie"));
    assert_eq!(site.open(&site.link(8)).await.status, StatusCode::SEE_OTHER, "another link");
}

#[tokio::test]
async fn of_many_who_open_a_link_at_once_one_gets_a_session() {
    let site = WithSessions::new(true).await;
    let link = site.link(7);
    let answers = futures_util::future::join_all((0..20).map(|_| site.open(&link))).await;
    let opened = answers.iter().filter(|answer| answer.headers.contains_key("set-cookie")).count();
    assert_eq!(opened, 1);
}

#[tokio::test]
async fn a_link_ends_after_ten_minutes_and_a_session_after_twelve_hours() {
    let site = WithSessions::new(true).await;
    let (early, late) = (site.link(1), site.link(2));
    site.0.clock.advance(Duration::from_secs(599));
    let cookie = site.open(&early).await.cookie();
    site.0.clock.advance(Duration::from_secs(1));
    let ended = site.open(&late).await;
    assert_eq!((ended.status, ended.refusal), (StatusCode::FORBIDDEN, Some(Refusal::Ended)));
    assert_eq!(site.get(&format!("/open?link={late}"), &[]).await.status, StatusCode::FORBIDDEN);
    site.0.clock.advance(Duration::from_secs(12 * 3_600 - 2));
    assert_eq!(site.status_with(&cookie).await, StatusCode::OK);
    site.0.clock.advance(Duration::from_secs(1));
    let over = site.get("/", &[("cookie", &cookie)]).await;
    assert_eq!((over.status, over.refusal), (StatusCode::UNAUTHORIZED, None));
    // The clock is set back by a day: the session does not come to life again.
    site.0.clock.set_back(Duration::from_secs(86_400));
    let ahead = site.get("/", &[("cookie", &cookie)]).await;
    assert_eq!((ahead.status, ahead.refusal), (StatusCode::UNAUTHORIZED, Some(Refusal::Ahead)));
}

#[tokio::test]
async fn what_was_not_made_with_the_secret_for_this_use_is_refused_and_not_repeated() {
    let site = WithSessions::new(true).await;
    let other = AccessKeys::new(&Secret::new("rotated"));
    let now = site.0.clock.now();
    let own = AccessKeys::new(&Secret::new(SECRET));
    let name = "__Host-runner-monitor";
    for token in [other.session(1, now).expose(), own.link(1, now).expose(), "1.2.3", "", "\u{fffd}"] {
        let answer = site.get("/", &[("cookie", &format!("{name}={}", token.replace('\u{fffd}', "~")))]).await;
        assert_eq!((answer.status, answer.refusal), (StatusCode::UNAUTHORIZED, Some(Refusal::BadSignature)), "{token}");
    }
    let marker = "<script>marker";
    for token in [other.link(1, now).expose(), own.session(1, now).expose(), "", marker, &"7".repeat(900)] {
        let refused = site.open(token).await;
        assert_eq!((refused.status, refused.refusal), (StatusCode::FORBIDDEN, Some(Refusal::BadSignature)), "{token}");
        assert!(!refused.body.contains("marker") && !refused.headers.contains_key("set-cookie"));
    }
    let shown = site.get("/open?link=%3Cscript%3Emarker", &[]).await;
    assert!(shown.status == StatusCode::FORBIDDEN && !shown.body.contains("marker"), "{}", shown.body);
    assert_eq!(site.open(&"7".repeat(2_000)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    // Only /open takes a form.
    let session = format!("{name}={}", own.session(1, now).expose());
    let posted = site.send(Method::POST, "/", &[("cookie", &session)], String::new()).await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_cookie_is_secure_if_the_page_is_configured_so_whatever_a_header_says() {
    for (is_https, forwarded) in [(true, "http"), (false, "https")] {
        let site = WithSessions::new(is_https).await;
        let headers = [("x-forwarded-proto", forwarded)];
        let opened = site.send(Method::POST, "/open", &headers, format!("link={}", site.link(1))).await;
        let cookie = opened.header("set-cookie");
        assert_eq!(cookie.contains("; Secure"), is_https, "{cookie}");
        assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
        assert_eq!(site.status_with(&opened.cookie()).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn under_a_name_of_this_machine_only_the_probes_are_open_and_no_link_is() {
    let site = WithSessions::new(true).await;
    for host in ["localhost:8080", "127.0.0.1", "[::1]:8080"] {
        for path in PATHS {
            assert_eq!(site.get(path, &[("host", host)]).await.status, StatusCode::UNAUTHORIZED, "{host}{path}");
        }
        for path in PROBES {
            assert_ne!(site.get(path, &[("host", host)]).await.status, StatusCode::UNAUTHORIZED, "{host}{path}");
        }
        // A proxy that hides the host is found at the first link.
        let link = site.link(1);
        let shown = site.get(&format!("/open?link={link}"), &[("host", host)]).await;
        let opened = site.send(Method::POST, "/open", &[("host", host)], format!("link={link}")).await;
        for answer in [shown, opened] {
            assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
            assert!(answer.body.contains("header Host") && !answer.headers.contains_key("set-cookie"));
        }
    }
    assert_eq!(site.open(&site.link(1)).await.status, StatusCode::SEE_OTHER, "the link is not used up");
}

#[tokio::test]
async fn behind_a_gateway_every_host_is_the_pages_and_nothing_is_public() {
    let site = WithSessions::with(true, |options| {
        options.hosts = Hosts::Any;
        options.streams = false;
    })
    .await;
    for host in ["abcdefghij.execute-api.eu-central-1.amazonaws.com", "localhost", "127.0.0.1"] {
        for path in PATHS.into_iter().chain(PROBES) {
            assert_eq!(site.get(path, &[("host", host)]).await.status, StatusCode::UNAUTHORIZED, "{host}{path}");
        }
    }
    let cookie = site.open(&site.link(1)).await.cookie();
    // A browser does not ask again after this answer.
    assert_eq!(site.get("/events", &[("cookie", &cookie)]).await.status, StatusCode::NO_CONTENT);
    assert_eq!(site.status_with(&cookie).await, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn strangers_who_send_forms_slowly_keep_no_reader_waiting() {
    let site = WithSessions::new(true).await;
    let cookie = site.open(&site.link(1)).await.cookie();
    let slow = || {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request = Request::post("/open").header("host", HOST).body(body).unwrap();
        tokio::spawn(site.0.router.clone().oneshot(request))
    };
    let forms: Vec<_> = (0..200).map(|_| slow()).collect();
    tokio::task::yield_now().await;
    let began = tokio::time::Instant::now();
    assert_eq!(site.status_with(&cookie).await, StatusCode::OK);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    for form in forms {
        assert_eq!(form.await.unwrap().unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    }
}

#[tokio::test]
async fn a_link_that_cannot_be_marked_as_used_opens_nothing_and_can_be_tried_again() {
    let site = WithSessions::new(true).await;
    let link = site.link(1);
    site.0.store.is_down.store(true, Ordering::SeqCst);
    let failed = site.open(&link).await;
    assert_eq!((failed.status, failed.refusal), (StatusCode::SERVICE_UNAVAILABLE, None));
    assert!(!failed.headers.contains_key("set-cookie"));
    site.0.store.is_down.store(false, Ordering::SeqCst);
    assert_eq!(site.open(&link).await.status, StatusCode::SEE_OTHER);
}
