//! Every setting, in one table. Reading the file and the environment, the reference in `docs/configuration.md`
//! and `windlass config` all come from it: a setting that is not here does not exist.

use std::time::Duration;

use crate::{
    logging::check_filter,
    model::{Namespace, QueueName},
};

use super::{
    kind::{FOREVER, Kind, check},
    setting::{Setting, Who},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
/// Redis itself takes no value above 512 MiB.
pub(super) const LARGEST: u64 = 256 << 20;

const BASE: Setting = Setting { key: "", env: &[], kind: Kind::Text, default: "", help: "", who: Who::Both };
const PRODUCER: Setting = Setting { who: Who::Producer, ..BASE };
const WORKER: Setting = Setting { who: Who::Worker, ..BASE };

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "redis.url",
        env: &["WINDLASS_REDIS_URL", "REDIS_URL"],
        kind: Kind::RedisUrl,
        default: "redis://127.0.0.1:6379",
        help: "The Redis that holds the fleet.",
        ..BASE
    },
    Setting {
        key: "redis.password",
        env: &["WINDLASS_REDIS_PASSWORD"],
        kind: Kind::Secret,
        help: "Its password, where it should not stand in the URL.",
        ..BASE
    },
    Setting {
        key: "redis.allow_eviction",
        env: &["WINDLASS_REDIS_ALLOW_EVICTION"],
        kind: Kind::Flag,
        default: "false",
        help: "Work with a Redis that may evict keys, which can lose tasks.",
        ..BASE
    },
    Setting {
        key: "redis.response_timeout",
        env: &["WINDLASS_REDIS_RESPONSE_TIMEOUT"],
        kind: Kind::Duration(SECOND, FOREVER),
        default: "10s",
        help: "How long one answer of Redis may take.",
        ..BASE
    },
    Setting {
        key: "namespace",
        env: &["WINDLASS_NAMESPACE"],
        kind: Kind::Name("up to 32 letters, digits, '.', '_' or '-'", check::<Namespace>),
        default: "wl",
        help: "First part of every key in Redis, so that many fleets can share one.",
        ..BASE
    },
    Setting {
        key: "log.level",
        env: &["WINDLASS_LOG"],
        kind: Kind::Name("a level such as info, or info,windlass_worker=debug", check_filter),
        default: "info",
        help: "What is logged.",
        ..WORKER
    },
    Setting {
        key: "log.format",
        env: &["WINDLASS_LOG_FORMAT"],
        kind: Kind::Choice(&["human", "json"]),
        default: "human",
        help: "How it is logged.",
        ..WORKER
    },
    Setting {
        key: "submit.queue",
        env: &["WINDLASS_SUBMIT_QUEUE"],
        kind: Kind::Name("the name of a queue", check::<QueueName>),
        default: "default",
        help: "The queue of tasks for which neither the submission nor the type names one.",
        ..PRODUCER
    },
    Setting {
        key: "submit.max_payload",
        env: &["WINDLASS_SUBMIT_MAX_PAYLOAD"],
        kind: Kind::Bytes(1, LARGEST),
        default: "1MiB",
        help: "Largest payload that is accepted.",
        ..PRODUCER
    },
    Setting {
        key: "worker.queues",
        env: &["WINDLASS_QUEUES"],
        kind: Kind::Queues,
        default: "default",
        help: "The queues that are served, in weighted rotation.",
        ..WORKER
    },
    Setting {
        key: "worker.concurrency",
        env: &["WINDLASS_CONCURRENCY"],
        kind: Kind::Count(1, 10_000),
        default: "8",
        help: "How many tasks run at once.",
        ..WORKER
    },
    Setting {
        key: "worker.lease",
        env: &["WINDLASS_LEASE"],
        kind: Kind::Duration(SECOND, HOUR),
        default: "10s",
        help: "A node that does not renew its lease for this long is lost, and its tasks run elsewhere.",
        ..WORKER
    },
    Setting {
        key: "worker.drain_timeout",
        env: &["WINDLASS_DRAIN_TIMEOUT"],
        kind: Kind::Duration(Duration::ZERO, FOREVER),
        default: "30s",
        help: "How long a node that was asked to end lets its tasks finish before it gives them back.",
        ..WORKER
    },
    Setting {
        key: "worker.labels",
        env: &["WINDLASS_LABELS"],
        kind: Kind::Labels,
        help: "Shown with the node.",
        ..WORKER
    },
    Setting {
        key: "worker.workspace",
        env: &["WINDLASS_WORKSPACE", "OPENHANDS_WORKSPACE_ROOT"],
        kind: Kind::Path,
        help: "Where each attempt gets a folder of its own. Unless given, the system's temporary folder.",
        ..WORKER
    },
    Setting {
        key: "worker.max_result",
        env: &["WINDLASS_MAX_RESULT"],
        kind: Kind::Bytes(1, LARGEST),
        default: "1MiB",
        help: "Largest result that is kept.",
        ..WORKER
    },
    Setting {
        key: "worker.max_crashes",
        env: &["WINDLASS_MAX_CRASHES"],
        kind: Kind::Count(1, 100),
        default: "3",
        help: "A task whose node was lost this often fails, since it may be the cause.",
        ..WORKER
    },
    Setting {
        key: "worker.timeout",
        env: &["WINDLASS_TASK_TIMEOUT", "OPENHANDS_TIMEOUT"],
        kind: Kind::Duration(Duration::from_millis(1), FOREVER),
        default: "1h",
        help: "How long an attempt may take, where neither the task nor its type says so.",
        ..WORKER
    },
    Setting {
        key: "http.allow_hosts",
        env: &["WINDLASS_HTTP_ALLOW_HOSTS"],
        kind: HOSTS,
        help: "The hosts that http tasks may call. Unless given, any.",
        ..WORKER
    },
    Setting {
        key: "llm.base_url",
        env: &["WINDLASS_LLM_BASE_URL"],
        kind: Kind::HttpUrl,
        help: "The service that llm tasks call. Unless given, the one that belongs to the variable that holds the key.",
        ..WORKER
    },
    Setting {
        key: "llm.model",
        env: &["WINDLASS_LLM_MODEL", "OPENHANDS_MODEL"],
        help: "The model of llm tasks that name none.",
        ..WORKER
    },
    Setting {
        key: "llm.api_key",
        env: &["WINDLASS_LLM_API_KEY", "OPENROUTER_API_KEY", "OPENAI_API_KEY"],
        kind: Kind::Secret,
        help: "The key for the service.",
        ..WORKER
    },
];

