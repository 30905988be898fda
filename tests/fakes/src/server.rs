//! A server of HTTP/1.1 and HTTP/2 without TLS on a local port, around a function from request to answer.

use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::http::{Answer, Delivery, Request, parse_query};

/// The largest request body accepted, in bytes. No service behind this server documents a higher limit.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// A response as it is sent, whole or in pieces.
pub type Response = hyper::Response<UnsyncBoxBody<Bytes, CutOff>>;

/// A piece of a body, or the end of the connection.
pub type Piece = Result<Frame<Bytes>, CutOff>;

type Answering = Pin<Box<dyn Future<Output = Result<Response, CutOff>> + Send>>;
type Handler = dyn Fn(Request, Incoming) -> Answering + Send + Sync;

/// A running server; dropping it closes every connection.
pub struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts a server on 127.0.0.1 that answers whole requests; port 0 selects a free one.
    ///
    /// # Errors
    /// If the port is not free.
    pub async fn start(
        port: u16,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let handler = Arc::new(handler);
        let read_and_answer = move |request, body| {
            let handler = Arc::clone(&handler);
            answer_whole(request, body, move |request| ready(handler(&request)))
        };
        Self::start_streaming(port, read_and_answer).await
    }

    /// Starts a server that gets each request before its body has arrived.
    ///
    /// # Errors
    /// If the port is not free.
    pub async fn start_streaming<F: Future<Output = Result<Response, CutOff>> + Send + 'static>(
        port: u16,
        handler: impl Fn(Request, Incoming) -> F + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let handler: Arc<Handler> = Arc::new(move |request, body| Box::pin(handler(request, body)));
        let accepting = tokio::spawn(accept(listener, handler));
        Ok(Self { address, accepting })
    }

    /// The address, for example `http://127.0.0.1:40123`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The locked state of a fake. A test that panicked while it held the lock has already failed.
pub fn lock<State>(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, handler: Arc<Handler>) {
    let in_flight = Arc::new(AtomicUsize::new(0));
    // Dropped with this task, which also closes the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&handler), Arc::clone(&in_flight)));
                }
                // For example out of file descriptors: other connections get time to close theirs.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, handler: Arc<Handler>, in_flight: Arc<AtomicUsize>) {
    // A stream exchanges small frames.
    let _ = stream.set_nodelay(true);
    let mut start = [0; 3];
    let is_http2 = stream.peek(&mut start).await.is_ok() && start == *b"PRI";
    let reset = Arc::new(AtomicBool::new(false));
    let resets = Arc::clone(&reset);
    let service = service_fn(move |request| {
        let answering = answer_one(request, Arc::clone(&handler), InFlight::enter(&in_flight));
        let resets = Arc::clone(&resets);
        Box::pin(async move {
            let answered = answering.await;
            resets.fetch_or(matches!(answered, Err(CutOff::Reset)), Ordering::Relaxed);
            answered
        })
    });
    // How a connection ends does not matter to the server.
    if is_http2 {
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        return;
    }
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // The connection is polled by hand because a reset needs its socket, which only `into_parts` returns.
    let _ = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let stream = connection.into_parts().io.into_inner();
    if reset.load(Ordering::Relaxed) {
        // Closing a socket with zero linger sends RST; if setting it fails, the close is an ordinary one.
        let _ = stream.set_zero_linger();
    }
}

async fn answer_one(
    request: hyper::Request<Incoming>,
    handler: Arc<Handler>,
    in_flight: InFlight,
) -> Result<Response, CutOff> {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: parse_query(head.uri.query().unwrap_or_default()),
        headers: headers.collect(),
        body: Vec::new(),
        in_flight: in_flight.now,
    };
    handler(request, body).await
}

/// Answers a request once its whole body has arrived.
///
/// # Errors
/// If the answer is not to arrive.
pub async fn answer_whole<F: Future<Output = Answer>>(
    request: Request,
    body: Incoming,
    answer: impl FnOnce(Request) -> F,
) -> Result<Response, CutOff> {
    match Limited::new(body, MAX_REQUEST_BYTES).collect().await {
        Ok(body) => respond(answer(Request { body: body.to_bytes().to_vec(), ..request }).await).await,
        Err(_) => respond(Answer::new(413, "text/plain", "the request is too large")).await,
    }
}

/// Delivers an answer as it asks for.
///
/// # Errors
/// If the answer is not to arrive.
pub async fn respond(answer: Answer) -> Result<Response, CutOff> {
    if answer.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let body = Bytes::from(answer.body);
    let body = match answer.delivery {
        Delivery::Never => std::future::pending().await,
        Delivery::Closed => return Err(CutOff::Closed),
        Delivery::Reset => return Err(CutOff::Reset),
        Delivery::CutAfter(bytes) => {
            response = response.header("content-length", body.len());
            let first = Ok(Frame::data(body.slice(..bytes.min(body.len()))));
            // A failed body drops what is still buffered, so the first part gets time to be sent.
            let later = stream::once(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(CutOff::Closed)
            });
            pieces(stream::iter([first]).chain(later))
        }
        Delivery::Whole if answer.trailers.is_empty() => {
            Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
        }
        Delivery::Whole => {
            // An empty piece before the trailers breaks a connection of HTTP/2.
            let data = (!body.is_empty()).then(|| Ok(Frame::data(body)));
            pieces(stream::iter(data.into_iter().chain([Ok(trailers(&answer.trailers))])))
        }
    };
    response.body(body).map_err(|_| CutOff::Closed)
}

/// A body that is sent piece by piece.
pub fn pieces(pieces: impl Stream<Item = Piece> + Send + 'static) -> UnsyncBoxBody<Bytes, CutOff> {
    StreamBody::new(pieces).boxed_unsync()
}

/// The last piece of a body that has trailers.
pub fn trailers(given: &[(String, String)]) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    for (name, value) in given {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            trailers.insert(name, value);
        }
    }
    Frame::trailers(trailers)
}

/// Ends a connection in the middle of a request or an answer.
#[derive(Clone, Copy, Debug)]
pub enum CutOff {
    /// The connection is closed normally.
    Closed,
    /// The connection is reset (TCP RST).
    Reset,
}

impl std::fmt::Display for CutOff {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the fake ends this connection on purpose")
    }
}

impl std::error::Error for CutOff {}

/// A request in flight, counted until this is dropped.
struct InFlight {
    count: Arc<AtomicUsize>,
    now: usize,
}

impl InFlight {
    fn enter(count: &Arc<AtomicUsize>) -> Self {
        Self { count: Arc::clone(count), now: count.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The wall clock, in epoch milliseconds.
#[allow(clippy::disallowed_methods, reason = "the fakes have their own clock, separate from the product's")]
pub fn wall_clock_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
