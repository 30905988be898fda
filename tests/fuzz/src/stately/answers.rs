//! Whole answers, passed through the client and the store: frames, error details, lists, tokens.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use monitor_domain::secret::Secret;
use monitor_domain::subject::Revision;
use monitor_pipeline::items::Item;
use monitor_pipeline::json;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{Store, StoreError};
use monitor_pipeline::testing::samples::{runner_item, subject, target};
use monitor_stately::StatelyStore;
use monitor_stately::client::{Client, ClientSettings, List};
use monitor_stately::key_path::KeyPath;
use monitor_stately::transport::{Request, Response, Transport, Unreached};
use monitor_stately::wire::{ListFinished, ListPart, ListPartialResult, ListResponse, ListToken};
use prost::Message;
use tokio::runtime::{Builder, Runtime};

use crate::text_checks::{SECRET, assert_bearable, parts};

const LONGEST: usize = 2_000;
const STREAM: &str = "application/connect+proto";

/// Returns one answer after the other, then an error.
struct Script(Mutex<VecDeque<Response>>);

impl Transport for Script {
    async fn post(&self, _: Request) -> Result<Response, Unreached> {
        self.0.lock().unwrap().pop_front().ok_or_else(|| Unreached("no more answers".to_owned()))
    }
}

/// The first byte selects the request. The parts of the rest are the answers: a line with status and content type, then
/// the body. With the content type `frames` a body is messages separated by lines of two dashes, each after its flags.
pub(crate) fn answers(input: &[u8]) {
    let Some((&which, rest)) = input.split_first() else { return };
    let script: Vec<Response> = parts(rest).into_iter().take(8).filter_map(answer).collect();
    // StatelyDB's text is quoted, so it may contain the secret. Otherwise the client's key must not appear.
    let has_secret = contains(rest, SECRET.as_bytes());
    let outcome = run(which, script.clone());
    match &outcome {
        Ok(items) => items.iter().for_each(|item| {
            let text = json::encode(item).unwrap();
            assert_eq!(json::encode(&json::decode(text.as_bytes()).unwrap().unwrap()).unwrap(), text);
        }),
        Err(error) => {
            let text = error.to_string();
            let text = if has_secret { text.replace(SECRET, "…") } else { text };
            assert_bearable(&text, LONGEST);
        }
    }
    assert_eq!(run(which, script.clone()), outcome, "the same answers have another result");
    // A stream means the same however it is split into messages.
    let cut: Vec<Response> = script.iter().map(one_by_one).collect();
    if cut != script {
        assert_eq!(run(which, cut), outcome, "split differently, it has another result");
    }
}

fn answer(part: &[u8]) -> Option<Response> {
    let end = part.iter().position(|&byte| byte == b'\n').unwrap_or(part.len());
    let head = std::str::from_utf8(&part[..end]).ok()?;
    let (status, content_type) = head.split_once(' ').unwrap_or((head, ""));
    let body = part.get(end + 1..).unwrap_or_default();
    let status = status.parse().ok()?;
    if content_type == "frames" {
        return Some(Response { status, content_type: STREAM.to_owned(), body: framed(body) });
    }
    Some(Response { status, content_type: content_type.to_owned(), body: body.to_vec() })
}

fn framed(mut body: &[u8]) -> Vec<u8> {
    const BETWEEN: &[u8] = b"\n--\n";
    let mut framed = Vec::new();
    loop {
        let end = body.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        let message = &body[..end.unwrap_or(body.len())];
        if let Some((&flags, message)) = message.split_first() {
            frame(flags, message, &mut framed);
        }
        match end {
            Some(end) => body = &body[end + BETWEEN.len()..],
            None => return framed,
        }
    }
}

fn frame(flags: u8, message: &[u8], into: &mut Vec<u8>) {
    into.push(flags);
    into.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    into.extend(message);
}

/// The same list with each item in a separate message, if it can be read.
fn one_by_one(answer: &Response) -> Response {
    let mut body = Vec::new();
    let mut rest = &answer.body[..];
    while let Some((prefix, after)) = rest.split_at_checked(5) {
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        let Some((message, after)) = after.split_at_checked(length) else { return answer.clone() };
        rest = after;
        match ListResponse::decode(message).map(|message| message.response) {
            Ok(Some(ListPart::Result(ListPartialResult { items }))) if prefix[0] == 0 => {
                for item in items {
                    let response = Some(ListPart::Result(ListPartialResult { items: vec![item] }));
                    frame(0, &ListResponse { response }.encode_to_vec(), &mut body);
                }
            }
            // Messages without items, and unreadable ones, are not changed.
            _ => frame(prefix[0], message, &mut body),
        }
    }
    body.extend(rest);
    Response { body, ..answer.clone() }
}

/// A list in the service's format, for the seeds.
pub(crate) fn listed(items: Vec<monitor_stately::wire::Item>, can_continue: bool) -> Vec<u8> {
    let token = ListToken { token_data: vec![1, 2, 3], can_continue, can_sync: false, schema_version_id: 1 };
    let mut body = Vec::new();
    let mut send = |part| frame(0, &ListResponse { response: Some(part) }.encode_to_vec(), &mut body);
    send(ListPart::Result(ListPartialResult { items }));
    send(ListPart::Finished(ListFinished { token: Some(token) }));
    frame(2, b"{}", &mut body);
    body
}

fn run(which: u8, script: Vec<Response>) -> Result<Vec<Item>, StoreError> {
    thread_local! {
        // The clock is paused and jumps to the next timer when all tasks wait, so a deadline takes no time.
        static RUNTIME: RefCell<Runtime> =
            RefCell::new(Builder::new_current_thread().enable_time().start_paused(true).build().unwrap());
    }
    // A call without a token, or one that gets its token in the first answer.
    let access_key = (which & 0x80 != 0).then(|| Secret::new(SECRET));
    let settings = ClientSettings { deadline: Duration::from_secs(2), ..ClientSettings::new(17, 5, access_key) };
    let store = StatelyStore::new(Client::new(Script(Mutex::new(script.into())), settings));
    RUNTIME.with_borrow(|runtime| runtime.block_on(ask(&store, which & 0x7f)))
}

async fn ask(store: &StatelyStore<Script>, which: u8) -> Result<Vec<Item>, StoreError> {
    let web = || target("acme/web").id().clone();
    match which % 9 {
        0 => store.list(&Query::Fleet(web())).await,
        1 => store.list(&Query::Changes { subject: subject("acme/web"), after: Revision(7), limit: 3 }).await,
        2 => store.list(&Query::Notifications { subject: subject("acme/web"), limit: 4 }).await,
        3 => store.list(&Query::Outages { target: web(), runner: None }).await,
        4 => store.list(&Query::Targets).await,
        5 => store.get(&[Key::Watchlist, Key::Target(web())]).await,
        6 => store.put(&[Put::new(runner_item("acme/web", 7))]).await.map(|_| Vec::new()),
        7 => store.delete(&[Key::Target(web())]).await.map(|()| Vec::new()),
        // Directly through the client: the store skips item types that only a later release knows.
        _ => {
            let list = List { prefix: KeyPath::new().text("fleet", "acme/web"), limit: Some(2), ..List::default() };
            let items = store.client().list(&list).await;
            items
                .map(|items| assert!(items.len() <= 2, "more items than the limit"))
                .map_or(Ok(vec![]), |()| Ok(vec![]))
        }
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
