//! Reads what `OpenAI`'s endpoints take, with the checks and the words of the original.

use serde_json::Value;

use super::{
    Ask, CHAT, Chat, EMBEDDINGS, Format, Output, Said, Tool, ToolChoice, Vectors, Want, Who, given, tokens,
};
use crate::scripted::{embed::DIMENSIONS, failure::Failure};

/// Most texts in one request for embeddings.
const MOST_INPUTS: usize = 2048;

const WRONG_MESSAGE: &str =
    "Invalid 'messages': each needs a role (system, developer, user, assistant, tool) and a content.";
const WRONG_MESSAGES: &str = "Invalid 'messages': expected a non-empty array of messages.";
const WRONG_INPUT: &str =
    "Invalid 'input': expected a string, an array of strings, or an array of tokens, none of them empty.";

fn invalid(param: &'static str, message: &'static str) -> Failure {
    Failure::invalid(Some(param), message)
}

fn model(body: &Value) -> Result<String, Failure> {
    let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    model.map(str::to_owned).ok_or_else(|| invalid("model", "You must provide a model parameter."))
}

pub(super) fn chat(body: &Value) -> Result<Ask, Failure> {
    let model = model(body)?;
    let stream = stream(body)?;
    check_temperature(body)?;
    let messages = body.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| invalid("messages", WRONG_MESSAGES))?;
    let said = messages
        .iter()
        .map(|message| said(message).ok_or_else(|| invalid("messages", WRONG_MESSAGE)))
        .collect::<Result<Vec<_>, _>>()?;
    let calls: u64 =
        messages.iter().filter_map(|message| given(message, "tool_calls")).map(json_tokens).sum();
    let tools = tools(body)?;
    let offered = given(body, "tools").map_or(0, json_tokens);
    let chat = Chat {
        max_tokens: max_tokens(body)?,
        choices: choices(body)?,
        stop: stop(body)?,
        include_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        tool_choice: tool_choice(body, &tools)?,
        tools,
        output: output(body)?,
        prefix: None,
    };
    let input_tokens = said.iter().map(|said| tokens(&said.text)).sum::<u64>() + calls + offered;
    let want = Want::Chat(Box::new(chat));
    Ok(Ask { path: CHAT, format: Format::Openai, model, said, stream, input_tokens, want })
}

fn json_tokens(value: &Value) -> u64 {
    tokens(&value.to_string())
}

fn stream(body: &Value) -> Result<bool, Failure> {
    let stream = match given(body, "stream") {
        None => false,
        Some(value) => {
            value.as_bool().ok_or_else(|| invalid("stream", "Invalid 'stream': expected a boolean."))?
        }
    };
    if !stream && given(body, "stream_options").is_some() {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(invalid("stream_options", message));
    }
    Ok(stream)
}

fn check_temperature(body: &Value) -> Result<(), Failure> {
    match given(body, "temperature").map(Value::as_f64) {
        None => Ok(()),
        Some(Some(value)) if (0.0..=2.0).contains(&value) => Ok(()),
        Some(_) => Err(invalid("temperature", "Invalid 'temperature': expected a number between 0 and 2.")),
    }
}

fn max_tokens(body: &Value) -> Result<Option<u64>, Failure> {
    let value = given(body, "max_completion_tokens").or_else(|| given(body, "max_tokens"));
    let most = |value: &Value| {
        value
            .as_u64()
            .filter(|most| *most > 0)
            .ok_or_else(|| invalid("max_tokens", "Invalid 'max_tokens': expected an integer of at least 1."))
    };
    value.map(most).transpose()
}

fn choices(body: &Value) -> Result<usize, Failure> {
    let Some(value) = given(body, "n") else { return Ok(1) };
    let count = value.as_u64().filter(|count| (1..=128).contains(count));
    let count = count.ok_or_else(|| invalid("n", "Invalid 'n': expected an integer between 1 and 128."))?;
    Ok(usize::try_from(count).unwrap_or(1))
}

