//! Serves the state on a port over HTTP/1.1 and HTTP/2 without TLS.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use monitor_stately::wire::path;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::answer::{Answer, Delivery, Request};
use crate::bidi;
use crate::schema::Schema;
use crate::state::{Settings, State};

/// The largest accepted request body, in bytes. StatelyDB's limit is not known; DynamoDB takes 4 MB per transaction.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// A running server. Dropping it ends the server and all connections.
pub struct StatelyServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

impl StatelyServer {
    /// Starts a server with the monitor's schema on a free port of 127.0.0.1.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_with(0, State::new(Schema::product(), Settings::default())).await
    }

    /// Starts a server around a state; port 0 takes a free one.
    pub async fn start_with(port: u16, state: State) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(state));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, accepting })
    }

    /// The server's URL, for example `http://127.0.0.1:3030`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The server's state. No request is answered while the guard is held.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for StatelyServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

pub(crate) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A test that panicked while it held the state has already failed.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    // Dropped with this task, which also ends the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&state)));
                }
                // Possibly out of file descriptors: give other connections time to close.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    // A transaction exchanges small frames.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| Box::pin(answer_one(request, Arc::clone(&state))));
    // How a connection ends does not matter to the server.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer_one(
    request: hyper::Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<hyper::Response<SentBody>, CutOff> {
    let (head, body) = request.into_parts();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let mut request = Request { path: head.uri.path().to_owned(), headers: headers.collect(), body: Vec::new() };
    if request.path == "/health" {
        return deliver(Answer::new(200, "text/plain", b"ok".to_vec())).await;
    }
    if head.method != hyper::Method::POST {
        return deliver(Answer::new(405, "text/plain", b"only POST is served".to_vec())).await;
    }
    if request.path == path::TRANSACTION {
        return match bidi::open(&request, &state) {
            Ok(stream) => {
                let (sender, receiver) = mpsc::channel(16);
                let response = hyper::Response::builder().header("content-type", stream.content_type());
                tokio::spawn(stream.run(body, state, sender));
                response.body(SentBody(receiver)).map_err(|_| CutOff)
            }
            Err(answer) => deliver(answer).await,
        };
    }
    let Ok(read) = Limited::new(body, MAX_REQUEST_BYTES).collect().await else {
        return deliver(Answer::new(413, "text/plain", b"the request is too large".to_vec())).await;
    };
    request.body = read.to_bytes().to_vec();
    let answer = lock(&state).handle(&request);
    deliver(answer).await
}

async fn deliver(answer: Answer) -> Result<hyper::Response<SentBody>, CutOff> {
    if answer.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    let mut body = Bytes::from(answer.body);
    match answer.delivery {
        Delivery::Never => std::future::pending().await,
        Delivery::Closed => return Err(CutOff),
        Delivery::CutAfter(bytes) => body.truncate(bytes),
        Delivery::Whole => {}
    }
    let (sender, receiver) = mpsc::channel(4);
    // The channel has room for every piece. Repeated empty pieces before the last one break a connection.
    if !body.is_empty() {
        let _ = sender.try_send(Ok(Frame::data(body)));
    }
    if answer.delivery != Delivery::Whole {
        // A failed body drops what is still buffered, so give the first part time to be sent.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = sender.send(Err(CutOff)).await;
        });
    } else if !answer.trailers.is_empty() {
        let _ = sender.try_send(Ok(trailers(&answer.trailers)));
    }
    let response = hyper::Response::builder().status(answer.status).header("content-type", answer.content_type);
    response.body(SentBody(receiver)).map_err(|_| CutOff)
}

pub(crate) fn trailers(given: &[(String, String)]) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    for (name, value) in given {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            trailers.insert(name, value);
        }
    }
    Frame::trailers(trailers)
}

/// A piece of a body, or the connection's end.
pub(crate) type Piece = Result<Frame<Bytes>, CutOff>;

/// A body that is sent piece by piece.
pub(crate) struct SentBody(mpsc::Receiver<Piece>);

impl Body for SentBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(context)
    }
}

/// Ends a connection in the middle of a request or response.
#[derive(Debug)]
pub(crate) struct CutOff;

impl std::fmt::Display for CutOff {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the server ends this connection on purpose")
    }
}

impl std::error::Error for CutOff {}
