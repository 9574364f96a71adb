//! A conversation as Anthropic reads it: instructions apart, two roles that take turns, content in blocks.

use serde_json::{Map, Value, json};

use crate::{Content, Message, Role, ToolCall};

/// A conversation that cannot be written in this format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidMessage {
    #[error("the arguments of an earlier tool call are not a JSON object")]
    Arguments,
    #[error("a message of a tool names no tool_call_id")]
    ToolCallId,
    #[error("the request cannot be written as JSON")]
    Json,
}

/// Instructions, as blocks.
pub(crate) fn system(messages: &[Message]) -> Vec<Value> {
    let instructions = messages.iter().filter(|message| is_instruction(message.role));
    instructions.flat_map(|message| blocks(&message.content)).collect()
}

fn is_instruction(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

/// The conversation. Neighbours of the same role become one message: all answers of tools must be in one.
pub(crate) fn turns(messages: &[Message]) -> Result<Vec<Turn>, InvalidMessage> {
    let mut turns: Vec<Turn> = Vec::new();
    for message in messages.iter().filter(|message| !is_instruction(message.role)) {
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        let blocks = content(message)?;
        match turns.last_mut().filter(|turn| turn.role == role) {
            Some(turn) => turn.blocks.extend(blocks),
            None => turns.push(Turn { role, blocks }),
        }
    }
    turns.retain(|turn| !turn.blocks.is_empty());
    Ok(turns)
}

/// What one side says before it is the other's turn.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Turn {
    pub(crate) role: &'static str,
    #[serde(rename = "content")]
    pub(crate) blocks: Vec<Value>,
}

/// Marks the end of what is to be cached.
pub(crate) fn cache(blocks: &mut [Value]) {
    if let Some(Value::Object(block)) = blocks.last_mut() {
        block.entry("cache_control").or_insert_with(|| json!({"type": "ephemeral"}));
    }
}

fn content(message: &Message) -> Result<Vec<Value>, InvalidMessage> {
    if message.role == Role::Tool {
        let id = message.tool_call_id.as_deref().ok_or(InvalidMessage::ToolCallId)?;
        return Ok(vec![
            json!({"type": "tool_result", "tool_use_id": id, "content": blocks(&message.content)}),
        ]);
    }
    let mut blocks = blocks(&message.content);
    for call in &message.tool_calls {
        blocks.push(called(call)?);
    }
    Ok(blocks)
}

fn called(call: &ToolCall) -> Result<Value, InvalidMessage> {
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let input: Map<String, Value> = serde_json::from_str(arguments).map_err(|_| InvalidMessage::Arguments)?;
    Ok(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}))
}

/// Empty text is left out: it would be refused.
fn blocks(content: &Content) -> Vec<Value> {
    match content {
        Content::Text(text) if text.is_empty() => Vec::new(),
        Content::Text(text) => vec![json!({"type": "text", "text": text})],
        Content::Parts(parts) => {
            parts.iter().filter(|part| part.get("text").is_none_or(|text| text != "")).map(block).collect()
        }
    }
}

/// A part as a block. What is no part of `OpenAI`'s is taken for a block already.
fn block(part: &Value) -> Value {
    let at = |pointer: &str| part.pointer(pointer).and_then(Value::as_str);
    match at("/type") {
        Some("image_url") => {
            let url = at("/image_url/url").or(at("/image_url")).unwrap_or_default();
            json!({"type": "image", "source": source(url)})
        }
        Some("file") => at("/file/file_data")
            .map_or_else(|| part.clone(), |data| json!({"type": "document", "source": source(data)})),
        _ => part.clone(),
    }
}

/// `data:image/png;base64,…`, or the address of an image.
fn source(url: &str) -> Value {
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((media_type, data)) => json!({"type": "base64", "media_type": media_type, "data": data}),
        None => json!({"type": "url", "url": url}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(id: &str, text: &str) -> Message {
        Message { tool_call_id: Some(id.into()), ..Message::text(Role::Tool, text) }
    }

    fn calling(arguments: &str) -> Message {
        let call = ToolCall { id: "a".into(), name: "f".into(), arguments: arguments.into() };
        Message { tool_calls: vec![call], ..Message::text(Role::Assistant, "") }
    }

    #[test]
    fn instructions_are_apart_and_sides_take_turns() {
        let messages = [
            Message::text(Role::System, "one"),
            Message::text(Role::User, "hi"),
            Message::text(Role::Developer, "two"),
            calling("{\"x\":1}"),
            tool("a", "42"),
            tool("b", ""),
            Message::text(Role::User, "and?"),
        ];
        let text = |text: &str| json!({"type": "text", "text": text});
        assert_eq!(system(&messages), [text("one"), text("two")]);
        let expected = json!([
            {"role": "user", "content": [text("hi")]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [text("42")]},
                {"type": "tool_result", "tool_use_id": "b", "content": []},
                text("and?")]},
        ]);
        assert_eq!(serde_json::to_value(turns(&messages).unwrap()).unwrap(), expected);
    }

    #[test]
    fn images_and_documents_become_blocks_and_blocks_stay() {
        let part = |part: Value| block(&part);
        assert_eq!(
            part(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})),
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}})
        );
        assert_eq!(
            part(json!({"type": "image_url", "image_url": {"url": "https://h/a.png"}})),
            json!({"type": "image", "source": {"type": "url", "url": "https://h/a.png"}})
        );
        assert_eq!(
            part(json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,BBBB"}})),
            json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"}})
        );
        let native = json!({"type": "search_result", "source": "s"});
        assert_eq!(part(native.clone()), native);
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_it_is_sent() {
        assert_eq!(turns(&[calling("[1]")]).unwrap_err(), InvalidMessage::Arguments);
        assert_eq!(turns(&[Message::text(Role::Tool, "42")]).unwrap_err(), InvalidMessage::ToolCallId);
        assert!(turns(&[calling("")]).is_ok());
    }
}
