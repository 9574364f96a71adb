//! `http` and `llm` tasks against a service.

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    http_stub::HttpStub,
};

use crate::look::{assert_counters, secs, text};

const KEY: &str = "sk-very-secret-0123456789";

/// Everything that Redis holds, as text.
fn everything(fleet: &Fleet) -> String {
    let mut connection = fleet.connection();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("Redis lists");
    let read = |key: &String, connection: &mut redis::Connection| {
        let kind: String = redis::cmd("TYPE").arg(key).query(connection).expect("a key has a type");
        let mut command = match kind.as_str() {
            "string" => redis::cmd("GET"),
            "hash" => redis::cmd("HGETALL"),
            "set" => redis::cmd("SMEMBERS"),
            "stream" => redis::cmd("XRANGE"),
            _ => redis::cmd("ZRANGE"),
        };
        command.arg(key);
        match kind.as_str() {
            "stream" => _ = command.arg("-").arg("+"),
            "zset" => _ = command.arg(0).arg(-1),
            _ => {}
        }
        format!("{key}: {:?}\n", command.query::<redis::Value>(connection).expect("it can be read"))
    };
    keys.iter().map(|key| read(key, &mut connection)).collect()
}

#[test]
fn a_service_that_is_busy_is_asked_again_when_it_says() {
    let service = HttpStub::start(|number, _| match number {
        1 => ("429 Too Many Requests", "Retry-After: 1\r\n", "busy".into()),
        _ => ("200 OK", "Content-Type: application/json\r\n", r#"{"n": 1.50}"#.into()),
    });
    let fleet = Fleet::start(&FleetOptions { lease: "", ..FleetOptions::default() });
    let payload = json!({
        "method": "POST", "url": format!("{}/work?token=hush", service.url), "headers": {"x-key": "hush-too"},
        "body": {"a": 1},
    });
    fleet.submit("http", &payload, &["--id", "t"]);
    fleet.wait_for_state("default", "t", "completed", secs(20));
    let task = fleet.status("t");
    assert_counters(&task, [2, 1, 0, 0]);
    assert_eq!(
        (&task["result"]["status"], &task["result"]["body"]),
        (&json!(200), &json!({"n": 1.5})),
        "{task}"
    );
    let requests = service.requests();
    assert_eq!((requests.len(), requests[0].line.as_str()), (2, "POST /work?token=hush"));
    assert_eq!(requests[0].body, r#"{"a":1}"#);
    let waited = requests[1].at.duration_since(requests[0].at);
    assert!(waited >= secs(1), "it was asked again after {waited:?}");
    assert!(!fleet.log(0).contains("hush"), "{}", fleet.log(0));
    fleet.verify();
}

#[test]
fn a_host_that_is_not_allowed_is_not_called() {
    let service = HttpStub::start(|_, _| ("200 OK", "", String::new()));
    let config = "[http]\nallow_hosts = [\"api.example.com\"]\n[types.local]\nexecutor = \"http\"\nhttp.allow_hosts = [\"127.0.0.1\"]\n";
    let fleet = Fleet::start(&FleetOptions { config, ..FleetOptions::default() });
    let payload = json!({ "url": service.url });
    fleet.submit("http", &payload, &["--id", "refused"]);
    fleet.wait_for_state("default", "refused", "failed", secs(10));
    let task = fleet.status("refused");
    assert_eq!((&task["error"]["class"], &task["attempt"]), (&json!("bad_request"), &json!(1)), "{task}");
    assert!(text(&task["error"]["message"]).contains("not among the allowed hosts"), "{task}");
    assert!(service.requests().is_empty());
    fleet.submit("local", &payload, &["--id", "allowed"]);
    fleet.wait_for_state("default", "allowed", "completed", secs(10));
    assert_eq!(service.requests().len(), 1);
    fleet.verify();
}

#[test]
fn a_failure_of_a_service_is_told_by_its_class() {
    let service = HttpStub::start(|_, request| match request.line.as_str() {
        "GET /auth" => ("401 Unauthorized", "", "who?".into()),
        "GET /down" => ("503 Service Unavailable", "", String::new()),
        _ => ("500 Internal Server Error", "", "oops".into()),
    });
    let fleet = Fleet::of_one();
    let url = |path: &str| format!("{}/{path}", service.url);
    // Nobody listens on port 1.
    for (id, url, class, reason) in [
        ("auth", url("auth"), "authentication", "failed"),
        ("down", url("down"), "overloaded", "exhausted"),
        ("oops", url("oops"), "server", "exhausted"),
        ("nobody", "http://127.0.0.1:1/".to_owned(), "connection", "exhausted"),
        ("wrong", "ftp://127.0.0.1/".to_owned(), "bad_request", "failed"),
    ] {
        fleet.submit("http", &json!({ "url": url }), &["--id", id, "--max-attempts", "1"]);
        fleet.wait_for_state("default", id, "failed", secs(10));
        let task = fleet.status(id);
        assert_eq!((&task["error"]["class"], &task["reason"]), (&json!(class), &json!(reason)), "{task}");
    }
    fleet.verify();
}

#[test]
fn a_model_is_asked_and_its_key_stays_on_the_worker() {
    let service = HttpStub::start(|_, _| {
        let body = json!({
            "id": "x", "object": "chat.completion", "model": "small-1",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Ahoy!"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        });
        ("200 OK", "Content-Type: application/json\r\n", body.to_string())
    });
    let base_url = format!("{}/v1", service.url);
    let env =
        [("WINDLASS_LLM_BASE_URL", &*base_url), ("WINDLASS_LLM_MODEL", "small"), ("OPENAI_API_KEY", KEY)];
    let fleet =
        Fleet::start(&FleetOptions { env: &env, args: &["--log", "trace"], ..FleetOptions::default() });
    fleet.submit("llm", &json!({"system": "Be brief.", "prompt": "Hello"}), &["--id", "t"]);
    fleet.wait_for_state("default", "t", "completed", secs(10));

    let task = fleet.status("t");
    let call = &task["result"]["calls"][0];
    assert_eq!(task["result"]["text"], "Ahoy!", "{task}");
    assert_eq!(
        (&call["model"], &call["input_tokens"], &call["output_tokens"]),
        (&json!("small-1"), &json!(3), &json!(2))
    );
    let requests = service.requests();
    let request = requests.iter().find(|request| request.line.starts_with("POST")).expect("a call");
    assert_eq!(request.line, "POST /v1/chat/completions");
    assert!(request.headers.to_lowercase().contains(&format!("authorization: bearer {KEY}")));
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    assert_eq!(body["model"], "small");
    assert_eq!(body["messages"][1], json!({"role": "user", "content": "Hello"}));
    for (place, text) in [("Redis", everything(&fleet)), ("the log", fleet.log(0))] {
        assert!(!text.contains(KEY), "the key is in {place}");
    }
    fleet.verify();
}

#[test]
fn a_model_that_is_not_configured_is_told_with_what_to_set() {
    let fleet = Fleet::of_one();
    fleet.submit("llm", &json!({"prompt": "Hello", "model": "m"}), &["--id", "t"]);
    fleet.wait_for_state("default", "t", "failed", secs(10));
    let task = fleet.status("t");
    assert!(text(&task["error"]["message"]).contains("WINDLASS_LLM_BASE_URL"), "{task}");
    fleet.verify();
}
