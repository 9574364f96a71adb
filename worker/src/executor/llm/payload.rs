//! What a task asks for.

use serde::Deserialize;
use serde_json::{Map, Value};
use windlass_llm::{
    ChatRequest, Content, Message, OutputFormat, Role, Tool, ToolCall, ToolChoice,
    select::{Complexity, Requirements},
};

use super::{Failure, Job, Options, merged, schema_name};
use crate::{gateway::Gateway, pipeline::Draft};

/// The payload of an `llm` task. Fields that are not listed here are variables of the type's templates.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Payload {
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) requirements: Option<Value>,
    #[serde(default)]
    pub(super) category: Option<String>,
    #[serde(default)]
    pub(super) complexity: Option<Complexity>,
    #[serde(default)]
    pub(super) quality_threshold: Option<f64>,
    #[serde(default)]
    pub(super) temperature: Option<f64>,
    #[serde(default)]
    pub(super) max_tokens: Option<u32>,
    #[serde(default)]
    pub(super) top_p: Option<f64>,
    #[serde(default)]
    pub(super) seed: Option<i64>,
    #[serde(default)]
    pub(super) stop: Vec<String>,
    #[serde(default)]
    pub(super) reasoning_effort: Option<String>,
    #[serde(default)]
    pub(super) response_schema: Option<Value>,
    #[serde(default)]
    pub(super) tools: Vec<Value>,
    #[serde(default)]
    pub(super) tool_choice: Option<Value>,
    #[serde(default)]
    pub(super) cache: Option<bool>,
    /// Passed on as it is, for what only one provider knows.
    #[serde(default)]
    pub(super) extra: Map<String, Value>,
    /// Everything else; the draft reads its own fields from the whole.
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
    #[serde(skip)]
    whole: Value,
}

/// Fields that the draft reads.
const OF_THE_DRAFT: [&str; 7] =
    ["prompt", "messages", "system", "description", "files", "target_file", "context"];

impl Payload {
    pub(super) fn read(job: &Job, options: &Options) -> Result<Self, Failure> {
        let whole: Value = job.read_payload()?;
        let bad =
            |error: serde_json::Error| Failure::bad_request(format!("the payload is not valid: {error}"));
        let mut payload = Self::deserialize(&whole).map_err(bad)?;
        // Without templates of its own, a type has no use for further fields.
        let unknown = payload.others.keys().find(|name| !OF_THE_DRAFT.contains(&name.as_str()));
        if let Some(name) = unknown.filter(|_| options.pipeline.is_none()) {
            return Err(Failure::bad_request(format!(
                "the payload is not valid: unknown field `{name}`: see docs/tasks.md for those of `llm`"
            )));
        }
        if payload.quality_threshold.is_some_and(|q| !(0.0..=1.0).contains(&q)) {
            return Err(Failure::bad_request("`quality_threshold` must be a number from 0 to 1"));
        }
        let conflict = payload.others.contains_key("prompt") && payload.others.contains_key("messages");
        let asked =
            ["prompt", "messages", "description"].iter().any(|name| payload.others.contains_key(*name));
        if conflict || (!asked && options.pipeline.is_none()) {
            return Err(Failure::bad_request("give either a `prompt` or `messages`, at least one"));
        }
        payload.check_conversation()?;
        payload.whole = whole;
        Ok(payload)
    }

    #[cfg(feature = "fuzz")]
    pub(super) fn fuzz(text: &str) {
        let Ok(whole) = serde_json::from_str::<Value>(text) else { return };
        let Ok(mut payload) = Self::deserialize(&whole) else { return };
        let _ = payload
            .requirements
            .as_ref()
            .map(|need| Requirements::deserialize(need).map(|need| need.check()));
        payload.tools.iter().for_each(|value| drop(tool(value)));
        payload.tool_choice.iter().for_each(|value| drop(tool_choice(value)));
        if payload.check_conversation().is_ok() {
            payload.whole = whole;
            let _ = payload.draft();
        }
    }

    /// What the pipeline begins with.
    pub(super) fn draft(&self) -> Result<Draft, Failure> {
        // Conversations with tools have messages that the pipeline does not read; they are sent as they are.
        if self.conversation().is_some() {
            let mut whole = self.whole.clone();
            if let Some(fields) = whole.as_object_mut() {
                fields.remove("messages");
                fields.insert("prompt".into(), Value::String(String::new()));
            }
            return Draft::of_payload(&whole);
        }
        Draft::of_payload(&self.whole)
    }

    /// The messages as they are, where they hold more than texts.
    pub(super) fn conversation(&self) -> Option<Vec<Message>> {
        let messages = self.others.get("messages")?.as_array()?;
        let plain = |message: &Value| {
            message["content"].is_string()
                && message.get("tool_calls").is_none()
                && ["system", "user", "assistant"].iter().any(|role| message["role"] == *role)
        };
        if messages.iter().all(plain) {
            return None;
        }
        messages.iter().map(message).collect()
    }

