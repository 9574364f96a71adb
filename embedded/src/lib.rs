//! A small language model that runs on the CPU, inside a process, from a GGUF file.
//!
//! * [`Model`] answers chats. It is a real model with true token counts, and a small one: its English is fluent, its
//!   facts and its reasoning are modest. It needs no key, no network and no other program.
//! * [`embeddings`] (feature of the same name) turns texts into vectors, with weights that are part of the program.
//!
//! [`Options::json`] makes the answer JSON by letting the model choose only among tokens that keep it so. A schema is
//! followed as far as it can be letter by letter: types, properties and which are required, items and their number,
//! lengths of texts, `enum`, `const`, `anyOf`, `oneOf`, `allOf`, `$ref` within the schema. The rest (`pattern`,
//! `format`, ranges) does not bind the model. So a whole answer is always JSON; whether it is valid by the schema is
//! for the caller to check.
//!
//! All calls block. Weights take one byte each and a little, whatever the file has; a chat takes 46 kB for each token
//! of its context.

mod chat;
#[cfg(feature = "embeddings")]
pub mod embeddings;
mod error;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod gguf;
mod json;
mod linear;
mod llama;
mod output;
mod sample;
mod vocabulary;

pub use chat::{Answer, Finish, Json, Model, Options, Role, Turn};
pub use error::Error;
