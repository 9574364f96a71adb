//! Reading JSON byte by byte, knowing at each what may come next.
//!
//! Where a schema leaves a choice open (`anyOf`), one thread follows each choice until bytes decide. Every state that
//! is kept can be completed to a document that the schema allows.

use std::{ops::ControlFlow, sync::Arc};

use super::lexis::{Inside, Part};
use super::schema::{ANY, Id, Node, Object, Schema};

/// How deep values may be nested where the schema leaves it open.
const DEPTH: usize = 16;
/// The longest name that the model may invent, in bytes.
const NAME: usize = 40;
/// One way to read the text so far: what is open, the innermost first. Threads share what is below.
#[derive(Debug, Clone, Default)]
struct Thread(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    frame: Frame,
    below: Thread,
    depth: usize,
}

#[derive(Debug)]
enum Frame {
    /// A value begins; before it one space if `space`.
    Value {
        node: Id,
        space: bool,
    },
    /// Inside of a literal, at byte `at`.
    Literal {
        node: Id,
        index: usize,
        at: usize,
    },
    Text {
        left: usize,
        missing: usize,
        inside: Inside,
    },
    Number {
        whole: bool,
        part: Part,
        digits: u8,
    },
    Object {
        node: Id,
        members: Arc<Members>,
        place: Place,
    },
    Array {
        node: Id,
        count: usize,
        place: Place,
    },
}

/// What an object has so far.
#[derive(Debug, Clone, Default)]
struct Members {
    /// Properties of the schema, by index.
    used: Vec<usize>,
    /// Names of others.
    names: Vec<Vec<u8>>,
}

/// Where in an object or an array.
#[derive(Debug)]
enum Place {
    /// After the opening bracket.
    Opened,
    /// After a comma.
    Next { space: bool },
    /// Inside of a name.
    Name(Vec<u8>, Inside),
    /// After a name.
    Named(Id),
    /// After a value.
    Valued,
}

/// All ways to read the text so far. Never empty.
#[derive(Debug)]
pub(super) struct Threads(Vec<Thread>);

impl Threads {
    pub(super) fn start(schema: &Schema) -> Self {
        Self(vec![Thread::default().with(Frame::Value { node: schema.root, space: false })])
    }

    /// After `bytes`; none if they cannot come.
    pub(super) fn after(&self, bytes: &[u8], schema: &Schema) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        let mut threads = step(&self.0, *first, schema);
        for byte in rest {
            threads = step(&threads, *byte, schema);
        }
        (!threads.is_empty()).then_some(Self(threads))
    }

    pub(super) fn may_end(&self) -> bool {
        self.0.iter().any(|thread| match thread.0.as_deref() {
            None => true,
            Some(Open { frame: Frame::Number { part, .. }, below: Thread(None), .. }) => part.complete(),
            _ => false,
        })
    }

    pub(super) fn must_end(&self) -> bool {
        self.0.iter().all(|thread| thread.0.is_none())
    }
}

fn step(threads: &[Thread], byte: u8, schema: &Schema) -> Vec<Thread> {
    let mut next = Vec::new();
    for thread in threads {
        thread.step(byte, schema, &mut next);
    }
    next
}

impl Thread {
    fn with(&self, frame: Frame) -> Self {
        Self(Some(Arc::new(Open { frame, below: self.clone(), depth: self.depth() + 1 })))
    }

    fn depth(&self) -> usize {
        self.0.as_ref().map_or(0, |open| open.depth)
    }

    /// Reads `byte` and adds what can be read after it to `to`.
    fn step(&self, byte: u8, schema: &Schema, to: &mut Vec<Self>) {
        let Some(Open { frame, below, .. }) = self.0.as_deref() else { return };
        match frame {
            Frame::Value { node, space: true } if byte == b' ' => {
                to.push(below.with(Frame::Value { node: *node, space: false }));
            }
            Frame::Value { node, .. } => below.value(*node, byte, schema, to),
            Frame::Literal { node, index, at } => below.literal(*node, *index, *at, byte, schema, to),
            Frame::Text { left, missing, inside } => to.extend(below.text(*left, *missing, *inside, byte)),
            Frame::Number { whole, part, digits } => match part.after(byte, *whole) {
                Some(next) => {
                    let digits = if next == *part { digits + 1 } else { 1 };
                    if digits <= next.most() {
                        to.push(below.with(Frame::Number { whole: *whole, part: next, digits }));
                    }
                }
                // Nothing marks the end of a number but what follows it.
                None if part.complete() => below.step(byte, schema, to),
                None => {}
            },
            Frame::Object { node, members, place } => {
                if let Node::Object(object) = schema.node(*node)
                    && let ControlFlow::Continue(frames) =
                        (InObject { object, node: *node, members }).step(place, byte)
                {
                    to.push(frames.into_iter().fold(below.clone(), |thread, frame| thread.with(frame)));
                }
            }
            Frame::Array { node, count, place } => below.array(*node, *count, place, byte, schema, to),
        }
    }

    /// A value of `node` begins with `byte`.
    fn value(&self, node: Id, byte: u8, schema: &Schema, to: &mut Vec<Self>) {
        let open = self.depth() < DEPTH || node != ANY;
        for id in schema.alternatives(node) {
            match (schema.node(id), byte) {
                (Node::Literals(texts), _) => {
                    for index in 0..texts.len() {
                        self.literal(id, index, 0, byte, schema, to);
                    }
                }
                (Node::Text { least, most }, b'"') => {
                    to.push(self.with(Frame::Text { left: *most, missing: *least, inside: Inside::Plain }));
                }
                (Node::Number { whole, negative }, _) => {
                    if let Some(part) = (Part::Start { negative: *negative }).after(byte, *whole) {
                        to.push(self.with(Frame::Number { whole: *whole, part, digits: 1 }));
                    }
                }
                (Node::Object(_), b'{') if open => {
                    to.push(self.with(Frame::Object {
                        node: id,
                        members: Arc::default(),
                        place: Place::Opened,
                    }));
                }
                (Node::Array(_), b'[') if open => {
                    to.push(self.with(Frame::Array { node: id, count: 0, place: Place::Opened }));
                }
                _ => {}
            }
        }
    }

