//! Reads what Anthropic's messages endpoint takes, with its checks and its words.

use axum::http::HeaderMap;
use serde_json::Value;

use super::{
    Ask, COUNT, Chat, Format, Output, Prefix, Said, Tool, ToolChoice, Want, Who, given, hash, tokens,
};
use crate::scripted::failure::Failure;

fn invalid(message: impl Into<String>) -> Failure {
    Failure::invalid(None, message.into())
}

pub(super) fn messages(path: &'static str, headers: &HeaderMap, body: &Value) -> Result<Ask, Failure> {
    if !headers.contains_key("anthropic-version") {
        return Err(invalid("anthropic-version: header is required"));
    }
    let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| invalid("model: Field required"))?.to_owned();
    let counting = path == COUNT;
    let max_tokens = match given(body, "max_tokens").map(Value::as_u64) {
        None if counting => None,
        None => return Err(invalid("max_tokens: Field required")),
        Some(Some(most)) if most > 0 => Some(most),
        Some(_) => return Err(invalid("max_tokens: Input should be greater than or equal to 1")),
    };
    check_temperature(body)?;
    let (said, prefix, mut input_tokens) = read_prompt(body)?;
    let tools = tools(body)?;
    input_tokens += given(body, "tools").map_or(0, |tools| tokens(&tools.to_string()));
    let want = if counting {
        Want::Count
    } else {
        Want::Chat(Box::new(Chat {
            max_tokens,
            choices: 1,
            stop: stop(body)?,
            include_usage: true,
            tool_choice: tool_choice(body, &tools)?,
            tools,
            output: output(body),
            prefix,
        }))
    };
    let stream = given(body, "stream") == Some(&Value::Bool(true));
    Ok(Ask { path, format: Format::Anthropic, model, said, stream, input_tokens, want })
}

fn check_temperature(body: &Value) -> Result<(), Failure> {
    match given(body, "temperature").map(Value::as_f64) {
        None => Ok(()),
        Some(Some(value)) if (0.0..=1.0).contains(&value) => Ok(()),
        Some(_) => Err(invalid("temperature: range: 0..1")),
    }
}

/// The messages, the system's first; the prefix that is to be cached; the tokens of all of it.
fn read_prompt(body: &Value) -> Result<(Vec<Said>, Option<Prefix>, u64), Failure> {
    let mut reader = Reader::default();
    for tool in given(body, "tools").and_then(Value::as_array).into_iter().flatten() {
        reader.tool(tool);
    }
    let mut said = Vec::new();
    if let Some(system) = given(body, "system") {
        let text = reader.content(system).ok_or_else(|| invalid("system: Input should be a valid list"))?;
        said.push(Said { who: Who::System, text });
    }
    let messages = body.get("messages").and_then(Value::as_array);
    let messages = messages.ok_or_else(|| invalid("messages: Field required"))?;
    if messages.is_empty() {
        return Err(invalid("messages: at least one message is required"));
    }
    for (index, message) in messages.iter().enumerate() {
        let who = match message.get("role").and_then(Value::as_str) {
            Some("user") => Who::User,
            Some("assistant") => Who::Assistant,
            _ => {
                return Err(invalid(format!("messages.{index}.role: Input should be 'user' or 'assistant'")));
            }
        };
        let content = message.get("content").and_then(|content| reader.content(content));
        let text = content
            .ok_or_else(|| invalid(format!("messages.{index}.content: Input should be a valid list")))?;
        let who = if is_result(message) { Who::Tool } else { who };
        said.push(Said { who, text });
    }
    Ok((said, reader.marked, reader.tokens))
}

/// Results of tools come as a message of the user.
fn is_result(message: &Value) -> bool {
    let blocks = message.get("content").and_then(Value::as_array);
    blocks.is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"))
}

/// Goes through a prompt from its beginning, and remembers where a cached part ends.
#[derive(Default)]
struct Reader {
    hash: u64,
    tokens: u64,
    /// Tokens of the tools, which are counted apart.
    before: u64,
    marked: Option<Prefix>,
}

impl Reader {
    fn tool(&mut self, tool: &Value) {
        let text = tool.to_string();
        self.hash = hash([self.hash.to_string().as_str(), &text]);
        self.before += tokens(&text);
        self.mark(tool);
    }

    fn content(&mut self, content: &Value) -> Option<String> {
        if let Some(text) = content.as_str() {
            self.text(text);
            return Some(text.to_owned());
        }
        let mut texts = Vec::new();
        for block in content.as_array()? {
            let text = block_text(block);
            self.text(&text);
            self.mark(block);
            if !text.is_empty() {
                texts.push(text);
            }
        }
        Some(texts.join("\n"))
    }

    fn text(&mut self, text: &str) {
        self.hash = hash([self.hash.to_string().as_str(), text]);
        self.tokens += tokens(text);
    }

    fn mark(&mut self, block: &Value) {
        if given(block, "cache_control").is_some() {
            self.marked = Some(Prefix { hash: self.hash, tokens: self.before + self.tokens });
        }
    }
}

fn block_text(block: &Value) -> String {
    let content = match block.get("type").and_then(Value::as_str) {
        Some("text") => block.get("text"),
        Some("thinking") => block.get("thinking"),
        Some("tool_use") => return block.get("input").map(Value::to_string).unwrap_or_default(),
        Some("tool_result") => block.get("content"),
        _ => None,
    };
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn stop(body: &Value) -> Result<Vec<String>, Failure> {
    let wrong = || invalid("stop_sequences: Input should be a valid list");
    let Some(stop) = given(body, "stop_sequences") else { return Ok(Vec::new()) };
    let stop = stop.as_array().ok_or_else(wrong)?;
    stop.iter().map(|stop| stop.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn tools(body: &Value) -> Result<Vec<Tool>, Failure> {
    let Some(tools) = given(body, "tools") else { return Ok(Vec::new()) };
    let tools = tools.as_array().ok_or_else(|| invalid("tools: Input should be a valid list"))?;
    let one = |(index, tool): (usize, &Value)| {
        let name = tool.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid(format!("tools.{index}.name: Field required")))?;
        Ok(Tool { name: name.to_owned(), schema: tool.get("input_schema").cloned().unwrap_or_default() })
    };
    tools.iter().enumerate().map(one).collect()
}

fn tool_choice(body: &Value, tools: &[Tool]) -> Result<ToolChoice, Failure> {
    let Some(choice) = given(body, "tool_choice") else { return Ok(ToolChoice::Auto) };
    if tools.is_empty() {
        return Err(invalid("tool_choice: tools are required"));
    }
    match choice.get("type").and_then(Value::as_str) {
        Some("auto") => Ok(ToolChoice::Auto),
        Some("none") => Ok(ToolChoice::None),
        Some("any") => Ok(ToolChoice::Any),
        Some("tool") => match choice.get("name").and_then(Value::as_str) {
            Some(name) if tools.iter().any(|tool| tool.name == name) => {
                Ok(ToolChoice::Named(name.to_owned()))
            }
            _ => Err(invalid("tool_choice.name: not found in tools")),
        },
        _ => Err(invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")),
    }
}

/// Structured output, under its present name and under the one it had in its beta.
fn output(body: &Value) -> Output {
    let format = body.pointer("/output_config/format").or_else(|| body.get("output_format"));
    let schema =
        format.filter(|format| format["type"] == "json_schema").and_then(|format| format.get("schema"));
    schema.map_or(Output::Text, |schema| Output::Schema(schema.clone()))
}
