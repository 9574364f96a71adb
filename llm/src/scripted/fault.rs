//! What can go wrong, by its word in a scenario file or in a model's name.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::{
    failure::{Failure, Headers},
    scenario::answer::Style,
};

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An error answer with this status, in the words that providers use for it.
    Status(u16),
    Quota,
    ContextLength,
    ContentFilter,
    /// An answer that declines.
    Refusal,
    /// HTTP 200 with JSON that breaks off.
    Malformed,
    EmptyChoices,
    EmptyContent,
    /// HTTP 200 with an error in its body.
    Http200Error,
    /// The connection closes in the middle of the answer.
    Cut,
    /// A stream tells of an error in its middle, and ends.
    ErrorChunk,
    /// Nothing comes any more.
    Stall,
    /// The connection closes without an answer.
    HangUp,
    /// Bytes that are not UTF-8.
    Garbage,
    /// A text of so many megabytes.
    Huge,
    /// A stream without its end marker.
    NoDone,
    /// A stream without a finish reason.
    NoFinish,
}

/// Statuses that can be asked for.
const STATUSES: [u16; 15] = [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529];

const WORDS: [(&str, Kind); 16] = [
    ("quota", Kind::Quota),
    ("context_length", Kind::ContextLength),
    ("content_filter", Kind::ContentFilter),
    ("refusal", Kind::Refusal),
    ("malformed", Kind::Malformed),
    ("empty_choices", Kind::EmptyChoices),
    ("empty_content", Kind::EmptyContent),
    ("http_200_error", Kind::Http200Error),
    ("cut", Kind::Cut),
    ("error_chunk", Kind::ErrorChunk),
    ("stall", Kind::Stall),
    ("hang_up", Kind::HangUp),
    ("garbage", Kind::Garbage),
    ("huge", Kind::Huge),
    ("no_done", Kind::NoDone),
    ("no_finish", Kind::NoFinish),
];

impl Kind {
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let named = WORDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind);
        named.or_else(|| {
            let status: u16 = word.parse().ok()?;
            STATUSES.contains(&status).then_some(Self::Status(status))
        })
    }

    pub(crate) fn words() -> Vec<String> {
        let words = WORDS.iter().map(|(word, _)| (*word).to_owned());
        STATUSES.iter().map(u16::to_string).chain(words).collect()
    }
}

/// How a wait is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RetryAfter {
    /// `Retry-After: 2`, rounded up.
    Seconds,
    /// `Retry-After` with an HTTP date.
    Date,
    /// `retry-after-ms`.
    Milliseconds,
    /// Seconds and milliseconds, as `OpenAI` does.
    Both,
}

impl RetryAfter {
    pub(crate) fn headers(self, wait: Duration) -> Headers {
        let number = |name, number: u128| {
            (HeaderName::from_static(name), HeaderValue::from(u64::try_from(number).unwrap_or(u64::MAX)))
        };
        let seconds = || number("retry-after", wait.as_millis().div_ceil(1000));
        let milliseconds = || number("retry-after-ms", wait.as_millis());
        match self {
            Self::Seconds => vec![seconds()],
            Self::Milliseconds => vec![milliseconds()],
            Self::Both => vec![seconds(), milliseconds()],
            Self::Date => {
                let now = std::time::SystemTime::from(jiff::Timestamp::now());
                // A date has whole seconds: the one after, so that nobody comes too early.
                let date = httpdate::fmt_http_date(now + wait + Duration::from_millis(999));
                let value = HeaderValue::try_from(date).unwrap_or(HeaderValue::from_static("0"));
                vec![(HeaderName::from_static("retry-after"), value)]
            }
        }
    }
}

/// Trouble, with its particulars.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) retry_after_as: RetryAfter,
    /// Whether an error comes with `x-ratelimit-*`.
    pub(crate) rate_headers: bool,
    pub(crate) message: Option<String>,
    /// Pieces of the stream that come before it.
    pub(crate) after: Option<usize>,
    /// How long a stall lasts until the connection closes.
    pub(crate) lasts: Duration,
    pub(crate) megabytes: usize,
}

/// What an error says of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) model: &'a str,
    pub(crate) input_tokens: u64,
    /// Tokens of the model's window, if one is simulated.
    pub(crate) window: Option<u64>,
    pub(crate) style: Style,
}

