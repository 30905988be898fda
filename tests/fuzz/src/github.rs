//! GitHub's answers: bodies, headers, and whole answers as the client interprets them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use monitor_domain::observation::{Fault, ObservedRunner};
use monitor_domain::target::Target;
use monitor_domain::time::Timestamp;
use monitor_fakes::github::APP_PRIVATE_KEY_PEM;
use monitor_github::fuzzing::{Content, Question, date_and_names, interpret, limited_until, read};
use monitor_github::{Credential, GitHub, Secret, Settings};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{answer, headers as read_headers};
use crate::text_checks::{SECRET, assert_bearable, assert_storable};

const QUESTIONS: [Question; 5] =
    [Question::Runners, Question::Runner, Question::Repositories, Question::Installation, Question::AccessToken];
const NOW: Timestamp = Timestamp::from_epoch_ms(1_800_000_000_000);
const LONGEST: usize = 600;

/// A body that was read, written in GitHub's format and read again is the same. An error names the place, never the
/// content.
pub(crate) fn bodies(input: &[u8]) {
    let Some((&which, body)) = input.split_first() else { return };
    let question = QUESTIONS[usize::from(which) % QUESTIONS.len()];
    match read(question, body) {
        Ok(content) => {
            let again = read(question, written(&content).to_string().as_bytes());
            assert_eq!(again, Ok(content), "reading it again has another result");
        }
        Err(text) => assert_bearable(&text, 100),
    }
}

/// Times from headers can be stored, waits are bounded, and links are reduced to page numbers.
pub(crate) fn headers(input: &[u8]) {
    let (headers, message) = read_headers(input);
    let message = String::from_utf8_lossy(message);
    for status in [200, 403, 429] {
        match limited_until(status, &headers, Some(&message), NOW) {
            Some(_) if status == 200 => panic!("a limit in a successful answer"),
            Some(Some(until)) => assert!(
                until > NOW && until <= NOW.plus(Duration::from_secs(86_400)),
                "a limit ends at {until}, which is not within a day"
            ),
            None if status == 429 => panic!("429 is always a limit"),
            _ => {}
        }
    }
    let (date, names) = date_and_names(&headers, "x-oauth-scopes");
    date.into_iter().for_each(assert_storable);
    let is_name = |name: &String| !name.is_empty() && !name.contains(',') && name.trim() == name;
    assert!(names.unwrap_or_default().iter().all(is_name));
    let target = target();
    let ok = || (reqwest::StatusCode::OK, headers.clone(), b"{\"runners\":[]}".to_vec());
    let (interpreted, report) = interpret(github(false), (Question::Runners, &target), false, ok());
    report.expires_at.into_iter().chain(report.quota_resets_at).for_each(assert_storable);
    let answer = interpreted.unwrap();
    let link_count = headers.get_all("link").iter().count();
    assert!(link_count > 0 || answer.links == (false, None), "links without a header: {:?}", answer.links);
    assert_eq!(answer.etag.is_some(), headers.get("etag").is_some_and(|etag| etag.to_str().is_ok()));
    // The quota in an answer to the App itself is not the installation's.
    let (_, report) = interpret(github(true), (Question::Installation, &target), false, ok());
    assert_eq!(report, Default::default());
}

/// A whole answer leads to content, or to a failure with a readable text that contains nothing of the body.
pub(crate) fn answers(input: &[u8]) {
    let Some((&which, rest)) = input.split_first() else { return };
    let Some((status, headers, body)) = answer(rest) else { return };
    let question = QUESTIONS[usize::from(which) % QUESTIONS.len()];
    let conditional = which & 0x80 != 0;
    for is_app in [false, true] {
        let asked = (status, headers.clone(), body.clone());
        let (interpreted, _) = interpret(github(is_app), (question, &target()), conditional, asked);
        match interpreted {
            Ok(good) => {
                assert!(matches!(status.as_u16(), 200 | 201 | 304), "{status} counts as a success");
                assert_eq!(good.content.is_none(), status == 304, "content and status disagree");
                assert!(status != 304 || conditional, "a 304 without a conditional request");
                assert_eq!(good.content, good.content.is_some().then(|| read(question, &body).unwrap()));
            }
            Err(failure) => {
                // GitHub's own message is quoted, and nothing else of an answer.
                let own = serde_json::from_slice::<ErrorBody>(&body).ok().and_then(|body| body.message);
                match own.filter(|message| message.contains(SECRET)) {
                    Some(_) => assert_bearable(&failure.detail.replace(SECRET, "quoted"), LONGEST),
                    None => assert_bearable(&failure.detail, LONGEST),
                }
                if let Fault::Limited { until } = failure.fault {
                    assert!(until > NOW, "a limit ends in the past");
                    assert_storable(until);
                }
                // Only a 404 with GitHub's own message counts as "not found": removals of runners are based on it.
                let says = serde_json::from_slice::<ErrorBody>(&body).is_ok_and(|body| body.message.is_some());
                assert!(
                    failure.fault != Fault::NotFound || says || status == 451,
                    "a 404 without GitHub's message counts as not found"
                );
            }
        }
    }
}

/// The body of GitHub's error answers.
#[derive(Deserialize)]
struct ErrorBody {
    message: Option<String>,
}

/// The content in GitHub's format.
fn written(content: &Content) -> Value {
    match content {
        Content::Runners(total, runners) => {
            json!({"total_count": total, "runners": runners.iter().map(runner).collect::<Vec<_>>()})
        }
        Content::Runner(read) => runner(read),
        Content::Repositories(names) => names.iter().map(|name| json!({"full_name": name})).collect(),
        Content::Installation(id) => json!({"id": id}),
        Content::AccessToken(token, expires_at) => json!({"token": token, "expires_at": expires_at}),
    }
}

/// A runner in GitHub's format.
pub(crate) fn runner(runner: &ObservedRunner) -> Value {
    let status = if runner.status.is_healthy() { "online".to_owned() } else { runner.status.to_string() };
    let labels: Vec<Value> = runner.labels.iter().map(|name| json!({"name": name})).collect();
    json!({
        "id": runner.id, "name": runner.name, "os": runner.os, "status": status, "busy": runner.busy,
        "ephemeral": runner.ephemeral, "version": runner.version, "labels": labels,
    })
}

fn target() -> Target {
    "acme/web".parse().unwrap()
}

fn github(is_app: bool) -> &'static GitHub {
    static CLIENTS: OnceLock<[GitHub; 2]> = OnceLock::new();
    let clients = CLIENTS.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            |credential| GitHub::new(reqwest::Client::new(), Settings::new(credential), Arc::new(|| NOW)).unwrap();
        let private_key = Secret::new(APP_PRIVATE_KEY_PEM);
        [
            client(Credential::Token(Secret::new(SECRET))),
            client(Credential::App { app_id: "7".to_owned(), private_key }),
        ]
    });
    &clients[usize::from(is_app)]
}
