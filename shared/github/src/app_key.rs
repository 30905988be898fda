//! A GitHub App's private key and what it signs.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use monitor_domain::time::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

use crate::sealed::Sealer;

/// How far the start of validity is set back, because GitHub's clock may be behind this one.
const BACKDATED_SECS: i64 = 60;
/// How long a web token is valid. GitHub accepts at most 10 minutes ahead of its own clock:
/// <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>
const VALID_SECS: i64 = 9 * 60;

/// Why a private key cannot be used, with a hint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It contains no PEM block.
    #[error(
        "it has no line `-----BEGIN RSA PRIVATE KEY-----`; use the whole .pem file from GitHub, with its line breaks"
    )]
    NoPem,
    /// The block has no end, or its content is not base64.
    #[error("it is incomplete or altered between its BEGIN and END lines; use the whole .pem file from GitHub")]
    Damaged,
    /// It is encrypted with a passphrase.
    #[error("it is protected by a passphrase; remove that with: openssl rsa -in key.pem -out plain.pem")]
    Encrypted,
    /// It is another kind of PEM block.
    #[error("it is a `{0}`; generate a private key on the GitHub App's settings page and use that .pem file")]
    OtherKind(String),
    /// It is not an RSA key that can sign.
    #[error("it is not an RSA key of at least 2048 bits ({0}); generate another on the GitHub App's settings page")]
    Rejected(String),
}

/// The key of one GitHub App.
pub(crate) struct AppKey {
    app_id: String,
    pair: RsaKeyPair,
    /// Seals the App's tokens for the store.
    pub(crate) sealer: Sealer,
}

impl AppKey {
    /// Reads a PEM file. Line breaks may be written as `\n`, as in environment files.
    pub(crate) fn parse(app_id: &str, pem: &str) -> Result<Self, KeyError> {
        let pem = pem.replace("\\n", "\n");
        let (kind, base64) = pem_block(&pem)?;
        let pkcs8 = match kind {
            "RSA PRIVATE KEY" => false,
            "PRIVATE KEY" => true,
            "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
            other => return Err(KeyError::OtherKind(other.to_owned())),
        };
        // An encrypted PKCS#1 file says so in its own header lines.
        if base64.contains("ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let base64: String = base64.split_ascii_whitespace().collect();
        let der = STANDARD.decode(base64).map_err(|_| KeyError::Damaged)?;
        let pair = if pkcs8 { RsaKeyPair::from_pkcs8(&der) } else { RsaKeyPair::from_der(&der) };
        let pair = pair.map_err(|rejected| KeyError::Rejected(rejected.to_string()))?;
        let sealer =
            Sealer::of(&der).ok_or_else(|| KeyError::Rejected("no sealing key can be derived from it".to_owned()))?;
        Ok(Self { app_id: app_id.to_owned(), pair, sealer })
    }

    /// A JSON web token for the App itself, valid for the next minutes; `None` if the key cannot sign.
    pub(crate) fn sign(&self, now: Timestamp) -> Option<String> {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        let (issued_at, expires_at) = (now.epoch_secs() - BACKDATED_SECS, now.epoch_secs() + VALID_SECS);
        let claims = format!(r#"{{"iat":{issued_at},"exp":{expires_at},"iss":"{}"}}"#, self.app_id);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let random = SystemRandom::new();
        self.pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The kind and the content of the first PEM block.
fn pem_block(pem: &str) -> Result<(&str, &str), KeyError> {
    let (_, rest) = pem.split_once("-----BEGIN ").ok_or(KeyError::NoPem)?;
    let (kind, rest) = rest.split_once("-----").ok_or(KeyError::NoPem)?;
    let (content, end) = rest.split_once("-----END ").ok_or(KeyError::Damaged)?;
    if !end.starts_with(kind) {
        return Err(KeyError::Damaged);
    }
    Ok((kind, content))
}

#[cfg(test)]
mod tests {
    use monitor_fakes::github::{APP_PRIVATE_KEY_PEM, APP_PUBLIC_KEY_DER};
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// The key of the fakes as PKCS#8. It gives access to nothing.
    const PKCS8_PEM: &str = include_str!("../tests/fixtures/app-key.pem");

    fn refused(pem: &str) -> KeyError {
        AppKey::parse("7", pem).map(drop).unwrap_err()
    }

    #[test]
    fn both_forms_of_a_key_sign_what_the_public_key_verifies() {
        let escaped = APP_PRIVATE_KEY_PEM.replace('\n', "\\n");
        for pem in [APP_PRIVATE_KEY_PEM, PKCS8_PEM, &escaped] {
            let key = AppKey::parse("7", pem).unwrap();
            let token = key.sign(Timestamp::from_epoch_ms(1_795_435_200_000)).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, APP_PUBLIC_KEY_DER);
            assert!(public.verify(signed.as_bytes(), &signature).is_ok());
            let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
            assert_eq!(String::from_utf8(claims).unwrap(), r#"{"iat":1795435140,"exp":1795435740,"iss":"7"}"#);
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_is_refused_with_a_hint_and_without_the_key() {
        let half = &APP_PRIVATE_KEY_PEM[..APP_PRIVATE_KEY_PEM.len() / 2];
        let altered = APP_PRIVATE_KEY_PEM.replace("\nMII", "\nM*I");
        let relabelled = APP_PRIVATE_KEY_PEM.replace("RSA PRIVATE", "PRIVATE");
        let public = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
        let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
        let modern = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(refused(""), KeyError::NoPem);
        assert_eq!(refused("./app.pem"), KeyError::NoPem);
        assert_eq!(refused(half), KeyError::Damaged);
        assert_eq!(refused(&altered), KeyError::Damaged);
        assert_eq!(refused(public), KeyError::OtherKind("PUBLIC KEY".to_owned()));
        assert_eq!(refused(legacy), KeyError::Encrypted);
        assert_eq!(refused(modern), KeyError::Encrypted);
        assert!(matches!(refused(&relabelled), KeyError::Rejected(_)));
        for pem in [half, public, legacy, modern] {
            assert!(!refused(pem).to_string().contains("MII"));
        }
    }
}
