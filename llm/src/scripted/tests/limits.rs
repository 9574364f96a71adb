use std::time::Duration;

use serde_json::{Value, json};

use super::{chat, message, text, with};

#[tokio::test]
async fn requests_above_the_limit_get_a_true_429_until_the_window_moves_on() {
    let server = with("[[rule]]\nlimit = {requests = 2, per = '700ms'}\nanswers = [{text = 'a'}, {text = 'b'}, {text = 'c'}]").await;
    let first = chat(&server, "m", "x", Value::Null).await;
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    assert_eq!(first.header("x-ratelimit-reset-requests"), Some("700ms"));
    assert_eq!(text(&server, "m", "x").await, "b");
    let refused = chat(&server, "m", "x", Value::Null).await;
    let error = &refused.json()["error"];
    assert_eq!(
        (refused.status, &error["code"], &error["type"]),
        (429, &json!("rate_limit_exceeded"), &json!("requests"))
    );
    assert_eq!(
        (refused.header("retry-after"), refused.header("x-ratelimit-remaining-requests")),
        (Some("1"), Some("0"))
    );
    let wait: u64 = refused.header("retry-after-ms").unwrap().parse().unwrap();
    assert!(wait <= 700, "{wait}");
    // Told to the millisecond, rounded down.
    tokio::time::sleep(Duration::from_millis(wait + 1)).await;
    assert_eq!(text(&server, "m", "x").await, "c", "a refused request took no answer");
    let calls = server.calls_in(Duration::from_millis(700));
    assert_eq!((calls.all.calls, calls.all.refused, calls.all.max_answered_in_window), (4, 1, 2));
}

#[tokio::test]
async fn a_limit_may_be_for_each_key_and_count_tokens_or_what_runs() {
    let server = with("[[rule]]\nlimit = {tokens = 10, per = '60s', by = 'model'}\nanswer = {text = '12345678', usage = {input = 4}}").await;
    assert_eq!(chat(&server, "a", "x", Value::Null).await.status, 200, "6 of 10");
    assert_eq!(chat(&server, "a", "x", Value::Null).await.status, 200, "not yet used up");
    let refused = chat(&server, "a", "x", Value::Null).await;
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (429, &json!("tokens")));
    assert_eq!(chat(&server, "b", "x", Value::Null).await.status, 200, "another model");
    assert_eq!(server.calls().by_model["a"].max_tokens_in_window, 12);

    let server = with("[[rule]]\nlimit = {concurrent = 1}\nanswer = {text = 'x', latency = '200ms'}").await;
    let (one, other) =
        tokio::join!(chat(&server, "m", "x", Value::Null), chat(&server, "m", "x", Value::Null));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
    assert_eq!(chat(&server, "m", "x", Value::Null).await.status, 200, "its place was given back");
}

#[tokio::test]
async fn anthropic_has_headers_of_its_own() {
    let server = with("[[rule]]\nlimit = {requests = 1}").await;
    let first = message(&server, "m", "x", Value::Null).await;
    assert_eq!(first.header("anthropic-ratelimit-requests-remaining"), Some("0"));
    let refused = message(&server, "m", "x", Value::Null).await;
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (429, &json!("rate_limit_error")));
    let reset: jiff::Timestamp =
        refused.header("anthropic-ratelimit-requests-reset").unwrap().parse().unwrap();
    let wait = reset.as_second() - jiff::Timestamp::now().as_second();
    assert!((58..=62).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_the_window_is_told_so() {
    let server = with("[[rule]]\ncontext = 10\nanswer = {text = 'fits'}").await;
    assert_eq!(text(&server, "m", &"x".repeat(40)).await, "fits");
    let refused = chat(&server, "m", &"x".repeat(41), Value::Null).await;
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["code"]), (400, &json!("context_length_exceeded")));
    assert!(error["message"].as_str().unwrap().contains("maximum context length is 10 tokens"), "{error}");
    let refused = message(&server, "m", &"x".repeat(41), Value::Null).await.json();
    assert_eq!(refused["error"]["message"], "prompt is too long: 11 tokens > 10 maximum");
}

#[tokio::test]
async fn only_keys_of_the_scenario_are_let_in() {
    let server = with("keys = ['mine']").await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}).to_string();
    for (header, status) in [
        (("authorization", "Bearer mine"), 200),
        (("authorization", "Bearer other"), 401),
        (("x-api-key", "mine"), 200),
    ] {
        assert_eq!(
            super::ask(&server, "POST", "/v1/chat/completions", &[header], &body).await.status,
            status,
            "{header:?}"
        );
    }
    assert_eq!(chat(&server, "m", "x", Value::Null).await.json()["error"]["code"], "invalid_api_key");
    let by_key = server.calls().by_key;
    assert_eq!((by_key["mine"].calls, by_key["none"].calls), (2, 1));
    assert!(!by_key.contains_key("other"), "a key that the scenario does not name is not shown");
}
