//! `OpenAI`'s chat completions, which most providers speak.

mod answer;
mod request;

pub(crate) use answer::{cost, event, read_usage, whole};
pub(crate) use request::body;
