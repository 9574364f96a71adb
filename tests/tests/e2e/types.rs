//! Task types that a file declares, and what the built-in ones promise through the real programs.

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
};

use crate::look::{assert_counters, secs, text};

const CONFIG: &str = r#"
[types.greet]
executor = "command"
description = "Greets somebody"
template = { argv = ["printf", "%s from %s", "{{ payload.name }}", "{{ task.id }}"] }

[types.echo]
executor = "command"
queue = "echoes"
priority = "high"
max_attempts = 2
template = { argv = ["cat"] }
command.stdout = "json"

[types.picky]
executor = "command"
template = { argv = ["sh", "-c", "exit {{ payload.code }}"] }
retry = { base = "10ms" }
max_attempts = 2
command = { success_exit_codes = [0, 5], fail_exit_codes = [7] }
"#;

fn fleet(config: &str) -> Fleet {
    let args = ["--queues", "default,echoes"];
    Fleet::start(&FleetOptions { args: &args, config, ..FleetOptions::default() })
}

/// Submits a task, waits for its end, and gives it.
fn done(fleet: &Fleet, task_type: &str, payload: &Value, args: &[&str]) -> Value {
    let payload = payload.to_string();
    let submit = ["submit", "--type", task_type, "--payload", &payload, "--wait", "-o", "json"];
    let output = fleet.windlass(&[&submit[..], args].concat());
    assert!(output.code <= 1, "{output}");
    output.json()
}

#[test]
fn a_type_fills_its_template_and_takes_what_is_submitted_as_data() {
    let fleet = fleet(CONFIG);
    let nasty = "$(id) '; exit 1 #{{ 7*7 }}\n%s";
    let task = done(&fleet, "greet", &json!({ "name": nasty }), &["--id", "t"]);
    assert_eq!(task["state"], "completed", "{task}");
    assert_eq!(task["result"]["stdout"], format!("{nasty} from t"), "{task}");
    let missing = done(&fleet, "greet", &json!({"nam": "x"}), &[]);
    assert_eq!((&missing["error"]["class"], &missing["attempt"]), (&json!("bad_request"), &json!(1)));
    assert!(text(&missing["error"]["message"]).contains("payload.name"), "{missing}");
    fleet.verify();
}

#[test]
fn a_type_says_where_its_tasks_go_and_a_command_gets_the_task_on_stdin() {
    let fleet = fleet(CONFIG);
    let task = done(&fleet, "echo", &json!({"a": [1, 2.50]}), &["--metadata", "who=me"]);
    assert_eq!((&task["queue"], &task["priority"]), (&json!("echoes"), &json!("high")), "{task}");
    let read = &task["result"]["stdout"];
    assert_eq!((&read["id"], &read["type"], &read["queue"]), (&task["id"], &json!("echo"), &json!("echoes")));
    assert_eq!((&read["payload"], &read["metadata"]), (&json!({"a": [1, 2.50]}), &json!({"who": "me"})));
    assert_eq!(read["attempt"], 1);
    let elsewhere = done(&fleet, "echo", &json!(1), &["--queue", "default", "--priority", "low"]);
    assert_eq!((&elsewhere["queue"], &elsewhere["priority"]), (&json!("default"), &json!("low")));
    fleet.verify();
}

#[test]
fn exit_codes_mean_what_the_type_says() {
    let fleet = fleet(CONFIG);
    for (code, state, reason, attempts) in [
        (0, "completed", "completed", 1),
        (5, "completed", "completed", 1),
        (7, "failed", "failed", 1),
        (9, "failed", "exhausted", 2),
    ] {
        let task = done(&fleet, "picky", &json!({ "code": code }), &[]);
        assert_eq!((&task["state"], &task["reason"]), (&json!(state), &json!(reason)), "{task}");
        assert_counters(&task, [attempts, attempts - 1, 0, 0]);
    }
    fleet.verify();
}

#[test]
fn a_command_sees_no_secret_keeps_to_its_workspace_and_reports_progress() {
    let env = [("OPENAI_API_KEY", "sk-hidden"), ("SOME_TOKEN", "hidden-too")];
    let fleet = Fleet::start(&FleetOptions { env: &env, ..FleetOptions::default() });
    let script = "echo '::progress {\"done\": 1}' >&2; echo told >&2; while [ ! -e \"$GO\" ]; do sleep 0.05; done; \
                  mkdir out; cat in.txt > out/a.txt; pwd; env";
    let go = fleet.dir().join("go");
    let payload = json!({
        "argv": ["sh", "-c", script], "env": { "GO": go.to_str() }, "files": { "in.txt": "hello" },
        "collect": ["out/*.txt"],
    });
    fleet.submit("command", &payload, &["--id", "t"]);
    eventually("the beat delivers its progress", secs(10), || {
        fleet.status("t")["progress"] == json!({"done": 1})
    });
    fleet.file("go", "");
    fleet.wait_for_state("default", "t", "completed", secs(10));
    let result = &fleet.status("t")["result"];
    let stdout = text(&result["stdout"]);
    assert!(!stdout.contains("hidden"), "{stdout}");
    let workspaces = fleet.workspaces().canonicalize().expect("it was made");
    assert!(stdout.starts_with(workspaces.to_str().expect("a plain path")), "{stdout}");
    assert!(stdout.contains("WINDLASS_TASK_ID=t\n") && stdout.contains("WINDLASS_ATTEMPT=1\n"), "{stdout}");
    assert_eq!(result["files"], json!({"out/a.txt": "hello"}));
    assert_eq!(result["stderr"], "told\n");
    assert_eq!(fleet.workspaces_left(), 0, "the workspace is gone");
    fleet.verify();
}

#[test]
fn a_result_that_is_too_large_is_a_failure_and_not_stored() {
    let config = "[worker]\nmax_result = \"1KiB\"\n";
    let fleet = fleet(config);
    let task = done(&fleet, "noop", &json!("x".repeat(2000)), &[]);
    assert_eq!((&task["state"], &task["error"]["class"]), (&json!("failed"), &json!("result_too_large")));
    assert_eq!(task["result"], Value::Null, "{task}");
    fleet.verify();
}
