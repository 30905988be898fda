//! Prints every sample as the JSON that Slack would receive, one per line, for `tests/slack_sdk_messages.py`.

#[allow(clippy::unwrap_used, reason = "the samples are fixed")]
#[path = "../tests/samples/mod.rs"]
mod samples;

use monitor_pipeline::ports::{Form, Route};
use monitor_slack::{WebBase, render, render_to};

fn main() -> serde_json::Result<()> {
    let web = WebBase::default();
    for (name, notification) in samples::all() {
        for form in [Form::Blocks, Form::PlainText] {
            let message = serde_json::to_value(render(&notification, form, &web))?;
            println!("{}", serde_json::json!({ "name": format!("{name}/{form:?}"), "message": message }));
            let to =
                Route::InsteadOf { channel: "#gpu-alerts", reason: "slack.com answers is_archived; fix *it* <now>" };
            let message = serde_json::to_value(render_to(&notification, form, to, &web))?;
            println!("{}", serde_json::json!({ "name": format!("{name}/{form:?}/instead"), "message": message }));
        }
    }
    for (name, message) in samples::by_bot() {
        println!("{}", serde_json::json!({ "name": name, "message": message }));
    }
    for (name, reply) in samples::answers::all() {
        let message = serde_json::to_value(reply.message())?;
        println!("{}", serde_json::json!({ "name": name, "message": message }));
    }
    Ok(())
}
