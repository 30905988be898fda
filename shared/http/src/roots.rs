//! Built-in root certificates.

use std::ffi::OsString;
use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

use crate::SetupError;

/// Mozilla's root certificates, which are built in, and those in the PEM file that `SSL_CERT_FILE` names: an Enterprise
/// Server may have a certificate of a private CA.
#[derive(Clone, Debug)]
pub struct BuiltInRoots(ClientConfig);

impl BuiltInRoots {
    /// Reads the file, if one is named.
    pub fn read() -> Result<Self, SetupError> {
        Self::with(std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()))
    }

    fn with(file: Option<OsString>) -> Result<Self, SetupError> {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(path) = file {
            let built_in = roots.len();
            for certificate in crate::trust::certificates(&path).map_err(SetupError::saying)? {
                // A bundle may contain one that is too old to be parsed: the others are enough.
                let _ = roots.add(certificate);
            }
            if roots.len() == built_in {
                let path = path.to_string_lossy();
                return Err(SetupError::saying(format!(
                    "SSL_CERT_FILE: no certificate in `{path}` can be read: name a PEM file with the CA certificates to trust, or unset it"
                )));
            }
        }
        let mut tls = ClientConfig::builder_with_provider(Arc::new(crate::crypto::provider()))
            .with_safe_default_protocol_versions()
            .map_err(SetupError::of)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(tls))
    }

    /// Like [`crate::http`], but trusts these certificates.
    pub fn http(&self) -> reqwest::ClientBuilder {
        crate::http().tls_backend_preconfigured(self.0.clone())
    }
}

/// Like [`crate::http`], for a machine that may have no root certificates, such as a new container: if it has none and
/// no variable names any, [`BuiltInRoots`] are trusted.
pub fn http_for_any_machine() -> reqwest::ClientBuilder {
    static FALLBACK: OnceLock<Option<BuiltInRoots>> = OnceLock::new();
    let fallback = FALLBACK.get_or_init(|| {
        let is_named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some());
        if is_named || crate::http().build().is_ok() {
            return None;
        }
        tracing::info!("this machine has no root certificates: Mozilla's, which are built in, are trusted");
        BuiltInRoots::with(None).ok()
    });
    fallback.as_ref().map_or_else(crate::http, BuiltInRoots::http)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_root_certificates_are_read_or_their_variable_is_named() {
        let built = BuiltInRoots::with(None).unwrap();
        assert!(crate::client(built.http()).is_ok());
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for (path, reason) in [("/nowhere.pem", "cannot be read"), (here, "holds no certificate")] {
            let error_text = BuiltInRoots::with(Some(path.into())).map(|_| ()).unwrap_err().to_string();
            assert!(error_text.starts_with("SSL_CERT_FILE: `/") && error_text.contains(reason), "{error_text}");
        }
    }
}
