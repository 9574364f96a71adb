//! Calls to models.

use std::time::Duration;

use super::{BASE, HOUR, SECOND, WORKER};
use crate::config::{
    kind::{FOREVER, Kind},
    setting::Setting,
};

pub(super) const SETTINGS: &[Setting] = &[
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

fn check_threshold(text: &str) -> Result<(), String> {
    match text.parse::<f64>() {
        Ok(number) if (0.5..=1.0).contains(&number) => Ok(()),
        _ => Err(format!("{text:?} is not valid: use a number from 0.5 to 1")),
    }
}
