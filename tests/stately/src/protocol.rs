//! Connect and gRPC: the encoding of messages, stream ends and refusals.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use monitor_stately::wire::StatelyErrorDetails;
use prost::Message;
use serde_json::{Value as Json, json};

use crate::record::Types;
use crate::refusal::{Refusal, RpcCode};

/// A caller's protocol, by the content type of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A single message without a frame.
    ConnectUnary(Codec),
    /// Messages in frames, then one frame with the result.
    ConnectStream(Codec),
    /// Messages in frames; the trailers contain the result.
    Grpc,
}

/// The encoding of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Proto,
    Json,
}

/// The flag of Connect's last frame.
const END_OF_STREAM: u8 = 2;
/// The flag of a compressed frame.
const COMPRESSED: u8 = 1;

/// `google.rpc.Status`, which carries details in gRPC.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

impl Protocol {
    pub(crate) fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        Some(match essence {
            "application/proto" => Protocol::ConnectUnary(Codec::Proto),
            "application/json" => Protocol::ConnectUnary(Codec::Json),
            "application/connect+proto" => Protocol::ConnectStream(Codec::Proto),
            "application/connect+json" => Protocol::ConnectStream(Codec::Json),
            "application/grpc" | "application/grpc+proto" => Protocol::Grpc,
            _ => return None,
        })
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Protocol::ConnectUnary(Codec::Proto) => "application/proto",
            Protocol::ConnectUnary(Codec::Json) => "application/json",
            Protocol::ConnectStream(Codec::Proto) => "application/connect+proto",
            Protocol::ConnectStream(Codec::Json) => "application/connect+json",
            Protocol::Grpc => "application/grpc",
        }
    }

    pub(crate) fn codec(self) -> Codec {
        match self {
            Protocol::ConnectUnary(codec) | Protocol::ConnectStream(codec) => codec,
            Protocol::Grpc => Codec::Proto,
        }
    }

    /// The single message of a request's body.
    pub(crate) fn one_message(self, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        if let Protocol::ConnectUnary(_) = self {
            return Ok(body.to_vec());
        }
        let mut frames = Frames::default();
        frames.push(body);
        let message = frames.next()?.ok_or_else(|| Refusal::invalid("the request's body holds no complete message"))?;
        if frames.next()?.is_some() || !frames.is_empty() {
            return Err(Refusal::invalid("the request's body holds more than one message"));
        }
        Ok(message)
    }

    /// A message, framed for a body.
    pub(crate) fn frame(self, message: &[u8]) -> Vec<u8> {
        match self {
            Protocol::ConnectUnary(_) => message.to_vec(),
            Protocol::ConnectStream(_) | Protocol::Grpc => frame(0, message),
        }
    }

    /// The end of a stream: the bytes after its last message, and the trailers.
    pub(crate) fn end(self, refusal: Option<&Refusal>) -> (Vec<u8>, Vec<(String, String)>) {
        match self {
            Protocol::ConnectUnary(_) => (Vec::new(), Vec::new()),
            Protocol::ConnectStream(_) => {
                let end = refusal.map_or_else(|| json!({}), |refusal| json!({ "error": connect_error(refusal) }));
                (frame(END_OF_STREAM, end.to_string().as_bytes()), Vec::new())
            }
            Protocol::Grpc => (Vec::new(), grpc_trailers(refusal)),
        }
    }
}

fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 5);
    bytes.push(flags);
    bytes.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

/// A refusal as Connect writes it.
pub(crate) fn connect_error(refusal: &Refusal) -> Json {
    let mut error = json!({ "code": refusal.rpc.as_str(), "message": refusal.outer_message() });
    if let Some(details) = refusal.details() {
        let value = STANDARD_NO_PAD.encode(details);
        error["details"] = json!([{ "type": StatelyErrorDetails::TYPE_NAME, "value": value }]);
    }
    error
}

fn grpc_trailers(refusal: Option<&Refusal>) -> Vec<(String, String)> {
    let trailer = |name: &str, value: String| (name.to_owned(), value);
    let Some(refusal) = refusal else { return vec![trailer("grpc-status", "0".to_owned())] };
    let mut trailers = vec![
        trailer("grpc-status", refusal.rpc.number().to_string()),
        trailer("grpc-message", percent_encoded(&refusal.outer_message())),
    ];
    if let Some(value) = refusal.details() {
        let type_url = format!("type.googleapis.com/{}", StatelyErrorDetails::TYPE_NAME);
        let details = vec![Any { type_url, value }];
        let status = Status { code: refusal.rpc.number(), message: refusal.outer_message(), details };
        trailers.push(trailer("grpc-status-details-bin", STANDARD_NO_PAD.encode(status.encode_to_vec())));
    }
    trailers
}

/// Text in gRPC's percent encoding: printable ASCII except the percent sign stays.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'%' => encoded.push_str("%25"),
            b' '..=b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// Extracts messages from frames as their bytes arrive.
#[derive(Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next complete message; `None` if it has not arrived yet.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let Some((&[flags, a, b, c, d], rest)) = self.bytes.split_first_chunk::<5>() else { return Ok(None) };
        if flags & COMPRESSED != 0 {
            return Err(Refusal::bare(RpcCode::Unimplemented, "this server does not read compressed messages"));
        }
        if flags & END_OF_STREAM != 0 {
            return Err(Refusal::invalid("a request has no end-of-stream message"));
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if rest.len() < length {
            return Ok(None);
        }
        let message = rest[..length].to_vec();
        self.bytes.drain(..5 + length);
        Ok(Some(message))
    }
}

impl Codec {
    /// Decodes a message of the service by its name.
    pub(crate) fn decode<M: Message + Default>(self, name: &str, bytes: &[u8], types: &Types) -> Result<M, Refusal> {
        let as_proto = match self {
            Codec::Proto => M::decode(bytes),
            Codec::Json => {
                let json: Json = if bytes.is_empty() { Ok(json!({})) } else { serde_json::from_slice(bytes) }
                    .map_err(|error| Refusal::invalid(format!("{name} is not JSON: {error}")))?;
                let record = types.read_json(name, &json).map_err(Refusal::invalid)?;
                M::decode(types.encode(name, &record).map_err(Refusal::invalid)?.as_slice())
            }
        };
        as_proto.map_err(|error| Refusal::invalid(format!("{name} cannot be read: {error}")))
    }

    /// Encodes a message of the service by its name.
    pub(crate) fn encode<M: Message>(self, name: &str, message: &M, types: &Types) -> Result<Vec<u8>, Refusal> {
        let proto = message.encode_to_vec();
        if self == Codec::Proto {
            return Ok(proto);
        }
        let json = types.decode(name, &proto).and_then(|record| types.to_json(name, &record));
        json.map(|json| json.to_string().into_bytes()).map_err(|fault| Refusal::bare(RpcCode::Internal, fault))
    }
}
