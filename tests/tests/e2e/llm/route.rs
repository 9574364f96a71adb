//! Which model is asked when others fail, and what the fleet learns from it.

use serde_json::{Value, json};

use super::{scene, scene_with};
use crate::look::{lines, secs, text};

const THREE: &str = r#"
[providers.dead]
preset = "local"
base_url = "http://127.0.0.1:1/v1"
[providers.busy]
preset = "local"
base_url = "URL"
[providers.good]
preset = "local"
base_url = "URL"
[types.ask]
executor = "llm"
llm.route = ["dead/m", "busy/busy", "good/good"]
template.prompt = "{{ payload.q }}"
"#;

const BUSY: &str = "[[rule]]\nwhen = { model = \"busy\" }\nanswer = { fault = 429, retry_after = \"1h\" }\n";

#[test]
fn one_dead_one_busy_and_every_task_completes_on_the_third() {
    let scene = scene_with(BUSY, THREE, 3, 4, &[]);
    let tasks: Vec<Value> = (1..=40)
        .map(|n| json!({"type": "ask", "id": format!("t-{n}"), "payload": {"q": format!("Question {n}")}}))
        .collect();
    scene.fleet.submit_lines(&tasks, &["--batch", "b"]);
    let tasks = scene.fleet.finish_batch("b", secs(60));
    assert_eq!(tasks.len(), 40);
    for task in &tasks {
        assert_eq!((&task["state"], &task["retries"]), (&json!("completed"), &json!(0)), "{task}");
        let last = task["result"]["calls"].as_array().and_then(|calls| calls.last()).expect("a call");
        assert_eq!((&last["provider"], &last["error"]), (&json!("good"), &Value::Null), "{task}");
        // The record tells why the third was asked.
        let why = text(&last["why"]);
        assert!(why.contains("dead/m") && why.contains("busy/busy"), "{why}");
    }
    // Once for the whole fleet: the breaker's figures are state, failures, opened at, ..., how often it opened.
    let breaker = scene.gate("breakers").remove("dead/m").expect("a breaker");
    let words: Vec<&str> = breaker.split(' ').collect();
    assert_eq!((words[0], words[5]), ("1", "1"), "it is open, and opened once: {breaker}");
    assert_eq!(scene.calls_of("good"), 40);
    // After the first 429 nobody asks again: only calls that were under way at that moment were made.
    assert!(scene.calls_of("busy") <= 12, "{}", scene.calls_of("busy"));
    scene.fleet.verify();
}

#[test]
fn retry_after_is_honoured_with_one_model() {
    let scenario = "[[rule]]\nanswers = [{ fault = 429, retry_after = \"3s\" }, { text = \"now\" }]\n";
    let scene = scene(scenario, "", 1);
    let task = scene.ask("t", "local/m");
    assert_eq!(
        (&task["state"], &task["retries"], &task["waits"]),
        (&json!("completed"), &json!(0), &json!(1)),
        "{task}"
    );
    let waited = gap(&scene.stand_in.calls());
    assert!((3000..4500).contains(&waited), "asked again after {waited} ms");
    // Both attempts' calls are in the result.
    let errors: Vec<&Value> =
        task["result"]["calls"].as_array().expect("calls").iter().map(|call| &call["error"]).collect();
    assert_eq!(errors, [&json!("rate_limit"), &Value::Null], "{task}");
    scene.fleet.verify();
}

#[test]
fn retry_after_is_honoured_with_several_models() {
    let scenario = r#"
[[rule]]
when = { model = "a" }
answers = [{ fault = 429, retry_after = "60s" }]
[[rule]]
when = { model = "b" }
answers = [{ fault = 429, retry_after = "3s" }, { text = "now" }]
"#;
    let config = "[types.ask]\nexecutor = \"llm\"\nllm.route = [\"local/a\", \"local/b\"]\n";
    let scene = scene(scenario, config, 1);
    scene.fleet.submit("ask", &json!({"prompt": "Hello."}), &["--id", "t"]);
    let task = scene.finished("t", secs(30));
    assert_eq!(task["state"], "completed", "{task}");
    // Each was asked once before; then the one that frees first.
    assert_eq!((scene.calls_of("a"), scene.calls_of("b")), (1, 2));
    let waited = gap(&scene.stand_in.calls());
    assert!((3000..4500).contains(&waited), "asked again after {waited} ms");
    scene.fleet.verify();
}

/// Milliseconds between the last two calls.
fn gap(calls: &Value) -> u64 {
    let at = |call: &Value| call["at_ms"].as_f64().expect("a moment") as u64;
    let last = calls["last"].as_array().expect("calls");
    at(&last[last.len() - 1]) - at(&last[last.len() - 2])
}

#[test]
fn retries_do_not_multiply() {
    let config = "[llm]\nmax_calls = 7\n[breaker]\nenabled = false\n";
    let scene = scene("[[rule]]\nanswer = { fault = 500 }\n", config, 1);
    let payload = json!({"prompt": "Hello.", "model": "local/m"});
    scene.fleet.submit("llm", &payload, &["--id", "t", "--max-attempts", "9"]);
    let task = scene.finished("t", secs(60));
    assert_eq!(task["state"], "failed", "{task}");
    assert!(scene.calls() <= 7, "{} calls", scene.calls());
    let ledger = task["ledger"]["calls"].as_array().expect("a list");
    assert_eq!(ledger.len() as u64, scene.calls(), "{task}");
    scene.fleet.verify();
}

