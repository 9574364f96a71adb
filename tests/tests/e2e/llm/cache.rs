//! Answers that are used again.

use serde_json::{Value, json};

use super::scene_with;
use crate::look::secs;

const SLOW: &str = "[[rule]]\nanswer = { text = \"the answer\", latency = \"500ms\" }\n";

fn same(count: usize, tenant: &str) -> Vec<Value> {
    let payload = json!({"prompt": "The same question.", "model": "local/m"});
    (0..count).map(|_| json!({"type": "llm", "tenant": tenant, "payload": payload})).collect()
}

#[test]
fn what_ten_ask_at_once_is_sent_once() {
    let scene = scene_with(SLOW, "", 3, 4, &[]);
    scene.fleet.submit_lines(&same(10, "acme"), &["--batch", "b"]);
    let tasks = scene.fleet.finish_batch("b", secs(30));
    assert_eq!((tasks.len(), scene.calls()), (10, 1));
    let cached = |task: &&Value| task["result"]["calls"][0]["cached"] == json!(true);
    assert_eq!(tasks.iter().filter(cached).count(), 9);
    for task in &tasks {
        assert_eq!(task["result"]["text"], "the answer", "{task}");
    }
    let metrics = scene.fleet.windlass(&["metrics", "-o", "json"]).ok().json();
    assert_eq!(
        (&metrics["totals"]["calls"], &metrics["totals"]["cache_hits"]),
        (&json!(1), &json!(9)),
        "{metrics}"
    );
    scene.fleet.verify();
}

#[test]
fn tenants_do_not_see_each_others_answers_unless_they_may() {
    for (shared, calls) in [("false", 2), ("true", 1)] {
        let scene = scene_with("", "", 1, 1, &[("WINDLASS_LLM_CACHE_SHARED", shared)]);
        scene.fleet.submit_lines(&[same(2, "a"), same(2, "b")].concat(), &["--batch", "b"]);
        scene.fleet.finish_batch("b", secs(30));
        assert_eq!(scene.calls(), calls, "shared: {shared}");
        scene.fleet.verify();
    }
}

#[test]
fn a_cut_answer_a_failure_and_what_is_not_wanted_are_not_kept() {
    let scenario = r#"
[[rule]]
when = { model = "cut" }
answer = { text = "half an ans", finish = "length" }
"#;
    let scene = scene_with(scenario, "", 1, 1, &[]);
    let ask = |id: &str, payload: Value| {
        scene.fleet.submit("llm", &payload, &["--id", id]);
        scene.finished(id, secs(20))
    };
    for id in ["a", "b"] {
        ask(id, json!({"prompt": "The same.", "model": "local/cut", "max_tokens": 5}));
    }
    assert_eq!(scene.calls_of("cut"), 2);
    for id in ["c", "d"] {
        ask(id, json!({"prompt": "The same.", "model": "local/m", "cache": false}));
    }
    assert_eq!(scene.calls_of("m"), 2);
    scene.fleet.verify();
}
