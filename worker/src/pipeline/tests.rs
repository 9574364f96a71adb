//! Whole pipelines, as a task goes through them.

use std::{fs, os::unix::fs::symlink};

use serde_json::{Value, json};

use super::{
    testing::{World, pipeline},
    *,
};

fn draft(payload: &Value) -> Draft {
    Draft::of_payload(payload).unwrap()
}

/// The seeds' main example: tests for a file, repaired once.
#[tokio::test]
async fn a_unit_test_is_repaired_in_the_second_answer() {
    let world = World::new();
    world.source("src/calc.py", "API_KEY = 'hunter2hunter2'\n\ndef add(a, b):\n    return a + b\n");
    let pipeline = pipeline(&json!({
        "preprocess": [{"stage": "template", "system": "You write tests.", "prompt": "{{ description }} Write tests/test_{{ stem }}.py."},
                       "files", "redact", {"stage": "fit", "by": "importance"}],
        "postprocess": [{"stage": "code", "language": "python"}, {"stage": "write", "to": "tests/test_{{ stem }}.py"}],
        "validate": [{"validator": "syntax", "language": "python"}, "test_names",
                     {"validator": "forbidden", "patterns": ["eval\\("], "severity": "warning"},
                     {"validator": "execution", "argv": ["python3", "-m", "unittest", "discover", "-s", "tests", "-t", "."], "weight": 3}],
        "threshold": 0.7,
    }));
    let payload = json!({"description": "Cover add.", "target_file": "src/calc.py"});
    let env = Env { context_tokens: Some(1000), ..world.env() };
    let mut draft = draft(&payload);
    pipeline.before(&draft, &env).await.unwrap();
    pipeline.preprocess(&mut draft, &env).await.unwrap();
    let asked = draft.conversation();
    assert!(
        asked[0].content.contains("def add") && asked[0].content.ends_with("Write tests/test_calc.py."),
        "{asked:?}"
    );
    assert!(!asked[0].content.contains("hunter2"));

    let test = |sum: u8| {
        format!(
            "Here:\n```python\nimport unittest\nfrom src.calc import add\n\nclass TestAdd(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(1, 2), {sum})\n```\n"
        )
    };
    fs::create_dir_all(world.workspace().join("tests")).unwrap();
    fs::write(world.workspace().join("tests/__init__.py"), "").unwrap();
    draft.answered(test(4));
    pipeline.postprocess(&mut draft, &env).await.unwrap();
    let verdict = pipeline.validate(&draft, &env).await.unwrap();
    assert!((verdict.passed, verdict.score) == (false, 0.5), "{verdict:?}");
    assert!(verdict.feedback().contains("AssertionError: 3 != 4"), "{}", verdict.feedback());

    draft.answered(test(3));
    pipeline.postprocess(&mut draft, &env).await.unwrap();
    let verdict = pipeline.validate(&draft, &env).await.unwrap();
    assert!((verdict.passed, verdict.score) == (true, 1.0), "{verdict:?}");
    assert!(draft.files["tests/test_calc.py"].contains("add(1, 2), 3"));
    pipeline.after(&draft, &verdict, &env).await.unwrap();
}

#[tokio::test]
async fn stages_in_any_language_change_the_draft() {
    let world = World::new();
    world.source("prepare.py", "import json, sys\nd = json.load(sys.stdin)\nd['variables']['loud'] = d['variables']['description'].upper()\njson.dump({'variables': d['variables']}, sys.stdout)\n");
    let pipeline = pipeline(&json!({
        "preprocess": [{"stage": "command", "argv": ["python3", "prepare.py"]}, {"stage": "template", "prompt": "{{ loud }}"}],
        "postprocess": [{"stage": "command", "argv": ["sh", "-c", "cat > /dev/null; echo '{\"output\": \"made\", \"files\": {\"a.txt\": \"x\"}}'"]},
                        "write", {"stage": "command", "argv": ["sh", "-c", "cat > /dev/null; test -f \"$WINDLASS_WORKSPACE/a.txt\""]}],
    }));
    let mut draft = draft(&json!({"description": "hello"}));
    pipeline.preprocess(&mut draft, &world.env()).await.unwrap();
    assert_eq!(draft.messages[0].content, "HELLO");
    draft.answered("raw");
    pipeline.postprocess(&mut draft, &world.env()).await.unwrap();
    assert_eq!((draft.output.as_str(), draft.files["a.txt"].as_str()), ("made", "x"));
}

