use std::path::Path;

use serde_json::Value;

use super::{Scenario, Scripted, ScriptedOptions, chat, text};

fn fault(toml: &str) -> String {
    Scenario::from_toml(toml).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_its_key() {
    for (toml, line, words) in [
        ("seed = 1\nrulez = []", 2, "unknown field `rulez`"),
        ("[[rule]]\nanswer = {txt = 'x'}", 2, "unknown field `txt`"),
        ("[[rule]]\nwhen = {last = '('}", 2, "not a regular expression"),
        ("[[rule]]\n\nwhen = {model = '[a'}", 3, "not a pattern"),
        ("[[rule]]\nwhen = {path = '/v2'}", 2, "a path is one of /v1/chat/completions"),
        ("[[rule]]\nwhen = {call = 0}", 2, "the number of a call"),
        ("[[rule]]\nanswer = {text = 'x', latency = 'soon'}", 2, "\"250ms\""),
        ("[[rule]]\nanswer = {text = 'x', latency = '2s..1s'}", 2, "from the shorter to the longer"),
        ("[[rule]]\nanswer = {fault = 'brken'}", 2, "unknown fault `brken`; known: 400,"),
        ("[[rule]]\nanswer = {fault = 418}", 2, "unknown fault `418`"),
        ("[[rule]]\nanswer = {text = 'x', echo = true}", 2, "an answer has one of"),
        (
            "[[rule]]\nanswer = {text = 'x', retry_after = '1s'}",
            2,
            "`retry_after` belongs to an answer with `fault`",
        ),
        ("[[rule]]\nanswer = {text = 'x', status = 500}", 2, "`status` belongs to an answer with `body`"),
        ("[[rule]]\nanswer = {text = 'x', weight = 0}", 2, "`weight` is above 0"),
        ("[[rule]]\nlimit = {per = '1s'}", 2, "requests, tokens or concurrent"),
        ("[[rule]]\nlimit = {requests = 0}", 2, "at least 1"),
        ("[[rule]]\nanswer = {headers = {'a b' = 'c'}}", 2, "`a b` is no header's name"),
        ("models = [{name = 'x'}]", 1, "a model has an `id`"),
        ("unmatched = 'maybe'", 1, "unknown variant `maybe`"),
    ] {
        let error = fault(toml);
        assert!(error.contains(&format!("line {line}: ")) && error.contains(words), "{toml}\n{error}");
    }
    for (toml, words) in [
        ("[[rule]]\nanswer = {text = 'x'}\nanswers = [{}]", "not both"),
        ("[[rule]]\nanswers = []", "`answers` is empty"),
        ("[[rule]]\norder = 'random'\nthen = 'cycle'\nanswers = [{}]", "`then` belongs to"),
        ("[[rule]]\nname = 'a'\n[[rule]]\nname = 'a'", "two rules are named `a`"),
        ("chunk = 0", "`chunk`"),
        ("[[rule]]\nname = 'f'\nanswer = {file = 'missing.txt'}", "rule `f`, `file`: missing.txt"),
    ] {
        assert!(fault(toml).contains(words), "{toml}\n{}", fault(toml));
    }
}

#[tokio::test]
async fn a_file_may_be_json_and_name_files_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("said.txt"), "from a file").unwrap();
    let path = dir.path().join("scenario.json");
    std::fs::write(&path, r#"{"rule": [{"answer": {"file": "said.txt"}}]}"#).unwrap();
    let scenario = Some(Scenario::load(&path).unwrap());
    let server = Scripted::start(ScriptedOptions { scenario, ..ScriptedOptions::default() }).await.unwrap();
    assert_eq!(text(&server, "m", "x").await, "from a file");
    std::fs::write(&path, "{\n\"rule\": [\n{\"answr\": 1}]}").unwrap();
    let error = Scenario::load(&path).unwrap_err();
    assert_eq!(error.line(), Some(3), "{error}");
    assert!(
        error.to_string().contains("unknown field `answr`")
            && error.to_string().contains("scenario.json, line 3")
    );
    let missing = Scenario::load(&dir.path().join("none.toml")).unwrap_err().to_string();
    assert!(missing.contains("none.toml"), "{missing}");
}

#[tokio::test]
async fn without_a_rule_a_strict_scenario_refuses() {
    let server =
        super::with("unmatched = 'error'\n[[rule]]\nwhen = {model = 'a'}\nanswer = {text = 'x'}").await;
    assert_eq!(text(&server, "a", "x").await, "x");
    let refused = chat(&server, "b", "x", Value::Null).await;
    assert!(refused.status == 400 && refused.text().contains("has no rule for this request"));
}

/// The examples and those on the page are what people copy.
#[test]
fn every_example_is_a_valid_scenario() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let examples = std::fs::read_dir(root.join("examples/scenarios")).unwrap();
    let files = examples.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    assert!(
        files.map(|path| Scenario::load(&path).unwrap()).filter(|scenario| scenario.rules() > 0).count() >= 3
    );
    let page = std::fs::read_to_string(root.join("docs/scripted.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        Scenario::from_toml(block).unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
}
