//! A gateway to language models that knows neither tasks nor Redis.
//!
//! * [`Provider`] is where models are served; [`HttpProvider`] calls one over HTTP. It makes one call and never
//!   retries: whoever called it decides what happens next, so that there is one authority on retries and not two
//!   that multiply.
//! * [`ChatRequest`], [`ChatAnswer`] and their embedding likes are what is asked and answered, in words that no
//!   provider owns. The codecs turn them into what a provider reads: `OpenAI`'s chat completions or Anthropic's
//!   messages. [`Preset`] says what is known about a provider beforehand.
//! * [`Class`] says why a call failed, and [`Class::policy`] what is done about it. It is decided once, from the
//!   status, the headers and the words of the error's body.
//! * [`LimitFacts`] is what providers say about their limits, [`ListedModel`] what they say about their models.
//! * [`http`] is what any HTTP call needs: a client with TLS, `Retry-After`, a body with a limit.
//! * `scripted` (feature of the same name, off by default) is a stand-in for a hosted model, on loopback, for tests
//!   and dry runs. It is no model: every text it gives begins with `[scripted stand-in]`.
//!
//! An answer counts as one only if it is one. It says why it ends; a stream has its end marker, too. An error inside
//! HTTP 200, no choice, no text and no call of a tool, a refusal, a stream that breaks off: each is a [`ChatError`].
//! An answer cut by its length limit is kept and says so in [`ChatAnswer::finish`].
//!
//! No error holds a key, a prompt or a URL's query, so errors can be stored and shown.

#![allow(
    clippy::result_large_err,
    reason = "an error is as rare as a call is long, and it tells all it knows"
)]

#[cfg(feature = "http")]
mod anthropic;
#[cfg(feature = "http")]
mod body;
pub mod catalog;
#[cfg(feature = "http")]
mod chat;
mod class;
pub mod cost;
#[cfg(feature = "http")]
mod draft;
#[cfg(feature = "http")]
mod embed;
#[cfg(feature = "http")]
mod failure;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http")]
mod http_provider;
#[cfg(feature = "http")]
mod limits;
#[cfg(feature = "http")]
mod listing;
#[cfg(feature = "http")]
mod openai;
mod policy;
#[cfg(feature = "http")]
mod preset;
#[cfg(feature = "http")]
mod provider;
#[cfg(feature = "http")]
mod redact;
#[cfg(any(test, feature = "scripted"))]
pub mod scripted;
pub mod select;
#[cfg(feature = "http")]
mod sse;
pub mod tokens;
mod words;

pub use catalog::{Catalog, Model};
pub use class::{Class, UnknownClass};
pub use cost::Nano;
pub use policy::{Cools, Policy};
#[cfg(feature = "http")]
pub use {
    chat::{
        ChatAnswer, ChatError, ChatRequest, Content, Finish, Message, OutputFormat, Role, Tool, ToolCall,
        ToolChoice, Usage,
    },
    embed::{EmbedAnswer, EmbedRequest},
    http::{BuildError, http_client},
    http_provider::HttpProvider,
    limits::{LimitFact, LimitFacts},
    listing::{ListedModel, ListedPrice},
    preset::{Preset, UnknownPreset, Wire},
    provider::{ApiKey, InvalidProvider, Provider, ProviderOptions},
};
