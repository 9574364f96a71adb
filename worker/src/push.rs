//! Pushes the metrics to a push gateway: for workers that do not live long enough to be scraped. One that is away, or
//! refuses, is warned of, and holds up nothing.

use std::time::Duration;

use reqwest::{Client, header::CONTENT_TYPE, redirect::Policy};
use tokio::task::JoinHandle;
use windlass_llm::http::{explain, http_client};
use windlass_shared::model::NodeId;

use crate::metrics;

/// How often it is told.
const EVERY: Duration = Duration::from_secs(15);
/// It must answer within this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pushes now and then, until it is told that this is the end.
pub(crate) struct Pusher {
    gateway: Gateway,
    loop_: JoinHandle<()>,
}

#[derive(Clone)]
struct Gateway {
    client: Client,
    /// With the group that the figures are of, which the next push replaces.
    url: String,
}

impl Pusher {
    /// Begins to push the figures of a node to the gateway at `url`.
    pub(crate) fn start(url: &str, node: &NodeId) -> Option<Self> {
        let url = format!("{}/metrics/job/windlass/instance/{node}", url.trim_end_matches('/'));
        let client = http_client(Policy::none());
        let client = client.inspect_err(|error| {
            tracing::warn!(%error, "no metrics are pushed (setting metrics.push_gateway)");
        });
        let gateway = Gateway { client: client.ok()?, url };
        let loop_ = tokio::spawn(run(gateway.clone()));
        Some(Self { gateway, loop_ })
    }

    /// Pushes the last figures.
    pub(crate) async fn end(self) {
        self.loop_.abort();
        if let Err(why) = self.gateway.push().await {
            tracing::warn!(%why, "the last metrics could not be pushed (setting metrics.push_gateway)");
        }
    }
}

async fn run(gateway: Gateway) {
    let mut failing = false;
    loop {
        tokio::time::sleep(EVERY).await;
        let pushed = gateway.push().await;
        // Told once, and not every few seconds.
        if let (Err(why), false) = (&pushed, failing) {
            tracing::warn!(%why, "metrics could not be pushed; trying again (setting metrics.push_gateway)");
        }
        failing = pushed.is_err();
    }
}

impl Gateway {
    async fn push(&self) -> Result<(), String> {
        let page = metrics::page(None);
        let request = self.client.put(&self.url).header(CONTENT_TYPE, page.content_type).body(page.body);
        let answer = request.timeout(PATIENCE).send().await.map_err(explain)?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("HTTP {}", answer.status())) }
    }
}