#[test]
fn a_second_key_takes_over_from_one_that_is_refused() {
    let scenario = "keys = [\"good-key\"]\n";
    let config = r#"
[providers.hosted]
preset = "compatible"
base_url = "URL"
api_key = "bad-key"
[providers.hosted.keys.second]
api_key = "good-key"
"#;
    let scene = scene(scenario, config, 2);
    scene.fleet.submit_lines(
        &lines("t", 10, "llm", &json!({"prompt": "Hello.", "model": "hosted/m", "cache": false})),
        &["--batch", "b"],
    );
    for task in scene.fleet.finish_batch("b", secs(30)) {
        assert_eq!(task["state"], "completed", "{task}");
    }
    let refused = scene.stand_in.calls()["by_status"]["401"].as_u64().expect("a number");
    assert!(refused <= 10, "a refused key is left alone: {refused}");
    let cooling = scene.gate("cooldowns");
    assert!(
        cooling
            .iter()
            .any(|(name, why)| name.starts_with("hosted/default-") && why.ends_with("authentication")),
        "{cooling:?}"
    );
    scene.fleet.verify();
}

#[test]
fn a_host_that_fails_is_left_alone_by_the_whole_fleet() {
    let config = "[breaker]\nthreshold = 3\nrecovery = \"60s\"\n";
    let scene = scene_with("", config, 2, 2, &[]);
    // Nobody listens on port 1.
    scene
        .fleet
        .submit_lines(&lines("t", 12, "http", &json!({"url": "http://127.0.0.1:1/"})), &["--batch", "b"]);
    windlass_tests::process::eventually("the breaker opens and the rest waits", secs(30), || {
        let waiting = scene.fleet.queue("default")["scheduled"] == json!(12);
        waiting && scene.gate("breakers").contains_key("http:127.0.0.1:1")
    });
    let breaker = scene.gate("breakers").remove("http:127.0.0.1:1").expect("a breaker");
    assert!(breaker.starts_with("1 "), "{breaker}");
    scene.fleet.verify();
}

#[test]
fn a_model_or_a_host_that_lets_attempts_run_out_of_time_is_left_alone() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = silent.local_addr().expect("an address");
    let config = "[breaker]\nthreshold = 2\n[types.slow]\nexecutor = \"llm\"\ntimeout = \"3s\"\nmax_attempts = 2\n\
                  retry.base = \"10ms\"\nllm.model = \"local/slow\"\n[types.hangs]\nexecutor = \"http\"\ntimeout = \"3s\"\n\
                  max_attempts = 2\nretry.base = \"10ms\"\n";
    let scenario = "[[rule]]\nwhen = { model = \"slow\" }\nanswer = { text = \"late\", latency = \"30s\" }\n";
    let scene = super::scene(scenario, config, 1);
    scene.fleet.submit("slow", &json!({"prompt": "Hello."}), &["--id", "slow"]);
    scene.fleet.submit("hangs", &json!({"url": format!("http://{host}/")}), &["--id", "hangs"]);
    for id in ["slow", "hangs"] {
        let task = scene.finished(id, secs(30));
        assert_eq!(
            (&task["state"], &task["error"]["class"]),
            (&json!("failed"), &json!("timeout")),
            "{task}"
        );
    }
    for name in ["local/slow".to_owned(), format!("http:127.0.0.1:{}", host.port())] {
        windlass_tests::process::eventually(&format!("the breaker of {name} is open"), secs(10), || {
            scene.gate("breakers").get(&name).is_some_and(|breaker| breaker.starts_with("1 "))
        });
        let doctor = scene.fleet.windlass(&["doctor"]);
        assert!(format!("{doctor}").contains(&format!("windlass models reset {name}")), "{doctor}");
        scene.fleet.windlass(&["models", "reset", &name]).ok();
        assert!(!scene.gate("breakers").contains_key(&name));
    }
    // Both calls are told of, though no attempt had an answer.
    let task = scene.fleet.status("slow");
    let calls: Vec<&Value> = task["ledger"]["calls"].as_array().expect("a list").iter().collect();
    assert_eq!(
        calls.iter().map(|call| call["attempt"].as_u64()).collect::<Vec<_>>(),
        [Some(1), Some(2)],
        "{task}"
    );
    scene.fleet.windlass(&["models", "reset", "local/slow"]).expect_code(1);
    scene.fleet.verify();
}

/// What was asked when a node was lost may be what it was lost by: the next attempt begins with the next model.
#[test]
fn a_task_whose_node_was_lost_begins_with_the_next_model() {
    let slow = "[[rule]]\nwhen = { model = \"first\" }\nanswer = { text = \"late\", latency = \"60s\" }\n";
    let config = r#"
[types.ask]
executor = "llm"
llm.route = ["local/first", "local/second"]
template.prompt = "{{ payload.q }}"
"#;
    let mut scene = scene_with(slow, config, 1, 1, &[("WINDLASS_LEASE", "2s")]);
    scene.fleet.submit("ask", &json!({"q": "Who?"}), &["--id", "t"]);
    windlass_tests::process::eventually("the first model is asked", secs(20), || {
        scene.calls_of("first") == 1
    });
    scene.fleet.kill9(0);
    scene.fleet.spawn_worker();
    let task = scene.finished("t", secs(30));
    assert_eq!((&task["state"], &task["crashes"]), (&json!("completed"), &json!(1)), "{task}");
    assert_eq!(task["result"]["calls"][0]["model"], "second", "{task}");
    assert_eq!(scene.calls_of("first"), 1, "it is not asked again");
    scene.fleet.verify();
}
