use serde_json::{Value, json};

use super::*;

fn constraint(json: &Json) -> Constraint {
    Constraint::new(json).unwrap()
}

/// Whether `text` as a whole is allowed, however it is divided.
fn accepts(json: &Json, text: &str) -> bool {
    let mut bytewise = constraint(json);
    let stepwise = text.bytes().all(|byte| {
        let allowed = bytewise.allows(&[byte]);
        bytewise.push(&[byte]);
        allowed
    }) && bytewise.may_end();
    let mut whole = constraint(json);
    let at_once = whole.allows(text.as_bytes()) && {
        whole.push(text.as_bytes());
        whole.may_end()
    };
    assert_eq!(stepwise, at_once, "{text}");
    stepwise
}

fn schema(schema: Value) -> Json {
    Json::Schema(schema)
}

fn check(json: &Json, good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
        assert!(accepts(json, text), "{text}");
    }
    for text in bad {
        assert!(!accepts(json, text), "{text}");
    }
}

#[test]
fn any_json() {
    let good = [
        "{}",
        "[]",
        "\"\"",
        "0",
        "-1.5e-7",
        "true",
        "null",
        "[1, 2,3]",
        r#"{"a": {"b": [null, "é\n\"x"]}, "c":1}"#,
        "\"😀\"",
    ];
    let bad = [
        "",
        " ",
        "{",
        "[1,]",
        "[1 ,2]",
        "{,}",
        "01",
        "1.",
        "+1",
        "-",
        "1e",
        "tru",
        "truex",
        "nulll",
        "\"",
        "\"\n\"",
        "\"\\x\"",
        "\"\\ud800\"",
        r#"{"a"}"#,
        r#"{"a":1,}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"":1}"#,
        "{}{}",
        "1e999",
        "1234567890123456",
        "[1,  2]",
    ];
    check(&Json::Any, &good, &bad);
    assert!(accepts(&Json::Object, "{\"a\":[1]}") && !accepts(&Json::Object, "[1]"));
}

#[test]
fn text_is_utf8() {
    for bytes in
        [&b"\"\xff"[..], b"\"\xc3\"", b"\"\xe0\x80", b"\"\xed\xa0", b"\"\xf4\x90", b"\"\xc0", b"\"\x80"]
    {
        assert!(!constraint(&Json::Any).allows(bytes), "{bytes:?}");
    }
    assert!(constraint(&Json::Any).allows(b"\"\xf0\x9f"), "the rest may come with the next token");
}

#[test]
fn nesting_ends() {
    let deep = "[".repeat(100);
    assert!(!constraint(&Json::Any).allows(deep.as_bytes()));
}

#[test]
fn an_object_by_its_schema() {
    let person = schema(json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 3},
            "age": {"type": "integer", "minimum": 0},
            "nick\"name": {"type": ["string", "null"]},
        },
        "required": ["name", "age"],
    }));
    let good = [
        r#"{"name": "Ann", "age": 3}"#,
        r#"{"age":0,"name":"é😀"}"#,
        r#"{"name":"\n\t","age":1,"nick\"name":null}"#,
    ];
    let bad = [
        "{}",
        r#"{"name":"Ann"}"#,
        r#"{"name":"","age":1}"#,
        r#"{"name":"Anna","age":1}"#,
        r#"{"name":"A","age":-1}"#,
        r#"{"name":"A","age":1.5}"#,
        r#"{"name":"A","age":"1"}"#,
        r#"{"name":"A","age":1,"x":2}"#,
        r#"{"name":"A","name":"B","age":1}"#,
        r#"{"name":"A","age":1,}"#,
        "[]",
    ];
    check(&person, &good, &bad);
}

