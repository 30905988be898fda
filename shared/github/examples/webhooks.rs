//! Reads deliveries of a webhook, one JSON object a line: `{"event":…,"signature":…,"body":…}`, with the body as text.
//! Prints what each reports, one JSON object a line: the judge is `tests/openapi/webhooks.mjs`.

use std::io::BufRead;

use monitor_domain::time::Timestamp;
use monitor_github::{WebhookSecret, read_webhook};
use serde_json::{Value, json};

/// The secret of the deliveries.
const SECRET: &str = "It's a Secret to Everybody";
/// The present: after every example.
const NOW_MS: i64 = 1_800_000_000_000;

fn main() -> std::io::Result<()> {
    let secret = WebhookSecret::new(SECRET);
    for line in std::io::stdin().lock().lines() {
        let delivery: Value = serde_json::from_str(&line?)?;
        let text = |name: &str| delivery[name].as_str().unwrap_or_default();
        let body = text("body").as_bytes();
        let verified = secret.verify(body, delivery["signature"].as_str()).is_ok();
        let report = match read_webhook(text("event"), body, Timestamp::from_epoch_ms(NOW_MS)) {
            Ok(report) => json!(report),
            Err(refusal) => json!(refusal.to_string()),
        };
        println!("{}", json!({"verified": verified, "report": report}));
    }
    Ok(())
}
