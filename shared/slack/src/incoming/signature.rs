//! Slack's signature on a request (<https://docs.slack.dev/authentication/verifying-requests-from-slack>).

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use monitor_domain::time::Timestamp;
use ring::hmac;

/// A slash command has a few hundred bytes, an interaction with its message about ten thousand.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How far a timestamp may differ from the clock, in either direction.
const MAX_SKEW_SECS: u64 = 300;

/// The app's signing secret. `Debug` does not show it.
#[derive(Clone)]
pub struct SigningSecret(hmac::Key);

impl SigningSecret {
    /// From its text, trimmed.
    pub fn new(text: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, text.trim().as_bytes()))
    }

    /// The signature that Slack puts on a body: for tests, and to check an installation.
    pub fn sign(&self, timestamp_secs: i64, body: &[u8]) -> String {
        let tag = hmac::sign(&self.0, &[format!("v0:{timestamp_secs}:").as_bytes(), body].concat());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("v0={hex}")
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(***)")
    }
}

/// A request as received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawRequest<'a> {
    timestamp: Option<&'a [u8]>,
    signature: Option<&'a [u8]>,
    body: &'a [u8],
    is_base64: bool,
}

impl<'a> RawRequest<'a> {
    /// From headers in any case, and the body as received; `is_base64` if a gateway encoded it.
    pub fn new(
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        body: &'a [u8],
        is_base64: bool,
    ) -> RawRequest<'a> {
        let (mut timestamps, mut signatures) = (Vec::new(), Vec::new());
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("x-slack-request-timestamp") {
                timestamps.push(value);
            } else if name.eq_ignore_ascii_case("x-slack-signature") {
                signatures.push(value);
            }
        }
        // With two headers, it is unclear which one was signed.
        let only = |values: &[&'a [u8]]| if let [value] = values { Some(*value) } else { None };
        RawRequest { timestamp: only(&timestamps), signature: only(&signatures), body, is_base64 }
    }
}

/// Shows only the length.
impl fmt::Debug for RawRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest").field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// Why a request is refused, without any of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// Its body is larger than [`MAX_BODY_BYTES`].
    #[error("larger than 1 MiB")]
    TooLarge,
    /// Its body is marked as base64 but is not.
    #[error("not base64")]
    NotBase64,
    /// It has no timestamp, or several.
    #[error("no timestamp, or more than one")]
    NoTimestamp,
    /// Its timestamp is not an integer number of seconds.
    #[error("timestamp is not an integer")]
    BadTimestamp,
    /// Its timestamp is too far from the clock: a replayed request, or a clock that is wrong.
    #[error("timestamp more than 300 s off")]
    Stale,
    /// It has no signature, or several.
    #[error("no signature, or more than one")]
    NoSignature,
    /// It is signed, but was received before: no command runs twice.
    #[error("repeats an earlier request")]
    Repeated,
    /// Its signature is malformed, or was made with another secret.
    #[error("signature does not match")]
    BadSignature,
    /// It is signed, but not text.
    #[error("not UTF-8")]
    NotUtf8,
    /// It is signed, but unknown here.
    #[error("not understood: {0}")]
    Unreadable(&'static str),
}

impl Refusal {
    /// The HTTP status of the response, which has no body: a forger does not learn the reason.
    pub fn http_status(self) -> u16 {
        match self {
            Refusal::TooLarge => 413,
            _ => 401,
        }
    }
}

/// The timestamp and signature of a request, not yet verified.
pub(super) struct Claimed<'a> {
    timestamp: &'a [u8],
    tag: [u8; 32],
}

impl Claimed<'_> {
    /// A number from 1 to 2^63 - 1, taken from the signature: the same for a request and its repetitions.
    pub(super) fn request_number(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.tag;
        (u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1).max(1)
    }
}