impl Fault {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            retry_after: None,
            retry_after_as: RetryAfter::Seconds,
            rate_headers: false,
            message: None,
            after: None,
            lasts: Duration::from_secs(600),
            megabytes: 16,
        }
    }

    /// The trouble that a model's name asks for: `error-` and a word, with hyphens or underscores.
    pub(crate) fn of_model(model: &str) -> Option<Self> {
        let word = match model.strip_prefix("error-") {
            Some("context") => "context_length".to_owned(),
            // Without a word on when to come back.
            Some("429-silent") => return Some(Self::new(Kind::Status(429))),
            Some(word) => word.replace('-', "_"),
            None if model == "malformed" => model.to_owned(),
            None => return None,
        };
        let kind = Kind::of_word(&word)?;
        let retry_after = (kind == Kind::Status(429)).then_some(Duration::from_secs(1));
        Some(Self { retry_after, ..Self::new(kind) })
    }

    /// The error answer, if the trouble is one.
    pub(crate) fn failure(&self, about: About<'_>) -> Option<Failure> {
        let mut failure = match self.kind {
            Kind::Status(402) => Failure::new(402, about.style)
                .words("insufficient_quota", "payment_required")
                .message("Insufficient credits. Add more credits to your account and try again."),
            Kind::Status(status) => of_status(status, about),
            Kind::Quota => quota(about.style),
            Kind::ContextLength => context_length(about),
            Kind::ContentFilter => content_filter(about.style),
            _ => return None,
        };
        if let Some(message) = &self.message {
            failure = failure.message(message.clone());
        }
        if let Some(wait) = self.retry_after {
            failure = failure.headers(self.retry_after_as.headers(wait)).resets_after(wait);
        }
        if self.rate_headers {
            failure = failure.exhausted(self.retry_after.unwrap_or(Duration::from_secs(1)));
        }
        Some(failure)
    }
}

fn of_status(status: u16, about: About<'_>) -> Failure {
    let failure = Failure::new(status, about.style);
    match status {
        401 => failure
            .words("invalid_request_error", "invalid_api_key")
            .message("Incorrect API key provided. The stand-in refuses it because it was asked to."),
        403 => failure.kind("permission_error").message("You are not allowed to use this model."),
        404 => failure
            .words("invalid_request_error", "model_not_found")
            .message(format!("The model `{}` does not exist or you do not have access to it.", about.model)),
        408 => failure.words("timeout", "timeout").message("The request took too long."),
        413 => failure.kind("invalid_request_error").message("The request is too large."),
        429 => failure.words("requests", "rate_limit_exceeded").message(format!(
            "Rate limit reached for {} on requests per min (RPM): Limit 1, Used 1, Requested 1.",
            about.model
        )),
        500 => failure
            .kind("server_error")
            .message("The server had an error while processing your request. Sorry about that!"),
        503 => failure
            .kind("server_error")
            .message("The engine is currently overloaded, please try again later."),
        529 => failure.kind("overloaded_error").message("Overloaded"),
        502 | 504 => failure.kind("server_error").page(),
        _ => failure
            .kind("invalid_request_error")
            .message("The stand-in refuses the request because it was asked to."),
    }
}

fn quota(style: Style) -> Failure {
    Failure::new(429, style)
        .words("insufficient_quota", "insufficient_quota")
        .message("You exceeded your current quota, please check your plan and billing details.")
}

fn content_filter(style: Style) -> Failure {
    Failure::new(400, style)
        .words("invalid_request_error", "content_filter")
        .param("prompt")
        .message("The response was filtered due to the prompt triggering the content management policy.")
}

/// The error that a prompt gets which does not fit. Without a window to compare with, it is told to be just too long.
pub(crate) fn context_length(about: About<'_>) -> Failure {
    let needed = about.input_tokens.max(1);
    let window = about.window.unwrap_or(needed - 1);
    let failure = Failure::new(400, about.style)
        .param("messages")
        .too_long(format!("prompt is too long: {needed} tokens > {window} maximum"));
    match about.style {
        Style::LlamaCpp => failure
            .kind("exceed_context_size_error")
            .more("n_prompt_tokens", json!(needed))
            .more("n_ctx", json!(window))
            .message(format!(
                "request ({needed} tokens) exceeds the available context size ({window} tokens), try increasing it"
            )),
        Style::Vllm => failure.kind("BadRequestError").message(format!(
            "This model's maximum context length is {window} tokens. However, your request has {needed} input tokens. Please reduce the length of the input messages."
        )),
        Style::Openai | Style::Openrouter => {
            failure.words("invalid_request_error", "context_length_exceeded").message(format!(
                "This model's maximum context length is {window} tokens. However, your messages resulted in {needed} tokens. Please reduce the length of the messages."
            ))
        }
    }
}
