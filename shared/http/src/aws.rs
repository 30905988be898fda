//! Sends the AWS SDK's requests over the HTTP client of the other adapters, so that a program has only one HTTP stack.

use std::error::Error;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_runtime_api::shared::IntoShared as _;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;

type BoxError = Box<dyn Error + Send + Sync>;

type MakeHttp = dyn Fn() -> Result<reqwest::Client, BoxError> + Send + Sync;

/// An HTTP client for the SDK. `make` is called once, at the first request. The SDK itself handles timeouts and retries.
pub fn sdk_http<E: Into<BoxError>>(
    make: impl Fn() -> Result<reqwest::Client, E> + Send + Sync + 'static,
) -> SharedHttpClient {
    let make = Box::new(move || make().map_err(Into::into));
    OverReqwest { make, made: OnceLock::new() }.into_shared()
}

struct OverReqwest {
    make: Box<MakeHttp>,
    made: OnceLock<SharedHttpConnector>,
}

impl fmt::Debug for OverReqwest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OverReqwest")
    }
}

impl HttpClient for OverReqwest {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let make = || SharedHttpConnector::new(Connector((self.make)().map_err(|error| error.to_string())));
        self.made.get_or_init(make).clone()
    }
}

/// A client, or why there is none.
#[derive(Debug)]
struct Connector(Result<reqwest::Client, String>);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let client = client.map_err(|reason| ConnectorError::user(reason.into()))?;
            exchange(&client, request).await
        })
    }
}

/// Sends a request and reads the whole answer: every answer is small.
async fn exchange(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let unsendable = |error: BoxError| ConnectorError::user(error);
    let request = request.try_into_http1x().map_err(|error| unsendable(error.into()))?.map(|body| {
        // The bodies of all calls are in memory.
        body.bytes().map(<[u8]>::to_vec).unwrap_or_default()
    });
    let request = reqwest::Request::try_from(request).map_err(|error| unsendable(error.into()))?;
    let answer = client.execute(request).await.map_err(unreached)?;
    let status =
        StatusCode::try_from(answer.status().as_u16()).map_err(|error| ConnectorError::other(error.into(), None))?;
    let headers = answer.headers().clone();
    let body = answer.bytes().await.map_err(unreached)?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    *response.headers_mut() = headers.try_into().map_err(|error| ConnectorError::other(BoxError::from(error), None))?;
    Ok(response)
}

/// An error in the SDK's classification: it retries all of these.
fn unreached(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    match error.is_timeout() {
        true => ConnectorError::timeout(error.into()),
        false => ConnectorError::io(error.into()),
    }
}

/// The timeouts of the SDK's calls. A call has to end within one invocation of a function, so it cannot wait as long as
/// the SDK's defaults.
pub fn sdk_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(15))
        .build()
}
