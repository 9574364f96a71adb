//! What the stand-in makes of a request: checks it as a hosted model does, then answers from what it counted.

use serde_json::{Value, json};

use super::{MARK, failure::Failure};

/// How many characters count as one token. Near enough to real ones for English.
const TOKEN: usize = 4;

/// A request that passed the checks.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) model: String,
    texts: Vec<String>,
    max_tokens: Option<usize>,
}

impl Request {
    pub(super) fn read(body: &[u8]) -> Result<Self, Failure> {
        let invalid = Failure::invalid;
        let body: Value = serde_json::from_slice(body)
            .map_err(|_| invalid(None, None, "We could not parse the JSON body of your request."))?;
        let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
        let model =
            model.ok_or_else(|| invalid(Some("model"), None, "You must provide a model parameter."))?;
        if body.get("stream").is_some_and(|stream| stream == true) {
            return Err(invalid(Some("stream"), Some("unsupported_value"), "The stand-in does not stream."));
        }
        check_temperature(body.get("temperature"))?;
        Ok(Self { model: model.to_owned(), texts: texts(&body)?, max_tokens: max_tokens(&body)? })
    }

    pub(super) fn answer(&self) -> Value {
        let (text, finish_reason) = self.text();
        let prompt: usize = self.texts.iter().map(|text| tokens(text)).sum();
        let completion = tokens(&text);
        json!({
            "id": format!("chatcmpl-scripted-{:016x}", self.fingerprint()),
            "object": "chat.completion",
            // The same request gets the same answer, to the byte.
            "created": 0,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": null},
                "logprobs": null,
                "finish_reason": finish_reason,
            }],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        })
    }

    fn text(&self) -> (String, &'static str) {
        let last = self.texts.last().map_or("", String::as_str);
        let (words, lines) = (last.split_whitespace().count(), last.lines().count());
        let first = last.lines().next().unwrap_or_default();
        let text =
            format!("{MARK} I am no model. I got {words} words in {lines} lines. The first line: {first}");
        match self.max_tokens.map(|most| most.saturating_mul(TOKEN)) {
            Some(most) if text.chars().count() > most => (text.chars().take(most).collect(), "length"),
            _ => (text, "stop"),
        }
    }

    /// FNV-1a: it need only be the same on every machine and with every compiler.
    fn fingerprint(&self) -> u64 {
        let parts = [&self.model].into_iter().chain(&self.texts);
        let bytes = parts.flat_map(|part| part.bytes().chain([0xff]));
        bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

fn tokens(text: &str) -> usize {
    text.chars().count().div_ceil(TOKEN)
}

fn check_temperature(value: Option<&Value>) -> Result<(), Failure> {
    match value.filter(|value| !value.is_null()).map(Value::as_f64) {
        None => Ok(()),
        Some(Some(value)) if (0.0..=2.0).contains(&value) => Ok(()),
        Some(_) => Err(Failure::invalid(
            Some("temperature"),
            None,
            "Invalid 'temperature': expected a number between 0 and 2.",
        )),
    }
}

fn max_tokens(body: &Value) -> Result<Option<usize>, Failure> {
    let mut given = ["max_tokens", "max_completion_tokens"].into_iter().filter_map(|name| body.get(name));
    let Some(value) = given.find(|value| !value.is_null()) else { return Ok(None) };
    let most = value.as_u64().filter(|most| *most > 0).ok_or_else(|| {
        let message = "Invalid 'max_tokens': expected an integer of at least 1.";
        Failure::invalid(Some("max_tokens"), None, message)
    })?;
    Ok(Some(usize::try_from(most).unwrap_or(usize::MAX)))
}

fn texts(body: &Value) -> Result<Vec<String>, Failure> {
    let messages = body.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    let wrong = "Invalid 'messages': expected a non-empty array of messages.";
    let messages = messages.ok_or_else(|| Failure::invalid(Some("messages"), None, wrong))?;
    messages.iter().map(|message| text_of(message).ok_or_else(wrong_message)).collect()
}

fn wrong_message() -> Failure {
    let message =
        "Invalid 'messages': each needs a role (system, developer, user, assistant, tool) and a content.";
    Failure::invalid(Some("messages"), None, message)
}

/// A message's text; of a list of parts, the texts among them. An assistant that called tools has none.
fn text_of(message: &Value) -> Option<String> {
    let role = message.get("role")?.as_str()?;
    if !["system", "developer", "user", "assistant", "tool"].contains(&role) {
        return None;
    }
    match message.get("content") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(parts)) => {
            Some(parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n"))
        }
        None | Some(Value::Null) if role == "assistant" => Some(String::new()),
        _ => None,
    }
}
