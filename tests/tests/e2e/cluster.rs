//! Divided queues, on one server and over a real Redis Cluster of three primaries.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
    redis::RedisServer,
};

use crate::look::{assert_completed_once, lines, secs};

/// How many records a primary holds.
fn records(server: &RedisServer) -> usize {
    let connection = redis::Client::open(server.url()).and_then(|client| client.get_connection());
    let mut connection = connection.expect("a primary takes connections");
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:spec:*").query(&mut connection).expect("keys");
    keys.len()
}

fn until_runs(fleet: &Fleet, task: &str) {
    eventually("it runs", secs(10), || fleet.status(task)["state"] == "running");
}

#[test]
fn a_divided_queue_uses_every_primary_and_loses_nothing_when_a_worker_is_killed() {
    let options =
        FleetOptions { workers: 0, concurrency: 16, primaries: 3, lease: "2s", ..FleetOptions::default() };
    let mut fleet = Fleet::start(&options);
    let set = fleet.windlass(&["queues", "set", "default", "--partitions", "6", "-o", "json"]).ok();
    assert_eq!(set.json()["partitions"], 6, "{set}");
    fleet.submit_lines(&lines("t", 3000, "sleep", &json!({"ms": 5})), &["--batch", "b"]);
    let spread: Vec<usize> = std::iter::once(&fleet.redis).chain(&fleet.others).map(records).collect();
    assert_eq!(spread.iter().sum::<usize>(), 3000);
    assert!(spread.iter().all(|n| (850..=1150).contains(n)), "evenly over the primaries: {spread:?}");

    fleet.spawn_worker();
    fleet.spawn_worker();
    eventually("some are done", secs(20), || {
        fleet.queue("default")["totals"]["completed"].as_u64() > Some(300)
    });
    fleet.kill9(0);
    let finished = fleet.finish_batch("b", secs(60));
    assert_completed_once(&fleet, &finished, 3000);
    let done = fleet.queue("default");
    assert_eq!(done["totals"]["completed"], 3000, "{done}");
    assert!(done["totals"]["recovered"].as_u64() > Some(0), "what the killed worker ran, ran again: {done}");
    fleet.verify();
}

#[test]
fn every_command_works_on_a_cluster() {
    let mut fleet =
        Fleet::start(&FleetOptions { primaries: 3, workers: 0, lease: "2s", ..FleetOptions::default() });
    // Undivided queues, which lie in different slots; one is divided.
    fleet.windlass(&["queues", "set", "wide", "--partitions", "3", "--concurrency", "3"]).ok();
    fleet.spawn_worker_with(&["--queues", "default,other,wide"]);
    let queues = ["default", "other", "wide"];
    for queue in queues {
        let args = ["--queue", queue, "--batch", "b"];
        fleet.submit_lines(&lines(queue, 20, "noop", &json!({"from": queue})), &args);
    }
    let finished = fleet.finish_batch("b", secs(30));
    assert_eq!(finished.len(), 60);
    let all: Vec<String> = queues.iter().map(|queue| format!("{queue}/{queue}-7")).collect();
    let wait = [&["wait", "-o", "json"][..], &all.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    let found = fleet.windlass(&wait).ok().json();
    let ids: Vec<&Value> = found.as_array().expect("a list").iter().map(|task| &task["id"]).collect();
    assert_eq!(ids, ["default-7", "other-7", "wide-7"]);

    let task = fleet.submit("sleep", &json!({"ms": 60_000}), &["--queue", "wide", "--id", "long"]);
    until_runs(&fleet, &task);
    let running = fleet.windlass(&["tasks", "--queue", "wide", "-o", "jsonl"]).ok().jsonl();
    assert_eq!(running.len(), 1, "{running:?}");
    fleet.windlass(&["cancel", &task]).ok();
    fleet.windlass(&["wait", &task, "--timeout", "10s"]).expect_code(1);
    assert_eq!(fleet.status(&task)["state"], "cancelled");
    fleet.windlass(&["retry", &task]).ok();
    until_runs(&fleet, &task);
    fleet.windlass(&["cancel", &task]).ok();

    let events = fleet.windlass(&["events", "--queue", "wide"]).ok().jsonl();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for event in &events {
        *kinds.entry(event["reason"].to_string()).or_default() += 1;
    }
    assert_eq!(kinds[r#""submitted""#], 21, "{kinds:?}");
    assert_eq!(fleet.nodes().len(), 1);
    fleet.windlass(&["pause", "wide"]).ok();
    fleet.submit("noop", &json!(1), &["--queue", "wide", "--id", "held"]);
    fleet.windlass(&["resume", "wide"]).ok();
    fleet.windlass(&["wait", "wide/held", "--timeout", "10s"]).ok();
    let purged = fleet.windlass(&["purge", "--queue", "wide", "--state", "completed", "-o", "json"]).ok();
    assert_eq!(purged.json()["purged"], 21, "{purged}");
    let doctor = fleet.windlass(&["doctor", "--verify", "-o", "json"]).ok().json();
    let roles = doctor.as_array().expect("checks").iter().filter(|check| check["check"] == "role").count();
    assert_eq!(roles, 3, "it looks at every primary: {doctor}");
    fleet.verify();
}

/// Pods start in any order: the queue may be divided when workers and producers know it as one.
#[test]
fn a_queue_that_is_divided_while_its_workers_run_is_served_whole() {
    let fleet = Fleet::start(&FleetOptions { workers: 2, lease: "2s", ..FleetOptions::default() });
    fleet.windlass(&["queues", "set", "default", "--partitions", "4"]).ok();
    fleet.submit_lines(&lines("t", 200, "noop", &json!(1)), &["--batch", "b"]);
    let finished = fleet.finish_batch("b", secs(40));
    assert_completed_once(&fleet, &finished, 200);
    let refused = fleet.windlass(&["queues", "set", "default", "--partitions", "5"]).expect_code(4);
    assert!(refused.stderr.contains("divided already"), "{refused}");
    fleet.verify();
}
