//! Lambda's API, as far as a function uses it: it invokes itself asynchronously.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use monitor_fakes::http::{Answer, Request};
use monitor_fakes::server::Server;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::emulator::Outcome;
use crate::function::Function;

/// How often Lambda invokes a function with an event that fails.
const ATTEMPTS: u32 = 3;
/// The wait between two attempts, instead of Lambda's minutes.
const PAUSE: Duration = Duration::from_secs(1);

/// The events of one stack; invocations stop when it is dropped.
pub(crate) struct Invocations {
    server: Server,
    /// Events that are not handled yet.
    waiting: Arc<AtomicUsize>,
    worker: JoinSet<()>,
}

/// Accepted events, each with the name of its function.
pub(crate) type Accepted = UnboundedReceiver<(String, Value)>;

impl Invocations {
    /// Starts the API.
    pub(crate) async fn open() -> std::io::Result<(Self, Accepted)> {
        let (sender, accepted) = unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        let server = Server::start(0, move |request| accept(request, &sender, &counted)).await?;
        Ok((Self { server, waiting, worker: JoinSet::new() }, accepted))
    }

    /// The address of the API.
    pub(crate) fn url(&self) -> String {
        self.server.base_url()
    }

    /// The number of events that are not handled yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Invokes the functions with the accepted events.
    pub(crate) fn deliver(&mut self, mut accepted: Accepted, functions: BTreeMap<String, Arc<Function>>) {
        let waiting = Arc::clone(&self.waiting);
        self.worker.spawn(async move {
            while let Some((name, event)) = accepted.recv().await {
                if let Some(function) = functions.get(&name) {
                    attempt(function, &event).await;
                }
                waiting.fetch_sub(1, Ordering::SeqCst);
            }
        });
    }
}

async fn attempt(function: &Function, event: &Value) {
    for _ in 0..ATTEMPTS {
        match function.invoke(event).await {
            Ok(Outcome::Error(_)) => sleep(PAUSE).await,
            Ok(Outcome::Answer(_)) => return,
            Err(error) => return function.note(&format!("the invocation failed: {error:#}")),
        }
    }
}

fn accept(request: &Request, sender: &UnboundedSender<(String, Value)>, waiting: &AtomicUsize) -> Answer {
    let path = request.path.strip_prefix("/2015-03-31/functions/");
    let name = path.and_then(|path| path.strip_suffix("/invocations"));
    let is_signed = request.header("authorization").is_some_and(|signature| signature.starts_with("AWS4-HMAC-SHA256 "));
    let is_event = request.header("x-amz-invocation-type") == Some("Event");
    let (Some(name), true, true) = (name, is_signed, is_event) else {
        return Answer::new(400, "application/json", "not a signed asynchronous invocation");
    };
    let Ok(event) = serde_json::from_slice(&request.body) else {
        return Answer::new(400, "application/json", "the event is not JSON");
    };
    waiting.fetch_add(1, Ordering::SeqCst);
    match sender.send((name.to_owned(), event)) {
        Ok(()) => Answer::new(202, "application/json", ""),
        Err(_) => Answer::new(503, "application/json", "the stack is gone"),
    }
}
