//! HTTP answers from an input: a status, header lines, an empty line, a body.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Reads an answer. `None` if no HTTP library would return it.
pub(crate) fn answer(input: &[u8]) -> Option<(StatusCode, HeaderMap, Vec<u8>)> {
    let (status, rest) = line(input);
    let status = std::str::from_utf8(status).ok()?.trim().parse().ok()?;
    let status = StatusCode::from_u16(status).ok()?;
    let (headers, body) = headers(rest);
    Some((status, headers, body.to_vec()))
}

/// Reads header lines up to an empty one. Also returns the rest after it.
pub(crate) fn headers(mut input: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    while !input.is_empty() {
        let (header, rest) = line(input);
        input = rest;
        if header.is_empty() {
            break;
        }
        let Some(colon) = header.iter().position(|&byte| byte == b':') else { continue };
        let name = HeaderName::from_bytes(&header[..colon]);
        let value = HeaderValue::from_bytes(header[colon + 1..].trim_ascii());
        // The HTTP library refuses more than a hundred headers.
        if let (Ok(name), Ok(value)) = (name, value)
            && headers.len() < 100
        {
            headers.append(name, value);
        }
    }
    (headers, input)
}

fn line(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[]),
    }
}
