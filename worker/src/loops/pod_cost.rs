//! Tells Kubernetes what the end of this pod would cost: the number of tasks that it runs, as the annotation
//! `controller.kubernetes.io/pod-deletion-cost`. When a pool shrinks, idle pods go first. A hint and no promise: tasks are
//! safe without it, and an API server that is away, or refuses, is warned of once.

use std::{env, fs, path::Path, sync::Arc, time::Duration};

use reqwest::{Certificate, Client, header::CONTENT_TYPE};
use serde_json::json;
use tokio::time::{Instant, sleep};
use windlass_llm::http::explain;

use crate::node::Node;

/// How often one looks, and how often the API server is told at most: it is everybody's.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const TELL_EVERY: Duration = Duration::from_secs(30);
/// Between idle and busy a change is told sooner.
const TELL_SOON: Duration = Duration::from_secs(5);
/// It must answer within this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a pod finds who it is.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The pod's own entry at the API server.
struct Pod {
    client: Client,
    url: String,
    account: String,
}

/// What to tell, if it is time to: what was told last, how long ago, and how many run now.
fn news(told: Option<usize>, ago: Duration, running: usize) -> bool {
    match told {
        None => true,
        Some(told) if told == running => false,
        Some(told) => ago >= if (told == 0) == (running == 0) { TELL_EVERY } else { TELL_SOON },
    }
}

/// Until the node ends.
pub(crate) async fn run(node: Arc<Node>, api: Option<String>) {
    let pod = match Pod::find(api) {
        Ok(pod) => pod,
        Err(why) => {
            tracing::warn!(%why, "Kubernetes cannot be told what this pod runs (setting kubernetes.pod_deletion_cost)");
            return;
        }
    };
    let (mut told, mut when, mut failing) = (None, Instant::now(), false);
    loop {
        let running = node.running.list(0).0;
        if news(told, when.elapsed(), running) {
            when = Instant::now();
            match pod.tell(running).await {
                Ok(()) => (told, failing) = (Some(running), false),
                Err(why) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%why, "Kubernetes cannot be told what this pod runs; trying again");
                    }
                    sleep(TELL_EVERY).await;
                }
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

impl Pod {
    fn find(api: Option<String>) -> Result<Self, String> {
        let variable = |name: &str| env::var(name).map_err(|_| format!("the variable {name} is not set"));
        let account = env::var("WINDLASS_KUBERNETES_ACCOUNT").unwrap_or_else(|_| ACCOUNT.to_owned());
        let api = match api {
            Some(api) => api.trim_end_matches('/').to_owned(),
            None => format!(
                "https://{}:{}",
                variable("KUBERNETES_SERVICE_HOST")?,
                variable("KUBERNETES_SERVICE_PORT")?
            ),
        };
        let (namespace, name) = (variable("POD_NAMESPACE")?, variable("POD_NAME")?);
        let mut client = Client::builder().timeout(PATIENCE).no_proxy();
        if let Ok(pem) = fs::read(Path::new(&account).join("ca.crt")) {
            let authority = Certificate::from_pem(&pem).map_err(|error| format!("ca.crt: {error}"))?;
            client = client.tls_certs_only([authority]);
        }
        let client = client.build().map_err(explain)?;
        Ok(Self { client, url: format!("{api}/api/v1/namespaces/{namespace}/pods/{name}"), account })
    }

    async fn tell(&self, running: usize) -> Result<(), String> {
        // It is renewed every hour.
        let token = fs::read_to_string(Path::new(&self.account).join("token"))
            .map_err(|error| format!("token: {error}"))?;
        let patch = json!({ "metadata": { "annotations": { "controller.kubernetes.io/pod-deletion-cost": running.to_string() } } });
        let request = self.client.patch(&self.url).bearer_auth(token.trim());
        let request = request.header(CONTENT_TYPE, "application/merge-patch+json").body(patch.to_string());
        let answer = request.send().await.map_err(explain)?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("HTTP {}", answer.status())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_is_told_seldom_and_of_idle_or_busy_soon() {
        let seconds = Duration::from_secs;
        assert!(news(None, seconds(0), 0), "at first");
        assert!(!news(Some(3), seconds(3600), 3), "nothing new");
        assert!(!news(Some(3), seconds(29), 4) && news(Some(3), seconds(30), 4));
        assert!(!news(Some(0), seconds(4), 1) && news(Some(0), seconds(5), 1), "busy");
        assert!(!news(Some(1), seconds(4), 0) && news(Some(1), seconds(5), 0), "idle");
    }
}
