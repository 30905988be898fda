//! The addresses and what answers them. Everything is read-only, except that a link opens a session.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{BoxError, Json, Router};
use futures_util::{Stream, StreamExt as _, stream};
use maud::html;
use monitor_access::OPEN_PATH;
use monitor_domain::runner::RunnerId;
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_pipeline::history::{TargetHistory, Unobserved};
use monitor_pipeline::ports::{Clock, Store, StoreError};
use monitor_pipeline::records::read_mutes;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tracing::warn;

use crate::access::Access;
use crate::fleet_page::{self, fleet_page};
use crate::layout::{Place, html_page, page};
use crate::metrics::{self, metrics};
use crate::outages_page::{self, as_csv, outages_page};
use crate::runner_page::{Said, days, runner_page};
use crate::snapshot::{OutageOf, Snapshot, Snapshots};
use crate::tables::paged;
use crate::target_page::{OUTAGES, target_page};
use monitor_pipeline::chat_notes::ChatNotes;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("live.js");
const OPENAPI: &str = include_str!("openapi.json");
/// Nothing from elsewhere, and nothing inline.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Requests that are answered at once; the others wait.
const AT_ONCE: usize = 32;
/// Open pages that receive changes at once.
const LIVE_PAGES: usize = 500;

/// The address of a runner's page on GitHub, by its target and the id of its current registration.
pub type GitHubPage = Arc<dyn Fn(&Target, RunnerId) -> String + Send + Sync>;

/// Under which host names the page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// This machine's, and these.
    Named(Vec<String>),
    /// Any, because a gateway in front passes on only requests for its own. Then [`Options::access`] must be set.
    Any,
}

/// What the pages need besides the store.
pub struct Options {
    /// Under which names the page is served.
    pub hosts: Hosts,
    /// The sessions of its readers; `None` if everybody who reaches the page may read it.
    pub access: Option<Access>,
    /// Whether open pages receive changes. A function that is billed for its time keeps no connection open.
    pub streams: bool,
    /// The least time between two reads of the store.
    pub pause: Duration,
    /// Links to GitHub.
    pub github: GitHubPage,
    /// Ends the streams of open pages when it turns true.
    pub stop: watch::Receiver<bool>,
}

/// What all requests share.
struct Site<S, C> {
    snapshots: Snapshots<S, C>,
    clock: C,
    options: Options,
    answers: Semaphore,
    live_pages: Arc<Semaphore>,
}

