//! An HTTP/2 proxy with TLS in front of the fake GitHub, whose connections can be stalled.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use monitor_fakes::Stalling;
use monitor_fakes::server::lock;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A self-signed certificate for 127.0.0.1, valid until 2126.
const CERTIFICATE: &str = include_str!("front.pem");
const KEY: &str = include_str!("front-key.pem");

/// Accepts only HTTP/2 over TLS, as GitHub does, and forwards to a server without TLS.
pub(crate) struct Front {
    pub(crate) url: String,
    /// The certificate's file, for `SSL_CERT_FILE`.
    pub(crate) certificate: PathBuf,
    /// Whether each connection is stalled.
    connections: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
}

impl Front {
    pub(crate) async fn start(behind: String, folder: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let own = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
        let config = ServerConfig::builder().with_no_client_auth();
        let mut config = config.with_single_cert(vec![own], key).expect("a certificate");
        let certificate = folder.join("front.pem");
        std::fs::write(&certificate, CERTIFICATE).expect("a file");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let connections = Arc::<Mutex<Vec<Arc<AtomicBool>>>>::default();
        let this = Self { url, certificate, connections: connections.clone() };
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let is_stalled = Arc::<AtomicBool>::default();
                lock(&connections).push(is_stalled.clone());
                let stream = Stalling::new(stream, is_stalled);
                let (acceptor, client, behind) = (acceptor.clone(), client.clone(), behind.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| forward(client.clone(), behind.clone(), request));
                    let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = http2.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        this
    }

    /// Stalls all open connections: the kernel acknowledges what arrives, but nothing reads it.
    pub(crate) fn stall(&self) {
        lock(&self.connections).iter().for_each(|is_stalled| is_stalled.store(true, Ordering::SeqCst));
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.connections).len()
    }
}

async fn forward(
    client: reqwest::Client,
    behind: String,
    request: hyper::Request<Incoming>,
) -> anyhow::Result<hyper::Response<Full<Bytes>>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut forwarded = client.request(request.method().clone(), format!("{behind}{path}"));
    for (name, value) in request.headers() {
        forwarded = forwarded.header(name, value);
    }
    let answer = forwarded.body(request.into_body().collect().await?.to_bytes()).send().await?;
    let mut response = hyper::Response::builder().status(answer.status());
    let of_connection = ["connection", "content-length", "transfer-encoding"];
    for (name, value) in answer.headers().iter().filter(|(name, _)| !of_connection.contains(&name.as_str())) {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(answer.bytes().await?))?)
}
