//! Seals the token of a GitHub App's installation for the store: only a process with the App's private key, which could
//! get a token itself, can read it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};

/// Keeps this use of the private key apart from any other.
const PURPOSE: &[u8] = b"github-runner-monitor: stored access tokens, 1";

/// Seals and opens tokens with AES-256-GCM, under a key that HKDF-SHA256 derives from the App's private key.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    /// The sealer of a private key in DER. Two encodings of one key give two different sealers.
    pub(crate) fn of(private_key: &[u8]) -> Option<Self> {
        let drawn = Salt::new(HKDF_SHA256, PURPOSE).extract(private_key);
        let key = UnboundKey::from(drawn.expand(&[b"AES-256-GCM"], &AES_256_GCM).ok()?);
        Some(Self(LessSafeKey::new(key)))
    }

    /// Seals a token for one credential. `None` if no random number is available.
    pub(crate) fn seal(&self, token: &str, credential: &str) -> Option<String> {
        // One token per hour is far too few for two nonces to be equal.
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = token.as_bytes().to_vec();
        let aad = Aad::from(credential.as_bytes());
        self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some(STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens a token that was sealed for this credential with the same key; `None` for anything else.
    pub(crate) fn open(&self, sealed: &str, credential: &str) -> Option<String> {
        let mut sealed = STANDARD.decode(sealed).ok()?;
        let (nonce, content) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.0.open_in_place(nonce, Aad::from(credential.as_bytes()), content).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_opened_only_unaltered_with_the_same_key_and_for_the_same_credential() {
        let (sealer, again, other) =
            (Sealer::of(b"key").unwrap(), Sealer::of(b"key").unwrap(), Sealer::of(b"k").unwrap());
        let sealed = sealer.seal("ghs_hidden", "app:acme").unwrap();
        assert_eq!(again.open(&sealed, "app:acme").as_deref(), Some("ghs_hidden"));
        assert_eq!(other.open(&sealed, "app:acme"), None);
        assert_eq!(again.open(&sealed, "app:late"), None);
        assert_ne!(sealer.seal("ghs_hidden", "app:acme").unwrap(), sealed, "no two are equal");

        let bytes = STANDARD.decode(&sealed).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("hidden"));
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_eq!(again.open(&STANDARD.encode(&altered), "app:acme"), None);
            assert_eq!(again.open(&STANDARD.encode(&bytes[..at]), "app:acme"), None);
        }
        assert_eq!(again.open("no base64", "app:acme"), None);
    }
}
