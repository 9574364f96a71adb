//! Anthropic's messages.

mod answer;
mod message;
mod request;

pub(crate) use answer::{event, whole};
pub(crate) use request::{ANSWER_TOOL, body, needs_answer_tool};
