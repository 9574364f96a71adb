use std::time::Duration;

use serde_json::json;

use crate::model::{Priority, QueueName, RetryPolicy, retry::Wanted};

use super::*;

fn name(text: &str) -> TypeName {
    TypeName::new(text).unwrap()
}

const FULL: &str = r#"
[types.unit_test]
executor = "command"
description = "Runs one test"
queue = "ci"
priority = "high"
timeout = "10m"
max_attempts = 3
retry = { base = "2s", cap = "1m", classes = { timeout = "fail" } }
template = { argv = ["pytest", "-q"], limits = { cpu = 1.5 }, since = 2026-01-02 }
[types.unit_test.command]
env_allow = ["HOME", "LANG"]
success_exit_codes = [0, 5]
retry_exit_codes = []
fail_exit_codes = [2]
stdout = "json"
max_output = "64KiB"
[types.fetch]
executor = "http"
http.allow_hosts = ["*.example.org"]
[types.ask]
executor = "llm"
llm = { base_url = "http://127.0.0.1:8000/v1", model = "small", api_key = "k" }
"#;

#[test]
fn a_type_is_read_whole() {
    let config = Given::new().file(FULL).ok();
    let spec = config.type_spec(&name("unit_test")).unwrap();
    assert_eq!((spec.executor.as_str(), spec.description.as_deref()), ("command", Some("Runs one test")));
    assert_eq!(spec.queue.as_ref().map(QueueName::as_str), Some("ci"));
    assert_eq!((spec.priority, spec.timeout), (Some(Priority::High), Some(Duration::from_mins(10))));
    let template = json!({"argv": ["pytest", "-q"], "limits": {"cpu": 1.5}, "since": "2026-01-02"});
    assert_eq!(spec.template, Some(template));
    let command = CommandOptions {
        env_allow: vec!["HOME".into(), "LANG".into()],
        success_exit_codes: vec![0, 5],
        retry_exit_codes: Some(vec![]),
        fail_exit_codes: vec![2],
        stdout: Stdout::Json,
        max_output: 65_536,
    };
    assert_eq!(spec.command, command);
    assert_eq!(config.types[&name("fetch")].http.allow_hosts, ["*.example.org"]);
    let llm = &config.types[&name("ask")].llm;
    assert_eq!(
        (llm.model.as_deref(), llm.base_url.as_deref()),
        (Some("small"), Some("http://127.0.0.1:8000/v1"))
    );
}

#[test]
fn the_retry_policy_has_what_the_type_says_and_else_the_defaults() {
    let config = Given::new().file(FULL).ok();
    let expected = RetryPolicy {
        max_attempts: 3,
        base: Duration::from_secs(2),
        cap: Duration::from_mins(1),
        classes: [("timeout".to_owned(), Wanted::Fail)].into(),
    };
    assert_eq!(config.types[&name("unit_test")].retry_policy(), expected);
    assert_eq!(config.types[&name("fetch")].retry_policy(), RetryPolicy::default());
}

#[test]
fn built_in_types_exist_and_can_be_declared_anew() {
    let config = Given::new().file("[types.sleep]\nexecutor = 'sleep'\ntimeout = '5s'").ok();
    let names: Vec<_> = config.type_names().into_iter().map(String::from).collect();
    assert_eq!(names, ["command", "http", "llm", "noop", "sleep"]);
    assert_eq!(config.type_spec(&name("sleep")).unwrap().timeout, Some(Duration::from_secs(5)));
    let command = config.type_spec(&name("command")).unwrap();
    assert_eq!((command.executor.as_str(), &command.command.success_exit_codes), ("command", &vec![0]));
    assert_eq!((command.command.retry_exit_codes, command.command.max_output), (None, 1 << 20));
    assert_eq!(config.type_spec(&name("unit_test")), None);
}

#[test]
fn faults_in_types_have_their_full_path() {
    let toml = r#"
[types.unit_test]
executor = "command"
comand = { stdout = "json" }
queue = "my queue"
priority = "soon"
max_attempts = 0
template = "text"
retry = { bse = "1s", classes = { time_out = "fail", quota = "never" } }
[types.unit_test.command]
stdout = "xml"
success_exit_codes = [0, 300]
[types."a b"]
executor = "a b"
[types.empty]
[types.twice]
executor = "command"
command = { fail_exit_codes = [0] }
"#;
    let faults = Given::new().file(&format!("types.flat = 1\n{toml}")).faults();
    for start in [
        "windlass.toml: types.flat must be a table",
        "windlass.toml: unknown key types.unit_test.comand; did you mean types.unit_test.command?",
        "windlass.toml: types.unit_test.queue: queue name \"my queue\"",
        "windlass.toml: types.unit_test.priority: priority \"soon\"",
        "windlass.toml: types.unit_test.max_attempts: \"0\" is not valid: use a whole number from 1 to 1000",
        "windlass.toml: types.unit_test.template: use a table, not a string",
        "windlass.toml: unknown key types.unit_test.retry.bse; did you mean types.unit_test.retry.base?",
        "windlass.toml: types.unit_test.retry.classes: \"never\" is not valid for class quota: use retry or fail; error class \"time_out\"",
        "windlass.toml: types.unit_test.command.stdout: \"xml\" is not valid: use auto, json or text",
        "windlass.toml: types.unit_test.command.success_exit_codes: \"300\"",
        "windlass.toml: types.a b.executor: ",
        "windlass.toml: types: task type \"a b\"",
        "windlass.toml: types.empty.executor is missing: use one of noop, ",
        "windlass.toml: types.twice.command: exit code 0 is named twice",
    ] {
        assert_eq!(faults.iter().filter(|f| f.starts_with(start)).count(), 1, "{start} in {faults:#?}");
    }
    assert_eq!(faults.len(), 14, "{faults:#?}");
}
