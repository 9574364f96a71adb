//! What was given, layer over layer, and where each value came from.

use std::{collections::BTreeMap, fs, path::Path};

use super::{
    kind::Kind,
    redact::{HIDDEN, redact_url},
    setting::{Setting, Who},
    value::{FromValue, Value},
};

/// A text that a layer gives for a setting.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) setting: &'static Setting,
    pub(super) text: String,
    /// Whether the text names the file that holds the secret.
    pub(super) is_file: bool,
    /// Where it came from, for a listing: `windlass.toml`, `WINDLASS_CONCURRENCY`, `--concurrency`.
    pub(super) origin: String,
    /// Where exactly it stands, for a message: `windlass.toml: worker.concurrency`.
    pub(super) place: String,
}

/// What a setting holds, and why.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) value: Value,
    /// The value for people, without secrets.
    pub(super) shown: String,
    pub(super) origin: String,
    place: String,
    kind: Kind,
    who: Who,
}

/// A value for every setting of a table.
#[derive(Debug, Clone)]
pub(super) struct Values(BTreeMap<&'static str, Given>);

impl Values {
    /// The defaults.
    pub(super) fn defaults(table: &'static [Setting]) -> Self {
        let default = |setting: &'static Setting| {
            // A default that cannot be read is found by a test of each table.
            let value = Some(setting.default)
                .filter(|text| !text.is_empty())
                .and_then(|text| setting.read(text).ok());
            let (value, shown) = (value.unwrap_or(Value::Unset), setting.default.to_owned());
            let origin = "default".to_owned();
            let (kind, who) = (setting.kind, setting.who);
            (setting.key, Given { value, shown, place: origin.clone(), origin, kind, who })
        };
        Self(table.iter().map(default).collect())
    }

    /// Puts what a later layer says over what earlier ones said, or adds a fault.
    pub(super) fn apply(&mut self, entry: Entry, faults: &mut Vec<String>) {
        let Entry { setting, text, is_file, origin, place } = entry;
        let text = text.trim().to_owned();
        let value = if is_file && !text.is_empty() {
            Ok(Value::SecretFile((&text).into()))
        } else {
            setting.read(&text)
        };
        match value {
            Ok(value) => {
                let shown = if is_file { HIDDEN.to_owned() } else { shown(setting.kind, &text) };
                let (kind, who) = (setting.kind, setting.who);
                self.0.insert(setting.key, Given { value, shown, origin, place, kind, who });
            }
            Err(why) => faults.push(format!("{place}: {why}")),
        }
    }

    /// Reads the files that hold secrets which concern `program`; the other program's may exist only where it runs.
    pub(super) fn read_secrets(&mut self, program: Who, faults: &mut Vec<String>) {
        for given in self.0.values_mut() {
            let Value::SecretFile(path) = &given.value else { continue };
            given.value = match given.who.concerns(program).then(|| read_secret(given.kind, path)) {
                None => Value::Unset,
                Some(Ok(secret)) => secret,
                Some(Err(why)) => {
                    faults.push(format!("{}: {why}", given.place));
                    Value::Unset
                }
            };
        }
    }

    /// What `key` holds, as the type of the field.
    pub(super) fn get<T: FromValue>(&self, key: &str) -> T {
        let value = T::from_value(&self.given(key).value);
        value.unwrap_or_else(|| unreachable!("the table of settings gives {key} another kind"))
    }

    /// What `key` holds, and why.
    pub(super) fn given(&self, key: &str) -> &Given {
        self.0.get(key).unwrap_or_else(|| unreachable!("{key} is in the table of settings"))
    }

    /// Sets a text that follows from another setting.
    pub(super) fn imply(&mut self, key: &str, text: &str, origin: String) {
        if let Some(given) = self.0.get_mut(key) {
            given.value = Value::Text(text.to_owned());
            (given.shown, given.origin) = (text.to_owned(), origin);
        }
    }
}

fn shown(kind: Kind, text: &str) -> String {
    match kind {
        _ if text.is_empty() => String::new(),
        kind if kind.is_secret() => HIDDEN.to_owned(),
        Kind::RedisUrl | Kind::HttpUrl => redact_url(text),
        _ => text.to_owned(),
    }
}

fn read_secret(kind: Kind, path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    match kind.read(&text) {
        Ok(_) if text.trim().is_empty() => Err(format!("{} is empty", path.display())),
        Ok(secret) => Ok(secret),
        Err(why) => Err(format!("{}: {why}", path.display())),
    }
}
