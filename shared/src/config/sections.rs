//! The settings as typed fields. The table in `settings.rs` says what each means and what it may hold.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    logging::Format,
    model::{Durability, QueueName},
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

/// `log.*`: what is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// A filter that [`crate::logging::init`] takes.
    pub level: String,
    /// For people or for programs.
    pub format: Format,
}

/// `submit.*`: how tasks are submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitSettings {
    /// The queue, where neither the submission nor the type names one.
    pub queue: QueueName,
    /// Largest payload in bytes.
    pub max_payload: usize,
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
    /// Largest result in bytes.
    pub max_result: usize,
    /// A task whose node was lost this often fails.
    pub max_crashes: u32,
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

impl LogSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self { level: values.get("log.level"), format: values.get("log.format") }
    }
}

impl SubmitSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self { queue: values.get("submit.queue"), max_payload: values.get("submit.max_payload") }
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
            max_result: values.get("worker.max_result"),
            max_crashes: values.get("worker.max_crashes"),
            timeout: values.get("worker.timeout"),
        }
    }
}

impl HttpSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self { allow_hosts: values.get("http.allow_hosts") }
    }
}
