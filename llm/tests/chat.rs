//! Calls that succeed, over real HTTP, in both formats.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Uri},
    serve::ListenerExt,
};
use common::{KEY, PROMPT, answered, options, provider, request, serve};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};
use windlass_llm::{EmbedRequest, Finish, HttpProvider, Preset, Provider, ProviderOptions, Usage};

const STREAM: &str = concat!(
    ": OPENROUTER PROCESSING\n\n",
    "data: {\"id\":\"c-1\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data:{\"id\":\"c-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\r\n\r\n",
    "event: odd\ndata: {\"id\":\"c-1\",\"choices\":[{\"index\":0,\n",
    "data: \"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"c-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"cost\":0.5}}\n\n",
    "data: [DONE]\n\n",
);

fn event_stream(text: &'static str) -> ([(&'static str, &'static str); 1], &'static str) {
    ([("content-type", "text/event-stream")], text)
}

#[tokio::test]
async fn a_stream_is_read_to_its_end() {
    let answer = answered(Preset::OpenRouter, event_stream(STREAM)).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.model.as_str(), answer.finish), ("Hello", "m-1", Finish::Stop));
    let usage = Usage { input: Some(7), output: Some(2), ..Usage::default() };
    assert_eq!((answer.usage, answer.cost_usd, answer.id.as_deref()), (usage, Some(0.5), Some("c-1")));
    assert!(answer.first_token.unwrap() <= answer.duration);
}

#[tokio::test]
async fn an_answer_to_a_stream_may_come_as_a_whole() {
    let body = r#" {"model":"m-1","choices":[{"message":{"content":"hi"},"finish_reason":"length"}]}"#;
    for kind in ["application/json", "text/event-stream", "text/plain"] {
        let answer = answered(Preset::Local, ([("content-type", kind)], body)).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.finish, answer.first_token), ("hi", Finish::Length, None));
    }
    let answer = answered(Preset::Local, ([("content-type", "text/plain")], STREAM)).await.unwrap();
    assert_eq!(answer.text, "Hello");
}

#[tokio::test]
async fn the_stream_of_anthropic_is_read_to_its_end() {
    let stream = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"c-1\",",
        "\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},",
        "\"usage\":{\"output_tokens\":9}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let answer = answered(Preset::Anthropic, event_stream(stream)).await.unwrap();
    let usage = Usage { input: Some(7), output: Some(9), cached: Some(4), ..Usage::default() };
    assert_eq!((answer.text.as_str(), answer.usage), ("Hello", usage));
}

/// Answers with what it was asked.
async fn echo(headers: HeaderMap, uri: Uri, body: Bytes) -> String {
    let names = [
        "authorization",
        "x-api-key",
        "anthropic-version",
        "openai-organization",
        "openai-project",
        "x-title",
    ];
    let sent: Value = names
        .into_iter()
        .filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?)))
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = json!({"path": uri.to_string(), "headers": sent, "body": body}).to_string();
    let block = json!([{"type": "text", "text": text}]);
    json!({"type": "message", "content": block, "stop_reason": "end_turn",
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    .to_string()
}

async fn echoed(provider: &HttpProvider) -> Value {
    serde_json::from_str(&provider.chat(0, &request()).await.unwrap().text).unwrap()
}

#[tokio::test]
async fn the_request_is_what_the_provider_expects() {
    let base = serve(Router::new().fallback(echo)).await;
    let mut openai = ProviderOptions { stream: false, ..options(Preset::OpenAi, base.clone()) };
    openai.keys[0].organization = Some("org-1".into());
    openai.keys[0].project = Some("proj-1".into());
    openai.headers.insert("X-Title".into(), "Windlass".into());
    let expected = json!({
        "path": "/v1/chat/completions",
        "headers": {"authorization": format!("Bearer {KEY}"), "openai-organization": "org-1",
            "openai-project": "proj-1", "x-title": "Windlass"},
        "body": {"model": "m", "messages": [{"role": "user", "content": PROMPT}], "max_completion_tokens": 64,
            "stream": false},
    });
    assert_eq!(echoed(&HttpProvider::new(openai).unwrap()).await, expected);
    let expected = json!({
        "path": "/v1/messages",
        "headers": {"x-api-key": KEY, "anthropic-version": "2023-06-01"},
        "body": {"model": "m", "max_tokens": 64, "stream": true,
            "messages": [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]},
    });
    assert_eq!(echoed(&provider(Preset::Anthropic, base)).await, expected);
}

/// A server whose answers end only when told, after the end marker; and how many connections it has had.
async fn slow_to_end(end: Arc<Notify>) -> (String, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let listener = listener.tap_io(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let answer = move || async move {
        let pieces = stream::iter([Ok::<_, std::io::Error>(STREAM)]);
        let end = stream::once(async move { end.notified().await }).map(|()| Ok("\n"));
        ([("content-type", "text/event-stream")], Body::from_stream(pieces.chain(end)))
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (base, connections)
}

#[tokio::test]
async fn an_answer_does_not_wait_for_its_connection_and_the_next_call_gets_it() {
    let end = Arc::new(Notify::new());
    let (base, connections) = slow_to_end(Arc::clone(&end)).await;
    let provider = provider(Preset::Compatible, base);
    let mut calls = 0;
    // A connection is ready again soon after its answer has ended, not at once.
    while connections.load(Ordering::SeqCst) == calls {
        assert!(calls < 100, "no connection was used twice");
        assert_eq!(provider.chat(0, &request()).await.unwrap().text, "Hello");
        end.notify_one();
        calls += 1;
    }
}

#[tokio::test]
async fn texts_become_vectors() {
    let vectors = |body: Bytes| async move {
        let asked: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(asked, json!({"model": "e", "input": ["a", "b"], "encoding_format": "float"}));
        r#"{"model":"e-1","data":[{"index":1,"embedding":[1]},{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":2}}"#
    };
    let base = serve(Router::new().route("/v1/embeddings", axum::routing::post(vectors))).await;
    let embed = EmbedRequest { model: "e".into(), input: vec!["a".into(), "b".into()], dimensions: None };
    let answer = provider(Preset::Cohere, base.clone()).embed(0, &embed).await.unwrap();
    assert_eq!((answer.vectors, answer.usage.input), (vec![vec![0.5], vec![1.0]], Some(2)));
    let error = provider(Preset::Anthropic, base).embed(0, &embed).await.unwrap_err();
    assert!(error.message.contains("no embeddings"), "{error}");
}

#[tokio::test]
async fn a_list_of_models_is_read_page_by_page() {
    let page = |uri: Uri| async move {
        match uri.query() {
            Some("limit=1000") => r#"{"data":[{"id":"a"}],"has_more":true,"last_id":"a"}"#,
            Some("limit=1000&after_id=a") => r#"{"data":[{"id":"b"}],"has_more":false,"last_id":"b"}"#,
            other => panic!("asked for {other:?}"),
        }
    };
    let base = serve(Router::new().route("/v1/models", axum::routing::get(page))).await;
    let models = provider(Preset::Anthropic, base).models(0).await.unwrap();
    let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
}
