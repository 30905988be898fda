//! The server over a port: both versions of HTTP, both codecs of Connect, errors and tokens.

use std::time::Duration;

use monitor_stately::wire::{GetAuthTokenRequest, GetAuthTokenResponse, Identity, path};
use monitor_stately_server::{Method, Request, State, StatelyServer};
use prost::Message;
use reqwest::Response;
use serde_json::{Value as Json, json};

use crate::support::{
    code_of, framed, frames, item, list_request, listed, product, put_request, request, to_json, unary,
};

fn client(http2: bool) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy();
    let builder = if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
    builder.build().unwrap()
}

async fn post(
    client: &reqwest::Client,
    server: &StatelyServer,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
) -> Response {
    let url = format!("{}{path}", server.base_url());
    client.post(url).header("content-type", content_type).body(body).send().await.unwrap()
}

fn last_seen(repo_id: &str) -> monitor_stately::wire::Item {
    item("LastSeen", json!({ "repoId": repo_id, "slot": "1", "seenAt": "1800000000007" }))
}

async fn started() -> StatelyServer {
    StatelyServer::start_with(0, product()).await.unwrap()
}

#[tokio::test]
async fn protobuf_works_over_both_versions_of_http() {
    let server = started().await;
    for (http2, version) in [(false, reqwest::Version::HTTP_11), (true, reqwest::Version::HTTP_2)] {
        let client = client(http2);
        let body = put_request(1, [last_seen("acme/web")]).encode_to_vec();
        let answer = post(&client, &server, path::PUT, "application/proto", body).await;
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        assert_eq!(answer.headers()["content-type"], "application/proto");
        let body = framed(&list_request(1, "/fleet-acme%/web").encode_to_vec());
        let answer = post(&client, &server, path::BEGIN_LIST, "application/connect+proto", body).await;
        assert_eq!(answer.headers()["content-type"], "application/connect+proto");
        let body = answer.bytes().await.unwrap();
        assert_eq!(frames(&body).iter().map(|(flags, _)| *flags).collect::<Vec<_>>(), [0, 0, 2]);
    }
}

#[tokio::test]
async fn json_works_unary_and_streamed() {
    let server = started().await;
    let client = client(false);
    let fields = json!({ "repoId": "acme/web", "slot": 1, "seenAt": 1_800_000_000_007_i64 });
    let put = json!({
        "storeId": "1", "schemaVersionId": 1,
        "puts": [{ "item": { "itemType": "LastSeen", "json": fields }, "mustNotExist": true }],
    });
    let answer = post(&client, &server, path::PUT, "application/json", put.to_string().into_bytes()).await;
    assert_eq!(answer.status(), 200);
    let stored: Json = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert!(stored["items"][0]["proto"].is_string(), "{stored}");
    let again = post(&client, &server, path::PUT, "application/json", put.to_string().into_bytes()).await;
    assert_eq!(again.status(), 400);
    let error: Json = serde_json::from_slice(&again.bytes().await.unwrap()).unwrap();
    assert_eq!(
        (error["code"].clone(), code_of(&error)),
        (json!("failed_precondition"), "ConditionalCheckFailed".to_owned())
    );

    let list = json!({
        "storeId": "1", "schemaVersionId": 1, "keyPathPrefix": "/fleet-acme%/web", "sortDirection": "SORT_DESCENDING",
        "filterConditions": [{ "itemType": "LastSeen" }],
    });
    let url = format!("{}{}", server.base_url(), path::BEGIN_LIST);
    let body = framed(list.to_string().as_bytes());
    let posted =
        client.post(url).header("content-type", "application/connect+json").header("sc-rf", "application/json");
    let answer = posted.body(body).send().await.unwrap().bytes().await.unwrap();
    let messages: Vec<Json> =
        frames(&answer).iter().map(|(_, message)| serde_json::from_slice(message).unwrap()).collect();
    let read = &messages[0]["result"]["items"][0];
    assert_eq!(read["json"], json!({ "repoId": "acme/web", "slot": "1", "seenAt": "1800000000007" }));
    assert_eq!(messages[1]["finished"]["token"]["schemaVersionId"], 1);
    assert_eq!(messages[2], json!({}));
}

#[tokio::test]
async fn unsupported_requests_are_refused() {
    let server = started().await;
    let client = client(false);
    let status = async |path: &str, content_type: &str| {
        post(&client, &server, path, content_type, Vec::new()).await.status().as_u16()
    };
    assert_eq!(status(path::PUT, "text/plain").await, 415);
    assert_eq!(status(path::PUT, "application/connect+proto").await, 415);
    assert_eq!(status(path::BEGIN_LIST, "application/proto").await, 415);
    assert_eq!(status("/stately.db.DatabaseService/SyncList", "application/proto").await, 501);
    assert_eq!(status(path::PUT, "application/proto").await, 400);
    assert_eq!(client.get(format!("{}{}", server.base_url(), path::PUT)).send().await.unwrap().status(), 405);
    let health = client.get(format!("{}/health", server.base_url())).send().await.unwrap();
    assert_eq!((health.status().as_u16(), health.text().await.unwrap()), (200, "ok".to_owned()));
}

