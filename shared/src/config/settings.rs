//! Every setting, in one table. Reading the file and the environment, the reference in `docs/configuration.md`
//! and `windlass config` all come from it: a setting that is not here does not exist.

use std::{net::SocketAddr, time::Duration};

use crate::{
    logging::check_filter,
    model::{Durability, Namespace, QueueName},
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
        key: "redis.sentinel_user",
        env: &["WINDLASS_REDIS_SENTINEL_USER"],
        help: "User of the Sentinels, if they have one; the URL holds that of the servers.",
        ..BASE
    },
    Setting {
        key: "redis.sentinel_password",
        env: &["WINDLASS_REDIS_SENTINEL_PASSWORD"],
        kind: Kind::Secret,
        help: "Password of the Sentinels, if they have one.",
        ..BASE
    },
    Setting {
        key: "redis.tls_ca",
        env: &["WINDLASS_REDIS_TLS_CA"],
        kind: Kind::Path,
        help: "Certificates (PEM) of the authorities to trust with rediss://. Unless given, those of the system.",
        ..BASE
    },
    Setting {
        key: "redis.tls_cert",
        env: &["WINDLASS_REDIS_TLS_CERT"],
        kind: Kind::Path,
        help: "Certificate (PEM) to show to a server that wants to know its clients.",
        ..BASE
    },
    Setting {
        key: "redis.tls_key",
        env: &["WINDLASS_REDIS_TLS_KEY"],
        kind: Kind::Path,
        help: "Private key (PEM) of that certificate.",
        ..BASE
    },
    Setting {
        key: "redis.durability",
        env: &["WINDLASS_DURABILITY"],
        kind: Kind::Name("none, replicas=N or fsync", check::<Durability>),
        default: "none",
        help: "What must have a submission or a result before it counts: see docs/durability.md.",
        ..BASE
    },
    Setting {
        key: "redis.durability_timeout",
        env: &["WINDLASS_DURABILITY_TIMEOUT"],
        kind: Kind::Duration(Duration::from_millis(1), FOREVER),
        default: "5s",
        help: "How long that may take before the call is repeated, or fails.",
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
        key: "sealing.keys",
        env: &["WINDLASS_SEALING_KEYS"],
        kind: Kind::KeyRing,
        help: "Keys that seal payloads and results before they reach Redis, and open them: see docs/payloads.md. The first one seals. Unless given, nothing is sealed.",
        ..BASE
    },
    Setting {
        key: "sealing.key",
        env: &["WINDLASS_SEALING_KEY"],
        help: "Id of the key that seals, if it is not the first.",
        ..BASE
    },
    Setting {
        key: "sealing.required",
        env: &["WINDLASS_SEALING_REQUIRED"],
        kind: Kind::Flag,
        default: "false",
        help: "Refuse to work without a key, and to run tasks that are not sealed, which anybody who can write to Redis may have put there.",
        ..BASE
    },
    Setting {
        key: "claim_check.url",
        env: &["WINDLASS_CLAIM_CHECK_URL"],
        kind: Kind::Name("a URL such as file:///srv/windlass or s3://BUCKET/PREFIX", check_object_url),
        help: "Where large payloads and results are kept, so that Redis holds references only: see docs/payloads.md. Unless given, everything is in Redis.",
        ..BASE
    },
    Setting {
        key: "claim_check.above",
        env: &["WINDLASS_CLAIM_CHECK_ABOVE"],
        kind: Kind::Bytes(1, LARGEST),
        default: "256KiB",
        help: "Payloads, results and ledgers of more bytes go there.",
        ..BASE
    },
    Setting {
        key: "claim_check.max",
        env: &["WINDLASS_CLAIM_CHECK_MAX"],
        kind: Kind::Bytes(1, 64 << 20),
        default: "32MiB",
        help: "Largest payload and result with an object store, where that is more than submit.max_payload and worker.max_result.",
        ..BASE
    },
    Setting {
        key: "claim_check.endpoint",
        env: &["WINDLASS_CLAIM_CHECK_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
        kind: Kind::HttpUrl,
        help: "The service that speaks S3, if it is not AWS's.",
        ..BASE
    },
    Setting {
        key: "claim_check.region",
        env: &["WINDLASS_CLAIM_CHECK_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"],
        default: "us-east-1",
        help: "Its region.",
        ..BASE
    },
    Setting {
        key: "claim_check.access_key_id",
        env: &["WINDLASS_CLAIM_CHECK_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"],
        kind: Kind::Secret,
        help: "Who we are there. Unless given with the secret key, AWS's web identity, container and instance roles are tried.",
        ..BASE
    },
    Setting {
        key: "claim_check.secret_access_key",
        env: &["WINDLASS_CLAIM_CHECK_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"],
        kind: Kind::Secret,
        help: "The secret key that belongs to it.",
        ..BASE
    },
    Setting {
        key: "claim_check.session_token",
        env: &["WINDLASS_CLAIM_CHECK_SESSION_TOKEN", "AWS_SESSION_TOKEN"],
        kind: Kind::Secret,
        help: "The token of temporary keys.",
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
        key: "operator",
        env: &["WINDLASS_OPERATOR"],
        help: "Who acts, in the operators' log (`windlass audit`). Unless given, the user's name and the machine's.",
        ..PRODUCER
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
        key: "serve.listen",
        env: &["WINDLASS_SERVE_LISTEN"],
        kind: Kind::Name("an address such as 127.0.0.1:8642", check::<SocketAddr>),
        default: "127.0.0.1:8642",
        help: "Where `windlass serve` answers.",
        ..PRODUCER
    },
    Setting {
        key: "serve.tls_cert",
        env: &["WINDLASS_SERVE_TLS_CERT"],
        kind: Kind::Path,
        help: "Certificate (PEM, with the chain) for TLS. Read again when it changes. Unless given, there is no TLS.",
        ..PRODUCER
    },
    Setting {
        key: "serve.tls_key",
        env: &["WINDLASS_SERVE_TLS_KEY"],
        kind: Kind::Path,
        help: "Private key (PEM) of that certificate.",
        ..PRODUCER
    },
    Setting {
        key: "serve.tokens_file",
        env: &["WINDLASS_SERVE_TOKENS_FILE"],
        kind: Kind::Path,
        help: "File (TOML) of tokens, besides those of this one. Read again when it changes, so that tokens can be changed without a restart.",
        ..PRODUCER
    },
    Setting {
        key: "serve.open_metrics",
        env: &["WINDLASS_SERVE_OPEN_METRICS"],
        kind: Kind::Flag,
        default: "false",
        help: "Give /metrics to anybody who reaches the port, without a token.",
        ..PRODUCER
    },
    Setting {
        key: "serve.cors_origins",
        env: &["WINDLASS_SERVE_CORS_ORIGINS"],
        kind: Kind::List("origins such as https://ops.example.com", check_origin),
        help: "Web pages of other origins that may call the API with a token. Unless given, none may.",
        ..PRODUCER
    },
    Setting {
        key: "serve.max_body",
        env: &["WINDLASS_SERVE_MAX_BODY"],
        kind: Kind::Bytes(1 << 10, LARGEST),
        default: "8MiB",
        help: "Largest body of a request. Bulk submission has none; each of its lines may be as large as a payload.",
        ..PRODUCER
    },
    Setting {
        key: "serve.max_requests",
        env: &["WINDLASS_SERVE_MAX_REQUESTS"],
        kind: Kind::Count(1, 1_000_000),
        default: "1024",
        help: "Requests that are worked on at once; more are told to come again. Those that wait or stream count too.",
        ..PRODUCER
    },
    Setting {
        key: "serve.drain_timeout",
        env: &["WINDLASS_SERVE_DRAIN_TIMEOUT"],
        kind: Kind::Duration(Duration::ZERO, HOUR),
        default: "10s",
        help: "How long requests may go on after SIGTERM.",
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
        key: "worker.admin",
        env: &["WINDLASS_ADMIN"],
        kind: Kind::Name("an address such as 127.0.0.1:9464", check::<SocketAddr>),
        help: "Where /livez, /readyz and /metrics are answered. Unless given, nowhere.",
        ..WORKER
    },
    Setting {
        key: "kubernetes.pod_deletion_cost",
        env: &["WINDLASS_POD_DELETION_COST"],
        kind: Kind::Flag,
        default: "false",
        help: "Tell Kubernetes how many tasks this pod runs, so that idle pods go first when a pool shrinks. Needs the variables POD_NAME and POD_NAMESPACE, and the right to patch pods: see docs/kubernetes.md.",
        ..WORKER
    },
    Setting {
        key: "kubernetes.api",
        env: &["WINDLASS_KUBERNETES_API"],
        kind: Kind::HttpUrl,
        help: "The API server of Kubernetes, if it is not the one that the pod is told of.",
        ..WORKER
    },
    Setting {
        key: "metrics.push_gateway",
        env: &["WINDLASS_PUSH_GATEWAY"],
        kind: Kind::HttpUrl,
        help: "A push gateway of Prometheus that is told the metrics every 15 s and at the end, for workers that do not live long enough to be scraped.",
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
        key: "worker.max_interruptions",
        env: &["WINDLASS_MAX_INTERRUPTIONS"],
        kind: Kind::Count(1, 1_000_000),
        default: "100",
        help: "A task that draining nodes gave back more often than this fails: it may need longer than nodes live.",
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
        key: "sandbox.mode",
        env: &["WINDLASS_SANDBOX_MODE"],
        kind: MODE,
        default: "best",
        help: "How commands and produced code are shut in: not at all, as well as the host can, or as configured, without which the types that run them are not offered. See docs/sandbox.md.",
        ..WORKER
    },
    Setting {
        key: "sandbox.read",
        env: &["WINDLASS_SANDBOX_READ"],
        kind: PATHS,
        help: "What they may read and run, besides the system's own folders and those of PATH.",
        ..WORKER
    },
    Setting {
        key: "sandbox.write",
        env: &["WINDLASS_SANDBOX_WRITE"],
        kind: PATHS,
        help: "What they may change, besides their workspace.",
        ..WORKER
    },
    Setting {
        key: "sandbox.network",
        env: &["WINDLASS_SANDBOX_NETWORK"],
        kind: Kind::Flag,
        help: "Whether they have a network. Unless given, commands have one and code that a model wrote has none.",
        ..WORKER
    },
    Setting {
        key: "sandbox.bubblewrap",
        env: &["WINDLASS_SANDBOX_BUBBLEWRAP"],
        kind: Kind::Choice(&["auto", "off"]),
        default: "auto",
        help: "Whether bubblewrap (bwrap), where it is installed and works, gives them namespaces of their own.",
        ..WORKER
    },
    Setting {
        key: "sandbox.cpu_time",
        env: &["WINDLASS_SANDBOX_CPU_TIME"],
        kind: CPU_TIME,
        default: "1h",
        help: "CPU time that each of their processes may use.",
        ..WORKER
    },
    Setting {
        key: "sandbox.memory",
        env: &["WINDLASS_SANDBOX_MEMORY"],
        kind: MEMORY,
        default: "4GiB",
        help: "Memory that each of their processes may allocate.",
        ..WORKER
    },
    Setting {
        key: "sandbox.processes",
        env: &["WINDLASS_SANDBOX_PROCESSES"],
        kind: PROCESSES,
        default: "512",
        help: "Processes that a command may have at once. One that has more is ended.",
        ..WORKER
    },
    Setting {
        key: "sandbox.file_size",
        env: &["WINDLASS_SANDBOX_FILE_SIZE"],
        kind: FILE_SIZE,
        default: "1GiB",
        help: "Largest file that they may write.",
        ..WORKER
    },
    Setting {
        key: "sandbox.open_files",
        env: &["WINDLASS_SANDBOX_OPEN_FILES"],
        kind: OPEN_FILES,
        default: "1024",
        help: "Files that each of their processes may have open.",
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
    Setting {
        key: "llm.catalog",
        env: &["WINDLASS_LLM_CATALOG"],
        kind: Kind::Path,
        help: "A file of models that completes and corrects the built-in catalog: see docs/models.md.",
        ..BASE
    },
    Setting {
        key: "llm.embedded_model",
        env: &["WINDLASS_EMBEDDED_MODEL"],
        kind: Kind::Path,
        help: "File with the weights of a small model that runs within the worker (GGUF).",
        ..WORKER
    },
    Setting {
        key: "llm.mode",
        env: &["WINDLASS_LLM_MODE"],
        kind: Kind::Choice(&["balanced", "cheapest", "fastest", "quality"]),
        default: "balanced",
        help: "What the selector of models prefers.",
        ..BASE
    },
    Setting {
        key: "llm.slot_wait",
        env: &["WINDLASS_LLM_SLOT_WAIT"],
        kind: Kind::Duration(Duration::ZERO, HOUR),
        default: "2s",
        help: "Longest wait for a limit within a slot. A task that must wait longer gives its slot back.",
        ..WORKER
    },
    Setting {
        key: "llm.max_calls",
        env: &["WINDLASS_LLM_MAX_CALLS"],
        kind: Kind::Count(1, 1000),
        default: "20",
        help: "Most calls that a task may make, all attempts, models and repairs together.",
        ..WORKER
    },
    Setting {
        key: "llm.max_waits",
        env: &["WINDLASS_LLM_MAX_WAITS"],
        kind: Kind::Count(1, 1_000_000),
        default: "1000",
        help: "A task that gave its slot back this often for a limit fails instead.",
        ..WORKER
    },
    Setting {
        key: "llm.cache",
        env: &["WINDLASS_LLM_CACHE"],
        kind: Kind::Choice(&["off", "exact", "semantic"]),
        default: "exact",
        help: "Which answers are used again: none, those to the same request, or also those to one that means the same.",
        ..WORKER
    },
    Setting {
        key: "llm.cache_ttl",
        env: &["WINDLASS_LLM_CACHE_TTL"],
        kind: Kind::Duration(SECOND, FOREVER),
        default: "1h",
        help: "For how long.",
        ..WORKER
    },
    Setting {
        key: "llm.cache_shared",
        env: &["WINDLASS_LLM_CACHE_SHARED"],
        kind: Kind::Flag,
        default: "false",
        help: "Use answers across tenants.",
        ..WORKER
    },
    Setting {
        key: "llm.semantic_threshold",
        env: &["WINDLASS_LLM_SEMANTIC_THRESHOLD"],
        kind: Kind::Name("a number from 0.5 to 1", check_threshold),
        default: "0.95",
        help: "Least likeness (cosine) of two requests that mean the same. Their numbers, names, paths and quotations must be equal besides.",
        ..WORKER
    },
    Setting {
        key: "llm.semantic_entries",
        env: &["WINDLASS_LLM_SEMANTIC_ENTRIES"],
        kind: Kind::Count(1, 100_000),
        default: "2000",
        help: "Requests that a tenant's semantic cache keeps.",
        ..WORKER
    },
    Setting {
        key: "llm.embeddings",
        env: &["WINDLASS_LLM_EMBEDDINGS"],
        default: "built-in",
        help: "What compares requests for the semantic cache: `built-in`, or PROVIDER/MODEL.",
        ..WORKER
    },
    Setting {
        key: "llm.source_root",
        env: &["WINDLASS_SOURCE_ROOT"],
        kind: Kind::Path,
        help: "Folder below which llm tasks may read files. Unless given, only files within the payload are read.",
        ..WORKER
    },
    Setting {
        key: "breaker.enabled",
        env: &["WINDLASS_BREAKER", "OPENHANDS_ENABLE_CIRCUIT_BREAKER"],
        kind: Kind::Flag,
        default: "true",
        help: "Whether models and hosts that fail are left alone for a while, by the whole fleet.",
        ..WORKER
    },
    Setting {
        key: "breaker.threshold",
        env: &["WINDLASS_BREAKER_THRESHOLD"],
        kind: Kind::Count(1, 1000),
        default: "5",
        help: "Failures in a row after which one is left alone.",
        ..WORKER
    },
    Setting {
        key: "breaker.recovery",
        env: &["WINDLASS_BREAKER_RECOVERY"],
        kind: Kind::Duration(Duration::from_millis(10), HOUR),
        default: "60s",
        help: "For how long.",
        ..WORKER
    },
    Setting {
        key: "breaker.probes",
        env: &["WINDLASS_BREAKER_PROBES"],
        kind: Kind::Count(1, 100),
        default: "3",
        help: "Calls that then try it, all of which must succeed.",
        ..WORKER
    },
];

/// Modes of the sandbox, and its limits; the same for a type.
pub(super) const MODE: Kind = Kind::Choice(&["off", "best", "required"]);
pub(super) const CPU_TIME: Kind = Kind::Duration(SECOND, FOREVER);
pub(super) const MEMORY: Kind = Kind::Bytes(64 << 20, 1 << 50);
pub(super) const PROCESSES: Kind = Kind::Count(1, 1_000_000);
pub(super) const FILE_SIZE: Kind = Kind::Bytes(1, 1 << 50);
pub(super) const OPEN_FILES: Kind = Kind::Count(16, 1_000_000);
pub(super) const PATHS: Kind = Kind::List("absolute paths such as /srv/models,/data", check_path);

fn check_path(text: &str) -> Result<(), String> {
    if text.starts_with('/') {
        return Ok(());
    }
    Err(format!("{text:?} is not an absolute path: let it begin with /"))
}

/// Patterns of hosts.
pub(super) const HOSTS: Kind = Kind::List("hosts such as api.example.com,*.example.org", check_host);

/// A URL with keys in it would be printed with them.
fn check_object_url(text: &str) -> Result<(), String> {
    let good = match text.split_once("://") {
        Some(("file", path)) => path.starts_with('/') && path.len() > 1,
        Some(("s3", rest)) => {
            !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['@', '?', '#', ':'])
        }
        _ => false,
    };
    if good && !text.contains(char::is_control) {
        return Ok(());
    }
    Err("it is not file:///PATH or s3://BUCKET/PREFIX (keys are given as claim_check.access_key_id and claim_check.secret_access_key)".into())
}

fn check_origin(text: &str) -> Result<(), String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    if !host.is_empty() && host.chars().all(plain) {
        return Ok(());
    }
    Err(format!("{text:?} is not an origin: use one such as https://ops.example.com, without a path"))
}

fn check_threshold(text: &str) -> Result<(), String> {
    match text.parse::<f64>() {
        Ok(number) if (0.5..=1.0).contains(&number) => Ok(()),
        _ => Err(format!("{text:?} is not valid: use a number from 0.5 to 1")),
    }
}

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
