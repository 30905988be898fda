//! What goes wrong between here and StatelyDB, sorted by what the caller can do.

use std::time::Duration;

/// A request that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatelyError {
    /// No whole answer came. A write may have been done all the same.
    #[error("no answer from StatelyDB: {0}")]
    Unreached(String),
    /// The service answered with an error.
    #[error(transparent)]
    Service(ServiceError),
    /// The answer is none of StatelyDB's. A write may have been done all the same.
    #[error("an answer that is none of StatelyDB's: {0}")]
    Garbled(String),
    /// Tried again for as long as the caller's deadline allowed.
    #[error("{last} (gave up after {tries} tries in {} s)", within.as_secs())]
    GaveUp {
        /// How often it was tried.
        tries: u32,
        /// The deadline of the call.
        within: Duration,
        /// What the last try came to.
        last: Box<StatelyError>,
    },
}

/// An error as the service tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("StatelyDB says: {message} ({})", if stately_code.is_empty() { rpc_code } else { stately_code })]
pub struct ServiceError {
    /// The RPC code in the protocol's spelling, as `failed_precondition`.
    pub rpc_code: String,
    /// StatelyDB's own code, as `ConditionalCheckFailed`; empty where it tells none.
    pub stately_code: String,
    /// For people.
    pub message: String,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// At once.
    Now,
    /// After a pause that grows.
    Later,
}

/// StatelyDB's codes that decide by themselves, whatever the RPC code (docs.stately.cloud, "Error Codes"). The list is
/// not exhaustive there: what is not in it goes by its RPC code.
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
    /// Whether trying again may help.
    pub fn retry(&self) -> Retry {
        match self {
            StatelyError::Unreached(_) => Retry::Later,
            StatelyError::Garbled(_) | StatelyError::GaveUp { .. } => Retry::Never,
            StatelyError::Service(error) => error.retry(),
        }
    }

    /// The service's error, if it was one that ended the call.
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

    /// Whether an item that must not exist does.
    pub fn is_conflict(&self) -> bool {
        self.service().is_some_and(|error| error.stately_code == "ConditionalCheckFailed")
    }
}

impl ServiceError {
    /// Whether trying again may help.
    pub fn retry(&self) -> Retry {
        match BY_STATELY_CODE.iter().find(|(code, _)| *code == self.stately_code) {
            Some((_, retry)) => *retry,
            None if matches!(&*self.rpc_code, "unavailable" | "resource_exhausted" | "deadline_exceeded") => {
                Retry::Later
            }
            None => Retry::Never,
        }
    }

    /// Whether another call, later, may succeed unchanged: what is not the request's own fault.
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
    fn what_stately_does_not_name_goes_by_the_rpc_code() {
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
    fn an_error_names_its_code_and_how_long_it_was_tried() {
        let last = Box::new(StatelyError::Service(error("StoreInUse", "")));
        let error_text = StatelyError::GaveUp { tries: 3, within: Duration::from_secs(10), last }.to_string();
        assert_eq!(error_text, "StatelyDB says: why (StoreInUse) (gave up after 3 tries in 10 s)");
    }
}
