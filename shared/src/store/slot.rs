//! Hash slots, as Redis Cluster computes them (`CLUSTER KEYSLOT`).

use crc16::{State, XMODEM};

/// How many there are.
pub(super) const SLOTS: u16 = 16384;

/// The slot of a text without braces, such as a hash tag or an id.
pub(super) fn slot(text: &str) -> u16 {
    State::<XMODEM>::calculate(text.as_bytes()) % SLOTS
}

/// The slot of a key of ours, which has a hash tag.
pub(super) fn slot_of_key(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    slot(tag.map_or(key, |(tag, _)| tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // Told by `CLUSTER KEYSLOT`.
        assert_eq!(slot("123456789"), 12739);
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot_of_key("wl:{foo}:pending"), 12182);
        assert_eq!(slot_of_key("foo"), 12182);
    }
}
