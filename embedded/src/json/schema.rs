//! A JSON schema as nodes that point to each other.

use super::compile;
use crate::Json;

/// Index of a node.
pub(super) type Id = usize;

/// The node for any value at all: always there.
pub(super) const ANY: Id = 0;

/// What a value may be.
#[derive(Debug)]
pub(super) enum Node {
    /// Not filled in yet: a reference to a node that is being compiled.
    Open,
    /// One of these texts.
    Literals(Vec<Vec<u8>>),
    /// One of these nodes.
    OneOf(Vec<Id>),
    Object(Object),
    Array(Array),
    Text {
        least: usize,
        most: usize,
    },
    Number {
        whole: bool,
        negative: bool,
    },
}

#[derive(Debug)]
pub(super) struct Object {
    /// Names as JSON writes them between the quotes, what their values may be, and whether they must be there.
    pub(super) properties: Vec<(Vec<u8>, Id, bool)>,
    /// What values of other names may be; none if there may be no others.
    pub(super) others: Option<Id>,
}

#[derive(Debug)]
pub(super) struct Array {
    pub(super) first: Vec<Id>,
    /// What items after `first` may be; none if there may be none.
    pub(super) rest: Option<Id>,
    pub(super) least: usize,
    pub(super) most: usize,
}

impl Array {
    /// What the item after `count` others may be; none if there may be none.
    pub(super) fn item(&self, count: usize) -> Option<Id> {
        if count >= self.most { None } else { self.first.get(count).copied().or(self.rest) }
    }
}

/// A compiled schema.
#[derive(Debug)]
pub(super) struct Schema {
    nodes: Vec<Node>,
    pub(super) root: Id,
}

impl Schema {
    pub(super) fn compile(json: &Json) -> Result<Self, String> {
        let (nodes, root) = compile::compile(json)?;
        Self { nodes, root }.check()
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    /// The alternatives behind `id`, none of them a [`Node::OneOf`].
    pub(super) fn alternatives(&self, id: Id) -> Vec<Id> {
        let (mut found, mut seen, mut open) = (Vec::new(), Vec::new(), vec![id]);
        while let Some(id) = open.pop() {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            match &self.nodes[id] {
                Node::OneOf(ids) => open.extend(ids),
                Node::Open => {}
                _ => found.push(id),
            }
        }
        found
    }

    /// Refuses a schema with a part that no value, or only one without an end, can have.
    fn check(self) -> Result<Self, String> {
        let mut finite = vec![false; self.nodes.len()];
        loop {
            let more: Vec<Id> =
                (0..finite.len()).filter(|id| !finite[*id] && self.ends(*id, &finite)).collect();
            if more.is_empty() {
                break;
            }
            for id in more {
                finite[id] = true;
            }
        }
        if finite.contains(&false) {
            return Err("a part of it allows no value, or only one without an end".into());
        }
        Ok(self)
    }

    /// Whether some value of node `id` comes to an end, given the nodes of which this is known.
    fn ends(&self, id: Id, finite: &[bool]) -> bool {
        match &self.nodes[id] {
            Node::Open => false,
            Node::Literals(texts) => !texts.is_empty(),
            Node::OneOf(ids) => ids.iter().any(|id| finite[*id]),
            Node::Object(object) => {
                object.properties.iter().all(|(_, value, required)| !required || finite[*value])
            }
            Node::Array(array) => {
                let needed = array.least.min(array.first.len() + 1);
                array.least <= array.most
                    && (0..needed).all(|i| array.item(i).is_some_and(|item| finite[item]))
            }
            Node::Text { least, most } => least <= most,
            Node::Number { .. } => true,
        }
    }
}
