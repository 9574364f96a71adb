//! A file of tasks: what is wrong in it is told by line, and running it again changes nothing.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use serde_json::{Value, json};
use windlass_tests::{fleet::Fleet, process::spawn};

use crate::look::{lines, secs, text};

/// Lines 2, 4, 5, 7 and 9 cannot be taken; 8 is empty.
const MIXED: &str = r#"{"type":"noop","payload":1}
{"type":"noop","payload":
{"type":"noop","payload":3}
{"type":"noop","prority":"high"}
{"type":"noop","queue":"a b"}
{"type":"noop","payload":6}
{"type":"noop","timeout":"-1s"}

{"type":"noop","payload":"#;

fn rejects(fleet: &Fleet) -> Vec<Value> {
    let text = fs::read_to_string(fleet.dir().join("bad.jsonl")).expect("it was written");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn bad_lines_are_told_with_their_numbers_and_the_rest_goes_on() {
    let fleet = Fleet::without_workers();
    fleet.file("mixed.jsonl", MIXED);
    let submit = ["submit", "--file", "mixed.jsonl", "--batch", "b", "--rejects", "bad.jsonl", "-o", "json"];
    let output = fleet.windlass(&submit).expect_code(1);
    assert_eq!(
        output.json(),
        json!({"batch": "b", "accepted": 3, "duplicates": 0, "rejected": 5}),
        "{output}"
    );
    let rejects = rejects(&fleet);
    let expected = [(2, "EOF"), (4, "prority"), (5, "queue name"), (7, "timeout"), (9, "EOF")];
    assert_eq!(rejects.len(), expected.len());
    for (reject, (line, why)) in rejects.iter().zip(expected) {
        assert_eq!(reject["line"], line, "{reject}");
        assert!(text(&reject["error"]["message"]).contains(why), "{reject}");
        assert_eq!(reject["input"], MIXED.lines().nth(line - 1).unwrap_or_default(), "{reject}");
        assert!(output.stderr.contains(&format!("mixed.jsonl: line {line}: ")), "{output}");
    }
    assert_eq!(rejects[0]["error"]["class"], "malformed");

    // Mended and run again: only what is new is added.
    fleet.file("mixed.jsonl", &MIXED.replace("\"payload\":\n", "\"payload\":2}\n"));
    let output = fleet.windlass(&submit).expect_code(1);
    assert_eq!(
        (&output.json()["accepted"], &output.json()["duplicates"]),
        (&json!(1), &json!(3)),
        "{output}"
    );
    fleet.verify();
}

#[test]
fn it_stops_at_the_first_bad_line_if_told_to() {
    let fleet = Fleet::without_workers();
    fleet.file("mixed.jsonl", MIXED);
    let output = fleet
        .windlass(&["submit", "--file", "mixed.jsonl", "--batch", "b", "--on-error", "stop", "-o", "json"])
        .expect_code(1);
    assert!(output.stderr.contains("line 2"), "{output}");
    let expected = json!({"batch": "b", "accepted": 1, "duplicates": 0, "rejected": 1});
    assert_eq!(output.json(), expected, "nothing after the bad line is submitted: {output}");
    assert_eq!(fleet.total("default", "submitted"), 1);
    fleet.verify();
}

#[test]
fn tasks_come_from_standard_input_too() {
    let fleet = Fleet::of_one();
    let input: String = lines("t", 20, "noop", &json!(1)).iter().map(|line| format!("{line}\r\n")).collect();
    let output = fleet.windlass_with_input(&input, &["submit", "--file", "-", "--batch", "b", "--wait"]).ok();
    assert!(output.stderr.contains("20 accepted, 0 duplicates, 0 rejected"), "{output}");
    assert!(output.stderr.contains("20 of 20 completed"), "{output}");
    fleet.verify();
}

#[test]
fn a_line_whose_id_is_taken_by_other_content_is_a_conflict() {
    let fleet = Fleet::without_workers();
    fleet.submit("noop", &json!("first"), &["--id", "taken"]);
    fleet.file(
        "tasks.jsonl",
        concat!(
            r#"{"type":"noop","id":"free","payload":1}"#,
            "\n",
            r#"{"type":"noop","id":"taken","payload":"second"}"#,
            "\n",
            r#"{"type":"noop","id":"free","payload":1}"#,
            "\n",
            r#"{"type":"noop","id":"free","payload":2}"#,
            "\n",
        ),
    );
    let submit = ["submit", "--file", "tasks.jsonl", "--rejects", "bad.jsonl", "-o", "json"];
    let output = fleet.windlass(&submit).expect_code(1);
    let expected = json!({"batch": null, "accepted": 1, "duplicates": 1, "rejected": 2});
    assert_eq!(output.json(), expected, "{output}");
    let conflicts: Vec<(Value, Value)> = rejects(&fleet)
        .iter()
        .map(|reject| (reject["line"].clone(), reject["error"]["class"].clone()))
        .collect();
    assert_eq!(conflicts, [(json!(2), json!("conflict")), (json!(4), json!("conflict"))]);
    assert_eq!(fleet.status("taken")["payload"], "first");
    fleet.verify();
}

#[test]
fn a_line_longer_than_allowed_is_skipped_without_being_kept() {
    let fleet = Fleet::without_workers();
    let long = format!("{{\"type\":\"noop\",\"payload\":\"{}\"}}", "x".repeat(20 << 20));
    fleet.file("tasks.jsonl", &format!("{long}\n{{\"type\":\"noop\",\"payload\":2}}\n"));
    let submit = ["submit", "--file", "tasks.jsonl", "--rejects", "bad.jsonl", "-o", "json"];
    let output = fleet.windlass(&submit).expect_code(1);
    assert_eq!((&output.json()["accepted"], &output.json()["rejected"]), (&json!(1), &json!(1)), "{output}");
    let rejects = rejects(&fleet);
    assert_eq!((&rejects[0]["line"], &rejects[0]["error"]["class"]), (&json!(1), &json!("too_large")));
    assert!(text(&rejects[0]["input"]).len() < 4 << 20, "what is kept of it is bounded");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let fleet = Fleet::of_one();
    // More than a pipe holds.
    fleet.submit_lines(&lines("t", 1000, "noop", &json!("x".repeat(200))), &["--batch", "b"]);
    assert_eq!(fleet.finish_batch("b", secs(20)).len(), 1000);
    let listings: [&[&str]; 4] = [
        &["results", "--batch", "b"],
        &["results", "--queue", "default", "-o", "table"],
        &["tasks", "--state", "completed", "--limit", "1000", "-o", "jsonl"],
        &["events"],
    ];
    for args in listings {
        let mut command = fleet.command("windlass");
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command);
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        stdout.read_line(&mut first).expect("a line can be read");
        drop(stdout);
        let mut stderr = String::new();
        child.stderr.take().expect("it is piped").read_to_string(&mut stderr).expect("text");
        let status = child.wait().expect("our own child can be waited for");
        assert!(!first.is_empty(), "{args:?}");
        assert_eq!(status.code(), Some(0), "{args:?}: {stderr}");
        // `tasks` may say that there is more.
        assert!(stderr.lines().all(|line| line.starts_with("more: ")), "{args:?}: {stderr}");
    }
}

#[test]
fn a_rehearsal_tells_what_is_wrong_and_asks_nobody() {
    let fleet = Fleet::without_workers();
    fleet.file(
        "t.jsonl",
        "{\"type\":\"noop\"}\n{\"type\":\"noop\",\"weight\":99}\n{\"type\":\"elsewhere\"}\n",
    );
    // A Redis that is not there cannot be asked.
    let rehearse = |args: &[&str]| {
        fleet.windlass(&[&["--redis-url", "redis://127.0.0.1:1", "submit", "--dry-run"], args].concat())
    };
    let told = rehearse(&["--file", "t.jsonl"]).expect_code(1);
    assert!(told.stderr.contains("t.jsonl: line 2: weight") && told.stderr.contains("elsewhere"), "{told}");
    assert_eq!(
        rehearse(&["--file", "t.jsonl", "-o", "json"]).json(),
        serde_json::json!({ "good": 2, "rejected": 1 })
    );
    rehearse(&["--type", "noop"]).ok();
    rehearse(&["--type", "noop", "--weight", "99"]).expect_code(2);
}
