//! Long texts of a record, compressed: prompts and answers are kilobytes, and Redis holds them in memory.
//!
//! A text from [`LONG`] bytes on is stored as one zstd frame, unless that saves too little. JSON cannot begin with the
//! magic bytes of a frame, so a value says by itself which it is; short ones stay readable with `redis-cli`.

use std::{borrow::Cow, cell::RefCell, io::Read};

/// Shorter texts are stored as they are.
pub(super) const LONG: usize = 2048;
/// How every zstd frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Nothing that is read may unfold to more than this.
const MOST: u64 = 64 << 20;
/// The fastest one that still halves a prompt.
const LEVEL: i32 = 1;

thread_local! {
    /// Its tables are larger than most texts, so they are made once.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> =
        RefCell::new(zstd::bulk::Compressor::new(LEVEL).ok());
}

/// A text as it is stored.
pub(super) fn pack(text: &str) -> Cow<'_, [u8]> {
    let plain = text.as_bytes();
    if plain.len() < LONG {
        return Cow::Borrowed(plain);
    }
    let packed = COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(plain).ok());
    match packed {
        Some(packed) if packed.len() < plain.len() / 10 * 9 => Cow::Owned(packed),
        _ => Cow::Borrowed(plain),
    }
}

/// A stored value as text: whoever wrote it, reading it never fails. What cannot be unpacked is empty.
pub(super) fn text(bytes: Vec<u8>) -> String {
    let bytes = if bytes.starts_with(&MAGIC) { unpack(&bytes) } else { bytes };
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let read = zstd::stream::read::Decoder::new(packed)
        .and_then(|mut decoder| decoder.by_ref().take(MOST).read_to_end(&mut plain));
    if let Err(error) = read {
        tracing::warn!(%error, "a compressed value cannot be read");
        plain.clear();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_comes_back_and_takes_less() {
        let long = "def test_pages(): assert pages(11, 5) == 3\n".repeat(200);
        let packed = pack(&long).into_owned();
        assert!(packed.starts_with(&MAGIC) && packed.len() < long.len() / 10, "{}", packed.len());
        assert_eq!(text(packed), long);
    }

    #[test]
    fn what_is_short_or_saves_nothing_stays_readable() {
        let noise: String = (0..5000).map(|_| fastrand::alphanumeric()).collect();
        for plain in ["{\"n\":1}".repeat(100), noise[..LONG - 1].to_owned()] {
            assert_eq!(*pack(&plain), *plain.as_bytes());
            assert_eq!(text(plain.clone().into_bytes()), plain);
        }
    }

    #[test]
    fn what_cannot_be_unpacked_is_empty_and_what_is_no_text_is_read_all_the_same() {
        assert_eq!(text([&MAGIC[..], b"garbage"].concat()), "");
        assert_eq!(text(b"a\xffb".to_vec()), "a\u{fffd}b");
        // A bomb: a hundred megabytes of zeros.
        let bomb = zstd::bulk::compress(&vec![b'0'; 100 << 20], 1).unwrap();
        assert_eq!(text(bomb).len() as u64, MOST);
    }
}