#[test]
fn an_invalid_body_is_refused_in_every_protocol() {
    let mut state = product();
    let bodies: [&[u8]; 6] = [b"", b"\x00\x00\x00\x00\x09", b"\x01\x00\x00\x00\x00", b"\xff\xff", b"{", b"[1]"];
    for content_type in [
        "application/proto",
        "application/json",
        "application/connect+proto",
        "application/connect+json",
        "application/grpc",
    ] {
        for body in bodies {
            for path in [path::PUT, path::GET, path::BEGIN_LIST, path::CONTINUE_LIST, path::GET_AUTH_TOKEN] {
                let mut request = Request { path: path.to_owned(), body: body.to_vec(), ..Request::default() };
                request.headers.insert("content-type".to_owned(), content_type.to_owned());
                let answer = state.handle(&request);
                let refused = answer.status >= 400
                    || answer.body.windows(7).any(|part| part == b"\"error\"")
                    || answer.trailers.iter().any(|(name, value)| name == "grpc-status" && value != "0");
                assert!(refused, "{content_type} {path} {body:?}: {answer:?}");
            }
        }
    }
}

#[test]
fn grpc_returns_the_result_in_trailers() {
    let mut state = product();
    let mut put = |must_not_exist: bool| {
        let mut message = put_request(1, [last_seen("acme/web")]);
        message.puts[0].must_not_exist = must_not_exist;
        let mut request = Request { path: path::PUT.to_owned(), ..Request::default() };
        request.headers.insert("content-type".to_owned(), "application/grpc+proto".to_owned());
        request.body = framed(&message.encode_to_vec());
        state.handle(&request)
    };
    let stored = put(false);
    assert_eq!((stored.status, frames(&stored.body).len()), (200, 1));
    assert_eq!(stored.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
    let refused = put(true);
    assert!(refused.body.is_empty());
    let names: Vec<&str> = refused.trailers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["grpc-status", "grpc-message", "grpc-status-details-bin"]);
    assert_eq!(refused.trailers[0].1, "9");
    assert_eq!(refused.trailers[1].1, "(FailedPrecondition/ConditionalCheckFailed)");
}

fn token(state: &mut State, access_key: &str) -> Result<GetAuthTokenResponse, String> {
    let identity = Some(Identity::AccessKey(access_key.to_owned()));
    unary(&state.handle(&request(path::GET_AUTH_TOKEN, &GetAuthTokenRequest { identity })))
}

#[test]
fn only_a_valid_token_is_accepted() {
    let (settings, hand) = crate::support::by_hand();
    let mut state = State::new(monitor_stately_server::Schema::product(), settings);
    state.settings.access_key = Some("right".to_owned());
    state.settings.token_life_secs = 60;
    assert_eq!(token(&mut state, "wrong").err().unwrap(), "Unauthenticated");
    assert_eq!(token(&mut state, "").err().unwrap(), "InvalidArgument");
    let given = token(&mut state, "right").unwrap();
    assert_eq!(given.expires_in_s, 60);
    let asked = |state: &mut State, token: Option<&str>| {
        let mut request = request(path::BEGIN_LIST, &list_request(1, "/fleet-acme%/web"));
        if let Some(token) = token {
            request.headers.insert("authorization".to_owned(), format!("Bearer {token}"));
        }
        listed(&state.handle(&request)).map(|_| ())
    };
    assert_eq!(asked(&mut state, None).unwrap_err(), "Unauthenticated");
    assert_eq!(asked(&mut state, Some("another")).unwrap_err(), "Unauthenticated");
    assert_eq!(asked(&mut state, Some(&given.auth_token)), Ok(()));
    hand.advance_secs(60);
    assert_eq!(asked(&mut state, Some(&given.auth_token)).unwrap_err(), "Unauthenticated");
    let next = token(&mut state, "right").unwrap();
    assert_ne!(next.auth_token, given.auth_token);
    state.revoke_tokens();
    assert_eq!(asked(&mut state, Some(&next.auth_token)).unwrap_err(), "Unauthenticated");
    assert_eq!((state.count(Method::GetAuthToken), state.count(Method::BeginList)), (4, 5));
}

#[test]
fn items_are_returned_as_json_on_request() {
    let mut state = product();
    let mut asked = request(path::PUT, &put_request(1, [last_seen("acme/web")]));
    asked.headers.insert("sc-rf".to_owned(), "application/json".to_owned());
    let stored: monitor_stately::wire::PutResponse = unary(&state.handle(&asked)).unwrap();
    let Some(monitor_stately::wire::Payload::Json(fields)) = &stored.items[0].payload else { panic!("as protobuf") };
    assert_eq!(to_json(fields), json!({ "repoId": "acme/web", "slot": "1", "seenAt": "1800000000007" }));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Any corrupt request is answered: nothing panics, and every stored item can be read again.
    #[test]
    fn a_request_with_altered_bytes_is_answered(
        edits in proptest::collection::vec((0_usize..400, proptest::prelude::any::<u8>()), 1..6),
        cut in 0_usize..400,
        path in proptest::sample::select(vec![path::PUT, path::GET, path::DELETE, path::BEGIN_LIST, path::CONTINUE_LIST]),
        as_json in proptest::prelude::any::<bool>(),
    ) {
        let mut state = product();
        let runner = json!({ "repoId": "acme/web", "runnerId": "7", "status": 5, "labels": ["a", "b"], "busy": true });
        let stored: monitor_stately::wire::PutResponse =
            unary(&state.handle(&request(path::PUT, &put_request(1, [item("Runner", runner)])))).unwrap();
        let mut body = put_request(1, stored.items).encode_to_vec();
        for (place, byte) in edits {
            let place = place % body.len();
            body[place] = byte;
        }
        body.truncate(cut.max(1));
        let mut request = request(path, &());
        request.body = if request.headers["content-type"].contains("connect") { framed(&body) } else { body };
        if as_json {
            request.headers.insert("sc-rf".to_owned(), "application/json".to_owned());
        }
        state.handle(&request);
        let all = crate::support::request(path::BEGIN_LIST, &list_request(1, "/repo-acme%/web"));
        proptest::prop_assert!(listed(&state.handle(&all)).is_ok());
    }
}
