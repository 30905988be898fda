//! A token as it is sent.

use std::sync::Arc;

use reqwest::header::HeaderValue;
use ring::digest::{SHA256, digest};

/// A token as it is sent.
#[derive(Clone)]
pub(crate) struct BearerToken {
    /// The `Authorization` header, marked as sensitive.
    pub(crate) authorization: HeaderValue,
    /// The first 8 bytes of the token's SHA-256 in hex: it distinguishes tokens in the store without revealing them.
    pub(crate) fingerprint: Arc<str>,
}

impl BearerToken {
    /// `None` if the text does not fit into a header.
    pub(crate) fn new(token: &str) -> Option<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        let hash = digest(&SHA256, token.as_bytes());
        let fingerprint: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Some(Self { authorization, fingerprint: fingerprint.into() })
    }

    /// The fingerprint as a number that fits into a signed 64-bit integer.
    pub(crate) fn digest(&self) -> Option<u64> {
        u64::from_str_radix(&self.fingerprint, 16).ok().map(|digest| digest >> 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_short_stable_and_unique_to_a_token() {
        let fingerprint = |token| BearerToken::new(token).unwrap().fingerprint;
        // printf abc | sha256sum
        assert_eq!(&*fingerprint("abc"), "ba7816bf8f01cfea");
        assert_ne!(fingerprint("abc"), fingerprint("abd"));
    }

    #[test]
    fn a_bearer_token_is_not_shown_and_must_fit_into_a_header() {
        let bearer_token = BearerToken::new("ghp_hidden").unwrap();
        assert!(!format!("{:?}", bearer_token.authorization).contains("hidden"));
        assert!(BearerToken::new("ghp_\nx").is_none());
    }
}