/// Checks the headers of a request: whether Slack can have signed it within the last 300 s. Needs no body.
pub(super) fn claimed<'a>(request: &RawRequest<'a>, now: Timestamp) -> Result<Claimed<'a>, Refusal> {
    let timestamp = request.timestamp.ok_or(Refusal::NoTimestamp)?;
    let signed_at = seconds(timestamp).ok_or(Refusal::BadTimestamp)?;
    if now.epoch_secs().abs_diff(signed_at) > MAX_SKEW_SECS {
        return Err(Refusal::Stale);
    }
    let signature = request.signature.ok_or(Refusal::NoSignature)?;
    let tag = signature.strip_prefix(b"v0=").and_then(unhex).ok_or(Refusal::BadSignature)?;
    Ok(Claimed { timestamp, tag })
}

/// The body of a request that Slack signed within the last 300 s.
pub(super) fn verified<'a>(
    request: &RawRequest<'a>,
    secret: &SigningSecret,
    now: Timestamp,
) -> Result<Cow<'a, [u8]>, Refusal> {
    let Claimed { timestamp, tag } = claimed(request, now)?;
    let body = raw_body(request)?;
    let signed = [b"v0:", timestamp, b":", &*body].concat();
    // In constant time.
    hmac::verify(&secret.0, &signed, &tag).map_err(|_| Refusal::BadSignature)?;
    Ok(body)
}

/// The body as Slack sent it.
fn raw_body<'a>(request: &RawRequest<'a>) -> Result<Cow<'a, [u8]>, Refusal> {
    let body = request.body;
    let most = if request.is_base64 { MAX_BODY_BYTES.div_ceil(3) * 4 } else { MAX_BODY_BYTES };
    if body.len() > most {
        return Err(Refusal::TooLarge);
    }
    if !request.is_base64 {
        return Ok(Cow::Borrowed(body));
    }
    let decoded = STANDARD.decode(body).map_err(|_| Refusal::NotBase64)?;
    if decoded.len() > MAX_BODY_BYTES { Err(Refusal::TooLarge) } else { Ok(Cow::Owned(decoded)) }
}

/// A timestamp of digits only, as Slack writes it.
fn seconds(timestamp: &[u8]) -> Option<i64> {
    let is_plain = (1..=15).contains(&timestamp.len()) && timestamp.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(timestamp).ok().filter(|_| is_plain)?.parse().ok()
}

