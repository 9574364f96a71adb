use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ask, chat, message, text, with};

#[tokio::test]
async fn the_first_rule_that_matches_answers() {
    let server = with(
        r#"
        [[rule]]
        when = { model = "exact/model" }
        answer = { text = "exact" }
        [[rule]]
        when = { model = "gpt-*", stream = true }
        answer = { text = "streamed glob" }
        [[rule]]
        when = { model = "gpt-*" }
        answer = { text = "glob" }
        [[rule]]
        when = { last = "^(?i)hello\\b" }
        answer = { text = "greeting" }
        [[rule]]
        when = { system = "pirate" }
        answer = { text = "arr" }
        [[rule]]
        when = { text = "assistant said this" }
        answer = { text = "history" }
        [[rule]]
        when = { header = "x-team" }
        answer = { text = "header" }
        [[rule]]
        when = { key = "key-of-b" }
        answer = { text = "key" }
        [[rule]]
        when = { format = "anthropic" }
        answer = { text = "anthropic" }
        [[rule]]
        when = { tools = true }
        answer = { text = "tools" }
        "#,
    )
    .await;
    assert_eq!(text(&server, "exact/model", "Hello").await, "exact");
    assert_eq!(text(&server, "gpt-9/x", "Hello").await, "glob");
    assert_eq!(chat(&server, "gpt-9", "x", json!({"stream": true})).await.streamed(), "streamed glob");
    assert_eq!(text(&server, "m", "HELLO you").await, "greeting");
    let said = async |messages: Value| {
        let answer = chat(&server, "m", "", json!({ "messages": messages })).await.json();
        answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    let user = json!({"role": "user", "content": "x"});
    assert_eq!(said(json!([{"role": "developer", "content": "a pirate"}, user])).await, "arr");
    assert_eq!(
        said(json!([{"role": "assistant", "content": "the assistant said this"}, user])).await,
        "history"
    );
    assert_eq!(
        said(json!([{"role": "user", "content": "a pirate"}])).await.split(' ').next(),
        Some("[scripted"),
        "no rule: the stand-in's own words"
    );
    let body = json!({"model": "m", "messages": [user]}).to_string();
    let by = async |header: (&str, &str)| {
        let answer = ask(&server, "POST", "/v1/chat/completions", &[header], &body).await.json();
        answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    assert_eq!(by(("x-team", "")).await, "header");
    assert_eq!(by(("authorization", "Bearer key-of-b")).await, "key");
    assert_eq!(message(&server, "m", "x", Value::Null).await.json()["content"][0]["text"], "anthropic");
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
    assert_eq!(chat(&server, "m", "x", tools).await.json()["choices"][0]["message"]["content"], "tools");
}

async fn five(rule: &str) -> Vec<String> {
    let server = with(&format!("[[rule]]\n{rule}\n[[rule]]\nanswer = {{ text = 'next rule' }}")).await;
    let mut texts = Vec::new();
    for _ in 0..5 {
        texts.push(text(&server, "m", "x").await);
    }
    texts
}

#[tokio::test]
async fn answers_come_in_order_and_then_as_told() {
    let answers = "answers = [{text = 'a'}, {text = 'b'}]";
    assert_eq!(five(answers).await, ["a", "b", "b", "b", "b"]);
    assert_eq!(five(&format!("then = 'cycle'\n{answers}")).await, ["a", "b", "a", "b", "a"]);
    assert_eq!(
        five(&format!("then = 'next'\n{answers}")).await[2..],
        ["next rule", "next rule", "next rule"]
    );
    let error = &five(&format!("name = 'short'\nthen = 'error'\n{answers}")).await[2];
    assert!(error.starts_with("500") && error.contains("no further answer in rule `short`"), "{error}");
    assert_eq!(five("when = {call = 2}\nanswer = {text = 'a'}").await[..3], ["next rule", "a", "next rule"]);
    assert_eq!(
        five("when = {call = '2-3'}\nanswer = {text = 'a'}").await,
        ["next rule", "a", "a", "next rule", "next rule"]
    );
    assert_eq!(five("when = {call = '4-'}\nanswer = {text = 'a'}").await[2..], ["next rule", "a", "a"]);
}

#[tokio::test]
async fn a_sequence_may_be_for_each_model_key_or_conversation() {
    let server = with("[[rule]]\nper = 'prompt'\nanswers = [{fault = 500}, {text = 'ok'}]").await;
    for prompt in ["one", "two"] {
        assert!(text(&server, "m", prompt).await.starts_with("500"), "{prompt}");
        assert_eq!(text(&server, "other", prompt).await, "ok");
    }
    let longer = json!([
        {"role": "user", "content": "three"}, {"role": "assistant", "content": "?"}, {"role": "user", "content": "again"}
    ]);
    assert!(text(&server, "m", "three").await.starts_with("500"));
    assert_eq!(
        chat(&server, "m", "", json!({ "messages": longer })).await.status,
        200,
        "the same conversation"
    );
    let server = with("[[rule]]\nper = 'model'\nanswers = [{fault = 500}, {text = 'ok'}]").await;
    assert!(text(&server, "a", "x").await.starts_with("500"));
    assert!(text(&server, "b", "x").await.starts_with("500"));
    assert_eq!(text(&server, "a", "y").await, "ok");
}

#[tokio::test]
async fn chance_is_the_same_for_the_same_seed_and_follows_the_weights() {
    let draw = async |seed: u64| {
        let rule = "order = 'random'\nanswers = [{text = 'a', weight = 3}, {text = 'b'}]";
        let server = with(&format!("seed = {seed}\n[[rule]]\n{rule}")).await;
        let mut texts = String::new();
        for _ in 0..200 {
            texts += &text(&server, "m", "x").await;
        }
        texts
    };
    let (first, again, other) = (draw(1).await, draw(1).await, draw(2).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    let share = first.matches('a').count();
    assert!((130..=170).contains(&share), "about three of four: {share}");
}

#[tokio::test]
async fn an_answer_says_all_that_it_is_told_to_say() {
    let server = with(
        r#"
        [[rule]]
        when = { last = "tools" }
        answer = { text = "Looking.", tool_calls = [{ name = "f", arguments = { a = 1, b = ["x"] } }, { name = "g", id = "mine" }] }
        [[rule]]
        when = { last = "json" }
        answer = { json = { ok = true, list = [1, 2], day = 2026-01-31 } }
        [[rule]]
        when = { last = "echo" }
        answer = { echo = true }
        [[rule]]
        when = { last = "usage" }
        answer = { text = "x", model = "answering", cost = 0.25, style = "openrouter", usage = { input = 100, output = 50, cached = 40, cache_write = 10, reasoning = 30 }, headers = { x-generation-id = "gen-1" } }
        [[rule]]
        when = { last = "think" }
        answer = { text = "x", thinking = "Let me see." }
        "#,
    )
    .await;
    let message_of = async |prompt: &str| {
        chat(&server, "m", prompt, Value::Null).await.json()["choices"][0]["message"].clone()
    };
    let tools = message_of("tools").await;
    assert_eq!((&tools["content"], &tools["tool_calls"][1]["id"]), (&json!("Looking."), &json!("mine")));
    assert_eq!(tools["tool_calls"][0]["function"]["arguments"], r#"{"a":1,"b":["x"]}"#);
    assert_eq!(message_of("json").await["content"], r#"{"day":"2026-01-31","list":[1,2],"ok":true}"#);
    assert_eq!(message_of("echo me").await["content"], "echo me");
    assert_eq!(message_of("think").await["reasoning_content"], "Let me see.");
    let blocks = message(&server, "m", "think", Value::Null).await.json()["content"].clone();
    assert_eq!((&blocks[0]["thinking"], &blocks[1]["text"]), (&json!("Let me see."), &json!("x")));

    let answer = chat(&server, "m", "usage", Value::Null).await;
    assert_eq!(answer.header("x-generation-id"), Some("gen-1"));
    let body = answer.json();
    assert_eq!((&body["model"], &body["provider"]), (&json!("answering"), &json!("Scripted")));
    let usage = &body["usage"];
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"], &usage["total_tokens"]),
        (&json!(100), &json!(50), &json!(150))
    );
    assert_eq!(
        (&usage["cost"], &usage["prompt_tokens_details"]["cached_tokens"]),
        (&json!(0.25), &json!(40))
    );
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 30);
    let usage = &message(&server, "m", "usage", Value::Null).await.json()["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["cache_read_input_tokens"], &usage["cache_creation_input_tokens"]),
        (&json!(50), &json!(40), &json!(10)),
        "the three make the input together"
    );
}

#[tokio::test]
async fn latency_and_pace_are_kept() {
    let server = with(
        "[[rule]]\nanswer = {text = 'aaaabbbbccccdddd', latency = '100ms..120ms', tokens_per_second = 20, chunk = 4}",
    )
    .await;
    let started = Instant::now();
    let answer = chat(&server, "m", "x", json!({"stream": true})).await;
    let pieces = answer.events();
    let contents = pieces.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    assert_eq!(contents.collect::<Vec<_>>(), ["", "aaaa", "bbbb", "cccc", "dddd"]);
    // Seven events, 50 ms between two.
    assert!(started.elapsed() >= Duration::from_millis(100 + 6 * 50));
}
