//! What the stand-in says, before it is put into a wire format.

use serde_json::{Value, json};

use super::{
    MARK,
    ask::{Ask, Chat, Format, Output, ToolChoice, Who, cut_to, hash, tokens},
    sample::sample,
    scenario::answer::{Answer, Style, ToolCall, What},
};

/// An answer to a chat.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Tells answers apart that are not the same.
    pub(crate) id: u64,
    pub(crate) model: String,
    pub(crate) style: Style,
    /// One for each choice.
    pub(crate) texts: Vec<String>,
    pub(crate) thinking: Option<String>,
    pub(crate) refusal: Option<String>,
    pub(crate) tools: Vec<Called>,
    /// In the words of `OpenAI`.
    pub(crate) finish: String,
    /// The stop sequence that was met.
    pub(crate) stop: Option<String>,
    pub(crate) usage: Usage,
    /// US dollars.
    pub(crate) cost: Option<f64>,
}

/// A call of a tool.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// Tokens. `input` holds the cached ones, `output` those of reasoning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) reasoning: u64,
}

/// Tokens of the prompt that the cache had, and that it took in.
pub(crate) type Cached = (u64, u64);

/// Composes the answer; without one from a scenario, the stand-in's own.
pub(crate) fn reply(ask: &Ask, chat: &Chat, answer: Option<&Answer>, style: Style, cached: Cached) -> Reply {
    let (text, tools) = say(ask, chat, answer);
    let (text, finish, stop) = match text {
        Some(text) => cut(text, chat, tools.is_empty()),
        None => (None, "tool_calls", None),
    };
    let finish = if tools.is_empty() { finish } else { "tool_calls" };
    let model = answer.and_then(|answer| answer.model.clone()).unwrap_or_else(|| ask.model.clone());
    let texts = vec![text.unwrap_or_default(); chat.choices];
    let said = ask.said.iter().map(|said| said.text.as_str());
    let id = hash([model.as_str()].into_iter().chain(said).chain(texts.first().map(String::as_str)));
    let tools =
        tools.into_iter().enumerate().map(|(index, call)| called(ask.format, id, index, call)).collect();
    let mut reply = Reply {
        id,
        model,
        style,
        texts,
        thinking: answer.and_then(|answer| answer.thinking.clone()),
        refusal: None,
        tools,
        finish: answer.and_then(|answer| answer.finish.clone()).unwrap_or_else(|| finish.into()),
        stop,
        usage: Usage::default(),
        cost: answer.and_then(|answer| answer.cost),
    };
    reply.usage = usage(ask, &reply, answer, cached);
    reply
}

fn called(format: Format, id: u64, index: usize, call: ToolCall) -> Called {
    let prefix = if format == Format::Anthropic { "toolu" } else { "call" };
    Called {
        id: call.id.unwrap_or_else(|| format!("{prefix}_scripted{id:016x}{index}")),
        name: call.name,
        arguments: Value::Object(call.arguments),
    }
}

fn say(ask: &Ask, chat: &Chat, answer: Option<&Answer>) -> (Option<String>, Vec<ToolCall>) {
    match answer.map(|answer| &answer.what) {
        Some(What::Text(text)) => (Some(text.clone()), Vec::new()),
        Some(What::Echo) => (Some(ask.last_of_user().to_owned()), Vec::new()),
        Some(What::Tools(calls, text)) => (text.clone(), calls.clone()),
        _ => match wanted_tool(ask, chat) {
            Some(call) => (None, vec![call]),
            None => (Some(default_text(ask, chat)), Vec::new()),
        },
    }
}

/// Without a scenario, a tool is called if it must be, or if the last message is the user's and names it.
fn wanted_tool(ask: &Ask, chat: &Chat) -> Option<ToolCall> {
    let last = ask.said.last().filter(|said| said.who == Who::User);
    let tool = match &chat.tool_choice {
        ToolChoice::None => None,
        ToolChoice::Any => chat.tools.first(),
        ToolChoice::Named(name) => chat.tools.iter().find(|tool| tool.name == *name),
        ToolChoice::Auto => {
            chat.tools.iter().find(|tool| last.is_some_and(|last| last.text.contains(&tool.name)))
        }
    }?;
    let arguments = match sample(&tool.schema) {
        Value::Object(arguments) => arguments,
        _ => serde_json::Map::new(),
    };
    Some(ToolCall { name: tool.name.clone(), arguments, id: None })
}

fn default_text(ask: &Ask, chat: &Chat) -> String {
    let last = ask.said.last().map_or("", |said| said.text.as_str());
    let (words, lines) = (last.split_whitespace().count(), last.lines().count());
    let first = last.lines().next().unwrap_or_default();
    let text = format!("{MARK} I am no model. I got {words} words in {lines} lines. The first line: {first}");
    match &chat.output {
        Output::Text => text,
        Output::Json => json!({ "stand_in": text }).to_string(),
        Output::Schema(schema) => sample(schema).to_string(),
    }
}

/// Ends the text where the request wants it to end.
fn cut(mut text: String, chat: &Chat, may: bool) -> (Option<String>, &'static str, Option<String>) {
    let found = chat.stop.iter().filter(|stop| !stop.is_empty());
    let first = found.filter_map(|stop| text.find(stop.as_str()).map(|at| (at, stop))).min();
    let stop = first.map(|(at, stop)| {
        text.truncate(at);
        stop.clone()
    });
    let shorter = chat.max_tokens.filter(|_| may).and_then(|most| cut_to(&text, most)).map(str::to_owned);
    match shorter {
        Some(shorter) => (Some(shorter), "length", None),
        None => (Some(text), "stop", stop),
    }
}

fn usage(ask: &Ask, reply: &Reply, answer: Option<&Answer>, (cached, written): Cached) -> Usage {
    let over = answer.map(|answer| answer.usage).unwrap_or_default();
    let calls = reply.tools.iter().map(|call| tokens(&call.name) + tokens(&call.arguments.to_string()));
    let texts = reply.texts.iter().map(|text| tokens(text));
    let reasoning = over.reasoning.unwrap_or_else(|| reply.thinking.as_deref().map_or(0, tokens));
    let output = over.output.unwrap_or_else(|| calls.chain(texts).sum::<u64>() + reasoning);
    let cached = over.cached.unwrap_or(cached);
    let cache_write = over.cache_write.unwrap_or(written);
    let input = over.input.unwrap_or_else(|| ask.input_tokens.max(cached + cache_write));
    Usage { input, output, cached, cache_write, reasoning }
}

/// The text in pieces of so many characters.
pub(crate) fn pieces(text: &str, chunk: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.char_indices().nth(chunk).map_or(rest.len(), |(end, _)| end);
        let (piece, more) = rest.split_at(end);
        rest = more;
        Some(piece)
    })
}

/// A stream's events, and which of them say that it ended.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    pub(crate) all: Vec<axum::body::Bytes>,
    /// Those with the finish reason.
    pub(crate) finish: std::ops::Range<usize>,
}

impl Frames {
    /// Goes on with an event `data: …`, named if it has a name.
    pub(crate) fn push(&mut self, name: Option<&str>, data: &Value) {
        let event = match name {
            Some(name) => format!("event: {name}\ndata: {data}\n\n"),
            None => format!("data: {data}\n\n"),
        };
        self.all.push(event.into());
    }
}
