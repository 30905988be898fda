//! A GitHub App's way to a token for an account: signed by its key, found by its installation, kept for almost an hour and shared
//! by way of the record.

use std::sync::Arc;
use std::time::Duration;

use monitor_domain::observation::{Failure, Fault};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::{Target, TargetKind};
use monitor_domain::time::Timestamp;
use monitor_pipeline::items::AccessToken;
use reqwest::Method;
use tokio::sync::Mutex;

use crate::app_key::AppKey;
use crate::client::GitHub;
use crate::credential::{BearerToken, CredentialState};
use crate::endpoint::Endpoint;
use crate::exchange::Decode;
use crate::transfer::Request;
use crate::wire;

/// A token is renewed so long before its end, which is an hour after its beginning.
const RENEWED_BEFORE_END: Duration = Duration::from_secs(5 * 60);

/// A failure to get one is passed on for so long, so that neither those who waited for it nor the next targets of the same
/// account send the same requests in vain.
const FAILURE_HOLDS: Duration = Duration::from_secs(30);

/// An installation's token, or why there is none. Locked while it is fetched, so that others wait for that one.
#[derive(Default)]
pub(crate) struct TokenCache(Mutex<Slot>);

#[derive(Default)]
struct Slot {
    token: Token,
    /// The fingerprint of the last token that GitHub refused: it may be on record still.
    refused: Option<Arc<str>>,
}

#[derive(Default)]
enum Token {
    #[default]
    None,
    Held(Held),
    Failed {
        failure: Failure,
        until: Timestamp,
    },
}

#[derive(Clone)]
struct Held {
    bearer_token: BearerToken,
    expires_at: Timestamp,
    /// As it goes on record; none where it cannot be sealed.
    sealed: Option<String>,
}

impl TokenCache {
    /// Lets go of a token that GitHub refuses, unless it has been renewed already.
    pub(crate) async fn discard(&self, refused: &BearerToken) {
        let mut slot = self.0.lock().await;
        if let Token::Held(held) = &slot.token
            && held.bearer_token.fingerprint == refused.fingerprint
        {
            *slot = Slot { token: Token::None, refused: Some(Arc::clone(&refused.fingerprint)) };
        }
    }