#[tokio::test]
async fn a_command_that_fails_has_a_class() {
    let world = World::new();
    for (script, class, said) in [
        ("echo password = \\'hunter2\\' >&2; exit 1", ErrorClass::ExitCode, "[redacted:password]"),
        ("echo no tests >&2; exit 65", ErrorClass::MalformedOutput, "no tests"),
        ("echo '{\"ouptut\": 1}'", ErrorClass::BadRequest, "unknown field `ouptut`"),
        ("echo '{\"files\": {\"../x\": \"\"}}'", ErrorClass::BadRequest, "without `..`"),
        ("sleep 600", ErrorClass::Timeout, "took longer"),
    ] {
        let timeout = if script.starts_with("sleep") { "500ms" } else { "60s" };
        let entry = json!({"stage": "command", "argv": ["sh", "-c", script], "timeout": timeout});
        let pipeline = pipeline(&json!({ "postprocess": [entry] }));
        let failure =
            pipeline.postprocess(&mut draft(&json!({"prompt": "x"})), &world.env()).await.unwrap_err();
        assert_eq!(failure.class, class, "{script}: {failure}");
        assert!(
            failure.message.contains(said) && !failure.message.contains("hunter2"),
            "{script}: {failure}"
        );
    }
}

#[tokio::test]
async fn what_is_missing_or_too_long_fails_before_a_call() {
    let world = World::new();
    let template =
        pipeline(&json!({"preprocess": [{"stage": "template", "prompt": "Test {{ target_file }}."}]}));
    let failure =
        template.preprocess(&mut draft(&json!({"description": "d"})), &world.env()).await.unwrap_err();
    assert!(
        failure.class == ErrorClass::BadRequest && failure.message.contains("`target_file` is not defined"),
        "{failure}"
    );
    let none = pipeline(&json!({}));
    let failure = none.preprocess(&mut draft(&json!({"x": 1})), &world.env()).await.unwrap_err();
    assert!(failure.message.contains("asks nothing"), "{failure}");
    let env = Env { context_tokens: Some(10), ..world.env() };
    let failure = none.preprocess(&mut draft(&json!({"prompt": "x ".repeat(100)})), &env).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::ContextLength);
}

#[tokio::test]
async fn an_earlier_answer_leaves_nothing_in_the_workspace() {
    let world = World::new();
    let pipeline = pipeline(&json!({"preprocess": ["files"], "postprocess": ["code", "write"]}));
    let mut draft = draft(&json!({"prompt": "x", "files": {"kept.py": "original\n"}}));
    pipeline.preprocess(&mut draft, &world.env()).await.unwrap();
    draft.answered("```python kept.py\nchanged\n```\n```python extra.py\nx\n```");
    pipeline.postprocess(&mut draft, &world.env()).await.unwrap();
    assert_eq!(fs::read_to_string(world.workspace().join("kept.py")).unwrap(), "changed\n");
    draft.answered("```python other.py\ny\n```");
    pipeline.postprocess(&mut draft, &world.env()).await.unwrap();
    assert_eq!(fs::read_to_string(world.workspace().join("kept.py")).unwrap(), "original\n");
    assert!(!world.workspace().join("extra.py").exists());
    assert_eq!(draft.files.keys().collect::<Vec<_>>(), ["other.py"]);
}

#[tokio::test]
async fn nothing_is_written_outside_of_the_workspace() {
    let (world, outside) = (World::new(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("victim"), "safe").unwrap();
    let pipeline = pipeline(&json!({"postprocess": ["code", {"stage": "write", "to": "{{ to }}"}]}));
    // As a command of an earlier stage, or a test, might have left them.
    symlink(outside.path(), world.workspace().join("folder")).unwrap();
    symlink(outside.path().join("victim"), world.workspace().join("file")).unwrap();
    for (to, class) in [
        ("../x", Some(ErrorClass::BadRequest)),
        ("/tmp/x", Some(ErrorClass::BadRequest)),
        ("", Some(ErrorClass::BadRequest)),
        ("folder/new", Some(ErrorClass::MalformedOutput)),
        ("file", None),
    ] {
        let mut draft = draft(&json!({"prompt": "x", "to": to}));
        draft.answered("text");
        let written = pipeline.postprocess(&mut draft, &world.env()).await;
        assert_eq!(written.err().map(|failure| failure.class), class, "{to}");
    }
    assert_eq!(fs::read_to_string(outside.path().join("victim")).unwrap(), "safe");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(world.workspace().join("file")).unwrap(), "text\n");
}

#[tokio::test]
async fn an_answer_of_any_kind_is_no_crash() {
    let world = World::new();
    let pipeline =
        pipeline(&json!({"postprocess": [{"stage": "code", "language": "python"}, "redact", "write"],
        "validate": [{"validator": "syntax", "language": "python"}]}));
    for answer in [
        String::new(),
        "\u{fffd}\0".into(),
        "`".repeat(100_000),
        "```".repeat(50_000),
        "```\n".repeat(50_000),
        "(".repeat(200_000),
        "x".repeat(5 << 20),
    ] {
        let mut draft = draft(&json!({"prompt": "x"}));
        draft.answered(answer);
        let failure = pipeline.postprocess(&mut draft, &world.env()).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::MalformedOutput);
        let _ = pipeline.validate(&draft, &world.env()).await.unwrap();
    }
}

