//! Turns an event into a request to the pages, and their answer into one for the gateway.

use std::time::Duration;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderValue, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use monitor_access::Refusal;
use tower::ServiceExt as _;
use tracing::{Instrument as _, info_span, warn};

/// Lambda accepts answers of 6 MB, in which JSON escapes some characters.
const MAX_ANSWER_BYTES: usize = 4_500_000;

fn converted(event: ApiGatewayV2httpRequest) -> Option<Request<Body>> {
    let path = event.raw_path.as_deref().filter(|path| path.starts_with('/'))?;
    let address = match event.raw_query_string.as_deref().unwrap_or_default() {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    };
    let body = event.body.unwrap_or_default();
    let body = if event.is_base64_encoded { STANDARD.decode(body).ok()? } else { body.into_bytes() };
    let mut request =
        Request::builder().method(event.request_context.http.method).uri(address).body(body.into()).ok()?;
    *request.headers_mut() = event.headers;
    // The gateway takes cookies out of the headers.
    for cookie in event.cookies.unwrap_or_default() {
        request.headers_mut().append(COOKIE, HeaderValue::from_str(&cookie).ok()?);
    }
    Some(request)
}

/// Answers one request, within this time; also says why its link or session was refused, if it was.
pub(crate) async fn answer(
    pages: &Router,
    request: ApiGatewayV2httpRequest,
    within: Duration,
    request_id: &str,
) -> (ApiGatewayV2httpResponse, Option<Refusal>) {
    let mut response = ApiGatewayV2httpResponse::default();
    let Some(request) = converted(request) else {
        response.status_code = StatusCode::BAD_REQUEST.as_u16().into();
        return (response, None);
    };
    let span = info_span!("web", stage = "web", request_id);
    let Ok(Ok(answered)) = tokio::time::timeout(within, pages.clone().oneshot(request).instrument(span)).await else {
        warn!(request_id, "a page was not ready in time: the store is slow or does not answer");
        response.status_code = StatusCode::GATEWAY_TIMEOUT.as_u16().into();
        response.body = Some("The store does not answer in time. Try again in a minute.\n".to_owned().into());
        return (response, None);
    };
    let (mut head, body) = answered.into_parts();
    for cookie in head.headers.get_all(SET_COOKIE) {
        response.cookies.extend(cookie.to_str().map(str::to_owned));
    }
    head.headers.remove(SET_COOKIE);
    let text = to_bytes(body, MAX_ANSWER_BYTES).await.ok().and_then(|body| String::from_utf8(body.into()).ok());
    match text {
        Some(text) => {
            response.status_code = head.status.as_u16().into();
            response.headers = head.headers;
            response.body = (!text.is_empty()).then(|| text.into());
        }
        None => {
            warn!(request_id, "an answer is larger than Lambda accepts");
            response.status_code = StatusCode::INSUFFICIENT_STORAGE.as_u16().into();
            response.body = Some("This is larger than the 5 MB that the function can send.\n".to_owned().into());
        }
    }
    (response, head.extensions.get().copied())
}