fn stop(body: &Value) -> Result<Vec<String>, Failure> {
    let wrong = || invalid("stop", "Invalid 'stop': expected a string or an array of up to 4 strings.");
    match given(body, "stop") {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(some)) if some.len() <= 4 => {
            some.iter().map(|stop| stop.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn tools(body: &Value) -> Result<Vec<Tool>, Failure> {
    let wrong = || invalid("tools", "Invalid 'tools': expected an array of functions, each with a name.");
    let Some(tools) = given(body, "tools") else { return Ok(Vec::new()) };
    let one = |tool: &Value| {
        let function = tool.get("function").ok_or_else(wrong)?;
        let name = function.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let schema = function.get("parameters").cloned().unwrap_or_default();
        Ok(Tool { name: name.ok_or_else(wrong)?.to_owned(), schema })
    };
    tools.as_array().ok_or_else(wrong)?.iter().map(one).collect()
}

fn tool_choice(body: &Value, tools: &[Tool]) -> Result<ToolChoice, Failure> {
    let wrong = |message| invalid("tool_choice", message);
    let Some(choice) = given(body, "tool_choice") else { return Ok(ToolChoice::Auto) };
    if tools.is_empty() {
        return Err(wrong(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        ));
    }
    match (choice.as_str(), choice.pointer("/function/name").and_then(Value::as_str)) {
        (Some("auto"), _) => Ok(ToolChoice::Auto),
        (Some("none"), _) => Ok(ToolChoice::None),
        (Some("required"), _) => Ok(ToolChoice::Any),
        (None, Some(name)) if tools.iter().any(|tool| tool.name == name) => {
            Ok(ToolChoice::Named(name.to_owned()))
        }
        (None, Some(_)) => Err(wrong("Invalid value for 'tool_choice': no such function in 'tools'.")),
        _ => Err(wrong("Invalid value for 'tool_choice': expected none, auto, required or a function.")),
    }
}

fn output(body: &Value) -> Result<Output, Failure> {
    let wrong = |message| invalid("response_format", message);
    let Some(format) = given(body, "response_format") else { return Ok(Output::Text) };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Output::Text),
        Some("json_object") => Ok(Output::Json),
        Some("json_schema") => {
            let schema = format.pointer("/json_schema/schema").filter(|schema| schema.is_object());
            let has_name = format.pointer("/json_schema/name").is_some_and(Value::is_string);
            match schema {
                Some(schema) if has_name => Ok(Output::Schema(schema.clone())),
                _ => Err(wrong("Invalid 'response_format': 'json_schema' needs a name and a schema.")),
            }
        }
        _ => Err(wrong("Invalid 'response_format': expected type text, json_object or json_schema.")),
    }
}

/// A message's text; of a list of parts, the texts among them. An assistant that called tools may have none.
fn said(message: &Value) -> Option<Said> {
    let who = match message.get("role")?.as_str()? {
        "system" | "developer" => Who::System,
        "user" => Who::User,
        "assistant" => Who::Assistant,
        "tool" => Who::Tool,
        _ => return None,
    };
    let text = match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n")
        }
        None | Some(Value::Null) if who == Who::Assistant => String::new(),
        _ => return None,
    };
    Some(Said { who, text })
}

pub(super) fn embeddings(body: &Value) -> Result<Ask, Failure> {
    let model = model(body)?;
    let base64 = match given(body, "encoding_format").map(Value::as_str) {
        None | Some(Some("float")) => false,
        Some(Some("base64")) => true,
        Some(_) => {
            return Err(invalid("encoding_format", "Invalid 'encoding_format': expected float or base64."));
        }
    };
    let dimensions = match given(body, "dimensions").map(Value::as_u64) {
        None => DIMENSIONS,
        Some(Some(count @ 1..=4096)) => usize::try_from(count).unwrap_or(DIMENSIONS),
        Some(_) => {
            return Err(invalid(
                "dimensions",
                "Invalid 'dimensions': expected an integer between 1 and 4096.",
            ));
        }
    };
    let inputs = inputs(body).ok_or_else(|| invalid("input", WRONG_INPUT))?;
    let input_tokens = inputs.iter().map(|input| tokens(input)).sum();
    let said = inputs.iter().map(|input| Said { who: Who::User, text: input.clone() }).collect();
    let want = Want::Vectors(Vectors { inputs, dimensions, base64 });
    Ok(Ask { path: EMBEDDINGS, format: Format::Openai, model, said, stream: false, input_tokens, want })
}

/// Texts as they are; tokens as words, since their text is not known.
fn inputs(body: &Value) -> Option<Vec<String>> {
    let list = match given(body, "input")? {
        Value::String(text) if !text.is_empty() => return Some(vec![text.clone()]),
        Value::Array(list) if (1..=MOST_INPUTS).contains(&list.len()) => list,
        _ => return None,
    };
    if list.iter().all(Value::is_u64) {
        return Some(vec![words(list)?]);
    }
    let one = |input: &Value| match input {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(tokens) if !tokens.is_empty() => words(tokens),
        _ => None,
    };
    list.iter().map(one).collect()
}

fn words(tokens: &[Value]) -> Option<String> {
    let words = tokens.iter().map(|token| token.as_u64().map(|token| token.to_string()));
    words.collect::<Option<Vec<_>>>().map(|words| words.join(" "))
}
