//! The pipeline of a type: files in, answers checked for real, mended, escalated, and files out.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Scene, scene_with};
use crate::look::{secs, text};

/// A Python that has pytest: `make test` makes one.
fn python() -> PathBuf {
    let path = std::env::var_os("WINDLASS_TEST_PYTHON").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.windlass/sdk-venv/bin/python3")),
        PathBuf::from,
    );
    assert!(
        path.exists(),
        "{} is not there: run `make servers` first, or name a Python with pytest in WINDLASS_TEST_PYTHON",
        path.display()
    );
    path
}

const CODE: &str = "def double(x):\n    return 2 * x\n";

/// The stand-in's first answer fails under pytest; the second, which has seen why, passes.
const REPAIR: &str = r#"
unmatched = "error"
[[rule]]
name = "repaired"
when = { text = "AssertionError|assert 4 == 5" }
answer = { text = "Sorry:\n```python\nfrom maths import double\n\ndef test_double():\n    assert double(2) == 4\n```\n" }
[[rule]]
name = "first"
when = { last = "Write the test file for src/maths.py" }
answer = { text = "```python\nfrom maths import double\n\ndef test_double():\n    assert double(2) == 5\n```\n" }
"#;

fn unit_test(more: &str) -> String {
    format!(
        r#"
[types.unit_test]
executor = "llm"
timeout = "2m"
llm.model = "local/m"
{more}
[types.unit_test.llm.pipeline]
preprocess = ["files", {{ stage = "template", system = "You write tests.", prompt = "{{{{ description }}}}\nWrite the test file for {{{{ target_file }}}}." }}]
postprocess = [{{ stage = "code", language = "python" }}, {{ stage = "write", to = "tests/test_{{{{ stem }}}}.py" }}]
validate = [
    {{ validator = "syntax", language = "python" }},
    {{ validator = "test_names", language = "python" }},
    {{ validator = "execution", argv = ["{}", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"], env = {{ PYTHONPATH = "src" }}, weight = 3 }},
]
threshold = 0.7
"#,
        python().display()
    )
}

fn payload() -> Value {
    json!({"description": "Test it.", "target_file": "src/maths.py", "files": {"src/maths.py": CODE}, "quality_threshold": 0.8})
}

#[test]
fn a_test_file_that_fails_under_pytest_is_mended() {
    let scene = scene_with(REPAIR, &unit_test(""), 1, 2, &[]);
    scene.fleet.submit("unit_test", &payload(), &["--id", "t", "--batch", "b"]);
    let task = scene.finished("t", secs(60));
    assert_eq!((&task["state"], &task["attempt"]), (&json!("completed"), &json!(1)), "{task}");
    let file = text(&task["result"]["files"]["tests/test_maths.py"]);
    assert!(file.contains("== 4") && !file.contains("== 5"), "{file}");
    let validation = &task["result"]["validation"];
    assert_eq!((&validation["passed"], &validation["score"]), (&json!(true), &json!(1.0)), "{task}");
    let calls = scene.stand_in.calls();
    assert_eq!(
        (&calls["by_rule"]["first"]["calls"], &calls["by_rule"]["repaired"]["calls"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(scene.fleet.workspaces_left(), 0);

    // The file is laid down where people want it.
    scene.fleet.windlass(&["results", "--batch", "b", "--write", "out"]).ok();
    let written =
        std::fs::read_to_string(scene.fleet.dir().join("out/tests/test_maths.py")).expect("it is there");
    assert_eq!(written, file);

    // What validation thought is known to the selector.
    let live = scene.gate("live").remove("local/m|unit_test").expect("figures");
    let scored: f64 = live.split(' ').nth(4).and_then(|word| word.parse().ok()).expect("a number");
    assert!(scored > 1.9, "both answers were scored: {live}");
    scene.fleet.verify();
}

#[test]
fn an_answer_that_is_not_valid_goes_to_the_next_model() {
    let scenario = r#"
[[rule]]
when = { model = "bad" }
answer = { text = "```python\ndef broken(:\n```" }
[[rule]]
when = { model = "good" }
answer = { text = "```python\nfrom maths import double\n\ndef test_double():\n    assert double(2) == 4\n```\n" }
"#;
    let config = unit_test("llm.repairs = 1\nllm.route = [\"local/good\"]").replace("local/m", "local/bad");
    let scene = scene_with(scenario, &config, 1, 2, &[]);
    scene.fleet.submit("unit_test", &payload(), &["--id", "t"]);
    let task = scene.finished("t", secs(60));
    assert_eq!(task["state"], "completed", "{task}");
    assert_eq!((scene.calls_of("bad"), scene.calls_of("good")), (2, 1), "once, mended once, then the next");
    assert_eq!(task["result"]["model"], "local/good", "{task}");
    scene.fleet.verify();
}

const ESCALATES: &str = "[[rule]]\nanswer = { text = \"Certainly not JSON.\" }\n";

fn strict(on_invalid: &str) -> String {
    format!(
        r#"
[types.strict]
executor = "llm"
max_attempts = 2
llm.model = "local/m"
llm.repairs = 0
llm.on_invalid = "{on_invalid}"
[types.strict.llm.pipeline]
validate = [{{ validator = "regex", pattern = "^\\{{" }}]
"#
    )
}

fn escalated(id: &str) -> Scene {
    let scene = scene_with(ESCALATES, &strict("escalate"), 1, 2, &[]);
    scene.fleet.submit("strict", &json!({"prompt": "Give JSON."}), &["--id", id, "--batch", "b"]);
    scene.fleet.wait_for_state("default", id, "blocked", secs(20));
    scene
}

#[test]
fn people_decide_about_what_no_model_got_right() {
    let scene = escalated("t");
    let waiting = scene.fleet.windlass(&["review", "list", "-o", "json"]).ok().json();
    assert_eq!((waiting.as_array().map(Vec::len), &waiting[0]["id"]), (Some(1), &json!("t")), "{waiting}");
    let task = scene.fleet.status("t");
    assert_eq!(
        (&task["reason"], &task["error"]["class"]),
        (&json!("escalated"), &json!("validation")),
        "{task}"
    );
    assert_eq!(task["result"]["text"], "Certainly not JSON.", "{task}");
    // The batch is not over while somebody has to decide.
    let open = scene.fleet.windlass(&["wait", "--batch", "b", "--timeout", "1s"]);
    assert_eq!(open.code, 5, "{open}");
    scene.fleet.windlass(&["review", "approve", "t", "--note", "good enough", "--by", "ann"]).ok();
    let task = scene.fleet.status("t");
    assert_eq!((&task["state"], &task["reason"]), (&json!("completed"), &json!("approved")), "{task}");
    assert_eq!(
        (&task["review"]["by"], &task["review"]["note"]),
        (&json!("ann"), &json!("good enough")),
        "{task}"
    );
    scene.fleet.windlass(&["wait", "--batch", "b", "--timeout", "5s"]).ok();
    scene.fleet.windlass(&["review", "approve", "t"]).expect_code(4);
    scene.fleet.verify();
}

#[test]
fn people_may_give_the_result_themselves_or_refuse() {
    let scene = escalated("edited");
    scene.fleet.windlass_with_input("{\"text\":\"{}\"}", &["review", "edit", "edited", "--result", "-"]).ok();
    let task = scene.fleet.status("edited");
    assert_eq!((&task["reason"], &task["result"]), (&json!("edited"), &json!({"text": "{}"})), "{task}");
    scene.fleet.submit("strict", &json!({"prompt": "Give JSON, again."}), &["--id", "refused"]);
    scene.fleet.wait_for_state("default", "refused", "blocked", secs(20));
    scene.fleet.windlass(&["review", "reject", "refused"]).ok();
    let task = scene.fleet.status("refused");
    assert_eq!((&task["state"], &task["reason"]), (&json!("failed"), &json!("rejected")), "{task}");
    scene.fleet.verify();
}

#[test]
fn without_people_the_retry_policy_decides() {
    let scene = scene_with(ESCALATES, &strict("fail"), 1, 2, &[]);
    scene.fleet.submit("strict", &json!({"prompt": "Give JSON."}), &["--id", "t"]);
    let task = scene.finished("t", secs(30));
    assert_eq!(
        (&task["reason"], &task["error"]["class"]),
        (&json!("exhausted"), &json!("validation")),
        "{task}"
    );
    assert_eq!((scene.calls(), task["ledger"]["calls"].as_array().map(Vec::len)), (2, Some(2)), "{task}");
    scene.fleet.verify();
}

#[test]
fn a_schema_is_asked_for_and_checked() {
    let scenario = r#"
[[rule]]
answers = [{ text = "Here you are: {\"colour\": 1}" }, { text = "```json\n{\"colour\": \"red\"}\n```" }]
"#;
    let scene = scene_with(scenario, "", 1, 1, &[]);
    let schema =
        json!({"type": "object", "required": ["colour"], "properties": {"colour": {"type": "string"}}});
    let payload = json!({"prompt": "Which colour?", "model": "local/m", "response_schema": schema});
    scene.fleet.submit("llm", &payload, &["--id", "t"]);
    let task = scene.finished("t", secs(20));
    assert_eq!(task["result"]["json"], json!({"colour": "red"}), "{task}");
    assert_eq!(scene.calls(), 2);
    let asked = scene.stand_in.calls_with("?prompts=1");
    assert_eq!(asked["last"][0]["request"]["response_format"]["type"], "json_schema", "{asked}");
    scene.fleet.verify();
}

#[test]
fn what_cannot_work_is_told_before_any_money_is_spent() {
    let scene = scene_with("", &unit_test(""), 1, 2, &[]);
    let task = |id: &str, payload: Value| {
        scene.fleet.submit("unit_test", &payload, &["--id", id]);
        scene.finished(id, secs(20))
    };
    for (id, payload, class, said) in [
        ("variable", json!({"target_file": "a.py", "files": {"a.py": "x"}}), "bad_request", "description"),
        ("missing", json!({"description": "d", "target_file": "nowhere.py"}), "bad_request", "nowhere.py"),
        (
            "outside",
            json!({"description": "d", "target_file": "../../etc/passwd"}),
            "bad_request",
            "../../etc/passwd",
        ),
        (
            "binary",
            json!({"description": "d", "target_file": "a.py", "files": {"a.py": "a\u{0}b"}}),
            "bad_request",
            "a.py",
        ),
        (
            "large",
            json!({"description": "d", "target_file": "a.py", "files": {"a.py": "x".repeat(100_000)}}),
            "bad_request",
            "65536",
        ),
    ] {
        let task = task(id, payload);
        assert_eq!(
            (&task["state"], &task["error"]["class"]),
            (&json!("failed"), &json!(class)),
            "{id}: {task}"
        );
        assert!(text(&task["error"]["message"]).contains(said), "{id}: {task}");
    }
    assert_eq!(scene.calls(), 0);
    scene.fleet.verify();
}

#[test]
fn tools_are_offered_and_their_calls_are_the_result() {
    let scenario =
        "[[rule]]\nanswer = { tool_calls = [{ name = \"weather\", arguments = { city = \"Oslo\" } }] }\n";
    let scene = scene_with(scenario, "", 1, 1, &[]);
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}});
    let payload = json!({"prompt": "Weather in Oslo?", "model": "local/m", "tools": [tool]});
    scene.fleet.submit("llm", &payload, &["--id", "t"]);
    let task = scene.finished("t", secs(20));
    let call = &task["result"]["tool_calls"][0]["function"];
    assert_eq!(call["name"], "weather", "{task}");
    let arguments: Value = serde_json::from_str(text(&call["arguments"])).expect("JSON");
    assert_eq!(arguments, json!({"city": "Oslo"}));
    scene.fleet.verify();
}

/// As the seeds write it: the file is read where `submit` runs, and the result is laid down there.
#[test]
fn a_file_on_the_command_line_goes_along_and_its_test_comes_back() {
    let scene = scene_with(REPAIR, &unit_test(""), 1, 2, &[]);
    std::fs::create_dir_all(scene.fleet.dir().join("src")).expect("a folder");
    scene.fleet.file("src/maths.py", CODE);
    let args = [
        "submit",
        "--type",
        "unit_test",
        "--description",
        "Test it.",
        "--target-file",
        "src/maths.py",
        "--priority",
        "high",
        "--complexity",
        "moderate",
        "--quality-threshold",
        "0.8",
        "--id",
        "t",
        "--batch",
        "b",
    ];
    scene.fleet.windlass(&args).ok();
    let task = scene.finished("t", secs(60));
    assert_eq!((&task["state"], &task["priority"]), (&json!("completed"), &json!("high")), "{task}");
    scene.fleet.windlass(&["results", "--batch", "b", "--write", "laid"]).ok();
    let laid =
        std::fs::read_to_string(scene.fleet.dir().join("laid/tests/test_maths.py")).expect("it is there");
    assert!(laid.contains("double(2) == 4"), "{laid}");
    scene.fleet.verify();
}
