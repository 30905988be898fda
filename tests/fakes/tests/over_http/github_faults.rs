//! Each fault, as the client sees it.

use std::time::Duration;

use monitor_fakes::github::{Endpoint, Fault, Strikes};

use crate::client::{World, header, send};

const WEB: &str = "/repos/acme/web/actions/runners";

async fn faulty(fault: Fault) -> World {
    let world = World::start().await;
    world.add_runners("acme/web", 3);
    world.github.state().fault(fault, Strikes::next(1).target("acme/web"));
    world
}

#[tokio::test]
async fn a_status_comes_with_json_or_with_a_page() {
    for status in [500, 502, 503] {
        let world = faulty(Fault::Status(status)).await;
        let (answered, body) = world.ask(WEB).await;
        assert_eq!(answered, status);
        assert_eq!(body["status"], status.to_string());
        assert_eq!(world.ask(WEB).await.0, 200, "one fault, one answer");
    }
    let world = faulty(Fault::StatusHtml(502)).await;
    let response = send(world.get(WEB)).await;
    assert_eq!((response.status().as_u16(), header(&response, "content-type").as_str()), (502, "text/html"));
}

#[tokio::test]
async fn a_body_may_be_anything() {
    let world = faulty(Fault::HtmlPage).await;
    let response = send(world.get(WEB)).await;
    assert_eq!(response.status(), 200);
    assert!(response.text().await.expect("text").contains("<html>"));

    let world = faulty(Fault::Rubbish).await;
    let response = send(world.get(WEB)).await;
    assert!(header(&response, "content-type").starts_with("application/json"));
    assert_eq!(response.bytes().await.expect("bytes").len(), 3 * 1024 * 1024);

    let world = faulty(Fault::WrongShape).await;
    let (status, body) = world.ask(WEB).await;
    assert_eq!(status, 200);
    assert!(!body["runners"].is_array());

    let world = faulty(Fault::BrokenJson).await;
    let body = send(world.get(WEB)).await.bytes().await.expect("a whole body");
    let fault = serde_json::from_slice::<serde_json::Value>(&body).expect_err("it breaks off");
    assert!(fault.is_eof());
}

#[tokio::test]
async fn a_cut_off_body_is_a_failed_transfer_even_if_a_304_was_due() {
    let world = faulty(Fault::Status(500)).await;
    send(world.get(WEB)).await;
    let etag = header(&send(world.get(WEB)).await, "etag");
    world.github.state().fault(Fault::CutOff, Strikes::next(1));
    let response = send(world.get(WEB).header("if-none-match", etag)).await;
    assert_eq!(response.status(), 200);
    assert!(response.content_length().is_some_and(|length| length > 100));
    response.bytes().await.expect_err("the second half is missing");
    assert_eq!(world.github.state().counters().unanswered, 1);
    assert_eq!(world.ask(WEB).await.0, 200);
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_gives_up() {
    let world = faulty(Fault::Hang).await;
    let request = world.get(WEB).timeout(Duration::from_millis(200));
    let error = request.send().await.expect_err("no answer");
    assert!(error.is_timeout(), "{error:?}");
}

#[tokio::test]
async fn a_reset_is_a_tcp_reset() {
    let world = faulty(Fault::Reset).await;
    // Read from the socket, because HTTP clients report a reset and a closed connection differently.
    let address = world.github.base_url();
    let address = address.strip_prefix("http://").expect("plain HTTP");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let head = format!("GET {WEB} HTTP/1.1\r\nhost: fake\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let error = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
    let error = error.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(world.ask(WEB).await.0, 200);
}

#[tokio::test]
async fn a_slow_answer_is_the_normal_one() {
    let world = faulty(Fault::Slow(150)).await;
    world.github.state().latency_ms = 100;
    let asked = tokio::time::Instant::now();
    assert_eq!(world.names(WEB).await.len(), 3);
    assert!(asked.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn permanent_faults_apply_until_they_are_cleared() {
    let world = World::start().await;
    world.github.state().fault(Fault::Status(503), Strikes::always().endpoint(Endpoint::ListRepositories));
    for _ in 0..3 {
        assert_eq!(world.ask("/orgs/acme/repos").await.0, 503);
        assert_eq!(world.ask(WEB).await.0, 200);
    }
    world.github.state().clear_faults();
    assert_eq!(world.ask("/orgs/acme/repos").await.0, 200);
    assert_eq!(world.github.state().counters().by_error_status.get(&503), Some(&3));
    world.github.state().reset_counters();
    assert_eq!(world.github.state().counters().requests, 0);
}

#[tokio::test]
async fn a_dropped_fake_stops() {
    let world = World::start().await;
    let url = format!("{}{WEB}", world.github.base_url());
    drop(world.github);
    let gone = async || world.client.get(&url).send().await.is_err();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while !gone().await {
        assert!(tokio::time::Instant::now() < deadline, "it still answers");
    }
}
