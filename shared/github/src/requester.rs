//! Requests with the credential's token: which token, and renewing an App's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use monitor_domain::observation::{CredentialReport, Failure, Fault, PageTag};
use monitor_domain::subject::CredentialId;
use monitor_domain::target::{Target, TargetId};
use monitor_pipeline::items::AccessToken;
use reqwest::Url;

use crate::app::{installation_bearer_token, share_token};
use crate::app_key::AppKey;
use crate::bearer_token::BearerToken;
use crate::credential::CredentialState;
use crate::endpoint::{CredentialKind, Endpoint};
use crate::exchange::{Accept, Decode, Reply, exchange};
use crate::request::Request;
use crate::settings::{Credential, Settings, SettingsError};
use crate::transport::{Clock, Transport};

/// Sends requests with the credential of a target, and remembers each credential's state and renamed targets.
pub(crate) struct Requester {
    pub(crate) transport: Transport,
    login: Login,
    credential_states: Mutex<HashMap<CredentialId, Arc<CredentialState>>>,
    /// Renamed repositories: the path that answers, and the new name.
    renamed: Mutex<HashMap<TargetId, (String, Target)>>,
}

enum Login {
    Token(BearerToken, CredentialKind),
    App(Box<AppKey>),
}

impl Requester {
    pub(crate) fn new(http: reqwest::Client, settings: Settings, clock: Clock) -> Result<Self, SettingsError> {
        settings.check_bounds()?;
        let login = match &settings.credential {
            Credential::Token(token) => {
                let token = token.expose();
                if token.is_empty() {
                    return Err(SettingsError::Token("is empty"));
                }
                if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(SettingsError::Token("contains white space or another character that no token has"));
                }
                let bearer_token = BearerToken::new(token).ok_or(SettingsError::Token("does not fit into a header"))?;
                Login::Token(bearer_token, CredentialKind::of_token(token))
            }
            Credential::App { app_id, private_key } => {
                let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
                if app_id.is_empty() || !app_id.bytes().all(known) {
                    return Err(SettingsError::AppId);
                }
                Login::App(Box::new(AppKey::parse(app_id, private_key.expose())?))
            }
        };
        let kind = match &login {
            Login::Token(_, kind) => *kind,
            Login::App(_) => CredentialKind::App,
        };
        let transport = Transport::new(http, settings, kind, clock)?;
        Ok(Self { transport, login, credential_states: Mutex::default(), renamed: Mutex::default() })
    }

    /// Sends a request with the credential's token. The ETag of a known page is sent if it was given to the same token.
    pub(crate) async fn ask<T: Send>(
        &self,
        credential_state: &CredentialState,
        request: &Request<'_>,
        known: Option<&PageTag>,
        decode: Decode<T>,
    ) -> Result<Reply<T>, Failure> {
        let mut content = None;
        let mut accept = |body: &[u8]| decode(body).map(|decoded| content = Some(decoded));
        let reply = self.exchange(credential_state, request, known, &mut accept).await?;
        Ok(reply.with(content))
    }

    async fn exchange(
        &self,
        credential_state: &CredentialState,
        request: &Request<'_>,
        known: Option<&PageTag>,
        accept: Accept<'_>,
    ) -> Result<Reply<()>, Failure> {
        let bearer_token = self.bearer_token(credential_state, request.endpoint).await?;
        let refused =
            match exchange(&self.transport, credential_state, &bearer_token, request, known, &mut *accept).await {
                Err(failure) if failure.fault == Fault::Credential && self.renews() => failure,
                done => return done,
            };
        // GitHub has revoked the App's token before its end.
        tracing::debug!(failure = %refused, "renewing the GitHub App's token");
        credential_state.token_cache.discard(&bearer_token).await;
        let bearer_token = self.bearer_token(credential_state, request.endpoint).await?;
        exchange(&self.transport, credential_state, &bearer_token, request, known, accept).await
    }

    /// The key of the GitHub App, if requests are an App's.
    pub(crate) fn app_key(&self) -> Option<&AppKey> {
        if let Login::App(key) = &self.login { Some(key) } else { None }
    }

    /// Whether a refused token can be renewed.
    fn renews(&self) -> bool {
        matches!(self.login, Login::App(_))
    }

    pub(crate) async fn bearer_token(
        &self,
        credential_state: &CredentialState,
        endpoint: Endpoint<'_>,
    ) -> Result<BearerToken, Failure> {
        match &self.login {
            Login::Token(bearer_token, _) => Ok(bearer_token.clone()),
            Login::App(key) => installation_bearer_token(&self.transport, key, credential_state, endpoint).await,
        }
    }

    /// What GitHub last reported about a credential; `None` before its first answer.
    pub(crate) fn report(&self, credential: &CredentialId) -> Option<CredentialReport> {
        let credential_states = self.credential_states.lock().unwrap_or_else(PoisonError::into_inner);
        let report = credential_states.get(credential)?.latest_report().report;
        (report != CredentialReport::default()).then_some(report)
    }

    /// Shares the token of an App's installation with other processes. See [`share_token`]; nothing for a plain token.
    pub(crate) async fn share_token(&self, target: &Target, stored: Option<&AccessToken>) -> Option<AccessToken> {
        let Login::App(key) = &self.login else { return None };
        let credential_state = self.credential_state(&self.credential_of(target.owner()));
        share_token(&self.transport, key, &credential_state, target, stored).await
    }

    /// The fingerprint of a plain token as a number; `None` for an App.
    pub(crate) fn token_digest(&self) -> Option<u64> {
        match &self.login {
            Login::Token(bearer_token, _) => bearer_token.digest(),
            Login::App(_) => None,
        }
    }

    pub(crate) fn credential_state(&self, credential: &CredentialId) -> Arc<CredentialState> {
        let mut credential_states = self.credential_states.lock().unwrap_or_else(PoisonError::into_inner);
        let credential_state = credential_states
            .entry(credential.clone())
            .or_insert_with(|| Arc::new(CredentialState::new(&self.transport.settings)));
        Arc::clone(credential_state)
    }

    pub(crate) fn credential_of(&self, account: &str) -> CredentialId {
        match self.login {
            Login::Token(..) => CredentialId::token(),
            Login::App(_) => CredentialId::app_installation(account),
        }
    }

    /// The new name of a target, if it is known that this address answers for it.
    pub(crate) fn renamed(&self, target: &Target, answered: &Url) -> Option<Target> {
        let renamed = self.renamed.lock().unwrap_or_else(PoisonError::into_inner);
        renamed.get(target.id()).filter(|(path, _)| path == answered.path()).map(|(_, name)| name.clone())
    }

    pub(crate) fn remember_renamed(&self, target: &Target, answered: &Url, name: &Target) {
        let mut renamed = self.renamed.lock().unwrap_or_else(PoisonError::into_inner);
        renamed.insert(target.id().clone(), (answered.path().to_owned(), name.clone()));
    }
}
