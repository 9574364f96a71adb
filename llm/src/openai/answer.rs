//! Answers of chat completions: whole, or one chunk after the other.
//!
//! Fields that only some servers fill, or fill oddly, are read as they come and taken only if they make sense.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Usage,
    draft::{Draft, Fault},
    failure::ErrorBody,
};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    id: Value,
    model: Value,
    object: Value,
    error: Value,
    choices: Option<Vec<Choice>>,
    usage: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice {
    index: Option<u64>,
    delta: Option<Part>,
    message: Option<Part>,
    finish_reason: Value,
    error: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Part {
    content: Value,
    refusal: Value,
    reasoning: Value,
    reasoning_content: Value,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Call {
    index: Option<u64>,
    id: Value,
    function: Option<Function>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Function {
    name: Value,
    arguments: Value,
}

/// Reads one event of a stream. Says whether it is the last.
pub(crate) fn event(draft: &mut Draft, data: &[u8]) -> Result<bool, Fault> {
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return Ok(true);
    }
    if !data.is_empty() {
        let body = read(data)?;
        // The last chunk with usage has no choices; some servers send one without either at the start.
        for choice in body.choices.into_iter().flatten().filter(|choice| choice.index.unwrap_or(0) == 0) {
            take(draft, choice)?;
        }
        told(draft, &body.id, &body.model, &body.usage);
    }
    Ok(false)
}

/// Reads an answer that came as a whole.
pub(crate) fn whole(draft: &mut Draft, body: &[u8]) -> Result<(), Fault> {
    draft.began = true;
    let body = read(body)?;
    told(draft, &body.id, &body.model, &body.usage);
    let mut choices = body.choices.unwrap_or_default().into_iter();
    let choice = choices.next().ok_or(Fault::malformed("the answer holds no choice"))?;
    take(draft, choice)
}

/// Reads a body, or the error that it is.
fn read(bytes: &[u8]) -> Result<Body, Fault> {
    let body: Body = serde_json::from_slice(bytes).map_err(|_| error(bytes, Fault::not_json(bytes)))?;
    if body.error.is_null() && body.choices.is_some() && body.object != "error" {
        return Ok(body);
    }
    let odd = Fault::Found(crate::Class::MalformedOutput, "".into());
    match error(bytes, odd) {
        Fault::Told(error) => Err(Fault::Told(error)),
        Fault::Found(..) => Ok(body),
    }
}

/// The error that the bytes tell of, or else this one.
fn error(bytes: &[u8], otherwise: Fault) -> Fault {
    let error = serde_json::from_slice(bytes).ok().as_ref().and_then(ErrorBody::find);
    error.map_or(otherwise, |error| Fault::Told(Box::new(error)))
}

fn take(draft: &mut Draft, choice: Choice) -> Result<(), Fault> {
    if choice.error.is_object() {
        let error = ErrorBody::find(&serde_json::json!({"error": choice.error}));
        return Err(Fault::Told(Box::new(error.unwrap_or_default())));
    }
    for part in [choice.delta, choice.message].into_iter().flatten() {
        take_part(draft, part)?;
    }
    // Some servers write an empty reason instead of none.
    if let Some(reason) = text(&choice.finish_reason) {
        draft.finish = Some(reason.to_owned());
    }
    Ok(())
}

fn take_part(draft: &mut Draft, part: Part) -> Result<(), Fault> {
    match &part.content {
        Value::String(piece) => draft.write(piece)?,
        // Mistral writes its thoughts and its text as a list of parts.
        Value::Array(parts) => {
            for piece in parts.iter().filter_map(|part| part.get("text")?.as_str()) {
                draft.write(piece)?;
            }
        }
        _ => {}
    }
    draft.refused |= text(&part.refusal).is_some();
    draft.began |= draft.refused || text(&part.reasoning).or(text(&part.reasoning_content)).is_some();
    for call in part.tool_calls.into_iter().flatten() {
        let Function { name, arguments } = call.function.unwrap_or_default();
        let id = call.id.as_str().unwrap_or_default();
        let arguments = match arguments {
            Value::Null => String::new(),
            Value::String(text) => text,
            // Some servers write the arguments themselves where their JSON text belongs.
            other => other.to_string(),
        };
        draft.write_call(call.index, id, name.as_str().unwrap_or_default(), &arguments)?;
    }
    Ok(())
}

/// A text that says something.
fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// Takes what stands beside the choices. What was told once is not forgotten for an empty word.
fn told(draft: &mut Draft, id: &Value, model: &Value, usage: &Value) {
    if draft.id.is_none() {
        draft.id = text(id).map(str::to_owned);
    }
    if draft.model.is_none() {
        draft.model = text(model).map(str::to_owned);
    }
    if usage.is_object() {
        draft.usage = read_usage(usage);
        draft.cost_usd = cost(usage).or(draft.cost_usd);
    }
}

/// Tokens as chat completions and embeddings count them.
pub(crate) fn read_usage(usage: &Value) -> Usage {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
    Usage {
        input: count("/prompt_tokens"),
        output: count("/completion_tokens"),
        cached: count("/prompt_tokens_details/cached_tokens"),
        cache_written: count("/prompt_tokens_details/cache_write_tokens"),
        reasoning: count("/completion_tokens_details/reasoning_tokens"),
    }
}

/// What OpenRouter says that the call cost. With a key of the user's own behind it, its provider's price comes on top
/// of OpenRouter's fee.
pub(crate) fn cost(usage: &Value) -> Option<f64> {
    let amount = |value: Option<&Value>| value?.as_f64().filter(|usd| usd.is_finite() && *usd >= 0.0);
    let fee = amount(usage.get("cost"))?;
    let own_key = usage.get("is_byok").is_some_and(|own| own == true);
    let upstream = amount(usage.pointer("/cost_details/upstream_inference_cost")).filter(|_| own_key);
    Some(fee + upstream.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Class;

    fn streamed(chunks: &[Value]) -> Result<Draft, Fault> {
        let mut draft = Draft::new(10_000);
        for chunk in chunks {
            assert!(!event(&mut draft, chunk.to_string().as_bytes())?);
        }
        assert_eq!(event(&mut draft, b" [DONE] "), Ok(true));
        Ok(draft)
    }

    fn delta(delta: &Value, finish_reason: Option<&str>) -> Value {
        json!({"id": "c-1", "model": "m-1", "object": "chat.completion.chunk", "usage": null,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})
    }

    #[test]
    fn a_stream_becomes_an_answer_with_usage_in_its_last_chunk() {
        let usage = json!({"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29, "cost": 0.0125,
            "prompt_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 4}});
        let mut draft = streamed(&[
            delta(&json!({"role": "assistant", "content": ""}), None),
            delta(&json!({"content": null, "reasoning": "hm"}), None),
            delta(&json!({"content": "Hel"}), None),
            delta(&json!({"content": "lo"}), None),
            delta(&json!({}), Some("stop")),
            json!({"id": "c-1", "model": "m-1", "choices": [], "usage": usage}),
        ])
        .unwrap();
        let expected = Usage {
            input: Some(20),
            output: Some(9),
            cached: Some(16),
            cache_written: Some(2),
            reasoning: Some(4),
        };
        assert_eq!((draft.usage, draft.cost_usd), (expected, Some(0.0125)));
        assert_eq!((draft.id.as_deref(), draft.model.as_deref()), (Some("c-1"), Some("m-1")));
        assert_eq!(draft.check().unwrap().text, "Hello");
    }

    #[test]
    fn fragments_of_calls_are_put_together_by_index() {
        let call = |call: Value| delta(&json!({"tool_calls": [call]}), None);
        let mut draft = streamed(&[
            call(json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}})),
            call(json!({"index": 1, "id": "b", "function": {"name": "g", "arguments": {"y": 2}}})),
            call(json!({"index": 0, "function": {"arguments": "{\"x\""}})),
            call(json!({"index": 0, "function": {"arguments": ":1}"}})),
            delta(&json!({}), Some("tool_calls")),
        ])
        .unwrap();
        let calls = draft.check().unwrap().tool_calls;
        let calls: Vec<_> = calls.iter().map(|call| (&*call.name, &*call.arguments)).collect();
        assert_eq!(calls, [("f", "{\"x\":1}"), ("g", "{\"y\":2}")]);
    }

    #[test]
    fn began_says_whether_anything_was_produced() {
        let began = |part: Value| streamed(&[delta(&part, None)]).unwrap().began;
        assert!(!began(json!({"role": "assistant", "content": "", "refusal": null})));
        for part in [json!({"content": "x"}), json!({"reasoning_content": "x"}), json!({"refusal": "x"})] {
            assert!(began(part.clone()), "{part}");
        }
    }

    #[test]
    fn an_error_within_a_stream_is_one_in_every_dialect() {
        for chunk in [
            json!({"error": {"code": 502, "message": "m"}}),
            json!({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
                "error": {"code": "server_error", "message": "m"}}),
            json!({"choices": [{"error": {"code": 502, "message": "m"}, "finish_reason": "error"}]}),
            json!({"object": "error", "message": "m", "type": "InternalServerError"}),
            json!({"error": "m"}),
        ] {
            assert!(matches!(streamed(std::slice::from_ref(&chunk)), Err(Fault::Told(_))), "{chunk}");
        }
    }

    #[test]
    fn what_is_not_a_completion_is_malformed() {
        let bodies: [&[u8]; 7] =
            [b"[]", b"{}", b"3", b"{\"choices\":[]}", b"{\"choices\":[{\"mess", b"<html>", b"\"\xff\xfe\""];
        for body in bodies {
            let fault = whole(&mut Draft::new(1000), body).unwrap_err();
            assert!(matches!(fault, Fault::Found(Class::MalformedOutput, _)), "{fault:?}");
        }
        let mut draft = Draft::new(1000);
        whole(&mut draft, br#"{"choices":[{"message":null}]}"#).unwrap();
        assert!(draft.check().is_err());
    }

    #[test]
    fn the_price_with_a_key_of_ones_own_includes_its_provider() {
        let usage = |own: bool| json!({"cost": 0.01, "is_byok": own, "cost_details": {"upstream_inference_cost": 0.5}});
        assert_eq!((cost(&usage(true)), cost(&usage(false))), (Some(0.51), Some(0.01)));
        assert_eq!((cost(&json!({"cost": -1})), cost(&json!({}))), (None, None));
    }
}
