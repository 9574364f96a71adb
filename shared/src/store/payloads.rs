//! What the texts of a task go through on their way into Redis and back: compressed if they are long, then sealed if
//! there is a key.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Map, Value};

use super::{Partition, packed};
use crate::{
    config::{ClaimCheckSettings, SealingSettings},
    model::{ObjectRef, Unread, Why},
    objects::Objects,
    sealing::{KeyRing, Place, Unopened, is_sealed},
};

/// In a JSON object that stays readable, the member that holds a sealed one.
const SEALED: &str = "sealed";

/// The keys of this program, and what is done with them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Payloads {
    ring: Option<Arc<KeyRing>>,
    required: bool,
    objects: Option<Arc<Objects>>,
}

impl Payloads {
    /// What the configuration says.
    pub fn new(sealing: &SealingSettings, claim_check: &ClaimCheckSettings) -> Self {
        Self {
            ring: sealing.keys.clone().map(Arc::new),
            required: sealing.required,
            objects: Objects::new(claim_check).map(Arc::new),
        }
    }

    /// Where large texts go, if they go anywhere.
    pub(super) fn objects(&self) -> Option<&Objects> {
        self.objects.as_deref()
    }

    /// What is written is sealed, so it must not be told elsewhere either.
    pub fn seals(&self) -> bool {
        self.ring.is_some()
    }

    /// The keys, if there are any.
    pub fn ring(&self) -> Option<&KeyRing> {
        self.ring.as_deref()
    }

    /// The ids of the keys.
    pub fn key_ids(&self) -> Vec<String> {
        self.ring().map(|ring| ring.ids().map(str::to_owned).collect()).unwrap_or_default()
    }
}

/// The texts of tasks of a queue.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    payloads: &'a Payloads,
    namespace: &'a str,
    queue: &'a str,
}

impl Partition {
    pub(super) fn texts(&self) -> Texts<'_> {
        Texts {
            payloads: &self.store.payloads,
            namespace: self.store.keys.namespace().as_str(),
            queue: self.name.as_str(),
        }
    }
}

/// The name of the payload where it is sealed: a payload means something else to another type.
pub(super) fn payload_of(task_type: &str) -> String {
    format!("payload {task_type}")
}

impl<'a> Texts<'a> {
    /// Those of a queue of which there is no more than the name.
    #[cfg(feature = "fuzz")]
    pub(super) fn of(payloads: &'a Payloads, namespace: &'a str, queue: &'a str) -> Self {
        Self { payloads, namespace, queue }
    }

    pub(super) fn ring(&self) -> Option<&'a KeyRing> {
        self.payloads.ring()
    }

    fn place(&self, id: &str, field: &str) -> Place {
        Place::of_task(self.namespace, self.queue, id, field)
    }

    /// The payload as it is stored.
    pub(super) fn payload<'t>(&self, id: &str, task_type: &str, text: &'t str) -> Cow<'t, [u8]> {
        match self.ring() {
            None => packed::pack(text),
            Some(_) => self.field(id, &payload_of(task_type), text),
        }
    }

    /// Another text as it is stored; nothing stays nothing.
    pub(super) fn field<'t>(&self, id: &str, field: &str, text: &'t str) -> Cow<'t, [u8]> {
        match self.ring() {
            Some(ring) if !text.is_empty() => {
                Cow::Owned(ring.seal(&self.place(id, field), &packed::pack(text)))
            }
            _ => packed::pack(text),
        }
    }

    /// A JSON object of which only `member` says what people wrote or got: that one is sealed.
    pub(super) fn member<'t>(&self, id: &str, field: &str, json: &'t str, member: &str) -> Cow<'t, str> {
        let Some(ring) = self.ring() else { return Cow::Borrowed(json) };
        let Ok(mut object) = serde_json::from_str::<Map<String, Value>>(json) else {
            return Cow::Borrowed(json);
        };
        if let Some(value) = object.remove(member).filter(|value| !value.is_null()) {
            let sealed = ring.seal(&self.place(id, field), value.to_string().as_bytes());
            object.insert(SEALED.to_owned(), STANDARD_NO_PAD.encode(sealed).into());
        }
        Cow::Owned(Value::Object(object).to_string())
    }

    /// A text sealed in letters, where a value must be a line of text; empty if there is no key.
    pub(super) fn base64(&self, id: &str, field: &str, text: &str) -> String {
        self.ring()
            .map(|ring| STANDARD_NO_PAD.encode(ring.seal(&self.place(id, field), text.as_bytes())))
            .unwrap_or_default()
    }

    /// Whether what is not sealed does not count.
    pub(super) fn only_sealed(self) -> bool {
        self.payloads.required
    }

    /// Reads the texts of one task.
    pub(super) fn reader(self, id: &'a str) -> Reader<'a> {
        Reader { texts: self, id, unread: Vec::new() }
    }
}

