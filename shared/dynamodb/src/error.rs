//! Classifies DynamoDB's errors by what the caller can do.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use monitor_pipeline::ports::StoreError;

/// The codes of a key that is refused, or that has no permission. The first ones are of every AWS service ("Common
/// errors", DynamoDB API Reference).
const DENIED: [&str; 9] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "UnrecognizedClientException",
];

/// The codes of a request that a retry does not change.
const REFUSED: [&str; 5] = [
    "IdempotentParameterMismatchException",
    "ItemCollectionSizeLimitExceededException",
    "ResourceNotFoundException",
    "SerializationException",
    "ValidationException",
];

pub(crate) fn fault<E, R>(error: &SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let text = describe(error);
    match error.code() {
        Some(code) if DENIED.contains(&code) => StoreError::Denied(format!(
            "DynamoDB: {text}; check the AWS credentials and that they may read and write this table"
        )),
        Some("ResourceNotFoundException") => StoreError::Refused(format!(
            "DynamoDB: {text}; check DYNAMODB_TABLE, the AWS region and the account of the credentials"
        )),
        Some(code) if REFUSED.contains(&code) => StoreError::Refused(format!("DynamoDB: {text}")),
        Some(_) => StoreError::Unavailable(format!("DynamoDB: {text}")),
        None if lacks_credentials(&text) => StoreError::Denied(format!(
            "DynamoDB: {text}; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )),
        None if text.contains("region") => StoreError::Refused(format!("DynamoDB: {text}; set AWS_REGION")),
        None => StoreError::Unavailable(format!("no answer from DynamoDB: {text}")),
    }
}

/// The SDK has no type for it: the error of its credentials chain is one of many sources.
fn lacks_credentials(text: &str) -> bool {
    text.contains("credentials provider") || text.contains("identity")
}

/// An error on one line: the service's code and message, or else why the service could not be reached.
fn describe<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => monitor_domain::quote::with_sources(error),
    }
}
