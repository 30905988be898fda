//! One exchange with StatelyDB, bytes in and bytes out: over HTTP, or straight into a server in the same process.

use std::future::Future;

/// What is posted.
#[derive(Clone)]
pub struct Request {
    /// Below the endpoint, with a slash at the start.
    pub path: &'static str,
    /// Names in lower case. A value may be a secret.
    pub headers: Vec<(&'static str, String)>,
    /// The message, or the frames of a stream.
    pub body: Vec<u8>,
}

/// What came back, to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The content type, without parameters; empty where none is told.
    pub content_type: String,
    /// The message, or all frames of a stream.
    pub body: Vec<u8>,
}

/// No whole answer came: nobody knows whether the request was carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreached(pub String);

/// The way to StatelyDB.
pub trait Transport: Send + Sync {
    /// Posts a request and waits for the end of the answer. Time limits are the caller's.
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
