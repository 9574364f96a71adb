//! A request as chat completions are asked for.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, json};

use crate::{
    ChatRequest, Content, Message, OutputFormat, Preset, Role, Tool, ToolCall, ToolChoice,
    body::{merge, set},
};

/// Fields that are ours even where they are absent.
const RESERVED: [&str; 4] = ["tools", "model", "messages", "stream"];

/// The body of a request.
pub(crate) fn body(
    request: &ChatRequest,
    preset: Preset,
    stream: bool,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut fields = fields(request, preset, stream);
    let tools = Tools(&request.tools);
    // Tools of ours keep out those of `extra`.
    let reserved = if request.tools.is_empty() { &RESERVED[1..] } else { &RESERVED[..] };
    merge(&mut fields, &request.extra, reserved);
    let messages = Messages { messages: &request.messages, developer: knows_developer(preset) };
    // OpenRouter chooses among `models`, if no model is named.
    let model = (!request.model.is_empty()).then_some(request.model.as_str());
    let tools = (!request.tools.is_empty()).then_some(tools);
    serde_json::to_vec(&Body { model, messages, tools, fields })
}

/// Others may refuse a role that is newer than they are.
fn knows_developer(preset: Preset) -> bool {
    matches!(preset, Preset::OpenAi | Preset::OpenRouter | Preset::Cohere)
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    messages: Messages<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Tools<'a>>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

fn fields(request: &ChatRequest, preset: Preset, stream: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    let longest = if preset == Preset::OpenAi { "max_completion_tokens" } else { "max_tokens" };
    set(&mut fields, longest, request.max_tokens);
    set(&mut fields, "temperature", request.temperature);
    set(&mut fields, "top_p", request.top_p);
    set(&mut fields, "seed", request.seed);
    set(&mut fields, "stop", (!request.stop.is_empty()).then(|| request.stop.clone()));
    set(&mut fields, "tool_choice", request.tool_choice.as_ref().map(tool_choice));
    set(&mut fields, "response_format", request.format.as_ref().map(response_format));
    let effort = request.reasoning_effort.clone();
    if preset == Preset::OpenRouter {
        set(&mut fields, "reasoning", effort.map(|effort| json!({"effort": effort})));
        fields.insert("usage".into(), json!({"include": true}));
    } else {
        set(&mut fields, "reasoning_effort", effort);
    }
    fields.insert("stream".into(), stream.into());
    if stream {
        fields.insert("stream_options".into(), json!({"include_usage": true}));
    }
    fields
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn response_format(format: &OutputFormat) -> Value {
    match format {
        OutputFormat::Json => json!({"type": "json_object"}),
        OutputFormat::Schema { name, schema, strict } => {
            json!({"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": strict}})
        }
    }
}

/// Written without a copy: prompts are long.
struct Messages<'a> {
    messages: &'a [Message],
    developer: bool,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.messages.iter().map(|message| {
            let known = message.role != Role::Developer || self.developer;
            Written { role: if known { message.role } else { Role::System }, message }
        }))
    }
}

struct Written<'a> {
    role: Role,
    message: &'a Message,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Message { content, tool_calls, tool_call_id, name, .. } = self.message;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", &self.role)?;
        let content = (!content.is_empty() || tool_calls.is_empty()).then_some(content);
        map.serialize_entry::<_, Option<&Content>>("content", &content)?;
        if !tool_calls.is_empty() {
            let calls: Vec<_> = tool_calls.iter().map(called).collect();
            map.serialize_entry("tool_calls", &calls)?;
        }
        if let Some(id) = tool_call_id {
            map.serialize_entry("tool_call_id", id)?;
        }
        if let Some(name) = name {
            map.serialize_entry("name", name)?;
        }
        map.end()
    }
}

fn called(call: &ToolCall) -> Value {
    let ToolCall { id, name, arguments } = call;
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

struct Tools<'a>(&'a [Tool]);

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry<'a> {
            r#type: &'static str,
            function: &'a Tool,
        }
        serializer.collect_seq(self.0.iter().map(|function| Entry { r#type: "function", function }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(request: &ChatRequest, preset: Preset, stream: bool) -> Value {
        serde_json::from_slice(&body(request, preset, stream).unwrap()).unwrap()
    }

    fn full() -> ChatRequest {
        let call = ToolCall { id: "c1".into(), name: "f".into(), arguments: "{\"x\":1}".into() };
        let mut called = Message::text(Role::Assistant, "");
        called.tool_calls.push(call);
        let mut answer = Message::text(Role::Tool, "42");
        answer.tool_call_id = Some("c1".into());
        let schema = json!({"type": "object"});
        ChatRequest {
            model: "m".into(),
            messages: vec![
                Message::text(Role::Developer, "d"),
                Message::text(Role::User, "u"),
                called,
                answer,
            ],
            max_tokens: Some(64),
            temperature: Some(0.5),
            top_p: Some(0.9),
            seed: Some(7),
            stop: vec!["END".into()],
            tools: vec![Tool {
                name: "f".into(),
                description: Some("what f does".into()),
                parameters: schema.clone(),
                strict: Some(true),
            }],
            tool_choice: Some(ToolChoice::Named("f".into())),
            format: Some(OutputFormat::Schema { name: "n".into(), schema, strict: true }),
            reasoning_effort: Some("low".into()),
            cache_prompt: true,
            extra: json!({"model": "other", "stream": false, "max_completion_tokens": 1, "logprobs": true})
                .as_object()
                .cloned()
                .unwrap(),
        }
    }

    #[test]
    fn every_field_is_written_as_openai_reads_it() {
        let expected = json!({
            "model": "m",
            "messages": [
                {"role": "developer", "content": "d"},
                {"role": "user", "content": "u"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
                {"role": "tool", "content": "42", "tool_call_id": "c1"},
            ],
            "max_completion_tokens": 64, "temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": ["END"],
            "tools": [{"type": "function", "function": {
                "name": "f", "description": "what f does", "parameters": {"type": "object"}, "strict": true}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {"type": "json_schema", "json_schema": {
                "name": "n", "schema": {"type": "object"}, "strict": true}},
            "reasoning_effort": "low", "logprobs": true,
            "stream": true, "stream_options": {"include_usage": true},
        });
        assert_eq!(written(&full(), Preset::OpenAi, true), expected);
    }

    #[test]
    fn each_preset_has_its_ways() {
        let compatible = written(&full(), Preset::Compatible, false);
        assert_eq!(
            (&compatible["max_tokens"], &compatible["messages"][0]["role"]),
            (&json!(64), &json!("system"))
        );
        assert_eq!((&compatible["stream"], compatible.get("stream_options")), (&json!(false), None));
        let router = written(&full(), Preset::OpenRouter, true);
        assert_eq!(
            (&router["usage"], &router["reasoning"]),
            (&json!({"include": true}), &json!({"effort": "low"}))
        );
    }

    #[test]
    fn a_list_of_models_takes_the_place_of_one() {
        let mut request =
            ChatRequest { messages: vec![Message::text(Role::User, "u")], ..ChatRequest::default() };
        request.extra.insert("models".into(), json!(["a/b:free", "c/d"]));
        request.extra.insert("tools".into(), json!([{"type": "custom"}]));
        let written = written(&request, Preset::OpenRouter, false);
        let expected = json!({
            "messages": [{"role": "user", "content": "u"}], "models": ["a/b:free", "c/d"],
            "tools": [{"type": "custom"}], "stream": false, "usage": {"include": true}
        });
        assert_eq!(written, expected);
    }
}
