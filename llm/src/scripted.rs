//! A stand-in for hosted models, for tests and dry runs. It is no model and never pretends to be one.
//!
//! It speaks two wire formats over real HTTP, whole and as a stream: `OpenAI`'s (`/v1/chat/completions`,
//! `/v1/embeddings`, `/v1/models`) and Anthropic's (`/v1/messages`, `/v1/messages/count_tokens`, `/v1/models`).
//! The same request always gets the same answer. It begins with [`MARK`], says what was counted in the last message,
//! and repeats its first line; asked for JSON, it is JSON that fits the schema. A tool is called if one must be, or if
//! the user's message names it. Wrong requests get the errors that the originals send.
//!
//! A [`Scenario`] says what is answered instead, by rules on the request: texts, tool calls, faults, limits on the
//! rate, in order or at random. `docs/scripted.md` has all of it. Faults are also asked for by the model's name:
//! `error-` and a word of a fault, such as `error-429` (with `Retry-After: 1`; `error-429-silent` has none),
//! `error-quota`, `error-context`, `error-cut` or `error-stall`; and `malformed`.
//!
//! Four characters count as a token, in each message for itself, rounded up.
//!
//! It judges too: `GET /__calls` (or [`Scripted::calls`]) says what came, how many at once and how many in any
//! window of time; `POST /__reset` forgets it.

mod answer;
mod anthropic;
mod ask;
mod calls;
mod embed;
mod failure;
mod fault;
mod log;
mod models;
mod openai;
mod peak;
mod plan;
mod reply;
mod rules;
mod sample;
mod scenario;
mod server;
mod trouble;
mod window;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle};

use self::{calls::Show, server::Server};
pub use self::{
    calls::{Call, Calls, Group},
    scenario::{Scenario, ScenarioError},
};

/// Reads a request of the fuzzer's as the server does, and answers it if it is one.
#[cfg(feature = "fuzz")]
pub(crate) fn ask_of(format: u8, bytes: &[u8]) {
    let path = ask::PATHS[usize::from(format) % ask::PATHS.len()];
    let headers = axum::http::HeaderMap::new();
    if let Ok(body) = serde_json::from_slice(bytes)
        && let Ok(ask) = ask::Ask::read(path, &headers, &body)
    {
        answer::answer(&Scenario::default(), &ask, None, None, |_| (0, 0), "req_fuzz");
    }
}

/// What every text begins with that no scenario has written.
pub const MARK: &str = "[scripted stand-in]";

/// Name of the model that `GET /v1/models` lists without a scenario.
pub const MODEL: &str = "scripted";

/// How the stand-in behaves.
#[derive(Debug, Clone, Default)]
pub struct ScriptedOptions {
    /// How long it takes over each answer, unless the scenario says.
    pub latency: Duration,
    /// What it answers; without one, what it says of itself.
    pub scenario: Option<Scenario>,
}

/// Serves until the future is dropped. Bind the listener to loopback: there is no authentication.
pub async fn serve(listener: TcpListener, options: ScriptedOptions) -> io::Result<()> {
    Server::new(options).run(listener).await
}

/// A stand-in that runs in this process. It ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    server: Arc<Server>,
    task: JoinHandle<io::Result<()>>,
}

impl Scripted {
    /// Starts it on a free loopback port. Must be called within a Tokio runtime.
    pub async fn start(options: ScriptedOptions) -> io::Result<Self> {
        Self::on(TcpListener::bind(("127.0.0.1", 0)).await?, options)
    }

    /// Starts it on a listener.
    pub fn on(listener: TcpListener, options: ScriptedOptions) -> io::Result<Self> {
        let (address, server) = (listener.local_addr()?, Server::new(options));
        let task = tokio::spawn(Arc::clone(&server).run(listener));
        Ok(Self { address, server, task })
    }

    /// The base URL for clients of `OpenAI`'s format: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.origin())
    }

    /// The base URL for clients of Anthropic's format: `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far, with peaks in any window of 60 seconds and the last 100 calls.
    pub fn calls(&self) -> Calls {
        self.server.log.show(Show::default())
    }

    /// The same, with peaks in any window of that length.
    pub fn calls_in(&self, window: Duration) -> Calls {
        self.server.log.show(Show { window, ..Show::default() })
    }

    /// The same, with the requests' bodies: of the last 200, those that are not large.
    pub fn requests(&self) -> Calls {
        self.server.log.show(Show { prompts: true, ..Show::default() })
    }

    /// Forgets what was asked, and begins the scenario anew.
    pub fn reset(&self) {
        self.server.reset();
    }

    /// Ends it, and waits until it has ended: its port is free then, its connections are closed.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Waits until it ends by itself, which it does only when its listener fails.
    pub async fn ended(&mut self) -> io::Result<()> {
        match (&mut self.task).await {
            Ok(ended) => ended,
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