/// Answers all addresses, over a store.
pub fn router<S, C>(store: Arc<S>, clock: C, options: Options) -> Router
where
    S: Store + 'static,
    C: Clock + Clone + 'static,
{
    let site = Arc::new(Site {
        snapshots: Snapshots::new(store, clock.clone(), options.pause),
        clock,
        options,
        answers: Semaphore::new(AT_ONCE),
        live_pages: Arc::new(Semaphore::new(LIVE_PAGES)),
    });
    let has_sessions = site.options.access.is_some();
    let router = Router::new()
        .route("/", get(fleet::<S, C>))
        .route("/target/{*target}", get(target::<S, C>))
        .route("/runner/{id}/{*target}", get(runner::<S, C>))
        .route("/outages", get(outages::<S, C>))
        .route("/outages.csv", get(outages_csv::<S, C>))
        .route("/api/v1/fleet", get(api_fleet::<S, C>))
        .route("/api/v1/outages", get(api_outages::<S, C>))
        .route("/api/v1/runners/{id}/{*target}", get(api_runner::<S, C>))
        .route("/api/v1/openapi.json", get(async || asset("application/json", OPENAPI)))
        .route("/metrics", get(metrics_text::<S, C>))
        .route("/healthz", get(healthz::<S, C>))
        .route("/readyz", get(readyz::<S, C>))
        .route("/events", get(events::<S, C>))
        .route("/style.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/live.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)));
    let router = match has_sessions {
        true => router.route(OPEN_PATH, get(show_link::<S, C>).post(open_link::<S, C>)),
        false => router,
    };
    router
        .fallback(async || not_found("There is no such page."))
        .layer(from_fn_with_state(site.clone(), guard::<S, C>))
        .with_state(site)
}

type Shared<S, C> = State<Arc<Site<S, C>>>;

/// Refuses names of other hosts, bounds the requests at work, and adds the headers and the ETag of each answer.
async fn guard<S: Store, C: Clock>(State(site): Shared<S, C>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_named = site.options.hosts.names(host);
    let access = site.options.access.as_ref();
    let mut response = if !is_named && !is_this_machine(host) {
        let text = "This page is not served under that host name. Name it with --web-host.\n";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    } else if let Some(refused) = access.and_then(|access| access.refused(&request, is_named, site.clock.now())) {
        refused
    } else {
        let asked = request.headers().get(IF_NONE_MATCH).cloned();
        let path = request.uri().path();
        let (is_stream, is_form) = (path == "/events", path == OPEN_PATH);
        // A stranger who sends forms slowly must not hold the places of readers.
        let _permit = match is_stream || is_form {
            true => None,
            false => site.answers.acquire().await.ok(),
        };
        let response = next.run(request).await;
        if is_stream { response } else { tagged(response, asked.as_ref()).await }
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let caching = if site.options.access.is_some() { "private, no-cache" } else { "no-cache" };
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(caching));
    response
}

/// The name in a header `Host`, without the port.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

impl Hosts {
    /// Whether a request is for one of these names. Any other name but this machine's is refused: a page of another site could
    /// read this one through a name that it controls.
    fn names(&self, host: &str) -> bool {
        match self {
            Hosts::Named(named) => named.iter().any(|known| known.eq_ignore_ascii_case(name_of(host))),
            Hosts::Any => true,
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = name_of(host);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The answer with an ETag, of its content if it has none yet, or 304 if the client has it.
async fn tagged(response: Response, asked: Option<&HeaderValue>) -> Response {
    if response.status() != StatusCode::OK {
        return response;
    }
    let response = match response.headers().contains_key(ETAG) {
        true => response,
        false => hashed(response).await,
    };
    let Some(tag) = response.headers().get(ETAG) else { return response };
    let has = |asked: &str| {
        // A proxy that compresses makes a tag weak.
        let mut tags = asked.split(',').map(|each| each.trim().trim_start_matches("W/"));
        tags.any(|each| each == "*" || each.as_bytes() == tag.as_bytes())
    };
    if asked.and_then(|asked| asked.to_str().ok()).is_some_and(has) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag.clone())]).into_response();
    }
    response
}

/// The answer with an ETag of its content.
async fn hashed(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(content) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if let Ok(tag) = HeaderValue::from_str(&tag_of(&content)) {
        head.headers.insert(ETAG, tag);
    }
    Response::from_parts(head, content.into())
}

/// An ETag that differs if the content does.
fn tag_of(content: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// An answer that is made while it is sent. Its tag says what it shows, because its text is not known before.
fn streamed<P: Into<Bytes>, E: Into<BoxError>>(
    media_type: &'static str,
    tag: &str,
    pieces: impl Iterator<Item = Result<P, E>> + Send + 'static,
) -> Response {
    ([(CONTENT_TYPE, media_type), (ETAG, tag)], Body::from_stream(stream::iter(pieces))).into_response()
}

fn asset(media_type: &'static str, content: &'static str) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(media_type))], content).into_response()
}

fn not_found(what: &str) -> Response {
    let content = html! {
        h1 { "Not found" }
        p .lead { (what) " " a href="/" { "Show the fleet" } }
    };
    html_page(StatusCode::NOT_FOUND, page("Not found", Place::Elsewhere, None, &content))
}

