//! `review`: people decide. And `results --write`: what tasks produced is laid down.

use std::fs;

use serde_json::{Value, json};
use windlass_shared::model::State;
use windlass_tests::fleet::Fleet;

use crate::{direct::settle, look::text};

fn draft(path: &str) -> Value {
    json!({
        "text": "Here it is.\u{1b}[2J", "files": { path: "assert True\n" }, "model": "p/m", "cost_usd": 0.012,
        "validation": { "passed": false, "score": 0.4, "threshold": 0.7, "checks": [
            { "validator": "execution", "severity": "error", "ran": true, "passed": false, "score": 0.0, "weight": 3.0,
              "message": "1 failed", "duration_ms": 9 }] },
        "calls": [{ "model": "p/m", "provider": "p", "attempt": 1, "error": null, "input_tokens": 10, "output_tokens": 5,
                    "cost_usd": 0.012, "duration_ms": 800, "cached": false, "why": "place 1 of 2" }],
    })
}

/// Tasks `a` and `b` wait for people.
fn waiting() -> Fleet {
    let fleet = Fleet::without_workers();
    for id in ["a", "b"] {
        settle(&fleet, id, State::Blocked, &draft(&format!("tests/test_{id}.py")));
    }
    fleet
}

fn ids(fleet: &Fleet) -> Vec<String> {
    let list = fleet.windlass(&["review", "list", "-o", "json"]).ok().json();
    list.as_array().expect("a list").iter().map(|task| text(&task["id"]).to_owned()).collect()
}

#[test]
fn what_waits_is_listed_and_shown_with_what_is_wrong_with_it() {
    let fleet = waiting();
    assert_eq!(ids(&fleet), ["a", "b"], "the oldest first");
    let first = &fleet.windlass(&["review", "list", "-o", "json"]).ok().json()[0];
    assert_eq!(
        (&first["why"], &first["model"], &first["score"]),
        (&json!("the tests fail"), &json!("p/m"), &json!(0.4))
    );
    let shown = fleet.windlass(&["review", "show", "a"]).ok();
    for part in
        ["execution", "1 failed", "tests/test_a.py", "assert True", "place 1 of 2", "0.40, needed 0.70"]
    {
        assert!(shown.stdout.contains(part), "{part}: {shown}");
    }
    assert!(!shown.stdout.contains('\u{1b}'), "a model does not steer the terminal");
    let json = fleet.windlass(&["review", "show", "a", "-o", "json"]).ok().json();
    assert_eq!(json["draft"], draft("tests/test_a.py"));
    let listed = fleet.windlass(&["tasks", "-o", "json"]).ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "they are open: {listed}");
    assert_eq!(fleet.queue("default")["blocked"], json!(2));
    fleet.verify();
}

#[test]
fn people_approve_reject_and_edit_and_the_task_keeps_who_did_and_why() {
    let fleet = waiting();
    settle(&fleet, "c", State::Blocked, &draft("c.py"));
    fleet.windlass(&["review", "approve", "a", "--by", "ann", "--note", "fine"]).ok();
    fleet.windlass(&["review", "reject", "default/b"]).ok();
    let own = fleet.file("own.json", "{\"text\": \"mine\"}");
    fleet.windlass(&["review", "edit", "c", "--result", own.to_str().expect("a plain path")]).ok();
    let told = ["a", "b", "c"].map(|id| fleet.status(id));
    assert_eq!(told.each_ref().map(|task| text(&task["state"])), ["completed", "failed", "completed"]);
    assert_eq!(told[0]["review"], json!({"verdict": "approved", "by": "ann", "note": "fine"}));
    assert_eq!(
        (&told[0]["result"], &told[2]["result"]),
        (&draft("tests/test_a.py"), &json!({"text": "mine"}))
    );
    assert!(!text(&told[1]["review"]["by"]).is_empty(), "somebody did it: {}", told[1]);
    assert_eq!(ids(&fleet), [""; 0]);
    fleet.verify();
}

