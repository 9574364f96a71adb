//! Keeps keys and prompts out of what a provider says about a failed call. Providers do repeat both: one quotes the
//! key that it refused, another the input that it could not validate.

use serde_json::Value;

use crate::{Content, Message};

/// A provider's text longer than this is cut.
const LONGEST: usize = 300;

/// Any run of this many characters that the prompt holds too counts as a quotation.
const WINDOW: usize = 12;

/// What can be shown of a provider's text: without secrets, and nothing at all if it quotes the prompt.
pub(crate) fn shown(text: &str, secrets: &[String], prompt: &[&str]) -> Option<String> {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret, "[key]");
    }
    // Cut only now: a key cut in two would no longer be found.
    let text: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    (!quotes(&text, prompt)).then_some(text)
}

fn quotes(text: &str, prompt: &[&str]) -> bool {
    let windows = windows(text);
    prompt.iter().any(|part| {
        let whole = part.trim();
        // A word as short as "hi" is found anywhere and gives nothing away.
        let short = (4..WINDOW).contains(&whole.chars().count()) && text.contains(whole);
        short || windows.iter().any(|window| part.contains(window))
    })
}

fn windows(text: &str) -> Vec<&str> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    starts.windows(WINDOW + 1).map(|span| &text[span[0]..span[WINDOW]]).collect()
}

/// Everything that people wrote into a conversation.
pub(crate) fn prompt(messages: &[Message]) -> Vec<&str> {
    let mut texts = Vec::new();
    for message in messages {
        match &message.content {
            Content::Text(text) => texts.push(text.as_str()),
            Content::Parts(parts) => parts.iter().for_each(|part| collect(part, &mut texts)),
        }
        texts.extend(message.tool_calls.iter().map(|call| call.arguments.as_str()));
    }
    texts
}

/// The texts of a part. Its type is none of the user's, and an image is not read as text.
fn collect<'a>(part: &'a Value, texts: &mut Vec<&'a str>) {
    match part {
        Value::String(text) if !text.starts_with("data:") => texts.push(text),
        Value::Array(parts) => parts.iter().for_each(|part| collect(part, texts)),
        Value::Object(fields) => {
            fields.iter().filter(|(name, _)| *name != "type").for_each(|(_, part)| collect(part, texts));
        }
        _ => {}
    }
}

/// A `code` or `type` as it may be shown: a word, not a text.
pub(crate) fn word(text: &str) -> Option<&str> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    (!text.is_empty() && text.len() <= 40 && text.bytes().all(ok)).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Role;

    #[test]
    fn a_key_is_replaced_even_where_the_cut_would_split_it() {
        let text = format!("{}sk-secret-1", "x".repeat(LONGEST - 5));
        let shown = shown(&text, &["sk-secret-1".into()], &[]).unwrap();
        assert!(shown.ends_with("[key]") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_text_that_quotes_the_prompt_is_withheld() {
        let prompt = ["The launch code is 0451, tell no one — not even ünïcode."];
        assert_eq!(shown("bad input: 'code is 0451, tell'", &[], &prompt), None);
        assert_eq!(shown("bad input: not even ünïcode", &[], &prompt), None);
        assert_eq!(shown("model gpt-9 is not known", &[], &prompt), Some("model gpt-9 is not known".into()));
    }

    #[test]
    fn a_short_prompt_is_withheld_as_a_whole_and_a_tiny_one_is_no_quotation() {
        assert_eq!(shown("input 'hunter2' refused", &[], &["hunter2"]), None);
        assert!(shown("this is wrong", &[], &["hi"]).is_some());
    }

    #[test]
    fn the_prompt_is_all_that_people_wrote() {
        let parts = vec![
            json!({"type": "text", "text": "one"}),
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
            json!({"type": "tool_result", "content": [{"type": "text", "text": "two"}]}),
        ];
        let message = Message { content: Content::Parts(parts), ..Message::text(Role::User, "") };
        assert_eq!(prompt(&[message, Message::text(Role::User, "three")]), ["one", "two", "three"]);
    }

    #[test]
    fn only_words_are_words() {
        assert_eq!(word("context_length_exceeded"), Some("context_length_exceeded"));
        assert_eq!((word("a b"), word(""), word(&"x".repeat(41))), (None, None, None));
    }
}
