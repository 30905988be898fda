//! The token of a GitHub App's installation, kept until shortly before its end.

use std::sync::Arc;
use std::time::Duration;

use monitor_domain::observation::Failure;
use monitor_domain::subject::CredentialId;
use monitor_domain::time::Timestamp;
use monitor_pipeline::items::AccessToken;
use tokio::sync::Mutex;

use crate::app_key::AppKey;
use crate::bearer_token::BearerToken;

/// How long before its end a token is renewed. It is valid for an hour.
const RENEWED_BEFORE_END: Duration = Duration::from_secs(5 * 60);

/// An installation's token, or why there is none. It is locked while the token is fetched, so that other callers wait
/// for the same one.
#[derive(Default)]
pub(crate) struct TokenCache(pub(crate) Mutex<Slot>);

/// What the cache holds.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) token: Token,
    /// The fingerprint of the last token that GitHub refused: that token may still be stored.
    refused: Option<Arc<str>>,
}

#[derive(Default)]
pub(crate) enum Token {
    #[default]
    None,
    Held(Held),
    Failed {
        failure: Failure,
        until: Timestamp,
    },
}

#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) bearer_token: BearerToken,
    pub(crate) expires_at: Timestamp,
    /// The sealed token, to be stored; `None` if it could not be sealed.
    pub(crate) sealed: Option<String>,
}

impl TokenCache {
    /// Discards a token that GitHub refuses, unless it has already been renewed.
    pub(crate) async fn discard(&self, refused: &BearerToken) {
        let mut slot = self.0.lock().await;
        if let Token::Held(held) = &slot.token
            && held.bearer_token.fingerprint == refused.fingerprint
        {
            *slot = Slot { token: Token::None, refused: Some(Arc::clone(&refused.fingerprint)) };
        }
    }

    /// Takes over a stored token, unless the one in use expires later.
    pub(crate) async fn take_over(
        &self,
        key: &AppKey,
        credential: &CredentialId,
        stored: &AccessToken,
        now: Timestamp,
    ) {
        let AccessToken { expires_at, sealed, .. } = stored;
        let mut slot = self.0.lock().await;
        if let Token::Held(held) = &slot.token
            && (held.sealed.as_ref() == Some(sealed) || held.expires_at > *expires_at)
        {
            return;
        }
        let opened =
            if is_to_be_renewed(*expires_at, now) { None } else { key.sealer.open(sealed, credential.as_str()) };
        let Some(bearer_token) = opened.and_then(|token| BearerToken::new(&token)) else { return };
        if slot.refused.as_ref() != Some(&bearer_token.fingerprint) {
            slot.token = Token::Held(Held { bearer_token, expires_at: *expires_at, sealed: Some(sealed.clone()) });
        }
    }
}

pub(crate) fn is_to_be_renewed(expires_at: Timestamp, now: Timestamp) -> bool {
    now >= expires_at.minus(RENEWED_BEFORE_END)
}
