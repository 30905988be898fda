//! An HTTP/2 proxy with TLS in front of the fake GitHub, whose connections can be stalled.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A self-signed certificate for 127.0.0.1, valid until 2126.
const CERTIFICATE: &str = include_str!("front.pem");
const KEY: &str = include_str!("front-key.pem");

/// Accepts only HTTP/2 over TLS, as GitHub does, and forwards to a server without TLS.
pub(crate) struct Front {
    pub(crate) url: String,
    /// The certificate's file, for `SSL_CERT_FILE`.
    pub(crate) certificate: PathBuf,
    connections: Arc<AtomicUsize>,
    /// Connections with a smaller number are stalled.
    stalled_below: Arc<Mutex<usize>>,
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
        let connections = Arc::<AtomicUsize>::default();
        let stalled_below = Arc::<Mutex<usize>>::default();
        let this = Self { url, certificate, connections: connections.clone(), stalled_below: stalled_below.clone() };
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let stream = Stalling { stream, number, stalled_below: stalled_below.clone() };
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
        *self.stalled_below.lock().unwrap_or_else(PoisonError::into_inner) = self.connections();
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
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

/// A stream that is no longer read or written once it is stalled.
struct Stalling {
    stream: TcpStream,
    number: usize,
    stalled_below: Arc<Mutex<usize>>,
}

impl Stalling {
    fn stream(&mut self) -> Poll<Pin<&mut TcpStream>> {
        let stalled_below = *self.stalled_below.lock().unwrap_or_else(PoisonError::into_inner);
        if self.number < stalled_below { Poll::Pending } else { Poll::Ready(Pin::new(&mut self.stream)) }
    }
}

impl AsyncRead for Stalling {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        std::task::ready!(self.stream()).poll_read(cx, into)
    }
}

impl AsyncWrite for Stalling {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<std::io::Result<usize>> {
        std::task::ready!(self.stream()).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        std::task::ready!(self.stream()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        std::task::ready!(self.stream()).poll_shutdown(cx)
    }
}
