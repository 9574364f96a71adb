//! The name of a request in the cache: a hash of everything that decides about its answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_llm::ChatRequest;

/// The same request in the same realm has the same name. `realm` is the tenant, or empty where answers are shared;
/// `route` is what decides who may answer; `hide` makes of the hash what may stand in Redis.
pub(crate) fn of_request(
    realm: &str,
    route: &Value,
    request: &ChatRequest,
    hide: impl FnOnce(String) -> String,
) -> String {
    let whole = json!({ "route": route, "request": without_model(request) });
    format!("{realm}:{}", hide(of_value(&whole)))
}

/// A hash that does not depend on the order of keys.
pub(super) fn of_value(value: &Value) -> String {
    blake3::hash(sorted(value).to_string().as_bytes()).to_hex().to_string()
}

/// Objects as lists of pairs in the order of their keys: a map may keep the order in which it was written.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().collect();
            fields.into_iter().map(|(name, value)| json!([name, sorted(value)])).collect()
        }
        plain => plain.clone(),
    }
}

fn without_model(request: &ChatRequest) -> Value {
    let mut value = serde_json::to_value(request).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        // The route says who may answer, and the provider's own cache changes no answer.
        fields.remove("model");
        fields.remove("cache_prompt");
    }
    value
}

#[cfg(test)]
mod tests {
    use windlass_llm::{Message, Role};

    use super::*;

    fn request(text: &str) -> ChatRequest {
        ChatRequest { messages: vec![Message::text(Role::User, text)], ..ChatRequest::default() }
    }

    #[test]
    fn what_decides_about_the_answer_decides_about_the_name() {
        let name = |realm, route: &[&str], request: &ChatRequest| {
            of_request(realm, &json!(route), request, |hash| hash)
        };
        let first = name("acme", &["a/b"], &request("hi"));
        assert_eq!(first, name("acme", &["a/b"], &ChatRequest { model: "b".into(), ..request("hi") }));
        for other in [
            name("other", &["a/b"], &request("hi")),
            name("acme", &["a/c"], &request("hi")),
            name("acme", &["a/b"], &request("ho")),
            name("acme", &["a/b"], &ChatRequest { temperature: Some(0.5), ..request("hi") }),
            name("acme", &["a/b"], &ChatRequest { seed: Some(1), ..request("hi") }),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let (one, other) = (r#"{"a": {"x": 1, "y": [2]}, "b": 3}"#, r#"{"b": 3, "a": {"y": [2], "x": 1}}"#);
        let hash = |text| of_value(&serde_json::from_str(text).unwrap());
        assert_eq!(hash(one), hash(other));
        assert_ne!(hash(one), hash(r#"{"b": 3, "a": {"y": [2], "x": 2}}"#));
    }
}
