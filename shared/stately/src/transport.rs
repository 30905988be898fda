//! One request to StatelyDB and its response as bytes: over HTTP, or directly to a server in the same process.

use std::future::Future;

/// An HTTP POST.
#[derive(Clone)]
pub struct Request {
    /// The path below the endpoint, with a leading slash.
    pub path: &'static str,
    /// Headers, with names in lower case. A value may be a secret.
    pub headers: Vec<(&'static str, String)>,
    /// The message, or the frames of a stream.
    pub body: Vec<u8>,
}

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The content type without parameters; empty if the header is missing.
    pub content_type: String,
    /// The message, or all frames of a stream.
    pub body: Vec<u8>,
}

/// No complete response arrived: it is unknown whether the request was carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreached(pub String);

/// Sends requests to StatelyDB.
pub trait Transport: Send + Sync {
    /// Posts a request and waits for the complete response. The caller sets time limits.
    fn post(&self, request: Request) -> impl Future<Output = Result<Response, Unreached>> + Send;
}

impl<T: Transport> Transport for &T {
    fn post(&self, request: Request) -> impl Future<Output = Result<Response, Unreached>> + Send {
        (**self).post(request)
    }
}

impl<T: Transport> Transport for std::sync::Arc<T> {
    fn post(&self, request: Request) -> impl Future<Output = Result<Response, Unreached>> + Send {
        (**self).post(request)
    }
}
