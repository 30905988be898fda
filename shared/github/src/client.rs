//! The GitHub client, and its implementation of the port `RunnerSource`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use monitor_domain::observation::{CredentialReport, Failure, Lookup, PageTag};
use monitor_domain::pace::Quota;
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::CredentialId;
use monitor_domain::target::{Target, TargetId};
use monitor_domain::time::Timestamp;
use monitor_pipeline::items::AccessToken;
use monitor_pipeline::ports::{Listing, RunnerSource};
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use crate::app_key::AppKey;
use crate::credential::{BearerToken, CredentialState};
use crate::endpoint::{CredentialKind, Endpoint};
use crate::limits::Limits;
use crate::list::ReadList;
use crate::settings::{Credential, Settings, SettingsError};
use crate::transfer::{Connections, RATE_LIMIT, Request};
use crate::wire;

/// Returns the current time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A client of GitHub's REST API. One per process: it remembers request pace, limits and tokens.
pub struct GitHub {
    pub(crate) connections: Connections,
    pub(crate) settings: Settings,
    pub(crate) api_url: Url,
    pub(crate) headers: HeaderMap,
    login: Login,
    /// The limits of the App's own quota, which covers requests for its installations and their tokens.
    app_limits: Limits,
    clock: Clock,
    credential_states: Mutex<HashMap<CredentialId, Arc<CredentialState>>>,
    /// Renamed repositories: the path that answers, and the new name.
    renamed: Mutex<HashMap<TargetId, (String, Target)>>,
}

enum Login {
    Token(BearerToken, CredentialKind),
    App(Box<AppKey>),
}

impl GitHub {
    /// A client that sends over `http`, which should follow no redirects itself (`reqwest::redirect::Policy::none()`):
    /// they are followed here, and only to the same host.
    ///
    /// # Errors
    /// If a setting cannot be used; the error contains a hint.
    pub fn new(http: reqwest::Client, settings: Settings, clock: Clock) -> Result<Self, SettingsError> {
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
        Ok(Self {
            connections: Connections::over(http),
            api_url: settings.parsed_api_url()?,
            headers: settings.headers()?,
            settings,
            login,
            app_limits: Limits::default(),
            clock,
            credential_states: Mutex::default(),
            renamed: Mutex::default(),
        })
    }

    /// The same client, which gets another HTTP client from `make` after a request timed out, so that its connection is
    /// not used again. Without `make`, an HTTP/2 connection stays in use for as long as it is open.
    pub fn with_new_clients(mut self, make: impl Fn() -> Option<reqwest::Client> + Send + Sync + 'static) -> Self {
        self.connections.make = Some(Box::new(make));
        self
    }

    /// The limits of the quota that a request counts against: an App's own quota is separate from its installations'.
    pub(crate) fn limits_of<'a>(&'a self, credential_state: &'a CredentialState, endpoint: Endpoint<'_>) -> &'a Limits {
        if matches!(endpoint, Endpoint::Installation(_)) { &self.app_limits } else { &credential_state.limits }
    }

    /// What GitHub last reported about a credential; `None` before its first answer.
    pub fn report(&self, credential: &CredentialId) -> Option<CredentialReport> {
        let credential_states = self.credential_states.lock().unwrap_or_else(PoisonError::into_inner);
        let report = credential_states.get(credential)?.latest_report().report;
        (report != CredentialReport::default()).then_some(report)
    }

    /// The hourly quota as GitHub counts it. The request itself is free. A server without limits answers 404.
    async fn rate_limit(&self, credential_state: &CredentialState, through: &Target) -> Option<Quota> {
        let request = Request {
            method: Method::GET,
            url: self.url(RATE_LIMIT),
            endpoint: Endpoint::Runners(through),
            page: None,
            expected: "what is left of the quota",
        };
        match self.ask(credential_state, &request, None, wire::quota).await {
            Ok(reply) => reply.content,
            Err(failure) => {
                tracing::debug!(%failure, "GitHub does not report the remaining quota");
                None
            }
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The kind of the credential, as far as its format shows.
    pub fn kind(&self) -> CredentialKind {
        match &self.login {
            Login::Token(_, kind) => *kind,
            Login::App(_) => CredentialKind::App,
        }
    }

    /// Whether a refused token can be renewed.
    pub(crate) fn renews(&self) -> bool {
        matches!(self.login, Login::App(_))
    }

    pub(crate) async fn bearer_token(
        &self,
        credential_state: &CredentialState,
        endpoint: Endpoint<'_>,
    ) -> Result<BearerToken, Failure> {
        match &self.login {
            Login::Token(bearer_token, _) => Ok(bearer_token.clone()),
            Login::App(key) => self.installation_bearer_token(key, credential_state, endpoint).await,
        }
    }

    pub(crate) fn credential_state(&self, credential: &CredentialId) -> Arc<CredentialState> {
        let mut credential_states = self.credential_states.lock().unwrap_or_else(PoisonError::into_inner);
        let credential_state = credential_states
            .entry(credential.clone())
            .or_insert_with(|| Arc::new(CredentialState::new(&self.settings)));
        Arc::clone(credential_state)
    }

    fn credential_of(&self, account: &str) -> CredentialId {
        match self.login {
            Login::Token(..) => CredentialId::token(),
            Login::App(_) => CredentialId::app_installation(account),
        }
    }

    /// The address of a path below the API.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.api_url.clone();
        let whole = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&whole);
        url
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

impl RunnerSource for GitHub {
    fn credential(&self, target: &Target) -> CredentialId {
        self.credential_of(target.owner())
    }

    async fn prepare(&self, target: &Target, stored: Option<&AccessToken>) -> Option<AccessToken> {
        let Login::App(key) = &self.login else { return None };
        let credential_state = self.credential_state(&self.credential(target));
        self.share_token(key, &credential_state, target, stored).await
    }

    async fn list(&self, target: &Target, known: &[PageTag]) -> Listing {
        let credential_state = self.credential_state(&self.credential(target));
        let read = self.pages(&credential_state, target, known).await;
        let token = match &self.login {
            Login::Token(bearer_token, _) => bearer_token.digest(),
            Login::App(_) => None,
        };
        let report = CredentialReport { token, ..credential_state.latest_report().report };
        match read {
            Ok(ReadList { pages, shortfall, moved_to }) => Listing { pages: Ok(pages), shortfall, moved_to, report },
            Err(incomplete) => Listing::of(Err(incomplete), report),
        }
    }

    /// Call this only after a complete list of the same target. Otherwise a 404 may be about the target itself:
    /// renamed, deleted or no longer visible.
    async fn runner(&self, target: &Target, id: RunnerId) -> Result<Lookup, Failure> {
        let credential_state = self.credential_state(&self.credential(target));
        self.lookup(&credential_state, target, id).await
    }

    async fn quota(&self, through: &Target) -> Option<Quota> {
        let credential_state = self.credential_state(&self.credential(through));
        self.rate_limit(&credential_state, through).await
    }

    async fn repositories_of(&self, account: &str) -> Result<Vec<Target>, Failure> {
        let credential_state = self.credential_state(&self.credential_of(account));
        self.account_repositories(&credential_state, account).await
    }
}
