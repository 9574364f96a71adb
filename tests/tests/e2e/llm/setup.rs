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
