//! Every class of error, through a worker process: what becomes of the task, and how often the model was asked.

use serde_json::{Value, json};
use windlass_tests::process::eventually;

use super::{Scene, scene};
use crate::look::{secs, text};

/// Fault of the stand-in, class of the task's error, state of the task, fewest and most calls.
const FAULTS: [(&str, &str, &str, std::ops::RangeInclusive<u64>); 24] = [
    ("400", "bad_request", "failed", 1..=1),
    ("401", "authentication", "failed", 1..=1),
    ("403", "permission", "failed", 1..=1),
    ("404", "bad_request", "failed", 1..=1),
    ("408", "timeout", "failed", 2..=2),
    ("413", "bad_request", "failed", 1..=1),
    ("422", "bad_request", "failed", 1..=1),
    ("500", "server", "failed", 3..=3),
    ("502", "server", "failed", 3..=3),
    ("503", "overloaded", "failed", 2..=2),
    ("529", "overloaded", "failed", 2..=2),
    ("context_length", "context_length", "failed", 1..=1),
    ("content_filter", "content_policy", "failed", 1..=1),
    ("refusal", "content_policy", "failed", 1..=1),
    ("malformed", "malformed_output", "failed", 2..=2),
    ("empty_choices", "malformed_output", "failed", 2..=2),
    ("empty_content", "malformed_output", "failed", 2..=2),
    ("cut", "connection", "failed", 2..=2),
    ("hang_up", "connection", "failed", 2..=2),
    ("garbage", "malformed_output", "failed", 2..=2),
    ("huge", "malformed_output", "failed", 2..=2),
    ("no_done", "connection", "failed", 2..=2),
    // Waiting helps: the task gives its slot back and nothing is charged.
    ("429", "rate_limit", "scheduled", 1..=1),
    ("quota", "quota", "scheduled", 1..=1),
];

fn scenario() -> String {
    let rule = |(fault, ..): &(&str, &str, &str, _)| {
        let fault = fault.parse::<u16>().map_or_else(|_| format!("\"{fault}\""), |status| status.to_string());
        let more = match fault.as_str() {
            "429" => ", retry_after = \"1h\"",
            "\"huge\"" => ", megabytes = 3",
            _ => "",
        };
        format!(
            "[[rule]]\nwhen = {{ model = \"m-{}\" }}\nanswer = {{ fault = {fault}{more} }}\n",
            fault.trim_matches('"')
        )
    };
    FAULTS.iter().map(rule).collect()
}

/// Each fault has a provider of its own, so that what cools down for one is not held against the next.
fn config() -> String {
    let provider = |(fault, ..): &(&str, &str, &str, _)| {
        format!("[providers.p-{fault}]\npreset = \"local\"\nbase_url = \"URL\"\nmax_answer = \"1MiB\"\n")
    };
    FAULTS.iter().map(provider).collect()
}

fn settled(scene: &Scene, id: &str) -> Value {
    eventually(&format!("{id} left its slot"), secs(60), || {
        let state = scene.fleet.field("default", id, "state").unwrap_or_default();
        ["failed", "scheduled", "completed"].contains(&state.as_str())
    });
    scene.fleet.status(id)
}

#[test]
fn each_fault_has_its_class_and_its_policy() {
    let scene = scene(&scenario(), &config(), 2);
    for (fault, ..) in &FAULTS {
        let payload = json!({ "prompt": "Hello.", "model": format!("p-{fault}/m-{fault}") });
        scene.fleet.submit("llm", &payload, &["--id", fault, "--max-attempts", "1"]);
    }
    for (fault, class, state, calls) in &FAULTS {
        let task = settled(&scene, fault);
        assert_eq!(
            (&task["state"], &task["error"]["class"]),
            (&json!(state), &json!(class)),
            "{fault}: {task}"
        );
        let asked = scene.calls_of(&format!("m-{fault}"));
        assert!(calls.contains(&asked), "{fault}: {asked} calls, {task}");
        // The story is kept with the task, whatever became of it.
        let ledger = task["ledger"]["calls"].as_array().expect("a list of calls");
        assert_eq!(ledger.len() as u64, asked, "{fault}: {task}");
        assert_eq!(ledger[0]["error"], *class, "{fault}: {task}");
        let charged = if *state == "scheduled" { (0, 1) } else { (0, 0) };
        assert_eq!(
            (&task["retries"], &task["waits"]),
            (&json!(charged.0), &json!(charged.1)),
            "{fault}: {task}"
        );
    }
    scene.fleet.verify();
}

#[test]
fn a_provider_that_stalls_is_left_after_its_time() {
    let scenario = "[[rule]]\nanswer = { fault = \"stall\" }\n";
    let config =
        "[providers.slow]\npreset = \"local\"\nbase_url = \"URL\"\nfirst_token_timeout = \"300ms\"\n";
    let scene = scene(scenario, config, 1);
    scene.fleet.submit(
        "llm",
        &json!({"prompt": "Hello.", "model": "slow/m"}),
        &["--id", "t", "--max-attempts", "1"],
    );
    let task = scene.finished("t", secs(20));
    assert_eq!(task["error"]["class"], "timeout", "{task}");
    scene.fleet.verify();
}

#[test]
fn a_cancelled_task_drops_its_call() {
    let scene = scene("[[rule]]\nanswer = { text = \"late\", latency = \"60s\" }\n", "", 1);
    scene.fleet.submit("llm", &json!({"prompt": "Hello.", "model": "local/m"}), &["--id", "t"]);
    eventually("the model is asked", secs(20), || scene.calls() == 1);
    scene.fleet.windlass(&["cancel", "t"]).ok();
    let task = scene.finished("t", secs(10));
    assert_eq!(task["state"], "cancelled", "{task}");
    eventually("the connection is dropped", secs(10), || {
        scene.stand_in.calls()["all"]["aborted"] == json!(1)
    });
    // What was reserved is given back: the call is told of although its task is gone.
    eventually("the call is settled", secs(10), || scene.gate("calls").is_empty());
    scene.fleet.verify();
}

#[test]
fn no_error_holds_the_key_or_the_prompt() {
    let scenario = "[[rule]]\nanswer = { fault = 400, message = \"bad input: the launch code is 0451 for sk-very-secret-1\" }\n";
    let config =
        "[providers.hosted]\npreset = \"compatible\"\nbase_url = \"URL\"\napi_key = \"sk-very-secret-1\"\n";
    let scene = scene(scenario, config, 1);
    let payload = json!({"prompt": "Remember: the launch code is 0451.", "model": "hosted/m"});
    scene.fleet.submit("llm", &payload, &["--id", "t"]);
    let task = scene.finished("t", secs(20));
    let said = text(&task["error"]["message"]);
    assert!(!said.contains("sk-very") && !said.contains("0451"), "{said}");
    assert!(!scene.fleet.log(0).contains("sk-very"), "the key is in the log");
    scene.fleet.verify();
}
