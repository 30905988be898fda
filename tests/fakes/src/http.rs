//! Requests and answers as plain values, so that the fakes' rules need no network.

use std::collections::BTreeMap;

/// One HTTP request as a fake sees it.
#[derive(Clone, Default)]
pub struct Request {
    /// Method in upper case, for example `GET`.
    pub method: String,
    /// Path without the query, not percent-decoded.
    pub path: String,
    /// Query parameters in the order given, decoded.
    pub query: Vec<(String, String)>,
    /// Headers by lower-case name; a repeated header has its last value.
    pub headers: BTreeMap<String, String>,
    /// Body as received.
    pub body: Vec<u8>,
    /// The number of requests in flight, including this one.
    pub in_flight: usize,
}

impl Request {
    /// A `GET` request; the path may have a query.
    pub fn get(path_and_query: &str) -> Self {
        Self::new("GET", path_and_query)
    }

    /// A `POST` request; the path may have a query.
    pub fn post(path_and_query: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = Self::new("POST", path_and_query);
        request.body = body.into();
        request
    }

    /// A request without headers and body, as the only one in flight.
    pub fn new(method: &str, path_and_query: &str) -> Self {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: parse_query(query),
            in_flight: 1,
            ..Self::default()
        }
    }

    /// The same request with an additional header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        self
    }

    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first query parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A fake's answer, and how it reaches the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers in the order sent; the server adds `content-length` and `date`.
    pub headers: Vec<(String, String)>,
    /// Body as sent.
    pub body: Vec<u8>,
    /// Trailers; only gRPC has them.
    pub trailers: Vec<(String, String)>,
    /// Pause before the first byte, in milliseconds.
    pub delay_ms: u64,
    /// How much of the answer arrives.
    pub delivery: Delivery,
}

/// How much of an answer arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All of it.
    Whole,
    /// The head announces the whole body, but the connection closes after this many bytes of it.
    CutAfter(usize),
    /// Nothing; the connection is closed normally.
    Closed,
    /// Nothing; the connection is reset (TCP RST).
    Reset,
    /// Nothing; the connection stays open until the client gives up.
    Never,
}

impl Answer {
    /// An answer with a body of this content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
            trailers: Vec::new(),
            delay_ms: 0,
            delivery: Delivery::Whole,
        }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.to_string())
    }

    /// An answer that does not arrive, with this kind of delivery.
    pub fn undelivered(delivery: Delivery) -> Self {
        let mut answer = Self::new(200, "text/plain", "");
        answer.delivery = delivery;
        answer
    }

    /// Adds a header.
    pub fn add_header(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the client gets a complete answer.
    pub fn arrives(&self) -> bool {
        self.delivery == Delivery::Whole
    }
}

/// Splits a query string into decoded pairs.
pub fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Joins pairs into a query string, percent-encoded.
pub fn format_query(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    pairs.join("&")
}

/// Decodes `%XX`; anything else is unchanged.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let byte = escape
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_can_be_encoded_again() {
        let request = Request::get("/x?name=a%20b%26&page=2&flag&odd=%zz");
        assert_eq!(request.parameter("name"), Some("a b&"));
        assert_eq!(request.parameter("flag"), Some(""));
        assert_eq!(request.parameter("odd"), Some("%zz"));
        assert_eq!(format_query(&request.query), "name=a%20b%26&page=2&flag=&odd=%25zz");
    }
}
