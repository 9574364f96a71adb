//! The scripted stand-in for a model, for `dev --scripted`.

use std::time::Duration;

use tokio::net::TcpListener;
use windlass_llm::scripted::{MODEL, Scenario, ScriptedOptions, serve};

use crate::{exit::Done, output::say};

/// A running stand-in.
pub(super) struct Scripted {
    /// Its base URL.
    pub(super) url: String,
}

impl Scripted {
    /// What makes workers use it.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("WINDLASS_LLM_BASE_URL".into(), self.url.clone()),
            ("WINDLASS_LLM_MODEL".into(), MODEL.into()),
            ("WINDLASS_LLM_API_KEY".into(), "scripted".into()),
        ]
    }
}

/// Starts it on a free loopback port; it ends with this process. Without a scenario it takes its time, as a model does.
pub(super) async fn start(scenario: Option<Scenario>) -> Done<Scripted> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let latency = if scenario.is_some() { Duration::ZERO } else { Duration::from_millis(300) };
    tokio::spawn(async move {
        if let Err(error) = serve(listener, ScriptedOptions { latency, scenario }).await {
            say!("windlass: the scripted stand-in ended: {error}");
        }
    });
    Ok(Scripted { url })
}
