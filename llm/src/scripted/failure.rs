//! Error answers in the shapes in which providers send them.

use std::{borrow::Cow, time::Duration};

use axum::http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::{ask::Format, scenario::answer::Style};

pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

type Text = Cow<'static, str>;

/// One error answer, not yet in a wire format.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u16,
    style: Style,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: Text,
    headers: Headers,
    /// A page of HTML, as a proxy in front of a provider sends it.
    page: bool,
    rare: Box<Rare>,
}

/// What few errors say.
#[derive(Debug, Default)]
struct Rare {
    /// Anthropic's own message for a prompt that is too long: its only mark.
    too_long: Option<String>,
    /// Further members of the error object.
    more: Vec<(&'static str, Value)>,
    resets_after: Option<Duration>,
    /// No request is left; again after this long.
    exhausted: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(status: u16, style: Style) -> Self {
        Self {
            status,
            style,
            kind: "invalid_request_error",
            code: None,
            param: None,
            message: "The stand-in fails because it was asked to.".into(),
            headers: Vec::new(),
            page: false,
            rare: Box::default(),
        }
    }

    /// The request is wrong; `param` names the field.
    pub(crate) fn invalid(param: Option<&'static str>, message: impl Into<Text>) -> Self {
        Self { param, ..Self::new(400, Style::Openai).message(message) }
    }

    pub(crate) fn too_large() -> Self {
        Self::new(413, Style::Openai).message("The request is too large.")
    }

    pub(crate) fn unknown_path() -> Self {
        let failure = Self::new(404, Style::Openai).message("Unknown request URL.");
        Self { code: Some("unknown_url"), ..failure }
    }

    pub(crate) fn wrong_method() -> Self {
        Self::new(405, Style::Openai).message("The method is not allowed here.")
    }

    pub(crate) fn unknown_model(model: &str) -> Self {
        let message = format!("The model '{model}' does not exist");
        Self::new(404, Style::Openai).words("invalid_request_error", "model_not_found").message(message)
    }

    pub(crate) fn words(self, kind: &'static str, code: &'static str) -> Self {
        Self { kind, code: Some(code), ..self }
    }

    pub(crate) fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    pub(crate) fn param(self, param: &'static str) -> Self {
        Self { param: Some(param), ..self }
    }

    pub(crate) fn message(self, message: impl Into<Text>) -> Self {
        Self { message: message.into(), ..self }
    }

    pub(crate) fn too_long(mut self, message: String) -> Self {
        self.rare.too_long = Some(message);
        self
    }

    pub(crate) fn more(mut self, name: &'static str, value: Value) -> Self {
        self.rare.more.push((name, value));
        self
    }

    pub(crate) fn page(self) -> Self {
        Self { page: true, ..self }
    }

    pub(crate) fn headers(mut self, headers: Headers) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(crate) fn resets_after(mut self, wait: Duration) -> Self {
        self.rare.resets_after = Some(wait);
        self
    }

    pub(crate) fn exhausted(mut self, wait: Duration) -> Self {
        self.rare.exhausted = Some(wait);
        self
    }

    /// The status in this format: Anthropic has one for money, `OpenAI` calls it a rate limit.
    pub(crate) fn status(&self, format: Format) -> u16 {
        if format == Format::Anthropic && self.code == Some("insufficient_quota") { 402 } else { self.status }
    }

    pub(crate) fn all_headers(&self, format: Format) -> Headers {
        let limits = self.rare.exhausted.map(|wait| rate_headers(format, 1, 0, wait)).unwrap_or_default();
        self.headers.iter().cloned().chain(limits).collect()
    }

    /// Content type and body; `id` is the request's.
    pub(crate) fn body(&self, format: Format, id: &str) -> (&'static str, Vec<u8>) {
        if self.page && self.style != Style::Openrouter && format == Format::Openai {
            let status = self.status;
            let page =
                format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n");
            return ("text/html", page.into_bytes());
        }
        ("application/json", self.json(format, id).to_string().into_bytes())
    }

    /// The error as a JSON body.
    pub(crate) fn json(&self, format: Format, id: &str) -> Value {
        match (format, self.style) {
            (Format::Anthropic, _) => {
                let message = self.rare.too_long.as_deref().unwrap_or(&self.message);
                let kind = anthropic_kind(self.status(format));
                json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": id})
            }
            (Format::Openai, Style::Openrouter) => json!({
                "error": {"code": self.status, "message": self.message, "metadata": self.metadata()},
                "user_id": "user_scripted",
            }),
            // Money is an error that `OpenAI` itself has no status for.
            (Format::Openai, _) if self.status == 402 => json!({
                "error": {"code": 402, "message": self.message, "metadata": {"error_type": "payment_required"}},
            }),
            (Format::Openai, Style::LlamaCpp) => {
                let mut error = Map::new();
                error.insert("code".into(), json!(self.status));
                error.insert("message".into(), json!(self.message));
                error.insert("type".into(), json!(self.kind));
                error.extend(self.rare.more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
                json!({ "error": error })
            }
            (Format::Openai, Style::Vllm) => json!({"error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.status,
            }}),
            (Format::Openai, Style::Openai) => json!({"error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            }}),
        }
    }

    /// What `OpenRouter` tells of the provider behind it.
    fn metadata(&self) -> Value {
        let mut metadata = Map::new();
        metadata.insert("error_type".into(), json!(self.error_type()));
        metadata.insert("provider_name".into(), json!("Scripted"));
        if self.status == 429 {
            let wait = self.rare.resets_after.unwrap_or(Duration::from_secs(1)).as_millis();
            let reset = jiff::Timestamp::now().as_millisecond() + i64::try_from(wait).unwrap_or(i64::MAX / 2);
            metadata.insert(
                "headers".into(),
                json!({
                    "X-RateLimit-Limit": "20",
                    "X-RateLimit-Remaining": "0",
                    "X-RateLimit-Reset": reset.to_string(),
                }),
            );
        }
        Value::Object(metadata)
    }

    fn error_type(&self) -> &'static str {
        match (self.status, self.code) {
            (_, Some("context_length_exceeded")) => "context_length_exceeded",
            (_, Some("content_filter")) => "content_policy_violation",
            (402, _) | (_, Some("insufficient_quota")) => "payment_required",
            (401, _) => "authentication",
            (403, _) => "permission_denied",
            (404, _) => "not_found",
            (408 | 504, _) => "timeout",
            (413, _) => "payload_too_large",
            (422, _) => "unprocessable",
            (429, _) => "rate_limit_exceeded",
            (502, _) => "provider_unavailable",
            (503 | 529, _) => "provider_overloaded",
            (500.., _) => "server",
            _ => "invalid_request",
        }
    }
}

fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 | 408 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// What is left of a limit on requests, as each provider tells it. `OpenAI` writes durations as Go does.
pub(crate) fn rate_headers(format: Format, limit: u64, left: u64, reset: Duration) -> Headers {
    let (prefix, reset) = match format {
        Format::Openai => ("x-ratelimit", go_duration(reset)),
        Format::Anthropic => ("anthropic-ratelimit", rfc3339(reset)),
    };
    let name = |word: &str| match format {
        Format::Openai => format!("{prefix}-{word}-requests"),
        Format::Anthropic => format!("{prefix}-requests-{word}"),
    };
    [("limit", limit.to_string()), ("remaining", left.to_string()), ("reset", reset)]
        .into_iter()
        .filter_map(|(word, value)| {
            Some((HeaderName::try_from(name(word)).ok()?, HeaderValue::try_from(value).ok()?))
        })
        .collect()
}

/// `12ms`, `1.5s`, `6m0s`.
fn go_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{}ms", time.as_millis()),
        1..=59 => format!("{}s", time.as_millis() as f64 / 1000.0),
        _ => format!("{}m{}s", seconds / 60, (time.as_millis() % 60_000) as f64 / 1000.0),
    }
}

fn rfc3339(from_now: Duration) -> String {
    // Whole seconds, rounded up, so that nobody comes too early.
    let seconds = i64::try_from((from_now + Duration::from_millis(999)).as_secs()).unwrap_or(0);
    let at = jiff::Timestamp::now().as_second().saturating_add(seconds);
    jiff::Timestamp::from_second(at).unwrap_or(jiff::Timestamp::MAX).to_string()
}
