//! Hands work to a later invocation of the same function.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use monitor_domain::time::Timestamp;
use monitor_pipeline::ports::{Clock as _, Outgoing, QueueError, Sender};
use monitor_telemetry::SystemClock;
use serde_json::{Value, json};
use tracing::debug;

use crate::environment::LambdaEnvironment;
use crate::sdk::Sdk;

/// The field of the event that holds the work.
pub const DEFERRED: &str = "deferred";
/// How often an invocation is requested, including the first time. A person waits for it.
const TRIES: u32 = 2;
const PAUSE: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(1);

/// The function that is running, as a receiver of work: Lambda invokes it with each message once it has answered.
///
/// A queue in its place would cost something even while it is empty, because Lambda polls it all the time. The one
/// request is signed here, because the SDK's client of Lambda would make the function larger.
#[derive(Clone, Debug)]
pub struct OwnFunction {
    sdk: Sdk,
    http: reqwest::Client,
    name: Option<String>,
}

impl OwnFunction {
    /// The function that runs with these variables.
    pub fn new(variables: &LambdaEnvironment, sdk: Sdk, http: reqwest::Client) -> Self {
        Self { sdk, http, name: variables.get("AWS_LAMBDA_FUNCTION_NAME") }
    }

    async fn invoke(&self, url: &str, event: &str) -> Result<(), QueueError> {
        let mut tried = 1;
        loop {
            match self.invoke_once(url, event).await {
                Err(error) if tried < TRIES => {
                    debug!(%error, "Lambda did not accept an event: it is sent again");
                    tokio::time::sleep(PAUSE).await;
                    tried += 1;
                }
                ended => return ended,
            }
        }
    }

    async fn invoke_once(&self, url: &str, event: &str) -> Result<(), QueueError> {
        let (identity, region) = self.sdk.identity_and_region().await?;
        let own = [("content-type", "application/json"), ("x-amz-invocation-type", "Event")];
        let signed = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name("lambda")
            .time(system_time(SystemClock.now()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| QueueError(error.to_string()))?;
        let request = SignableRequest::new("POST", url, own.into_iter(), SignableBody::Bytes(event.as_bytes()));
        let signing = request.and_then(|request| sign(request, &signed.into()));
        let (instructions, _) = signing.map_err(|error| QueueError(error.to_string()))?.into_parts();
        let mut request = self.http.post(url).timeout(TIMEOUT).body(event.to_owned());
        for (name, value) in own.into_iter().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| QueueError(monitor_domain::quote::with_sources(&error)))?;
        if answer.status().is_success() {
            return Ok(());
        }
        let code = answer.headers().get("x-amzn-errortype").and_then(|code| code.to_str().ok()).unwrap_or_default();
        Err(QueueError(format!("Lambda answered {} {code}", answer.status().as_u16())))
    }
}

impl Sender for OwnFunction {
    /// One invocation for each message, whose body has to be JSON.
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let Some(name) = &self.name else { return Err(QueueError("AWS_LAMBDA_FUNCTION_NAME is not set".to_owned())) };
        let url = format!("{}/2015-03-31/functions/{name}/invocations", self.sdk.lambda_url());
        for message in messages {
            let work: Value = serde_json::from_str(&message.body).map_err(|error| QueueError(error.to_string()))?;
            self.invoke(&url, &json!({DEFERRED: work}).to_string()).await?;
        }
        Ok(())
    }
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.epoch_ms()).unwrap_or_default())
}
