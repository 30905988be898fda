//! Errors that the service returns.

use monitor_stately::wire::StatelyErrorDetails;
use prost::Message as _;

/// The codes that Connect and gRPC share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the protocols' own words")]
pub enum RpcCode {
    Canceled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl RpcCode {
    /// The code's name in Connect and number in gRPC.
    fn word_and_number(self) -> (&'static str, u32) {
        match self {
            RpcCode::Canceled => ("canceled", 1),
            RpcCode::Unknown => ("unknown", 2),
            RpcCode::InvalidArgument => ("invalid_argument", 3),
            RpcCode::DeadlineExceeded => ("deadline_exceeded", 4),
            RpcCode::NotFound => ("not_found", 5),
            RpcCode::AlreadyExists => ("already_exists", 6),
            RpcCode::PermissionDenied => ("permission_denied", 7),
            RpcCode::ResourceExhausted => ("resource_exhausted", 8),
            RpcCode::FailedPrecondition => ("failed_precondition", 9),
            RpcCode::Aborted => ("aborted", 10),
            RpcCode::OutOfRange => ("out_of_range", 11),
            RpcCode::Unimplemented => ("unimplemented", 12),
            RpcCode::Internal => ("internal", 13),
            RpcCode::Unavailable => ("unavailable", 14),
            RpcCode::DataLoss => ("data_loss", 15),
            RpcCode::Unauthenticated => ("unauthenticated", 16),
        }
    }

    /// As Connect writes it, for example `failed_precondition`.
    pub fn as_str(self) -> &'static str {
        self.word_and_number().0
    }

    /// The code's number in gRPC.
    pub fn number(self) -> u32 {
        self.word_and_number().1
    }

    /// The HTTP status of a unary Connect answer with this code (connectrpc.com/docs/protocol, error codes).
    pub(crate) fn http_status(self) -> u16 {
        match self {
            RpcCode::Canceled => 499,
            RpcCode::InvalidArgument | RpcCode::FailedPrecondition | RpcCode::OutOfRange => 400,
            RpcCode::Unauthenticated => 401,
            RpcCode::PermissionDenied => 403,
            RpcCode::NotFound => 404,
            RpcCode::AlreadyExists | RpcCode::Aborted => 409,
            RpcCode::ResourceExhausted => 429,
            RpcCode::Unimplemented => 501,
            RpcCode::Unavailable => 503,
            RpcCode::DeadlineExceeded => 504,
            RpcCode::Unknown | RpcCode::Internal | RpcCode::DataLoss => 500,
        }
    }
}

/// A request that was refused, or could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) rpc: RpcCode,
    /// `None` if the error has only the protocol's code.
    pub(crate) stately_code: Option<String>,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(rpc: RpcCode, stately_code: &str, message: impl Into<String>) -> Self {
        Self { rpc, stately_code: Some(stately_code.to_owned()), message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(RpcCode::InvalidArgument, "InvalidArgument", message)
    }

    /// An error without details.
    pub(crate) fn bare(rpc: RpcCode, message: impl Into<String>) -> Self {
        Self { rpc, stately_code: None, message: message.into() }
    }

    /// The text next to the protocol's code, as the service writes it.
    pub(crate) fn outer_message(&self) -> String {
        match &self.stately_code {
            Some(code) => format!("({:?}/{code})", self.rpc),
            None => self.message.clone(),
        }
    }

    /// The details as protobuf, if there are any.
    pub(crate) fn details(&self) -> Option<Vec<u8>> {
        let stately_code = self.stately_code.clone()?;
        let details = StatelyErrorDetails {
            stately_code,
            message: self.message.clone(),
            upstream_cause: String::new(),
            code: self.rpc.number(),
        };
        Some(details.encode_to_vec())
    }
}
