//! `json_schema`: the answer's JSON follows a schema. Patterns in it are matched in linear time.

use std::fmt;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use windlass_shared::config::pipeline::SchemaCheck;

use super::{super::Draft, finding::Finding};

/// Faults that are told.
const MOST_FAULTS: usize = 10;

/// Most characters of one fault: it repeats what is wrong.
const LONGEST: usize = 300;

pub(super) struct Schema(Validator);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

impl Schema {
    pub(super) fn new(spec: &SchemaCheck) -> Result<Self, Vec<String>> {
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        options.build(&spec.schema).map(Self).map_err(|error| {
            let path = error.instance_path().to_string();
            vec![format!("schema{}: {error}", path.replace('/', "."))]
        })
    }

    pub(super) fn find(&self, draft: &Draft) -> Finding {
        let parsed: Value;
        let value = match &draft.json {
            Some(value) => value,
            None => match serde_json::from_str(&draft.output) {
                Ok(value) => {
                    parsed = value;
                    &parsed
                }
                Err(error) => return Finding::failed(format!("the answer is not JSON: {error}")),
            },
        };
        let faults: Vec<String> = self
            .0
            .iter_errors(value)
            .take(MOST_FAULTS)
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "the value".to_owned() } else { place };
                let why: String = error.to_string().chars().take(LONGEST).collect();
                format!("{place}: {why}")
            })
            .collect();
        Finding::of_faults(&faults)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(schema: Value) -> Result<Schema, Vec<String>> {
        Schema::new(&SchemaCheck { schema })
    }

    fn answered(text: &str) -> Draft {
        Draft { output: text.into(), ..Draft::default() }
    }

    #[test]
    fn faults_are_told_with_their_place() {
        let schema = schema(json!({
            "type": "object",
            "required": ["score", "issues"],
            "properties": {"score": {"type": "number", "maximum": 1}, "issues": {"type": "array", "items": {"type": "string", "pattern": "^(a+)+$"}}},
            "additionalProperties": false,
        }))
        .unwrap();
        assert!(schema.find(&answered(r#"{"score": 0.5, "issues": ["aaa"]}"#)).passed);
        let bad = schema.find(&answered(r#"{"score": 7, "issues": ["aab", 1], "x": 1}"#));
        for said in ["/score: ", "/issues/0: ", "/issues/1: ", "the value: "] {
            assert!(bad.message.contains(said), "{said}: {}", bad.message);
        }
        let text = schema.find(&answered("Sure!"));
        assert!(text.message.starts_with("the answer is not JSON"), "{}", text.message);
        let hostile = format!(r#"{{"score": 1, "issues": ["{}b"]}}"#, "a".repeat(100_000));
        let long = schema.find(&answered(&hostile));
        assert!(!long.passed && long.message.len() < 1000);
        assert!(!schema.find(&answered(&"[".repeat(100_000))).passed);
    }

    #[test]
    fn a_schema_is_checked_at_the_start() {
        assert!(schema(json!({"type": "objekt"})).unwrap_err()[0].starts_with("schema"), "type");
        assert!(schema(json!({"pattern": "(?=x)"})).is_err(), "look-ahead has no linear time");
        assert!(schema(json!({"$ref": "https://example.org/schema.json"})).is_err(), "nothing is fetched");
        assert!(schema(json!({"$ref": "file:///etc/passwd"})).is_err());
    }
}
