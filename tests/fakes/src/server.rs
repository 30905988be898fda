//! An HTTP/1.1 server on a local port, around a function from request to answer.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::http::{Answer, Delivery, Request, parse_query};

/// The largest request body accepted, in bytes.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// A running server; dropping it closes every connection.
pub(crate) struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts a server on 127.0.0.1; port 0 selects a free one.
    pub(crate) async fn start(
        port: u16,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, Arc::new(handler)));
        Ok(Self { address, accepting })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
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
    let reset = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        Box::pin(answer_one(request, Arc::clone(&handler), InFlight::enter(&in_flight), Arc::clone(&reset)))
    });
    let mut connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
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
    reset: Arc<AtomicBool>,
) -> Result<hyper::Response<SentBody>, CutOff> {
    let request = read(request, in_flight.now).await?;
    let answer = handler(&request);
    if answer.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    match answer.delivery {
        Delivery::Never => std::future::pending::<()>().await,
        Delivery::Closed => return Err(CutOff),
        Delivery::Reset => {
            reset.store(true, Ordering::Relaxed);
            return Err(CutOff);
        }
        Delivery::Whole | Delivery::CutAfter(_) => {}
    }
    drop(in_flight);
    respond(answer)
}

async fn read(request: hyper::Request<Incoming>, in_flight: usize) -> Result<Request, CutOff> {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let body = Limited::new(body, MAX_REQUEST_BYTES).collect().await;
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: parse_query(head.uri.query().unwrap_or_default()),
        headers: headers.collect(),
        body: body.map_err(|_| CutOff)?.to_bytes().to_vec(),
        in_flight,
    })
}

fn respond(answer: Answer) -> Result<hyper::Response<SentBody>, CutOff> {
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let mut body = answer.body;
    let cut = match answer.delivery {
        Delivery::CutAfter(bytes) => {
            response = response.header("content-length", body.len());
            body.truncate(bytes);
            true
        }
        _ => false,
    };
    let body = SentBody { rest: Bytes::from(body), cut, flushed: false };
    response.body(body).map_err(|_| CutOff)
}

/// A body in one piece. One that is to be cut fails after it, and hyper then closes the connection.
struct SentBody {
    rest: Bytes,
    cut: bool,
    flushed: bool,
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        if !self.cut {
            return Poll::Ready(None);
        }
        // A failed body drops what hyper still buffers, so the first part gets one more poll to be sent.
        if !self.flushed {
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(CutOff)))
    }

    fn is_end_stream(&self) -> bool {
        !self.cut && self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.cut {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// The error that ends a connection in the middle of a request or an answer.
#[derive(Debug)]
struct CutOff;

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
