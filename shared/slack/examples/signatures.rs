//! Checks and makes signatures for `tests/slack_sdk_signatures.py`: reads one JSON object a line,
//! `{"secret", "nowSecs", "timestamp", "signature", "body"}`, and answers each with `{"accepted", "signature"}`.

use std::io::{self, BufRead as _};

use monitor_domain::time::Timestamp;
use monitor_slack::incoming::{RawRequest, Refusal, SigningSecret, read};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    secret: String,
    now_secs: i64,
    timestamp: String,
    signature: String,
    body: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in io::stdin().lock().lines() {
        let Case { secret, now_secs, timestamp, signature, body } = serde_json::from_str(&line?)?;
        let secret = SigningSecret::new(&secret);
        let headers =
            [("X-Slack-Signature", signature.as_bytes()), ("X-Slack-Request-Timestamp", timestamp.as_bytes())];
        let request = RawRequest::new(headers, body.as_bytes(), false);
        let outcome = read(&request, &secret, Timestamp::from_epoch_ms(now_secs * 1_000));
        // A signed request that is not understood has passed the signature check.
        let accepted = matches!(outcome, Ok(_) | Err(Refusal::Unreadable(_) | Refusal::NotUtf8));
        let made = timestamp.parse().ok().map(|secs| secret.sign(secs, body.as_bytes()));
        println!("{}", json!({ "accepted": accepted, "signature": made }));
    }
    Ok(())
}
