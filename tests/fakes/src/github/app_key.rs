//! A key pair for a GitHub App that exists nowhere but on this fake.

/// The private key in the form GitHub hands keys out: PKCS#1 in PEM. It opens nothing.
pub const APP_PRIVATE_KEY_PEM: &str = include_str!("../../fixtures/app-private-key.pem");

/// The public key that belongs to it, for [`super::State::add_app`].
pub const APP_PUBLIC_KEY_DER: &[u8] = include_bytes!("../../fixtures/app-public-key.der");
