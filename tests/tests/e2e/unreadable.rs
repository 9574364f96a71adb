//! Records that somebody or something spoilt: the task goes to the dead letter with its reason, and nothing loops.

use serde_json::json;
use windlass_shared::model::TaskId;
use windlass_tests::fleet::Fleet;

use crate::look::{assert_counters, lines, secs, text};

enum Key {
    Task,
    Spec,
}

/// Spoils a waiting task with a command on one of its keys, and gives how it ended. Healthy tasks stand around it.
fn spoil(verb: &str, key: &Key, args: &[&str]) -> serde_json::Value {
    let fleet = Fleet::of_one();
    fleet.windlass(&["pause", "default"]).ok();
    let before = lines("before", 3, "noop", &json!(1));
    let after = lines("after", 3, "noop", &json!(1));
    let spoilt = lines("t", 1, "noop", &json!({"a": 1}));
    fleet.submit_lines(&[before, spoilt, after].concat(), &["--batch", "b"]);
    let id = TaskId::new("t-1").expect("a valid id");
    let keys = fleet.queue_keys("default");
    let key = match key {
        Key::Task => keys.task(&id),
        Key::Spec => keys.spec(&id),
    };
    redis::cmd(verb).arg(key).arg(args).exec(&mut fleet.connection()).expect("Redis obeys");
    fleet.windlass(&["resume", "default"]).ok();
    for id in ["before-1", "before-2", "before-3", "after-1", "after-2", "after-3"] {
        fleet.wait_for_state("default", id, "completed", secs(10));
    }
    fleet.wait_for_state("default", "t-1", "failed", secs(10));
    let task = fleet.status("t-1");
    let counts =
        fleet.windlass(&["wait", "--batch", "b", "--timeout", "5s", "-o", "json"]).expect_code(1).json();
    assert_eq!((&counts["completed"], &counts["failed"]), (&json!(6), &json!(1)), "{counts}");
    let dead = fleet.windlass(&["tasks", "--state", "failed", "-o", "json"]).ok().json();
    assert_eq!(dead[0]["id"], "t-1", "{dead}");
    task
}

fn assert_undecodable(task: &serde_json::Value, says: &str) {
    assert_eq!(
        (&task["state"], &task["error"]["class"]),
        (&json!("failed"), &json!("undecodable")),
        "{task}"
    );
    assert!(text(&task["error"]["message"]).contains(says), "it does not say {says:?}: {task}");
    assert_counters(task, [1, 0, 0, 0]);
}

#[test]
fn a_payload_that_is_no_json() {
    assert_undecodable(
        &spoil("SET", &Key::Spec, &["batch=b type=noop created_at=1\n\n\n{oops"]),
        "payload is not JSON",
    );
}

#[test]
fn a_payload_that_is_gone() {
    assert_undecodable(
        &spoil("SET", &Key::Spec, &["batch=b type=noop created_at=1\n\n\n"]),
        "payload is gone",
    );
}

#[test]
fn a_type_that_is_gone() {
    assert_undecodable(&spoil("SET", &Key::Spec, &["batch=b created_at=1\n\n\n1"]), "no field `type`");
}

#[test]
fn options_that_are_no_json() {
    assert_undecodable(
        &spoil("SET", &Key::Spec, &["batch=b type=noop created_at=1\n\n{oops\n1"]),
        "`options`",
    );
}

#[test]
fn a_priority_that_is_none() {
    assert_undecodable(
        &spoil("SET", &Key::Spec, &["batch=b type=noop priority=urgent created_at=1\n\n\n1"]),
        "`priority`",
    );
}

#[test]
fn an_attempt_that_is_no_number() {
    let task = spoil("HSET", &Key::Task, &["state", "pending", "attempt", "many"]);
    assert_eq!(task["state"], "failed", "{task}");
}

/// A record of another kind must not take its neighbours with it.
#[test]
fn a_record_that_is_no_hash_stops_nothing_else() {
    let fleet = Fleet::of_one();
    fleet.windlass(&["pause", "default"]).ok();
    fleet.submit_lines(&lines("t", 5, "noop", &json!(1)), &[]);
    let key = fleet.queue_keys("default").task(&TaskId::new("t-2").expect("a valid id"));
    redis::cmd("SET").arg(key).arg("something else").exec(&mut fleet.connection()).expect("Redis obeys");
    fleet.windlass(&["resume", "default"]).ok();
    for id in ["t-1", "t-3", "t-4", "t-5"] {
        fleet.wait_for_state("default", id, "completed", secs(10));
    }
}
