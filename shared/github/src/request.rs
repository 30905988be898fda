//! A request before it is sent, and an answer as received.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};

use crate::endpoint::Endpoint;

/// A request before it is sent.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) endpoint: Endpoint<'a>,
    /// The page of a list, from 1.
    pub(crate) page: Option<u32>,
    /// What a good answer contains, as text that follows "expected".
    pub(crate) expected: &'static str,
}

/// The path of GitHub's quota report. The request is free and is answered even if the quota is used up.
pub(crate) const RATE_LIMIT: &str = "/rate_limit";

impl Request<'_> {
    /// Whether it may be sent although the hourly quota is used up.
    pub(crate) fn is_free(&self) -> bool {
        self.url.path().ends_with(RATE_LIMIT)
    }

    /// What is requested, as text that starts a failure's message.
    pub(crate) fn place(&self) -> String {
        match self.page {
            Some(page) => format!("page {page} of {}", self.endpoint),
            None => self.endpoint.to_string(),
        }
    }
}

/// An answer as received.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The address that answered, after redirects.
    pub(crate) url: Url,
}
