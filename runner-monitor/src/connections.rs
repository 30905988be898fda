//! Connections from untrusted clients: bounded in number, in time and in memory.
//!
//! Each connection carries one request. If too many requests are incomplete, or hold too many bytes, the oldest one is
//! dropped: a request from Slack is complete within milliseconds, an attacker's is not.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{error, warn};

/// The most incomplete requests at a time: far below the 1,024 descriptors that a process has by default.
const MAX_INCOMPLETE: usize = 64;
/// The most bytes that the bodies of all incomplete requests may hold together.
const MAX_HELD_BYTES: usize = 4 * 1024 * 1024;
/// The largest head of a request. Slack's has less than 1 KiB; a proxy adds to it.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Time limit from the start of a connection to the end of its request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Time limit from the end of the head to the end of the body.
const BODY_WITHIN: Duration = Duration::from_secs(5);
/// Time limit for a whole connection.
const CONNECTION_WITHIN: Duration = Duration::from_secs(15);
/// Time limit for answers in progress, counted from the stop signal.
const FINISH_WITHIN: Duration = Duration::from_secs(3);
/// How often dropped requests are logged.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// The pause after a failure to accept: descriptors may become free.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// The answer to a request.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than the caller allows.
    TooLarge,
    /// It did not arrive within [`BODY_WITHIN`].
    TooSlow,
    /// The connection broke.
    Broken,
}

/// Incomplete requests, oldest first.
#[derive(Default)]
struct Incomplete {
    last: u64,
    requests: BTreeMap<u64, Held>,
    bytes: usize,
    dropped: u64,
}

/// An incomplete request: its connection and the bytes read so far.
struct Held {
    connection: AbortHandle,
    bytes: usize,
}

impl Incomplete {
    fn admit(&mut self, number: u64, connection: AbortHandle) {
        while self.requests.len() >= MAX_INCOMPLETE && self.drop_oldest() {}
        self.requests.insert(number, Held { connection, bytes: 0 });
    }

    fn grow(&mut self, number: u64, bytes: usize) {
        if let Some(held) = self.requests.get_mut(&number) {
            held.bytes += bytes;
            self.bytes += bytes;
        }
        while self.bytes > MAX_HELD_BYTES && self.drop_oldest() {}
    }

    fn remove(&mut self, number: u64) {
        if let Some(held) = self.requests.remove(&number) {
            self.bytes -= held.bytes;
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((_, held)) = self.requests.pop_first() else { return false };
        self.bytes -= held.bytes;
        self.dropped += 1;
        held.connection.abort();
        true
    }
}

/// One request's entry among the incomplete ones; dropping it removes the entry.
pub(crate) struct Place {
    number: u64,
    incomplete: Arc<Mutex<Incomplete>>,
}

impl Place {
    /// Reads a body of at most `max_bytes`.
    pub(crate) async fn read_body(&self, mut body: Incoming, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
        let reading = async {
            let mut read = Vec::new();
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
                if read.len() + data.len() > max_bytes {
                    return Err(BodyError::TooLarge);
                }
                lock(&self.incomplete).grow(self.number, data.len());
                read.extend_from_slice(&data);
            }
            Ok(read)
        };
        timeout(BODY_WITHIN, reading).await.unwrap_or(Err(BodyError::TooSlow))
    }

    /// Marks the request as complete: it is no longer dropped in favour of others.
    pub(crate) fn complete(&self) {
        lock(&self.incomplete).remove(self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.complete();
    }
}

fn lock(incomplete: &Mutex<Incomplete>) -> MutexGuard<'_, Incomplete> {
    incomplete.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers requests until `stop` turns true, then drops incomplete ones and lets answers in progress end within
/// [`FINISH_WITHIN`]. `every_minute` is called every [`REPORT_EVERY`], and at the end.
pub(crate) async fn serve<Answering: Future<Output = Answer> + Send + 'static>(
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
    answer: impl Fn(Request<Incoming>, Arc<Place>) -> Answering + Clone + Send + Sync + 'static,
    every_minute: impl Fn(),
) {
    let incomplete = Arc::new(Mutex::new(Incomplete::default()));
    let mut connections = JoinSet::new();
    let mut minute = interval(REPORT_EVERY);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = is_true(&mut stop) => break,
            _ = minute.tick() => {
                report_dropped(&incomplete);
                every_minute();
            }
            Some(ended) = connections.join_next() => report_panic(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let mut admitting = lock(&incomplete);
                    admitting.last += 1;
                    let place = Arc::new(Place { number: admitting.last, incomplete: incomplete.clone() });
                    let number = place.number;
                    // Under the lock: the connection's task may start at once and use its entry.
                    let connection = connections.spawn(converse(stream, place, answer.clone()));
                    admitting.admit(number, connection);
                }
                Err(error) => {
                    warn!(%error, "a connection was not accepted");
                    sleep(ACCEPT_AGAIN).await;
                }
            },
        }
    }
    drop(listener);
    report_dropped(&incomplete);
    while lock(&incomplete).drop_oldest() {}
    let ending = async {
        while let Some(ended) = connections.join_next().await {
            report_panic(ended);
        }
    };
    let _ = timeout(FINISH_WITHIN, ending).await;
    every_minute();
}

/// Waits until `stop` turns true or its sender is gone.
async fn is_true(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Serves one connection. Errors of the connection itself are ignored: the client is untrusted.
async fn converse<Answering: Future<Output = Answer> + Send + 'static>(
    stream: TcpStream,
    place: Arc<Place>,
    answer: impl Fn(Request<Incoming>, Arc<Place>) -> Answering,
) {
    let service = service_fn(|request| {
        let answering = answer(request, place.clone());
        async { Ok::<_, Infallible>(answering.await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(MAX_HEAD_BYTES).keep_alive(false);
    let _ = timeout(CONNECTION_WITHIN, http.serve_connection(TokioIo::new(stream), service)).await;
}

fn report_dropped(incomplete: &Mutex<Incomplete>) {
    let dropped = std::mem::take(&mut lock(incomplete).dropped);
    if dropped > 0 {
        warn!(count = dropped, "incomplete requests were dropped: there were too many at once");
    }
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(%error, "answering a request from Slack panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> AbortHandle {
        tokio::spawn(std::future::pending::<()>()).abort_handle()
    }

    #[tokio::test]
    async fn a_complete_request_no_longer_counts_towards_the_limits() {
        let mut incomplete = Incomplete::default();
        for number in 1..=4 {
            incomplete.admit(number, connection());
            incomplete.grow(number, MAX_HELD_BYTES / 2);
            incomplete.remove(number);
        }
        assert_eq!((incomplete.requests.len(), incomplete.bytes, incomplete.dropped), (0, 0, 0));
    }

    #[tokio::test]
    async fn the_oldest_request_is_dropped_when_there_are_too_many_requests_or_bytes() {
        let mut incomplete = Incomplete::default();
        let first = connection();
        incomplete.admit(0, first.clone());
        for number in 1..=u64::try_from(MAX_INCOMPLETE).unwrap() {
            incomplete.admit(number, connection());
        }
        assert_eq!((incomplete.requests.len(), incomplete.dropped), (MAX_INCOMPLETE, 1));
        tokio::task::yield_now().await;
        assert!(first.is_finished());
        for number in [1, 2, 3] {
            incomplete.grow(number, MAX_HELD_BYTES / 2);
        }
        assert_eq!((incomplete.bytes, incomplete.dropped), (MAX_HELD_BYTES, 2));
        assert!(!incomplete.requests.contains_key(&1) && incomplete.requests.contains_key(&2));
    }
}
