//! Connections of strangers: bounded in number, in time, and in what they hold in memory.
//!
//! One request a connection. Where too many requests are incomplete, or hold too many bytes, the oldest of them is dropped: a
//! request of Slack's comes whole within milliseconds, an attacker's does not.

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

/// How many incomplete requests there may be: far below the 1,024 descriptors that a process has by default.
const MAX_INCOMPLETE: usize = 128;
/// How many bytes of their bodies may be held together.
const MAX_HELD_BYTES: usize = 4 * 1024 * 1024;
/// How large the head of a request may be. Slack's has less than 1 KiB; a proxy adds to it.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// From the start of a connection to the end of its request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// From the end of the head to the end of the body.
const BODY_WITHIN: Duration = Duration::from_secs(5);
/// From the start of a connection to its end.
const CONNECTION_WITHIN: Duration = Duration::from_secs(15);
/// From the signal on, for answers that are under way.
const FINISH_WITHIN: Duration = Duration::from_secs(3);
/// How often it is logged that requests were dropped.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// After a failure to accept: descriptors may become free.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// The answer to a request.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than the caller takes.
    TooLarge,
    /// It did not come within [`BODY_WITHIN`].
    TooSlow,
    /// The connection broke.
    Broken,
}

/// Requests that are not complete, the oldest first.
#[derive(Default)]
struct Incomplete {
    last: u64,
    requests: BTreeMap<u64, Held>,
    bytes: usize,
    dropped: u64,
}

/// What one of them holds.
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

/// The place of one request among the incomplete ones.
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

    /// The request is complete: it is dropped for no other from here on.
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

/// Answers requests until `stop` turns true, then drops those that are incomplete and lets answers end within
/// [`FINISH_WITHIN`]. `every_minute` is called now and then, and at the end.
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
                    // Under the lock: the connection's own first step may come at once.
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

/// Waits until it turns true, or can no longer do so.
async fn is_true(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// One connection from its start to its end. How a stranger breaks it off is of no interest.
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
        error!(%error, "an answer to Slack broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> AbortHandle {
        tokio::spawn(std::future::pending::<()>()).abort_handle()
    }

    #[tokio::test]
    async fn a_request_that_is_complete_holds_nothing_any_more() {
        let mut incomplete = Incomplete::default();
        for number in 1..=4 {
            incomplete.admit(number, connection());
            incomplete.grow(number, MAX_HELD_BYTES / 2);
            incomplete.remove(number);
        }
        assert_eq!((incomplete.requests.len(), incomplete.bytes, incomplete.dropped), (0, 0, 0));
    }

    #[tokio::test]
    async fn of_too_many_requests_or_bytes_the_oldest_is_dropped() {
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
