//! A request as the stand-in understands it, whichever wire format it came in.

mod anthropic;
mod openai;

use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::failure::Failure;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const EMBEDDINGS: &str = "/v1/embeddings";
pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const COUNT: &str = "/v1/messages/count_tokens";

/// The paths that take a request for a model.
pub(crate) const PATHS: [&str; 4] = [CHAT, EMBEDDINGS, MESSAGES, COUNT];

/// How many characters count as one token. Near enough to real ones for English.
const TOKEN: usize = 4;

/// Tokens of a text.
pub(crate) fn tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(TOKEN) as u64
}

/// The text's beginning that is so many tokens, if it is longer.
pub(crate) fn cut_to(text: &str, most: u64) -> Option<&str> {
    let most = usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(TOKEN);
    text.char_indices().nth(most).and_then(|(end, _)| text.get(..end))
}

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Openai,
    Anthropic,
}

impl Format {
    pub(crate) fn of_path(path: &str) -> Self {
        if path.starts_with(MESSAGES) { Self::Anthropic } else { Self::Openai }
    }
}

/// A request that passed the checks.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) path: &'static str,
    pub(crate) format: Format,
    pub(crate) model: String,
    pub(crate) said: Vec<Said>,
    pub(crate) stream: bool,
    pub(crate) input_tokens: u64,
    pub(crate) want: Want,
}

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) who: Who,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    System,
    User,
    Assistant,
    Tool,
}

/// What is wanted.
#[derive(Debug)]
pub(crate) enum Want {
    Chat(Box<Chat>),
    Vectors(Vectors),
    Count,
}

/// What a chat asks for beside a text.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    pub(crate) max_tokens: Option<u64>,
    pub(crate) choices: usize,
    pub(crate) stop: Vec<String>,
    pub(crate) include_usage: bool,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) output: Output,
    /// The part of the prompt that is to be cached.
    pub(crate) prefix: Option<Prefix>,
}

#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    #[default]
    Auto,
    None,
    Any,
    Named(String),
}

#[derive(Debug, Default, PartialEq)]
pub(crate) enum Output {
    #[default]
    Text,
    Json,
    Schema(Value),
}

/// A beginning of the prompt, by its hash, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) hash: u64,
    pub(crate) tokens: u64,
}

#[derive(Debug)]
pub(crate) struct Vectors {
    pub(crate) inputs: Vec<String>,
    pub(crate) dimensions: usize,
    pub(crate) base64: bool,
}

impl Ask {
    pub(crate) fn read(path: &'static str, headers: &HeaderMap, body: &Value) -> Result<Self, Failure> {
        match path {
            CHAT => openai::chat(body),
            EMBEDDINGS => openai::embeddings(body),
            _ => anthropic::messages(path, headers, body),
        }
    }

    /// The last message of the user.
    pub(crate) fn last_of_user(&self) -> &str {
        self.said.iter().rev().find(|said| said.who == Who::User).map_or("", |said| &said.text)
    }

    /// The first message of the user: what a conversation is known by.
    pub(crate) fn first_of_user(&self) -> &str {
        self.said.iter().find(|said| said.who == Who::User).map_or("", |said| &said.text)
    }

    /// All texts, or those of the system, one under the other.
    pub(crate) fn joined(&self, only: Option<Who>) -> String {
        let texts = self.said.iter().filter(|said| only.is_none_or(|only| said.who == only));
        texts.map(|said| said.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn has_tools(&self) -> bool {
        matches!(&self.want, Want::Chat(chat) if !chat.tools.is_empty())
    }
}

/// FNV-1a: it need only be the same on every machine and with every compiler.
pub(crate) fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = parts.into_iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A member that is there and not null.
fn given<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}
