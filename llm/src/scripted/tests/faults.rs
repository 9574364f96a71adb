use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, Scripted, chat, message, start, with};

const STREAM: &str = "stream";

/// A chat with a model that answers as the scenario's only answer says.
async fn fault(answer: &str, more: Value) -> Answer {
    let server = with(&format!("[[rule]]\nanswer = {answer}")).await;
    chat(&server, "m", "Say something that takes some pieces.", more).await
}

#[tokio::test]
async fn every_error_has_its_status_and_its_words() {
    let server = start().await;
    for (model, status, kind, code) in [
        ("error-400", 400, json!("invalid_request_error"), Value::Null),
        ("error-401", 401, json!("invalid_request_error"), json!("invalid_api_key")),
        ("error-402", 402, Value::Null, json!(402)),
        ("error-403", 403, json!("permission_error"), Value::Null),
        ("error-404", 404, json!("invalid_request_error"), json!("model_not_found")),
        ("error-408", 408, json!("timeout"), json!("timeout")),
        ("error-413", 413, json!("invalid_request_error"), Value::Null),
        ("error-429", 429, json!("requests"), json!("rate_limit_exceeded")),
        ("error-quota", 429, json!("insufficient_quota"), json!("insufficient_quota")),
        ("error-500", 500, json!("server_error"), Value::Null),
        ("error-503", 503, json!("server_error"), Value::Null),
        ("error-529", 529, json!("overloaded_error"), Value::Null),
        ("error-context", 400, json!("invalid_request_error"), json!("context_length_exceeded")),
        ("error-content-filter", 400, json!("invalid_request_error"), json!("content_filter")),
    ] {
        for stream in [false, true] {
            let answer = chat(&server, model, "hi", json!({ STREAM: stream })).await;
            let body = answer.json();
            let error = &body["error"];
            assert_eq!((answer.status, &error["type"], &error["code"]), (status, &kind, &code), "{model}");
            assert_eq!(answer.header("retry-after"), (model == "error-429").then_some("1"), "{model}");
        }
    }
    for (model, status) in [("error-502", 502), ("error-504", 504)] {
        let answer = chat(&server, model, "hi", Value::Null).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("text/html")),
            "a proxy's page"
        );
    }
    assert_eq!(chat(&server, "error-429-silent", "hi", Value::Null).await.header("retry-after"), None);
    assert_eq!(chat(&server, "error-model-of-mine", "hi", Value::Null).await.status, 200, "no word of ours");
}

