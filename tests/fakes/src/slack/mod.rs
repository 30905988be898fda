//! Slack's incoming webhooks and the methods of its Web API that a bot needs: [`State`] decides, [`FakeSlack`] serves
//! it over HTTP.

mod blocks;
mod refused;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

pub use state::{BOT_TOKEN, CHANNEL, CHANNEL_ID, Fault, Message, Refusal, State};

use crate::server::{Server, lock, wall_clock_ms};

/// The path of the webhook of [`FakeSlack::start`].
const WEBHOOK_PATH: &str = "/services/T0FAKE/B0FAKE/notasecretwebhook";

/// A fake Slack on a local port; it stops when it is dropped.
pub struct FakeSlack {
    server: Server,
    state: Arc<Mutex<State>>,
    arrived: Arc<Notify>,
}

impl FakeSlack {
    /// Starts a fake Slack with one webhook on a free port of 127.0.0.1, with the wall clock.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_with(State::new(WEBHOOK_PATH), 0, wall_clock_ms).await
    }

    /// Starts a fake Slack with this state on a port (0: a free one). `now_ms` is its clock, in epoch milliseconds.
    ///
    /// # Errors
    /// If the port is not free.
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

    /// The address, for example `http://127.0.0.1:40123`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The full address of the webhook.
    pub fn webhook_url(&self) -> String {
        let path = self.state().webhook_path().to_owned();
        format!("{}{path}", self.base_url())
    }

    /// The base address of the Web API.
    pub fn api_url(&self) -> String {
        format!("{}/api", self.base_url())
    }

    /// The locked state: use it in one expression, and never hold it across an `.await`.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The messages kept so far, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.state().messages().to_vec()
    }

    /// Waits until at least `count` messages were kept; returns all messages.
    ///
    /// # Errors
    /// If fewer arrived in time; the error has their number and the last refusal.
    pub async fn wait_for_messages(&self, count: usize, within: Duration) -> Result<Vec<Message>, TooFewMessages> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let mut arrival = std::pin::pin!(self.arrived.notified());
            // Registered before the messages are counted, so that no arrival is missed in between.
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

/// Fewer messages arrived than expected.
#[derive(Clone, Debug)]
pub struct TooFewMessages {
    /// The expected number.
    pub wanted: usize,
    /// The messages that arrived.
    pub messages: Vec<Message>,
    /// The last refusal, if any.
    pub last_refusal: Option<Refusal>,
}

impl std::fmt::Display for TooFewMessages {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {} messages arrived", self.messages.len(), self.wanted)?;
        match &self.last_refusal {
            Some(refusal) => write!(formatter, "; last refusal: {refusal}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TooFewMessages {}
