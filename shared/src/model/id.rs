//! Ids of tasks: made new, or derived so that submitting twice is one task.

use super::{BatchName, NodeId, TaskId};

/// Crockford's alphabet in lower case: no i, l, o, u; sorts as the bits do.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn base32(mut bits: u128, digits: usize) -> String {
    let mut text = vec![0; digits];
    for slot in text.iter_mut().rev() {
        *slot = ALPHABET[(bits & 31) as usize];
        bits >>= 5;
    }
    text.into_iter().map(char::from).collect()
}

/// A new id: a UUID of version 7 in 26 characters, so that ids made later sort later.
pub fn new_id() -> TaskId {
    TaskId::new(base32(uuid::Uuid::now_v7().as_u128(), 26)).expect("the alphabet is valid in a name")
}

/// A new node id: `n-` and fifty random bits.
pub fn new_node_id() -> NodeId {
    let bits = uuid::Uuid::new_v4().as_u128();
    NodeId::new(format!("n-{}", base32(bits, 10))).expect("the alphabet is valid in a name")
}

fn derived(mark: char, text: &str) -> TaskId {
    let hash = blake3::hash(text.as_bytes());
    let bits = u128::from_be_bytes(hash.as_bytes()[..16].try_into().expect("sixteen bytes"));
    TaskId::new(format!("{mark}{}", base32(bits, 25))).expect("the alphabet is valid in a name")
}

/// The id of the task with idempotency key `key`: the same key gives the same id.
pub fn from_key(key: &str) -> TaskId {
    derived('k', key)
}

/// The id of line `line` (from 1) of batch `batch`, so that an interrupted submission can simply be run again.
pub fn from_line(batch: &BatchName, line: u64) -> TaskId {
    derived('b', &format!("{batch}\n{line}"))
}

/// A digest of a task's fields as they were given, in 16 characters: other content under one id is a conflict.
pub fn digest(canonical: &[u8]) -> String {
    let hash = blake3::hash(canonical);
    base32(u128::from_be_bytes(hash.as_bytes()[..16].try_into().expect("sixteen bytes")), 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_stable_and_distinct() {
        let batch = BatchName::new("nightly").unwrap();
        assert_eq!(from_line(&batch, 7), from_line(&batch, 7));
        assert_ne!(from_line(&batch, 7), from_line(&batch, 8));
        assert_ne!(from_key("nightly\n7"), from_line(&batch, 7));
    }

    #[test]
    fn new_ids_sort_by_time() {
        let ids: Vec<_> = (0..1000).map(|_| new_id()).collect();
        assert!(ids.is_sorted() && ids.windows(2).all(|w| w[0] != w[1]));
    }
}