    /// Takes over a token from the record, unless the one that is held lasts longer.
    async fn take_over(&self, key: &AppKey, credential: &CredentialId, stored: &AccessToken, now: Timestamp) {
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

fn is_to_be_renewed(expires_at: Timestamp, now: Timestamp) -> bool {
    now >= expires_at.minus(RENEWED_BEFORE_END)
}

impl GitHub {
    /// Asks for a target with the token on record from here on, or gets one if that is of no use. Gives the one that belongs
    /// on record in its place. A failure is told by whatever is asked next: it is kept for a while.
    pub(crate) async fn share_token(
        &self,
        key: &AppKey,
        credential_state: &CredentialState,
        target: &Target,
        stored: Option<&AccessToken>,
    ) -> Option<AccessToken> {
        let credential = CredentialId::app_installation(target.owner());
        if let Some(stored) = stored {
            credential_state.token_cache.take_over(key, &credential, stored, self.now()).await;
        }
        let Held { expires_at, sealed, .. } =
            self.installation_token(key, credential_state, Endpoint::Runners(target)).await.ok()?;
        let sealed = sealed.filter(|sealed| stored.is_none_or(|stored| stored.sealed != *sealed))?;
        Some(AccessToken { credential, expires_at, sealed })
    }

    /// The token of the App's installation that sees what is asked for.
    pub(crate) async fn installation_bearer_token(
        &self,
        key: &AppKey,
        credential_state: &CredentialState,
        endpoint: Endpoint<'_>,
    ) -> Result<BearerToken, Failure> {
        self.installation_token(key, credential_state, endpoint).await.map(|held| held.bearer_token)
    }

    async fn installation_token(
        &self,
        key: &AppKey,
        credential_state: &CredentialState,
        endpoint: Endpoint<'_>,
    ) -> Result<Held, Failure> {
        let account = account(endpoint)?;
        let mut slot = credential_state.token_cache.0.lock().await;
        let now = self.now();
        match &slot.token {
            Token::Held(held) if !is_to_be_renewed(held.expires_at, now) => return Ok(held.clone()),
            Token::Failed { failure, until } if now < *until => return Err(failure.clone()),
            _ => {}
        }
        match self.fetch_token(key, credential_state, endpoint, account).await {
            Ok(held) => {
                slot.token = Token::Held(held.clone());
                Ok(held)
            }
            Err(failure) => {
                let until = self.now().plus(FAILURE_HOLDS);
                slot.token = Token::Failed { failure: failure.clone(), until };
                Err(failure)
            }
        }
    }

    async fn fetch_token(
        &self,
        key: &AppKey,
        credential_state: &CredentialState,
        endpoint: Endpoint<'_>,
        account: &str,
    ) -> Result<Held, Failure> {
        let installation = self.find_installation(key, credential_state, endpoint, account).await?;
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        let token = self.as_app(key, credential_state, Method::POST, &path, account, wire::access_token).await;
        let token = token.map_err(not_installed)?;
        let bearer_token = BearerToken::new(&token.token);
        let bearer_token = bearer_token.ok_or_else(|| {
            Failure::new(Fault::BrokenAnswer, "GitHub gave the GitHub App a token that cannot be sent")
        })?;
        let sealed = key.sealer.seal(&token.token, CredentialId::app_installation(account).as_str());
        Ok(Held { bearer_token, expires_at: token.expires_at, sealed })
    }

    /// By the target itself first, as it may have been renamed. An installation may also leave out this one repository, or
    /// the repository not exist: then the account's installation is the one to ask with.
    async fn find_installation(
        &self,
        key: &AppKey,
        credential_state: &CredentialState,
        endpoint: Endpoint<'_>,
        account: &str,
    ) -> Result<wire::Installation, Failure> {
        let mut outcome = None;
        let repository = match endpoint {
            Endpoint::Runners(target) | Endpoint::Runner(target, _) if target.kind() == TargetKind::Repository => {
                Some(target)
            }
            _ => None,
        };
        let by_repository = repository.map(|target| format!("/repos/{target}/installation"));
        let by_account = [format!("/orgs/{account}/installation"), format!("/users/{account}/installation")];
        for path in by_repository.into_iter().chain(by_account) {
            let found = self.as_app(key, credential_state, Method::GET, &path, account, wire::installation).await;
            match found {
                Err(failure) if failure.fault == Fault::NotFound => outcome = Some(failure),
                found => return found,
            }
        }
        let failure = outcome.unwrap_or_else(|| Failure::new(Fault::Credential, "no installation was asked for"));
        Err(not_installed(failure))
    }

    async fn as_app<T>(
        &self,
        key: &AppKey,
        credential_state: &CredentialState,
        method: Method,
        path: &str,
        account: &str,
        decode: Decode<T>,
    ) -> Result<T, Failure> {
        let bearer_token = key.sign(self.now()).and_then(|token| BearerToken::new(&token));
        let bearer_token = bearer_token.ok_or_else(|| {
            Failure::new(Fault::Credential, "the GitHub App's private key cannot sign; generate another")
        })?;
        let expected = if method == Method::POST { "a token" } else { "an installation" };
        let endpoint = Endpoint::Installation(account);
        let request = Request { method, url: self.url(path), endpoint, page: None, expected };
        let reply = self.exchange(credential_state, &bearer_token, &request, None, decode).await?;
        reply
            .content
            .ok_or_else(|| Failure::new(Fault::BrokenAnswer, format!("{endpoint}: expected {expected}, got a 304")))
    }
}

/// What is not found for an App is not installed there: a matter of the credential.
fn not_installed(failure: Failure) -> Failure {
    match failure.fault {
        Fault::NotFound => Failure { fault: Fault::Credential, ..failure },
        _ => failure,
    }
}

/// The account whose installation is to ask.
fn account<'a>(endpoint: Endpoint<'a>) -> Result<&'a str, Failure> {
    let target: &Target = match endpoint {
        Endpoint::Repositories(account) | Endpoint::Installation(account) => return Ok(account),
        Endpoint::Runners(target) | Endpoint::Runner(target, _) => target,
    };
    if target.kind() == TargetKind::Enterprise {
        let detail = format!(
            "{target}: GitHub shows an enterprise's runners to no GitHub App; use a classic token with the scope `manage_runners:enterprise`, or watch its organizations"
        );
        return Err(Failure::new(Fault::Forbidden, detail));
    }
    Ok(target.owner())
}
