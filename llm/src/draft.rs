//! An answer while it is being read, in either wire format, and the one place that says whether it is one.

use std::borrow::Cow;

use crate::{Class, Finish, ToolCall, Usage, failure::ErrorBody, redact, sse::TooLarge};

/// Why what came with a status of success is no answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Fault {
    /// The provider says so.
    Told(Box<ErrorBody>),
    /// We do.
    Found(Class, Cow<'static, str>),
}

impl Fault {
    pub(crate) fn malformed(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Found(Class::MalformedOutput, why.into())
    }

    /// What was to be JSON is not.
    pub(crate) fn not_json(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(_) => Self::malformed("the answer is not the JSON it should be"),
            Err(_) => Self::malformed("the answer is not UTF-8"),
        }
    }
}

impl From<TooLarge> for Fault {
    fn from(_: TooLarge) -> Self {
        Self::malformed("the answer is larger than allowed (max_answer)")
    }
}

/// An answer while it is being read.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) model: Option<String>,
    pub(crate) id: Option<String>,
    /// Why the answer ends, in the provider's word.
    pub(crate) finish: Option<String>,
    pub(crate) refused: bool,
    /// Anything was produced: text, a call, or reasoning that nobody sees.
    pub(crate) began: bool,
    pub(crate) usage: Usage,
    pub(crate) cost_usd: Option<f64>,
    /// The tool whose arguments are the answer, where that is how a provider is made to write JSON.
    answer_tool: Option<&'static str>,
    calls: Vec<Call>,
    /// How many bytes may still be kept.
    room: usize,
}

#[derive(Debug)]
struct Call {
    index: u64,
    call: ToolCall,
}

/// What of an answer has passed all checks.
#[derive(Debug, PartialEq)]
pub(crate) struct Checked {
    pub(crate) text: String,
    pub(crate) tool_calls: Vec<ToolCall>,
    pub(crate) finish: Finish,
}

/// What a call takes besides its text: it bounds the number of empty ones.
const CALL: usize = 128;

impl Draft {
    /// Keeps no more than `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { room: limit, ..Self::default() }
    }

    /// The arguments of this tool are the answer.
    pub(crate) fn with_answer_tool(self, answer_tool: Option<&'static str>) -> Self {
        Self { answer_tool, ..self }
    }

    /// Adds a piece of text.
    pub(crate) fn write(&mut self, piece: &str) -> Result<(), TooLarge> {
        self.take(piece.len())?;
        self.began |= !piece.is_empty();
        self.text.push_str(piece);
        Ok(())
    }

    /// Adds a piece of a call. A piece without index belongs to the last call unless it brings a new id; so does one
    /// whose index is taken by a call of another id.
    pub(crate) fn write_call(
        &mut self,
        index: Option<u64>,
        id: &str,
        name: &str,
        arguments: &str,
    ) -> Result<(), TooLarge> {
        self.take(id.len() + name.len() + arguments.len())?;
        self.began = true;
        let last = self.calls.iter().rposition(|call| index.is_none_or(|index| call.index == index));
        let same = |call: &Call| id.is_empty() || call.call.id.is_empty() || call.call.id == id;
        let at = match last.filter(|at| same(&self.calls[*at])) {
            Some(at) => at,
            None => {
                self.take(CALL)?;
                let index = index.unwrap_or(self.calls.len() as u64);
                let call = ToolCall { id: String::new(), name: String::new(), arguments: String::new() };
                self.calls.push(Call { index, call });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at].call;
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        // Some servers repeat the name with each piece.
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        call.arguments.push_str(arguments);
        Ok(())
    }

    /// Whether arguments of the call at this index have arrived.
    pub(crate) fn has_arguments(&self, index: u64) -> bool {
        self.calls.iter().any(|call| call.index == index && !call.call.arguments.is_empty())
    }

    /// Whether a call has this index.
    pub(crate) fn has_call(&self, index: u64) -> bool {
        self.calls.iter().any(|call| call.index == index)
    }

    fn take(&mut self, size: usize) -> Result<(), TooLarge> {
        self.room = self.room.checked_sub(size).ok_or(TooLarge)?;
        Ok(())
    }

    /// Says whether this is an answer, now that it has ended.
    pub(crate) fn check(&mut self) -> Result<Checked, Fault> {
        let word = self.finish.as_deref().unwrap_or_default();
        if word.is_empty() {
            return Err(Fault::malformed("the answer ends without saying why"));
        }
        let mut finish = ending(word)?;
        if self.refused {
            return Err(Fault::Found(Class::ContentPolicy, "the model refused to answer".into()));
        }
        let mut text = std::mem::take(&mut self.text);
        let mut tool_calls = self.tool_calls()?;
        if let Some(tool) = self.answer_tool
            && let Some(at) = tool_calls.iter().position(|call| call.name == tool)
        {
            text = tool_calls.swap_remove(at).arguments;
            tool_calls.clear();
            finish = if finish == Finish::Length { finish } else { Finish::Stop };
        }
        if text.is_empty() && tool_calls.is_empty() {
            return Err(Fault::malformed(match finish {
                Finish::Length => "the model used up its tokens before it wrote any text",
                Finish::Stop | Finish::ToolCalls => "the answer holds no text",
            }));
        }
        // Some servers say `stop` after calls, too.
        if finish == Finish::Stop && !tool_calls.is_empty() {
            finish = Finish::ToolCalls;
        }
        Ok(Checked { text, tool_calls, finish })
    }

    fn tool_calls(&mut self) -> Result<Vec<ToolCall>, Fault> {
        let calls = std::mem::take(&mut self.calls).into_iter().enumerate();
        calls.map(|(at, call)| complete(at, call.call)).collect()
    }
}

