//! Errors of StatelyDB requests, classified by what the caller can do.

use std::time::Duration;

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatelyError {
    /// No complete response arrived. A write may still have been applied.
    #[error("no answer from StatelyDB: {0}")]
    Unreached(String),
    /// The service returned an error.
    #[error(transparent)]
    Service(ServiceError),
    /// The response is not one of StatelyDB's. A write may still have been applied.
    #[error("not a StatelyDB response: {0}")]
    Garbled(String),
    /// Every attempt within the caller's deadline failed.
    #[error("{last} (gave up after {tries} tries in {} s)", within.as_secs())]
    GaveUp {
        /// The number of attempts.
        tries: u32,
        /// The deadline of the call.
        within: Duration,
        /// The error of the last attempt.
        last: Box<StatelyError>,
    },
}

/// An error reported by the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("StatelyDB says: {message} ({})", if stately_code.is_empty() { rpc_code } else { stately_code })]
pub struct ServiceError {
    /// The RPC code in the protocol's spelling, for example `failed_precondition`.
    pub rpc_code: String,
    /// StatelyDB's own code, for example `ConditionalCheckFailed`; empty if the error has none.
    pub stately_code: String,
    /// The reason, for people.
    pub message: String,
}

/// Whether a retry may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// Retry at once.
    Now,
    /// Retry after a growing pause.
    Later,
}

/// The StatelyDB codes that decide regardless of the RPC code (docs.stately.cloud, "Error Codes"). That list is not
/// exhaustive: for any other code the RPC code decides.
const BY_STATELY_CODE: [(&str, Retry); 12] = [
    ("BackupsUnavailable", Retry::Later),
    ("CachedSchemaTooOld", Retry::Now),
    ("ConcurrentModification", Retry::Now),
    ("ConditionalCheckFailed", Retry::Never),
    ("ItemReusedWithDifferentKeyPath", Retry::Never),
    ("NonRecoverableTransaction", Retry::Never),
    ("SchemaNotFound", Retry::Never),
    ("SchemaVersionMismatch", Retry::Never),
    ("SchemaVersionNotFound", Retry::Never),
    ("StoreInUse", Retry::Later),
    ("StoreRequestLimitExceeded", Retry::Later),
    ("StoreThroughputExceeded", Retry::Later),
];

impl StatelyError {
    /// Whether a retry may help.
    pub fn retry(&self) -> Retry {
        match self {
            StatelyError::Unreached(_) => Retry::Later,
            StatelyError::Garbled(_) | StatelyError::GaveUp { .. } => Retry::Never,
            StatelyError::Service(error) => error.retry(),
        }
    }

    /// The service's error, if one ended the call.
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            StatelyError::Service(error) => Some(error),
            StatelyError::GaveUp { last, .. } => last.service(),
            StatelyError::Unreached(_) | StatelyError::Garbled(_) => None,
        }
    }

    /// Whether the token was refused.
    pub fn is_unauthenticated(&self) -> bool {
        self.service().is_some_and(|error| error.rpc_code == "unauthenticated")
    }

    /// Whether an item exists that must not.
    pub fn is_conflict(&self) -> bool {
        self.service().is_some_and(|error| error.stately_code == "ConditionalCheckFailed")
    }
}

impl ServiceError {
    /// Whether a retry may help.
    pub fn retry(&self) -> Retry {
        match BY_STATELY_CODE.iter().find(|(code, _)| *code == self.stately_code) {
            Some((_, retry)) => *retry,
            None if matches!(&*self.rpc_code, "unavailable" | "resource_exhausted" | "deadline_exceeded") => {
                Retry::Later
            }
            None => Retry::Never,
        }
    }

    /// Whether the same request may succeed in a later call, because the request itself is not at fault.
    pub fn may_pass(&self) -> bool {
        self.retry() != Retry::Never
            || (matches!(&*self.rpc_code, "unknown" | "internal" | "aborted" | "canceled" | "data_loss")
                && !BY_STATELY_CODE.iter().any(|(code, _)| *code == self.stately_code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(stately_code: &str, rpc_code: &str) -> ServiceError {
        let (stately_code, rpc_code) = (stately_code.to_owned(), rpc_code.to_owned());
        ServiceError { rpc_code, stately_code, message: "why".to_owned() }
    }

    #[test]
    fn statelys_code_decides_before_the_rpc_code() {
        assert_eq!(error("CachedSchemaTooOld", "internal").retry(), Retry::Now);
        assert_eq!(error("StoreThroughputExceeded", "unknown").retry(), Retry::Later);
        assert_eq!(error("ConditionalCheckFailed", "unavailable").retry(), Retry::Never);
        assert!(!error("ConditionalCheckFailed", "aborted").may_pass());
    }

    #[test]
    fn without_a_known_stately_code_the_rpc_code_decides() {
        for code in ["unavailable", "resource_exhausted", "deadline_exceeded"] {
            assert_eq!(error("", code).retry(), Retry::Later, "{code}");
            assert_eq!(error("Unheard", code).retry(), Retry::Later, "{code}");
        }
        for code in
            ["invalid_argument", "permission_denied", "not_found", "unauthenticated", "unimplemented", "internal", ""]
        {
            assert_eq!(error("", code).retry(), Retry::Never, "{code}");
        }
        assert!(error("", "internal").may_pass() && !error("", "not_found").may_pass());
    }

    #[test]
    fn an_error_names_its_code_and_its_attempts() {
        let last = Box::new(StatelyError::Service(error("StoreInUse", "")));
        let error_text = StatelyError::GaveUp { tries: 3, within: Duration::from_secs(10), last }.to_string();
        assert_eq!(error_text, "StatelyDB says: why (StoreInUse) (gave up after 3 tries in 10 s)");
    }
}
