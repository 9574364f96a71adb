//! Why a call failed, decided once and from structure alone.

use std::fmt;

use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use serde_json::Value;

/// Why a call to a model failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The key was refused.
    Authentication,
    /// The key is known but may not do this.
    Permission,
    /// Too many requests or tokens in a span of time.
    RateLimit,
    /// The account is out of credit.
    Quota,
    /// The provider gave up waiting.
    Timeout,
    /// No connection, or it broke.
    Connection,
    /// The provider failed.
    Server,
    /// The provider is overloaded.
    Overloaded,
    /// The request does not fit the model's context window.
    ContextLength,
    /// The request or the answer was refused for its content.
    ContentPolicy,
    /// The request is wrong, or the model is not known.
    BadRequest,
    /// The answer could not be read or has no text.
    MalformedOutput,
}

impl Class {
    /// The word for logs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Overloaded => "overloaded",
            Self::ContextLength => "context_length",
            Self::ContentPolicy => "content_policy",
            Self::BadRequest => "bad_request",
            Self::MalformedOutput => "malformed_output",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a provider's error body says, whichever dialect it speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// `metadata.error_type`: what `OpenRouter` calls the error, whoever the provider behind it is.
    pub error_type: Option<String>,
    /// `code`: a word, or a number that repeats the HTTP status.
    pub code: Option<String>,
    /// `type`: a broader word.
    pub kind: Option<String>,
    /// Free text, for people only. May repeat parts of the request.
    pub message: Option<String>,
}

impl ErrorBody {
    /// Finds the error in a body: `{"error": {…}}`, `{"error": "text"}`, or either in an array of one.
    pub fn find(body: &Value) -> Option<Self> {
        let body = body.as_array().and_then(|array| array.first()).unwrap_or(body);
        match body.get("error")? {
            Value::String(text) if !text.is_empty() => {
                Some(Self { message: Some(text.clone()), ..Self::default() })
            }
            error @ Value::Object(_) => Some(Self {
                error_type: word(error.pointer("/metadata/error_type")),
                code: word(error.get("code")),
                kind: word(error.get("type")),
                message: word(error.get("message")),
            }),
            _ => None,
        }
    }

    /// The words that a class is decided by, the most exact first.
    fn words(&self) -> impl Iterator<Item = &str> {
        [&self.error_type, &self.code, &self.kind].into_iter().filter_map(|word| word.as_deref())
    }
}

/// A code may be a string or a number.
fn word(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Decides the class of a failed call.
///
/// Some words are more exact than any status (`insufficient_quota` comes with 429, `context_length_exceeded` with
/// 400), so they come first. Then the status decides. An error inside HTTP 200 has no status of its own: its `code`
/// may be one, else its broader words decide.
pub fn classify(status: StatusCode, headers: &HeaderMap, error: &ErrorBody) -> Class {
    let inner = || error.code.as_deref().and_then(|code| of_status(code.parse().ok()?, headers));
    (error.words().find_map(of_exact_word))
        .or_else(|| of_status(status.as_u16(), headers))
        .or_else(inner)
        .or_else(|| error.words().find_map(of_broad_word))
        .unwrap_or(Class::Server)
}

/// Words that mean the same whatever the status.
fn of_exact_word(word: &str) -> Option<Class> {
    Some(match word {
        "context_length_exceeded"
        | "context_window_exceeded"
        | "exceed_context_size_error"
        | "model_context_window_exceeded"
        | "token_limit_exceeded" => Class::ContextLength,
        "insufficient_quota"
        | "credit_balance_exhausted"
        | "enforced_spend_limit_reached"
        | "billing_error"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "payment_required" => Class::Quota,
        "content_filter" | "content_policy_violation" | "refusal" => Class::ContentPolicy,
        "invalid_api_key" => Class::Authentication,
        _ => return None,
    })
}

/// Words that providers also use loosely (`invalid_request_error` comes with 401 too), so a status outranks them.
fn of_broad_word(word: &str) -> Option<Class> {
    Some(match word {
        "authentication" | "authentication_error" => Class::Authentication,
        "permission_denied" | "permission_error" => Class::Permission,
        "rate_limit_error" | "rate_limit_exceeded" => Class::RateLimit,
        "overloaded_error" | "provider_overloaded" => Class::Overloaded,
        "timeout" | "timeout_error" => Class::Timeout,
        "invalid_prompt"
        | "invalid_request"
        | "invalid_request_error"
        | "model_not_found"
        | "not_found"
        | "not_found_error"
        | "payload_too_large"
        | "unprocessable" => Class::BadRequest,
        _ => return None,
    })
}

/// What a status means; nothing if it is not one of failure.
fn of_status(status: u16, headers: &HeaderMap) -> Option<Class> {
    Some(match status {
        401 => Class::Authentication,
        // Without credit there is nothing to wait for; a provider that says when to come back means a short-term limit.
        402 if headers.contains_key(RETRY_AFTER) => Class::RateLimit,
        402 => Class::Quota,
        403 => Class::Permission,
        408 => Class::Timeout,
        429 => Class::RateLimit,
        503 | 529 => Class::Overloaded,
        300..=499 => Class::BadRequest,
        500..=599 => Class::Server,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(status: u16, headers: &[(&'static str, &'static str)], body: &Value) -> Class {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let error = ErrorBody::find(body).unwrap_or_default();
        classify(StatusCode::from_u16(status).unwrap(), &headers.collect(), &error)
    }

    #[test]
    fn the_status_decides_when_no_exact_word_is_given() {
        let none = json!({});
        for (status, expected) in [
            (302, Class::BadRequest),
            (400, Class::BadRequest),
            (401, Class::Authentication),
            (402, Class::Quota),
            (403, Class::Permission),
            (404, Class::BadRequest),
            (408, Class::Timeout),
            (422, Class::BadRequest),
            (429, Class::RateLimit),
            (500, Class::Server),
            (503, Class::Overloaded),
            (529, Class::Overloaded),
        ] {
            assert_eq!(class(status, &[], &none), expected, "{status}");
        }
        assert_eq!(class(402, &[("retry-after", "3")], &none), Class::RateLimit);
    }

    #[test]
    fn exact_words_outrank_the_status_and_broad_ones_do_not() {
        let code = |code: &str| json!({"error": {"code": code, "type": "invalid_request_error"}});
        assert_eq!(class(400, &[], &code("context_length_exceeded")), Class::ContextLength);
        assert_eq!(class(429, &[], &code("insufficient_quota")), Class::Quota);
        assert_eq!(class(400, &[], &code("content_policy_violation")), Class::ContentPolicy);
        assert_eq!(class(401, &[], &code("whatever")), Class::Authentication);
        let moderated =
            json!({"error": {"code": 403, "metadata": {"error_type": "content_policy_violation"}}});
        assert_eq!(class(403, &[], &moderated), Class::ContentPolicy);
    }

    #[test]
    fn an_error_within_http_200_is_classified_by_what_it_says() {
        assert_eq!(class(200, &[], &json!({"error": {"code": 429, "message": "m"}})), Class::RateLimit);
        assert_eq!(class(200, &[], &json!({"error": {"code": "502"}})), Class::Server);
        assert_eq!(class(200, &[], &json!({"error": {"type": "overloaded_error"}})), Class::Overloaded);
        assert_eq!(class(200, &[], &json!({"error": "no such thing"})), Class::Server);
    }

    #[test]
    fn free_text_is_never_looked_at() {
        let body = json!({"error": {"message": "429 rate limit: insufficient_quota", "code": null}});
        assert_eq!(class(400, &[], &body), Class::BadRequest);
    }
}
