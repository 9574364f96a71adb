//! One chat completion: what is asked, what is answered, and how an answer is told from something that only looks
//! like one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Class;

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions from the program.
    System,
    /// The same, as newer models call it.
    Developer,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
}

/// What is asked of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChatRequest {
    /// Name of the model, as the provider knows it.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// 0 to 2; the model's own default if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Longest answer. `OpenAI` deprecated this name, but it is the one that most servers read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatAnswer {
    /// The text; never empty.
    pub text: String,
    /// The model that answered. It may have a more exact name than the one that was asked for.
    pub model: String,
    /// Tokens of the request, if the provider counted them.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, if the provider counted them.
    pub output_tokens: Option<u64>,
    /// Why the answer ends, if the provider says so: `stop`, or `length` for one that was cut.
    pub finish_reason: Option<String>,
    /// From sending the request to having read the answer.
    pub duration: Duration,
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
    /// How long the provider asked us to wait.
    pub retry_after: Option<Duration>,
}

/// The parts of an answer's body that matter. Everything may be missing: servers differ.
#[derive(Deserialize)]
struct Body {
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Reply>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Reply {
    content: Option<String>,
    refusal: Option<String>,
}

/// Why a body that came with a status of success is no answer.
pub(crate) type Rejected = (Class, &'static str);

/// Takes the answer out of a body, or says why it is none.
pub(crate) fn read_answer(body: Value, asked: &str, duration: Duration) -> Result<ChatAnswer, Rejected> {
    let malformed = |why| (Class::MalformedOutput, why);
    let body = Body::deserialize(body).map_err(|_| malformed("the answer is not a chat completion"))?;
    let choice = body.choices.into_iter().next().ok_or(malformed("the answer holds no choice"))?;
    let finish_reason = choice.finish_reason;
    let reply = choice.message.ok_or(malformed("the answer holds no message"))?;
    refused(finish_reason.as_deref(), reply.refusal.as_deref())?;
    let text = reply.content.filter(|text| !text.is_empty()).ok_or(match finish_reason.as_deref() {
        Some("length") => malformed("the model used up its tokens before it wrote any text"),
        _ => malformed("the answer holds no text"),
    })?;
    let count = |name| body.usage.as_ref().and_then(|usage| usage.get(name)?.as_u64());
    Ok(ChatAnswer {
        text,
        input_tokens: count("prompt_tokens"),
        output_tokens: count("completion_tokens"),
        model: body.model.unwrap_or_else(|| asked.to_owned()),
        finish_reason,
        duration,
    })
}

fn refused(finish_reason: Option<&str>, refusal: Option<&str>) -> Result<(), Rejected> {
    match finish_reason {
        Some("content_filter") => Err((Class::ContentPolicy, "the answer was stopped by a content filter")),
        Some("error") => Err((Class::Server, "the provider failed while it was answering")),
        _ if refusal.is_some_and(|text| !text.is_empty()) => {
            Err((Class::ContentPolicy, "the model refused to answer"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<ChatAnswer, Rejected> {
        read_answer(body, "asked", Duration::ZERO)
    }

    fn choice(message: &Value, finish_reason: &str) -> Value {
        json!({"model": "m-1", "choices": [{"message": message, "finish_reason": finish_reason}]})
    }

    #[test]
    fn an_answer_keeps_its_model_its_counts_and_its_reason() {
        let mut body = choice(&json!({"role": "assistant", "content": "cut off he"}), "length");
        body["usage"] = json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10});
        let answer = read(body).unwrap();
        assert_eq!((answer.text.as_str(), answer.model.as_str()), ("cut off he", "m-1"));
        assert_eq!((answer.input_tokens, answer.output_tokens), (Some(7), Some(3)));
        assert_eq!(answer.finish_reason.as_deref(), Some("length"));
    }

    #[test]
    fn what_the_server_does_not_say_is_not_made_up() {
        let answer = read(json!({"choices": [{"message": {"content": "hi"}}]})).unwrap();
        assert_eq!((answer.model.as_str(), answer.input_tokens, answer.finish_reason), ("asked", None, None));
    }

    #[test]
    fn what_only_looks_like_an_answer_is_none() {
        for (body, expected) in [
            (json!([]), Class::MalformedOutput),
            (json!({}), Class::MalformedOutput),
            (json!({"choices": []}), Class::MalformedOutput),
            (json!({"choices": [{}]}), Class::MalformedOutput),
            (choice(&json!({"content": null}), "stop"), Class::MalformedOutput),
            (choice(&json!({"content": ""}), "stop"), Class::MalformedOutput),
            (choice(&json!({"content": null}), "length"), Class::MalformedOutput),
            (choice(&json!({"content": "half an ans"}), "content_filter"), Class::ContentPolicy),
            (choice(&json!({"content": "half an ans"}), "error"), Class::Server),
            (choice(&json!({"content": null, "refusal": "I cannot"}), "stop"), Class::ContentPolicy),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().0, expected, "{body}");
        }
    }
}
