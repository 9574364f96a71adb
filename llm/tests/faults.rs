//! Connections that break, hang, or never end: each is an error of the right class, and in time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::time::{Duration, Instant};

use common::{EVENT_STREAM, answered, hasty, options, provider, raw, request, write};
use tokio::{io::AsyncReadExt, net::TcpListener, sync::oneshot};
use windlass_llm::{ChatError, Class, HttpProvider, Preset, Provider, ProviderOptions};

const FIRST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half an ans\"}}]}\n\n";
const LAST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// The error of a stream that holds this and then ends in an orderly way.
async fn streamed(preset: Preset, text: String) -> ChatError {
    answered(preset, ([("content-type", "text/event-stream")], text)).await.unwrap_err()
}

#[tokio::test]
async fn a_stream_without_its_end_is_never_an_answer() {
    for (text, class, began) in [
        (FIRST.to_owned(), Class::Connection, true),
        (format!("{FIRST}{LAST}"), Class::Connection, true),
        (format!("{FIRST}{LAST}data: [DONE]"), Class::Connection, true),
        (format!("{FIRST}{DONE}"), Class::MalformedOutput, true),
        (format!("{LAST}{DONE}"), Class::MalformedOutput, false),
        (DONE.to_owned(), Class::MalformedOutput, false),
        (": ping\n\n".to_owned(), Class::Connection, false),
        (format!("{FIRST}data: {{\"choi\n\n{DONE}"), Class::MalformedOutput, true),
        (format!("{FIRST}data: {{\"error\":{{\"code\":502,\"message\":\"m\"}}}}\n\n"), Class::Server, true),
        ("data: {\"error\":{\"code\":429,\"message\":\"m\"}}\n\n".to_owned(), Class::RateLimit, false),
    ] {
        let error = streamed(Preset::Compatible, text.clone()).await;
        assert_eq!((error.class, error.began, error.status), (class, began, Some(200)), "{text}: {error}");
    }
    let delta = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"half\"}}\n\n";
    let reason = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";
    for (text, class) in [
        (format!("{delta}{reason}"), Class::Connection),
        (format!("{delta}data: {{\"type\":\"message_stop\"}}\n\n"), Class::MalformedOutput),
        (
            format!("{delta}data: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\"}}}}\n\n"),
            Class::Overloaded,
        ),
    ] {
        assert_eq!(streamed(Preset::Anthropic, text.clone()).await.class, class, "{text}");
    }
}

#[tokio::test]
async fn what_was_told_before_a_stream_broke_is_kept() {
    let start = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":30,\"output_tokens\":1}}}\n\n";
    let error = streamed(Preset::Anthropic, start.into()).await;
    assert_eq!((error.class, error.usage.input, error.began), (Class::Connection, Some(30), false));
}