/// Reads the texts of a task, and notes those that it cannot read.
pub(super) struct Reader<'a> {
    texts: Texts<'a>,
    id: &'a str,
    pub(super) unread: Vec<Unread>,
}

impl Reader<'_> {
    /// A stored value as text. What cannot be opened is told in its place.
    pub(super) fn text(&mut self, field: &'static str, bytes: Vec<u8>) -> String {
        self.text_at(field, field, bytes)
    }

    /// The payload. One that anybody could have written is noted where only sealed ones count.
    pub(super) fn payload(&mut self, task_type: &str, bytes: Vec<u8>) -> String {
        if is_sealed(&bytes) {
            return self.text_at("payload", &payload_of(task_type), bytes);
        }
        self.text_at("payload", "payload", bytes)
    }

    /// Notes that a text cannot be read, and says what stands in its place.
    pub(super) fn note(&mut self, field: &'static str, why: Why) -> String {
        let told = why.placeholder();
        self.unread.push(Unread { field, why });
        told
    }

    fn text_at(&mut self, field: &'static str, place: &str, bytes: Vec<u8>) -> String {
        let text = if is_sealed(&bytes) {
            match self.open(place, &bytes) {
                Ok(plain) => packed::text(plain),
                Err(why) => return self.note(field, why),
            }
        } else {
            if self.texts.only_sealed() {
                self.unread.push(Unread { field, why: Why::NotSealed });
            }
            packed::text(bytes)
        };
        match ObjectRef::parse(&text) {
            Some(object) => self.note(field, Why::Object(object)),
            None => text,
        }
    }

    fn open(&self, field: &str, value: &[u8]) -> Result<Vec<u8>, Why> {
        let ring = self.texts.ring();
        let opened =
            match ring {
                Some(ring) => ring.open(&self.texts.place(self.id, field), value),
                None => Err(crate::sealing::key_of(value)
                    .map_or(Unopened::Damaged, |id| Unopened::NoKey(id.to_owned()))),
            };
        opened.map_err(Why::from)
    }

    /// What [`Texts::member`] made, with the member as it was, or with words about why it is not.
    pub(super) fn member(&mut self, field: &'static str, text: String, member: &str) -> String {
        let Ok(mut object) = serde_json::from_str::<Map<String, Value>>(&text) else { return text };
        let Some(Value::String(sealed)) = object.remove(SEALED) else { return text };
        let value = self.base64(field, &sealed).unwrap_or_else(|why| {
            let told = why.to_string();
            self.unread.push(Unread { field, why });
            told.into()
        });
        object.insert(member.to_owned(), value);
        Value::Object(object).to_string()
    }

    fn base64(&self, field: &str, sealed: &str) -> Result<Value, Why> {
        let sealed = STANDARD_NO_PAD.decode(sealed).map_err(|_| Why::Damaged)?;
        serde_json::from_slice(&self.open(field, &sealed)?).map_err(|_| Why::Damaged)
    }
}
