//! How the token of a GitHub App's installation is put on record: as only those can read it who could get one themselves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};

/// Keeps this use of the private key apart from any other.
const PURPOSE: &[u8] = b"github-runner-monitor: access tokens on record, 1";

/// What seals and opens tokens: AES-256-GCM under a key that HKDF-SHA256 draws from the App's private key.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    /// Of a private key in DER. Two forms of one key make two sealers.
    pub(crate) fn of(private_key: &[u8]) -> Option<Self> {
        let drawn = Salt::new(HKDF_SHA256, PURPOSE).extract(private_key);
        let key = UnboundKey::from(drawn.expand(&[b"AES-256-GCM"], &AES_256_GCM).ok()?);
        Some(Self(LessSafeKey::new(key)))
    }

    /// Seals a token for one credential. None where chance fails.
    pub(crate) fn seal(&self, token: &str, credential: &str) -> Option<String> {
        // A token an hour: never as many as make two equal nonces likely.
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = token.as_bytes().to_vec();
        let aad = Aad::from(credential.as_bytes());
        self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some(STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what was sealed for this credential with the same key; none of anything else.
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
    fn a_token_is_opened_by_the_same_key_for_the_same_credential_and_as_it_was_sealed() {
        let (sealer, again, other) =
            (Sealer::of(b"key").unwrap(), Sealer::of(b"key").unwrap(), Sealer::of(b"k").unwrap());
        let sealed = sealer.seal("ghs_hidden", "app:acme").unwrap();
        assert_eq!(again.open(&sealed, "app:acme").as_deref(), Some("ghs_hidden"));
        assert_eq!(other.open(&sealed, "app:acme"), None);
        assert_eq!(again.open(&sealed, "app:late"), None);
        assert_ne!(sealer.seal("ghs_hidden", "app:acme").unwrap(), sealed, "no two look alike");

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