/// 64 lower-case hexadecimal digits, as Slack writes them.
fn unhex(text: &[u8]) -> Option<[u8; 32]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut tag = [0; 32];
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != tag.len() {
        return None;
    }
    for (byte, [high, low]) in tag.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slack's published example.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const TIMESTAMP: &str = "1531420618";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn now() -> Timestamp {
        Timestamp::from_epoch_ms(1_531_420_618_000)
    }

    fn check(timestamp: &str, signature: &str, body: &[u8], now: Timestamp) -> Result<Vec<u8>, Refusal> {
        let headers =
            [("X-Slack-Request-Timestamp", timestamp.as_bytes()), ("X-Slack-Signature", signature.as_bytes())];
        let request = RawRequest::new(headers, body, false);
        verified(&request, &SigningSecret::new(SECRET), now).map(Cow::into_owned)
    }

    #[test]
    fn slacks_published_example_is_accepted_in_every_form() {
        let secret = SigningSecret::new(&format!(" {SECRET}\n"));
        let encoded = STANDARD.encode(BODY);
        for (names, body, is_base64) in [
            (["X-Slack-Request-Timestamp", "X-Slack-Signature"], BODY, false),
            (["x-slack-request-timestamp", "x-slack-signature"], BODY, false),
            (["X-SLACK-REQUEST-TIMESTAMP", "X-SLACK-SIGNATURE"], &*encoded, true),
        ] {
            let headers = [(names[0], TIMESTAMP.as_bytes()), (names[1], SIGNATURE.as_bytes())];
            let request = RawRequest::new(headers, body.as_bytes(), is_base64);
            assert_eq!(verified(&request, &secret, now()).unwrap(), BODY.as_bytes());
        }
        assert_eq!(secret.sign(1_531_420_618, BODY.as_bytes()), SIGNATURE);
    }

    #[test]
    fn a_timestamp_may_be_off_by_300_seconds_either_way() {
        let check_at = |secs: i64| {
            check(TIMESTAMP, SIGNATURE, BODY.as_bytes(), Timestamp::from_epoch_ms((1_531_420_618 + secs) * 1_000))
        };
        for secs in [-300, 0, 300] {
            assert!(check_at(secs).is_ok(), "{secs}");
        }
        for secs in [-301, 301, 1_000_000_000] {
            assert_eq!(check_at(secs), Err(Refusal::Stale), "{secs}");
        }
    }

    #[test]
    fn an_altered_request_is_refused() {
        for timestamp in [
            "",
            "-1531420618",
            "+1531420618",
            "1531420618.0",
            " 1531420618",
            "1.5e9",
            "١٥٣١٤٢٠٦١٨",
            "9999999999999999999",
        ] {
            assert_eq!(check(timestamp, SIGNATURE, BODY.as_bytes(), now()), Err(Refusal::BadTimestamp), "{timestamp}");
        }
        let bad = Err(Refusal::BadSignature);
        assert_eq!(check("1531420619", SIGNATURE, BODY.as_bytes(), now()), bad);
        assert_eq!(check("01531420618", SIGNATURE, BODY.as_bytes(), now()), bad);
        for signature in [
            "",
            "v0=",
            &SIGNATURE[3..],
            &SIGNATURE.replace("v0", "v1"),
            &SIGNATURE.replace('a', "A"),
            &SIGNATURE[..66],
            &format!("{SIGNATURE}0"),
            &format!("{SIGNATURE},{SIGNATURE}"),
        ] {
            assert_eq!(check(TIMESTAMP, signature, BODY.as_bytes(), now()), bad, "{signature}");
        }
        assert_eq!(check(TIMESTAMP, SIGNATURE, &BODY.as_bytes()[1..], now()), bad);
        assert_eq!(check(TIMESTAMP, SIGNATURE, b"", now()), bad);
    }

    #[test]
    fn missing_or_duplicate_headers_are_refused() {
        let (timestamp, signature) = (("x-slack-request-timestamp", TIMESTAMP), ("X-Slack-Signature", SIGNATURE));
        let check = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
            let request = RawRequest::new(headers, BODY.as_bytes(), false);
            verified(&request, &SigningSecret::new(SECRET), now()).map(drop)
        };
        assert_eq!(check(&[timestamp, signature]), Ok(()));
        assert_eq!(check(&[signature]), Err(Refusal::NoTimestamp));
        assert_eq!(check(&[timestamp]), Err(Refusal::NoSignature));
        assert_eq!(check(&[timestamp, signature, signature]), Err(Refusal::NoSignature));
        assert_eq!(check(&[timestamp, timestamp, signature]), Err(Refusal::NoTimestamp));
    }

    #[test]
    fn large_bodies_are_refused_before_they_are_processed() {
        let large = vec![b'a'; MAX_BODY_BYTES + 1];
        assert_eq!(check(TIMESTAMP, SIGNATURE, &large, now()), Err(Refusal::TooLarge));
        assert_eq!(check(TIMESTAMP, SIGNATURE, &large[1..], now()), Err(Refusal::BadSignature));
        let encoded = |bytes: usize| {
            let body = STANDARD.encode(vec![0xff; bytes]);
            raw_body(&RawRequest::new([], body.as_bytes(), true)).map(|body| body.len())
        };
        assert_eq!(encoded(MAX_BODY_BYTES), Ok(MAX_BODY_BYTES));
        assert_eq!(encoded(MAX_BODY_BYTES + 1), Err(Refusal::TooLarge));
        assert_eq!(raw_body(&RawRequest::new([], b"%%%", true)), Err(Refusal::NotBase64));
    }

    #[test]
    fn debug_shows_no_request_content_and_no_secret() {
        let headers = [("x-slack-signature", SIGNATURE.as_bytes())];
        let shown = format!("{:?} {:?}", RawRequest::new(headers, BODY.as_bytes(), false), SigningSecret::new(SECRET));
        assert!(!shown.contains("xyzz") && !shown.contains("a2114d") && !shown.contains("8f74"), "{shown}");
    }
}