#[tokio::test]
async fn a_wait_is_told_in_every_way_that_providers_have() {
    let seconds = fault("{fault = 429, retry_after = \"1500ms\"}", Value::Null).await;
    assert_eq!((seconds.header("retry-after"), seconds.header("retry-after-ms")), (Some("2"), None));
    let milliseconds =
        fault("{fault = 429, retry_after = \"1500ms\", retry_after_as = \"milliseconds\"}", Value::Null)
            .await;
    assert_eq!(
        (milliseconds.header("retry-after"), milliseconds.header("retry-after-ms")),
        (None, Some("1500"))
    );
    let both = fault(
        "{fault = 503, retry_after = \"1500ms\", retry_after_as = \"both\", rate_headers = true}",
        Value::Null,
    )
    .await;
    assert_eq!((both.header("retry-after"), both.header("retry-after-ms")), (Some("2"), Some("1500")));
    assert_eq!(both.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(both.header("x-ratelimit-reset-requests"), Some("1.5s"));
    let date = fault("{fault = 429, retry_after = \"30s\", retry_after_as = \"date\"}", Value::Null).await;
    let at = httpdate::parse_http_date(date.header("retry-after").unwrap()).unwrap();
    let now = std::time::SystemTime::from(jiff::Timestamp::now());
    let wait = at.duration_since(now).unwrap();
    assert!(wait >= Duration::from_secs(28) && wait <= Duration::from_secs(31), "{wait:?}");
    assert_eq!(fault("{fault = 429}", Value::Null).await.header("retry-after"), None);
}

#[tokio::test]
async fn other_servers_words_for_the_same_trouble() {
    let of = async |answer: &str| fault(answer, Value::Null).await.json()["error"].clone();
    let llama = of("{fault = \"context_length\", style = \"llama_cpp\"}").await;
    assert_eq!(
        (&llama["type"], &llama["n_prompt_tokens"], &llama["n_ctx"]),
        (&json!("exceed_context_size_error"), &json!(10), &json!(9))
    );
    let vllm = of("{fault = \"context_length\", style = \"vllm\"}").await;
    assert_eq!((&vllm["type"], &vllm["code"]), (&json!("BadRequestError"), &json!(400)));
    let router = of("{fault = 429, style = \"openrouter\", retry_after = \"5s\"}").await;
    assert_eq!(
        (&router["code"], &router["metadata"]["error_type"]),
        (&json!(429), &json!("rate_limit_exceeded"))
    );
    let reset: i64 = router["metadata"]["headers"]["X-RateLimit-Reset"].as_str().unwrap().parse().unwrap();
    let wait = reset - jiff::Timestamp::now().as_millisecond();
    assert!((3000..=5000).contains(&wait), "{wait}");
    let router = of("{fault = \"quota\", style = \"openrouter\"}").await;
    assert_eq!(router["metadata"]["error_type"], "payment_required");
}

#[tokio::test]
async fn whole_answers_go_wrong_in_each_way() {
    assert!(
        serde_json::from_slice::<Value>(&fault("{fault = \"malformed\"}", Value::Null).await.body).is_err()
    );
    assert_eq!(fault("{fault = \"empty_choices\"}", Value::Null).await.json()["choices"], json!([]));
    let empty = fault("{fault = \"empty_content\"}", Value::Null).await.json();
    assert_eq!(
        (&empty["choices"][0]["message"]["content"], &empty["usage"]["completion_tokens"]),
        (&json!(""), &json!(0))
    );
    let refused = fault("{fault = \"refusal\", message = \"No.\"}", Value::Null).await.json();
    let refused = &refused["choices"][0]["message"];
    assert_eq!((&refused["refusal"], &refused["content"]), (&json!("No."), &Value::Null));
    let inside = fault("{fault = \"http_200_error\"}", Value::Null).await;
    assert_eq!((inside.status, &inside.json()["error"]["code"]), (200, &json!(502)));
    let cut = fault("{fault = \"cut\"}", Value::Null).await;
    assert_eq!((cut.status, cut.whole, cut.body.is_empty()), (200, false, false));
    assert_eq!(fault("{fault = \"hang_up\"}", Value::Null).await.status, 0);
    assert!(String::from_utf8(fault("{fault = \"garbage\"}", Value::Null).await.body).is_err());
    let huge = fault("{fault = \"huge\", megabytes = 3}", Value::Null).await;
    assert!(huge.whole && huge.body.len() > 3 * 1024 * 1024);
    assert!(
        huge.json()["choices"][0]["message"]["content"].as_str().unwrap().starts_with("[scripted stand-in]")
    );
    assert_eq!(
        fault("{fault = \"no_finish\"}", Value::Null).await.json()["choices"][0]["finish_reason"],
        Value::Null
    );
    let length = fault("{text = \"half\", finish = \"length\"}", Value::Null).await.json();
    assert_eq!(length["choices"][0]["finish_reason"], "length");
    let body = fault("{body = \"<p>no</p>\", status = 520, content_type = \"text/html\"}", Value::Null).await;
    assert_eq!(
        (body.status, body.text().as_str(), body.header("content-type")),
        (520, "<p>no</p>", Some("text/html"))
    );
}

#[tokio::test]
async fn streams_go_wrong_in_each_way() {
    let stream = async |answer: &str| fault(answer, json!({"stream": true})).await;
    let finished = |answer: &Answer| {
        answer.events().iter().any(|event| event["choices"][0]["finish_reason"].is_string())
    };
    let done = |answer: &Answer| answer.text().ends_with("data: [DONE]\n\n");

    let cut = stream("{fault = \"cut\", after = 4}").await;
    assert_eq!((cut.status, cut.whole, cut.events().len(), finished(&cut)), (200, false, 4, false));
    assert!(!cut.streamed().is_empty(), "what was sent before the cut arrived");
    let cut = stream("{fault = \"cut\", after = 1000}").await;
    assert!(!cut.whole && !finished(&cut), "however many pieces are asked for");

    let error = stream("{fault = \"error_chunk\", after = 2}").await;
    assert_eq!((error.whole, done(&error), error.events().len()), (true, false, 3));
    assert_eq!(error.events()[2]["error"]["type"], "server_error");
    let error = stream("{fault = \"error_chunk\", style = \"openrouter\"}").await;
    assert!(error.text().starts_with(": OPENROUTER PROCESSING\n\n"));
    let last = error.events().pop().unwrap();
    assert_eq!(
        (&last["choices"][0]["finish_reason"], &last["error"]["code"]),
        (&json!("error"), &json!("server_error"))
    );

    let inside = stream("{fault = \"http_200_error\"}").await;
    assert!(inside.status == 200 && inside.events().len() == 1 && inside.events()[0]["error"].is_object());
    let no_done = stream("{fault = \"no_done\"}").await;
    assert!(no_done.whole && finished(&no_done) && !done(&no_done));
    let no_finish = stream("{fault = \"no_finish\"}").await;
    assert!(no_finish.whole && !finished(&no_finish) && done(&no_finish));
    let malformed = stream("{fault = \"malformed\"}").await;
    assert!(malformed.whole && done(&malformed) && malformed.events().contains(&Value::Null));
    assert!(String::from_utf8(stream("{fault = \"garbage\"}").await.body).is_err());
    let empty = stream("{fault = \"empty_choices\"}").await;
    assert!(done(&empty) && empty.events().iter().all(|event| event["choices"] == json!([])));
    let huge = stream("{fault = \"huge\", megabytes = 2}").await;
    assert!(huge.whole && done(&huge) && huge.streamed().len() > 2 * 1024 * 1024);
    assert_eq!(stream("{fault = \"hang_up\"}").await.status, 0);
    let refused = stream("{fault = \"refusal\", message = \"No.\"}").await;
    assert!(refused.events().iter().any(|event| event["choices"][0]["delta"]["refusal"] == "No."));
}

#[tokio::test]
async fn anthropics_streams_go_wrong_too() {
    let stream = async |answer: &str| {
        let server = with(&format!("[[rule]]\nanswer = {answer}")).await;
        message(&server, "m", "hi", json!({"stream": true})).await
    };
    let kinds = |answer: &Answer| {
        answer
            .events()
            .iter()
            .map(|event| event["type"].as_str().unwrap_or("?").to_owned())
            .collect::<Vec<_>>()
    };
    let cut = stream("{fault = \"cut\"}").await;
    assert!(!cut.whole && !kinds(&cut).contains(&"message_delta".to_owned()));
    let error = stream("{fault = \"error_chunk\"}").await;
    assert_eq!(error.events().last().unwrap()["error"]["type"], "overloaded_error");
    assert!(error.text().contains("event: error\n"));
    let no_done = stream("{fault = \"no_done\"}").await;
    assert_eq!(kinds(&no_done).last().unwrap(), "message_delta");
    let refused = stream("{fault = \"refusal\"}").await;
    assert!(refused.events().iter().any(|event| event["delta"]["stop_reason"] == "refusal"));
    let empty = stream("{fault = \"empty_choices\"}").await;
    assert_eq!(kinds(&empty), ["message_start", "message_delta", "message_stop"]);
}

#[tokio::test]
async fn a_stall_lasts_as_long_as_told_and_may_begin_in_the_middle() {
    let timed = async |answer: &str, more: Value| {
        let started = Instant::now();
        let answer = fault(answer, more).await;
        assert!(started.elapsed() >= Duration::from_millis(200));
        answer
    };
    assert_eq!(timed("{fault = \"stall\", lasts = \"200ms\"}", Value::Null).await.status, 0);
    assert_eq!(timed("{fault = \"stall\", lasts = \"200ms\"}", json!({"stream": true})).await.status, 0);
    let middle = timed("{fault = \"stall\", after = 2, lasts = \"200ms\"}", json!({"stream": true})).await;
    assert_eq!((middle.status, middle.whole, middle.events().len()), (200, false, 2));
}

#[tokio::test]
async fn a_fault_leaves_other_connections_alone() {
    let server: Scripted = with("[[rule]]\nwhen = {last = \"bad\"}\nanswer = {fault = \"hang_up\"}").await;
    let (bad, good) =
        tokio::join!(chat(&server, "m", "bad", Value::Null), chat(&server, "m", "good", Value::Null));
    assert_eq!((bad.status, good.status), (0, 200));
}
