//! The settings as typed fields. The table in `settings.rs` says what each means and what it may hold.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    logging::Format,
    model::{Durability, QueueName},
    sealing::KeyRing,
};

use super::{
    layers::Values,
    secret::{Secret, Url},
};

/// `redis.*`: how Redis is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// The URL, which may hold a password. Prints without it.
    pub url: Url,
    /// The password, where it does not stand in the URL.
    pub password: Option<Secret>,
    /// The user of the Sentinels.
    pub sentinel_user: Option<String>,
    /// The password of the Sentinels.
    pub sentinel_password: Option<Secret>,
    /// File of the authorities to trust.
    pub tls_ca: Option<PathBuf>,
    /// File of our certificate.
    pub tls_cert: Option<PathBuf>,
    /// File of its key.
    pub tls_key: Option<PathBuf>,
    /// What must have a submission or a result before it counts.
    pub durability: Durability,
    /// How long that may take.
    pub durability_timeout: Duration,
    /// Work with a Redis that may evict keys.
    pub allow_eviction: bool,
    /// How long one answer may take.
    pub response_timeout: Duration,
}

/// `sealing.*`: what is encrypted.
#[derive(Debug, Clone, Default)]
pub struct SealingSettings {
    /// The keys; none: nothing is sealed.
    pub keys: Option<KeyRing>,
    /// Tasks that are not sealed are refused.
    pub required: bool,
}

/// `claim_check.*`: what is kept in an object store.
#[derive(Debug, Clone, Default)]
pub struct ClaimCheckSettings {
    /// `file:///PATH` or `s3://BUCKET/PREFIX`; none: everything is in Redis.
    pub url: Option<String>,
    /// Texts of more bytes go there.
    pub above: usize,
    /// Largest payload and result in bytes.
    pub max: usize,
    /// The service, where it is not AWS's own.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// With `secret_access_key`; unless both are given, AWS's usual places are looked at.
    pub access_key_id: Option<Secret>,
    /// Its key.
    pub secret_access_key: Option<Secret>,
    /// Of temporary keys.
    pub session_token: Option<Secret>,
}

/// `log.*`: what is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// A filter that [`crate::logging::init`] takes.
    pub level: String,
    /// For people or for programs.
    pub format: Format,
}

/// `metrics.*`: who is told the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsSettings {
    /// A push gateway of Prometheus.
    pub push_gateway: Option<String>,
}

/// `submit.*`: how tasks are submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitSettings {
    /// The queue, where neither the submission nor the type names one.
    pub queue: QueueName,
    /// Largest payload in bytes, with the object store taken into account.
    pub max_payload: usize,
}

/// `kubernetes.*`: what a worker tells the cluster that it runs in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubernetesSettings {
    /// Say how many tasks the pod runs.
    pub pod_deletion_cost: bool,
    /// The API server, if it is not the one that the pod is told of.
    pub api: Option<String>,
}

/// `serve.*`: how the HTTP API and the web page are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeSettings {
    /// Where.
    pub listen: SocketAddr,
    /// File of our certificate; without it there is no TLS.
    pub tls_cert: Option<PathBuf>,
    /// File of its key.
    pub tls_key: Option<PathBuf>,
    /// File of further tokens, read again when it changes.
    pub tokens_file: Option<PathBuf>,
    /// `/metrics` needs no token.
    pub open_metrics: bool,
    /// Web pages of other origins that may call the API.
    pub cors_origins: Vec<String>,
    /// Largest body in bytes; of bulk submission each line has a limit of its own instead.
    pub max_body: usize,
    /// Requests that are worked on at once.
    pub max_requests: usize,
    /// How long requests may go on after SIGTERM.
    pub drain_timeout: Duration,
}

/// `worker.*`: how a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The queues that are served, with their weights; at least one.
    pub queues: Vec<(QueueName, u32)>,
    /// How many tasks run at once.
    pub concurrency: usize,
    /// A node that does not renew its lease for this long is lost.
    pub lease: Duration,
    /// How long a node that was asked to end lets its tasks finish.
    pub drain_timeout: Duration,
    /// Shown with the node.
    pub labels: BTreeMap<String, String>,
    /// Where the probes are answered, if anywhere.
    pub admin: Option<SocketAddr>,
    /// Where each attempt gets a folder of its own.
    pub workspace: PathBuf,
    /// Largest result in bytes, with the object store taken into account.
    pub max_result: usize,
    /// A task whose node was lost this often fails.
    pub max_crashes: u32,
    /// A task that nodes gave back more often fails.
    pub max_interruptions: u32,
    /// How long an attempt may take, where neither the task nor its type says so.
    pub timeout: Duration,
}

