//! How a GitHub App gets a token for an account: it signs with its key, finds its installation, keeps the token for
//! almost an hour, and shares it with other processes through the store.

use std::time::Duration;

use monitor_domain::observation::{Failure, Fault};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::{Target, TargetKind};
use monitor_pipeline::items::AccessToken;
use reqwest::Method;

use crate::app_key::AppKey;
use crate::bearer_token::BearerToken;
use crate::credential::CredentialState;
use crate::endpoint::Endpoint;
use crate::exchange::{Decode, exchange};
use crate::request::Request;
use crate::token_cache::{Held, Token, is_to_be_renewed};
use crate::transport::Transport;
use crate::wire;

/// How long a failure to get a token is returned to all callers, so that neither those that waited for it nor the next
/// targets of the same account repeat the failing requests.
const FAILURE_HOLDS: Duration = Duration::from_secs(30);

/// Uses the stored token for a target from now on, or fetches one if the stored one is unusable. Returns the token
/// to store in its place, if it is another. A failure is returned by the next request: it is kept for a while.
pub(crate) async fn share_token(
    transport: &Transport,
    key: &AppKey,
    credential_state: &CredentialState,
    target: &Target,
    stored: Option<&AccessToken>,
) -> Option<AccessToken> {
    let credential = CredentialId::app_installation(target.owner());
    if let Some(stored) = stored {
        credential_state.token_cache.take_over(key, &credential, stored, transport.now()).await;
    }
    let Held { expires_at, sealed, .. } =
        installation_token(transport, key, credential_state, Endpoint::Runners(target)).await.ok()?;
    let sealed = sealed.filter(|sealed| stored.is_none_or(|stored| stored.sealed != *sealed))?;
    Some(AccessToken { credential, expires_at, sealed })
}

/// The token of the App's installation that can see the endpoint.
pub(crate) async fn installation_bearer_token(
    transport: &Transport,
    key: &AppKey,
    credential_state: &CredentialState,
    endpoint: Endpoint<'_>,
) -> Result<BearerToken, Failure> {
    installation_token(transport, key, credential_state, endpoint).await.map(|held| held.bearer_token)
}

async fn installation_token(
    transport: &Transport,
    key: &AppKey,
    credential_state: &CredentialState,
    endpoint: Endpoint<'_>,
) -> Result<Held, Failure> {
    let account = account(endpoint)?;
    let mut slot = credential_state.token_cache.0.lock().await;
    let now = transport.now();
    match &slot.token {
        Token::Held(held) if !is_to_be_renewed(held.expires_at, now) => return Ok(held.clone()),
        Token::Failed { failure, until } if now < *until => return Err(failure.clone()),
        _ => {}
    }
    match fetch_token(transport, key, credential_state, endpoint, account).await {
        Ok(held) => {
            slot.token = Token::Held(held.clone());
            Ok(held)
        }
        Err(failure) => {
            let until = transport.now().plus(FAILURE_HOLDS);
            slot.token = Token::Failed { failure: failure.clone(), until };
            Err(failure)
        }
    }
}

async fn fetch_token(
    transport: &Transport,
    key: &AppKey,
    credential_state: &CredentialState,
    endpoint: Endpoint<'_>,
    account: &str,
) -> Result<Held, Failure> {
    let installation = find_installation(transport, key, credential_state, endpoint, account).await?;
    let path = format!("/app/installations/{}/access_tokens", installation.id);
    let request = request(transport, Method::POST, &path, Endpoint::Installation(account), "a token");
    let token = as_app(transport, key, credential_state, &request, wire::access_token).await;
    let token = token.map_err(not_installed)?;
    let bearer_token = BearerToken::new(&token.token);
    let bearer_token = bearer_token.ok_or_else(|| {
        Failure::new(Fault::BrokenAnswer, "GitHub gave the GitHub App a token that does not fit into a header")
    })?;
    let sealed = key.sealer.seal(&token.token, CredentialId::app_installation(account).as_str());
    Ok(Held { bearer_token, expires_at: token.expires_at, sealed })
}

