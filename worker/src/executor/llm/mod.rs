//! `llm`: a request to language models, as a pipeline: preprocess, generate, postprocess, validate.
//!
//! | field | meaning |
//! | --- | --- |
//! | `prompt` | what to ask; or else `messages`, a conversation of `{"role", "content"}`; or `description` |
//! | `system` | instructions that come before it |
//! | `files`, `target_file`, `context` | files that the model is shown: by text, by path, by globs |
//! | `model` | the model that must answer; else `requirements` of one |
//! | `complexity`, `category` | what the selector of models is told besides |
//! | `quality_threshold` | the score, 0 to 1, that the validated answer needs |
//! | `response_schema` | JSON Schema of the answer |
//! | `tools`, `tool_choice` | functions that the model may ask for; its calls are the result |
//! | `temperature`, `max_tokens`, `top_p`, `seed`, `stop`, `reasoning_effort` | passed on |
//! | `extra` | fields that only one provider knows, sent as they are, such as OpenRouter's `models` |
//! | `cache` | false: no answer is used again |

mod asker;
mod output;
mod payload;
mod round;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, value::RawValue};
use tokio::sync::Mutex;
use windlass_llm::select::Requirements;
use windlass_shared::{
    config::{CacheKind, Config, LlmTypeSettings, PipelineSpec, TypeSpec, pipeline::StageSpec},
    model::ErrorClass,
};

use self::{payload::Payload, round::Rounds};
use super::{Executor, Failure, Job};
use crate::{
    executor::Next,
    gateway::{Gateway, Ledger, Who},
    metrics::exemplar,
    pipeline::Pipeline,
    sandbox::{Host, Sandbox},
};

/// Reads a payload as far as that needs no provider.
#[cfg(feature = "fuzz")]
pub(super) fn read(text: &str) {
    Payload::fuzz(text);
}

/// Asks language models.
pub(crate) struct LlmExecutor {
    gateway: Arc<Gateway>,
    options: Options,
}

/// Why a type cannot be offered.
pub(crate) enum Unusable {
    /// The configuration is wrong.
    Faults(Vec<String>),
    /// None of its models can be called from here.
    NoProvider(String),
}

/// What the type says.
pub(crate) struct Options {
    pub(crate) settings: LlmTypeSettings,
    /// The models that may answer, where a task names none; empty: those that the selector finds.
    pub(crate) route: Vec<String>,
    pub(crate) requirements: Requirements,
    /// The type's own; a type without one asks and takes the answer as it is.
    pub(crate) pipeline: Option<Pipeline>,
    /// It can make a request shorter.
    pub(crate) fits: bool,
    pub(crate) cache: CacheKind,
    pub(crate) mode: String,
    /// Sent with each request as it is.
    pub(crate) extra: serde_json::Map<String, Value>,
    pub(crate) source_root: Option<PathBuf>,
    pub(crate) workspace_root: PathBuf,
    pub(crate) env_allow: Vec<String>,
    pub(crate) sandbox: Sandbox,
    pub(crate) timeout: Duration,
}

impl LlmExecutor {
    /// An executor of a type, or everything that is wrong with what the configuration says of it.
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        name: &str,
        spec: &TypeSpec,
        config: &Config,
        host: &Host,
    ) -> Result<Self, Unusable> {
        let options = Options::read(&gateway, name, spec, config, host).map_err(Unusable::Faults)?;
        // The general type is offered anyway, and says what to configure.
        if config.types.keys().any(|declared| declared.as_str() == name)
            && let Some(why) = gateway.none_of(&options.route)
        {
            return Err(Unusable::NoProvider(why));
        }
        Ok(Self { gateway, options })
    }
}

impl Options {
    fn read(
        gateway: &Gateway,
        name: &str,
        spec: &TypeSpec,
        config: &Config,
        host: &Host,
    ) -> Result<Self, Vec<String>> {
        let (own, general) = (&spec.llm, &config.llm);
        let mut faults = Vec::new();
        let requirements = match own.requirements.clone().map(serde_json::from_value::<Requirements>) {
            None => Requirements::default(),
            Some(Ok(requirements)) => requirements,
            Some(Err(error)) => {
                faults.push(format!("llm.requirements: {error}"));
                Requirements::default()
            }
        };
        let table =
            own.pipeline.as_ref().map(|table| with_schema(table.clone(), own.response_schema.as_ref()));
        let spec_of_pipeline = table.as_ref().map(PipelineSpec::read).transpose();
        let built = spec_of_pipeline.and_then(|spec| {
            spec.map(|spec| Pipeline::new(&spec).map(|built| (fits(&spec), built))).transpose()
        });
        let (fits, pipeline) = match built {
            Ok(Some((fits, pipeline))) => (fits, Some(pipeline)),
            Ok(None) => (false, None),
            Err(more) => {
                faults.extend(more.into_iter().map(|fault| format!("llm.pipeline: {fault}")));
                (false, None)
            }
        };
        // What the type says goes before what is said in general, and a name before a description.
        let named = own.model.iter().chain(&own.route).cloned().collect::<Vec<_>>();
        let chosen = !named.is_empty() || own.requirements.is_some() || own.category.is_some();
        let mut route = if chosen { named } else { general.model.iter().cloned().collect() };
        if own.base_url.is_some() {
            let model = own.model.clone().or_else(|| general.model.clone());
            route =
                model.into_iter().map(|model| format!("{}/{model}", crate::gateway::of_type(name))).collect();
        }
        for model in &route {
            // One that its provider may still list is looked for again with each task.
            if let Err(failure) = gateway.named(model)
                && failure.class == ErrorClass::BadRequest
            {
                faults.push(format!("llm.model: {}", failure.message));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            settings: own.clone(),
            route,
            requirements,
            pipeline,
            fits,
            cache: own.cache.unwrap_or(general.cache),
            mode: own.mode.clone().unwrap_or_else(|| general.mode.clone()),
            extra: own.extra.as_ref().and_then(Value::as_object).cloned().unwrap_or_default(),
            source_root: general.source_root.clone(),
            workspace_root: config.worker.workspace.clone(),
            env_allow: spec.command.env_allow.clone(),
            sandbox: Sandbox::new(config.sandbox.for_type(&spec.sandbox), host),
            timeout: spec.timeout.unwrap_or(config.worker.timeout),
        })
    }
}

