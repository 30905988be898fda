//! The bearer token for the access key: fetched when it is needed, by one caller for all.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longer lifetimes are capped to this, only to keep the arithmetic in range.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// The pause after a failed renewal while the old token is still valid.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);

/// A token and its lifetime.
#[derive(Clone)]
pub(crate) struct Token {
    header: Arc<str>,
    /// Times of the client's timer.
    valid_until: Duration,
    renew_from: Duration,
}

impl Token {
    /// From the service's response. It is renewed when less than a tenth of its lifetime is left.
    pub(crate) fn new(text: &str, life: Duration, now: Duration) -> Self {
        let life = life.min(LONGEST_LIFE);
        Self { header: format!("Bearer {text}").into(), valid_until: now + life, renew_from: now + life * 9 / 10 }
    }

    /// The value of the `authorization` header.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    pub(crate) fn is_valid(&self, now: Duration) -> bool {
        now < self.valid_until
    }
}

/// The current token, and the lock that the fetching caller holds.
#[derive(Default)]
pub(crate) struct Tokens {
    current: Mutex<Option<Token>>,
    pub(crate) fetching: tokio::sync::Mutex<()>,
}

impl Tokens {
    fn lock(&self) -> MutexGuard<'_, Option<Token>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token, if it need not be renewed.
    pub(crate) fn fresh(&self, now: Duration) -> Option<Token> {
        self.lock().clone().filter(|token| now < token.renew_from)
    }

    /// The token while it is valid, even if it should be renewed.
    pub(crate) fn valid(&self, now: Duration) -> Option<Token> {
        self.lock().clone().filter(|token| token.is_valid(now))
    }

    pub(crate) fn keep(&self, token: Token) {
        *self.lock() = Some(token);
    }

    /// Drops a refused token, unless another has replaced it.
    pub(crate) fn forget(&self, refused: &Token) {
        self.lock().take_if(|token| Arc::ptr_eq(&token.header, &refused.header));
    }

    /// Postpones the next renewal after a failed one.
    pub(crate) fn put_off_renewal(&self, now: Duration) {
        if let Some(token) = &mut *self.lock() {
            token.renew_from = now + RENEWAL_PAUSE;
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_in_the_last_tenth_of_its_life() {
        let tokens = Tokens::default();
        let began = Duration::from_secs(5_000);
        let token = Token::new("abc", Duration::from_secs(1_000), began);
        tokens.keep(token.clone());
        let at = |secs| began + Duration::from_secs(secs);
        assert!(tokens.fresh(at(899)).is_some() && tokens.fresh(at(900)).is_none());
        assert!(tokens.valid(at(999)).is_some() && tokens.valid(at(1_000)).is_none());
        tokens.put_off_renewal(at(910));
        assert!(tokens.fresh(at(939)).is_some() && tokens.fresh(at(940)).is_none());
        // The refusal of an earlier token does not drop its successor.
        tokens.keep(Token::new("abc", Duration::MAX, began));
        tokens.forget(&token);
        assert!(tokens.fresh(at(1_000)).is_some());
    }

    #[test]
    fn secrets_are_never_shown() {
        assert_eq!(format!("{:?}", Tokens::default()), "Tokens(****)");
    }
}