/// The page of a store that cannot be read.
fn unreadable(error: &StoreError) -> Response {
    warn!(%error, "the store could not be read for a page");
    let content = html! {
        h1 { "The store cannot be read" }
        div .banner role="status" { p { (error) } }
        p .lead { "This page tries again by itself." }
    };
    html_page(StatusCode::SERVICE_UNAVAILABLE, page("The store cannot be read", Place::Elsewhere, None, &content))
}

/// The same for programs.
fn unavailable(error: &StoreError) -> Response {
    warn!(%error, "the store could not be read for a request");
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": error.to_string()}))).into_response()
}

fn malformed(what: String) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": what}))).into_response()
}

fn unknown(what: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": what}))).into_response()
}

async fn fleet<S: Store, C: Clock>(State(site): Shared<S, C>, Query(filter): Query<fleet_page::Filter>) -> Response {
    match site.snapshots.latest().await {
        Ok(snapshot) => html_page(StatusCode::OK, fleet_page(&snapshot, &filter)),
        Err(error) => unreadable(&error),
    }
}

impl<S: Store, C: Clock> Site<S, C> {
    async fn history(&self, snapshot: &Snapshot, target: &Target) -> Result<TargetHistory, StoreError> {
        let store = self.snapshots.store();
        let unobserved = Unobserved::read(store, &snapshot.monitoring.monitor, snapshot.now()).await?;
        // The page shows 90 days, which is longer than quiet changes are kept.
        TargetHistory::read(store, target, &unobserved, Timestamp::default()).await
    }

    /// The latest outages of a history, latest first, with what the chat has about them.
    async fn outages(&self, history: &TargetHistory, limit: usize) -> Result<Vec<OutageOf>, StoreError> {
        let target = &history.fleet.record.target;
        let mut outages = history.outages.clone();
        outages.sort_by_key(|outage| std::cmp::Reverse(outage.started_at));
        outages.truncate(limit);
        let notes = ChatNotes::read(self.snapshots.store(), target.id(), &outages).await?;
        Ok(OutageOf::of_target(target, outages, &notes).collect())
    }

    async fn target(&self, name: &str) -> Result<Response, StoreError> {
        let snapshot = self.snapshots.latest().await?;
        let Some(fleet) = snapshot.fleet(name) else { return Ok(not_found("This target is not watched.")) };
        let history = self.history(&snapshot, &fleet.record.target).await?;
        let outages = self.outages(&history, OUTAGES).await?;
        // Read together with the outages: the snapshot may be older.
        Ok(html_page(StatusCode::OK, target_page(&snapshot, &history.fleet, &history, &outages)))
    }

    async fn runner(&self, name: &str, id: RunnerId) -> Result<Response, StoreError> {
        let snapshot = self.snapshots.latest().await?;
        let Some(fleet) = snapshot.fleet(name) else { return Ok(not_found("This target is not watched.")) };
        let history = self.history(&snapshot, &fleet.record.target).await?;
        // Read together with the outages: the snapshot may be older.
        let fleet = &history.fleet;
        let Some(runner) = fleet.pools_and_runners().find(|runner| runner.id == id) else {
            return Ok(not_found("This runner is no longer known. Its outages may still be listed."));
        };
        let target = &fleet.record.target;
        let store = self.snapshots.store();
        let mut mutes = read_mutes(store, &self.clock).await?;
        mutes.retain(|mute| mute.scope.covers(target.id(), &runner.name, &runner.labels));
        let outages = self.outages(&history.of_runner(id), usize::MAX).await?;
        let on_github = (!runner.is_gone()).then(|| (self.options.github)(target, runner.current_id));
        let said = Said { mutes, outages };
        Ok(html_page(StatusCode::OK, runner_page(&snapshot, (fleet, runner), &history, &said, on_github.as_deref())))
    }

