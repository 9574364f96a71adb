//! A text of a task that is there and cannot be read here.

use std::fmt;

use super::ObjectRef;
use crate::sealing::Unopened;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Its name, as people see it.
    pub field: &'static str,
    /// Why it cannot be read.
    pub why: Why,
}

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is sealed with the key of this id, which is not here.
    NoKey(String),
    /// It was changed since it was sealed, or belongs to another task.
    Damaged,
    /// It is in the object store, and was not asked for or could not be fetched.
    Object(ObjectRef),
    /// Its object, at this path, is not in the object store, or is not what was put there.
    NoObject(String),
    /// It is readable, but anybody could have written it, and only sealed ones count.
    NotSealed,
}

impl Why {
    /// What stands in the place of the text: JSON.
    pub fn placeholder(&self) -> String {
        match self {
            Self::NoKey(key) => serde_json::json!({ "sealed": { "key": key } }),
            Self::Object(object) => {
                serde_json::json!({ "object": { "path": object.path, "size": object.size } })
            }
            why => serde_json::json!({ "unreadable": why.to_string() }),
        }
        .to_string()
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey(key) => write!(f, "sealed with key {key}, which is not here (setting sealing.keys)"),
            Self::Damaged => f.write_str(
                "it was changed since it was sealed, belongs to another task, or was sealed with another key of this id",
            ),
            Self::Object(object) => write!(f, "it is in the object store, as {}", object.path),
            Self::NoObject(path) => {
                write!(f, "its object {path} is not in the object store, or is not what was put there")
            }
            Self::NotSealed => f.write_str("it is not sealed, and only sealed ones count here (setting sealing.required)"),
        }
    }
}

impl From<Unopened> for Why {
    fn from(why: Unopened) -> Self {
        match why {
            Unopened::NoKey(id) => Self::NoKey(id),
            Unopened::Damaged => Self::Damaged,
        }
    }
}
