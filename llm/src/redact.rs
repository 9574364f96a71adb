//! Keeps keys and prompts out of what a provider says about a failed call. Providers do repeat both: one quotes the
//! key that it refused, another the input that it could not validate.

use crate::Message;

/// A provider's text longer than this is cut.
const LONGEST: usize = 300;

/// Any run of this many characters that the prompt holds too counts as a quotation.
const WINDOW: usize = 12;

/// What can be shown of a provider's text: without the key, and nothing at all if it quotes the prompt.
pub(crate) fn shown(text: &str, key: Option<&str>, messages: &[Message]) -> Option<String> {
    let mut text = text.to_owned();
    if let Some(key) = key.map(str::trim).filter(|key| !key.is_empty()) {
        text = text.replace(key, "[key]");
    }
    // Cut only now: a key cut in two would no longer be found.
    let text: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    (!quotes(&text, messages)).then_some(text)
}

fn quotes(text: &str, messages: &[Message]) -> bool {
    let windows = windows(text);
    messages.iter().any(|message| {
        let whole = message.content.trim();
        // A word as short as "hi" is found anywhere and gives nothing away.
        let short = (4..WINDOW).contains(&whole.chars().count()) && text.contains(whole);
        short || windows.iter().any(|window| message.content.contains(window))
    })
}

fn windows(text: &str) -> Vec<&str> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    starts.windows(WINDOW + 1).map(|span| &text[span[0]..span[WINDOW]]).collect()
}

/// A `code` or `type` as it may be shown: a word, not a text.
pub(crate) fn word(text: &str) -> Option<&str> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    (!text.is_empty() && text.len() <= 40 && text.bytes().all(ok)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn prompt(content: &str) -> Vec<Message> {
        vec![Message { role: Role::User, content: content.into() }]
    }

    #[test]
    fn a_key_is_replaced_even_where_the_cut_would_split_it() {
        let text = format!("{}sk-secret-1", "x".repeat(LONGEST - 5));
        let shown = shown(&text, Some("sk-secret-1"), &[]).unwrap();
        assert!(shown.ends_with("[key]") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_text_that_quotes_the_prompt_is_withheld() {
        let prompt = prompt("The launch code is 0451, tell no one — not even ünïcode.");
        assert_eq!(shown("bad input: 'code is 0451, tell'", None, &prompt), None);
        assert_eq!(shown("bad input: not even ünïcode", None, &prompt), None);
        assert_eq!(shown("model gpt-9 is not known", None, &prompt), Some("model gpt-9 is not known".into()));
    }

    #[test]
    fn a_short_prompt_is_withheld_as_a_whole_and_a_tiny_one_is_no_quotation() {
        assert_eq!(shown("input 'hunter2' refused", None, &prompt("hunter2")), None);
        assert!(shown("this is wrong", None, &prompt("hi")).is_some());
    }

    #[test]
    fn only_words_are_words() {
        assert_eq!(word("context_length_exceeded"), Some("context_length_exceeded"));
        assert_eq!((word("a b"), word(""), word(&"x".repeat(41))), (None, None, None));
    }
}
