//! GitHub's API for self-hosted runners: [`State`] decides, [`FakeGitHub`] serves it over HTTP.

mod app_key;
mod content;
mod counters;
mod credential;
mod fault;
mod handle;
mod json;
mod limits;
mod page;
mod route;
mod state;
mod target_key;
mod world;

use std::sync::{Arc, Mutex, MutexGuard};

pub use app_key::{APP_PRIVATE_KEY_PEM, APP_PUBLIC_KEY_DER};
pub use counters::{Counters, Endpoint};
pub use fault::{Fault, Strikes};
pub use limits::Limits;
pub use state::State;
pub use target_key::{Scope, TargetKey};
pub use world::{Access, Hook, Job, Links, Runner, RunnerSpec};

use crate::server::{Server, lock, wall_clock_ms};

/// A fake GitHub on a local port; it stops when it is dropped.
pub struct FakeGitHub {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl FakeGitHub {
    /// Starts an empty fake GitHub on a free port of 127.0.0.1, with the wall clock.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_with(State::new(), 0, wall_clock_ms).await
    }

    /// Starts a fake GitHub with this state on a port (0: a free one). `now_ms` is its clock, in epoch milliseconds.
    ///
    /// # Errors
    /// If the port is not free.
    pub async fn start_with(
        state: State,
        port: u16,
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let state = Arc::new(Mutex::new(state));
        let served = Arc::clone(&state);
        let server = Server::start(port, move |request| lock(&served).handle(request, now_ms())).await?;
        let github = Self { server, state };
        github.state().base_url = github.base_url();
        Ok(github)
    }

    /// The address, for example `http://127.0.0.1:40123`; below `/api/v3` it is an Enterprise Server.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The locked state: change it in one expression, and never hold it across an `.await`.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
