//! Errors in the shapes in which providers send them: each gets its class, its wait and no secret.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use common::{KEY, PROMPT, answered};
use serde_json::Value;
use windlass_llm::{Class, Preset};

#[tokio::test]
async fn every_recorded_error_has_its_class_and_its_wait() {
    let shapes: Vec<Value> = serde_json::from_str(include_str!("shapes/errors.json")).unwrap();
    for shape in &shapes {
        let text = |name: &str| shape[name].as_str().unwrap();
        let preset: Preset = text("of").parse().unwrap();
        let headers = shape.get("headers").and_then(Value::as_object).into_iter().flatten();
        let headers: HeaderMap = headers
            .map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap()))
            .collect();
        let body = shape["body"].as_str().map_or_else(|| shape["body"].to_string(), str::to_owned);
        let status = StatusCode::from_u16(shape["status"].as_u64().unwrap() as u16).unwrap();
        let error = answered(preset, (status, headers, body)).await.unwrap_err();
        assert_eq!(error.class.as_str(), text("class"), "{shape}: {error}");
        assert_eq!(error.status, Some(status.as_u16()));
        let wait = shape.get("wait_ms").and_then(Value::as_u64).map(Duration::from_millis);
        assert_eq!(error.retry_after, wait, "{shape}: {error}");
        assert_eq!(error.began, shape.get("began").is_some_and(|began| began == true), "{shape}");
    }
    let classes: Vec<&str> = shapes.iter().filter_map(|shape| shape["class"].as_str()).collect();
    let by_transport = [Class::Connection, Class::Budget, Class::Cancelled];
    for class in Class::ALL.into_iter().filter(|class| !by_transport.contains(class)) {
        assert!(classes.contains(&class.as_str()), "no shape has the class {class}");
    }
}

#[tokio::test]
async fn limits_are_kept_with_answers_and_with_errors() {
    let limits = [("x-ratelimit-limit-tokens", "150000"), ("x-ratelimit-remaining-tokens", "149000")];
    let body = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let answer = answered(Preset::OpenAi, (limits, body)).await.unwrap();
    assert_eq!((answer.limits.tokens.limit, answer.limits.tokens.remaining), (Some(150_000), Some(149_000)));
    let error = answered(Preset::OpenAi, (StatusCode::BAD_REQUEST, limits, "{}")).await.unwrap_err();
    assert_eq!(error.limits.tokens.limit, Some(150_000));
}

#[tokio::test]
async fn neither_key_nor_prompt_gets_into_an_error() {
    let quoting = format!(r#"{{"error":{{"message":"bad key {KEY}","type":"invalid_request_error"}}}}"#);
    let error = answered(Preset::OpenAi, (StatusCode::UNAUTHORIZED, quoting)).await.unwrap_err();
    assert_eq!(error.class, Class::Authentication);
    assert!(error.message.contains("[key]") && !format!("{error:?}").contains(KEY), "{error:?}");
    let quoting = format!(r#"{{"error":{{"message":"cannot read: {PROMPT}","code":"bad_input"}}}}"#);
    for status in [StatusCode::BAD_REQUEST, StatusCode::OK] {
        let error = answered(Preset::Anthropic, (status, quoting.clone())).await.unwrap_err();
        assert!(error.message.contains("bad_input") && !format!("{error:?}").contains("0451"), "{error:?}");
    }
}
