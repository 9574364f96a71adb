use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use serde_json::{Value, json};

use super::{MARK, ScriptedOptions, serve};
use crate::{ChatAnswer, ChatError, ChatRequest, Class, Client, Endpoint, Message, Role, http_client};

async fn start(latency: Duration) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, ScriptedOptions { latency }));
    base
}

async fn chat(
    base: &str,
    model: &str,
    prompt: &str,
    max_tokens: Option<u32>,
) -> Result<ChatAnswer, ChatError> {
    let endpoint = Endpoint { base_url: base.into(), api_key: None, provider: "scripted".into() };
    let messages = vec![
        Message { role: Role::System, content: "Be brief.".into() },
        Message { role: Role::User, content: prompt.into() },
    ];
    let client = Client::new(endpoint, http_client(Policy::none()).unwrap()).unwrap();
    client.chat(&ChatRequest { model: model.into(), messages, temperature: None, max_tokens }).await
}

async fn post(base: &str, body: &str) -> (u16, Value) {
    let url = format!("{base}/chat/completions");
    let request = http_client(Policy::none()).unwrap().post(url).body(body.to_owned());
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn it_says_what_it_is_and_answers_from_the_request() {
    let base = start(Duration::ZERO).await;
    let answer = chat(&base, "any-model", "Count my words.\nPlease do.", None).await.unwrap();
    assert_eq!(
        answer.text,
        format!("{MARK} I am no model. I got 5 words in 2 lines. The first line: Count my words.")
    );
    assert_eq!(answer.model, "any-model");
    assert_eq!(
        (answer.input_tokens, answer.output_tokens),
        (Some(3 + 7), Some(answer.text.len().div_ceil(4) as u64))
    );
    assert_eq!(answer.finish_reason.as_deref(), Some("stop"));
}

#[tokio::test]
async fn the_same_request_gets_the_same_bytes_and_another_another_id() {
    let base = start(Duration::ZERO).await;
    let ask = |text: &str| json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
    let (first, again, other) =
        (post(&base, &ask("a")).await, post(&base, &ask("a")).await, post(&base, &ask("b")).await);
    assert_eq!(first, again);
    assert_ne!(first.1["id"], other.1["id"]);
}

#[tokio::test]
async fn max_tokens_cuts_the_answer_and_says_so() {
    let base = start(Duration::ZERO).await;
    let answer = chat(&base, "m", &"word ".repeat(100), Some(8)).await.unwrap();
    assert_eq!((answer.text.len(), answer.output_tokens), (32, Some(8)));
    assert_eq!(answer.finish_reason.as_deref(), Some("length"));
    assert!(answer.text.starts_with(MARK));
}

#[tokio::test]
async fn it_fails_as_the_models_name_asks() {
    let base = start(Duration::ZERO).await;
    for (model, class, status) in [
        ("error-401", Class::Authentication, 401),
        ("error-403", Class::Permission, 403),
        ("error-429", Class::RateLimit, 429),
        ("error-quota", Class::Quota, 429),
        ("error-context", Class::ContextLength, 400),
        ("error-500", Class::Server, 500),
        ("error-503", Class::Overloaded, 503),
        ("error-529", Class::Overloaded, 529),
        ("malformed", Class::MalformedOutput, 200),
    ] {
        let error = chat(&base, model, "hi", None).await.unwrap_err();
        assert_eq!((error.class, error.status), (class, Some(status)), "{model}");
        let expected = (model == "error-429").then_some(Duration::from_secs(1));
        assert_eq!(error.retry_after, expected, "{model}");
    }
}

#[tokio::test]
async fn wrong_requests_get_the_true_error_body() {
    let base = start(Duration::ZERO).await;
    let user = r#""messages":[{"role":"user","content":"hi"}]"#;
    for (body, param) in [
        ("{".to_owned(), Value::Null),
        (format!("{{{user}}}"), json!("model")),
        (r#"{"model":"m"}"#.to_owned(), json!("messages")),
        (r#"{"model":"m","messages":[]}"#.to_owned(), json!("messages")),
        (r#"{"model":"m","messages":[{"role":"robot","content":"hi"}]}"#.to_owned(), json!("messages")),
        (r#"{"model":"m","messages":[{"role":"user","content":null}]}"#.to_owned(), json!("messages")),
        (format!(r#"{{"model":"m",{user},"temperature":3}}"#), json!("temperature")),
        (format!(r#"{{"model":"m",{user},"max_tokens":0}}"#), json!("max_tokens")),
        (format!(r#"{{"model":"m",{user},"stream":true}}"#), json!("stream")),
    ] {
        let (status, answer) = post(&base, &body).await;
        assert_eq!((status, &answer["error"]["type"]), (400, &json!("invalid_request_error")), "{body}");
        assert_eq!(answer["error"]["param"], param, "{body}");
        assert!(answer["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn models_are_listed_and_other_paths_are_not_found() {
    let base = start(Duration::ZERO).await;
    let http = http_client(Policy::none()).unwrap();
    let models: Value = http.get(format!("{base}/models")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&models["object"], &models["data"][0]["id"]), (&json!("list"), &json!("scripted")));
    let missing = http.get(format!("{base}/embeddings")).send().await.unwrap();
    assert_eq!(missing.status(), 404);
    let missing: Value = missing.json().await.unwrap();
    assert_eq!(missing["error"]["code"], "unknown_url");
}

#[tokio::test]
async fn it_takes_as_long_as_told() {
    let base = start(Duration::from_millis(150)).await;
    let started = Instant::now();
    let answer = chat(&base, "m", "hi", None).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(150) && answer.duration >= Duration::from_millis(150));
}
