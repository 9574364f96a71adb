//! The values of an entry's fields, read one by one so that each fault is told with its field.

use std::{collections::BTreeMap, time::Duration};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Day, span};
use crate::{cost::Price, words};

/// The keys of the tables inside an entry.
const PRICE: &[&str] = &["input", "output", "cached_input", "cache_write", "request", "tiers"];
const TIER: &[&str] = &["above", "input", "output", "cached_input", "cache_write"];
pub(super) const LIMITS: &[&str] =
    &["requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute", "concurrent"];
pub(super) const MODALITIES: &[&str] = &["input", "output"];

/// Longest name of a model.
pub(super) const MAX_ID: usize = 200;

/// What is said about a price.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Unknown,
    Known(Price),
}

/// The provider and the name in an id.
pub(super) fn parts(id: &str) -> Result<(&str, &str), String> {
    let bad = |c: char| c.is_whitespace() || c.is_control();
    match id.split_once('/') {
        Some((provider, name)) if !provider.is_empty() && !name.is_empty() && !id.contains(bad) => {
            if id.len() > MAX_ID {
                Err(format!("an id has at most {MAX_ID} bytes"))
            } else {
                Ok((provider, name))
            }
        }
        _ => Err("an id is PROVIDER/NAME, without spaces".to_owned()),
    }
}

pub(super) fn read<T: DeserializeOwned>(key: &str, value: Value) -> Result<T, String> {
    value.try_into().map_err(|error| format!("{key}: {}", error.message()))
}

pub(super) fn names(key: &str, value: Value) -> Result<Vec<String>, String> {
    let names: Vec<String> = read(key, value)?;
    let bad = |name: &String| name.is_empty() || name.len() > MAX_ID || name.contains(char::is_whitespace);
    if names.iter().any(bad) { Err(format!("{key}: a name is a word without spaces")) } else { Ok(names) }
}

pub(super) fn positive(key: &str, value: Value) -> Result<u32, String> {
    let number: u32 = read(key, value)?;
    if number == 0 { Err(format!("{key}: more than zero tokens")) } else { Ok(number) }
}

pub(super) fn share(key: &str, value: Value) -> Result<f64, String> {
    let share: f64 = number(key, value)?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(format!("{key}: a number from 0 to 1")) }
}

pub(super) fn speed(key: &str, value: Value) -> Result<f64, String> {
    let speed = number(key, value)?;
    if speed.is_finite() && speed > 0.0 { Ok(speed) } else { Err(format!("{key}: a number above 0")) }
}

/// A number, whether it is written `1` or `1.0`.
fn number(key: &str, value: Value) -> Result<f64, String> {
    match value {
        Value::Integer(whole) => Ok(whole as f64),
        value => read(key, value),
    }
}

/// A day, whether it is quoted or not.
pub(super) fn day(key: &str, value: &Value) -> Result<Day, String> {
    let text = value.as_datetime().map(ToString::to_string).or_else(|| value.as_str().map(str::to_owned));
    let day = text.ok_or_else(|| "a day is written as 2026-11-30".to_owned()).and_then(|text| text.parse());
    day.map_err(|fault| format!("{key}: {fault}"))
}

pub(super) fn latency(key: &str, value: Value) -> Result<Duration, String> {
    span::parse(&read::<String>(key, value)?).map_err(|fault| format!("{key}: {fault}"))
}

pub(super) fn shares(key: &str, value: Value) -> Result<BTreeMap<String, f64>, Vec<String>> {
    let table: Table = read(key, value).map_err(|fault| vec![fault])?;
    let (mut shares, mut faults) = (BTreeMap::new(), Vec::new());
    for (category, value) in table {
        match share(&format!("{key}.{category}"), value) {
            Ok(share) => drop(shares.insert(category, share)),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(shares) } else { Err(faults) }
}

/// A table whose keys are checked before it is read, so that each unknown key is named with the nearest known one.
pub(super) fn table<T: DeserializeOwned>(key: &str, value: Value, known: &[&str]) -> Result<T, Vec<String>> {
    let faults = unknown_keys(key, &value, known);
    if faults.is_empty() { read(key, value).map_err(|fault| vec![fault]) } else { Err(faults) }
}

fn unknown_keys(at: &str, value: &Value, known: &[&str]) -> Vec<String> {
    let keys = value.as_table().into_iter().flat_map(Table::keys);
    let strange = keys.filter(|key| !known.contains(&key.as_str()));
    strange.map(|key| format!("{at}: {}", words::unknown("key", key, known))).collect()
}

pub(super) fn price(value: Value) -> Result<Said, Vec<String>> {
    match value.as_str() {
        Some("free") => return Ok(Said::Known(Price::free())),
        Some("unknown") => return Ok(Said::Unknown),
        Some(_) => {
            return Err(vec!["price: \"free\", \"unknown\", or a table with input and output".to_owned()]);
        }
        None => {}
    }
    let tiers = value.get("tiers").and_then(Value::as_array).into_iter().flatten();
    let faults: Vec<String> = tiers.flat_map(|tier| unknown_keys("price.tiers", tier, TIER)).collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let price: Price = table("price", floats(value), PRICE)?;
    price.check().map_err(|fault| vec![format!("price: {fault}")])?;
    Ok(Said::Known(price))
}

/// The table with `2` for amounts written as `2.0`, in tiers too. Counts (`above`) stay whole.
fn floats(value: Value) -> Value {
    match value {
        Value::Table(table) => {
            let amount = |(key, value): (String, Value)| match value {
                Value::Integer(whole) if key != "above" => (key, Value::Float(whole as f64)),
                value => (key, floats(value)),
            };
            Value::Table(table.into_iter().map(amount).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(floats).collect()),
        value => value,
    }
}
