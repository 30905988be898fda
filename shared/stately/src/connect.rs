//! The Connect protocol: the frames of a stream, and the three places of an error.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use monitor_domain::quote::quote;
use prost::Message;
use serde::Deserialize;

use crate::error::{ServiceError, StatelyError};
use crate::transport::Response;
use crate::wire::StatelyErrorDetails;

/// The content type of a single message.
pub(crate) const UNARY: &str = "application/proto";
/// The content type of a stream.
pub(crate) const STREAM: &str = "application/connect+proto";

/// How much of a foreign text or code is quoted, in characters.
const MOST_OF_A_TEXT: usize = 300;
const MOST_OF_A_CODE: usize = 60;

const COMPRESSED: u8 = 1;
const END_OF_STREAM: u8 = 2;
/// The length of a frame's prefix: one byte of flags, four of length.
const PREFIX_LEN: usize = 5;

/// Decodes base64 in every variant that senders use: padded or not, in either alphabet.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let standard: String = text
        .chars()
        .map(|c| {
            if c == '-' {
                '+'
            } else if c == '_' {
                '/'
            } else {
                c
            }
        })
        .collect();
    GeneralPurpose::new(&STANDARD, config).decode(standard).ok()
}

/// A message as the single frame of a request.
pub(crate) fn frame(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(PREFIX_LEN + message.len());
    framed.push(0);
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    framed
}

/// The messages of a complete stream, or the error that ended it.
pub(crate) fn messages(response: &Response) -> Result<Vec<&[u8]>, StatelyError> {
    if response.status != 200 || response.content_type != STREAM {
        return Err(error_of(response));
    }
    let mut messages = Vec::new();
    let mut rest = &response.body[..];
    loop {
        let cut = || StatelyError::Unreached("the response ended early".to_owned());
        let (prefix, after) = rest.split_at_checked(PREFIX_LEN).ok_or_else(cut)?;
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (message, after) = after.split_at_checked(length).ok_or_else(cut)?;
        if prefix[0] & COMPRESSED != 0 {
            return Err(StatelyError::Garbled("a compressed frame, which was not requested".to_owned()));
        }
        if prefix[0] & END_OF_STREAM == 0 {
            messages.push(message);
            rest = after;
            continue;
        }
        let end: EndOfStream = serde_json::from_slice(message)
            .map_err(|_| StatelyError::Garbled("the end of the stream is not JSON".to_owned()))?;
        return match end.error {
            Some(error) => Err(StatelyError::Service(error.into())),
            None => Ok(messages),
        };
    }
}

/// The single message of a response, or its error.
pub(crate) fn message(response: &Response) -> Result<&[u8], StatelyError> {
    if response.status == 200 && response.content_type == UNARY { Ok(&response.body) } else { Err(error_of(response)) }
}

/// Decodes a StatelyDB message.
pub(crate) fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, StatelyError> {
    M::decode(bytes).map_err(|error| StatelyError::Garbled(error.to_string()))
}

#[derive(Deserialize)]
struct EndOfStream {
    error: Option<WireError>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireError {
    code: String,
    message: String,
    details: Vec<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    r#type: String,
    value: String,
}

impl From<WireError> for ServiceError {
    fn from(error: WireError) -> Self {
        let details = error.details.iter().find(|detail| detail.r#type == StatelyErrorDetails::TYPE_NAME);
        let details = details.and_then(|detail| StatelyErrorDetails::decode(&*decode_base64(&detail.value)?).ok());
        let StatelyErrorDetails { stately_code, message, .. } = details.unwrap_or_default();
        // With details, the outer message only repeats the codes.
        let message = [message, error.message].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        ServiceError {
            rpc_code: quote(&error.code, MOST_OF_A_CODE),
            stately_code: quote(&stately_code, MOST_OF_A_CODE),
            message: quote(&message, MOST_OF_A_TEXT),
        }
    }
}

/// The error in a response that is not of the requested kind.
fn error_of(response: &Response) -> StatelyError {
    let json = || serde_json::from_slice::<WireError>(&response.body).ok().filter(|error| !error.code.is_empty());
    if response.status == 200 {
        let kind = quote(&response.content_type, MOST_OF_A_CODE);
        return StatelyError::Garbled(format!("content type `{kind}`; is there a proxy in between?"));
    }
    if response.content_type == "application/json"
        && let Some(error) = json()
    {
        return StatelyError::Service(error.into());
    }
    let rpc_code = code_of_status(response.status).to_owned();
    let message = format!("HTTP status {} without a reason", response.status);
    StatelyError::Service(ServiceError { rpc_code, stately_code: String::new(), message })
}

/// The RPC code of a response from an intermediary, by its status (connectrpc.com, "HTTP to Error Code").
fn code_of_status(status: u16) -> &'static str {
    match status {
        400 => "internal",
        401 => "unauthenticated",
        403 => "permission_denied",
        404 => "unimplemented",
        408 | 429 | 502 | 503 | 504 => "unavailable",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn response(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, content_type: content_type.to_owned(), body: body.into() }
    }

