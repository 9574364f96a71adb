//! The command line of `windlass-worker`.
#![allow(rustdoc::bare_urls, clippy::doc_markdown, reason = "doc comments here are the help texts")]

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use windlass_shared::config::Flag;

/// Claims tasks from Redis and runs them. Run as many as you like, on as many machines as you like.
///
/// SIGTERM or SIGINT drains: what runs may finish within --drain-timeout, the rest is handed back without costing an
/// attempt. A second signal hands back at once.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  windlass-worker --queues default,gpu=3 --concurrency 16\n  windlass-worker --config windlass.toml --labels zone=a,pod=worker-0\n  windlass-worker config        show the effective configuration and where it comes from\n\nEach flag has a variable and a key in the configuration file: docs/configuration.md.\nExit codes: 0 left as told · 2 wrong usage or configuration · 3 Redis cannot be used"
)]
pub(crate) struct Cli {
    /// Configuration file (TOML) [default: $WINDLASS_CONFIG, then ./windlass.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Redis, such as redis://user:password@host:6379/0 (or rediss://, redis+unix://,
    /// redis+sentinel://host1,host2/NAME; a cluster: redis://host1,host2)
    #[arg(long, global = true, value_name = "URL")]
    redis_url: Option<String>,
    /// First part of every key, so that many fleets can share one Redis
    #[arg(long, global = true, value_name = "NAME")]
    namespace: Option<String>,
    /// Queues to serve, with weights: default,other=3
    #[arg(long, value_name = "LIST")]
    queues: Option<String>,
    /// How many tasks run at once
    #[arg(long, value_name = "N")]
    concurrency: Option<String>,
    /// How long a task stays ours without a heartbeat
    #[arg(long, value_name = "DURATION")]
    lease: Option<String>,
    /// How long running tasks may go on after SIGTERM
    #[arg(long, value_name = "DURATION")]
    drain_timeout: Option<String>,
    /// Labels shown with the node: zone=a,pod=worker-0
    #[arg(long, value_name = "LIST")]
    labels: Option<String>,
    /// Where /livez, /readyz and /metrics are answered, such as 127.0.0.1:9464 [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// A push gateway of Prometheus that is told the metrics, for workers that do not live long
    #[arg(long, value_name = "URL")]
    push_gateway: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or a filter such as info,windlass_worker=debug
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// How it is logged: human or json
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What must have a result before it counts: none, replicas=N or fsync (docs/durability.md)
    #[arg(long, value_name = "LEVEL")]
    durability: Option<String>,
    /// Work on a Redis that may evict keys, and so lose tasks
    #[arg(long, global = true)]
    allow_eviction: bool,
    /// End when the parent process ends
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) die_with_parent: Option<i32>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the effective configuration and where each value comes from; secrets are not shown
    #[command(after_help = "Example:\n  WINDLASS_CONCURRENCY=4 windlass-worker config")]
    Config,
    /// Exit 0 if a worker of this machine beats; for container health checks
    #[command(after_help = "Example (Dockerfile):\n  HEALTHCHECK CMD [\"windlass-worker\", \"check\"]")]
    Check,
}

impl Cli {
    /// What was given on the command line, by the key of the setting.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let given: [(&'static str, &'static str, Option<&String>); 12] = [
            ("redis.url", "--redis-url", self.redis_url.as_ref()),
            ("namespace", "--namespace", self.namespace.as_ref()),
            ("worker.queues", "--queues", self.queues.as_ref()),
            ("worker.concurrency", "--concurrency", self.concurrency.as_ref()),
            ("worker.lease", "--lease", self.lease.as_ref()),
            ("worker.drain_timeout", "--drain-timeout", self.drain_timeout.as_ref()),
            ("worker.labels", "--labels", self.labels.as_ref()),
            ("worker.admin", "--admin", self.admin.as_ref()),
            ("metrics.push_gateway", "--push-gateway", self.push_gateway.as_ref()),
            ("redis.durability", "--durability", self.durability.as_ref()),
            ("log.level", "--log", self.log.as_ref()),
            ("log.format", "--log-format", self.log_format.as_ref()),
        ];
        let mut flags: Vec<Flag> = given
            .into_iter()
            .filter_map(|(key, flag, value)| value.map(|value| (key, flag, value.clone())))
            .collect();
        if self.allow_eviction {
            flags.push(("redis.allow_eviction", "--allow-eviction", "true".to_owned()));
        }
        flags
    }
}