/// Looks up the installation by the repository first, which may have been renamed. If the installation excludes
/// this repository, or the repository does not exist, the account's installation is used.
async fn find_installation(
    transport: &Transport,
    key: &AppKey,
    credential_state: &CredentialState,
    endpoint: Endpoint<'_>,
    account: &str,
) -> Result<wire::Installation, Failure> {
    let mut outcome = None;
    let repository = match endpoint {
        Endpoint::Runners(target) | Endpoint::Runner(target, _) | Endpoint::Version(target, _)
            if target.kind() == TargetKind::Repository =>
        {
            Some(target)
        }
        _ => None,
    };
    let by_repository = repository.map(|target| format!("/repos/{target}/installation"));
    let by_account = [format!("/orgs/{account}/installation"), format!("/users/{account}/installation")];
    for path in by_repository.into_iter().chain(by_account) {
        let request = request(transport, Method::GET, &path, Endpoint::Installation(account), "an installation");
        let found = as_app(transport, key, credential_state, &request, wire::installation).await;
        match found {
            Err(failure) if failure.fault == Fault::NotFound => outcome = Some(failure),
            found => return found,
        }
    }
    let failure = outcome.unwrap_or_else(|| Failure::new(Fault::Credential, "no installation was looked up"));
    Err(not_installed(failure))
}

/// A request that the App makes for itself.
pub(crate) fn request<'a>(
    transport: &Transport,
    method: Method,
    path: &str,
    endpoint: Endpoint<'a>,
    expected: &'static str,
) -> Request<'a> {
    Request { method, url: transport.url(path), endpoint, page: None, expected }
}

/// Sends a request as the App itself, not as one of its installations.
pub(crate) async fn as_app<T: Send>(
    transport: &Transport,
    key: &AppKey,
    credential_state: &CredentialState,
    request: &Request<'_>,
    decode: Decode<T>,
) -> Result<T, Failure> {
    let bearer_token = key.sign(transport.now()).and_then(|token| BearerToken::new(&token));
    let bearer_token = bearer_token
        .ok_or_else(|| Failure::new(Fault::Credential, "the GitHub App's private key cannot sign; generate another"))?;
    let mut content = None;
    let mut accept = |body: &[u8]| decode(body).map(|decoded| content = Some(decoded));
    exchange(transport, credential_state, &bearer_token, request, None, &mut accept).await?;
    let (endpoint, expected) = (request.endpoint, request.expected);
    content.ok_or_else(|| Failure::new(Fault::BrokenAnswer, format!("{endpoint}: expected {expected}, got a 304")))
}

/// Turns "not found" into a fault of the credential: the App is not installed there.
fn not_installed(failure: Failure) -> Failure {
    match failure.fault {
        Fault::NotFound => Failure { fault: Fault::Credential, ..failure },
        _ => failure,
    }
}

/// The account whose installation makes the request.
fn account<'a>(endpoint: Endpoint<'a>) -> Result<&'a str, Failure> {
    let target: &Target = match endpoint {
        Endpoint::Repositories(account) | Endpoint::Installation(account) => return Ok(account),
        Endpoint::AppHook => {
            return Err(Failure::new(Fault::Credential, "only the GitHub App itself reads its webhook"));
        }
        Endpoint::Runners(target)
        | Endpoint::Runner(target, _)
        | Endpoint::Version(target, _)
        | Endpoint::Groups(target)
        | Endpoint::Hooks(target)
        | Endpoint::Job(target, _)
        | Endpoint::Jobs(target) => target,
    };
    if target.kind() == TargetKind::Enterprise {
        let detail = format!(
            "{target}: a GitHub App cannot read an enterprise's runners; use a classic token with the scope `manage_runners:enterprise`, or monitor its organizations"
        );
        return Err(Failure::new(Fault::Forbidden, detail));
    }
    Ok(target.owner())
}
