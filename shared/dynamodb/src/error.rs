//! Classifies DynamoDB's errors by what the caller can do.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use monitor_domain::quote::{quote, with_sources};
use monitor_pipeline::ports::StoreError;

/// The longest quoted reason why no credentials were found, in characters.
const LONGEST_REASON: usize = 160;

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
        // The SDK has no type for this: its chain of credentials fails with a text of many lines.
        None if text.contains("credential provider") => StoreError::Denied(format!(
            "DynamoDB: no AWS credentials were found; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
             log in again ({})",
            quote(&text, LONGEST_REASON)
        )),
        None => StoreError::Unavailable(format!("no answer from DynamoDB: {text}")),
    }
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
        (None, _) => with_sources(error),
    }
}
