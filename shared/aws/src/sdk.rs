//! The AWS SDK's clients: one HTTP client for all, set up when one is first needed.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls;
use tokio::sync::OnceCell;

/// The clients of one process. Copies share them.
#[derive(Clone, Debug, Default)]
pub struct Sdk(Arc<Clients>);

#[derive(Debug, Default)]
struct Clients {
    /// In place of the SDK's own ways to an address: a stand-in on this machine, which takes any credential.
    stand_in: Option<String>,
    config: OnceCell<SdkConfig>,
    sqs: OnceCell<aws_sdk_sqs::Client>,
    ssm: OnceCell<aws_sdk_ssm::Client>,
}

impl Sdk {
    /// Region, credentials and addresses as the SDK finds them: in a Lambda, in the environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Clients of a stand-in for AWS at this address.
    pub fn of_stand_in(url: impl Into<String>) -> Self {
        Self(Arc::new(Clients { stand_in: Some(url.into()), ..Clients::default() }))
    }

    pub(crate) async fn sqs(&self) -> &aws_sdk_sqs::Client {
        let clients = &self.0;
        clients.sqs.get_or_init(async || aws_sdk_sqs::Client::new(clients.config().await)).await
    }

    pub(crate) async fn ssm(&self) -> &aws_sdk_ssm::Client {
        let clients = &self.0;
        clients.ssm.get_or_init(async || aws_sdk_ssm::Client::new(clients.config().await)).await
    }
}

impl Clients {
    async fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| self.load()).await
    }

    async fn load(&self) -> SdkConfig {
        let crypto = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(crypto).build_https();
        // A call goes on within one invocation of a function: it cannot be waited for as long as the SDK would.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(5))
            .operation_timeout(Duration::from_secs(15))
            .build();
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts);
        let loader = match &self.stand_in {
            Some(url) => loader.region(Region::new("us-east-1")).test_credentials().endpoint_url(url),
            None => loader,
        };
        loader.load().await
    }
}

/// An error of the SDK on one line: the service's code and words, or else why it was not reached.
pub(crate) fn told<E: ProvideErrorMetadata + Error + 'static, R>(error: &SdkError<E, R>) -> String
where
    R: std::fmt::Debug + 'static,
{
    if let (Some(code), message) = (error.code(), error.message()) {
        return match message {
            Some(message) => format!("{code}: {message}"),
            None => code.to_owned(),
        };
    }
    let mut reasons: Vec<String> = Vec::new();
    let mut deeper: Option<&dyn Error> = Some(error);
    while let Some(error) = deeper {
        let reason = error.to_string();
        if !reasons.iter().any(|told| told.contains(&reason)) {
            reasons.push(reason);
        }
        deeper = error.source();
    }
    reasons.join(": ")
}
