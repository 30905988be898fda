//! Certificates and proxies set in the environment.

use std::net::TcpListener;

use crate::Bench;

#[tokio::test]
async fn certificates_that_cannot_be_read_are_named_with_the_variable_and_the_fix() {
    let bench = Bench::new().await;
    let empty = bench.folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (file, reason) in [
        ("/nowhere/ca.pem", "cannot be read (No such file"),
        (empty.to_str().unwrap(), "holds no certificate"),
        ("", "is set but empty"),
    ] {
        let (code, said) = bench.check(&[("SSL_CERT_FILE", file)]).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("SSL_CERT_FILE") && said.contains(file) && said.contains(reason), "{said}");
        assert!(said.contains("name a PEM file with the CA certificates to trust"), "{said}");
        assert!(!said.contains("builder error"), "{said}");
    }
}

#[tokio::test]
async fn requests_to_this_machine_go_through_no_proxy() {
    let bench = Bench::new().await;
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let (code, said) = bench.check(&[("HTTP_PROXY", &address), ("ALL_PROXY", &address)]).await;
    assert_eq!(code, Some(1), "one runner is offline: {said}");
    assert!(proxy.accept().is_err(), "the proxy was asked");
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_named() {
    let bench = Bench::new().await;
    // Nothing listens on this port any more.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let proxy = format!("http://me:hush@127.0.0.1:{port}");
    let github = ("GITHUB_API_URL", "https://ghes.invalid/api/v3");
    let (code, said) = bench.check(&[github, ("HTTPS_PROXY", &proxy)]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("no connection to ghes.invalid through the proxy 127.0.0.1:{port}")), "{said}");
    assert!(!said.contains("hush"), "{said}");
    // With this host and port in NO_PROXY, the proxy is not used.
    let (_, said) = bench.check(&[github, ("HTTPS_PROXY", &proxy), ("NO_PROXY", "ghes.invalid:443")]).await;
    assert!(said.contains("no connection to ghes.invalid: "), "{said}");
}