    async fn api_runner(&self, name: &str, id: RunnerId) -> Result<Response, StoreError> {
        let snapshot = self.snapshots.latest().await?;
        let Some(fleet) = snapshot.fleet(name) else { return Ok(unknown("this target is not watched")) };
        // The fleet has the id of the current registration, and outages that of the first.
        let current = || fleet.runners.iter().find(|runner| runner.current_id == id);
        let Some(runner) = fleet.pools_and_runners().find(|runner| runner.id == id).or_else(current) else {
            return Ok(unknown("this runner is not known"));
        };
        let id = runner.id;
        let history = self.history(&snapshot, &fleet.record.target).await?;
        let mut outages = self.outages(&history.of_runner(id), usize::MAX).await?;
        outages.reverse();
        let outages: Vec<_> = outages.iter().map(OutageOf::as_json).collect();
        let days: Vec<_> = days(&history, runner, snapshot.now())
            .iter()
            .map(|day| {
                json!({
                    "begins": day.begins,
                    "observedSecs": day.availability.observed.as_secs(),
                    "downSecs": day.availability.down.as_secs(),
                    "outages": day.outages,
                })
            })
            .collect();
        let target = &fleet.record.target;
        let body =
            json!({"now": snapshot.now(), "target": target, "name": runner.name, "days": days, "outages": outages});
        Ok(Json(body).into_response())
    }
}

async fn target<S: Store, C: Clock>(State(site): Shared<S, C>, Path(name): Path<String>) -> Response {
    site.target(&name).await.unwrap_or_else(|error| unreadable(&error))
}

async fn runner<S: Store, C: Clock>(State(site): Shared<S, C>, Path((id, name)): Path<(u64, String)>) -> Response {
    site.runner(&name, RunnerId(id)).await.unwrap_or_else(|error| unreadable(&error))
}

async fn outages<S: Store, C: Clock>(
    State(site): Shared<S, C>,
    Query(filter): Query<outages_page::Filter>,
) -> Response {
    match (site.snapshots.outages().await, site.snapshots.latest().await) {
        (Ok(outages), Ok(snapshot)) => html_page(StatusCode::OK, outages_page(&snapshot, &outages, &filter)),
        (Err(error), _) | (_, Err(error)) => unreadable(&error),
    }
}

async fn outages_csv<S: Store, C: Clock>(
    State(site): Shared<S, C>,
    Query(filter): Query<outages_page::Filter>,
) -> Response {
    match site.snapshots.outages().await {
        Ok(outages) => {
            let now = site.clock.now();
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
            headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"outages.csv\""));
            (headers, as_csv(&filter.of(&outages, now), now)).into_response()
        }
        Err(error) => unreadable(&error),
    }
}

async fn api_fleet<S: Store, C: Clock>(State(site): Shared<S, C>) -> Response {
    match site.snapshots.latest().await {
        Ok(snapshot) => {
            let tag = tag_of(&(snapshot.tag, snapshot.now()));
            streamed("application/json", &tag, snapshot.json())
        }
        Err(error) => unavailable(&error),
    }
}

async fn api_outages<S: Store, C: Clock>(
    State(site): Shared<S, C>,
    filter: Result<Query<outages_page::Filter>, QueryRejection>,
) -> Response {
    let filter = match filter {
        Ok(Query(filter)) => filter,
        Err(rejection) => return malformed(rejection.body_text()),
    };
    match (site.snapshots.outages().await, site.snapshots.latest().await) {
        (Ok(outages), Ok(snapshot)) => {
            let now = snapshot.now();
            let found = filter.of(&outages, now);
            let shown = paged(&found, filter.page);
            let list: Vec<_> = shown.iter().map(|of| json!({"target": of.target, "outage": of.as_json()})).collect();
            Json(json!({"now": now, "found": found.len(), "outages": list})).into_response()
        }
        (Err(error), _) | (_, Err(error)) => unavailable(&error),
    }
}

async fn api_runner<S: Store, C: Clock>(
    State(site): Shared<S, C>,
    path: Result<Path<(u64, String)>, PathRejection>,
) -> Response {
    match path {
        Ok(Path((id, name))) => site.api_runner(&name, RunnerId(id)).await.unwrap_or_else(|error| unavailable(&error)),
        Err(rejection) => malformed(rejection.body_text()),
    }
}

