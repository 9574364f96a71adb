use serde_json::{Value, json};

use super::{ask, message, start, with};
use crate::scripted::MARK;

/// The types of a stream's events, each of which is also named so.
fn kinds(answer: &super::Answer) -> Vec<String> {
    let text = answer.text();
    let names: Vec<String> =
        text.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect();
    let types: Vec<String> =
        answer.events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, types);
    types
}

#[tokio::test]
async fn a_message_has_blocks_a_stop_reason_and_usage() {
    let server = start().await;
    let answer = message(&server, "claude", "Hello there", json!({"system": "Be brief."})).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["type"], &body["role"]), (200, &json!("message"), &json!("assistant")));
    let text = format!("{MARK} I am no model. I got 2 words in 1 lines. The first line: Hello there");
    assert_eq!(body["content"], json!([{"type": "text", "text": text}]));
    assert_eq!((&body["stop_reason"], &body["stop_sequence"]), (&json!("end_turn"), &Value::Null));
    assert_eq!(body["usage"]["input_tokens"], 3 + 3);
    assert_eq!(body["usage"]["output_tokens"], text.len().div_ceil(4));
    assert!(answer.header("request-id").is_some());
    let cut = message(&server, "claude", "Hello", json!({"max_tokens": 6})).await.json();
    assert_eq!((&cut["stop_reason"], &cut["usage"]["output_tokens"]), (&json!("max_tokens"), &json!(6)));
    let stopped = message(&server, "claude", "Hello", json!({"stop_sequences": ["no model"]})).await.json();
    assert_eq!(
        (&stopped["stop_reason"], &stopped["stop_sequence"]),
        (&json!("stop_sequence"), &json!("no model"))
    );
}

#[tokio::test]
async fn a_stream_has_all_events_in_their_order() {
    let server = start().await;
    let whole = message(&server, "claude", "Hello there", Value::Null).await.json();
    let streamed = message(&server, "claude", "Hello there", json!({"stream": true})).await;
    let kinds = kinds(&streamed);
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(kinds[kinds.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let events = streamed.events();
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(whole["content"][0]["text"], text);
    assert_eq!(events[0]["message"]["content"], json!([]));
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], whole["usage"]["input_tokens"]);
    let delta = &events[events.len() - 2];
    assert_eq!(delta["delta"]["stop_reason"], "end_turn");
    assert_eq!(delta["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
}

#[tokio::test]
async fn a_tool_is_used_with_input_that_fits() {
    let server = start().await;
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    let tools = json!([{"name": "read_file", "input_schema": schema}]);
    let more = json!({"tools": tools, "tool_choice": {"type": "tool", "name": "read_file"}});
    let body = message(&server, "claude", "Hello", more.clone()).await.json();
    assert_eq!(body["stop_reason"], "tool_use");
    let block = &body["content"][0];
    assert_eq!(
        (&block["type"], &block["name"], &block["input"]),
        (&json!("tool_use"), &json!("read_file"), &json!({"path": MARK}))
    );
    let mut streaming = more;
    streaming["stream"] = json!(true);
    let events = message(&server, "claude", "Hello", streaming).await.events();
    let input: String = events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), block["input"]);
    let result = json!([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "done: read_file"}]}]);
    let next = message(&server, "claude", "", json!({"tools": tools, "messages": result})).await.json();
    assert_eq!(next["stop_reason"], "end_turn", "after a result it does not call again");
}

#[tokio::test]
async fn a_prompt_that_is_to_be_cached_is_written_once_and_then_read() {
    let server = start().await;
    let system = json!([{"type": "text", "text": "x".repeat(400), "cache_control": {"type": "ephemeral"}}]);
    let usage = async |prompt: &str| {
        message(&server, "claude", prompt, json!({ "system": system })).await.json()["usage"].clone()
    };
    let first = usage("one").await;
    assert_eq!(
        (&first["cache_creation_input_tokens"], &first["cache_read_input_tokens"]),
        (&json!(100), &json!(0))
    );
    let second = usage("another").await;
    assert_eq!(
        (&second["cache_creation_input_tokens"], &second["cache_read_input_tokens"]),
        (&json!(0), &json!(100))
    );
    assert_eq!(second["input_tokens"], 2, "what is not cached");
}

#[tokio::test]
async fn wrong_requests_and_errors_have_the_shape_of_the_original() {
    let server = start().await;
    let no_version = ask(&server, "POST", "/v1/messages", &[], "{\"model\": \"m\"}").await;
    assert_eq!(no_version.json()["error"]["message"], "anthropic-version: header is required");
    for more in [
        json!({"max_tokens": null}),
        json!({"messages": []}),
        json!({"messages": [{"role": "system", "content": "hi"}]}),
        json!({"temperature": 1.5}),
        json!({"model": ""}),
    ] {
        let answer = message(&server, "m", "hi", more.clone()).await;
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["type"], &body["error"]["type"]),
            (400, &json!("error"), &json!("invalid_request_error")),
            "{more}"
        );
        assert!(body["request_id"].is_string());
    }
    for (model, status, kind) in [
        ("error-401", 401, "authentication_error"),
        ("error-402", 402, "billing_error"),
        ("error-quota", 402, "billing_error"),
        ("error-403", 403, "permission_error"),
        ("error-404", 404, "not_found_error"),
        ("error-413", 413, "request_too_large"),
        ("error-429", 429, "rate_limit_error"),
        ("error-500", 500, "api_error"),
        ("error-504", 504, "timeout_error"),
        ("error-529", 529, "overloaded_error"),
        ("error-context", 400, "invalid_request_error"),
    ] {
        let answer = message(&server, model, "hello", Value::Null).await;
        assert_eq!((answer.status, &answer.json()["error"]["type"]), (status, &json!(kind)), "{model}");
        assert_eq!(answer.header("retry-after"), (status == 429).then_some("1"), "{model}");
    }
    let long = message(&server, "error-context", "hello", Value::Null).await.json();
    assert_eq!(long["error"]["message"], "prompt is too long: 2 tokens > 1 maximum");
}

#[tokio::test]
async fn tokens_are_counted_and_models_listed_in_its_own_shape() {
    let server = with("models = [\"one\", \"two\"]").await;
    let version = [("anthropic-version", "2023-06-01")];
    let body = json!({"model": "one", "messages": [{"role": "user", "content": "12345678"}]}).to_string();
    assert_eq!(
        ask(&server, "POST", "/v1/messages/count_tokens", &version, &body).await.json(),
        json!({"input_tokens": 2})
    );
    let list = ask(&server, "GET", "/v1/models", &version, "").await.json();
    assert_eq!(
        (&list["has_more"], &list["first_id"], &list["last_id"]),
        (&json!(false), &json!("one"), &json!("two"))
    );
    assert_eq!(list["data"][0]["type"], "model");
}
