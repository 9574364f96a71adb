//! One chat completion: what is asked and what is answered, in words that no provider owns.
//!
//! The codecs (`openai`, `anthropic`) turn these types into what a provider reads and back. Nothing here is sent as
//! it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Class, LimitFacts};

/// What is asked of a model. Whatever is absent is left to the provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatRequest {
    /// Name of the model, as the provider knows it.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Longest answer, in tokens. Anthropic demands a number, so there it is 4096 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0 to 2 (Anthropic: 0 to 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// For answers that repeat, as far as a provider can. Anthropic has none; there it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// The answer ends before any of these. `OpenAI` takes at most four.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// What the model may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether it must.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// JSON instead of prose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<OutputFormat>,
    /// `low`, `medium`, `high` or what else the model knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Lets Anthropic cache the instructions and the conversation up to the last message of the user. Other
    /// providers cache by themselves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cache_prompt: bool,
    /// Further fields of the body, passed on untouched. None of them replaces what the fields above say.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions from the program.
    System,
    /// The same, as newer models call it. Sent as `system` where a server may not know it.
    Developer,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// A tool that the model called.
    Tool,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said. Empty where an assistant only called tools.
    #[serde(default)]
    pub content: Content,
    /// What the assistant called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Which call a tool answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Tells apart several who share a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// A message of text alone.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        let content = Content::Text(text.into());
        Self { role, content, tool_calls: Vec::new(), tool_call_id: None, name: None }
    }
}

/// What a message holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Text alone.
    Text(String),
    /// Parts as `OpenAI` writes them, such as `{"type": "image_url", "image_url": {"url": "https://…"}}`.
    Parts(Vec<Value>),
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Content {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Parts(parts) => parts.is_empty(),
        }
    }
}

/// What a model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// At most 64 letters, digits, `_` and `-`.
    pub name: String,
    /// What it does and when to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    #[serde(default = "no_arguments")]
    pub parameters: Value,
    /// Whether arguments must fit the schema exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

fn no_arguments() -> Value {
    serde_json::json!({"type": "object", "properties": {}})
}

/// Whether a model must call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// Never.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// A call that a model wants made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// What the tool's answer refers to.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// JSON text as the model wrote it; a cut answer may end within it.
    pub arguments: String,
}

/// How an answer is to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OutputFormat {
    /// Any JSON object.
    Json,
    /// JSON that fits a schema.
    Schema {
        /// Letters, digits, `_` and `-`.
        name: String,
        /// JSON Schema of the answer.
        schema: Value,
        /// Whether the provider must hold the model to it while it writes. Such schemas are more limited.
        #[serde(default)]
        strict: bool,
    },
}

/// What a model answered: to its end, with text or calls of tools in it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatAnswer {
    /// The text. Empty only if there are calls of tools.
    pub text: String,
    /// What the model wants called.
    pub tool_calls: Vec<ToolCall>,
    /// The model that answered. It may have a more exact name than the one that was asked for.
    pub model: String,
    /// What the provider calls this answer.
    pub id: Option<String>,
    /// Why it ends.
    pub finish: Finish,
    /// Tokens, as the provider counted them.
    pub usage: Usage,
    /// What the call cost in USD, if the provider itself says so.
    pub cost_usd: Option<f64>,
    /// From sending the request to the first piece of the answer. Absent if the answer came as a whole.
    pub first_token: Option<Duration>,
    /// From sending the request to having read the answer.
    pub duration: Duration,
    /// What the headers say about limits.
    pub limits: LimitFacts,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model was done.
    Stop,
    /// It was cut by `max_tokens`.
    Length,
    /// The model waits for tools.
    ToolCalls,
}

impl Finish {
    /// The word for records, which is the one that `OpenAI` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
        }
    }
}

/// Tokens, as a provider counted them. What it does not say is not made up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All of the request, what came from a cache included.
    pub input: Option<u64>,
    /// All of the answer, reasoning included.
    pub output: Option<u64>,
    /// The part of the input that was read from the provider's cache.
    pub cached: Option<u64>,
    /// The part of the input that was written to it.
    pub cache_written: Option<u64>,
    /// The part of the output that nobody sees.
    pub reasoning: Option<u64>,
}

/// Why there is no answer. Holds no key and no prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ChatError {
    /// What decides about retries.
    pub class: Class,
    /// The HTTP status, if there was an answer at all.
    pub status: Option<u16>,
    /// For people.
    pub message: String,
    /// How long the provider asks us to wait. If it names no wait after a rate limit, this is when the limit that
    /// is used up starts anew.
    pub retry_after: Option<Duration>,
    /// What the headers say about limits.
    pub limits: LimitFacts,
    /// Of an answer that broke, as far as it was told.
    pub usage: Usage,
    /// Whether tokens may have been produced, and so be billed.
    pub began: bool,
}

impl ChatError {
    /// An error of which no more is known than this; nothing was produced.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            status: None,
            message: message.into(),
            retry_after: None,
            limits: LimitFacts::default(),
            usage: Usage::default(),
            began: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_read_as_people_write_it() {
        let request: ChatRequest = serde_json::from_value(json!({
            "model": "m",
            "messages": [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                {"role": "assistant", "tool_calls": [{"id": "c1", "name": "f", "arguments": "{}"}]},
                {"role": "tool", "tool_call_id": "c1", "content": "42"},
            ],
            "tools": [{"name": "f"}],
            "tool_choice": {"named": "f"},
            "format": {"schema": {"name": "n", "schema": {}}},
            "extra": {"top_k": 5},
        }))
        .unwrap();
        assert_eq!(request.messages[0], Message::text(Role::Developer, "be brief"));
        assert!(request.messages[2].content.is_empty());
        assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
        let again = serde_json::to_value(&request).unwrap();
        assert_eq!(serde_json::from_value::<ChatRequest>(again).unwrap(), request);
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(serde_json::from_value::<ChatRequest>(json!({"max_token": 3})).is_err());
    }
}
