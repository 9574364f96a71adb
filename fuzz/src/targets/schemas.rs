//! Schemas of answers, and answers to them.

use serde_json::{Value, json};
use windlass_shared::config::PipelineSpec;
use windlass_worker::pipeline::{Draft, Pipeline};

use super::{Parser, Target, texts, world::World};

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "answer_schema",
            reads: "the schema of a task's answer, and an answer to it",
            corpus: schemas,
            words: SCHEMA,
            parser: schema,
        },
        Target {
            name: "embedded_schema",
            reads: "the schema that the model in the box follows, letter by letter",
            corpus: schemas,
            words: SCHEMA,
            parser: || {
                Box::new(|bytes| {
                    let Ok((schema, answer)) = serde_json::from_slice::<(Value, Value)>(bytes) else {
                        return;
                    };
                    windlass_embedded::fuzz::follow(schema, answer.to_string().as_bytes());
                })
            },
        },
    ]
}

const SCHEMA: &[&str] = &[
    "type",
    "object",
    "array",
    "string",
    "number",
    "integer",
    "null",
    "properties",
    "required",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "$ref",
    "#",
    "#/$defs/a",
    "$defs",
    "$dynamicRef",
    "$id",
    "$schema",
    "https://json-schema.org/draft/2020-12/schema",
    "additionalProperties",
    "patternProperties",
    "pattern",
    "(a+)+$",
    "(a{999}){999}",
    "uniqueItems",
    "contains",
    "format",
    "date-time",
    "multipleOf",
    "minimum",
    "unevaluatedProperties",
    "dependentSchemas",
];

fn schemas() -> Vec<Vec<u8>> {
    texts(&[
        r#"[{"type":"object","required":["score","issues"],"properties":{"score":{"type":"number","maximum":1,"multipleOf":0.1},"issues":{"type":"array","items":{"type":"string","pattern":"^(a+)+$"},"minItems":1,"uniqueItems":true}},"additionalProperties":false},{"score":0.5,"issues":["aaa"]}]"#,
        r##"[{"$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"]}},"$ref":"#/$defs/n"},{"v":1,"next":{"v":2,"next":null}}]"##,
        r#"[{"type":["string","null"],"minLength":2,"maxLength":5,"enum":["ab","abc",null]},"ab"]"#,
        r#"[{"allOf":[{"properties":{"a":{"const":1}}},{"required":["b"]}],"patternProperties":{"^x":{"type":"boolean"}},"not":{"required":["z"]}},{"a":1,"b":2,"xy":true}]"#,
        r#"[{"type":"array","prefixItems":[{"type":"string"},{"type":"number"}],"items":false,"maxItems":3},["a",1]]"#,
    ])
}

fn schema() -> Parser {
    let world = World::new();
    Box::new(move |bytes| {
        let Ok((schema, answer)) = serde_json::from_slice::<(Value, Value)>(bytes) else { return };
        let table = json!({"validate": [{"validator": "json_schema", "schema": schema}]});
        let Ok(Ok(pipeline)) = PipelineSpec::read(&table).map(|spec| Pipeline::new(&spec)) else { return };
        let mut draft = Draft::default();
        draft.answered(answer.to_string());
        let _ = world.runtime.block_on(pipeline.validate(&draft, &world.env()));
    })
}
