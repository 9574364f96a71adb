use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Scripted, ScriptedOptions, ask, chat, start, with};
use crate::scripted::MARK;

#[tokio::test]
async fn it_says_what_it_is_and_answers_from_the_request() {
    let server = start().await;
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Count my words.\nPlease do."}]},
    ]);
    let answer = chat(&server, "any-model", "", json!({ "messages": messages })).await;
    assert_eq!((answer.status, answer.whole), (200, true));
    let body = answer.json();
    let text = format!("{MARK} I am no model. I got 5 words in 2 lines. The first line: Count my words.");
    assert_eq!(body["choices"][0]["message"], json!({"role": "assistant", "content": text, "refusal": null}));
    assert_eq!((&body["model"], &body["object"]), (&json!("any-model"), &json!("chat.completion")));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let output = text.len().div_ceil(4);
    assert_eq!(body["usage"]["prompt_tokens"], 3 + 7);
    assert_eq!(body["usage"]["completion_tokens"], output);
    assert_eq!(body["usage"]["total_tokens"], 10 + output);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 0);
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
}

#[tokio::test]
async fn the_same_request_gets_the_same_bytes_and_another_another_id() {
    let server = start().await;
    let (first, again) =
        (chat(&server, "m", "a", Value::Null).await, chat(&server, "m", "a", Value::Null).await);
    assert_eq!(first.text(), again.text());
    assert_ne!(first.json()["id"], chat(&server, "m", "b", Value::Null).await.json()["id"]);
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_whole_answer() {
    let server = start().await;
    let whole = chat(&server, "m", "Grüße, 世界!", Value::Null).await.json();
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let streamed = chat(&server, "m", "Grüße, 世界!", options).await;
    assert!(streamed.whole && streamed.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(streamed.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(whole["choices"][0]["message"]["content"], streamed.streamed());
    let events = streamed.events();
    assert!(events.len() > 5, "it comes in pieces");
    assert!(
        events.iter().all(|event| event["object"] == "chat.completion.chunk" && event["id"] == whole["id"])
    );
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let (last, before) = events.split_last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
    assert!(before.iter().all(|event| event.get("usage") == Some(&Value::Null)));
    let finish: Vec<&Value> = before.iter().map(|event| &event["choices"][0]["finish_reason"]).collect();
    assert_eq!(finish.iter().filter(|reason| !reason.is_null()).count(), 1);
    assert_eq!(finish.last(), Some(&&json!("stop")));

    let plain = chat(&server, "m", "hi", json!({"stream": true})).await;
    assert!(plain.events().iter().all(|event| event.get("usage").is_none()), "nobody asked for the usage");
}

#[tokio::test]
async fn max_tokens_and_stop_end_the_answer_and_say_so() {
    let server = start().await;
    for name in ["max_tokens", "max_completion_tokens"] {
        let answer = chat(&server, "m", &"word ".repeat(100), json!({ name: 8 })).await.json();
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!((text.len(), &answer["usage"]["completion_tokens"]), (32, &json!(8)));
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
    }
    let answer = chat(&server, "m", "hi", json!({"stop": [" no model", "never"]})).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], format!("{MARK} I am"));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn several_choices_come_each_with_its_index() {
    let server = start().await;
    let answer = chat(&server, "m", "hi", json!({"n": 3})).await.json();
    let indices: Vec<&Value> =
        answer["choices"].as_array().unwrap().iter().map(|choice| &choice["index"]).collect();
    assert_eq!(indices, [0, 1, 2]);
    let streamed = chat(&server, "m", "hi", json!({"n": 3, "stream": true})).await.events();
    let ends = streamed.iter().filter(|event| event["choices"][0]["finish_reason"] == "stop");
    assert_eq!(
        ends.map(|event| event["choices"][0]["index"].as_u64().unwrap()).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

fn weather() -> Value {
    let parameters = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}, "unit": {"enum": ["c", "f"]}},
        "required": ["city", "days", "unit"],
    });
    json!([{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}])
}

#[tokio::test]
async fn a_tool_is_called_when_it_must_be_or_when_the_user_names_it() {
    let server = start().await;
    let named = json!({"type": "function", "function": {"name": "get_weather"}});
    for (prompt, choice) in [("hi", json!("required")), ("hi", named), ("use get_weather", json!("auto"))] {
        let answer =
            chat(&server, "m", prompt, json!({"tools": weather(), "tool_choice": choice})).await.json();
        let choice = &answer["choices"][0];
        assert_eq!(
            (&choice["finish_reason"], &choice["message"]["content"]),
            (&json!("tool_calls"), &Value::Null)
        );
        let call = &choice["message"]["tool_calls"][0];
        assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("get_weather")));
        let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(arguments, json!({"city": MARK, "days": 2, "unit": "c"}), "it fits the schema");
    }
    for (prompt, choice) in [("hi", "auto"), ("use get_weather", "none")] {
        let answer =
            chat(&server, "m", prompt, json!({"tools": weather(), "tool_choice": choice})).await.json();
        assert!(answer["choices"][0]["message"]["content"].is_string(), "{prompt}");
    }
}

