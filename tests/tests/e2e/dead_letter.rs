//! What failed for good can be looked at, tried again, and deleted.

use serde_json::{Value, json};
use windlass_tests::fleet::{Fleet, FleetOptions};

use crate::look::{assert_counters, secs, text, time};

/// A command that fails until a file is there.
fn picky(fleet: &Fleet) -> Value {
    json!({ "argv": ["test", "-e", fleet.dir().join("mended").to_str()] })
}

fn mend(fleet: &Fleet) {
    fleet.file("mended", "");
}

fn submit_failing(fleet: &Fleet, ids: &[&str], args: &[&str]) {
    for id in ids {
        fleet.submit("command", &picky(fleet), &[&["--id", id, "--max-attempts", "1"], args].concat());
        fleet.wait_for_state("default", id, "failed", secs(10));
    }
}

fn dead(fleet: &Fleet) -> Vec<String> {
    let tasks = fleet.windlass(&["tasks", "--state", "failed", "-o", "jsonl"]).ok().jsonl();
    tasks.iter().map(|task| text(&task["id"]).to_owned()).collect()
}

#[test]
fn a_failed_task_says_why_and_is_retried_with_fresh_counters() {
    let fleet = Fleet::of_one();
    submit_failing(&fleet, &["t"], &[]);
    let task = fleet.status("t");
    assert_eq!(
        (&task["reason"], &task["error"]["class"]),
        (&json!("exhausted"), &json!("exit_code")),
        "{task}"
    );
    assert_eq!(task["error"]["message"], "exit code 1", "{task}");
    assert_eq!(dead(&fleet), ["t"]);
    let output = fleet.windlass(&["wait", "t"]).expect_code(1);
    assert!(output.stderr.contains("did not complete"), "{output}");

    mend(&fleet);
    let retried = fleet.windlass(&["retry", "default/t", "-o", "json"]).ok().json();
    assert_eq!((&retried["ref"], &retried["outcome"]), (&json!("default/t"), &json!("retried")));
    fleet.wait_for_state("default", "t", "completed", secs(5));
    let task = fleet.status("t");
    assert_counters(&task, [2, 0, 0, 0]);
    assert_eq!(task["error"], Value::Null, "{task}");
    assert_eq!(dead(&fleet), Vec::<String>::new());
    let again = fleet.windlass(&["retry", "t", "-o", "json"]).expect_code(1);
    assert_eq!(again.json()["outcome"], "refused", "{again}");
    fleet.verify();
}

#[test]
fn the_whole_dead_letter_or_the_failed_tasks_of_a_batch_are_retried() {
    let fleet = Fleet::of_one();
    submit_failing(&fleet, &["a", "b"], &["--batch", "one"]);
    submit_failing(&fleet, &["c"], &["--batch", "two"]);
    submit_failing(&fleet, &["d"], &[]);
    assert_eq!(dead(&fleet), ["d", "c", "b", "a"], "the newest first");
    let counts = fleet.windlass(&["wait", "--batch", "one", "-o", "json"]).expect_code(1).json();
    assert_eq!(
        counts,
        json!({"batch": "one", "total": 2, "completed": 0, "failed": 2, "cancelled": 0, "expired": 0})
    );
    mend(&fleet);
    let output = fleet.windlass(&["retry", "--batch", "one", "-o", "json"]).ok();
    assert_eq!(output.json(), json!({"retried": 2}));
    assert_eq!(fleet.windlass(&["wait", "--batch", "one", "--timeout", "10s"]).code, 0);
    assert_eq!(dead(&fleet), ["d", "c"]);
    let output = fleet.windlass(&["retry", "--queue", "default", "-o", "json"]).ok();
    assert_eq!(output.json(), json!({"retried": 2}));
    assert_eq!(fleet.windlass(&["wait", "c", "d", "--timeout", "10s"]).code, 0);
    fleet.verify();
}

#[test]
fn a_retry_by_policy_waits_longer_each_time_and_is_charged() {
    let fleet = Fleet::of_one();
    let line = json!({
        "type": "command", "id": "t", "payload": picky(&fleet), "max_attempts": 3,
        "retry": {"base": "100ms", "cap": "200ms"},
    });
    fleet.submit_lines(&[line], &[]);
    fleet.wait_for_state("default", "t", "failed", secs(10));
    let task = fleet.status("t");
    assert_eq!(task["reason"], "exhausted", "{task}");
    assert_counters(&task, [3, 2, 0, 0]);
    fleet.verify();
}

/// With the default lease a beat comes every 3.3 s only: the back-off must not wait for it.
#[test]
fn a_retry_is_not_later_than_its_back_off_says() {
    let fleet = Fleet::start(&FleetOptions { lease: "", ..FleetOptions::default() });
    let line = json!({
        "type": "command", "id": "t", "payload": picky(&fleet), "max_attempts": 4,
        "retry": {"base": "100ms", "cap": "100ms"},
    });
    fleet.submit_lines(&[line], &[]);
    fleet.wait_for_state("default", "t", "failed", secs(20));
    let task = fleet.status("t");
    let took = time(&task["finished_at"]).since(time(&task["created_at"]));
    assert!(took < secs(4), "three back-offs of 100 ms at the most took {took:?}: {task}");
    fleet.verify();
}

#[test]
fn what_cannot_be_helped_by_trying_again_fails_at_once() {
    let fleet = Fleet::of_one();
    let submit = ["submit", "--type", "sleep", "--payload", "{\"ms\":\"x\"}", "--wait", "-o", "json"];
    let output = fleet.windlass(&submit).expect_code(1);
    let task = output.json();
    assert_eq!(
        (&task["reason"], &task["error"]["class"]),
        (&json!("failed"), &json!("bad_request")),
        "{task}"
    );
    assert_counters(&task, [1, 0, 0, 0]);
    fleet.verify();
}

#[test]
fn purging_deletes_one_state_of_one_queue() {
    let fleet = Fleet::of_one();
    submit_failing(&fleet, &["f1", "f2"], &["--batch", "b"]);
    fleet.submit("noop", &json!(1), &["--id", "done", "--batch", "b"]);
    fleet.wait_for_state("default", "done", "completed", secs(5));
    fleet.windlass(&["pause", "default"]).ok();
    fleet.submit("noop", &json!(1), &["--id", "p"]);
    fleet.submit("noop", &json!(1), &["--id", "s", "--delay", "1h"]);
    for (state, purged, gone) in [
        ("failed", 2, "f1"),
        ("pending", 1, "p"),
        ("scheduled", 1, "s"),
        ("cancelled", 0, "f2"),
        ("completed", 1, "done"),
    ] {
        let output = fleet.windlass(&["purge", "--queue", "default", "--state", state, "-o", "json"]).ok();
        assert_eq!(output.json(), json!({ "purged": purged }), "{state}");
        assert_eq!(fleet.windlass(&["status", gone]).code, 1);
        fleet.verify();
    }
    assert_eq!(fleet.windlass(&["tasks", "-o", "json"]).ok().json(), json!([]));
}
