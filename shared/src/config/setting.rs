//! One setting: where it is given, and how its text is read.

use super::{kind::Kind, value::Value};

/// Which program uses a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Who {
    /// The producer and the worker.
    #[default]
    Both,
    /// The producer only.
    Producer,
    /// The worker only.
    Worker,
}

impl Who {
    /// Whether what is meant for `self` concerns `program`.
    pub(super) fn concerns(self, program: Self) -> bool {
        self == program || self == Self::Both || program == Self::Both
    }
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Where it stands in the file: `worker.concurrency`.
    pub key: &'static str,
    /// Environment variables; the first one that is set wins. What may be secret also has the first one with `_FILE`.
    pub env: &'static [&'static str],
    /// What it may hold.
    pub kind: Kind,
    /// Its value unless given otherwise, as text. Empty: none.
    pub default: &'static str,
    /// What it does, for the reference.
    pub help: &'static str,
    /// Which program uses it.
    pub who: Who,
}

impl Setting {
    /// Reads a text given for this setting, or says what is allowed.
    pub(super) fn read(&self, text: &str) -> Result<Value, String> {
        match () {
            () if !text.trim().is_empty() => self.kind.read(text),
            () if !self.default.is_empty() => Err(format!("it is empty: use {}", self.kind.describe())),
            () if self.kind.is_list() => self.kind.read(text),
            () => Ok(Value::Unset),
        }
    }

    /// The key, in a file, of the file that holds the secret.
    pub(super) fn file_key(&self) -> Option<String> {
        self.kind.may_be_a_file().then(|| format!("{}_file", self.key))
    }

    /// Environment variables in the order in which they are asked, and whether each names a file.
    pub(super) fn variables(&self) -> Vec<(String, bool)> {
        let mut names: Vec<_> = self.env.iter().map(|name| ((*name).to_owned(), false)).collect();
        if let Some(first) = self.env.first().filter(|_| self.kind.may_be_a_file()) {
            names.insert(1, (format!("{first}_FILE"), true));
        }
        names
    }
}

/// Finds the setting of a key, and whether the key is that of the file that holds the secret.
pub(super) fn find(table: &'static [Setting], key: &str) -> Option<(&'static Setting, bool)> {
    table.iter().find_map(|setting| match setting.file_key() {
        _ if setting.key == key => Some((setting, false)),
        Some(file_key) if file_key == key => Some((setting, true)),
        _ => None,
    })
}
