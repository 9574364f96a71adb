//! A handler leaks memory in its worker's own process until the system gives no more, and the worker dies of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    ledger::{Entry, Ledger},
    process::{eventually, until},
};

use crate::look::{commits, secs, text};

/// Half a gibibyte of data: what a worker needs is far below, what the leak takes in two seconds is above.
const LIMIT: [&str; 2] = ["prlimit", "--data=536870912"];
const LEAKS: usize = 400;
const OTHERS: usize = 120;

/// A worker that dies when it needs more, as one in a container does.
fn launch(fleet: &mut Fleet) -> usize {
    fleet.spawn_through(&LIMIT, "examples/misbehaves", &[])
}

#[test]
fn a_handler_that_leaks_takes_three_workers_down_and_no_task_of_others() {
    let mut fleet = Fleet::start(&FleetOptions { workers: 0, lease: "2s", ..FleetOptions::default() });
    let ledger = Ledger::new(fleet.dir());
    let mut workers = [launch(&mut fleet), launch(&mut fleet)];
    let mut tasks =
        vec![json!({"type": "leak", "id": "leaks", "payload": {"mib": LEAKS}, "priority": "high"})];
    tasks.extend((1..=OTHERS).map(|n| ledger.line(&format!("t-{n}"), "0.3")));
    fleet.submit_lines(&tasks, &["--batch", "b"]);

    let mut lost = Vec::new();
    until("it is given up", secs(60), || {
        for worker in &mut workers {
            if fleet.worker(*worker).has_ended() {
                lost.push(*worker);
                *worker = launch(&mut fleet); // as its supervisor would
            }
        }
        (fleet.field("default", "leaks", "state").as_deref() == Some("failed")).then_some(())
    });
    assert_eq!(lost.len(), 3, "workers died: {lost:?}");
    for worker in lost {
        let log = fleet.log(worker);
        assert!(log.contains("memory allocation of") && log.contains("failed"), "another reason: {log}");
        assert_eq!(fleet.exit_code(worker, secs(1)), -6);
    }

    let finished = fleet.finish_batch("b", secs(40));
    let (dead, others): (Vec<Value>, Vec<Value>) =
        finished.into_iter().partition(|task| task["id"] == "leaks");
    let dead = &dead[0];
    assert_eq!((&dead["state"], &dead["reason"]), (&json!("failed"), &json!("crashed")), "{dead}");
    assert_eq!((&dead["attempt"], &dead["crashes"]), (&json!(3), &json!(3)), "{dead}");
    assert!(text(&dead["error"]["message"]).contains("3 times"), "{dead}");
    let listed = fleet.windlass(&["tasks", "--state", "failed", "-o", "json"]).ok().json();
    assert_eq!(listed[0]["id"], "leaks", "{listed}");

    let commits = commits(&fleet, "default");
    assert_eq!(others.len(), OTHERS);
    for task in &others {
        let id = text(&task["id"]);
        assert_eq!((&task["state"], commits.get(id)), (&json!("completed"), Some(&1)), "{task}");
        // A worker may die between its claim and the first word of the command.
        assert!((1..=task["attempt"].as_u64().unwrap_or(0)).contains(&(ledger.starts(id) as u64)), "{task}");
    }
    let mut entries = BTreeSet::new();
    for Entry { id, attempt, ended } in ledger.entries() {
        assert!(entries.insert((id.clone(), attempt, ended)), "attempt {attempt} of {id} ran twice");
    }

    // A node counts as lost when its heartbeat is ten seconds old.
    let are = |state: &str| fleet.nodes().iter().filter(|node| node["state"] == state).count();
    eventually("three nodes are lost", secs(20), || (are("active"), are("lost")) == (2, 3));
    let checks = fleet.windlass(&["doctor", "-o", "json"]).ok().json();
    let checks = checks.as_array().expect("a list");
    let nodes = checks.iter().find(|check| check["check"] == "nodes").expect("it looks at nodes");
    assert_eq!(nodes["status"], "warn", "{nodes}");
    assert!(text(&nodes["detail"]).contains("2 alive, 3 lost"), "{nodes}");
    fleet.verify();
}
