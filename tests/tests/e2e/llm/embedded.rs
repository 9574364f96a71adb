//! The small model within the worker: a true answer with true counts, and what happens at its limits.

use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
};

use crate::look::{secs, text};

const MODEL: &str = "embedded/smollm2-135m";

fn weights() -> String {
    let path = std::env::var("WINDLASS_TEST_MODEL").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../.windlass/models/SmolLM2-135M-Instruct.Q4_1.gguf").to_owned()
    });
    assert!(
        std::path::Path::new(&path).exists(),
        "{path} is not there: run `make servers` first, or name the file in WINDLASS_TEST_MODEL"
    );
    path
}

fn fleet() -> Fleet {
    let weights = weights();
    let env = [("WINDLASS_EMBEDDED_MODEL", weights.as_str())];
    Fleet::start(&FleetOptions { env: &env, concurrency: 2, lease: "", ..FleetOptions::default() })
}

#[test]
fn it_answers_counts_and_keeps_to_a_schema() {
    let fleet = fleet();
    fleet.submit(
        "llm",
        &json!({"prompt": "What is the capital of France?", "max_tokens": 40}),
        &["--id", "t"],
    );
    fleet.wait_for_state("default", "t", "completed", secs(120));
    let task = fleet.status("t");
    assert!(text(&task["result"]["text"]).contains("Paris"), "{task}");
    let call = &task["result"]["calls"][0];
    assert_eq!((&call["provider"], &call["cost_usd"]), (&json!("embedded"), &json!(0.0)), "{task}");
    assert!(call["input_tokens"].as_u64() > Some(5) && call["output_tokens"].as_u64() > Some(1), "{task}");

    let schema =
        json!({"type": "object", "required": ["colour"], "properties": {"colour": {"type": "string"}}});
    let payload = json!({"prompt": "Give a colour as JSON.", "response_schema": schema, "max_tokens": 60, "model": MODEL});
    fleet.submit("llm", &payload, &["--id", "json"]);
    fleet.wait_for_state("default", "json", "completed", secs(120));
    let task = fleet.status("json");
    assert!(task["result"]["json"]["colour"].is_string(), "{task}");
    fleet.verify();
}

#[test]
fn what_does_not_fit_is_refused_and_what_is_cancelled_ends() {
    let fleet = fleet();
    fleet.submit("llm", &json!({"prompt": "word ".repeat(6000), "model": MODEL}), &["--id", "long"]);
    fleet.wait_for_state("default", "long", "failed", secs(60));
    assert_eq!(fleet.status("long")["error"]["class"], "context_length");

    let payload = json!({"prompt": format!("{} Tell a long story.", "Once upon a time. ".repeat(400)), "model": MODEL, "max_tokens": 2000});
    fleet.submit("llm", &payload, &["--id", "story"]);
    fleet.wait_for_state("default", "story", "running", secs(30));
    fleet.windlass(&["cancel", "story"]).ok();
    fleet.wait_for_state("default", "story", "cancelled", secs(10));
    // The computation ends with it: the next task does not wait for the story.
    fleet.submit("llm", &json!({"prompt": "Say hello.", "model": MODEL, "max_tokens": 5}), &["--id", "next"]);
    eventually("the next is done", secs(60), || {
        fleet.field("default", "next", "state").as_deref() == Some("completed")
    });
    fleet.verify();
}
