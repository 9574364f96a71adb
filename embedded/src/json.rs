//! Answers that are JSON, by letting the model choose only among tokens that keep them so.
//!
//! A schema is followed as far as it can be letter by letter: types, properties and which are required, items and
//! their number, lengths of texts, `enum`, `const`, `anyOf`, `oneOf`, `allOf`, `$ref` within the schema, and a sign
//! that `minimum` forbids. What else it says (`pattern`, `format`, ranges, ...) does not bind the model: validate the
//! answer. Between values there is at most one space, texts have no `\u` escapes, and numbers few digits; an object
//! whose schema names properties and does not say `additionalProperties` has no others.

mod compile;
mod lexis;
mod machine;
mod schema;

use std::sync::Arc;

use machine::Threads;
use schema::Schema;

use crate::{Error, Json};

/// What an answer may still become.
pub(crate) struct Constraint {
    schema: Arc<Schema>,
    threads: Threads,
}

impl Constraint {
    pub(crate) fn new(json: &Json) -> Result<Self, Error> {
        let schema = Arc::new(Schema::compile(json).map_err(Error::Schema)?);
        let threads = Threads::start(&schema);
        Ok(Self { schema, threads })
    }

    /// Whether `bytes` can come next.
    pub(crate) fn allows(&self, bytes: &[u8]) -> bool {
        !bytes.is_empty() && self.threads.after(bytes, &self.schema).is_some()
    }

    /// Adds `bytes`, which are allowed.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if let Some(threads) = self.threads.after(bytes, &self.schema) {
            self.threads = threads;
        }
    }

    /// Whether the answer may end here.
    pub(crate) fn may_end(&self) -> bool {
        self.threads.may_end()
    }

    /// Whether the answer must end here.
    pub(crate) fn must_end(&self) -> bool {
        self.threads.must_end()
    }
}

#[cfg(test)]
mod tests;