#[tokio::test]
async fn costly_validators_wait_for_the_cheap_ones() {
    let world = World::new();
    let pipeline = pipeline(&json!({
        "validate": [{"validator": "regex", "pattern": "good", "name": "says good"},
                     {"validator": "judge", "prompt": "x", "weight": 3},
                     {"validator": "max_length", "chars": 1000, "severity": "info"}],
    }));
    let mut draft = draft(&json!({"prompt": "x"}));
    draft.answered("bad");
    let verdict = pipeline.validate(&draft, &world.env()).await.unwrap();
    let ran: Vec<_> = verdict.checks.iter().map(|check| (check.validator.as_str(), check.ran)).collect();
    assert_eq!(ran, [("says good", true), ("judge", false), ("max_length", true)]);
    assert_eq!((verdict.score, verdict.checks[2].weight), (0.0, 0.0));
    assert!(world.model.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_tasks_own_threshold_goes_first() {
    let world = World::new();
    let pipeline = pipeline(&json!({
        "validate": [{"validator": "max_length", "chars": 1, "severity": "warning"}, {"validator": "max_length", "chars": 9}],
        "threshold": 0.9,
    }));
    let mut draft = draft(&json!({"prompt": "x"}));
    draft.answered("long");
    assert!(!pipeline.validate(&draft, &world.env()).await.unwrap().passed);
    let env = Env { threshold: Some(0.5), ..world.env() };
    assert!(pipeline.validate(&draft, &env).await.unwrap().passed);
}

#[tokio::test]
async fn hooks_are_told_and_can_stop_an_attempt() {
    let world = World::new();
    let log = |name: &str| json!({"argv": ["sh", "-c", format!("cat > \"$WINDLASS_SOURCE/{name}\"")]});
    let failing = json!({"argv": ["sh", "-c", "cat > /dev/null; echo not today >&2; exit 1"]});
    let told = pipeline(
        &json!({"hooks": {"before": [log("before")], "after": [log("after")], "error": [failing, log("error")]}}),
    );
    let draft = draft(&json!({"prompt": "x"}));
    let verdict = told.validate(&draft, &world.env()).await.unwrap();
    told.before(&draft, &world.env()).await.unwrap();
    told.after(&draft, &verdict, &world.env()).await.unwrap();
    told.failed(&draft, &Failure::new(ErrorClass::Quota, "no credit"), &world.env()).await;
    let read = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(world.source_path().join(name)).unwrap()).unwrap()
    };
    assert_eq!(read("before")["draft"]["messages"][0]["content"], "x");
    assert_eq!(read("after")["verdict"]["passed"], true);
    assert_eq!(read("error")["error"], json!({"class": "quota", "message": "no credit"}));
    let stops = pipeline(&json!({"hooks": {"before": [failing], "after": [failing]}}));
    for failure in
        [stops.before(&draft, &world.env()).await, stops.after(&draft, &verdict, &world.env()).await]
    {
        assert!(failure.unwrap_err().message.contains("exit code 1: not today"));
    }
}

#[test]
fn everything_wrong_is_told_at_the_start() {
    let spec = PipelineSpec::read(&json!({
        "preprocess": [{"stage": "template", "prompt": "{{ x"}, {"stage": "files", "context": ["../*"]},
                       {"stage": "redact", "patterns": {"a": "("}}, {"stage": "command", "argv": ["{% x %}"]}],
        "postprocess": [{"stage": "write", "to": "{{"}],
        "validate": [{"validator": "regex", "pattern": "("}, {"validator": "forbidden", "patterns": ["x", "["]},
                     {"validator": "json_schema", "schema": {"type": "objekt"}}, {"validator": "judge", "prompt": "{{"},
                     {"validator": "execution", "expect": "("}, {"validator": "command", "argv": ["x"], "env": {"A=B": "x"}},
                     {"validator": "test_names", "language": "json"}, {"validator": "coverage", "min": 1, "report": "{{"}],
        "hooks": {"error": [{"argv": ["{{"]}]},
    }))
    .unwrap();
    let faults = Pipeline::new(&spec).unwrap_err();
    for said in [
        "preprocess[0].prompt: syntax error",
        "preprocess[1].context: pattern \"../*\" is not relative",
        "preprocess[2].patterns.a: regex parse error",
        "preprocess[3].argv[0]: ",
        "postprocess[0].to: ",
        "validate[0].pattern: regex parse error",
        "validate[1].patterns[1]: regex parse error",
        "validate[2].schema",
        "validate[3].prompt: ",
        "validate[4].expect: ",
        "validate[5].env: ",
        "validate[6].language: json has no tests",
        "validate[7].report: ",
        "hooks.error[0].argv[0]: ",
    ] {
        assert!(
            faults.iter().any(|fault| fault.starts_with(said)),
            "{said}\nis not in\n{}",
            faults.join("\n")
        );
    }
    assert_eq!(faults.len(), 14, "{}", faults.join("\n"));
}
