//! Reads the table, and says of every fault where it is.

use std::{fmt::Display, time::Duration};

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error};
use serde_json::{Map, Value};

use super::{
    CheckKind, CheckSpec, PipelineSpec, STAGES, Severity, StageSpec, VALIDATORS,
    stage::{AFTER, BEFORE},
};
use crate::{
    config::{
        fault::{suggest, unknown_key},
        kind,
    },
    model::time::parse_duration,
};

const KEYS: [&str; 6] = ["files", "preprocess", "postprocess", "validate", "hooks", "threshold"];

/// Reads the whole table.
pub(super) fn pipeline(table: &Value) -> Result<PipelineSpec, Vec<String>> {
    let Value::Object(table) = table else { return Err(vec!["pipeline: it must be a table".into()]) };
    let mut faults = Faults::default();
    for key in table.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        faults.0.push(unknown_key("", key, &KEYS));
    }
    let spec = PipelineSpec {
        files: faults.value(table, "files"),
        preprocess: faults.list(table, "preprocess", |entry| stage(entry, &AFTER, "postprocess")),
        postprocess: faults.list(table, "postprocess", |entry| stage(entry, &BEFORE, "preprocess")),
        validate: faults.list(table, "validate", check),
        hooks: faults.value(table, "hooks"),
        threshold: faults.value::<Fraction>(table, "threshold").0,
    };
    if faults.0.is_empty() { Ok(spec) } else { Err(faults.0) }
}

/// What was found wrong so far.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn value<T: DeserializeOwned + Default>(&mut self, table: &Map<String, Value>, key: &str) -> T {
        let Some(value) = table.get(key) else { return T::default() };
        typed(value.clone()).unwrap_or_else(|fault| {
            self.0.push(at(key, &fault));
            T::default()
        })
    }

    fn list<T>(
        &mut self,
        table: &Map<String, Value>,
        key: &str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Vec<T> {
        let entries = match table.get(key) {
            None => return Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.0.push(format!("{key}: it must be a list"));
                return Vec::new();
            }
        };
        let mut read_one = |(index, entry)| {
            read(entry).map_err(|fault| self.0.push(at(&format!("{key}[{index}]"), &fault))).ok()
        };
        entries.iter().enumerate().filter_map(&mut read_one).collect()
    }
}

/// A fault that begins with a path goes on from this one.
fn at(place: &str, fault: &str) -> String {
    match fault.strip_prefix('.') {
        Some(path) => format!("{place}.{path}"),
        None => format!("{place}: {fault}"),
    }
}

/// Reads a `T`; a fault begins with the path of the value that is wrong, if it is within.
pub(super) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!(".{path}: {}", error.inner()),
    })
}

/// The name of an entry, and its options without the name.
fn named(entry: &Value, tag: &str, known: &[&str]) -> Result<(String, Map<String, Value>), String> {
    let (name, options) = match entry {
        Value::String(name) => (name.clone(), Map::new()),
        Value::Object(fields) => {
            let mut fields = fields.clone();
            match fields.remove(tag) {
                Some(Value::String(name)) => (name, fields),
                _ => return Err(format!("`{tag}` is missing: use one of {}", known.join(", "))),
            }
        }
        _ => return Err(format!("it must be the name of a {tag}, or a table with `{tag}`")),
    };
    Ok((name, options))
}

fn unknown(tag: &str, name: &str, known: &[&str]) -> String {
    match suggest(name, known.iter().copied()) {
        Some(meant) => format!("unknown {tag} {name:?}; did you mean {meant:?}?"),
        None => format!("unknown {tag} {name:?}: use one of {}", known.join(", ")),
    }
}

fn stage(entry: &Value, elsewhere: &[&str], there: &str) -> Result<StageSpec, String> {
    let (name, options) = named(entry, "stage", &STAGES)?;
    if elsewhere.contains(&name.as_str()) {
        return Err(format!("stage {name:?} belongs into {there}"));
    }
    let read = StageSpec::read(&name, Value::Object(options));
    read.unwrap_or_else(|| Err(unknown("stage", &name, &STAGES)))
}

/// What every validator may say besides its own options.
#[derive(Deserialize)]
struct Common {
    name: Option<String>,
    #[serde(default)]
    severity: Severity,
    #[serde(default = "one")]
    weight: f64,
}

fn one() -> f64 {
    1.0
}

fn check(entry: &Value) -> Result<CheckSpec, String> {
    let (name, mut options) = named(entry, "validator", &VALIDATORS)?;
    let taken = ["name", "severity", "weight"].into_iter().filter_map(|key| options.remove_entry(key));
    let common: Common = typed(Value::Object(taken.collect()))?;
    if !(0.0..=1000.0).contains(&common.weight) {
        return Err(".weight: use a number from 0 to 1000".into());
    }
    let kind = CheckKind::read(&name, Value::Object(options))
        .unwrap_or_else(|| Err(unknown("validator", &name, &VALIDATORS)))?;
    let name = common.name.unwrap_or(name);
    Ok(CheckSpec { name, severity: common.severity, weight: common.weight, kind })
}

#[derive(Default, Deserialize)]
struct Fraction(#[serde(deserialize_with = "fraction")] f64);

/// A number from 0 to 1.
pub(super) fn fraction<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(input)?;
    let fault = || D::Error::custom(format!("{number} is not valid: use a number from 0 to 1"));
    (0.0..=1.0).contains(&number).then_some(number).ok_or_else(fault)
}

/// A size such as `64KiB`, or a number of bytes.
pub(super) fn bytes<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    let given = Value::deserialize(input)?;
    let read = given.as_u64().or_else(|| kind::bytes(given.as_str()?));
    read.ok_or_else(|| D::Error::custom(format!("{given} is not valid: use a size such as 64KiB")))
}

/// A duration such as `30s`, longer than nothing.
pub(super) fn some_duration<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(input)?;
    match parse_duration(&text).map_err(D::Error::custom)? {
        Duration::ZERO => {
            Err(D::Error::custom(format!("{text:?} is not valid: nothing can be done in no time")))
        }
        duration => Ok(Some(duration)),
    }
}

/// The parts of a command; at least the program's name.
pub(super) fn argv<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    not_empty(Vec::deserialize(input)?, "it needs at least the program's name")
}

pub(super) fn some_argv<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Vec<String>>, D::Error> {
    argv(input).map(Some)
}

/// At least one text.
pub(super) fn some_texts<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    not_empty(Vec::deserialize(input)?, "give at least one")
}

fn not_empty<E: Error>(texts: Vec<String>, why: impl Display) -> Result<Vec<String>, E> {
    match texts.first() {
        None => Err(E::custom(format!("it is empty: {why}"))),
        Some(first) if first.is_empty() => Err(E::custom(format!("the first is empty: {why}"))),
        Some(_) => Ok(texts),
    }
}
