//! What the package `fuzz` calls of the code that reads schemas. No part of the API.

use serde_json::Value;

use crate::{Json, json::Constraint};

/// Follows a schema with the bytes of a text, as far as it allows them. Gives how many it took.
pub fn follow(schema: Value, text: &[u8]) -> usize {
    let Ok(mut constraint) = Constraint::new(&Json::Schema(schema)) else { return 0 };
    let mut taken = 0;
    for byte in text.chunks(1) {
        if constraint.must_end() || !constraint.allows(byte) {
            break;
        }
        constraint.push(byte);
        taken += 1;
    }
    constraint.may_end();
    taken
}
