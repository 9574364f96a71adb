//! Answers of Anthropic's messages: whole, or one event after the other.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    draft::{Draft, Fault},
    failure::ErrorBody,
};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    r#type: Value,
    index: u64,
    message: Option<Message>,
    content_block: Option<Block>,
    delta: Option<Delta>,
    usage: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Message {
    r#type: Value,
    id: Value,
    model: Value,
    content: Option<Vec<Block>>,
    stop_reason: Value,
    usage: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Block {
    r#type: Value,
    text: Value,
    id: Value,
    name: Value,
    input: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Delta {
    text: Value,
    partial_json: Value,
    thinking: Value,
    stop_reason: Value,
}

/// Reads one event of a stream. Says whether it is the last.
pub(crate) fn event(draft: &mut Draft, data: &[u8]) -> Result<bool, Fault> {
    if data.trim_ascii().is_empty() {
        return Ok(false);
    }
    let event: Event = serde_json::from_slice(data).map_err(|_| error(data, Fault::not_json(data)))?;
    match text(&event.r#type) {
        "message_start" => draft_message(draft, event.message.unwrap_or_default()),
        "content_block_start" => start(draft, event.index, &event.content_block.unwrap_or_default())?,
        "content_block_delta" => add(draft, event.index, &event.delta.unwrap_or_default())?,
        "message_delta" => {
            ends(draft, &event.delta.unwrap_or_default().stop_reason);
            count(draft, &event.usage);
        }
        "message_stop" => return Ok(true),
        "error" => return Err(error(data, Fault::Told(Box::default()))),
        // `ping`, the end of a block, what is new since: none of it matters. A proxy's error may have no type.
        "ping" | "content_block_stop" => {}
        _ => refuse_error(data)?,
    }
    Ok(false)
}

/// Reads an answer that came as a whole.
pub(crate) fn whole(draft: &mut Draft, body: &[u8]) -> Result<(), Fault> {
    draft.began = true;
    let mut message: Message =
        serde_json::from_slice(body).map_err(|_| error(body, Fault::not_json(body)))?;
    if message.r#type != "message" {
        return Err(error(body, Fault::malformed("the answer is not a message")));
    }
    let blocks = message.content.take().unwrap_or_default();
    draft_message(draft, message);
    for (index, block) in blocks.iter().enumerate() {
        start(draft, index as u64, block)?;
        let index = index as u64;
        finish_input(draft, index, block)?;
    }
    Ok(())
}

/// The error that the bytes tell of, or else this one.
fn error(bytes: &[u8], otherwise: Fault) -> Fault {
    let error = serde_json::from_slice(bytes).ok().as_ref().and_then(ErrorBody::find);
    error.map_or(otherwise, |error| Fault::Told(Box::new(error)))
}

fn refuse_error(bytes: &[u8]) -> Result<(), Fault> {
    let error = serde_json::from_slice(bytes).ok().as_ref().and_then(ErrorBody::find);
    error.map_or(Ok(()), |error| Err(Fault::Told(Box::new(error))))
}

fn draft_message(draft: &mut Draft, message: Message) {
    let word = |value: Value| Some(text(&value).to_owned()).filter(|word| !word.is_empty());
    draft.id = word(message.id);
    draft.model = word(message.model);
    ends(draft, &message.stop_reason);
    count(draft, &message.usage);
}

fn start(draft: &mut Draft, index: u64, block: &Block) -> Result<(), Fault> {
    match text(&block.r#type) {
        "text" => draft.write(text(&block.text))?,
        "tool_use" => draft.write_call(Some(index), text(&block.id), text(&block.name), "")?,
        // Thoughts and what the provider's own tools do.
        _ => draft.began = true,
    }
    Ok(())
}

/// The arguments of a call that came as a whole.
fn finish_input(draft: &mut Draft, index: u64, block: &Block) -> Result<(), Fault> {
    let filled = block.input.as_object().is_some_and(|input| !input.is_empty());
    if text(&block.r#type) == "tool_use" && filled && !draft.has_arguments(index) {
        draft.write_call(Some(index), "", "", &block.input.to_string())?;
    }
    Ok(())
}

fn add(draft: &mut Draft, index: u64, delta: &Delta) -> Result<(), Fault> {
    draft.write(text(&delta.text))?;
    draft.began |= !text(&delta.thinking).is_empty();
    let piece = text(&delta.partial_json);
    // The provider's own tools get arguments, too, but those calls are not ours to make.
    if !piece.is_empty() && draft.has_call(index) {
        draft.write_call(Some(index), "", "", piece)?;
    }
    Ok(())
}

fn ends(draft: &mut Draft, reason: &Value) {
    if let Some(reason) = reason.as_str() {
        draft.finish = Some(reason.to_owned());
    }
}

/// Counts are cumulative, and each event repeats only some. The input is what was read anew, what came from the cache
/// and what went into it.
fn count(draft: &mut Draft, usage: &Value) {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
    let used = &mut draft.usage;
    let known = |total: Option<u64>, part: Option<u64>| total.unwrap_or(0).saturating_sub(part.unwrap_or(0));
    let fresh = used.input.map(|total| known(Some(known(Some(total), used.cached)), used.cache_written));
    let fresh = count("/input_tokens").or(fresh);
    used.cached = count("/cache_read_input_tokens").or(used.cached);
    used.cache_written = count("/cache_creation_input_tokens").or(used.cache_written);
    let cached = used.cached.unwrap_or(0).saturating_add(used.cache_written.unwrap_or(0));
    used.input = fresh.map(|fresh| fresh.saturating_add(cached));
    used.output = count("/output_tokens").or(used.output);
    let reasoning = count("/output_tokens_details/thinking_tokens");
    let reasoning = reasoning.or_else(|| count("/output_tokens_details/reasoning_tokens"));
    used.reasoning = reasoning.or(used.reasoning);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Class, Finish, Usage};

    fn streamed(events: &[Value]) -> Result<Draft, Fault> {
        let mut draft = Draft::new(10_000);
        for data in events {
            if event(&mut draft, data.to_string().as_bytes())? {
                return Ok(draft);
            }
        }
        panic!("the stream did not end");
    }

    fn start() -> Value {
        let usage = json!({"input_tokens": 12, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 8,
            "output_tokens": 1});
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
            "model": "claude-m", "content": [], "stop_reason": null, "usage": usage}})
    }

    fn end(reason: &str) -> [Value; 2] {
        let delta = json!({"stop_reason": reason, "stop_sequence": null});
        let usage = json!({"output_tokens": 40, "output_tokens_details": {"thinking_tokens": 30}});
        [json!({"type": "message_delta", "delta": delta, "usage": usage}), json!({"type": "message_stop"})]
    }

    fn delta(index: u64, delta: &Value) -> Value {
        json!({"type": "content_block_delta", "index": index, "delta": delta})
    }

    fn block(index: u64, block: &Value) -> Value {
        json!({"type": "content_block_start", "index": index, "content_block": block})
    }

    #[test]
    fn a_stream_of_thoughts_text_and_a_call_becomes_an_answer() {
        let [last, stop] = end("tool_use");
        let mut draft = streamed(&[
            start(),
            json!({"type": "ping"}),
            block(0, &json!({"type": "thinking", "thinking": ""})),
            delta(0, &json!({"type": "thinking_delta", "thinking": "hm"})),
            block(1, &json!({"type": "text", "text": ""})),
            delta(1, &json!({"type": "text_delta", "text": "Let me "})),
            delta(1, &json!({"type": "text_delta", "text": "look."})),
            json!({"type": "content_block_stop", "index": 1}),
            block(2, &json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}})),
            delta(2, &json!({"type": "input_json_delta", "partial_json": ""})),
            delta(2, &json!({"type": "input_json_delta", "partial_json": "{\"x\""})),
            delta(2, &json!({"type": "input_json_delta", "partial_json": ": 1}"})),
            block(3, &json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"})),
            delta(3, &json!({"type": "input_json_delta", "partial_json": "{}"})),
            json!({"type": "something_new", "index": 9}),
            last,
            stop,
        ])
        .unwrap();
        let expected = Usage {
            input: Some(120),
            output: Some(40),
            cached: Some(100),
            cache_written: Some(8),
            reasoning: Some(30),
        };
        assert_eq!((draft.usage, draft.model.as_deref()), (expected, Some("claude-m")));
        let checked = draft.check().unwrap();
        assert_eq!((checked.text.as_str(), checked.finish), ("Let me look.", Finish::ToolCalls));
        assert_eq!(checked.tool_calls.len(), 1);
        assert_eq!(checked.tool_calls[0].arguments, "{\"x\": 1}");
    }

    #[test]
    fn counts_that_are_repeated_are_not_added_up() {
        let usage = json!({"input_tokens": 12, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 8,
            "output_tokens": 5});
        let again = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage});
        let draft = streamed(&[start(), again, json!({"type": "message_stop"})]).unwrap();
        assert_eq!((draft.usage.input, draft.usage.output), (Some(120), Some(5)));
    }

    #[test]
    fn counts_beyond_all_sense_are_the_largest_there_is() {
        let usage = json!({"input_tokens": u64::MAX, "cache_read_input_tokens": u64::MAX,
            "cache_creation_input_tokens": u64::MAX});
        let body = json!({"type": "message", "stop_reason": "end_turn", "usage": usage});
        let mut draft = Draft::new(1000);
        whole(&mut draft, body.to_string().as_bytes()).unwrap();
        assert_eq!(draft.usage.input, Some(u64::MAX));
    }

    #[test]
    fn an_error_event_ends_the_stream() {
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}});
        let fault = streamed(&[start(), error]).unwrap_err();
        let Fault::Told(error) = fault else { panic!("{fault:?}") };
        assert_eq!(crate::failure::classify(200, false, &error), Class::Overloaded);
        assert!(matches!(streamed(&[json!({"error": {"message": "m"}})]), Err(Fault::Told(_))));
    }

    #[test]
    fn an_answer_as_a_whole_is_the_same_as_a_stream() {
        let body = json!({"id": "msg_1", "type": "message", "model": "claude-m", "stop_reason": "tool_use",
            "content": [{"type": "text", "text": "Look."},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}],
            "usage": {"input_tokens": 3, "output_tokens": 4}});
        let mut draft = Draft::new(1000);
        whole(&mut draft, body.to_string().as_bytes()).unwrap();
        assert_eq!((draft.usage.input, draft.usage.cached), (Some(3), None));
        assert_eq!(draft.check().unwrap().tool_calls[0].arguments, "{\"x\":1}");
        for body in ["[]", "{}", "{\"type\":\"mess", "{\"choices\":[]}"] {
            let fault = whole(&mut Draft::new(1000), body.as_bytes()).unwrap_err();
            assert!(matches!(fault, Fault::Found(Class::MalformedOutput, _)), "{body}: {fault:?}");
        }
    }

    #[test]
    fn the_arguments_of_the_tool_that_stands_for_the_answer_are_the_answer() {
        let [last, stop] = end("tool_use");
        let mut draft = streamed(&[
            start(),
            block(0, &json!({"type": "tool_use", "id": "t", "name": "answer", "input": {}})),
            delta(0, &json!({"type": "input_json_delta", "partial_json": "{\"n\":1}"})),
            last,
            stop,
        ])
        .unwrap();
        draft = draft.with_answer_tool(Some("answer"));
        let checked = draft.check().unwrap();
        assert_eq!(
            (checked.text.as_str(), checked.finish, checked.tool_calls),
            ("{\"n\":1}", Finish::Stop, vec![])
        );
    }
}
