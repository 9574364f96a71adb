//! Messages as Anthropic sends them.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::reply::{Called, Frames, Reply, pieces};

/// The whole answer.
pub(crate) fn whole(reply: &Reply) -> Value {
    let blocks = blocks(reply).into_iter().map(|block| match block {
        Block::Thinking(text) => json!({"type": "thinking", "thinking": text, "signature": SIGNATURE}),
        Block::Text(text) => json!({"type": "text", "text": text}),
        Block::Tool(call) => {
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
        }
    });
    json!({
        "id": id(reply),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": blocks.collect::<Vec<_>>(),
        "stop_reason": stop_reason(reply),
        "stop_sequence": reply.stop,
        "usage": usage(reply, reply.usage.output),
    })
}

const SIGNATURE: &str = "c2NyaXB0ZWQgc3RhbmQtaW4=";

enum Block<'a> {
    Thinking(&'a str),
    Text(&'a str),
    Tool(&'a Called),
}

fn blocks(reply: &Reply) -> Vec<Block<'_>> {
    let thinking = reply.thinking.iter().map(|text| Block::Thinking(text));
    let text = reply.refusal.as_ref().or(reply.texts.first());
    // Before a tool's call, no text is no block; alone, it is an empty one.
    let text = text.filter(|text| reply.tools.is_empty() || !text.is_empty());
    let tools = reply.tools.iter().map(Block::Tool);
    thinking.chain(text.map(|text| Block::Text(text))).chain(tools).collect()
}

fn id(reply: &Reply) -> String {
    format!("msg_scripted{:016x}", reply.id)
}

fn stop_reason(reply: &Reply) -> Cow<'_, str> {
    match reply.finish.as_str() {
        _ if reply.refusal.is_some() => "refusal".into(),
        "stop" if reply.stop.is_some() => "stop_sequence".into(),
        "stop" => "end_turn".into(),
        "length" => "max_tokens".into(),
        "tool_calls" => "tool_use".into(),
        "content_filter" => "refusal".into(),
        other => other.into(),
    }
}

/// Here the input is what was neither read from the cache nor written to it.
fn usage(reply: &Reply, output: u64) -> Value {
    let usage = reply.usage;
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cached + usage.cache_write),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

/// The answer as a stream of named events.
pub(crate) fn frames(reply: &Reply, chunk: usize) -> Frames {
    let mut frames = Frames::default();
    let mut message = whole(reply);
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    message["stop_sequence"] = Value::Null;
    message["usage"] = usage(reply, 1);
    push(&mut frames, &json!({"type": "message_start", "message": message}));
    for (index, block) in blocks(reply).iter().enumerate() {
        push(
            &mut frames,
            &json!({"type": "content_block_start", "index": index, "content_block": start(block)}),
        );
        if index == 0 {
            push(&mut frames, &json!({"type": "ping"}));
        }
        for delta in deltas(block, chunk) {
            push(&mut frames, &json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        push(&mut frames, &json!({"type": "content_block_stop", "index": index}));
    }
    let finish = frames.all.len();
    frames.finish = finish..finish + 1;
    let delta = json!({"stop_reason": stop_reason(reply), "stop_sequence": reply.stop});
    let usage = usage(reply, reply.usage.output);
    push(&mut frames, &json!({"type": "message_delta", "delta": delta, "usage": usage}));
    push(&mut frames, &json!({"type": "message_stop"}));
    frames
}

/// An event is named by its type.
pub(crate) fn push(frames: &mut Frames, data: &Value) {
    frames.push(data["type"].as_str(), data);
}

fn start(block: &Block<'_>) -> Value {
    match block {
        Block::Thinking(_) => json!({"type": "thinking", "thinking": "", "signature": ""}),
        Block::Text(_) => json!({"type": "text", "text": ""}),
        Block::Tool(call) => json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}),
    }
}

fn deltas(block: &Block<'_>, chunk: usize) -> Vec<Value> {
    let parts = |kind: &str, name: &str, text: &str| -> Vec<Value> {
        pieces(text, chunk).map(|piece| json!({"type": kind, name: piece})).collect()
    };
    match block {
        Block::Text(text) => parts("text_delta", "text", text),
        Block::Thinking(text) => {
            let mut deltas = parts("thinking_delta", "thinking", text);
            deltas.push(json!({"type": "signature_delta", "signature": SIGNATURE}));
            deltas
        }
        Block::Tool(call) => {
            let mut deltas = vec![json!({"type": "input_json_delta", "partial_json": ""})];
            deltas.extend(parts("input_json_delta", "partial_json", &call.arguments.to_string()));
            deltas
        }
    }
}

/// The event that tells of trouble in the middle of a stream.
pub(crate) fn error_event(message: &str) -> Value {
    json!({"type": "error", "error": {"type": "overloaded_error", "message": message}})
}
