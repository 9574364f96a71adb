//! From a JSON schema as people write it to nodes.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::schema::{ANY, Array, Id, Node, Object};
use crate::Json;

/// More than any sensible schema has.
const MAX_NODES: usize = 20_000;

/// The nodes, and the one that stands for the whole.
pub(super) fn compile(json: &Json) -> Result<(Vec<Node>, Id), String> {
    let root = match json {
        Json::Any => &json!({}),
        Json::Object => &json!({ "type": "object" }),
        Json::Schema(schema) => schema,
    };
    let mut compiler = Compiler { root, nodes: Vec::new(), references: HashMap::new() };
    compiler.any()?;
    let root = compiler.schema(root, 0)?;
    Ok((compiler.nodes, root))
}

struct Compiler<'a> {
    root: &'a Value,
    nodes: Vec<Node>,
    references: HashMap<&'a str, Id>,
}

impl<'a> Compiler<'a> {
    fn add(&mut self, node: Node) -> Result<Id, String> {
        if self.nodes.len() >= MAX_NODES {
            return Err(format!("it has more than {MAX_NODES} parts"));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// Any value at all, as node [`ANY`].
    fn any(&mut self) -> Result<(), String> {
        self.add(Node::Open)?;
        let kinds = vec![
            self.add(Node::Object(Object { properties: Vec::new(), others: Some(ANY) }))?,
            self.add(Node::Array(Array { first: Vec::new(), rest: Some(ANY), least: 0, most: usize::MAX }))?,
            self.add(Node::Text { least: 0, most: usize::MAX })?,
            self.add(Node::Number { whole: false, negative: true })?,
            self.add(Node::Literals(vec![b"true".to_vec(), b"false".to_vec(), b"null".to_vec()]))?,
        ];
        self.nodes[ANY] = Node::OneOf(kinds);
        Ok(())
    }

    fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<Id, String> {
        if depth > 64 {
            return Err("it is nested more than 64 deep".into());
        }
        match schema {
            Value::Bool(true) => Ok(ANY),
            Value::Bool(false) => Err("a value that is needed is forbidden (false)".into()),
            Value::Object(schema) => self.object(schema, depth + 1),
            _ => Err("a schema is an object or a boolean".into()),
        }
    }

    fn object(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Result<Id, String> {
        if let Some(reference) = schema.get("$ref") {
            return self.reference(reference.as_str().ok_or("$ref must be a text")?, depth);
        }
        if let Some(values) = schema.get("enum") {
            let values = values.as_array().ok_or("enum must be an array")?;
            return self
                .add(Node::Literals(values.iter().map(|value| value.to_string().into_bytes()).collect()));
        }
        if let Some(value) = schema.get("const") {
            return self.add(Node::Literals(vec![value.to_string().into_bytes()]));
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(choices) = schema.get(word) {
                let choices = choices.as_array().ok_or_else(|| format!("{word} must be an array"))?;
                let choices =
                    choices.iter().map(|choice| self.schema(choice, depth)).collect::<Result<_, _>>()?;
                return self.add(Node::OneOf(choices));
            }
        }
        match schema.get("type") {
            Some(Value::String(kind)) => self.kind(kind, schema, depth),
            Some(Value::Array(kinds)) => {
                let kind =
                    |kind: &'a Value| self.kind(kind.as_str().ok_or("type must be a text")?, schema, depth);
                let kinds = kinds.iter().map(kind).collect::<Result<_, String>>()?;
                self.add(Node::OneOf(kinds))
            }
            Some(_) => Err("type must be a text or an array of texts".into()),
            None => self.untyped(schema, depth),
        }
    }

    /// A schema without `type` says by its other words what it is about.
    fn untyped(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Result<Id, String> {
        let has = |words: &[&str]| words.iter().any(|word| schema.contains_key(*word));
        if has(&["properties", "required", "additionalProperties", "allOf"]) {
            self.kind("object", schema, depth)
        } else if has(&["items", "prefixItems", "minItems", "maxItems"]) {
            self.kind("array", schema, depth)
        } else if has(&["minLength", "maxLength", "pattern", "format"]) {
            self.kind("string", schema, depth)
        } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
            self.kind("number", schema, depth)
        } else {
            Ok(ANY)
        }
    }

    fn reference(&mut self, path: &'a str, depth: usize) -> Result<Id, String> {
        if let Some(id) = self.references.get(path) {
            return Ok(*id);
        }
        let pointer = path.strip_prefix('#').ok_or("$ref must point into the schema itself (#/$defs/...)")?;
        let target = self.root.pointer(pointer).ok_or("$ref points to nothing")?;
        let id = self.add(Node::Open)?;
        self.references.insert(path, id);
        let target = self.schema(target, depth)?;
        self.nodes[id] = Node::OneOf(vec![target]);
        Ok(id)
    }

    fn kind(&mut self, kind: &str, schema: &'a Map<String, Value>, depth: usize) -> Result<Id, String> {
        let node = match kind {
            "object" => self.members(schema, depth)?,
            "array" => self.array(schema, depth)?,
            "string" => Node::Text {
                least: size(schema, "minLength")?.unwrap_or(0),
                most: size(schema, "maxLength")?.unwrap_or(usize::MAX),
            },
            "number" | "integer" => {
                let above = |word: &str, least: f64| {
                    schema.get(word).and_then(Value::as_f64).is_some_and(|n| n >= least)
                };
                let negative = !above("minimum", 0.0) && !above("exclusiveMinimum", 0.0);
                Node::Number { whole: kind == "integer", negative }
            }
            "boolean" => Node::Literals(vec![b"true".to_vec(), b"false".to_vec()]),
            "null" => Node::Literals(vec![b"null".to_vec()]),
            _ => return Err("type must be object, array, string, number, integer, boolean or null".into()),
        };
        self.add(node)
    }

    fn members(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Result<Node, String> {
        let mut members = Members::default();
        self.collect(schema, depth, &mut members)?;
        let others = match members.additional {
            None if members.properties.is_empty() => Some(ANY),
            None | Some(Value::Bool(false)) => None,
            Some(others) => Some(self.schema(others, depth)?),
        };
        let mut properties = Vec::new();
        for (name, value) in members.properties {
            let required = members.required.contains(&name);
            if *value != Value::Bool(false) {
                properties.push((inside(name), self.schema(value, depth)?, required));
            }
        }
        for name in members.required {
            if !properties.iter().any(|(known, ..)| *known == inside(name)) {
                let others = others.ok_or("a name in required that no property may have")?;
                properties.push((inside(name), others, true));
            }
        }
        Ok(Node::Object(Object { properties, others }))
    }

    /// Gathers what `schema` and each schema in its `allOf` say of an object.
    fn collect(
        &self,
        schema: &'a Map<String, Value>,
        depth: usize,
        to: &mut Members<'a>,
    ) -> Result<(), String> {
        if depth > 64 {
            return Err("it is nested more than 64 deep".into());
        }
        if let Some(properties) = schema.get("properties") {
            for (name, value) in properties.as_object().ok_or("properties must be an object")? {
                if !to.properties.iter().any(|(known, _)| known == name) {
                    to.properties.push((name, value));
                }
            }
        }
        if let Some(required) = schema.get("required") {
            for name in required.as_array().ok_or("required must be an array")? {
                let name = name.as_str().ok_or("required must hold texts")?;
                if !to.required.contains(&name) {
                    to.required.push(name);
                }
            }
        }
        to.additional = schema.get("additionalProperties").or(to.additional);
        let parts =
            schema.get("allOf").map(|parts| parts.as_array().ok_or("allOf must be an array")).transpose()?;
        for part in parts.into_iter().flatten() {
            let reference = part.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
            let part = reference.map_or(Some(part), |pointer| self.root.pointer(pointer));
            let part = part.and_then(Value::as_object).ok_or("allOf must hold schemas of objects")?;
            self.collect(part, depth + 1, to)?;
        }
        Ok(())
    }

    fn array(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Result<Node, String> {
        let first = match schema.get("prefixItems") {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().map(|item| self.schema(item, depth)).collect::<Result<_, _>>()?
            }
            Some(_) => return Err("prefixItems must be an array".into()),
        };
        let rest = match schema.get("items") {
            None if first.is_empty() => Some(ANY),
            None | Some(Value::Bool(false)) => None,
            Some(items) => Some(self.schema(items, depth)?),
        };
        let most = size(schema, "maxItems")?.unwrap_or(usize::MAX);
        Ok(Node::Array(Array { first, rest, least: size(schema, "minItems")?.unwrap_or(0), most }))
    }
}

#[derive(Default)]
struct Members<'a> {
    properties: Vec<(&'a str, &'a Value)>,
    required: Vec<&'a str>,
    additional: Option<&'a Value>,
}

/// `name` as JSON writes it between the quotes.
fn inside(name: &str) -> Vec<u8> {
    let quoted = Value::from(name).to_string();
    quoted.as_bytes()[1..quoted.len() - 1].to_vec()
}

fn size(schema: &Map<String, Value>, word: &str) -> Result<Option<usize>, String> {
    let size = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
    schema
        .get(word)
        .map(|value| size(value).ok_or_else(|| format!("{word} must be a whole number")))
        .transpose()
}
