//! What both formats share when a request is written: fields of ours, then what the user adds.

use serde_json::{Map, Value};

/// Adds `extra` to our fields. A field of ours stays; where both are objects, theirs fills in what ours leaves out.
/// `reserved` fields are ours even if they are absent here.
pub(crate) fn merge(ours: &mut Map<String, Value>, extra: &Map<String, Value>, reserved: &[&str]) {
    for (name, value) in extra.iter().filter(|(name, _)| !reserved.contains(&name.as_str())) {
        match ours.get_mut(name) {
            None => {
                ours.insert(name.clone(), value.clone());
            }
            Some(Value::Object(our)) => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    our.entry(name).or_insert_with(|| value.clone());
                }
            }
            Some(_) => {}
        }
    }
}

/// Adds a field if it has a value.
pub(crate) fn set<T: Into<Value>>(fields: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        fields.insert(name.into(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_ours_stays_and_what_is_not_is_added() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let mut ours = object(json!({"max_tokens": 5, "reasoning": {"effort": "low"}, "stop": null}));
        let extra = object(json!({
            "max_tokens": 9, "reasoning": {"effort": "high", "exclude": true}, "top_k": 3, "model": "other"
        }));
        merge(&mut ours, &extra, &["model"]);
        let expected = json!({
            "max_tokens": 5, "reasoning": {"effort": "low", "exclude": true}, "stop": null, "top_k": 3
        });
        assert_eq!(Value::Object(ours), expected);
    }
}