fn complete(at: usize, mut call: ToolCall) -> Result<ToolCall, Fault> {
    if call.name.is_empty() {
        return Err(Fault::malformed("the model calls a tool without naming it"));
    }
    if call.id.is_empty() {
        call.id = format!("call_{at}");
    }
    if call.arguments.is_empty() {
        call.arguments.push_str("{}");
    }
    Ok(call)
}

/// What a provider's word for the end of an answer means. One that nobody knows is no success.
fn ending(word: &str) -> Result<Finish, Fault> {
    let fault = |class, why: &'static str| Err(Fault::Found(class, why.into()));
    match word.to_ascii_lowercase().as_str() {
        "stop" | "end_turn" | "stop_sequence" | "eos" | "eos_token" | "complete" => Ok(Finish::Stop),
        "length" | "max_tokens" | "model_length" => Ok(Finish::Length),
        "tool_calls" | "tool_call" | "tool_use" | "function_call" => Ok(Finish::ToolCalls),
        "content_filter" | "safety" | "recitation" => {
            fault(Class::ContentPolicy, "the answer was stopped by a content filter")
        }
        "refusal" => fault(Class::ContentPolicy, "the model refused to answer"),
        "model_context_window_exceeded" => {
            fault(Class::ContextLength, "the answer reached the end of the model's context window")
        }
        "pause_turn" => fault(
            Class::MalformedOutput,
            "the model paused to go on with a tool of the provider's own, which is not supported",
        ),
        "error" | "abort" => fault(Class::Server, "the provider failed while it was answering"),
        "insufficient_system_resource" => {
            fault(Class::Overloaded, "the provider ran out of resources while it was answering")
        }
        other => Err(Fault::malformed(match redact::word(other) {
            Some(word) => format!("the answer ends for a reason that is not known: {word}"),
            None => "the answer ends for a reason that is not known".into(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(finish: &str, text: &str) -> Result<Checked, Fault> {
        let mut draft = Draft::new(1000);
        draft.write(text).unwrap();
        draft.finish = Some(finish.into());
        draft.check()
    }

    fn class(fault: &Fault) -> Class {
        match fault {
            Fault::Found(class, _) => *class,
            Fault::Told(_) => panic!("nobody told anything"),
        }
    }

    #[test]
    fn what_only_looks_like_an_answer_is_none() {
        for (finish, text, expected) in [
            ("stop", "", Class::MalformedOutput),
            ("length", "", Class::MalformedOutput),
            ("", "half an ans", Class::MalformedOutput),
            ("content_filter", "half an ans", Class::ContentPolicy),
            ("refusal", "I cannot", Class::ContentPolicy),
            ("model_context_window_exceeded", "half an ans", Class::ContextLength),
            ("pause_turn", "let me search", Class::MalformedOutput),
            ("error", "half an ans", Class::Server),
            ("abort", "half an ans", Class::Server),
            ("who_knows", "half an ans", Class::MalformedOutput),
        ] {
            assert_eq!(class(&ended(finish, text).unwrap_err()), expected, "{finish}");
        }
        assert_eq!(ended("max_tokens", "half an ans").unwrap().finish, Finish::Length);
        assert_eq!(ended("end_turn", "all of it").unwrap().finish, Finish::Stop);
    }

    #[test]
    fn pieces_of_calls_find_their_call() {
        let mut draft = Draft::new(1000);
        for (index, id, name, arguments) in [
            (Some(0), "a", "f", "{\"x\""),
            (Some(1), "b", "g", ""),
            (Some(0), "", "", ":1}"),
            // A server that numbers every call 0, and one that numbers none.
            (Some(1), "c", "h", "{}"),
            (None, "d", "i", "["),
            (None, "", "", "]"),
        ] {
            draft.write_call(index, id, name, arguments).unwrap();
        }
        draft.finish = Some("stop".into());
        let Checked { tool_calls, finish, .. } = draft.check().unwrap();
        let calls: Vec<_> =
            tool_calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect();
        let expected = [("a", "f", "{\"x\":1}"), ("b", "g", "{}"), ("c", "h", "{}"), ("d", "i", "[]")];
        assert_eq!((calls.as_slice(), finish), (expected.as_slice(), Finish::ToolCalls));
    }

    #[test]
    fn no_more_is_kept_than_allowed() {
        let mut draft = Draft::new(300);
        assert!(draft.write(&"x".repeat(200)).is_ok() && draft.write(&"x".repeat(101)).is_err());
        let mut draft = Draft::new(300);
        let added = (0..10).take_while(|index| draft.write_call(Some(*index), "", "", "").is_ok()).count();
        assert_eq!(added, 2);
    }
}
