//! Tokens, GitHub Apps and the JSON web tokens that Apps sign.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::limits::Usage;
use super::target_key::{Scope, TargetKey};

/// How far ahead an App's JSON web token may expire at most, in seconds.
const MAX_JWT_SECS: i64 = 600;

/// A token that this GitHub knows.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) expires_at_ms: Option<i64>,
    /// If set, the reported expiry is always this far ahead of the answer, in milliseconds.
    pub(crate) reported_end_ahead_ms: Option<i64>,
    pub(crate) usage: Usage,
}

#[derive(Clone)]
pub(crate) enum TokenKind {
    /// Has access to everything, subject to each target's own access.
    Personal,
    /// Has access to what belongs to one account.
    Installation { id: u64, account: String },
}

impl Token {
    /// Whether the token has access to the target's account at all.
    pub(crate) fn reaches(&self, target: &TargetKey) -> bool {
        match &self.kind {
            TokenKind::Personal => true,
            TokenKind::Installation { account, .. } => {
                target.scope() != Scope::Enterprise && target.account() == account
            }
        }
    }
}

/// A registered GitHub App.
#[derive(Clone)]
pub(crate) struct App {
    /// RSA public key as PKCS#1 DER.
    pub(crate) public_key: Vec<u8>,
    /// Accounts in lower case, by installation id.
    pub(crate) installations: BTreeMap<u64, String>,
    /// The App's own usage, separate from its installations'.
    pub(crate) usage: Usage,
}

/// Why a JSON web token is refused, with GitHub's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: &'static str,
}

const UNDECODABLE: Refusal = refusal(401, "A JSON web token could not be decoded");

const fn refusal(status: u16, message: &'static str) -> Refusal {
    Refusal { status, message }
}

/// The id of the App that signed a JSON web token.
pub(crate) fn verify_app_jwt(jwt: &str, apps: &BTreeMap<u64, App>, now_ms: i64) -> Result<u64, Refusal> {
    let parts: Vec<&str> = jwt.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err(UNDECODABLE);
    };
    let header_json = decode_json(header)?;
    if header_json["alg"] != "RS256" {
        return Err(UNDECODABLE);
    }
    let claims_json = decode_json(claims)?;
    // `iss` is a number or the same number as text: both are in use.
    let issuer = &claims_json["iss"];
    let issuer = issuer.as_u64().or_else(|| issuer.as_str().and_then(|id| id.parse().ok()));
    let app = issuer.and_then(|id| Some((id, apps.get(&id)?)));
    let (app_id, app) = app.ok_or(refusal(404, "Integration not found"))?;

    let signature = URL_SAFE_NO_PAD.decode(signature);
    let signature = signature.map_err(|_| UNDECODABLE)?;
    let signed = format!("{header}.{claims}");
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &app.public_key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| UNDECODABLE)?;

    check_times(&claims_json, now_ms.div_euclid(1000))?;
    Ok(app_id)
}

fn check_times(claims: &Value, now_secs: i64) -> Result<(), Refusal> {
    let expires = claims["exp"].as_i64().filter(|&exp| exp > now_secs);
    let expires = expires.ok_or(refusal(
        401,
        "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    ))?;
    if expires > now_secs + MAX_JWT_SECS {
        return Err(refusal(401, "'Expiration time' claim ('exp') is too far in the future"));
    }
    let issued = claims["iat"].as_i64().filter(|&iat| iat <= now_secs);
    issued.map(drop).ok_or(refusal(
        401,
        "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    ))
}

fn decode_json(part: &str) -> Result<Value, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| UNDECODABLE)?;
    serde_json::from_slice(&bytes).map_err(|_| UNDECODABLE)
}
