//! One answer of a rule, as a scenario file writes it.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::words::{Headers, Span, Time, Word};
use crate::scripted::fault::{Fault, Kind, RetryAfter};

/// What a rule answers, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) struct Answer {
    pub(crate) what: What,
    /// How likely it is, beside the others, when they are drawn at random.
    pub(crate) weight: f64,
    pub(crate) manner: Manner,
    pub(crate) usage: UsageOverride,
    pub(crate) finish: Option<String>,
    pub(crate) thinking: Option<String>,
    /// US dollars.
    pub(crate) cost: Option<f64>,
    /// The model that says it answered.
    pub(crate) model: Option<String>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// What the stand-in would say without a scenario.
    Default,
    /// This text.
    Text(String),
    /// The content of a file; replaced by `Text` once the file is read.
    File(PathBuf),
    /// The last user message, word by word.
    Echo,
    /// Calls of tools, and perhaps a text before them.
    Tools(Vec<ToolCall>, Option<String>),
    /// Something goes wrong.
    Fault(Fault),
    /// Exactly this body with this status.
    Body { status: u16, content_type: String, text: String },
}

/// A call of a tool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) arguments: serde_json::Map<String, Value>,
    pub(crate) id: Option<String>,
}

/// How it is sent. What is not said here is said by the scenario, or by the options.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    pub(crate) latency: Option<Span>,
    pub(crate) tokens_per_second: Option<f64>,
    /// Characters in a streamed piece.
    pub(crate) chunk: Option<usize>,
    pub(crate) style: Option<Style>,
    pub(crate) headers: Headers,
}

/// Whose dialect of the `OpenAI` format is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Style {
    Openai,
    Openrouter,
    LlamaCpp,
    Vllm,
}

/// Token counts that replace the counted ones.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageOverride {
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) cached: Option<u64>,
    pub(crate) cache_write: Option<u64>,
    pub(crate) reasoning: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    text: Option<String>,
    json: Option<Value>,
    file: Option<PathBuf>,
    echo: Option<bool>,
    tool_calls: Option<Vec<ToolCall>>,
    fault: Option<Word>,
    body: Option<String>,

    weight: Option<f64>,
    latency: Option<Span>,
    tokens_per_second: Option<f64>,
    chunk: Option<usize>,
    style: Option<Style>,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    usage: UsageOverride,
    finish: Option<String>,
    thinking: Option<String>,
    cost: Option<f64>,
    model: Option<String>,

    status: Option<u16>,
    content_type: Option<String>,
    retry_after: Option<Time>,
    retry_after_as: Option<RetryAfter>,
    rate_headers: Option<bool>,
    message: Option<String>,
    after: Option<usize>,
    lasts: Option<Time>,
    megabytes: Option<usize>,
}

impl TryFrom<Raw> for Answer {
    type Error = String;

    fn try_from(mut raw: Raw) -> Result<Self, String> {
        let what = raw.what()?;
        raw.check(&what)?;
        Ok(Self {
            what,
            weight: raw.weight.unwrap_or(1.0),
            manner: Manner {
                latency: raw.latency,
                tokens_per_second: raw.tokens_per_second,
                chunk: raw.chunk,
                style: raw.style,
                headers: raw.headers,
            },
            usage: raw.usage,
            finish: raw.finish,
            thinking: raw.thinking,
            cost: raw.cost,
            model: raw.model,
        })
    }
}

impl Raw {
    fn what(&mut self) -> Result<What, String> {
        let (tools, text) = (self.tool_calls.take(), self.text.take());
        let given = [
            tools.is_some() || text.is_some(),
            self.json.is_some(),
            self.file.is_some(),
            self.echo.is_some(),
            self.fault.is_some(),
            self.body.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() > 1 {
            return Err("an answer has one of text, json, file, echo, tool_calls, fault, body (a text may go with tool_calls)".into());
        }
        Ok(match (tools, text) {
            (Some(tools), text) => What::Tools(tools, text),
            (None, Some(text)) => What::Text(text),
            (None, None) => self.other()?,
        })
    }

    fn other(&mut self) -> Result<What, String> {
        if let Some(json) = self.json.take() {
            return Ok(What::Text(without_dates(json).to_string()));
        }
        if let Some(file) = self.file.take() {
            return Ok(What::File(file));
        }
        if let Some(text) = self.body.take() {
            let content_type = self.content_type.take().unwrap_or_else(|| "application/json".into());
            return Ok(What::Body { status: self.status.take().unwrap_or(200), content_type, text });
        }
        if let Some(word) = self.fault.take() {
            return self.fault(&word.0).map(What::Fault);
        }
        Ok(if self.echo == Some(true) { What::Echo } else { What::Default })
    }

    fn fault(&mut self, word: &str) -> Result<Fault, String> {
        let kind = Kind::of_word(word)
            .ok_or_else(|| format!("unknown fault `{word}`; known: {}", Kind::words().join(", ")))?;
        let mut fault = Fault::new(kind);
        fault.retry_after = self.retry_after.take().map(|time| time.0);
        fault.retry_after_as = self.retry_after_as.take().unwrap_or(RetryAfter::Seconds);
        fault.rate_headers = self.rate_headers.take().unwrap_or(false);
        fault.message = self.message.take();
        fault.after = self.after.take();
        fault.lasts = self.lasts.take().map_or(fault.lasts, |time| time.0);
        fault.megabytes = self.megabytes.take().unwrap_or(fault.megabytes);
        Ok(fault)
    }

    /// Keys that were not taken by then belong to another kind of answer.
    fn check(&self, what: &What) -> Result<(), String> {
        let of_fault = [
            ("retry_after", self.retry_after.is_some()),
            ("retry_after_as", self.retry_after_as.is_some()),
            ("rate_headers", self.rate_headers.is_some()),
            ("message", self.message.is_some()),
            ("after", self.after.is_some()),
            ("lasts", self.lasts.is_some()),
            ("megabytes", self.megabytes.is_some()),
        ];
        let of_body = [("status", self.status.is_some()), ("content_type", self.content_type.is_some())];
        if let Some((key, _)) = of_fault.iter().find(|(_, given)| *given) {
            return Err(format!("`{key}` belongs to an answer with `fault`"));
        }
        if let Some((key, _)) = of_body.iter().find(|(_, given)| *given) {
            return Err(format!("`{key}` belongs to an answer with `body`"));
        }
        let bounds = [
            (self.weight.is_none_or(|weight| weight.is_finite() && weight > 0.0), "`weight` is above 0"),
            (
                self.tokens_per_second.is_none_or(|rate| rate.is_finite() && rate > 0.0),
                "`tokens_per_second` is above 0",
            ),
            (self.chunk != Some(0), "`chunk` is at least 1 character"),
            (self.cost.is_none_or(|cost| cost.is_finite() && cost >= 0.0), "`cost` is not negative"),
            (!matches!(what, What::Tools(calls, _) if calls.is_empty()), "`tool_calls` is empty"),
            (
                !matches!(what, What::Body { status, .. } if !(200..=599).contains(status)),
                "`status` is 200 to 599",
            ),
            (
                !matches!(what, What::Fault(fault) if !(1..=1024).contains(&fault.megabytes)),
                "`megabytes` is 1 to 1024",
            ),
        ];
        bounds.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, message)| Err((*message).into()))
    }
}

/// TOML has dates and hands them over as a map with one odd key; JSON has texts.
fn without_dates(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_dates).collect(),
        Value::Object(members) => match members.get("$__toml_private_datetime") {
            Some(date) => date.clone(),
            None => members.into_iter().map(|(name, value)| (name, without_dates(value))).collect(),
        },
        other => other,
    }
}
