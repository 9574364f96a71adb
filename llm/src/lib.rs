//! A gateway to language models that knows neither tasks nor Redis.
//!
//! * [`Client`] speaks the `OpenAI` chat-completions format to one [`Endpoint`]: a hosted provider, or a local server
//!   such as Ollama, llama.cpp or vLLM. It makes one call and never retries: whoever called it decides what
//!   happens next, so that there is one authority on retries and not two that multiply.
//! * [`Class`] says why a call failed. It is decided once, in [`classify`], from the status, the headers and the
//!   words `code` and `type` of the error's body, never from free text.
//! * [`http`] is what any HTTP call needs: a client with TLS, `Retry-After`, a body with a limit.
//! * `scripted` (feature of the same name, off by default) is a stand-in for a hosted model, on loopback, for tests
//!   and dry runs. It is no model: every text it gives begins with `[scripted stand-in]`.
//!
//! An answer counts as one only if it is one. An error inside HTTP 200, no choice, no text, a refusal: each is a
//! [`ChatError`]. An answer cut by its length limit is kept and says so in [`ChatAnswer::finish_reason`].
//!
//! No error holds a key, a prompt or a URL's query, so errors can be stored and shown.

mod chat;
mod class;
mod client;
pub mod http;
mod redact;
#[cfg(any(test, feature = "scripted"))]
pub mod scripted;

pub use chat::{ChatAnswer, ChatError, ChatRequest, Message, Role};
pub use class::{Class, ErrorBody, classify};
pub use client::{Client, Endpoint, InvalidEndpoint};
pub use http::{BuildError, http_client};
