//! Requests from Slack, verified and parsed: slash commands and pressed buttons. Pure; every input has a result.

mod command;
mod form;
mod interaction;
mod reply_url;
mod signature;
mod verb;

use monitor_domain::time::Timestamp;
use monitor_pipeline::commands::Command;
use monitor_pipeline::person::PersonId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use command::{CommandFault, Misunderstanding, parse_command};
pub use reply_url::ReplyUrl;
pub use signature::{MAX_BODY_BYTES, RawRequest, Refusal, SigningSecret};
pub use verb::Verb;

/// Slack allows names of 80 characters.
const MAX_NAME_CHARS: usize = 80;

/// A request signed by Slack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A command from a person.
    Ask(Box<Ask>),
    /// Nothing to do: Slack tests the URL, or sends an event that is not used here.
    Nothing,
}

/// A command from a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The command, or why it was not understood.
    pub asked: Asked,
    /// The same for a request and its repetitions; 0 if no signature was read.
    pub request_number: u64,
    /// Whether the whole channel sees the answer.
    pub public: bool,
    /// The person's id in Slack.
    pub by: PersonId,
    /// The person's name as Slack sends it; only for the log.
    pub by_name: Option<String>,
    /// The URL that accepts answers for 30 minutes.
    pub reply_to: Option<ReplyUrl>,
    /// Whether it was a button rather than a slash command: Slack does not show the response to a button.
    pub pressed: bool,
    /// The message with the button, if the answer changes it.
    pub on: Option<Shown>,
}

/// A message as Slack shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its text.
    #[serde(default)]
    pub text: String,
    /// Its layout.
    #[serde(default)]
    pub blocks: Vec<Value>,
}

/// The command that a person sent, as far as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A command to run.
    Command(Command),
    /// The list of commands.
    Help,
    /// A link to the page.
    Dashboard,
    /// A command that cannot be carried out as written.
    Misunderstood(Misunderstanding),
}

/// Checks the headers of a request before its body is read: whether Slack can have signed it.
pub fn examine_head(request: &RawRequest<'_>, now: Timestamp) -> Result<(), Refusal> {
    signature::claimed(request, now).map(drop)
}

/// Verifies and parses a request.
pub fn read(request: &RawRequest<'_>, secret: &SigningSecret, now: Timestamp) -> Result<Incoming, Refusal> {
    let mut incoming = decode(&signature::verified(request, secret, now)?)?;
    if let Incoming::Ask(ask) = &mut incoming {
        ask.request_number = signature::claimed(request, now)?.request_number();
    }
    Ok(incoming)
}

/// Parses the body of a request whose signature was verified.
pub fn decode(body: &[u8]) -> Result<Incoming, Refusal> {
    let fields = form::decode(body)?;
    if let Some(payload) = form::field(&fields, "payload") {
        return interaction::decode(payload);
    }
    let Some(command) = form::field(&fields, "command") else {
        // Slack tests the certificate of the URL from time to time.
        let is_trial = form::field(&fields, "ssl_check").is_some();
        return if is_trial { Ok(Incoming::Nothing) } else { Err(Refusal::Unreadable("neither command nor payload")) };
    };
    let by = person(form::field(&fields, "user_id").unwrap_or_default())?;
    let by_name = form::field(&fields, "user_name").and_then(name_of);
    let (asked, public) = parse_command(command, form::field(&fields, "text").unwrap_or_default());
    let reply_to = form::field(&fields, "response_url").and_then(|url| ReplyUrl::parse(url, &[]));
    Ok(Incoming::Ask(Box::new(Ask {
        asked,
        request_number: 0,
        public,
        by,
        by_name,
        reply_to,
        pressed: false,
        on: None,
    })))
}

/// A name for the log, cut to the length that Slack allows; `None` if it is empty.
fn name_of(name: &str) -> Option<String> {
    Some(name.chars().take(MAX_NAME_CHARS).collect::<String>()).filter(|name| !name.is_empty())
}

fn person(id: &str) -> Result<PersonId, Refusal> {
    PersonId::try_from(id.to_owned()).map_err(|_| Refusal::Unreadable("no person's id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_command_is_read_from_its_form() {
        let body = "token=x&command=%2Frunner-status&text=acme%2Fweb+--public&user_id=U2CERLKJA\
                    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F1234%2F5678";
        let Ok(Incoming::Ask(ask)) = decode(body.as_bytes()) else { panic!("it is read") };
        let target = "acme/web".parse().unwrap();
        let scope = monitor_domain::scope::Scope::Target(target);
        assert_eq!(ask.asked, Asked::Command(Command::Status { scope }));
        assert!(ask.public && !ask.pressed && ask.reply_to.is_some());
        assert!(!format!("{ask:?}").contains("commands/1234") && !format!("{ask:?}").contains("U2CERLKJA"));
    }

    #[test]
    fn a_request_that_is_not_a_command_is_refused_or_ignored() {
        assert_eq!(decode(b"ssl_check=1&token=x"), Ok(Incoming::Nothing));
        let refused = |body: &[u8]| decode(body).unwrap_err();
        assert!(matches!(refused(b""), Refusal::Unreadable(_)));
        assert!(matches!(refused(b"command=%2Frunner-status"), Refusal::Unreadable(_)));
        assert!(matches!(refused(b"command=%2Frunner-status&user_id=<@U1>"), Refusal::Unreadable(_)));
        assert_eq!(refused(b"command=\xff"), Refusal::NotUtf8);
        assert_eq!(refused(b"command=%ff"), Refusal::NotUtf8);
    }

    #[test]
    fn an_answer_goes_to_slack_and_nowhere_else() {
        let ask = |url: &str| match decode(format!("command=%2Frunner-help&user_id=U1&response_url={url}").as_bytes()) {
            Ok(Incoming::Ask(ask)) => ask.reply_to.is_some(),
            other => panic!("{other:?}"),
        };
        assert!(ask("https://hooks.slack.com/commands/1/2"));
        assert!(!ask("https://hooks.slack.com.evil.test/commands/1/2"));
        assert!(!ask("http://hooks.slack.com/commands/1/2"));
        assert!(!ask("https://169.254.169.254/latest/meta-data"));
    }
}
