//! How `llm` tasks use models, for all tasks and for a type.

use std::{path::PathBuf, time::Duration};

use serde_json::Value as Json;

use super::{layers::Values, secret::Secret};

/// Which answers are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheKind {
    /// None.
    Off,
    /// Those to the same request.
    #[default]
    Exact,
    /// Also those to a request that means the same.
    Semantic,
}

/// `llm.*`: how `llm` tasks use models.
#[derive(Debug, Clone, PartialEq)]
pub struct LlmSettings {
    /// The service; else the one that belongs to the variable that holds the key. Has no password.
    pub base_url: Option<String>,
    /// The model, where neither the task nor its type says anything about it.
    pub model: Option<String>,
    /// The key.
    pub api_key: Option<Secret>,
    /// A file of models.
    pub catalog: Option<PathBuf>,
    /// Weights of a model that runs within the worker.
    pub embedded_model: Option<PathBuf>,
    /// `balanced`, `cheapest`, `fastest` or `quality`.
    pub mode: String,
    /// Longest wait for a limit within a slot.
    pub slot_wait: Duration,
    /// Most calls of a task.
    pub max_calls: usize,
    /// Most waits of a task.
    pub max_waits: u32,
    /// Which answers are used again.
    pub cache: CacheKind,
    /// For how long.
    pub cache_ttl: Duration,
    /// Across tenants.
    pub cache_shared: bool,
    /// Least likeness of two requests that mean the same.
    pub semantic_threshold: f64,
    /// Requests that a tenant's semantic cache keeps.
    pub semantic_entries: usize,
    /// What compares requests.
    pub embeddings: String,
    /// Folder below which files may be read.
    pub source_root: Option<PathBuf>,
}

/// `breaker.*`: when models and hosts that fail are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// At all.
    pub enabled: bool,
    /// Failures in a row.
    pub threshold: u32,
    /// For how long.
    pub recovery: Duration,
    /// Calls that then try it.
    pub probes: u32,
}

/// `types.NAME.llm.*`. What a type does not say comes from the settings for all tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct LlmTypeSettings {
    /// The service, instead of the general ones. Has no password.
    pub base_url: Option<String>,
    /// The model, where a task names none.
    pub model: Option<String>,
    /// The key.
    pub api_key: Option<Secret>,
    /// Models in order of preference.
    pub route: Vec<String>,
    /// Kind of work.
    pub category: Option<String>,
    /// What a model must have; JSON that the selector reads.
    pub requirements: Option<Json>,
    /// What the selector prefers.
    pub mode: Option<String>,
    /// Where a task gives none.
    pub temperature: Option<f64>,
    /// Where a task gives none.
    pub max_tokens: Option<u32>,
    /// JSON Schema of the answer.
    pub response_schema: Option<Json>,
    /// Fields of each request that only one provider knows; a JSON object.
    pub extra: Option<Json>,
    /// Which answers are used again.
    pub cache: Option<CacheKind>,
    /// How often a model may mend its answer.
    pub repairs: u32,
    /// People decide when no model gave a valid answer.
    pub escalate: bool,
    /// Another provider is asked when one refuses for content.
    pub rotate_on_refusal: bool,
    /// Stages and validators; JSON that the pipeline reads.
    pub pipeline: Option<Json>,
}

fn cache(word: &str) -> CacheKind {
    match word {
        "off" => CacheKind::Off,
        "semantic" => CacheKind::Semantic,
        _ => CacheKind::Exact,
    }
}

impl LlmSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        let threshold: String = values.get("llm.semantic_threshold");
        Self {
            base_url: values.get("llm.base_url"),
            model: values.get("llm.model"),
            api_key: values.get("llm.api_key"),
            catalog: values.get("llm.catalog"),
            embedded_model: values.get("llm.embedded_model"),
            mode: values.get("llm.mode"),
            slot_wait: values.get("llm.slot_wait"),
            max_calls: values.get("llm.max_calls"),
            max_waits: values.get("llm.max_waits"),
            cache: cache(&values.get::<String>("llm.cache")),
            cache_ttl: values.get("llm.cache_ttl"),
            cache_shared: values.get("llm.cache_shared"),
            semantic_threshold: threshold.parse().unwrap_or(0.95),
            semantic_entries: values.get("llm.semantic_entries"),
            embeddings: values.get("llm.embeddings"),
            source_root: values.get("llm.source_root"),
        }
    }
}

impl BreakerSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self {
            enabled: values.get("breaker.enabled"),
            threshold: values.get("breaker.threshold"),
            recovery: values.get("breaker.recovery"),
            probes: values.get("breaker.probes"),
        }
    }
}

impl LlmTypeSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        let word = |name: &str| -> Option<String> { values.get(name) };
        Self {
            base_url: word("llm.base_url"),
            model: word("llm.model"),
            api_key: values.get("llm.api_key"),
            route: values.get("llm.route"),
            category: word("llm.category"),
            requirements: values.get("llm.requirements"),
            mode: word("llm.mode"),
            temperature: word("llm.temperature").and_then(|text| text.parse().ok()),
            max_tokens: values.get("llm.max_tokens"),
            response_schema: values.get("llm.response_schema"),
            extra: values.get("llm.extra"),
            cache: word("llm.cache").as_deref().map(cache),
            repairs: values.get("llm.repairs"),
            escalate: word("llm.on_invalid").as_deref() == Some("escalate"),
            rotate_on_refusal: word("llm.on_refusal").as_deref() != Some("fail"),
            pipeline: values.get("llm.pipeline"),
        }
    }
}