async fn metrics_text<S: Store, C: Clock>(State(site): Shared<S, C>) -> Response {
    match site.snapshots.latest().await {
        Ok(snapshot) => {
            let tag = tag_of(&snapshot.tag);
            streamed(metrics::CONTENT_TYPE, &tag, metrics(snapshot).map(Ok::<_, Infallible>))
        }
        Err(error) => unavailable(&error),
    }
}

/// 200 if the last cycle completed in time.
async fn healthz<S: Store, C: Clock>(State(site): Shared<S, C>) -> Response {
    match site.snapshots.latest().await {
        Ok(snapshot) if snapshot.monitoring.monitor.ticked_at.is_none() => {
            (StatusCode::SERVICE_UNAVAILABLE, "no tick has run on this store yet\n").into_response()
        }
        Ok(snapshot) if snapshot.monitoring.not_complete.is_empty() => "monitoring is complete\n".into_response(),
        Ok(snapshot) => {
            let why = snapshot.monitoring.not_complete.join("\n");
            (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

/// 200 if the store can be read.
async fn readyz<S: Store, C: Clock>(State(site): Shared<S, C>) -> Response {
    match site.snapshots.latest().await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

/// The page that a link leads to.
async fn show_link<S: Store, C: Clock>(State(site): Shared<S, C>, uri: Uri) -> Response {
    match &site.options.access {
        Some(access) => access.button(uri.query().unwrap_or_default(), site.clock.now()),
        None => not_found("There is no such page."),
    }
}

/// Opens a session.
async fn open_link<S: Store, C: Clock>(State(site): Shared<S, C>, headers: HeaderMap, body: Body) -> Response {
    match &site.options.access {
        Some(access) => access.open(site.snapshots.store(), &site.clock, &headers, body).await,
        None => not_found("There is no such page."),
    }
}

/// An event whenever the stored state has changed.
async fn events<S: Store + 'static, C: Clock + Clone + 'static>(State(site): Shared<S, C>) -> Response {
    if !site.options.streams {
        // After this answer a browser asks for no more events, and the page asks for itself twice a minute.
        return StatusCode::NO_CONTENT.into_response();
    }
    let Ok(permit) = site.live_pages.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "60")], "too many pages are open\n").into_response();
    };
    let mut stop = site.options.stop.clone();
    let stopped = async move {
        // Without a sender nothing will ever stop the page.
        if stop.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let changes = changes(site).take_until(Box::pin(stopped)).map(move |event| {
        let _held = &permit;
        Ok::<_, Infallible>(event)
    });
    let mut response = Sse::new(changes).keep_alive(KeepAlive::default()).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn changes<S: Store, C: Clock>(site: Arc<Site<S, C>>) -> impl Stream<Item = Event> {
    stream::unfold((site, None), async |(site, last)| {
        loop {
            if let Ok(snapshot) = site.snapshots.latest().await
                && last != Some(snapshot.tag)
            {
                let tag = snapshot.tag;
                return Some((Event::default().data(format!("{tag:016x}")), (site, Some(tag))));
            }
            tokio::time::sleep(site.snapshots.pause()).await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_this_machine_or_one_that_was_named() {
        let hosts = Hosts::Named(vec!["runners.acme.test".to_owned()]);
        let is_known = |host| hosts.names(host) || is_this_machine(host);
        for known in ["localhost", "localhost:8080", "127.0.0.1:80", "[::1]:8080", "127.9.9.9", "Runners.acme.test:443"]
        {
            assert!(is_known(known), "{known}");
        }
        for other in
            ["", "evil.test", "localhost.evil.test", "10.0.0.1", "[fe80::1]", "127.0.0.1.evil.test", "acme.test"]
        {
            assert!(!is_known(other), "{other}");
            assert!(Hosts::Any.names(other), "{other}");
        }
    }
}