/// Patterns of hosts.
pub(super) const HOSTS: Kind = Kind::List("hosts such as api.example.com,*.example.org", check_host);

fn check_host(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-*?:[]{}".contains(c);
    if text.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not a host: use a name such as api.example.com or *.example.org, without scheme and path"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_and_variables_are_unique_and_documented() {
        let keys: BTreeSet<_> = SETTINGS.iter().map(|s| s.key).collect();
        let variables: Vec<_> = SETTINGS.iter().flat_map(Setting::variables).map(|(name, _)| name).collect();
        assert_eq!(keys.len(), SETTINGS.len());
        assert_eq!(variables.iter().collect::<BTreeSet<_>>().len(), variables.len());
        for setting in SETTINGS {
            assert!(setting.help.ends_with('.'), "{} has no help", setting.key);
            assert!(setting.env.first().is_some_and(|v| v.starts_with("WINDLASS_")), "{}", setting.key);
        }
    }

    #[test]
    fn every_default_is_valid() {
        for setting in SETTINGS {
            assert!(setting.read(setting.default).is_ok(), "{}", setting.key);
        }
    }

    #[test]
    fn a_host_is_not_a_url() {
        assert_eq!(check_host("*.example.org"), Ok(()));
        assert!(check_host("https://example.org").is_err());
    }
}
