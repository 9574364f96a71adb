//! Changes of a JSON document that keep it one, so that they reach what comes after the parser.

use fastrand::Rng;
use serde_json::{Map, Value};

use crate::mutate::edge;

/// The document with one value changed; nothing if it is none.
pub(crate) fn changed(bytes: &[u8], words: &[&str], random: &mut Rng) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    for _ in 0..=random.u8(..3) {
        let count = count(&value);
        let copy = nth(&mut value.clone(), &mut random.usize(..count))?.clone();
        let place = nth(&mut value, &mut random.usize(..count))?;
        change(place, copy, words, random);
    }
    serde_json::to_vec(&value).ok()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// A value by its number in the order of the text.
fn nth<'v>(value: &'v mut Value, number: &mut usize) -> Option<&'v mut Value> {
    if *number == 0 {
        return Some(value);
    }
    *number -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| within(item, number)),
        Value::Object(fields) => fields.values_mut().find_map(|item| within(item, number)),
        _ => None,
    }
}

fn within<'v>(value: &'v mut Value, number: &mut usize) -> Option<&'v mut Value> {
    let size = count(value);
    if *number < size {
        return nth(value, number);
    }
    *number -= size;
    None
}

fn change(value: &mut Value, other: Value, words: &[&str], random: &mut Rng) {
    let word = |random: &mut Rng| random.choice(words).copied().unwrap_or("a").to_owned();
    match (random.u8(..8), &mut *value) {
        (0..3, Value::Object(fields)) => {
            if let Some(name) = random.choice(fields.keys()).cloned() {
                fields.remove(&name);
                if random.bool() {
                    fields.insert(word(random), other);
                }
            }
        }
        (0..3, Value::Array(items)) => {
            let copies = if random.u8(..32) == 0 { 1000 } else { 3 };
            items.extend(std::iter::repeat_n(other, random.usize(..copies)));
        }
        (3, Value::Object(fields)) => drop(fields.insert(word(random), other)),
        (3..5, _) => *value = other,
        (5, Value::String(text)) => {
            let at = text.floor_char_boundary(random.usize(..=text.len()));
            text.insert_str(at, &word(random));
        }
        _ => *value = fresh(word(random), random),
    }
}

fn fresh(word: String, random: &mut Rng) -> Value {
    match random.u8(..9) {
        0 => Value::Null,
        1 => Value::Bool(random.bool()),
        2 | 3 => serde_json::from_str(edge(random)).unwrap_or_else(|_| edge(random).into()),
        4 => edge(random).into(),
        5 => Value::Array(Vec::new()),
        6 => Value::Object(Map::new()),
        7 => "x".repeat(1 << random.u32(..12)).into(),
        _ => word.into(),
    }
}