#[tokio::test]
async fn bytes_that_are_no_text_are_malformed() {
    let mut text = b"data: {\"choices\":[{\"delta\":{\"content\":\"".to_vec();
    text.extend(b"\xff\xfe\"}}]}\n\n");
    let error =
        answered(Preset::Compatible, ([("content-type", "text/event-stream")], text)).await.unwrap_err();
    assert_eq!(error.class, Class::MalformedOutput);
    assert!(error.message.contains("UTF-8"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_within_the_answer_is_an_error_of_the_connection() {
    for (head, body) in [
        ("content-type: text/event-stream\r\ncontent-length: 1000", FIRST),
        ("content-type: application/json\r\ncontent-length: 1000", "{\"choices\""),
        ("content-type: text/event-stream\r\ntransfer-encoding: chunked", "5\r\ndata:\r\nzz"),
    ] {
        let base = raw(move |mut stream| async move {
            write(&mut stream, &format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}")).await;
        });
        let error = provider(Preset::Compatible, base.await).chat(0, &request()).await.unwrap_err();
        assert_eq!((error.class, error.status), (Class::Connection, Some(200)), "{head}: {error}");
    }
    let base = raw(|stream| async move { drop(stream) }).await;
    let error = provider(Preset::Compatible, base).chat(0, &request()).await.unwrap_err();
    // Nobody knows what was made of the request.
    assert_eq!((error.class, error.status, error.began), (Class::Connection, None, true));
}

#[tokio::test]
async fn nobody_listening_is_an_error_that_names_the_place() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let base = format!("http://{address}/v1?key=hidden");
    let error = provider(Preset::Compatible, base).chat(0, &request()).await.unwrap_err();
    assert_eq!((error.class, error.status, error.began), (Class::Connection, None, false));
    assert!(error.message.contains(&address.to_string()) && !error.message.contains("hidden"), "{error}");
}

/// The error of a server that sends this and then holds the connection.
async fn held(provider: impl FnOnce(String) -> HttpProvider, text: String) -> ChatError {
    let base = raw(move |mut stream| async move {
        write(&mut stream, &text).await;
        let _ = stream.read_u8().await;
    });
    let started = Instant::now();
    let error = provider(base.await).chat(0, &request()).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "{error}");
    assert_eq!((error.class, error.began), (Class::Timeout, true), "{error}");
    error
}

#[tokio::test]
async fn each_clock_ends_what_hangs() {
    for (text, setting) in [
        (String::new(), "first_token_timeout"),
        (EVENT_STREAM.to_owned(), "first_token_timeout"),
        (format!("{EVENT_STREAM}: ping\n\ndata: {{\"choices\":[]}}\n\n"), "first_token_timeout"),
        (format!("{EVENT_STREAM}{FIRST}"), "idle_timeout"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_owned(), "idle_timeout"),
    ] {
        let error = held(hasty, text.clone()).await;
        assert!(error.message.contains(setting), "{text}: {error}");
    }
    let brief = |base| {
        let total_timeout = Duration::from_millis(300);
        HttpProvider::new(ProviderOptions {
            total_timeout,
            stream: false,
            ..options(Preset::Compatible, base)
        })
    };
    let error = held(|base| brief(base).unwrap(), String::new()).await;
    assert!(error.message.contains("total_timeout"), "{error}");
}

#[tokio::test]
async fn signs_of_life_do_not_outlast_the_whole_clock() {
    let base = raw(|mut stream| async move {
        write(&mut stream, &format!("{EVENT_STREAM}{FIRST}")).await;
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        while tokio::io::AsyncWriteExt::write_all(&mut stream, b": ping\n\n").await.is_ok() {
            beat.tick().await;
        }
    });
    let error = hasty(base.await).chat(0, &request()).await.unwrap_err();
    assert_eq!(error.class, Class::Timeout);
    assert!(error.message.contains("total_timeout"), "{error}");
}

#[tokio::test]
async fn a_handshake_that_hangs_is_the_connections_clock() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}/v1", listener.local_addr().unwrap());
    let options = options(Preset::Compatible, base);
    let options = ProviderOptions { connect_timeout: Duration::from_millis(200), ..options };
    let error = HttpProvider::new(options).unwrap().chat(0, &request()).await.unwrap_err();
    assert_eq!((error.class, error.began), (Class::Timeout, false), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let small = |base| {
        let options = ProviderOptions { max_answer: 10_000, ..options(Preset::Compatible, base) };
        HttpProvider::new(options).unwrap()
    };
    let whole = format!("HTTP/1.1 200 OK\r\n\r\n{{{}", " ".repeat(20_000));
    let event = format!("{EVENT_STREAM}data: {}", "x".repeat(20_000));
    let events = format!("{EVENT_STREAM}{}", FIRST.repeat(2000));
    for text in [whole, event, events] {
        let base = raw(move |mut stream| async move {
            write(&mut stream, &text).await;
            let _ = stream.read_u8().await;
        });
        let error = small(base.await).chat(0, &request()).await.unwrap_err();
        assert_eq!(error.class, Class::MalformedOutput);
        assert!(error.message.contains("max_answer"), "{error}");
    }
}

#[tokio::test]
async fn dropping_a_call_drops_its_connection() {
    for text in [String::new(), format!("{EVENT_STREAM}{FIRST}")] {
        let (arrived, has_arrived) = oneshot::channel();
        let (closed, is_closed) = oneshot::channel();
        let base = raw(move |mut stream| async move {
            write(&mut stream, &text).await;
            arrived.send(()).unwrap();
            // Ends once the other side has closed.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            closed.send(()).unwrap();
        });
        let provider = provider(Preset::Compatible, base.await);
        let call = tokio::spawn(async move { provider.chat(0, &request()).await });
        has_arrived.await.unwrap();
        call.abort();
        tokio::time::timeout(Duration::from_secs(5), is_closed).await.unwrap().unwrap();
    }
}
