//! Limits that the whole fleet keeps.

use serde_json::{Value, json};

use super::scene_with;
use crate::look::secs;

const CATALOG: &str = "[models.\"local/m\"]\ncontext = 8192\nlimits.requests_per_minute = 600\n";

#[test]
fn four_workers_keep_a_limit_of_600_a_minute_and_use_it() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let catalog = dir.path().join("models.toml");
    std::fs::write(&catalog, CATALOG).expect("a file can be written");
    let config = format!("[llm]\ncatalog = \"{}\"\ncache = \"off\"\n", catalog.display());
    let scene = scene_with("", &config, 4, 16, &[]);
    let tasks: Vec<Value> = (1..=720)
        .map(|n| json!({"type": "llm", "payload": {"prompt": format!("Question {n}"), "model": "local/m"}}))
        .collect();
    scene.fleet.submit_lines(&tasks, &["--batch", "b"]);
    let tasks = scene.fleet.finish_batch("b", secs(150));
    assert_eq!(tasks.iter().filter(|task| task["state"] == "completed").count(), 720);
    assert!(tasks.iter().all(|task| task["retries"] == 0));
    // The stand-in counts each window, wherever it begins, by its own clock.
    let most = scene.stand_in.calls()["all"]["max_in_window"].as_u64().expect("a number");
    assert!(most <= 600, "{most} requests in a minute");
    assert!(most >= 582, "only {most} requests in a minute");
    scene.fleet.verify();
}

#[test]
fn a_task_that_must_wait_long_gives_its_slot_back() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let catalog = dir.path().join("models.toml");
    std::fs::write(&catalog, "[models.\"local/m\"]\ncontext = 8192\nlimits.requests_per_minute = 2\n")
        .expect("a file can be written");
    let config = format!("[llm]\ncatalog = \"{}\"\ncache = \"off\"\n", catalog.display());
    let scene = scene_with("", &config, 1, 2, &[]);
    for id in ["a", "b", "c", "d"] {
        scene.fleet.submit("llm", &json!({"prompt": id, "model": "local/m"}), &["--id", id]);
    }
    // The slots are free for other work while the tasks wait.
    scene.fleet.submit("noop", &json!(1), &["--id", "other"]);
    scene.fleet.wait_for_state("default", "other", "completed", secs(20));
    windlass_tests::process::eventually("three wait", secs(20), || {
        scene.fleet.queue("default")["scheduled"] == json!(3)
    });
    let waiting = ["a", "b", "c", "d"].map(|id| scene.fleet.status(id));
    let waiting: Vec<&Value> = waiting.iter().filter(|task| task["state"] == "scheduled").collect();
    for task in &waiting {
        assert_eq!(
            (&task["reason"], &task["retries"], &task["waits"]),
            (&json!("rate_limited"), &json!(0), &json!(1)),
            "{task}"
        );
    }
    assert_eq!(waiting.len(), 3);
    scene.fleet.verify();
}

#[test]
fn no_more_calls_at_once_than_a_provider_allows() {
    let scenario = "[[rule]]\nanswer = { text = \"done\", latency = \"150ms\" }\n";
    let config = "[llm]\ncache = \"off\"\n[providers.small]\npreset = \"local\"\nbase_url = \"URL\"\nlimits.concurrent = 3\n";
    let scene = scene_with(scenario, config, 3, 8, &[]);
    let tasks: Vec<Value> = (1..=30)
        .map(|n| json!({"type": "llm", "payload": {"prompt": format!("Question {n}"), "model": "small/m"}}))
        .collect();
    scene.fleet.submit_lines(&tasks, &["--batch", "b"]);
    let tasks = scene.fleet.finish_batch("b", secs(60));
    assert!(tasks.len() == 30 && tasks.iter().all(|task| task["state"] == "completed"));
    assert_eq!(scene.stand_in.calls()["all"]["max_concurrent"], json!(3));
    scene.fleet.verify();
}
