//! The client against real servers on loopback that misbehave in the ways that providers do.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use axum::{Router, body::Bytes, http::HeaderMap, response::IntoResponse};
use reqwest::redirect::Policy;
use windlass_llm::{ChatAnswer, ChatError, ChatRequest, Class, Client, Endpoint, Message, Role, http_client};

const KEY: &str = "sk-top-secret-key-0123456789";
const PROMPT: &str = "The launch code is 0451 and nobody may know.";

fn client(base_url: String) -> Client {
    let endpoint = Endpoint { base_url, api_key: Some(KEY.into()), provider: "testing".into() };
    Client::new(endpoint, http_client(Policy::none()).unwrap()).unwrap()
}

fn request() -> ChatRequest {
    let messages = vec![Message { role: Role::User, content: PROMPT.into() }];
    ChatRequest { model: "m".into(), messages, temperature: Some(0.5), max_tokens: Some(64) }
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/v1")
}

/// One call to a server that gives this answer to everything.
async fn answered<A>(answer: A) -> Result<ChatAnswer, ChatError>
where
    A: IntoResponse + Clone + Send + Sync + 'static,
{
    let base = serve(Router::new().fallback(move || async move { answer })).await;
    client(base).chat(&request()).await
}

fn status(code: u16, body: &'static str) -> impl IntoResponse + Clone + Send + Sync + 'static {
    (axum::http::StatusCode::from_u16(code).unwrap(), [("retry-after", "7")], body)
}

#[tokio::test]
async fn the_request_is_what_servers_expect() {
    let echo = |headers: HeaderMap, uri: axum::http::Uri, body: Bytes| async move {
        assert_eq!(uri.path(), "/v1/chat/completions");
        assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(headers["content-type"], "application/json");
        let content = serde_json::Value::String(String::from_utf8_lossy(&body).into_owned());
        format!(
            r#"{{"model":"m-2026","choices":[{{"message":{{"content":{content}}},"finish_reason":"stop"}}]}}"#
        )
    };
    let answer = client(serve(Router::new().fallback(echo)).await).chat(&request()).await.unwrap();
    let sent: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    let expected = serde_json::json!({
        "model": "m", "messages": [{"role": "user", "content": PROMPT}], "temperature": 0.5, "max_tokens": 64
    });
    assert_eq!((sent, answer.model.as_str()), (expected, "m-2026"));
    assert!(answer.duration > Duration::ZERO);
}

#[tokio::test]
async fn a_failure_keeps_its_class_its_status_and_its_retry_after() {
    let body = r#"{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#;
    let error = answered(status(429, body)).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::RateLimit, Some(429)));
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert!(error.message.contains("rate_limit_exceeded") && error.message.contains("slow down"), "{error}");
    let error = answered(status(502, "<html>Bad gateway</html>")).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Server, Some(502)));
}

#[tokio::test]
async fn http_200_alone_is_no_success() {
    for (body, class) in [
        (r#"{"error":{"code":503,"message":"m"}}"#, Class::Overloaded),
        (r#"{"choices":[{"message":{"content":"half"}}],"error":{"code":502,"message":"m"}}"#, Class::Server),
        (r#"{"choices":[]}"#, Class::MalformedOutput),
        (r#"{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}"#, Class::MalformedOutput),
        (r#"{"choices":[{"mess"#, Class::MalformedOutput),
        ("", Class::MalformedOutput),
    ] {
        assert_eq!(answered(body).await.unwrap_err().class, class, "{body}");
    }
}

#[tokio::test]
async fn neither_key_nor_prompt_gets_into_an_error() {
    let quoting = format!(r#"{{"error":{{"message":"bad key {KEY}","type":"invalid_request_error"}}}}"#);
    let error = answered((axum::http::StatusCode::UNAUTHORIZED, quoting)).await.unwrap_err();
    assert_eq!(error.class, Class::Authentication);
    assert!(error.message.contains("[key]") && !format!("{error:?}").contains(KEY), "{error:?}");
    let quoting = format!(r#"{{"error":{{"message":"cannot read: {PROMPT}","code":"bad_input"}}}}"#);
    let error = answered((axum::http::StatusCode::BAD_REQUEST, quoting)).await.unwrap_err();
    assert!(error.message.contains("bad_input") && !format!("{error:?}").contains("0451"), "{error:?}");
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let endless = vec![b' '; 17 * 1024 * 1024];
    let error = answered(endless).await.unwrap_err();
    assert_eq!(error.class, Class::MalformedOutput);
    assert!(error.message.contains("16777216"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_a_connection_error_that_names_the_place() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(format!("http://{address}/v1?key=hidden")).chat(&request()).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Connection, None));
    assert!(error.message.contains(&address.to_string()) && !error.message.contains("hidden"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_within_the_answer_is_one_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\"").await;
    });
    let error = client(base).chat(&request()).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Connection, Some(200)));
}
