//! What is wrong with a configuration is told when a worker starts, and the rest works.

use serde_json::{Value, json};
use windlass_tests::fleet::{Fleet, FleetOptions};

use super::{scene, scene_with};
use crate::look::{secs, text};

#[test]
fn a_type_whose_provider_has_no_key_is_not_offered_and_the_others_run() {
    let config = "[providers.openai]\n[types.hosted]\nexecutor = \"llm\"\nllm.model = \"gpt-4o-mini\"\n";
    let fleet = Fleet::start(&FleetOptions { config, ..FleetOptions::default() });
    assert!(fleet.log(0).contains("OPENAI_API_KEY"), "{}", fleet.log(0));
    let nodes = fleet.windlass(&["nodes", "-o", "json"]).ok().json();
    let types = nodes[0]["types"].to_string();
    assert!(!types.contains("hosted"), "{types}");
    fleet.submit("noop", &json!(1), &["--id", "t"]);
    fleet.wait_for_state("default", "t", "completed", secs(10));
    let doctor = fleet.windlass(&["doctor"]);
    assert!(format!("{doctor}").contains("OPENAI_API_KEY"), "{doctor}");
    fleet.verify();
}

#[test]
fn an_unknown_model_is_refused_with_its_nearest() {
    let scene = scene("", "[providers.openai]\napi_key = \"k\"\nbase_url = \"URL\"\n", 1);
    scene.fleet.submit("llm", &json!({"prompt": "Hello.", "model": "openai/gpt-4o-mni"}), &["--id", "t"]);
    let task = scene.finished("t", secs(20));
    assert_eq!(task["error"]["class"], "bad_request", "{task}");
    assert!(text(&task["error"]["message"]).contains("gpt-4o-mini"), "{task}");
    assert_eq!(scene.calls(), 0);
    scene.fleet.verify();
}

#[test]
fn a_requirement_that_nothing_satisfies_is_refused_with_what_comes_near() {
    let scene = scene("", "[providers.openai]\napi_key = \"k\"\nbase_url = \"URL\"\n", 1);
    let payload = json!({"prompt": "Hello.", "requirements": {"quality": 1.0, "free_only": true}});
    scene.fleet.submit("llm", &payload, &["--id", "t"]);
    let task = scene.finished("t", secs(20));
    assert_eq!((&task["error"]["class"], scene.calls()), (&json!("bad_request"), 0), "{task}");
    assert!(text(&task["error"]["message"]).contains("with a quality of"), "{task}");
    scene.fleet.verify();
}

#[test]
fn a_pipeline_that_cannot_work_stops_the_worker_from_starting() {
    let config = r#"
[types.bad]
executor = "llm"
[types.bad.llm.pipeline]
preprocess = ["fiels"]
validate = [{ validator = "regex", pattern = "(" }, { validator = "json_schema", schema = { type = 5 } }]
"#;
    let mut fleet = Fleet::start(&FleetOptions { workers: 0, config, ..FleetOptions::default() });
    fleet.launch(&[]);
    assert_eq!(fleet.exit_code(0, secs(20)), 2);
    let log = fleet.log(0);
    for said in ["types.bad: llm.pipeline", "fiels", "files"] {
        assert!(log.contains(said), "{said}: {log}");
    }
}

#[test]
fn the_types_of_the_examples_can_be_included() {
    let types = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/types");
    let config = format!("include = [\"{types}\"]\n");
    let scene = scene_with("", &config, 1, 1, &[]);
    let nodes = scene.fleet.windlass(&["nodes", "-o", "json"]).ok().json();
    let offered: Vec<&str> =
        nodes[0]["types"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for name in ["unit_test", "documentation", "refactoring", "code_review", "bug_fix", "analysis"] {
        assert!(offered.contains(&name), "{name}: {offered:?}");
    }
    scene.fleet.verify();
}

#[test]
fn a_version_of_a_model_is_asked_for_by_its_own_name() {
    let scene = scene("", "[providers.openai]\napi_key = \"k\"\nbase_url = \"URL\"\n", 1);
    let task = scene.ask("t", "gpt-4o-mini-2024-07-18");
    assert_eq!(task["state"], "completed", "{task}");
    assert_eq!(scene.calls_of("gpt-4o-mini-2024-07-18"), 1);
    assert_eq!(task["result"]["calls"][0]["asked"], "openai/gpt-4o-mini", "{task}");
    assert!(task["result"]["calls"][0]["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0), "{task}");
    scene.fleet.verify();
}

#[test]
fn the_server_of_one_type_is_not_used_by_others() {
    let config = "[types.own]\nexecutor = \"llm\"\nllm.base_url = \"URL\"\nllm.model = \"private\"\n";
    let scene = scene("", config, 1);
    scene.fleet.submit("own", &json!({"prompt": "Hello."}), &["--id", "own"]);
    assert_eq!(scene.finished("own", secs(20))["state"], "completed");
    assert_eq!(scene.calls_of("private"), 1);
    let payload = json!({"prompt": "Hello.", "requirements": {"free_only": true}});
    scene.fleet.submit("llm", &payload, &["--id", "any"]);
    let task = scene.finished("any", secs(20));
    assert_eq!(scene.calls_of("private"), 1, "{task}");
    scene.fleet.verify();
}

/// What a provider lists is known to its name alone, and to nobody when the worker starts.
#[test]
fn a_model_that_only_its_provider_lists_can_be_named_and_is_seen_by_people() {
    let scenario = r#"
models = [{ id = "acme/new", name = "New", context_length = 32000, pricing = { prompt = "0.000001", completion = "0.000002" } }]
"#;
    let config = r#"
[providers.openrouter]
api_key = "k"
base_url = "URL"
[types.listed]
executor = "llm"
llm.model = "openrouter/acme/new"
[types.unlisted]
executor = "llm"
llm.model = "openrouter/acme/gnu"
"#;
    let scene = scene(scenario, config, 1);
    for (id, state) in [("listed", "completed"), ("unlisted", "failed")] {
        scene.fleet.submit(id, &json!({"prompt": "Hello."}), &["--id", id]);
        let task = scene.finished(id, secs(40));
        assert_eq!(task["state"], state, "{task}");
    }
    let unlisted = scene.fleet.status("unlisted");
    assert!(text(&unlisted["error"]["message"]).contains("openrouter/acme/new"), "the nearest: {unlisted}");
    let models =
        scene.fleet.windlass(&["models", "list", "--provider", "openrouter", "-o", "json"]).ok().json();
    let new = models.as_array().and_then(|all| all.iter().find(|model| model["id"] == "openrouter/acme/new"));
    assert_eq!(new.expect("it is listed")["context"], 32000);
    scene.fleet.verify();
}
