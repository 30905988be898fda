//! Pressed buttons (<https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>).

use monitor_pipeline::commands::Command;
use serde::Deserialize;

use super::{Ask, Asked, CommandFault, Incoming, Misunderstanding, Refusal, ReplyUrl, Shown, name_of, person};
use crate::button;

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    user: Option<User>,
    #[serde(default)]
    actions: Vec<Action>,
    response_url: Option<String>,
    message: Option<Shown>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    username: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    #[serde(default)]
    value: String,
}

/// Parses the `payload` of an interaction. Only pressed buttons need an answer.
pub(super) fn decode(payload: &str) -> Result<Incoming, Refusal> {
    // The parser's error would quote the content.
    let payload: Payload = serde_json::from_str(payload).map_err(|_| Refusal::Unreadable("payload"))?;
    let ("block_actions", Some(action)) = (&*payload.kind, payload.actions.first()) else {
        return Ok(Incoming::Nothing);
    };
    if !button::is_ours(&action.action_id) {
        return Ok(Incoming::Nothing);
    }
    let by = person(payload.user.as_ref().map_or("", |user| &user.id))?;
    let by_name = payload.user.as_ref().and_then(|user| name_of(user.username.as_deref()?));
    let reply_to = payload.response_url.as_deref().and_then(|url| ReplyUrl::parse(url, &[]));
    let asked = match button::command(&action.action_id, &action.value) {
        Some(command @ (Command::Recheck { .. } | Command::Mute { .. } | Command::Acknowledge { .. })) => {
            Asked::Command(command)
        }
        // From an older or newer release.
        _ => Asked::Misunderstood(Misunderstanding { verb: None, fault: CommandFault::OldButton }),
    };
    let on = payload.message.filter(|_| action.action_id == button::ACKNOWLEDGE);
    Ok(Incoming::Ask(Box::new(Ask {
        asked,
        request_number: 0,
        public: false,
        by,
        by_name,
        reply_to,
        pressed: true,
        on,
    })))
}

#[cfg(test)]
mod tests {
    use monitor_domain::outage::OutageId;
    use monitor_domain::runner::RunnerId;
    use monitor_domain::subject::Revision;
    use serde_json::{Value, json};

    use super::*;

    fn pressed(action_id: &str, value: &str) -> Value {
        json!({
            "type": "block_actions",
            "user": {"id": "U2CERLKJA", "username": "roadrunner", "team_id": "T1DC2JH3J"},
            "container": {"type": "message", "message_ts": "1531420618.000100", "channel_id": "C1"},
            "response_url": "https://hooks.slack.com/actions/T1DC2JH3J/1/abc",
            "actions": [{"type": "button", "block_id": "b", "action_id": action_id, "value": value, "action_ts": "1"}],
        })
    }

    fn asked(payload: &Value) -> Asked {
        match decode(&payload.to_string()) {
            Ok(Incoming::Ask(ask)) => {
                assert!(ask.pressed && !ask.public && ask.reply_to.is_some());
                ask.asked
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_button_is_read_as_the_command_it_was_made_from() {
        let target: monitor_domain::target::Target = "Acme/Web".parse().unwrap();
        let name = "build <7> \"é\"".to_owned();
        let commands = [
            Command::Recheck { target: target.clone() },
            Command::Mute {
                scope: monitor_domain::scope::Scope::Runner { target: target.clone(), name },
                lasting_secs: 7_200,
                reason: None,
            },
            Command::Acknowledge { target, outages: vec![(RunnerId(7), OutageId(Revision(41)))] },
        ];
        for command in commands {
            let (action_id, value) = button::action(&command).unwrap();
            assert_eq!(asked(&pressed(action_id, &value)), Asked::Command(command));
        }
    }

    #[test]
    fn a_button_of_another_release_is_reported_as_one() {
        let old = |payload: &Value| match asked(payload) {
            Asked::Misunderstood(Misunderstanding { fault, .. }) => fault,
            other => panic!("{other:?}"),
        };
        let status_all = serde_json::to_string(&Command::StatusAll).unwrap();
        let recheck = serde_json::to_string(&Command::Recheck { target: "acme/web".parse().unwrap() }).unwrap();
        for (action_id, value) in [
            ("recheck", "acme/web"),
            ("recheck", &*status_all),
            ("mute", &*recheck),
            ("acknowledge", ""),
            ("mute", r#"{"command":"mute","scope":{"target":"acme/web"},"lastingSecs":99999999999}"#),
        ] {
            assert_eq!(old(&pressed(action_id, value)), CommandFault::OldButton, "{action_id} {value}");
        }
    }

    #[test]
    fn other_interactions_ask_for_nothing_and_broken_ones_are_refused() {
        let mut view = pressed("recheck", "");
        view["type"] = json!("view_submission");
        let mut empty = pressed("recheck", "");
        empty["actions"] = json!([]);
        for payload in [view, empty, pressed("of-another-app", "x")] {
            assert_eq!(decode(&payload.to_string()), Ok(Incoming::Nothing));
        }
        for payload in ["", "{", "[]", "{}", "null", r#"{"type":7}"#] {
            assert_eq!(decode(payload), Err(Refusal::Unreadable("payload")), "{payload}");
        }
        let mut nobody = pressed("recheck", "x");
        nobody["user"] = Value::Null;
        assert!(matches!(decode(&nobody.to_string()), Err(Refusal::Unreadable(_))));
    }
}