#[tokio::test]
async fn a_streamed_tool_call_is_put_together_by_its_index() {
    let server = start().await;
    let more = json!({"tools": weather(), "tool_choice": "required", "stream": true});
    let events = chat(&server, "m", "hi", more).await.events();
    let parts: Vec<&Value> = events
        .iter()
        .map(|event| &event["choices"][0]["delta"]["tool_calls"][0])
        .filter(|part| part.is_object())
        .collect();
    assert!(parts.len() > 2 && parts[0]["id"].is_string() && parts[0]["function"]["name"] == "get_weather");
    assert!(parts.iter().skip(1).all(|part| part["index"] == 0 && part.get("id").is_none()));
    let arguments: String = parts.iter().filter_map(|part| part["function"]["arguments"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap()["days"], 2);
    assert!(events.iter().any(|event| event["choices"][0]["finish_reason"] == "tool_calls"));
}

#[tokio::test]
async fn json_that_is_asked_for_is_json_and_fits_its_schema() {
    let server = start().await;
    let answer = chat(&server, "m", "hi", json!({"response_format": {"type": "json_object"}})).await.json();
    let content: Value =
        serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    assert!(content["stand_in"].as_str().unwrap().starts_with(MARK));

    let schema = json!({
        "type": "object",
        "properties": {
            "score": {"type": "number", "minimum": 0.5, "maximum": 1},
            "verdict": {"enum": ["pass", "fail"]},
            "notes": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/note"}},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        },
        "required": ["score", "verdict", "notes", "maybe"],
        "additionalProperties": false,
        "$defs": {"note": {"type": "object", "properties": {"line": {"type": "integer"}}, "required": ["line"]}},
    });
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "review", "schema": schema, "strict": true}});
    let answer = chat(&server, "m", "hi", json!({ "response_format": format })).await.json();
    let content: Value =
        serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    let expected =
        json!({"score": 0.5, "verdict": "pass", "notes": [{"line": 0}, {"line": 0}], "maybe": null});
    assert_eq!(content, expected);
}

#[tokio::test]
async fn wrong_requests_get_the_true_error_body() {
    let server = start().await;
    for (more, param) in [
        (json!({"model": null}), json!("model")),
        (json!({"messages": null}), json!("messages")),
        (json!({"messages": []}), json!("messages")),
        (json!({"messages": [{"role": "robot", "content": "hi"}]}), json!("messages")),
        (json!({"messages": [{"role": "user", "content": null}]}), json!("messages")),
        (json!({"temperature": 3}), json!("temperature")),
        (json!({"max_tokens": 0}), json!("max_tokens")),
        (json!({"n": 0}), json!("n")),
        (json!({"stream": "yes"}), json!("stream")),
        (json!({"stream_options": {"include_usage": true}}), json!("stream_options")),
        (json!({"tool_choice": "required"}), json!("tool_choice")),
        (json!({"tools": [{"type": "function"}]}), json!("tools")),
        (json!({"response_format": {"type": "json_schema"}}), json!("response_format")),
        (json!({"stop": [1]}), json!("stop")),
    ] {
        let answer = chat(&server, "m", "hi", more.clone()).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["type"]), (400, &json!("invalid_request_error")), "{more}");
        assert_eq!(error["param"], param, "{more}");
        assert!(error["message"].is_string() && error.get("code").is_some(), "{more}");
    }
    let broken = ask(&server, "POST", "/v1/chat/completions", &[], "{").await;
    assert_eq!((broken.status, &broken.json()["error"]["param"]), (400, &Value::Null));
    let huge = "x".repeat(17 * 1024 * 1024);
    assert_eq!(chat(&server, "m", &huge, Value::Null).await.status, 413);
}

#[tokio::test]
async fn models_are_listed_and_other_paths_are_not_found() {
    let server =
        with("models = [\"a\", {id = \"b/c\", context_length = 8000, pricing = {prompt = \"0.000001\"}}]")
            .await;
    let get = async |path: &str| ask(&server, "GET", path, &[], "").await;
    let list = get("/v1/models").await.json();
    assert_eq!(
        (&list["object"], &list["data"][0]["id"], &list["data"][0]["object"]),
        (&json!("list"), &json!("a"), &json!("model"))
    );
    assert_eq!(list["data"][1]["pricing"]["prompt"], "0.000001");
    for path in ["/v1/models/b/c", "/v1/models/b%2Fc"] {
        assert_eq!(get(path).await.json()["context_length"], 8000, "{path}");
    }
    let missing = get("/v1/models/d").await;
    assert_eq!((missing.status, &missing.json()["error"]["code"]), (404, &json!("model_not_found")));
    let missing = get("/v1/audio").await;
    assert_eq!((missing.status, &missing.json()["error"]["code"]), (404, &json!("unknown_url")));
    assert_eq!(get("/v1/embeddings").await.status, 405);
    let default = ask(&start().await, "GET", "/v1/models", &[], "").await.json();
    assert_eq!(default["data"][0]["id"], "scripted");
}

#[tokio::test]
async fn it_takes_as_long_as_told() {
    let latency = Duration::from_millis(150);
    let server = Scripted::start(ScriptedOptions { latency, scenario: None }).await.unwrap();
    let started = Instant::now();
    assert_eq!(chat(&server, "m", "hi", Value::Null).await.status, 200);
    assert!(started.elapsed() >= latency);
}
