//! What of the gateway's part of Redis tells prompts and answers: sealed where there is a key, and named so that nobody
//! can find out a request by trying.

use std::borrow::Cow;

use super::Gate;
use crate::sealing::{KeyRing, Place, is_sealed};

impl Gate {
    /// Requests and answers are sealed, so they must not be told elsewhere either.
    pub fn seals(&self) -> bool {
        self.ring().is_some()
    }

    fn ring(&self) -> Option<&KeyRing> {
        self.store.payloads.ring()
    }

    fn place(&self, kind: &str, name: &str) -> Place {
        Place::of_gate(self.store.keys.namespace().as_str(), kind, name)
    }

    /// The hash of a request as it may stand in Redis.
    pub fn hashed(&self, hash: String) -> String {
        match self.ring() {
            Some(ring) => ring.name(&hash),
            None => hash,
        }
    }

    /// A value as it is stored; nothing stays nothing.
    pub(super) fn sealed<'v>(&self, kind: &str, name: &str, value: &'v [u8]) -> Cow<'v, [u8]> {
        match self.ring() {
            Some(ring) if !value.is_empty() => Cow::Owned(ring.seal(&self.place(kind, name), value)),
            _ => Cow::Borrowed(value),
        }
    }

    /// A stored value, or nothing if it cannot be opened here. With a key, what is not sealed is nobody's: it may have
    /// been put there.
    pub(super) fn unsealed(&self, kind: &str, name: &str, value: Vec<u8>) -> Option<Vec<u8>> {
        match self.ring() {
            Some(ring) => ring.open(&self.place(kind, name), &value).ok(),
            None => (!is_sealed(&value)).then_some(value),
        }
    }

    /// The same of a text.
    pub(super) fn opened(&self, kind: &str, name: &str, value: Vec<u8>) -> Option<String> {
        self.unsealed(kind, name, value).and_then(|bytes| String::from_utf8(bytes).ok())
    }
}
