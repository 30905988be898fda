//! Trouble that a test makes.

use crate::method::Method;
use crate::refusal::RpcCode;

/// Trouble for some requests to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Only for these; for all, if none.
    pub method: Option<Method>,
    /// How many of them are answered as ever before it begins.
    pub after: u64,
    /// How many of them meet it.
    pub times: u64,
    /// What becomes of them.
    pub trouble: Trouble,
}

impl Fault {
    /// For the next request.
    pub fn once(trouble: Trouble) -> Self {
        Self { method: None, after: 0, times: 1, trouble }
    }

    /// The same, for requests of one kind.
    #[must_use]
    pub fn to(self, method: Method) -> Self {
        Self { method: Some(method), ..self }
    }

    /// The same, after so many requests that it would concern.
    #[must_use]
    pub fn after(self, after: u64) -> Self {
        Self { after, ..self }
    }

    /// The same, so many times.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is refused with this `stately_code` and not carried out.
    Refused {
        /// For example `StoreThroughputExceeded`.
        stately_code: String,
        /// The protocol's code with it.
        rpc: RpcCode,
    },
    /// It is refused with the protocol's code alone and not carried out.
    Bare(RpcCode),
    /// It is not carried out, and the connection ends.
    RequestLost,
    /// It is carried out, and the connection ends.
    AnswerLost,
    /// It is carried out, and the connection ends after so many bytes of the answer.
    AnswerCut(usize),
    /// It is carried out, and the end of a list's or a transaction's stream never says that it is whole.
    EndMissing,
    /// It is not carried out, and nothing is ever answered.
    RequestStalls,
    /// It is carried out, and nothing is ever answered.
    AnswerStalls,
    /// It is carried out, and answered so many milliseconds later.
    Late(u64),
    /// Something in between answers with this HTTP status and a page of HTML; it is not carried out.
    Proxy(u16),
}

impl Trouble {
    /// A `stately_code` with the protocol's code that goes with it, as far as that is known.
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

    /// Whether a request that meets it is carried out all the same.
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
