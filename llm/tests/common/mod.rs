//! Servers on loopback that answer as providers do, or break as they do.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "each test file uses some of it")]

use std::{future::Future, time::Duration};

use axum::{Router, response::IntoResponse};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use windlass_llm::{
    ApiKey, ChatAnswer, ChatError, ChatRequest, HttpProvider, Message, Preset, Provider, ProviderOptions,
    Role,
};

pub(crate) const KEY: &str = "sk-top-secret-key-0123456789";
pub(crate) const PROMPT: &str = "The launch code is 0451 and nobody may know.";

pub(crate) fn options(preset: Preset, base_url: String) -> ProviderOptions {
    let keys = vec![ApiKey::new("first", KEY)];
    ProviderOptions { base_url: Some(base_url), keys, ..ProviderOptions::new("testing", preset) }
}

pub(crate) fn provider(preset: Preset, base_url: String) -> HttpProvider {
    HttpProvider::new(options(preset, base_url)).unwrap()
}

pub(crate) fn request() -> ChatRequest {
    let messages = vec![Message::text(Role::User, PROMPT)];
    ChatRequest { model: "m".into(), messages, max_tokens: Some(64), ..ChatRequest::default() }
}

/// Serves until the test ends.
pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/v1")
}

/// One call to a server that gives this answer to everything.
pub(crate) async fn answered<A>(preset: Preset, answer: A) -> Result<ChatAnswer, ChatError>
where
    A: IntoResponse + Clone + Send + Sync + 'static,
{
    let base = serve(Router::new().fallback(move || async move { answer })).await;
    provider(preset, base).chat(0, &request()).await
}

/// Reads the request of the one connection that it takes, then does with it what the test wants.
pub(crate) async fn raw<F, W>(work: W) -> String
where
    W: FnOnce(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            stream.read_buf(&mut request).await.unwrap();
        }
        work(stream).await;
    });
    base
}

pub(crate) const EVENT_STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

pub(crate) async fn write(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Time-outs short enough for a test.
pub(crate) fn hasty(base: String) -> HttpProvider {
    HttpProvider::new(ProviderOptions {
        first_token_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(300),
        total_timeout: Duration::from_secs(2),
        ..options(Preset::Compatible, base)
    })
    .unwrap()
}
