//! A value that fits a JSON Schema, for answers and tool calls that must have a shape.

use std::cell::Cell;

use serde_json::{Map, Value, json};

use super::MARK;

/// A schema that refers to itself without end stops here.
const DEEPEST: usize = 24;

/// One that refers to itself many times over is cut after so many values.
const MOST: usize = 10_000;

/// The plainest value that fits: the least number, the first word of an enumeration, required members only.
pub(crate) fn sample(schema: &Value) -> Value {
    Sampler { root: schema, values: Cell::new(0) }.value(schema, 0)
}

struct Sampler<'a> {
    root: &'a Value,
    values: Cell<usize>,
}

impl Sampler<'_> {
    fn value(&self, schema: &Value, depth: usize) -> Value {
        let values = self.values.replace(self.values.get() + 1);
        if depth > DEEPEST || values >= MOST {
            return Value::Null;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Value::Null, |target| self.value(target, depth + 1));
        }
        for fixed in ["const", "default"] {
            if let Some(value) = schema.get(fixed) {
                return value.clone();
            }
        }
        if let Some(first) = schema.get("enum").and_then(|words| words.get(0)) {
            return first.clone();
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            return self.all(all, schema, depth);
        }
        let some = ["anyOf", "oneOf"].into_iter().find_map(|name| schema.get(name)?.get(0));
        if let Some(first) = some {
            return self.value(first, depth + 1);
        }
        self.typed(schema, depth)
    }

    fn typed(&self, schema: &Value, depth: usize) -> Value {
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => string(schema),
            "integer" => number(schema, true),
            "number" => number(schema, false),
            "boolean" => Value::Bool(true),
            _ => Value::Null,
        }
    }

    /// The members of all parts together.
    fn all(&self, parts: &[Value], schema: &Value, depth: usize) -> Value {
        let mut members = Map::new();
        for part in parts {
            match self.value(part, depth + 1) {
                Value::Object(more) => members.extend(more),
                other => return other,
            }
        }
        if let Value::Object(more) = self.object(schema, depth) {
            members.extend(more);
        }
        Value::Object(members)
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let members = required.filter_map(Value::as_str).map(|name| {
            let of_member = schema.get("properties").and_then(|properties| properties.get(name));
            let value = of_member.map_or_else(|| json!(MARK), |member| self.value(member, depth + 1));
            (name.to_owned(), value)
        });
        Value::Object(members.collect())
    }

    fn array(&self, schema: &Value, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(100);
        let item = schema.get("items").cloned().unwrap_or_default();
        Value::Array((0..least).map(|_| self.value(&item, depth + 1)).collect())
    }
}

/// The type; of several, the first that is not null. A schema without one is told by its other words.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() || schema.get("required").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

fn string(schema: &Value) -> Value {
    match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => return json!("2000-01-01T00:00:00Z"),
        Some("date") => return json!("2000-01-01"),
        Some("uuid") => return json!("00000000-0000-4000-8000-000000000000"),
        Some("email") => return json!("stand-in@example.com"),
        Some("uri") => return json!("https://example.com/"),
        _ => {}
    }
    let bound = |name| schema.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let mut text: String = MARK.chars().take(bound("maxLength").unwrap_or(usize::MAX)).collect();
    let missing = bound("minLength").unwrap_or(0).min(10_000).saturating_sub(text.chars().count());
    text.extend(std::iter::repeat_n('.', missing));
    Value::String(text)
}

fn number(schema: &Value, whole: bool) -> Value {
    let bound = |name| schema.get(name).and_then(Value::as_f64);
    let above = bound("exclusiveMinimum").map(|least| least + if whole { 1.0 } else { 0.5 });
    let below = bound("exclusiveMaximum").map(|most| most - if whole { 1.0 } else { 0.5 });
    let least = bound("minimum").or(above);
    let most = bound("maximum").or(below);
    let value = match (least, most) {
        (Some(least), _) => least,
        (None, Some(most)) => most.min(0.0),
        (None, None) => 0.0,
    };
    if whole { json!(value.ceil() as i64) } else { json!(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_refers_to_itself_many_times_comes_to_an_end() {
        let started = std::time::Instant::now();
        let lists = json!({"type": "array", "minItems": 100, "items": {"$ref": "#"}});
        let members = json!({"required": ["a", "b"], "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}});
        for schema in [lists, members] {
            assert!(sample(&schema).to_string().len() < 1 << 20);
        }
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
