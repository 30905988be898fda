//! SQS, SSM and DynamoDB by their JSON protocol, as far as the driver needs them.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// The account number, also used as access key: LocalStack derives the account from the key, moto ignores it.
pub(crate) const ACCOUNT: &str = "123456789012";

/// A service at an address.
#[derive(Clone)]
pub(crate) struct Service {
    http: reqwest::Client,
    url: String,
    name: &'static str,
    target: &'static str,
    version: &'static str,
    region: String,
}

impl Service {
    /// SQS.
    pub(crate) fn sqs(http: &reqwest::Client, url: &str, region: &str) -> Self {
        Self::new(http, url, region, ("sqs", "AmazonSQS", "1.0"))
    }

    /// SSM Parameter Store.
    pub(crate) fn ssm(http: &reqwest::Client, url: &str, region: &str) -> Self {
        Self::new(http, url, region, ("ssm", "AmazonSSM", "1.1"))
    }

    /// DynamoDB.
    pub(crate) fn dynamodb(http: &reqwest::Client, url: &str, region: &str) -> Self {
        Self::new(http, url, region, ("dynamodb", "DynamoDB_20120810", "1.0"))
    }

    fn new(
        http: &reqwest::Client,
        url: &str,
        region: &str,
        (name, target, version): (&'static str, &'static str, &'static str),
    ) -> Self {
        Self { http: http.clone(), url: url.to_owned(), name, target, version, region: region.to_owned() }
    }

    /// Calls an action. No emulator verifies the signature; account and region are derived from it.
    pub(crate) async fn call(&self, action: &str, body: &Value) -> anyhow::Result<Value> {
        let scope = format!("{ACCOUNT}/20260101/{}/{}/aws4_request", self.region, self.name);
        let request = self
            .http
            .post(&self.url)
            .header("content-type", format!("application/x-amz-json-{}", self.version))
            .header("x-amz-target", format!("{}.{action}", self.target))
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"))
            .body(body.to_string());
        let answer = request.send().await.with_context(|| format!("{action} at {}", self.url))?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{action}: {status} {text}");
        if text.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_str(&text).with_context(|| format!("{action} answered {text}"))
    }
}