    fn literal(&self, node: Id, index: usize, at: usize, byte: u8, schema: &Schema, to: &mut Vec<Self>) {
        let Node::Literals(texts) = schema.node(node) else { return };
        let text = &texts[index];
        if text.get(at) == Some(&byte) {
            let done = at + 1 == text.len();
            to.push(if done { self.clone() } else { self.with(Frame::Literal { node, index, at: at + 1 }) });
        }
    }

    /// A text that may have `left` more characters and lacks `missing`.
    fn text(&self, left: usize, missing: usize, inside: Inside, byte: u8) -> Option<Self> {
        if inside == Inside::Plain && byte == b'"' {
            return (missing == 0).then(|| self.clone());
        }
        let next = inside.after(byte)?;
        // Only the first byte of a character counts.
        let one = usize::from(inside == Inside::Plain);
        let left = left.checked_sub(one)?;
        Some(self.with(Frame::Text { left, missing: missing.saturating_sub(one), inside: next }))
    }

    fn array(&self, node: Id, count: usize, place: &Place, byte: u8, schema: &Schema, to: &mut Vec<Self>) {
        let Node::Array(array) = schema.node(node) else { return };
        if byte == b']' && count >= array.least {
            return to.push(self.clone());
        }
        let Some(item) = array.item(count) else { return };
        let grown = self.with(Frame::Array { node, count: count + 1, place: Place::Valued });
        match (place, byte) {
            (Place::Opened, _) => grown.value(item, byte, schema, to),
            (_, b',') => to.push(grown.with(Frame::Value { node: item, space: true })),
            _ => {}
        }
    }
}

/// An object that is being read.
struct InObject<'a> {
    object: &'a Object,
    node: Id,
    members: &'a Arc<Members>,
}

impl InObject<'_> {
    /// What is open after `byte`, which comes at `place`; break if it cannot come.
    fn step(&self, place: &Place, byte: u8) -> ControlFlow<(), Vec<Frame>> {
        let next = match (place, byte) {
            (Place::Opened | Place::Valued, b'}') if self.complete() => {
                return ControlFlow::Continue(Vec::new());
            }
            (Place::Valued, b',') if self.may_grow() => Place::Next { space: true },
            (Place::Next { space: true }, b' ') => Place::Next { space: false },
            (Place::Opened | Place::Next { .. }, b'"') if self.may_grow() => {
                Place::Name(Vec::new(), Inside::Plain)
            }
            (Place::Name(name, Inside::Plain), b'"') => return self.named(name),
            (Place::Name(name, inside), byte) => self.name(name, *inside, byte)?,
            (Place::Named(value), b':') => {
                let value = Frame::Value { node: *value, space: true };
                return ControlFlow::Continue(vec![self.frame(Place::Valued), value]);
            }
            _ => return ControlFlow::Break(()),
        };
        ControlFlow::Continue(vec![self.frame(next)])
    }

    fn frame(&self, place: Place) -> Frame {
        Frame::Object { node: self.node, members: Arc::clone(self.members), place }
    }

    fn complete(&self) -> bool {
        (0..).zip(&self.object.properties).all(|(i, property)| !property.2 || self.members.used.contains(&i))
    }

    fn may_grow(&self) -> bool {
        self.object.others.is_some() || self.members.used.len() < self.object.properties.len()
    }

    /// Properties that are not there yet.
    fn unused(&self) -> impl Iterator<Item = (usize, &(Vec<u8>, Id, bool))> {
        self.object.properties.iter().enumerate().filter(|(index, _)| !self.members.used.contains(index))
    }

    /// After `byte` inside of a name.
    fn name(&self, name: &[u8], inside: Inside, byte: u8) -> ControlFlow<(), Place> {
        let Some(inside) = inside.after(byte) else { return ControlFlow::Break(()) };
        let name = [name, &[byte]].concat();
        let missing = if let Inside::Character { missing, .. } = inside { usize::from(missing) } else { 0 };
        let known = self.unused().any(|(_, (property, ..))| property.starts_with(&name));
        let free = self.object.others.is_some() && name.len() + missing <= NAME && !name.contains(&b'\\');
        if known || free { ControlFlow::Continue(Place::Name(name, inside)) } else { ControlFlow::Break(()) }
    }

    /// The name is finished.
    fn named(&self, name: &[u8]) -> ControlFlow<(), Vec<Frame>> {
        let mut members = Members::clone(self.members);
        let known = self.unused().find(|(_, (property, ..))| property == name);
        let value = match (known, self.object.others) {
            (Some((index, (_, value, _))), _) => {
                members.used.push(index);
                *value
            }
            (None, Some(value)) if self.is_new(name) => {
                members.names.push(name.to_vec());
                value
            }
            _ => return ControlFlow::Break(()),
        };
        let (node, members) = (self.node, Arc::new(members));
        ControlFlow::Continue(vec![Frame::Object { node, members, place: Place::Named(value) }])
    }

    /// Whether the object may have `name` besides the properties of its schema.
    fn is_new(&self, name: &[u8]) -> bool {
        let taken = self.members.names.iter().any(|other| other == name)
            || self.object.properties.iter().any(|(property, ..)| property == name);
        !taken && !name.is_empty() && name.len() <= NAME && !name.contains(&b'\\')
    }
}
