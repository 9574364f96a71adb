//! What the package `fuzz` calls of the code that reads Redis. No part of the API.
//!
//! Whoever can write to Redis chooses these bytes. Reading them may fail, and nothing else.

use std::time::Duration;

use redis::{FromRedisValue, Value};

use super::{
    Admission, Payloads, ServerFacts, Settle, SettleAndClaim,
    gate::{look, semantic},
    inspect::events,
    packed,
    payloads::Texts,
    settle::{self, Reply},
    spec,
};
use crate::model::{
    Micros, NodeId, QueueName, Reason, State, TaskId, TaskRecord, TaskRef, name::InvalidName,
};

/// A name that is valid.
fn name<T: std::str::FromStr<Err = InvalidName>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A task's two keys as one record: the spec, then, after a zero byte each, names and values of its hash.
pub fn record(bytes: &[u8]) -> TaskRecord {
    let mut parts = bytes.split(|byte| *byte == 0);
    let spec = parts.next();
    let mut fields = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        fields.push((name.to_vec(), value.to_vec()));
    }
    let reference = TaskRef { queue: name("default"), id: name("id") };
    spec::record(reference, spec, fields.into_iter(), Texts::of(&Payloads::default(), "wl", "default"))
}

/// A value that may be compressed.
pub fn unpacked(bytes: &[u8]) -> String {
    packed::text(bytes.to_vec())
}

/// A text as it is stored.
pub fn packed(text: &str) -> Vec<u8> {
    packed::pack(text).into_owned()
}

/// A reply, taken for that of each script and command whose reply has a shape.
pub fn reply(value: &Value) {
    if let Ok(parts) = Reply::from_redis_value(value.clone()) {
        let (node, queue): (NodeId, QueueName) = (name("n-1"), name("default"));
        let settles = [settled(State::Completed), settled(State::Failed), settled(State::Completed)];
        let call = SettleAndClaim {
            node: &node,
            number: 0,
            nonce: "n",
            lease: Duration::from_secs(10),
            want: 2,
            max_crashes: 3,
            settles: &settles,
        };
        let _ = settle::read(parts, &queue, &call, Texts::of(&Payloads::default(), "wl", "default"));
    }
    if let Ok(parts) = Vec::<Value>::from_redis_value(value.clone()) {
        let _ = Admission::read(&parts, |answer| String::from_utf8(answer).ok());
        let _ = semantic::read("0-1".to_owned(), parts, Some);
    }
    if let Ok((id, fields)) = <(String, Vec<(String, String)>)>::from_redis_value(value.clone()) {
        events::event(&name("default"), id, &fields);
    }
    if let Ok(time) = <(i64, i64)>::from_redis_value(value.clone()) {
        Micros::of_time(time);
    }
}

fn settled(to: State) -> Settle {
    let reason = if to == State::Completed { Reason::Completed } else { Reason::Failed };
    let id: TaskId = name("id");
    Settle { id, attempt: 1, to, reason, delay: Duration::ZERO, error: String::new(), result: String::new() }
}

/// A name and a value of the hashes that the fleet shares about models, money and hosts.
pub fn shared(name: &str, value: &str) {
    let pair = || (name.to_owned(), value.to_owned());
    look::read_live(pair());
    look::read_breaker(value);
    look::read_cooldown(value);
    look::read_usage(pair());
    look::read_budget(pair());
    look::read_catalog(value);
    look::read_use(value);
}

/// What a server says about itself.
pub fn facts(info: &str) {
    let _ = ServerFacts::read("redis:6379".to_owned(), info).check(false);
}
