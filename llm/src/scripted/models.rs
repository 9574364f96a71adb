//! Listings of models, in the shape of whoever asks.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::{
    MODEL,
    ask::Format,
    failure::Failure,
    scenario::{Model, Scenario},
};

/// Anthropic's clients say which version they speak.
pub(crate) fn format(headers: &HeaderMap) -> Format {
    if headers.contains_key("anthropic-version") { Format::Anthropic } else { Format::Openai }
}

fn models(scenario: &Scenario) -> Vec<Model> {
    if scenario.models.is_empty() {
        return vec![Model { id: MODEL.into(), more: serde_json::Map::new() }];
    }
    scenario.models.clone()
}

fn show(model: Model, format: Format) -> Value {
    let mut shown = match format {
        Format::Openai => json!({"id": model.id, "object": "model", "created": 0, "owned_by": "windlass"}),
        Format::Anthropic => json!({
            "type": "model",
            "id": model.id,
            "display_name": model.id,
            "created_at": "1970-01-01T00:00:00Z",
        }),
    };
    if let Some(shown) = shown.as_object_mut() {
        shown.extend(model.more);
    }
    shown
}

pub(crate) fn list(scenario: &Scenario, format: Format) -> Value {
    let models = models(scenario);
    let (first, last) = (models.first().map(|m| m.id.clone()), models.last().map(|m| m.id.clone()));
    let data: Vec<Value> = models.into_iter().map(|model| show(model, format)).collect();
    match format {
        Format::Openai => json!({"object": "list", "data": data}),
        Format::Anthropic => json!({"data": data, "has_more": false, "first_id": first, "last_id": last}),
    }
}

/// One model; its id stands in a path, so it may be percent-encoded.
pub(crate) fn one(scenario: &Scenario, id: &str, format: Format) -> Result<Value, Failure> {
    let id = decode(id);
    let found = models(scenario).into_iter().find(|model| model.id == id);
    found.map(|model| show(model, format)).ok_or_else(|| Failure::unknown_model(&id))
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match hex.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
