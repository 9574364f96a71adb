//! What stands in Redis in the place of a large text, and the names of objects.
//!
//! A path is `NAMESPACE/DAY/QUEUE+ID/FIELD-HASH`: by the day, old ones can be told; by queue and id, those of tasks that
//! are gone. The hash is of the content, so the same text of a task is one object a day.

use serde::{Deserialize, Serialize};

use super::{QueueName, TaskId, TaskRef};

/// How every reference begins: no JSON does.
const BEGINS: &str = "\u{1}object 1 ";

/// A text that is kept in the object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The object, below the path of the URL.
    pub path: String,
    /// Bytes of the text.
    pub size: u64,
    /// BLAKE3 of the text, hexadecimal.
    pub digest: String,
}

/// Whose object it is, by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The fleet.
    pub namespace: String,
    /// The task.
    pub task: TaskRef,
}

impl ObjectRef {
    /// A reference to `text`. `hash` makes of its digest what may stand in a name.
    pub fn new(owner: &Owner, day: &str, field: &str, text: &str, hash: impl FnOnce(&str) -> String) -> Self {
        let digest = blake3::hash(text.as_bytes()).to_hex().to_string();
        let Owner { namespace, task: TaskRef { queue, id } } = owner;
        let path = format!("{namespace}/{day}/{queue}+{id}/{field}-{:.32}", hash(&digest));
        Self { path, size: text.len() as u64, digest }
    }

    /// Reads what [`text`](Self::text) made; none if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.strip_prefix(BEGINS)?).ok()
    }

    /// Whether a text is a reference. Cheap: nearly none is.
    pub fn is(text: &str) -> bool {
        text.starts_with(BEGINS)
    }

    /// As it is stored.
    pub fn text(&self) -> String {
        format!("{BEGINS}{}", serde_json::to_string(self).unwrap_or_default())
    }

    /// Whether this is the text that it refers to.
    pub fn is_of(&self, text: &[u8]) -> bool {
        blake3::hash(text).to_hex().as_str() == self.digest
    }
}

impl Owner {
    /// The owner of the object at this path; none if it is not one of ours.
    pub fn of(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let (namespace, _day, task, _name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (queue, id) = task.split_once('+')?;
        let task = TaskRef { queue: QueueName::new(queue).ok()?, id: TaskId::new(id).ok()? };
        parts.next().is_none().then(|| Self { namespace: namespace.to_owned(), task })
    }
}

/// The day of now, for names.
pub fn day_of(now: jiff::Timestamp) -> String {
    now.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        let task = TaskRef {
            queue: QueueName::new("..").expect("a valid name"),
            id: TaskId::new("a:b@c").expect("a valid id"),
        };
        Owner { namespace: "wl".into(), task }
    }

    #[test]
    fn a_reference_is_told_from_json_and_names_its_text_and_its_task() {
        let reference = ObjectRef::new(&owner(), "2026-11-20", "result", "\"text\"", str::to_owned);
        assert_eq!(ObjectRef::parse(&reference.text()).as_ref(), Some(&reference));
        assert!(reference.is_of(b"\"text\"") && !reference.is_of(b"\"test\""));
        for other in ["", "{\"path\":\"x\"}", "\"object 1 {}\"", "\u{1}object 1 nonsense"] {
            assert_eq!(ObjectRef::parse(other), None, "{other:?}");
        }
        assert_eq!(Owner::of(&reference.path), Some(owner()));
    }

    #[test]
    fn the_same_text_is_the_same_object_and_no_name_leads_out() {
        let of = |text| ObjectRef::new(&owner(), "2026-11-20", "result", text, str::to_owned).path;
        assert_eq!(of("1"), of("1"));
        assert_ne!(of("1"), of("2"));
        assert!(of("1").split('/').all(|part| part != ".." && part != "."), "{}", of("1"));
        for foreign in ["wl/2026-11-20/default/x", "x", "wl/d/q+i/f/more", "wl/d/q+/f"] {
            assert_eq!(Owner::of(foreign), None, "{foreign}");
        }
    }
}
