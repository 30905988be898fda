//! The server without a network: the client's transport calls the state directly.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use monitor_fakes::http::{self, Delivery};
use monitor_fakes::server::lock;
use monitor_stately::transport::{Request, Response, Transport, Unreached};

use crate::schema::Schema;
use crate::state::{Settings, State};

/// A server in this process. Clones share their state.
#[derive(Clone)]
pub struct InMemory {
    state: Arc<Mutex<State>>,
}

impl InMemory {
    /// An empty server with the monitor's schema.
    pub fn new() -> Self {
        Self::with(State::new(Schema::product(), Settings::default()))
    }

    /// A server around a state.
    pub fn with(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The server's state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for InMemory {
    async fn post(&self, request: Request) -> Result<Response, Unreached> {
        let headers = request.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let request = http::Request { headers, ..http::Request::post(request.path, request.body) };
        let answer = lock(&self.state).handle(&request);
        if answer.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
        }
        match answer.delivery {
            Delivery::Never => std::future::pending().await,
            Delivery::Closed | Delivery::Reset | Delivery::CutAfter(_) => {
                Err(Unreached("the connection ended".to_owned()))
            }
            Delivery::Whole => {
                let content_type = answer.header("content-type").unwrap_or_default().to_owned();
                Ok(Response { status: answer.status, content_type, body: answer.body })
            }
        }
    }
}