    fn raw(flags: u8, message: &[u8]) -> Vec<u8> {
        let mut frame = vec![flags];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        frame
    }

    fn details(stately_code: &str, message: &str) -> String {
        let (stately_code, message) = (stately_code.to_owned(), message.to_owned());
        let bytes = StatelyErrorDetails { stately_code, message, ..Default::default() }.encode_to_vec();
        let value = base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
        format!(
            r#"{{"code":"failed_precondition","message":"(x/y)","details":[{{"type":"other.Type","value":"!"}},{{"type":"stately.errors.StatelyErrorDetails","value":"{value}","debug":{{}}}}]}}"#
        )
    }

    #[test]
    fn an_error_is_read_from_its_details() {
        let expected = ServiceError {
            rpc_code: "failed_precondition".to_owned(),
            stately_code: "ConditionalCheckFailed".to_owned(),
            message: "it is there".to_owned(),
        };
        let json = details("ConditionalCheckFailed", "it is there");
        let unary = message(&response(400, "application/json", &*json)).unwrap_err();
        assert_eq!(unary.service(), Some(&expected));
        let end = [raw(0, b"x"), raw(2, format!(r#"{{"error":{json}}}"#).as_bytes())].concat();
        let stream = messages(&response(200, STREAM, end)).unwrap_err();
        assert_eq!(stream.service(), Some(&expected));
    }

    #[test]
    fn a_proxys_response_is_classified_by_its_status() {
        for (status, code) in
            [(502, "unavailable"), (401, "unauthenticated"), (418, "unknown"), (403, "permission_denied")]
        {
            let error = message(&response(status, "text/html", "<html>secret</html>")).unwrap_err();
            assert_eq!(error.service().unwrap().rpc_code, code);
            assert!(!error.to_string().contains("secret"));
        }
        assert!(matches!(message(&response(200, "text/html", "<html>")), Err(StatelyError::Garbled(_))));
        assert!(matches!(messages(&response(200, UNARY, "")), Err(StatelyError::Garbled(_))));
    }

    #[test]
    fn a_stream_without_an_end_is_an_error() {
        let whole = [raw(0, b"one"), raw(0, b""), raw(2, b"{}")].concat();
        assert_eq!(messages(&response(200, STREAM, whole.clone())).unwrap(), [&b"one"[..], b""]);
        for length in 0..whole.len() {
            let answer = response(200, STREAM, &whole[..length]);
            let cut = messages(&answer);
            assert!(matches!(cut, Err(StatelyError::Unreached(_))), "{length}: {cut:?}");
        }
        assert!(matches!(messages(&response(200, STREAM, raw(1, b"zip"))), Err(StatelyError::Garbled(_))));
        assert!(matches!(messages(&response(200, STREAM, raw(2, b"nothing"))), Err(StatelyError::Garbled(_))));
    }

    #[test]
    fn base64_is_read_in_every_variant() {
        for text in ["+/8=", "+/8", "-_8", "-_8="] {
            assert_eq!(decode_base64(text).as_deref(), Some(&[0xfb, 0xff][..]), "{text}");
        }
        assert_eq!(decode_base64("a b"), None);
    }

    proptest! {
        #[test]
        fn no_response_causes_a_panic(status: u16, kind in 0..4_usize, body: Vec<u8>) {
            let content_type = [UNARY, STREAM, "application/json", "text/html"][kind];
            let response = response(status, content_type, body);
            let _ = message(&response).and_then(decode::<StatelyErrorDetails>);
            if let Ok(parts) = messages(&response) {
                parts.into_iter().for_each(|part| drop(decode::<crate::wire::ListResponse>(part)));
            }
        }

        #[test]
        fn no_error_text_causes_a_panic(body in r#"\{"code":"[a-z_]{0,9}","message":".{0,400}","details":\[\{"type":"stately.errors.StatelyErrorDetails","value":"[ -~]{0,20}"\}\]\}"#) {
            let error = message(&response(500, "application/json", body)).unwrap_err();
            prop_assert!(error.to_string().len() < 2_000);
        }
    }
}