#[test]
fn a_decision_that_cannot_be_taken_is_refused() {
    let fleet = waiting();
    fleet.submit("llm", &json!({"prompt": "x"}), &["--id", "open"]);
    let unknown = fleet.windlass(&["review", "approve", "nobody", "a"]).expect_code(1);
    assert!(unknown.stderr.contains("default/nobody"), "{unknown}");
    let open = fleet.windlass(&["review", "reject", "open"]).expect_code(4);
    assert!(open.stderr.contains("default/open is pending"), "{open}");
    fleet.windlass(&["review", "approve", "a"]).expect_code(4);
    fleet.windlass(&["review", "show", "a"]).expect_code(4);
    fleet.windlass(&["review", "show", "nobody"]).expect_code(1);
    for result in ["{nope", ""] {
        fleet.windlass(&["review", "edit", "b", "--result-json", result]).expect_code(2);
    }
    fleet.windlass_with_input("not JSON", &["review", "edit", "b", "--result", "-"]).expect_code(2);
    let large = fleet.file("large.json", &json!("x".repeat(3 << 20)).to_string());
    let large = fleet.windlass(&["review", "edit", "b", "--result", large.to_str().expect("a plain path")]);
    assert!(large.code == 4 && large.stderr.contains("submit.max_payload"), "{large}");
    assert_eq!(fleet.status("b")["state"], "blocked");
    fleet.verify();
}

#[test]
fn files_of_completed_tasks_are_laid_down_and_those_of_refused_ones_are_not() {
    let fleet = waiting();
    settle(&fleet, "c", State::Completed, &json!({ "files": { "src/c.py": "c" } }));
    fleet.windlass(&["review", "approve", "a", "--by", "ann"]).ok();
    fleet.windlass(&["review", "reject", "b", "--by", "ann"]).ok();
    let write = ["results", "--queue", "default", "--write", "out"];
    let written = fleet.windlass(&write).ok();
    assert_eq!(written.jsonl().len(), 3, "results are printed all the same");
    assert!(written.stderr.contains("wrote 2 files of 2 tasks"), "{written}");
    let out = fleet.dir().join("out");
    assert_eq!(fs::read_to_string(out.join("tests/test_a.py")).expect("a file"), "assert True\n");
    assert!(!out.join("tests/test_b.py").exists(), "it was rejected");
    let again = fleet.windlass(&[&write[..], &["--quiet"]].concat()).ok();
    assert!(again.stdout.is_empty() && again.stderr.contains("2 were there already"), "{again}");

    fs::write(out.join("src/c.py"), "mine").expect("a file can be written");
    let kept = fleet.windlass(&write).expect_code(1);
    assert!(kept.stderr.contains("src/c.py: it is there with other content"), "{kept}");
    assert_eq!(fs::read_to_string(out.join("src/c.py")).expect("a file"), "mine");
    fleet.windlass(&[&write[..], &["--force"]].concat()).ok();
    assert_eq!(fs::read_to_string(out.join("src/c.py")).expect("a file"), "c");
    fleet.windlass(&["wait", "c", "--write", "alone", "-o", "json"]).ok();
    assert_eq!(fs::read_to_string(fleet.dir().join("alone/src/c.py")).expect("a file"), "c");
    fleet.windlass(&["submit", "--type", "noop", "--write", "x"]).expect_code(2);
}

#[test]
fn hostile_and_conflicting_files_are_refused() {
    let fleet = Fleet::without_workers();
    settle(&fleet, "out", State::Completed, &json!({ "files": { "../escaped": "x" } }));
    settle(&fleet, "hook", State::Completed, &json!({ "files": { ".git/hooks/post-commit": "x" } }));
    settle(&fleet, "one", State::Completed, &json!({ "files": { "same.py": "1" } }));
    settle(&fleet, "two", State::Completed, &json!({ "files": { "same.py": "2" } }));
    let refused = fleet.windlass(&["results", "--write", "out", "--quiet"]).expect_code(1);
    assert!(refused.stderr.contains("default/two and default/one give it other content"), "{refused}");
    let apart = fleet.windlass(&["results", "--write", "out", "--write-by-task", "--quiet"]).expect_code(1);
    assert!(apart.stderr.contains("default/out: the path \"../escaped\" leads out"), "{apart}");
    let out = fleet.dir().join("out");
    assert_eq!(fs::read_to_string(out.join("default/two/same.py")).expect("a file"), "2");
    assert!(!fleet.dir().join("escaped").exists() && !out.join("default/hook").exists());
    let left: Vec<_> =
        fs::read_dir(&out).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["default"], "nothing of ours is left behind");
}
