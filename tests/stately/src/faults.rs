//! Faults that a test injects.

use crate::method::Method;
use crate::refusal::RpcCode;

/// A fault for some of the next requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The affected method; `None` for all.
    pub method: Option<Method>,
    /// How many of these requests succeed before the fault begins.
    pub after: u64,
    /// How many of these requests fail.
    pub times: u64,
    /// The kind of failure.
    pub trouble: Trouble,
}

impl Fault {
    /// A fault for the next request.
    pub fn once(trouble: Trouble) -> Self {
        Self { method: None, after: 0, times: 1, trouble }
    }

    /// The same fault for one method only.
    #[must_use]
    pub fn to(self, method: Method) -> Self {
        Self { method: Some(method), ..self }
    }

    /// The same fault after this many matching requests.
    #[must_use]
    pub fn after(self, after: u64) -> Self {
        Self { after, ..self }
    }

    /// The same fault for this many requests.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }
}

/// How a request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is refused with this `stately_code` and not carried out.
    Refused {
        /// The service's code, for example `StoreThroughputExceeded`.
        stately_code: String,
        /// The protocol's code that goes with it.
        rpc: RpcCode,
    },
    /// It is refused with only the protocol's code and not carried out.
    Bare(RpcCode),
    /// It is not carried out, and the connection ends.
    RequestLost,
    /// It is carried out, and the connection ends.
    AnswerLost,
    /// It is carried out, and the connection ends after this many bytes of the response.
    AnswerCut(usize),
    /// It is carried out, but the stream of a list or transaction lacks its last message.
    EndMissing,
    /// It is not carried out, and no response ever arrives.
    RequestStalls,
    /// It is carried out, but no response ever arrives.
    AnswerStalls,
    /// It is carried out, and the response is this many milliseconds late.
    Late(u64),
    /// A proxy responds with this HTTP status and an HTML page; it is not carried out.
    Proxy(u16),
}

impl Trouble {
    /// A refusal with this `stately_code` and its protocol code, as far as that is known.
    pub fn stately_code(stately_code: &str) -> Self {
        let rpc = match stately_code {
            "CachedSchemaTooOld" => RpcCode::Internal,
            "ConcurrentModification" => RpcCode::Aborted,
            "StoreRequestLimitExceeded" | "StoreThroughputExceeded" => RpcCode::ResourceExhausted,
            "StoreInUse" | "BackupsUnavailable" => RpcCode::Unavailable,
            "ItemReusedWithDifferentKeyPath" => RpcCode::InvalidArgument,
            _ => RpcCode::FailedPrecondition,
        };
        Trouble::Refused { stately_code: stately_code.to_owned(), rpc }
    }

    /// Whether the failing request is still carried out.
    pub fn is_carried_out(&self) -> bool {
        match self {
            Trouble::Refused { .. }
            | Trouble::Bare(_)
            | Trouble::RequestLost
            | Trouble::RequestStalls
            | Trouble::Proxy(_) => false,
            Trouble::AnswerLost
            | Trouble::AnswerCut(_)
            | Trouble::EndMissing
            | Trouble::AnswerStalls
            | Trouble::Late(_) => true,
        }
    }
}
