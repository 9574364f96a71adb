//! The one place where a failed call gets its class: from status, headers and the words of the error's body.
//!
//! Free text decides nothing, with one exception: a short list of sentences with which a provider begins an error
//! that has no sign of its own (`SENTENCES`). They are looked for only where nothing else is said than that the
//! request is wrong, and only at the start, so that a quoted prompt cannot choose its class.

use serde_json::{Map, Value};

use crate::Class;

/// What a provider's error body says, whichever dialect it speaks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ErrorBody {
    /// What decides the class, the most exact first: OpenRouter's `metadata.error_type` or that of text-generation
    /// servers, Anthropic's `details.error_code`, `code` (a word or a status), `type`.
    words: [Option<String>; 4],
    /// Which part of the request is wrong.
    param: Option<String>,
    /// OpenRouter names the reasons for which its moderation refused a prompt.
    moderated: bool,
    /// Free text, for people only. May repeat parts of the request.
    pub(crate) message: Option<String>,
    /// Seconds until a model is loaded, as Hugging Face estimates them.
    pub(crate) estimated_time: Option<f64>,
    /// Headers of the provider behind OpenRouter.
    pub(crate) headers: Map<String, Value>,
}

impl ErrorBody {
    /// Finds the error in any body: `{"error": {…}}`, `{"error": "text"}`, `{"object": "error", …}`, or one of these
    /// in an array of one.
    pub(crate) fn find(body: &Value) -> Option<Self> {
        let body = body.as_array().and_then(|array| array.first()).unwrap_or(body);
        match body.get("error") {
            Some(Value::String(text)) if !text.is_empty() => Some(Self::of_text(body, text)),
            Some(error @ Value::Object(_)) => Some(Self::of_object(error)),
            Some(Value::Bool(true)) => Some(Self::of_object(body)),
            _ if body.get("object").is_some_and(|object| object == "error") => Some(Self::of_object(body)),
            _ => None,
        }
    }

    /// The same where the status tells of a failure: then `{"message": …}` and `{"detail": …}` are errors, too.
    pub(crate) fn of_failure(body: &Value) -> Self {
        Self::find(body).unwrap_or_else(|| {
            let mut error = Self::of_object(body);
            error.message = error.message.or_else(|| word(body.get("detail")));
            error
        })
    }

    fn of_text(body: &Value, text: &str) -> Self {
        let words = [word(body.get("error_type")), None, None, None];
        let estimated_time = body.get("estimated_time").and_then(Value::as_f64);
        Self { words, message: Some(text.to_owned()), estimated_time, ..Self::default() }
    }

    fn of_object(error: &Value) -> Self {
        let at = |pointer: &str| word(error.pointer(pointer));
        Self {
            words: [at("/metadata/error_type"), at("/details/error_code"), at("/code"), at("/type")],
            param: at("/param"),
            moderated: error.pointer("/metadata/flagged_input").is_some(),
            message: at("/message"),
            estimated_time: None,
            headers: error
                .pointer("/metadata/headers")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        }
    }