/// `http.*`, for all tasks or for a type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// Patterns of the hosts that may be called. Empty: any; for a type: those that all tasks may call.
    pub allow_hosts: Vec<String>,
}

impl RedisSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self {
            url: values.get("redis.url"),
            password: values.get("redis.password"),
            sentinel_user: values.get("redis.sentinel_user"),
            sentinel_password: values.get("redis.sentinel_password"),
            tls_ca: values.get("redis.tls_ca"),
            tls_cert: values.get("redis.tls_cert"),
            tls_key: values.get("redis.tls_key"),
            durability: values.get("redis.durability"),
            durability_timeout: values.get("redis.durability_timeout"),
            allow_eviction: values.get("redis.allow_eviction"),
            response_timeout: values.get("redis.response_timeout"),
        }
    }
}

impl SealingSettings {
    pub(super) fn from_values(values: &Values, faults: &mut Vec<String>) -> Self {
        let keys: Option<KeyRing> = values.get("sealing.keys");
        let (id, required): (Option<String>, bool) =
            (values.get("sealing.key"), values.get("sealing.required"));
        if required && keys.is_none() {
            faults.push("sealing.required: there is no key: give some as sealing.keys".into());
        }
        let keys = match (keys, id) {
            (Some(keys), Some(id)) => {
                keys.sealing_with(&id).map_err(|why| faults.push(format!("sealing.key: {why}"))).ok()
            }
            (None, Some(_)) => {
                faults.push("sealing.key: there is no key: give some as sealing.keys".into());
                None
            }
            (keys, None) => keys,
        };
        Self { keys, required }
    }
}

impl ClaimCheckSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self {
            url: values.get("claim_check.url"),
            above: values.get("claim_check.above"),
            max: values.get("claim_check.max"),
            endpoint: values.get("claim_check.endpoint"),
            region: values.get("claim_check.region"),
            access_key_id: values.get("claim_check.access_key_id"),
            secret_access_key: values.get("claim_check.secret_access_key"),
            session_token: values.get("claim_check.session_token"),
        }
    }

    /// The larger one of a limit and what is allowed with an object store.
    fn limit(&self, limit: usize) -> usize {
        if self.url.is_some() { limit.max(self.max) } else { limit }
    }
}

impl LogSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self { level: values.get("log.level"), format: values.get("log.format") }
    }
}

impl MetricsSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self { push_gateway: values.get("metrics.push_gateway") }
    }
}

impl SubmitSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        let max_payload = ClaimCheckSettings::from_values(values).limit(values.get("submit.max_payload"));
        Self { queue: values.get("submit.queue"), max_payload }
    }
}

impl KubernetesSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self {
            pod_deletion_cost: values.get("kubernetes.pod_deletion_cost"),
            api: values.get("kubernetes.api"),
        }
    }
}

impl ServeSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self {
            listen: values.get("serve.listen"),
            tls_cert: values.get("serve.tls_cert"),
            tls_key: values.get("serve.tls_key"),
            tokens_file: values.get("serve.tokens_file"),
            open_metrics: values.get("serve.open_metrics"),
            cors_origins: values.get("serve.cors_origins"),
            max_body: values.get("serve.max_body"),
            max_requests: values.get("serve.max_requests"),
            drain_timeout: values.get("serve.drain_timeout"),
        }
    }
}

impl WorkerSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        let workspace: Option<_> = values.get("worker.workspace");
        Self {
            queues: values.get("worker.queues"),
            concurrency: values.get("worker.concurrency"),
            lease: values.get("worker.lease"),
            drain_timeout: values.get("worker.drain_timeout"),
            labels: values.get("worker.labels"),
            admin: values.get("worker.admin"),
            workspace: workspace.unwrap_or_else(std::env::temp_dir),
            max_result: ClaimCheckSettings::from_values(values).limit(values.get("worker.max_result")),
            max_crashes: values.get("worker.max_crashes"),
            max_interruptions: values.get("worker.max_interruptions"),
            timeout: values.get("worker.timeout"),
        }
    }
}

impl HttpSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self { allow_hosts: values.get("http.allow_hosts") }
    }
}
