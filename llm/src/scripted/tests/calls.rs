use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::{ask, chat, client, with};

const SLOW: &str =
    "[[rule]]\nname = 'slow'\nwhen = {model = 'slow'}\nanswer = {text = 'x', latency = '20s'}\n";

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in 5 s: {what}");
}

#[tokio::test]
async fn it_tells_what_came_and_what_it_cost() {
    let server = with("[[rule]]\nname = 'paid'\nwhen = {model = 'p*'}\nanswer = {text = 'x', cost = 0.01}\n[[rule]]\nname = 'down'\nwhen = {model = 'd'}\nanswer = {fault = 503}").await;
    for model in ["paid", "p2", "d", "other"] {
        chat(&server, model, "secret prompt", Value::Null).await;
    }
    ask(&server, "POST", "/v1/chat/completions", &[], "no JSON").await;
    let calls = ask(&server, "GET", "/__calls?window=10s&last=2", &[], "").await.json();
    assert_eq!(
        (&calls["window_ms"], &calls["all"]["calls"], &calls["all"]["max_in_window"]),
        (&json!(10_000), &json!(5), &json!(5))
    );
    assert_eq!((&calls["all"]["max_answered_in_window"], &calls["all"]["refused"]), (&json!(3), &json!(2)));
    assert_eq!(
        (&calls["by_rule"]["paid"]["calls"], &calls["by_rule"]["paid"]["cost"]),
        (&json!(2), &json!(0.02))
    );
    assert_eq!(
        (&calls["by_rule"]["none"]["calls"], &calls["by_rule"]["invalid"]["calls"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(calls["by_model"]["p2"]["calls"], 1);
    assert_eq!(calls["by_status"], json!({"200": 3, "400": 1, "503": 1}));
    let last = calls["last"].as_array().unwrap();
    assert_eq!(last.iter().map(|call| call["number"].as_u64().unwrap()).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(
        (&last[0]["rule"], &last[0]["status"], &last[0]["aborted"]),
        (&json!("none"), &json!(200), &json!(false))
    );
    assert!(!calls.to_string().contains("secret"), "prompts are shown only when asked for");
    let calls = ask(&server, "GET", "/__calls?prompts=1", &[], "").await.json();
    assert_eq!(calls["last"][0]["request"]["messages"][0]["content"], "secret prompt");
    assert_eq!(ask(&server, "GET", "/__calls?window=x", &[], "").await.status, 400);
    assert_eq!(server.requests().last[3].request.as_ref().unwrap()["model"], "other");

    assert_eq!(ask(&server, "POST", "/__reset", &[], "").await.status, 200);
    assert_eq!(server.calls().all.calls, 0);
}

#[tokio::test]
async fn a_client_that_goes_is_seen_to_go() {
    let server = with(SLOW).await;
    let mut stream = client::connect(&server).await;
    let body = json!({"model": "slow", "messages": [{"role": "user", "content": "x"}]}).to_string();
    client::send(&mut stream, "POST", "/v1/chat/completions", &[], &body).await;
    until("it runs", || server.calls().all.running == 1).await;
    drop(stream);
    until("it is gone", || server.calls().all.running == 0).await;
    let calls = server.calls();
    assert_eq!((calls.all.aborted, calls.by_rule["slow"].aborted, calls.last[0].aborted), (1, 1, true));
}

#[tokio::test]
async fn a_stream_that_is_dropped_in_the_middle_counts_as_aborted() {
    let server =
        with("[[rule]]\nanswer = {text = 'aaaaaaaaaaaaaaaaaaaaaaaa', chunk = 1, tokens_per_second = 5}")
            .await;
    let mut stream = client::connect(&server).await;
    let body =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "x"}]}).to_string();
    client::send(&mut stream, "POST", "/v1/chat/completions", &[], &body).await;
    let mut some = [0; 64];
    assert!(stream.read(&mut some).await.unwrap() > 0);
    drop(stream);
    until("it is gone", || server.calls().all.aborted == 1).await;
}

#[tokio::test]
async fn many_streams_at_once_are_counted_and_all_end() {
    let server = with("[[rule]]\nanswer = {text = 'one two three', latency = '100ms'}").await;
    let streams = (0..64).map(|_| chat(&server, "m", "x", json!({"stream": true})));
    for answer in futures_util::future::join_all(streams).await {
        assert_eq!((answer.whole, answer.streamed().as_str()), (true, "one two three"));
    }
    assert_eq!((server.calls().all.max_concurrent, server.calls().all.running), (64, 0));
}

#[tokio::test]
async fn stopped_it_frees_its_port_and_closes_its_connections() {
    let server = with(SLOW).await;
    let address = server.origin();
    let mut stream = client::connect(&server).await;
    let body = json!({"model": "slow", "messages": [{"role": "user", "content": "x"}]}).to_string();
    client::send(&mut stream, "POST", "/v1/chat/completions", &[], &body).await;
    until("it runs", || server.calls().all.running == 1).await;
    server.stop().await;
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.unwrap_or(0), 0);
    tokio::net::TcpListener::bind(address.trim_start_matches("http://")).await.unwrap();
}
