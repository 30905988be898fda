//! Serves the state on a port over HTTP/1.1 and HTTP/2 without TLS.

use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::stream;
use hyper::body::Incoming;
use monitor_fakes::http::{Answer, Request};
use monitor_fakes::server::{CutOff, Response, Server, answer_whole, lock, pieces, respond};
use monitor_stately::wire::path;
use tokio::sync::mpsc;

use crate::bidi;
use crate::schema::Schema;
use crate::state::{Settings, State};

/// A running server. Dropping it ends the server and all connections.
pub struct StatelyServer {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl StatelyServer {
    /// Starts a server with the monitor's schema on a free port of 127.0.0.1.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_with(0, State::new(Schema::product(), Settings::default())).await
    }

    /// Starts a server around a state; port 0 takes a free one.
    pub async fn start_with(port: u16, state: State) -> std::io::Result<Self> {
        let state = Arc::new(Mutex::new(state));
        let served = Arc::clone(&state);
        let server = Server::start_streaming(port, move |request, body| answer(request, body, Arc::clone(&served)));
        Ok(Self { server: server.await?, state })
    }

    /// The server's URL, for example `http://127.0.0.1:3030`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The server's state. No request is answered while the guard is held.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

async fn answer(request: Request, body: Incoming, state: Arc<Mutex<State>>) -> Result<Response, CutOff> {
    if request.path == "/health" {
        return respond(Answer::new(200, "text/plain", "ok")).await;
    }
    if request.method != "POST" {
        return respond(Answer::new(405, "text/plain", "only POST is served")).await;
    }
    if request.path == path::TRANSACTION {
        return match bidi::open(&request, &state) {
            Ok(stream) => {
                let (sender, mut receiver) = mpsc::channel(16);
                let response = hyper::Response::builder().header("content-type", stream.content_type());
                tokio::spawn(stream.run(body, state, sender));
                let sent = stream::poll_fn(move |context| receiver.poll_recv(context));
                response.body(pieces(sent)).map_err(|_| CutOff::Closed)
            }
            Err(answer) => respond(answer).await,
        };
    }
    answer_whole(request, body, |request| ready(lock(&state).handle(&request))).await
}
