//! Chat completions as `OpenAI` and those who speak its format send them.

use serde_json::{Map, Value, json};

use super::{
    ask::Chat,
    reply::{Called, Frames, Reply, Usage, pieces},
    scenario::answer::Style,
};

/// The whole answer.
pub(crate) fn whole(reply: &Reply) -> Value {
    let choice = |(index, text): (usize, &String)| {
        let mut choice = json!({
            "index": index,
            "message": message(reply, text),
            "logprobs": null,
            "finish_reason": reply.finish,
        });
        if reply.style == Style::Openrouter {
            choice["native_finish_reason"] = json!(reply.finish);
        }
        choice
    };
    let choices: Vec<Value> = reply.texts.iter().enumerate().map(choice).collect();
    let mut body = envelope(reply, "chat.completion");
    body.insert("choices".into(), Value::Array(choices));
    body.insert("usage".into(), usage(reply));
    Value::Object(body)
}

fn message(reply: &Reply, text: &str) -> Value {
    let has_text = reply.refusal.is_none() && (reply.tools.is_empty() || !text.is_empty());
    let mut message = json!({
        "role": "assistant",
        "content": has_text.then_some(text),
        "refusal": reply.refusal,
    });
    if !reply.tools.is_empty() {
        message["tool_calls"] = reply.tools.iter().map(tool_call).collect();
    }
    if let Some(thinking) = &reply.thinking {
        message[thinking_name(reply.style)] = json!(thinking);
    }
    message
}

fn tool_call(call: &Called) -> Value {
    let arguments = call.arguments.to_string();
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

/// `OpenAI` itself does not show it.
fn thinking_name(style: Style) -> &'static str {
    if style == Style::Openrouter { "reasoning" } else { "reasoning_content" }
}

fn envelope(reply: &Reply, object: &str) -> Map<String, Value> {
    let mut body = Map::new();
    let prefix = if reply.style == Style::Openrouter { "gen" } else { "chatcmpl" };
    body.insert("id".into(), json!(format!("{prefix}-scripted-{:016x}", reply.id)));
    body.insert("object".into(), json!(object));
    // The same request gets the same answer, to the byte.
    body.insert("created".into(), json!(0));
    body.insert("model".into(), json!(reply.model));
    match reply.style {
        Style::Openrouter => {
            body.insert("provider".into(), json!("Scripted"));
        }
        Style::Openai | Style::LlamaCpp | Style::Vllm => {
            body.insert("service_tier".into(), json!("default"));
            body.insert("system_fingerprint".into(), json!("fp_scripted"));
        }
    }
    body
}

fn usage(reply: &Reply) -> Value {
    let Usage { input, output, cached, cache_write, reasoning } = reply.usage;
    let mut usage = json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    });
    if cache_write > 0 {
        usage["prompt_tokens_details"]["cache_write_tokens"] = json!(cache_write);
    }
    let cost = reply.cost.or((reply.style == Style::Openrouter).then_some(0.0));
    if let Some(cost) = cost {
        usage["cost"] = json!(cost);
        usage["cost_details"] = json!({"upstream_inference_cost": cost});
        usage["is_byok"] = json!(false);
    }
    usage
}

/// The answer as a stream, its text in pieces of so many characters.
pub(crate) fn frames(reply: &Reply, chat: &Chat, chunk: usize) -> Frames {
    let with_usage = chat.include_usage || reply.style == Style::Openrouter || reply.texts.is_empty();
    let mut stream = Stream { reply, with_usage, frames: Frames::default() };
    for (index, text) in reply.texts.iter().enumerate() {
        stream.choice(index, text, chunk);
    }
    let before = stream.frames.all.len();
    for index in 0..reply.texts.len() {
        stream.delta(index, &json!({}), Some(&reply.finish));
    }
    stream.frames.finish = before..stream.frames.all.len();
    if with_usage {
        let mut last = envelope(reply, "chat.completion.chunk");
        last.insert("choices".into(), json!([]));
        last.insert("usage".into(), usage(reply));
        stream.frames.push(None, &Value::Object(last));
    }
    stream.frames.all.push("data: [DONE]\n\n".into());
    stream.frames
}

struct Stream<'a> {
    reply: &'a Reply,
    with_usage: bool,
    frames: Frames,
}

impl Stream<'_> {
    fn choice(&mut self, index: usize, text: &str, chunk: usize) {
        let reply = self.reply;
        let content = if reply.tools.is_empty() && reply.refusal.is_none() { json!("") } else { Value::Null };
        self.delta(index, &json!({"role": "assistant", "content": content, "refusal": null}), None);
        for piece in reply.thinking.iter().flat_map(|thinking| pieces(thinking, chunk)) {
            let mut delta = json!({});
            delta[thinking_name(reply.style)] = json!(piece);
            self.delta(index, &delta, None);
        }
        for piece in reply.refusal.iter().flat_map(|refusal| pieces(refusal, chunk)) {
            self.delta(index, &json!({ "refusal": piece }), None);
        }
        for piece in pieces(text, chunk) {
            self.delta(index, &json!({ "content": piece }), None);
        }
        for (number, call) in reply.tools.iter().enumerate() {
            self.tool_call(index, number, call, chunk);
        }
    }

    /// First the name, then the arguments in pieces.
    fn tool_call(&mut self, index: usize, number: usize, call: &Called, chunk: usize) {
        let head = json!({
            "index": number,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        });
        self.delta(index, &json!({"tool_calls": [head]}), None);
        for piece in pieces(&call.arguments.to_string(), chunk) {
            let part = json!({"index": number, "function": {"arguments": piece}});
            self.delta(index, &json!({"tool_calls": [part]}), None);
        }
    }

    fn delta(&mut self, index: usize, delta: &Value, finish: Option<&str>) {
        let mut body = envelope(self.reply, "chat.completion.chunk");
        let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
        body.insert("choices".into(), json!([choice]));
        if self.with_usage && self.reply.style != Style::Openrouter {
            body.insert("usage".into(), Value::Null);
        }
        self.frames.push(None, &Value::Object(body));
    }
}

/// The chunk that tells of trouble in the middle of a stream.
pub(crate) fn error_chunk(reply: &Reply, message: &str) -> Value {
    if reply.style != Style::Openrouter {
        return json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}});
    }
    let mut body = envelope(reply, "chat.completion.chunk");
    body.insert("error".into(), json!({"code": "server_error", "message": message}));
    let choice = json!({"index": 0, "delta": {"content": ""}, "finish_reason": "error"});
    body.insert("choices".into(), json!([choice]));
    Value::Object(body)
}
