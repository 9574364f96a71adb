//! Text that people give and that becomes part of a key in Redis, as validated newtypes.
//!
//! A name holds ASCII letters, digits, `.`, `_` and `-` only, so it can neither break a hash tag (`{queue}`)
//! nor a key's path (`:`) nor a list of ids (separated by spaces) nor a reference (`QUEUE/ID`).

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a text is not a valid name. The message says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} is not valid: {why}")]
pub struct InvalidName {
    what: &'static str,
    text: String,
    why: String,
}

fn check(what: &'static str, text: &str, most: usize, also: &str) -> Result<(), InvalidName> {
    let bad = |why: String| InvalidName { what, text: text.chars().take(80).collect(), why };
    if text.is_empty() {
        return Err(bad("it is empty".into()));
    }
    if text.len() > most {
        return Err(bad(format!("it has {} bytes, at most {most} are allowed", text.len())));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "._-".contains(*c) || also.contains(*c))) {
        Some(c) => {
            Err(bad(format!("the character {c:?} is not allowed; use letters, digits and any of ._-{also}")))
        }
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $most:literal, $also:literal, $reserved:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and takes it as a name. Clones share it.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let text = text.as_ref();
                check($what, text, $most, $also)?;
                let reserved: &[&str] = $reserved;
                if reserved.contains(&text) {
                    let why = "this name is reserved; choose another".into();
                    return Err(InvalidName { what: $what, text: text.into(), why });
                }
                Ok(Self(text.into()))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().into()
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                super::openapi::text(concat!("^[A-Za-z0-9._", $also, "-]+$"), $most)
            }
        }
        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}

/// Hash tags that belong to the fleet, not to a queue.
const RESERVED: [&str; 4] = ["nodes", "queues", "llm", "batch"];

name!(/// A named priority queue.
    QueueName, "queue name", 64, "", &RESERVED);
name!(/// Whose work a task is; the queue is shared fairly among tenants.
    TenantName, "tenant", 64, "", &[]);
name!(/// What kind of work a task is.
    TypeName, "task type", 64, "", &[]);
name!(/// Tasks submitted and reported together.
    BatchName, "batch", 128, "", &[]);
name!(/// Tasks with the same key share a concurrency limit.
    ConcurrencyKey, "concurrency key", 128, ":@", &[]);
name!(/// A task's identity within its queue.
    TaskId, "task id", 128, ":@", &[]);
name!(/// One boot of one worker process. New at each start, so it fences what an earlier boot still says.
    NodeId, "node id", 64, "", &[]);
name!(/// First part of every key, so that many fleets can share one Redis.
    Namespace, "namespace", 32, "", &[]);

impl QueueName {
    /// The queue that is meant when none is named.
    pub fn default_queue() -> Self {
        Self("default".into())
    }
}

/// Where a task lives: its queue and its id, printed as `QUEUE/ID`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskRef {
    /// The queue.
    pub queue: QueueName,
    /// The id within the queue.
    pub id: TaskId,
}

impl TaskRef {
    /// Reads `QUEUE/ID`, or a bare `ID` which means `queue`.
    pub fn parse(text: &str, queue: &QueueName) -> Result<Self, InvalidName> {
        match text.split_once('/') {
            Some((queue, id)) => Ok(Self { queue: QueueName::new(queue)?, id: TaskId::new(id)? }),
            None => Ok(Self { queue: queue.clone(), id: TaskId::new(text)? }),
        }
    }
}

impl fmt::Display for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.queue, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_break_a_key_is_refused() {
        for bad in ["", "a b", "a{b", "a}b", "a:b", "a/b", "a\nb", "ü", "nodes", "batch"] {
            assert!(QueueName::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(QueueName::new("x".repeat(65)).is_err());
        assert_eq!(QueueName::new("gpu-2.eu_west").unwrap().as_str(), "gpu-2.eu_west");
    }

    #[test]
    fn the_message_names_the_character_and_what_is_allowed() {
        let error = QueueName::new("my queue").unwrap_err().to_string();
        assert!(error.contains("' '") && error.contains("letters, digits"), "{error}");
    }

    #[test]
    fn a_reference_is_queue_slash_id_or_a_bare_id() {
        let queue = QueueName::default_queue();
        assert_eq!(TaskRef::parse("gpu/a1", &queue).unwrap().to_string(), "gpu/a1");
        assert_eq!(TaskRef::parse("a1", &queue).unwrap().to_string(), "default/a1");
        assert!(TaskRef::parse("a/b/c", &queue).is_err());
    }
}
