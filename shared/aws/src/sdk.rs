//! The AWS SDK's clients. They share one HTTP client, and each is created when it is first needed.

use std::error::Error;
use std::sync::{Arc, OnceLock};

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::identity::Identity;
use monitor_http::{client_with_built_in_roots, sdk_http, sdk_timeouts};
use monitor_pipeline::ports::QueueError;

/// The clients of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Sdk(Arc<Clients>);

#[derive(Debug)]
struct Clients {
    /// The address of a fake that accepts any credential, instead of the environment.
    fake_url: Option<String>,
    http: SharedHttpClient,
    config: OnceLock<SdkConfig>,
    sqs: OnceLock<aws_sdk_sqs::Client>,
    ssm: OnceLock<aws_sdk_ssm::Client>,
}

impl Sdk {
    /// Clients with region, credentials and addresses from the environment, where Lambda puts them. The SDK's longer
    /// search (profiles, containers, instances, STS) would find nothing there and is not linked.
    pub fn of_lambda() -> Self {
        Self::with(None, sdk_http(client_with_built_in_roots))
    }

    /// Clients for a fake of AWS at this address, without TLS.
    pub fn for_fake(url: impl Into<String>) -> Self {
        let plain = || -> reqwest::Result<reqwest::Client> {
            let _ = rustls::crypto::ring::default_provider().install_default();
            reqwest::Client::builder().no_proxy().build()
        };
        Self::with(Some(url.into()), sdk_http(plain))
    }

    fn with(fake_url: Option<String>, http: SharedHttpClient) -> Self {
        Self(Arc::new(Clients { fake_url, http, config: OnceLock::new(), sqs: OnceLock::new(), ssm: OnceLock::new() }))
    }

    /// A new client of DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::config::Builder::from(self.0.config());
        config.set_endpoint_url(self.0.endpoint("DYNAMODB"));
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    pub(crate) fn sqs(&self) -> &aws_sdk_sqs::Client {
        self.0.sqs.get_or_init(|| {
            let mut config = aws_sdk_sqs::config::Builder::from(self.0.config());
            config.set_endpoint_url(self.0.endpoint("SQS"));
            aws_sdk_sqs::Client::from_conf(config.build())
        })
    }

    pub(crate) fn ssm(&self) -> &aws_sdk_ssm::Client {
        self.0.ssm.get_or_init(|| {
            let mut config = aws_sdk_ssm::config::Builder::from(self.0.config());
            config.set_endpoint_url(self.0.endpoint("SSM"));
            aws_sdk_ssm::Client::from_conf(config.build())
        })
    }

    /// The credentials and the region, for a request that is signed without a client of the SDK.
    pub(crate) async fn identity_and_region(&self) -> Result<(Identity, String), QueueError> {
        let config = self.0.config();
        let provider = config.credentials_provider().ok_or_else(|| QueueError("no credentials".to_owned()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| QueueError(error.to_string()))?;
        Ok((credentials.into(), self.0.region()))
    }

    /// The address of Lambda's own API.
    pub(crate) fn lambda_url(&self) -> String {
        self.0.endpoint("LAMBDA").unwrap_or_else(|| lambda_url(&self.0.region()))
    }
}

impl Clients {
    fn region(&self) -> String {
        self.config().region().map(ToString::to_string).unwrap_or_default()
    }

    fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| self.load())
    }

    fn load(&self) -> SdkConfig {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .retry_config(RetryConfig::standard())
            .timeout_config(sdk_timeouts());
        let (region, credentials) = match &self.fake_url {
            Some(_) => (
                "us-east-1".to_owned(),
                SharedCredentialsProvider::new(Credentials::new("id", "key", None, None, "fake")),
            ),
            None => (
                set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).unwrap_or_default(),
                SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()),
            ),
        };
        let region = (!region.is_empty()).then(|| Region::new(region));
        config.region(region).credentials_provider(credentials).build()
    }

    fn endpoint(&self, service: &str) -> Option<String> {
        self.fake_url.clone().or_else(|| endpoint(service, set))
    }
}

/// The address of a service from the SDK's own variables: the one for the service, or else the one for all.
fn endpoint(service: &str, set: impl Fn(&str) -> Option<String>) -> Option<String> {
    if set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return None;
    }
    set(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| set("AWS_ENDPOINT_URL"))
}

fn lambda_url(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://lambda.{region}.{domain}")
}

/// A variable that is set and not empty.
fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// An error of the SDK on one line: the service's code and message, or else why it could not be reached.
pub(crate) fn describe<E: ProvideErrorMetadata + Error + 'static, R>(error: &SdkError<E, R>) -> String
where
    R: std::fmt::Debug + 'static,
{
    if let (Some(code), message) = (error.code(), error.message()) {
        return match message {
            Some(message) => format!("{code}: {message}"),
            None => code.to_owned(),
        };
    }
    monitor_domain::quote::with_sources(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_its_address_from_the_sdks_own_variables() {
        let of = |service: &str, variables: &[(&str, &str)]| {
            let found = |name: &str| variables.iter().find(|(set, _)| *set == name);
            endpoint(service, |name| found(name).map(|(_, value)| (*value).to_owned()))
        };
        let (all, ssm) = (("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_SSM", "http://ssm"));
        assert_eq!(of("SSM", &[all, ssm]).as_deref(), Some("http://ssm"));
        assert_eq!(of("SQS", &[all, ssm]).as_deref(), Some("http://all"));
        assert_eq!(of("SQS", &[ssm]), None);
        assert_eq!(lambda_url("eu-central-1"), "https://lambda.eu-central-1.amazonaws.com");
        assert_eq!(lambda_url("cn-north-1"), "https://lambda.cn-north-1.amazonaws.com.cn");
        assert_eq!(of("SSM", &[all, ssm, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE")]), None);
    }
}
