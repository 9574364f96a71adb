//! What is cancelled, or takes too long, stops: with all that it started.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    http_stub::HttpStub,
    process::{eventually, is_alive, until},
};

use crate::look::{assert_counters, events, lines, secs, text, time};

/// A command with a child and a grandchild that write down who they are, and stay.
struct Family {
    dir: PathBuf,
}

const SCRIPT: &str = r#"
echo $$ > "$DIR/leader"
sh -c 'echo $$ > "$DIR/child"; sleep 60 & echo $! > "$DIR/grandchild"; wait' &
wait
"#;

impl Family {
    fn new(fleet: &Fleet) -> Self {
        Self { dir: fleet.dir().to_owned() }
    }

    fn payload(&self) -> Value {
        json!({ "argv": ["sh", "-c", SCRIPT], "env": { "DIR": self.dir.to_str() } })
    }

    /// Waits until all are there.
    fn pids(&self) -> [u32; 3] {
        ["leader", "child", "grandchild"].map(|name| {
            until(&format!("the {name} runs"), secs(10), || {
                fs::read_to_string(self.dir.join(name)).ok()?.trim().parse().ok()
            })
        })
    }
}

fn assert_gone(fleet: &Fleet, pids: [u32; 3]) {
    eventually("the whole process group is gone", secs(2), || !pids.into_iter().any(is_alive));
    eventually("the workspace is removed", secs(10), || fleet.workspaces_left() == 0);
}

#[test]
fn a_running_command_is_cancelled_within_a_second_with_all_its_processes() {
    let fleet = Fleet::of_one();
    let family = Family::new(&fleet);
    let task = fleet.submit("command", &family.payload(), &["--id", "t"]);
    let pids = family.pids();
    let told = fleet.windlass(&["cancel", &task, "-o", "json"]).ok().json();
    assert_eq!((&told["state"], &told["outcome"]), (&json!("running"), &json!("cancelling")));
    fleet.wait_for_state("default", "t", "cancelled", secs(2));

    let asked = time(&events(&fleet, "default", "cancelling")[0]["at"]);
    let task = fleet.status("t");
    let took = time(&task["finished_at"]).since(asked);
    assert!(took < secs(1), "it took {took:?}: {task}");
    assert_eq!(task["reason"], "cancelled", "{task}");
    assert_counters(&task, [1, 0, 0, 0]);
    assert_gone(&fleet, pids);
    fleet.verify();
}

#[test]
fn what_waits_is_cancelled_at_once_and_what_is_finished_is_not() {
    let fleet = Fleet::start(&FleetOptions { concurrency: 1, ..FleetOptions::default() });
    fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "holder", "--concurrency-key", "k"]);
    fleet.wait_for_state("default", "holder", "running", secs(10));
    fleet.submit("noop", &json!(1), &["--id", "later", "--delay", "1h"]);
    fleet.submit("noop", &json!(1), &["--id", "waits"]);
    fleet.windlass(&["cancel", "holder"]).ok();
    fleet.wait_for_state("default", "waits", "completed", secs(5));
    fleet.windlass(&["pause", "default"]).ok();
    fleet.submit("noop", &json!(1), &["--id", "pending"]);

    let output = fleet.windlass(&["cancel", "later", "pending", "-o", "json"]).ok();
    for fate in output.json().as_array().expect("two") {
        assert_eq!(
            (&fate["state"], &fate["outcome"]),
            (&json!("cancelled"), &json!("cancelled")),
            "{output}"
        );
    }
    let again = fleet.windlass(&["cancel", "later", "-o", "json"]).ok();
    assert_eq!(again.json()["outcome"], "cancelled", "cancelling twice is no error: {again}");
    let late = fleet.windlass(&["cancel", "waits", "-o", "json"]).expect_code(1);
    let fate = late.json();
    assert_eq!((&fate["state"], &fate["outcome"]), (&json!("completed"), &json!("refused")), "{late}");
    assert_eq!(fleet.windlass(&["cancel", "nobody"]).code, 1);
    fleet.verify();
}

#[test]
fn a_parked_task_is_cancelled_at_once_and_leaves_its_key_in_order() {
    let fleet = Fleet::of_one();
    let key = ["--concurrency-key", "k"];
    fleet.submit("sleep", &json!({"ms": 60_000}), &[&["--id", "holder"], &key[..]].concat());
    fleet.wait_for_state("default", "holder", "running", secs(10));
    for id in ["first", "second"] {
        fleet.submit("noop", &json!(1), &[&["--id", id], &key[..]].concat());
        fleet.wait_for_state("default", id, "parked", secs(10));
    }
    fleet.windlass(&["cancel", "first"]).ok();
    assert_eq!(fleet.status("first")["state"], "cancelled");
    fleet.windlass(&["cancel", "holder"]).ok();
    fleet.wait_for_state("default", "second", "completed", secs(5));
    fleet.verify();
}

#[test]
fn an_attempt_that_takes_too_long_is_stopped_with_all_its_processes() {
    let fleet = Fleet::of_one();
    let family = Family::new(&fleet);
    fleet.submit("command", &family.payload(), &["--id", "t", "--timeout", "1s", "--max-attempts", "1"]);
    let pids = family.pids();
    fleet.wait_for_state("default", "t", "failed", secs(10));
    let task = fleet.status("t");
    assert_eq!(
        (&task["reason"], &task["error"]["class"]),
        (&json!("exhausted"), &json!("timeout")),
        "{task}"
    );
    assert!(text(&task["error"]["message"]).contains("longer than 1"), "{task}");
    let took = time(&task["finished_at"]).since(time(&task["started_at"]));
    assert!(took >= secs(1) && took < secs(3), "{took:?}");
    assert_gone(&fleet, pids);
    fleet.verify();
}

#[test]
fn hundreds_of_running_tasks_are_cancelled_within_a_second_each() {
    let fleet = Fleet::start(&FleetOptions { workers: 2, concurrency: 150, ..FleetOptions::default() });
    fleet.submit_lines(&lines("t", 300, "sleep", &json!({"ms": 60_000})), &["--batch", "b"]);
    eventually("all run", secs(10), || fleet.running("default") == 300);
    let ids: Vec<String> = (1..=300).map(|n| format!("t-{n}")).collect();
    let command: Vec<&str> = std::iter::once("cancel").chain(ids.iter().map(String::as_str)).collect();
    fleet.windlass(&command).ok();
    let finished = fleet.finish_batch("b", secs(10));
    assert_eq!(finished.len(), 300);
    let asked = events(&fleet, "default", "cancelling").iter().map(|event| time(&event["at"])).min();
    let asked = asked.expect("there are events");
    for task in finished {
        assert_eq!(task["state"], "cancelled", "{task}");
        assert!(time(&task["finished_at"]).since(asked) < Duration::from_millis(1500), "{task}");
    }
    fleet.verify();
}

#[test]
fn a_running_call_to_a_service_is_dropped() {
    let service = HttpStub::start(|_, _| {
        std::thread::sleep(secs(20));
        ("200 OK", "", String::new())
    });
    let fleet = Fleet::of_one();
    fleet.submit("http", &json!({ "url": service.url }), &["--id", "t"]);
    eventually("the call is on", secs(10), || !service.requests().is_empty());
    fleet.windlass(&["cancel", "t"]).ok();
    fleet.wait_for_state("default", "t", "cancelled", secs(2));
    fleet.verify();
}
