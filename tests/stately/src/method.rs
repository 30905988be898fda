//! The methods of the service.

use monitor_stately::wire::{path, scan};

/// A method of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the service's own words")]
pub enum Method {
    GetAuthToken,
    Put,
    Get,
    Delete,
    BeginList,
    ContinueList,
    BeginScan,
    ContinueScan,
    Transaction,
}

impl Method {
    pub(crate) fn of_path(given: &str) -> Option<Self> {
        Some(match given {
            path::GET_AUTH_TOKEN => Method::GetAuthToken,
            path::PUT => Method::Put,
            path::GET => Method::Get,
            path::DELETE => Method::Delete,
            path::BEGIN_LIST => Method::BeginList,
            path::CONTINUE_LIST => Method::ContinueList,
            scan::BEGIN_SCAN => Method::BeginScan,
            scan::CONTINUE_SCAN => Method::ContinueScan,
            path::TRANSACTION => Method::Transaction,
            _ => return None,
        })
    }

    /// Whether the method has one request message and one response message.
    pub(crate) fn is_unary(self) -> bool {
        matches!(self, Method::GetAuthToken | Method::Put | Method::Get | Method::Delete)
    }
}
