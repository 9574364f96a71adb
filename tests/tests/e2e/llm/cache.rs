//! Answers that are used again.

use serde_json::{Value, json};

use windlass_tests::process::eventually;

use super::scene_with;
use crate::look::{secs, text};

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

/// The encoders count what was asked of models, so that a comparison can be told from a call.
fn embeddings_in(task: &Value) -> usize {
    let calls = task["result"]["calls"].as_array().expect("a list");
    calls.iter().filter(|call| call["purpose"] == "embedding").count()
}

#[test]
fn what_means_the_same_is_answered_from_the_cache_unless_a_number_differs() {
    for (encoder, compared) in [("built-in", 0), ("local/encoder", 1)] {
        let config =
            format!("[llm]\ncache = \"semantic\"\nsemantic_threshold = 0.9\nembeddings = \"{encoder}\"\n");
        let scene = scene_with("", &config, 2, 1, &[]);
        let ask = |id: &str, prompt: &str| {
            let payload = json!({"prompt": prompt, "model": "local/m"});
            scene.fleet.submit("llm", &payload, &["--id", id, "--tenant", "acme"]);
            scene.finished(id, secs(60))
        };
        let first = ask("first", "Please summarise the release notes in 3 bullets");
        let same = ask("same", "Summarise the release notes in 3 bullets please");
        let other = ask("other", "Please summarise the release notes in 5 bullets");
        assert_eq!(scene.calls_of("m"), 2, "{encoder}: {same} {other}");
        let hit = &same["result"]["calls"][compared];
        assert_eq!((&hit["cache"], &hit["cost_usd"]), (&json!("semantic"), &json!(0.0)), "{encoder}: {same}");
        assert_eq!(same["result"]["text"], first["result"]["text"]);
        assert!(text(&hit["why"]).contains("means the same"), "{hit}");
        let embedded: Vec<usize> = [&first, &same, &other].map(embeddings_in).to_vec();
        assert_eq!(embedded, [compared; 3], "each request is made a vector of once");
        scene.fleet.verify();
    }
}

#[test]
fn comparing_costs_money_too_and_stops_when_there_is_none() {
    let config = r#"
[llm]
cache = "semantic"
embeddings = "openai/text-embedding-3-small"
[providers.openai]
api_key = "k"
base_url = "URL"
[budgets.poor]
scope = "tenant:poor"
limit_usd = "0.00000001"
window = "total"
"#;
    let scene = scene_with("", config, 1, 1, &[]);
    let ask = |tenant: &str| {
        let payload =
            json!({"prompt": format!("What does {tenant} think of long sentences?"), "model": "local/m"});
        scene.fleet.submit("llm", &payload, &["--id", tenant, "--tenant", tenant]);
        scene.finished(tenant, secs(30))
    };
    assert_eq!(embeddings_in(&ask("rich")), 1);
    let poor = ask("poor");
    assert_eq!((&poor["state"], embeddings_in(&poor)), (&json!("completed"), 0), "{poor}");
    assert_eq!((scene.calls_of("text-embedding-3-small"), scene.calls_of("m")), (1, 2));
    let metrics = scene.fleet.windlass(&["metrics", "-o", "json"]).ok().json();
    let cost =
        metrics["totals"]["cost_usd"].as_str().map_or(metrics["totals"]["cost_usd"].clone(), Value::from);
    assert_ne!(cost, json!(0.0), "{metrics}");
    scene.fleet.verify();
}

#[test]
fn a_node_that_dies_while_others_wait_for_its_answer_keeps_nobody_waiting() {
    let scenario = "[[rule]]\nanswer = { text = \"the answer\", latency = \"4s\" }\n";
    let mut scene = scene_with(scenario, "", 2, 1, &[]);
    scene.fleet.submit_lines(&same(2, "acme"), &["--batch", "b"]);
    eventually("both nodes have one of the two", secs(20), || scene.fleet.running("default") == 2);
    eventually("one of them asks", secs(20), || scene.calls() == 1);
    // Which of the two asks cannot be seen from outside, and either must do.
    scene.fleet.kill9(0);
    let tasks = scene.fleet.finish_batch("b", secs(120));
    assert!(tasks.iter().all(|task| task["result"]["text"] == "the answer"), "{tasks:?}");
    assert!(scene.calls() <= 3, "{}", scene.calls());
    scene.fleet.verify();
}