    /// A conversation whose messages are no messages.
    fn check_conversation(&self) -> Result<(), Failure> {
        let Some(messages) = self.others.get("messages") else { return Ok(()) };
        let bad = messages
            .as_array()
            .is_none_or(|list| list.is_empty() || list.iter().any(|m| message(m).is_none()));
        if bad {
            return Err(Failure::bad_request(
                "`messages` is not valid: give at least one {\"role\", \"content\"} with the role system, developer, \
                 user, assistant or tool",
            ));
        }
        Ok(())
    }

    /// Requirements of a model: the type's, the task's over them.
    ///
    /// A task whose node was lost may have been too much for it because of the model that was asked, such as one that
    /// runs within the node: each time, the route begins with the next model.
    pub(super) fn requirements(
        &self,
        gateway: &Gateway,
        options: &Options,
        crashes: u32,
    ) -> Result<Requirements, Failure> {
        let of_type = serde_json::to_value(&options.requirements).unwrap_or_default();
        let mut need: Requirements = serde_json::from_value(merged(of_type, self.requirements.as_ref()))
            .map_err(|error| Failure::bad_request(format!("`requirements`: {error}")))?;
        if let Some(complexity) = self.complexity {
            need.complexity = complexity;
        }
        let mut route = match &self.model {
            Some(model) => vec![model.clone()],
            // A task that says what it needs does not want the usual model.
            None if self.requirements.is_some() && need.models.is_empty() => Vec::new(),
            None if !need.models.is_empty() => need.models.clone(),
            None => options.route.clone(),
        };
        if !route.is_empty() {
            let lost = crashes as usize % route.len();
            route.rotate_left(lost);
        }
        need.models = route.iter().map(|name| gateway.named(name)).collect::<Result<_, _>>()?;
        need.check()
            .map_err(|faults| Failure::bad_request(format!("`requirements`: {}", faults.join("; "))))?;
        need.tools |= !self.tools.is_empty();
        if self.response_schema.is_some() || options.settings.response_schema.is_some() {
            need.json = true;
        }
        Ok(need)
    }

    /// The request without its messages.
    pub(super) fn request(&self, job: &Job, options: &Options) -> Result<ChatRequest, Failure> {
        let schema = self.response_schema.as_ref().or(options.settings.response_schema.as_ref());
        Ok(ChatRequest {
            max_tokens: self.max_tokens.or(options.settings.max_tokens),
            temperature: self.temperature.or(options.settings.temperature),
            top_p: self.top_p,
            seed: self.seed,
            stop: self.stop.clone(),
            reasoning_effort: self.reasoning_effort.clone(),
            tools: self.tools.iter().map(tool).collect::<Result<_, _>>()?,
            tool_choice: self.tool_choice.as_ref().map(tool_choice).transpose()?,
            format: schema.map(|schema| OutputFormat::Schema {
                name: schema_name(job.task_type.as_str()),
                schema: schema.clone(),
                strict: false,
            }),
            cache_prompt: true,
            extra: merged(options.extra.clone().into(), Some(&self.extra.clone().into()))
                .as_object()
                .cloned()
                .unwrap_or_default(),
            ..ChatRequest::default()
        })
    }
}

/// A tool as OpenAI writes it (`{"type": "function", "function": {...}}`), or the inner part alone.
fn tool(value: &Value) -> Result<Tool, Failure> {
    let inner = value.get("function").unwrap_or(value);
    Tool::deserialize(inner).map_err(|error| Failure::bad_request(format!("`tools`: {error}")))
}

fn tool_choice(value: &Value) -> Result<ToolChoice, Failure> {
    match value.as_str() {
        Some("auto") => Ok(ToolChoice::Auto),
        Some("none") => Ok(ToolChoice::None),
        Some("required") => Ok(ToolChoice::Required),
        _ => match value.pointer("/function/name").and_then(Value::as_str) {
            Some(name) => Ok(ToolChoice::Named(name.to_owned())),
            None => Err(Failure::bad_request(
                "`tool_choice` is auto, none, required or {\"type\": \"function\", \"function\": {\"name\": ...}}",
            )),
        },
    }
}

fn message(value: &Value) -> Option<Message> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let content = match &value["content"] {
        Value::Array(parts) => Content::Parts(parts.clone()),
        Value::String(text) => Content::Text(text.clone()),
        _ => Content::Text(String::new()),
    };
    let call = |call: &Value| {
        Some(ToolCall {
            id: call["id"].as_str()?.to_owned(),
            name: call.pointer("/function/name")?.as_str()?.to_owned(),
            arguments: call.pointer("/function/arguments")?.as_str()?.to_owned(),
        })
    };
    Some(Message {
        role: Role::deserialize(&value["role"]).ok()?,
        content,
        tool_calls: value["tool_calls"].as_array().into_iter().flatten().filter_map(call).collect(),
        tool_call_id: text("tool_call_id"),
        name: text("name"),
    })
}
