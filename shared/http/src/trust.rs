//! Why the certificates to trust could not be read, with the name of the setting.

use std::ffi::OsStr;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The fault in `SSL_CERT_FILE` or `SSL_CERT_DIR`, if there is one.
pub(crate) fn fault() -> Option<String> {
    let (file, folders) = (std::env::var_os("SSL_CERT_FILE"), std::env::var_os("SSL_CERT_DIR"));
    file_fault(file.as_deref()).or_else(|| folder_fault(folders.as_deref()))
}

fn file_fault(file: Option<&OsStr>) -> Option<String> {
    let file = file?;
    if file.is_empty() {
        return Some(
            "SSL_CERT_FILE is set but empty: name a PEM file with the CA certificates to trust, or unset it".to_owned(),
        );
    }
    certificates(file).err()
}

fn folder_fault(folders: Option<&OsStr>) -> Option<String> {
    let missing = std::env::split_paths(folders?).find(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())?;
    Some(format!(
        "SSL_CERT_DIR: `{}` is not a folder: name one with CA certificates in PEM files, or unset it",
        missing.display()
    ))
}

/// The certificates in the file that `SSL_CERT_FILE` names; at least one.
pub(crate) fn certificates(file: &OsStr) -> Result<Vec<CertificateDer<'static>>, String> {
    let refused = |reason: &dyn std::fmt::Display| {
        let path = Path::new(file).display();
        format!("SSL_CERT_FILE: `{path}` {reason}: name a PEM file with the CA certificates to trust, or unset it")
    };
    let unreadable = |error: rustls::pki_types::pem::Error| match error {
        rustls::pki_types::pem::Error::Io(error) => refused(&format!("cannot be read ({error})")),
        error => refused(&format!("is not a PEM file ({error})")),
    };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(file).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(refused(&"holds no certificate"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_leads_to_no_certificate_is_named_with_its_file_and_the_fix() {
        let fault = |file: &str| file_fault(Some(OsStr::new(file))).unwrap();
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let folder = env!("CARGO_MANIFEST_DIR");
        for (file, reason) in [
            ("/nowhere.pem", "cannot be read (No such file"),
            (here, "holds no certificate"),
            (folder, "cannot be read"),
            ("", "empty"),
        ] {
            let said = fault(file);
            assert!(said.starts_with("SSL_CERT_FILE") && said.contains(file) && said.contains(reason), "{said}");
            assert!(said.ends_with("CA certificates to trust, or unset it"), "{said}");
        }
        assert_eq!(file_fault(None), None);
        let said = folder_fault(Some(OsStr::new("/:/nowhere"))).unwrap();
        assert!(said.starts_with("SSL_CERT_DIR: `/nowhere` is not a folder"), "{said}");
        assert_eq!(folder_fault(Some(OsStr::new("/"))), None);
    }
}
