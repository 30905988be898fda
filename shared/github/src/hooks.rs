//! The webhooks of a target that report workflow jobs, and how their latest deliveries went.

use monitor_domain::observation::{Failure, Fault};
use monitor_domain::target::{Target, TargetKind};
use monitor_domain::time::Timestamp;
use reqwest::{Method, Url};
use serde::Deserialize;

use crate::app;
use crate::credential::CredentialState;
use crate::endpoint::{Endpoint, needed};
use crate::request::Request;
use crate::requester::Requester;
use crate::wire;

/// The most webhooks of a target whose deliveries are read. GitHub allows 20 for each event.
const MAX_HOOKS: usize = 20;
/// How many deliveries of a webhook are read, the latest.
const DELIVERIES: u32 = 100;

/// A webhook for workflow jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobHook {
    /// Where it delivers to, without the parts of an address that may be secret.
    pub address: String,
    /// Whether it is switched on.
    pub is_active: bool,
    /// Its latest deliveries about workflow jobs, the latest first. GitHub keeps them for 3 days:
    /// <https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/viewing-webhook-deliveries>
    pub deliveries: Vec<HookDelivery>,
}

/// One delivery of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookDelivery {
    /// When it was made.
    pub at: Option<Timestamp>,
    /// The status of the answer; 0 if there was none.
    pub status: u16,
}

impl HookDelivery {
    /// Whether it was answered with success.
    pub fn was_accepted(self) -> bool {
        (200..300).contains(&self.status)
    }
}

#[derive(Deserialize)]
struct WireHook {
    id: u64,
    active: bool,
    #[serde(default)]
    events: Vec<String>,
    config: WireConfig,
}

#[derive(Deserialize)]
struct WireApp {
    events: Vec<String>,
}

#[derive(Deserialize)]
struct WireConfig {
    url: Option<String>,
}

#[derive(Deserialize)]
struct WireDelivery {
    delivered_at: Option<String>,
    status_code: i64,
    event: String,
}

/// Reads the webhooks of a repository or an organization that report workflow jobs. GitHub has no list of those of an
/// enterprise.
///
/// # Errors
/// If GitHub does not show them. Without the permission it answers 404, as for a target that does not exist; the text then
/// names the permission.
pub(crate) async fn job_hooks(
    requester: &Requester,
    credential_state: &CredentialState,
    target: &Target,
) -> Result<Vec<JobHook>, Failure> {
    let base = match target.kind() {
        TargetKind::Repository => format!("/repos/{target}/hooks"),
        TargetKind::Organization | TargetKind::Enterprise | TargetKind::Pools => format!("/{target}/hooks"),
    };
    let request = |path: &str, query: &str, expected| {
        let mut url = requester.transport.url(path);
        url.set_query(Some(query));
        Request { method: Method::GET, url, endpoint: Endpoint::Hooks(target), page: None, expected }
    };
    let asked = request(&base, "per_page=100", "a list of webhooks");
    let listed = requester.ask(credential_state, &asked, None, |body| wire::decode::<Vec<WireHook>>(body)).await;
    let listed = listed.map_err(|failure| match failure.fault {
        Fault::Forbidden | Fault::NotFound => {
            let needs = needed(Endpoint::Hooks(target), requester.transport.kind);
            Failure::new(failure.fault, format!("GitHub does not show them: the credential needs {needs}"))
        }
        _ => failure,
    })?;
    let mut hooks = Vec::new();
    let reports_jobs = |hook: &WireHook| hook.events.iter().any(|event| event == "workflow_job" || event == "*");
    for hook in listed.content.unwrap_or_default().into_iter().filter(reports_jobs).take(MAX_HOOKS) {
        let path = format!("{base}/{}/deliveries", hook.id);
        let asked = request(&path, &format!("per_page={DELIVERIES}"), "a list of deliveries");
        let read = requester.ask(credential_state, &asked, None, |body| wire::decode::<Vec<WireDelivery>>(body)).await;
        let deliveries =
            read?.content.unwrap_or_default().into_iter().filter(|delivery| delivery.event == "workflow_job");
        hooks.push(JobHook {
            address: hook.config.url.as_deref().map_or_else(String::new, public_part),
            is_active: hook.active,
            deliveries: deliveries.map(HookDelivery::from).collect(),
        });
    }
    Ok(hooks)
}

/// Reads the webhook of the GitHub App, if it reports workflow jobs; `None` if it does not, or if there is no App. The App
/// reads it for itself: no permission is needed.
pub(crate) async fn app_hook(
    requester: &Requester,
    credential_state: &CredentialState,
) -> Result<Option<JobHook>, Failure> {
    let Some(key) = requester.app_key() else { return Ok(None) };
    let transport = &requester.transport;
    let request = |path: &str, expected| app::request(transport, Method::GET, path, Endpoint::AppHook, expected);
    let decode = |body: &[u8]| wire::decode::<WireApp>(body);
    let app = app::as_app(transport, key, credential_state, &request("/app", "a GitHub App"), decode).await?;
    if !app.events.iter().any(|event| event == "workflow_job") {
        return Ok(None);
    }
    let asked = request("/app/hook/config", "a webhook");
    let decode = |body: &[u8]| wire::decode::<WireConfig>(body);
    let config = match app::as_app(transport, key, credential_state, &asked, decode).await {
        Err(failure) if failure.fault == Fault::NotFound => return Ok(None),
        config => config?,
    };
    let mut asked = request("/app/hook/deliveries", "a list of deliveries");
    asked.url.set_query(Some(&format!("per_page={DELIVERIES}")));
    let decode = |body: &[u8]| wire::decode::<Vec<WireDelivery>>(body);
    let deliveries = app::as_app(transport, key, credential_state, &asked, decode).await?.into_iter();
    Ok(Some(JobHook {
        address: config.url.as_deref().map_or_else(String::new, public_part),
        is_active: true,
        deliveries: deliveries.filter(|one| one.event == "workflow_job").map(HookDelivery::from).collect(),
    }))
}

impl From<WireDelivery> for HookDelivery {
    fn from(delivery: WireDelivery) -> Self {
        let at = delivery.delivered_at.and_then(|text| text.parse().ok());
        Self { at, status: u16::try_from(delivery.status_code).unwrap_or(0) }
    }
}

/// Where an address leads, without its other parts: they may be secrets. The paths of some services end in a token.
fn public_part(address: &str) -> String {
    let Ok(url) = Url::parse(address) else { return String::new() };
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_an_address_that_may_be_secret_is_shown() {
        for (address, shown) in [
            ("https://hooks.acme.test/github", "https://hooks.acme.test"),
            ("https://chat.test/api/webhooks/1/secret/github", "https://chat.test"),
            ("https://jo:secret@hooks.acme.test:8443/github?token=secret#secret", "https://hooks.acme.test:8443"),
            ("secret", ""),
        ] {
            assert_eq!(public_part(address), shown);
        }
    }

    #[test]
    fn no_answer_and_an_answer_without_success_were_not_accepted() {
        let of = |status_code| {
            let delivery = WireDelivery { delivered_at: None, status_code, event: "workflow_job".to_owned() };
            HookDelivery::from(delivery).was_accepted()
        };
        assert!(of(200) && of(202) && !of(0) && !of(301) && !of(401) && !of(503) && !of(-1) && !of(65_736));
    }
}
