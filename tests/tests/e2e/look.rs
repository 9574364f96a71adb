//! Reading what `windlass` printed.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use windlass_shared::model::Micros;
use windlass_tests::fleet::Fleet;

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A time that was printed.
pub(crate) fn time(value: &Value) -> Micros {
    Micros::parse(value.as_str().expect("a time")).expect("RFC 3339")
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The transitions of a queue, or those of them that `kind` names.
pub(crate) fn events(fleet: &Fleet, queue: &str, kind: &str) -> Vec<Value> {
    let all = ["events", "--queue", queue];
    let some = ["events", "--queue", queue, "--type", kind];
    fleet.windlass(if kind.is_empty() { &all } else { &some }).ok().jsonl()
}

/// How often each task was committed, by the event log.
pub(crate) fn commits(fleet: &Fleet, queue: &str) -> BTreeMap<String, usize> {
    let mut commits = BTreeMap::new();
    for event in events(fleet, queue, "completed") {
        *commits.entry(text(&event["id"]).to_owned()).or_default() += 1;
    }
    commits
}

/// Fails unless every task completed, each was committed once, and there are as many as expected.
pub(crate) fn assert_completed_once(fleet: &Fleet, tasks: &[Value], expected: usize) {
    assert_eq!(tasks.len(), expected);
    let commits = commits(fleet, "default");
    for task in tasks {
        assert_eq!(task["state"], "completed", "{task}");
        assert_eq!(commits.get(text(&task["id"])), Some(&1), "{task}");
    }
}

/// Fails unless each task has these counters: attempts, retries, crashes, interruptions.
pub(crate) fn assert_counters(task: &Value, expected: [u64; 4]) {
    let counters = ["attempt", "retries", "crashes", "interruptions"].map(|name| task[name].as_u64());
    assert_eq!(counters, expected.map(Some), "{task}");
}

/// The same for all of them.
pub(crate) fn assert_all_counters(tasks: &[Value], expected: [u64; 4]) {
    for task in tasks {
        assert_counters(task, expected);
    }
}

/// Lines of `count` tasks with ids `PREFIX-1`, `PREFIX-2`, …
pub(crate) fn lines(prefix: &str, count: usize, task_type: &str, payload: &Value) -> Vec<Value> {
    (1..=count)
        .map(|n| json!({ "type": task_type, "id": format!("{prefix}-{n}"), "payload": payload }))
        .collect()
}
