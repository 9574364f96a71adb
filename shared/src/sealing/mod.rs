//! Sealed values: what people wrote or got is encrypted before it reaches Redis, and opened by those who hold the key.
//!
//! A sealed value is `9E "WLS"`, a version byte, the length and the text of the key's id, a nonce of 24 random bytes,
//! and what XChaCha20-Poly1305 makes of the value. No UTF-8 text and no zstd frame begins with 9E, so a value says by
//! itself whether it is sealed. What it is authenticated with ([`Place`]) names the task and the field, so a value that
//! was moved elsewhere does not open.

mod ring;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, Payload},
};

pub use ring::{KeyRing, LONGEST_ID, new_key};

/// How every sealed value begins.
const MAGIC: [u8; 4] = [0x9e, b'W', b'L', b'S'];
const VERSION: u8 = 1;
const NONCE: usize = 24;

/// Where a value belongs: it opens nowhere else.
#[derive(Debug, Clone)]
pub struct Place(String);

impl Place {
    /// A field of a task. None of these names holds a line break.
    pub fn of_task(namespace: &str, queue: &str, id: &str, field: &str) -> Self {
        Self(format!("windlass\ntask\n{namespace}\n{queue}\n{id}\n{field}"))
    }

    /// An entry of the gateway to models.
    pub fn of_gate(namespace: &str, kind: &str, name: &str) -> Self {
        Self(format!("windlass\ngate\n{namespace}\n{kind}\n{name}"))
    }
}

/// Why a sealed value was not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unopened {
    /// The key with this id is not in the ring.
    NoKey(String),
    /// It was changed since it was sealed, belongs elsewhere, or was sealed with another key of this id.
    Damaged,
}

/// Whether this is a sealed value.
pub fn is_sealed(value: &[u8]) -> bool {
    value.starts_with(&MAGIC)
}

/// The id of the key that a value is sealed with; none if it is not sealed, or cut off.
pub fn key_of(value: &[u8]) -> Option<&str> {
    parts(value).map(|(id, _, _)| id)
}

/// Key id, nonce, and the rest.
fn parts(value: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (&[VERSION, length], rest) = value.strip_prefix(&MAGIC)?.split_first_chunk::<2>()? else {
        return None;
    };
    let (id, rest) = rest.split_at_checked(usize::from(length))?;
    let (nonce, sealed) = rest.split_at_checked(NONCE)?;
    Some((std::str::from_utf8(id).ok()?, nonce, sealed))
}

fn seal(id: &str, cipher: &XChaCha20Poly1305, place: &Place, plain: &[u8]) -> Vec<u8> {
    let nonce = XNonce::generate();
    let payload = Payload { msg: plain, aad: place.0.as_bytes() };
    let sealed = cipher.encrypt(&nonce, payload).expect("a value is shorter than 256 GiB");
    let length = u8::try_from(id.len()).expect("the ids of keys are short");
    let mut value = Vec::with_capacity(MAGIC.len() + 2 + id.len() + NONCE + sealed.len());
    value.extend_from_slice(&MAGIC);
    value.extend_from_slice(&[VERSION, length]);
    value.extend_from_slice(id.as_bytes());
    value.extend_from_slice(&nonce);
    value.extend_from_slice(&sealed);
    value
}

fn open(cipher: &XChaCha20Poly1305, place: &Place, nonce: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
    let nonce = XNonce::try_from(nonce).map_err(|_| Unopened::Damaged)?;
    let payload = Payload { msg: sealed, aad: place.0.as_bytes() };
    cipher.decrypt(&nonce, payload).map_err(|_| Unopened::Damaged)
}

#[cfg(test)]
mod tests;