    /// What the error is called, the most exact first.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().flatten().map(String::as_str)
    }

    /// A status of its own, as errors within HTTP 200 have one.
    fn status(&self) -> Option<u16> {
        self.words[2].as_deref()?.parse().ok()
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

/// Decides the class of a failed call; `waits` says whether the provider named a time to wait.
///
/// Some words are more exact than any status (`insufficient_quota` comes with 429, `context_length_exceeded` with
/// 400), so they come first. Then the status decides. An error inside HTTP 200 has no status of its own: its `code`
/// may be one, else its broader words decide.
pub(crate) fn classify(status: u16, waits: bool, error: &ErrorBody) -> Class {
    let class = (error.words().find_map(of_exact_word))
        .or_else(|| error.moderated.then_some(Class::ContentPolicy))
        .or_else(|| of_status(status, waits))
        .or_else(|| of_status(error.status()?, waits))
        .or_else(|| error.words().find_map(of_broad_word))
        .unwrap_or(Class::Server);
    if class == Class::BadRequest { of_bad_request(error) } else { class }
}

/// Words that mean the same whatever the status.
fn of_exact_word(word: &str) -> Option<Class> {
    Some(match word {
        "context_length_exceeded"
        | "context_window_exceeded"
        | "exceed_context_size_error"
        | "model_context_window_exceeded"
        | "string_too_long"
        | "token_limit_exceeded" => Class::ContextLength,
        "insufficient_quota"
        | "billing_error"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "budget_exceeded"
        | "credit_balance_exhausted"
        | "enforced_spend_limit_reached"
        | "payment_required" => Class::Quota,
        "content_filter" | "content_policy_violation" | "refusal" => Class::ContentPolicy,
        "invalid_api_key" => Class::Authentication,
        "engine_overloaded" | "overloaded" | "overloaded_error" | "provider_overloaded" => Class::Overloaded,
        "timeout" | "timeout_error" => Class::Timeout,
        // The model used up its tokens before it said anything.
        "max_tokens_exceeded" => Class::MalformedOutput,
        _ => return None,
    })
}

/// Words that providers also use loosely (`invalid_request_error` comes with 401 too), so a status outranks them.
fn of_broad_word(word: &str) -> Option<Class> {
    Some(match word {
        "authentication" | "authentication_error" => Class::Authentication,
        "permission_denied" | "permission_error" => Class::Permission,
        "rate_limit_error" | "rate_limit_exceeded" => Class::RateLimit,
        "provider_unavailable" | "unavailable_error" => Class::Overloaded,
        "invalid_image"
        | "invalid_prompt"
        | "invalid_request"
        | "invalid_request_error"
        | "model_not_found"
        | "not_found"
        | "not_found_error"
        | "payload_too_large"
        | "precondition_failed"
        | "request_too_large"
        | "unprocessable"
        | "validation"
        | "BadRequestError"
        | "NotFoundError" => Class::BadRequest,
        _ => return None,
    })
}

/// What a status means; nothing if it is not one of failure.
fn of_status(status: u16, waits: bool) -> Option<Class> {
    Some(match status {
        401 => Class::Authentication,
        // Without credit there is nothing to wait for; a provider that says when to come back means a short-term limit.
        402 if waits => Class::RateLimit,
        402 => Class::Quota,
        403 => Class::Permission,
        408 => Class::Timeout,
        // Conflicts, failed generation, a request that a gateway says we gave up: none of them is the request's fault.
        409 | 424 | 425 | 499 => Class::Server,
        429 => Class::RateLimit,
        // Cohere: the input or the output is blocked.
        498 => Class::ContentPolicy,
        503 | 529 => Class::Overloaded,
        300..=499 => Class::BadRequest,
        500..=599 => Class::Server,
        _ => return None,
    })
}

/// Sentences that begin an error with no sign of its own, and what it is. First Anthropic's, then vLLM's of old,
/// Cohere's and those of Hugging Face.
const SENTENCES: [(&str, Class); 12] = [
    ("prompt is too long: ", Class::ContextLength),
    ("input length and `max_tokens` exceed context limit: ", Class::ContextLength),
    ("Your credit balance is too low to access ", Class::Quota),
    ("You have reached your specified API usage limits", Class::Quota),
    ("You have reached your specified workspace API usage limits", Class::Quota),
    ("You have reached your API usage limits", Class::Quota),
    ("Output blocked by content filtering policy", Class::ContentPolicy),
    ("This model's maximum context length is ", Class::ContextLength),
    ("too many tokens: total number of tokens ", Class::ContextLength),
    ("too many tokens: size limit exceeded ", Class::ContextLength),
    ("Input validation error: `inputs` tokens + `max_new_tokens` must be ", Class::ContextLength),
    ("Input validation error: `inputs` must have less than ", Class::ContextLength),
];

/// What is wrong with a request, as far as its class goes.
fn of_bad_request(error: &ErrorBody) -> Class {
    // vLLM names the part of the request instead of the error.
    if error.param.as_deref() == Some("input_tokens") {
        return Class::ContextLength;
    }
    let message = error.message.as_deref().unwrap_or_default();
    let known = SENTENCES.iter().find(|(sentence, _)| message.starts_with(sentence));
    known.map_or(Class::BadRequest, |(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(status: u16, body: &Value) -> Class {
        classify(status, false, &ErrorBody::of_failure(body))
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
            (413, Class::BadRequest),
            (422, Class::BadRequest),
            (424, Class::Server),
            (429, Class::RateLimit),
            (498, Class::ContentPolicy),
            (500, Class::Server),
            (503, Class::Overloaded),
            (524, Class::Server),
            (529, Class::Overloaded),
        ] {
            assert_eq!(class(status, &none), expected, "{status}");
        }
        assert_eq!(classify(402, true, &ErrorBody::default()), Class::RateLimit);
    }

    #[test]
    fn exact_words_outrank_the_status_and_broad_ones_do_not() {
        let code = |code: &str| json!({"error": {"code": code, "type": "invalid_request_error"}});
        assert_eq!(class(400, &code("context_length_exceeded")), Class::ContextLength);
        assert_eq!(class(429, &code("insufficient_quota")), Class::Quota);
        assert_eq!(class(401, &code("whatever")), Class::Authentication);
        assert_eq!(class(504, &json!({"error": {"type": "timeout_error"}})), Class::Timeout);
    }

    #[test]
    fn an_error_within_http_200_is_classified_by_what_it_says() {
        assert_eq!(class(200, &json!({"error": {"code": 429, "message": "m"}})), Class::RateLimit);
        assert_eq!(class(200, &json!({"error": {"code": "502"}})), Class::Server);
        assert_eq!(class(200, &json!({"error": {"type": "rate_limit_error"}})), Class::RateLimit);
        assert_eq!(class(200, &json!({"error": "no such thing"})), Class::Server);
    }

    #[test]
    fn free_text_is_never_searched() {
        for message in ["429 rate limit: insufficient_quota", "You wrote: prompt is too long: 9 tokens"] {
            let body = json!({"error": {"message": message, "code": null}});
            assert_eq!(class(400, &body), Class::BadRequest, "{message}");
        }
        let body = json!({"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}});
        assert_eq!(class(400, &body), Class::ContextLength);
        assert_eq!(class(500, &body), Class::Server);
    }

    #[test]
    fn an_error_is_found_in_every_dialect_and_nowhere_else() {
        for body in [
            json!({"error": {"message": "m"}}),
            json!({"error": "m"}),
            json!([{"error": {"message": "m"}}]),
            json!({"object": "error", "message": "m", "code": 400}),
            json!({"error": true, "message": "m"}),
        ] {
            assert_eq!(ErrorBody::find(&body).unwrap().message.as_deref(), Some("m"), "{body}");
        }
        for body in [json!({"error": null, "choices": []}), json!({"message": "m"}), json!(3), json!([])] {
            assert_eq!(ErrorBody::find(&body), None, "{body}");
        }
        assert_eq!(ErrorBody::of_failure(&json!({"detail": "m"})).message.as_deref(), Some("m"));
    }
}
