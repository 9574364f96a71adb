//! A worker is killed: its tasks run elsewhere, soon, and count once.

use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    ledger::Ledger,
    process::eventually,
};

use crate::look::{assert_completed_once, assert_counters, lines, secs, time};

/// With the default lease of ten seconds.
#[test]
fn twenty_tasks_of_a_killed_worker_are_finished_by_others_within_the_lease_and_two_seconds() {
    let options = FleetOptions { concurrency: 20, lease: "", ..FleetOptions::default() };
    let mut fleet = Fleet::start(&options);
    let ledger = Ledger::new(fleet.dir());
    // What the first attempt started goes on without its worker, for a moment.
    let tasks = lines("t", 20, "command", &ledger.payload_of("5", "0"));
    fleet.submit_lines(&tasks, &["--batch", "b"]);
    eventually("all twenty run", secs(20), || ledger.entries().len() == 20);
    let victim = fleet.node_id(0);
    fleet.spawn_worker();
    fleet.spawn_worker();

    fleet.kill9(0);
    let killed = fleet.now();
    let finished = fleet.finish_batch("b", secs(30));

    assert_completed_once(&fleet, &finished, 20);
    for task in &finished {
        assert_counters(task, [2, 0, 1, 0]);
        assert_ne!(task["node"], victim.as_str(), "{task}");
        let took = time(&task["finished_at"]).since(killed);
        assert!(took <= secs(12), "finished {took:?} after the kill: {task}");
    }
    assert_eq!(fleet.queue("default")["totals"]["recovered"], 20);
    assert_eq!(fleet.nodes().iter().filter(|node| node["state"] == "lost").count(), 1);
    fleet.verify();
}

#[test]
fn a_task_that_is_cancelled_while_its_worker_is_dead_is_cancelled_by_recovery() {
    let mut fleet = Fleet::start(&FleetOptions { lease: "2s", ..FleetOptions::default() });
    let task = fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "t"]);
    fleet.wait_for_state("default", "t", "running", secs(10));
    fleet.kill9(0);
    let cancelled = fleet.windlass(&["cancel", &task, "-o", "json"]).ok();
    assert_eq!(cancelled.json()["outcome"], "cancelling", "{cancelled}");
    fleet.spawn_worker();
    fleet.wait_for_state("default", "t", "cancelled", secs(10));
    fleet.verify();
}

#[test]
fn what_a_killed_worker_held_up_goes_on() {
    let mut fleet = Fleet::start(&FleetOptions { lease: "2s", ..FleetOptions::default() });
    fleet.windlass(&["queues", "set", "default", "--concurrency", "2"]).ok();
    // One runs and keeps its key and a place of the queue, three are parked behind it.
    let line =
        |n| json!({"type": "sleep", "id": format!("t-{n}"), "payload": {"ms": 1000}, "concurrency_key": "k"});
    fleet.submit_lines(&(0..4).map(line).collect::<Vec<_>>(), &["--batch", "b"]);
    fleet.wait_for_state("default", "t-3", "parked", secs(10));
    fleet.kill9(0);
    fleet.spawn_worker();
    let finished = fleet.finish_batch("b", secs(20));
    assert_completed_once(&fleet, &finished, 4);
    assert_eq!(finished.iter().filter(|task| task["crashes"] == 1).count(), 1);
    fleet.verify();
}
