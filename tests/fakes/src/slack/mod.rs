//! Slack's incoming webhooks and the two methods of its Web API that a bot needs: [`State`] decides, [`FakeSlack`] serves it over HTTP.

mod blocks;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

pub use state::{BOT_TOKEN, CHANNEL, CHANNEL_ID, Fault, Message, Refusal, State};

use crate::server::{Server, wall_clock_ms};

/// The path of the webhook that [`FakeSlack::start`] sets up.
const WEBHOOK_PATH: &str = "/services/T0FAKE/B0FAKE/notasecretwebhook";

/// A Slack on a local port; it ends when it is dropped.
pub struct FakeSlack {
    server: Server,
    state: Arc<Mutex<State>>,
    arrived: Arc<Notify>,
}

impl FakeSlack {
    /// Starts a Slack with one webhook on a free port of 127.0.0.1, by the wall clock.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_with(State::new(WEBHOOK_PATH), 0, wall_clock_ms).await
    }

    /// Starts a Slack with this state on a port (0: a free one) by a clock of epoch milliseconds.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start_with(
        state: State,
        port: u16,
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let state = Arc::new(Mutex::new(state));
        let arrived = Arc::new(Notify::new());
        let (served, arriving) = (Arc::clone(&state), Arc::clone(&arrived));
        let server = Server::start(port, move |request| {
            let answer = lock(&served).handle(request, now_ms());
            arriving.notify_waiters();
            answer
        });
        Ok(Self { server: server.await?, state, arrived })
    }

    /// Where it listens, for example `http://127.0.0.1:40123`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The whole address of the webhook.
    pub fn webhook_url(&self) -> String {
        let path = self.state().webhook_path().to_owned();
        format!("{}{path}", self.base_url())
    }

    /// Where the methods of its Web API are.
    pub fn api_url(&self) -> String {
        format!("{}/api", self.base_url())
    }

    /// The state, locked: use it in one expression and keep it across no `.await`.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The messages kept so far, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.state().messages().to_vec()
    }

    /// Waits until at least so many messages have been kept, and returns all.
    ///
    /// # Errors
    /// When fewer came within this time; the error tells how many, and the last refusal.
    pub async fn wait_for_messages(&self, count: usize, within: Duration) -> Result<Vec<Message>, TooFewMessages> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let mut arrival = std::pin::pin!(self.arrived.notified());
            // In the queue before the look, so that no arrival falls between the two.
            arrival.as_mut().enable();
            let messages = self.messages();
            if messages.len() >= count {
                return Ok(messages);
            }
            if tokio::time::timeout_at(deadline, arrival).await.is_err() {
                return Err(TooFewMessages {
                    wanted: count,
                    messages,
                    last_refusal: self.state().refusals().last().cloned(),
                });
            }
        }
    }
}

/// Fewer messages came than were waited for.
#[derive(Clone, Debug)]
pub struct TooFewMessages {
    /// How many were waited for.
    pub wanted: usize,
    /// Those that came.
    pub messages: Vec<Message>,
    /// What was refused last, if anything.
    pub last_refusal: Option<Refusal>,
}

impl std::fmt::Display for TooFewMessages {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {} messages came", self.messages.len(), self.wanted)?;
        match &self.last_refusal {
            Some(refusal) => write!(formatter, "; refused last: {refusal}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TooFewMessages {}

/// A panic in a caller's hands leaves whole state behind: calls check before they change.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