#[async_trait]
impl Executor for LlmExecutor {
    async fn execute(&self, job: &Job) -> Result<Box<RawValue>, Failure> {
        if let Some(why) = self.gateway.nothing_to_call() {
            return Err(Failure::bad_request(why));
        }
        let most = self.gateway.settings.max_calls;
        let tracker = self.gateway.reports.clone();
        let ledger = Ledger::open(job.ledger.as_deref(), job.attempt, most, job.carry.clone(), tracker);
        let ledger = Arc::new(Mutex::new(ledger));
        let outcome = self.attempt(job, &ledger).await;
        let ledger = ledger.lock().await;
        outcome.map_err(|failure| self.explained(failure, job, &ledger))
    }
}

impl LlmExecutor {
    async fn attempt(&self, job: &Job, ledger: &Arc<Mutex<Ledger>>) -> Result<Box<RawValue>, Failure> {
        let payload = Payload::read(job, &self.options)?;
        let who = self.who(job, &payload);
        Rounds::new(self, job, payload, who, Arc::clone(ledger))?.run().await
    }

    fn who(&self, job: &Job, payload: &Payload) -> Who {
        let of_type = Some(job.task_type.as_str()).filter(|name| *name != "llm");
        let category = payload.category.as_deref().or(self.options.settings.category.as_deref()).or(of_type);
        Who {
            tenant: job.tenant.clone().unwrap_or_default(),
            batch: job.batch.clone().unwrap_or_default(),
            queue: job.reference.queue.to_string(),
            task_type: job.task_type.to_string(),
            category: category.unwrap_or_default().to_owned(),
            rank: job.priority.band(),
            returning: job.waits > 0,
            trace: exemplar(job.trace.as_ref()),
        }
    }

    /// A failure tells the next attempt, and people, which calls were made; and a task does not wait for ever.
    fn explained(&self, failure: Failure, job: &Job, ledger: &Ledger) -> Failure {
        let failure = match failure.next {
            Next::Wait { .. } if job.waits >= self.gateway.settings.max_waits => {
                let message = format!(
                    "waited {} times for a limit (setting llm.max_waits): {}",
                    job.waits, failure.message
                );
                Failure { message, next: Next::Never, ..failure }
            }
            Next::Policy | Next::Wait { .. } if ledger.is_full() => Failure { next: Next::Never, ..failure },
            _ => failure,
        };
        if ledger.calls().is_empty() || !failure.ledger.is_empty() {
            return failure;
        }
        Failure { ledger: ledger.to_json(), ..failure }
    }
}

/// A schema that a type asks for is checked, too, unless its pipeline does so already.
fn with_schema(mut table: Value, schema: Option<&Value>) -> Value {
    let Some(schema) = schema else { return table };
    let is_check = |check: &Value| check == "json_schema" || check["validator"] == "json_schema";
    let Some(fields) = table.as_object_mut() else { return table };
    let checks = fields.entry("validate").or_insert_with(|| Value::Array(Vec::new()));
    if let Some(checks) = checks.as_array_mut()
        && !checks.iter().any(is_check)
    {
        checks.insert(0, serde_json::json!({ "validator": "json_schema", "schema": schema }));
    }
    table
}

fn fits(spec: &PipelineSpec) -> bool {
    spec.preprocess.iter().any(|stage| matches!(stage, StageSpec::Fit(_)))
}

/// A class that says that a model's answer was no good, as against one that says that no model could be asked.
fn is_of_the_answer(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::MalformedOutput | ErrorClass::Validation)
}

/// JSON that was asked for, for the format of the request.
fn schema_name(task_type: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    task_type.chars().map(plain).take(64).collect()
}

/// Merges what a task says into what its type says.
fn merged(mut of_type: Value, of_task: Option<&Value>) -> Value {
    if let (Some(fields), Some(Value::Object(more))) = (of_type.as_object_mut(), of_task) {
        fields.extend(more.clone());
    }
    of_type
}
