//! What the package `fuzz` calls of the code that reads providers and their clients. No part of the API.
//!
//! A provider chooses these bytes. Reading them may fail, and nothing else.

use serde_json::Value;

use crate::{
    LimitFacts, Wire, anthropic,
    draft::{Draft, Fault},
    embed,
    failure::{ErrorBody, classify},
    listing, openai, redact,
    scripted::ask_of,
    sse::Events,
};

/// Most bytes of an answer that are kept.
const LIMIT: usize = 64 * 1024;

fn draft(wire: Wire) -> Draft {
    Draft::new(LIMIT).with_answer_tool((wire == Wire::Anthropic).then_some(anthropic::ANSWER_TOOL))
}

/// An answer that comes as a stream of events, in pieces of this size.
pub fn stream(wire: Wire, bytes: &[u8], piece: usize) {
    let (mut draft, mut events) = (draft(wire), Events::new(LIMIT));
    let mut done = false;
    for piece in bytes.chunks(piece.max(1)) {
        let fed = events.feed::<Fault>(piece, |data| {
            done = match wire {
                Wire::OpenAi => openai::event(&mut draft, data)?,
                Wire::Anthropic => anthropic::event(&mut draft, data)?,
            };
            Ok(done)
        });
        if fed.is_err() || done {
            break;
        }
    }
    check(draft);
}

/// An answer that comes as a whole.
pub fn whole(wire: Wire, bytes: &[u8]) {
    let mut draft = draft(wire);
    let read = match wire {
        Wire::OpenAi => openai::whole(&mut draft, bytes),
        Wire::Anthropic => anthropic::whole(&mut draft, bytes),
    };
    if read.is_ok() {
        check(draft);
    }
}

fn check(mut draft: Draft) {
    if let Ok(checked) = draft.check() {
        let kept = checked.tool_calls.iter().map(|call| call.arguments.len()).sum::<usize>();
        assert!(
            checked.text.len() + kept <= LIMIT + 2 * checked.tool_calls.len(),
            "more is kept than allowed"
        );
    }
}

/// Why a call failed.
pub fn failure(status: u16, bytes: &[u8]) {
    let body: Option<Value> = serde_json::from_slice(bytes).ok();
    let error = body.as_ref().map(ErrorBody::of_failure).unwrap_or_default();
    classify(status, bytes.len().is_multiple_of(2), &error);
    let mut limits = LimitFacts::default();
    limits.add_quoted(&error.headers, 1_800_000_000_000);
    limits.exhausted_for();
    let prompt = ["the prompt that nobody may see", "hi", ""];
    let secrets = ["sk-secret-1".to_owned()];
    let shown = error.message.as_deref().and_then(|text| redact::shown(text, &secrets, &prompt));
    assert!(shown.is_none_or(|text| !text.contains("sk-secret-1")), "a key is shown");
}

/// Vectors of three texts.
pub fn embeddings(bytes: &[u8]) {
    let _ = embed::read(bytes, 3);
}

/// A provider's list of models.
pub fn models(bytes: &[u8]) {
    let _ = listing::read(bytes);
}

/// What a client asks of the stand-in for a provider: a format and a body.
pub fn asked(format: u8, bytes: &[u8]) {
    ask_of(format, bytes);
}
