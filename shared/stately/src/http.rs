//! The transport over HTTP.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;

use crate::endpoint::Endpoint;
use crate::transport::{Request, Response, Transport, Unreached};

/// The largest response that is read, in bytes. A StatelyDB page is a small part of it.
const LONGEST_ANSWER: usize = 64 << 20;
/// The interval of HTTP/2 pings on an idle connection, so that one dropped by a NAT costs no request.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Posts over HTTP/2: negotiated by ALPN with TLS, by prior knowledge without.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    client: reqwest::Client,
    endpoint: Endpoint,
}

impl HttpTransport {
    /// Extends the host's HTTP settings (TLS, roots, proxy, limits). A crypto provider must be installed.
    pub fn new(builder: reqwest::ClientBuilder, endpoint: Endpoint) -> Result<Self, Unreached> {
        let builder = builder
            .redirect(reqwest::redirect::Policy::none())
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(Duration::from_secs(5))
            // The response for a fleet of a thousand runners is half a megabyte: one window instead of nine.
            .http2_initial_stream_window_size(2 << 20)
            .http2_initial_connection_window_size(4 << 20);
        let builder = if endpoint.is_plain() { builder.http2_prior_knowledge() } else { builder };
        let client = builder.build().map_err(|error| unreached(error, "the HTTP client cannot be set up"))?;
        Ok(Self { client, endpoint })
    }
}

impl Transport for HttpTransport {
    async fn post(&self, request: Request) -> Result<Response, Unreached> {
        let url = format!("{}{}", self.endpoint.as_str(), request.path);
        let mut post = self.client.post(url).body(request.body);
        for (name, value) in request.headers {
            post = post.header(name, value);
        }
        let broken = |error| unreached(error, self.endpoint.as_str());
        let mut answer = post.send().await.map_err(broken)?;
        let status = answer.status().as_u16();
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let expected = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let mut body = Vec::with_capacity(expected.min(LONGEST_ANSWER));
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(Unreached(format!("the response is larger than {} MiB", LONGEST_ANSWER >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, content_type, body })
    }
}

/// The whole chain of causes, without URLs: reqwest's own message says only that the request failed.
fn unreached(error: reqwest::Error, what: &str) -> Unreached {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(deeper) = source {
        let text = deeper.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        source = deeper.source();
    }
    Unreached(format!("{what}: {reason}"))
}