#[test]
fn other_properties() {
    let open = schema(
        json!({"properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "integer"}, "required": ["b"]}),
    );
    check(
        &open,
        &[r#"{"b":1}"#, r#"{"ab":2,"b":1,"a":null}"#],
        &["{}", r#"{"b":null}"#, r#"{"b":1,"a":1}"#, r#"{"b":1,"b":2}"#],
    );
    let closed = schema(json!({"type": "object", "additionalProperties": false}));
    check(&closed, &["{}"], &[r#"{"a":1}"#]);
}

#[test]
fn arrays() {
    let list = schema(json!({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2}));
    check(&list, &["[true]", "[true, false]"], &["[]", "[1]", "[true,true,true]", "[true,"]);
    let pair = schema(json!({"prefixItems": [{"type": "string"}, {"type": "number"}], "items": false}));
    check(&pair, &["[\"a\",1]", "[\"a\"]", "[]"], &["[1]", "[\"a\",1,2]"]);
}

#[test]
fn choices() {
    let color = schema(json!({"enum": ["red", "reddish", 1, 12, null]}));
    check(&color, &["\"red\"", "\"reddish\"", "1", "12", "null"], &["\"re\"", "\"blue\"", "123"]);
    let either = schema(
        json!({"anyOf": [{"type": "integer"}, {"type": "object", "properties": {"k": {"const": "v"}}, "required": ["k"]}]}),
    );
    check(&either, &["7", r#"{"k": "v"}"#], &["7.5", r#"{"k": "w"}"#, "{}"]);
    let all = schema(json!({
        "$defs": {"base": {"properties": {"a": {"type": "null"}}, "required": ["a"]}},
        "allOf": [{"$ref": "#/$defs/base"}, {"properties": {"b": {"type": "null"}}, "required": ["b"]}],
    }));
    check(&all, &[r#"{"b":null,"a":null}"#], &[r#"{"a":null}"#]);
    let twice = schema(
        json!({"properties": {"a": {"type": "null"}}, "allOf": [{"properties": {"a": {"type": "null"}}}]}),
    );
    check(&twice, &[r#"{"a":null}"#], &[r#"{"a":null,"a":null}"#]);
}

#[test]
fn a_schema_that_refers_to_itself() {
    let tree = schema(json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["next"]}},
    }));
    check(&tree, &[r#"{"next":null}"#, r#"{"next":{"next":{"next":null}}}"#], &["null", r#"{"next":{}}"#]);
}

#[test]
fn a_schema_that_cannot_be_followed_is_refused() {
    let bad = [
        json!(3),
        json!(false),
        json!({"type": "text"}),
        json!({"type": 3}),
        json!({"$ref": "https://example.org/schema"}),
        json!({"$ref": "#/$defs/none"}),
        json!({"$ref": "#"}),
        json!({"enum": []}),
        json!({"anyOf": []}),
        json!({"required": ["a"], "additionalProperties": false}),
        json!({"type": "array", "items": false, "minItems": 1}),
        json!({"type": "array", "minItems": 3, "maxItems": 2}),
        json!({"type": "string", "minLength": 3, "maxLength": 2}),
        json!({"type": "string", "minLength": -1}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"properties": {"next": {"$ref": "#"}}, "required": ["next"]}),
        json!({"type": "array", "items": {"$ref": "#"}, "minItems": 1}),
        (0..200).fold(json!({}), |inner, _| json!({"items": inner})),
    ];
    for schema in bad {
        assert!(matches!(Constraint::new(&Json::Schema(schema.clone())), Err(Error::Schema(_))), "{schema}");
    }
}

#[test]
fn an_answer_ends_when_it_must() {
    let mut object = constraint(&Json::Object);
    object.push(b"{");
    assert!(!object.may_end() && !object.must_end());
    object.push(b"}");
    assert!(object.may_end() && object.must_end());
    let mut number = constraint(&Json::Any);
    number.push(b"12");
    assert!(number.may_end() && !number.must_end());
}

/// Whatever bytes are drawn among those allowed, the text can be completed, and is then what the schema asks for.
#[test]
fn a_walk_never_gets_stuck() {
    let wanted = schema(json!({
        "type": "object",
        "properties": {
            "text": {"type": "string", "maxLength": 6},
            "list": {"type": "array", "items": {"type": "number"}, "maxItems": 3},
            "kind": {"enum": ["alpha", "alphabet", 3]},
            "any": {},
        },
        "required": ["text", "kind"],
    }));
    for seed in 0..200 {
        let json = if seed % 2 == 0 { &wanted } else { &Json::Any };
        let text = walk(json, seed);
        let value: Value = serde_json::from_slice(&text).unwrap();
        if seed % 2 == 0 {
            assert!(value["text"].is_string() && !value["kind"].is_null(), "{value}");
        }
    }
}

fn walk(json: &Json, seed: u64) -> Vec<u8> {
    let (mut random, mut walk, mut text) = (fastrand::Rng::with_seed(seed), constraint(json), Vec::new());
    while !(walk.must_end() || walk.may_end() && random.bool()) {
        assert!(text.len() < 5000, "no end: {:?}...", String::from_utf8_lossy(&text[..500]));
        // Closing what is open comes first after a while, so that every walk ends.
        let closing = b"\"}]:".iter().copied().find(|byte| text.len() > 100 && walk.allows(&[*byte]));
        let allowed = || (0..=255).filter(|byte| walk.allows(&[*byte])).collect::<Vec<u8>>();
        let Some(byte) = closing.or_else(|| random.choice(allowed())) else {
            assert!(walk.may_end(), "stuck after {:?}", String::from_utf8_lossy(&text));
            break;
        };
        walk.push(&[byte]);
        text.push(byte);
    }
    text
}
