//! The keys that a program holds. One seals; all open.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, aead::Generate};

use super::{Place, Unopened, open, parts, seal};

/// Longest id of a key.
pub const LONGEST_ID: usize = 16;
const KEY: usize = 32;
/// What the key of digests and names is derived with, so that it is not the key that seals.
const HASHES: &str = "windlass 2026-11-20 digests and names of a sealed fleet";

#[derive(Clone)]
struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
    /// For digests and names that must not be guessed from outside.
    hashes: [u8; KEY],
}

/// Keys with their ids. Prints the ids only.
#[derive(Clone)]
pub struct KeyRing {
    /// At least one.
    keys: Vec<Key>,
    /// Index of the one that seals.
    seals: usize,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.ids().collect::<Vec<_>>()).finish()
    }
}

/// A new key, as it stands in a ring.
pub fn new_key(id: &str) -> Result<String, String> {
    check_id(id)?;
    let key = chacha20poly1305::Key::generate();
    Ok(format!("{id}:{}", STANDARD_NO_PAD.encode(key)))
}

fn check_id(id: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=LONGEST_ID).contains(&id.len()) && id.chars().all(plain) {
        return Ok(());
    }
    Err(format!("the id of a key has 1 to {LONGEST_ID} letters, digits, '.', '_' or '-'"))
}

impl KeyRing {
    /// Reads `ID:KEY`, several separated by commas or line breaks, with `#` before comments. A key is 32 bytes in
    /// base64 or 64 hexadecimal digits. Messages hold no key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let words = lines.flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace()));
        let mut keys: Vec<Key> = Vec::new();
        for (index, word) in words.filter(|word| !word.is_empty()).enumerate() {
            let bad = |why: String| format!("key {}: {why}", index + 1);
            let (id, key) = word.split_once(':').ok_or_else(|| bad("it is not ID:KEY".into()))?;
            check_id(id).map_err(bad)?;
            if keys.iter().any(|known| known.id == id) {
                return Err(bad(format!("the id {id} is given twice")));
            }
            let bytes = decode(key).ok_or_else(|| {
                bad("a key is 32 bytes in base64 (`windlass keys generate` makes one)".into())
            })?;
            let cipher = XChaCha20Poly1305::new(&bytes.into());
            keys.push(Key { id: id.to_owned(), cipher, hashes: blake3::derive_key(HASHES, &bytes) });
        }
        if keys.is_empty() {
            return Err("there is no key in it".into());
        }
        Ok(Self { keys, seals: 0 })
    }

    /// The same ring, with this key to seal.
    pub fn sealing_with(mut self, id: &str) -> Result<Self, String> {
        let ids = || self.ids().collect::<Vec<_>>().join(", ");
        self.seals = self
            .keys
            .iter()
            .position(|key| key.id == id)
            .ok_or_else(|| format!("no key has the id {id:?}: there are {}", ids()))?;
        Ok(self)
    }

    /// The ids of its keys, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// The id of the key that seals.
    pub fn seals_with(&self) -> &str {
        &self.sealing().id
    }

    fn sealing(&self) -> &Key {
        &self.keys[self.seals]
    }

    fn key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// Seals a value for its place.
    pub fn seal(&self, place: &Place, plain: &[u8]) -> Vec<u8> {
        let key = self.sealing();
        seal(&key.id, &key.cipher, place, plain)
    }

    /// Opens a sealed value in its place.
    pub fn open(&self, place: &Place, value: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (id, nonce, sealed) = parts(value).ok_or(Unopened::Damaged)?;
        let key = self.key(id).ok_or_else(|| Unopened::NoKey(id.to_owned()))?;
        open(&key.cipher, place, nonce, sealed)
    }

    /// A digest that only who holds the key can compute, with the key's id before it. Plain ones of short payloads could
    /// be found by trying.
    pub fn digest(&self, plain: &str) -> String {
        digest(self.sealing(), plain)
    }

    /// Whether `stored` is the digest of what has the plain digest `plain`, under any key that is here, or plain itself.
    /// So the same task is the same after the key was changed.
    pub fn is_digest_of(&self, stored: &str, plain: &str) -> bool {
        match stored.split_once('~') {
            None => stored == plain,
            Some((id, _)) => self.key(id).is_some_and(|key| digest(key, plain) == stored),
        }
    }

    /// A name in the place of a plain hash, which could be found by trying.
    pub fn name(&self, plain: &str) -> String {
        blake3::keyed_hash(&self.sealing().hashes, plain.as_bytes()).to_hex().to_string()
    }
}

fn digest(key: &Key, plain: &str) -> String {
    let hash = blake3::keyed_hash(&key.hashes, plain.as_bytes()).to_hex();
    format!("{}~{}", key.id, &hash[..32])
}

fn decode(text: &str) -> Option<[u8; KEY]> {
    let bytes = if text.len() == 2 * KEY && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let digits = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        (0..KEY).map(|index| digits(2 * index)).collect::<Option<Vec<u8>>>()?
    } else {
        // Both alphabets of base64.
        let text = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
        STANDARD_NO_PAD.decode(text).ok()?
    };
    bytes.try_into().ok()
}
