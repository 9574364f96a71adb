//! A request as Anthropic's messages are asked for.

use serde_json::{Map, Value, json};

use super::message::{InvalidMessage, Turn, cache, system, turns};
use crate::{
    ChatRequest, OutputFormat, Tool, ToolChoice,
    body::{merge, set},
};

/// Anthropic demands a longest answer.
const MAX_TOKENS: u32 = 4096;

/// The tool whose arguments are the answer, where a schema is too open for structured output.
pub(crate) const ANSWER_TOOL: &str = "answer";

/// Fields that are ours even where they are absent.
const RESERVED: [&str; 3] = ["model", "messages", "stream"];

/// Structured output takes only schemas whose objects are closed, which is what `strict` promises. Any other schema
/// becomes that of a tool that the model must call, unless it has other tools or must think first.
pub(crate) fn needs_answer_tool(request: &ChatRequest) -> bool {
    let open = matches!(&request.format, Some(OutputFormat::Schema { strict: false, schema, .. })
        if schema.get("type").is_none_or(|kind| kind == "object"));
    open && request.tools.is_empty() && !request.extra.contains_key("thinking")
}

/// The body of a request.
pub(crate) fn body(request: &ChatRequest, stream: bool) -> Result<Vec<u8>, InvalidMessage> {
    let mut turns = turns(&request.messages)?;
    let mut system = system(&request.messages);
    if request.cache_prompt {
        cache(&mut system);
        cache(turns.iter_mut().rfind(|turn| turn.role == "user").map_or(&mut [], |turn| &mut turn.blocks));
    }
    if request.format == Some(OutputFormat::Json) {
        // There is no such mode here. The validator sees to the rest.
        system.push(json!({"type": "text", "text": "Answer with one JSON object and with nothing else."}));
    }
    let mut fields = fields(request);
    fields.insert("stream".into(), stream.into());
    if !system.is_empty() {
        fields.insert("system".into(), system.into());
    }
    merge(&mut fields, &request.extra, &RESERVED);
    let body = Body { model: &request.model, messages: &turns, fields };
    serde_json::to_vec(&body).map_err(|_| InvalidMessage::Json)
}

#[derive(serde::Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Turn],
    #[serde(flatten)]
    fields: Map<String, Value>,
}

fn fields(request: &ChatRequest) -> Map<String, Value> {
    let mut fields = Map::new();
    let extra = || request.extra.get("max_tokens").cloned();
    let longest = request.max_tokens.map(Value::from).or_else(extra);
    fields.insert("max_tokens".into(), longest.unwrap_or_else(|| MAX_TOKENS.into()));
    set(&mut fields, "temperature", request.temperature);
    set(&mut fields, "top_p", request.top_p);
    set(&mut fields, "stop_sequences", (!request.stop.is_empty()).then(|| request.stop.clone()));
    set(&mut fields, "tool_choice", request.tool_choice.as_ref().map(tool_choice));
    if !request.tools.is_empty() {
        fields.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    let effort = request.reasoning_effort.as_deref().filter(|effort| *effort != "none");
    let mut output = Map::new();
    // `OpenAI` knows one that is less than low.
    set(&mut output, "effort", effort.map(|effort| if effort == "minimal" { "low" } else { effort }));
    if let Some(OutputFormat::Schema { name, schema, .. }) = &request.format {
        if needs_answer_tool(request) {
            let description = format!("Gives the answer, which is called {name}.");
            let answer = json!({"name": ANSWER_TOOL, "description": description, "input_schema": schema});
            fields.insert("tools".into(), json!([answer]));
            fields.insert("tool_choice".into(), json!({"type": "tool", "name": ANSWER_TOOL}));
        } else {
            output.insert("format".into(), json!({"type": "json_schema", "schema": schema}));
        }
    }
    set(&mut fields, "output_config", (!output.is_empty()).then_some(output));
    fields
}

fn tool(tool: &Tool) -> Value {
    let mut fields = Map::new();
    fields.insert("name".into(), tool.name.clone().into());
    set(&mut fields, "description", tool.description.clone());
    fields.insert("input_schema".into(), tool.parameters.clone());
    set(&mut fields, "strict", tool.strict);
    fields.into()
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!({"type": "auto"}),
        ToolChoice::None => json!({"type": "none"}),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Role};

    fn written(request: &ChatRequest) -> Value {
        serde_json::from_slice(&body(request, true).unwrap()).unwrap()
    }

    fn request() -> ChatRequest {
        let messages = vec![Message::text(Role::System, "s"), Message::text(Role::User, "u")];
        ChatRequest { model: "m".into(), messages, ..ChatRequest::default() }
    }

    #[test]
    fn every_field_is_written_as_anthropic_reads_it() {
        let parameters = json!({"type": "object"});
        let request = ChatRequest {
            max_tokens: Some(64),
            temperature: Some(0.5),
            top_p: Some(0.9),
            seed: Some(7),
            stop: vec!["END".into()],
            tools: vec![Tool { name: "f".into(), description: None, parameters, strict: Some(true) }],
            tool_choice: Some(ToolChoice::Required),
            format: Some(OutputFormat::Schema { name: "n".into(), schema: json!({"a": 1}), strict: true }),
            reasoning_effort: Some("minimal".into()),
            cache_prompt: true,
            extra: json!({"top_k": 5, "stream": false, "temperature": 0.1}).as_object().cloned().unwrap(),
            ..request()
        };
        let ephemeral = json!({"type": "ephemeral"});
        let expected = json!({
            "model": "m", "max_tokens": 64, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "stream": true,
            "stop_sequences": ["END"],
            "system": [{"type": "text", "text": "s", "cache_control": ephemeral}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "u", "cache_control": ephemeral}]}],
            "tools": [{"name": "f", "input_schema": {"type": "object"}, "strict": true}],
            "tool_choice": {"type": "any"},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"a": 1}}},
        });
        assert_eq!(written(&request), expected);
    }

    #[test]
    fn what_anthropic_demands_is_there_even_if_nobody_asked_for_it() {
        let written = written(&request());
        assert_eq!((&written["max_tokens"], written.get("tools")), (&json!(4096), None));
        let mut own = request();
        own.extra.insert("max_tokens".into(), json!(9000));
        assert_eq!(self::written(&own)["max_tokens"], 9000);
    }

    #[test]
    fn a_schema_that_is_not_strict_is_that_of_a_tool() {
        let schema = json!({"type": "object", "additionalProperties": {"type": "number"}});
        let format = OutputFormat::Schema { name: "counts".into(), schema: schema.clone(), strict: false };
        let mut request = ChatRequest { format: Some(format), ..request() };
        let written = written(&request);
        assert_eq!((&written["tools"][0]["input_schema"], written.get("output_config")), (&schema, None));
        assert_eq!(written["tool_choice"], json!({"type": "tool", "name": ANSWER_TOOL}));
        request.extra.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": 1024}));
        assert_eq!(self::written(&request)["output_config"]["format"]["schema"], schema);
    }

    #[test]
    fn json_without_a_schema_is_asked_for_in_words() {
        let request = ChatRequest { format: Some(OutputFormat::Json), ..request() };
        assert!(written(&request)["system"][1]["text"].as_str().unwrap().contains("JSON"));
    }
}
