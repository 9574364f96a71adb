//! Programs one version apart share a Redis: either may be the older one, and both kinds of worker may serve one queue.

use std::fmt::Write as _;

use serde_json::{Value, json};
use windlass_tests::{fleet::Fleet, ledger::Ledger, previous, process::eventually};

use crate::{
    claim_check::noise,
    look::{assert_all_counters, assert_completed_once, assert_counters, commits, lines, secs, text},
};

const NEW: [&str; 2] = ["windlass", "windlass-worker"];
const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn fleet() -> Fleet {
    Fleet::without_workers()
}

/// Submits lines of a file with this program.
fn submit(fleet: &Fleet, windlass: &str, batch: &str, tasks: &[Value]) {
    let mut file = String::new();
    for task in tasks {
        _ = writeln!(file, "{task}");
    }
    let path = fleet.file(&format!("{batch}.jsonl"), &file);
    let args = ["submit", "--file", path.to_str().expect("a plain path"), "--batch", batch, "-o", "json"];
    let output = fleet.windlass_through(&[], windlass, &args).ok();
    assert_eq!(output.json()["accepted"], tasks.len(), "{output}");
}

/// Waits for a batch with this program.
fn finish(fleet: &Fleet, windlass: &str, batch: &str) -> Vec<Value> {
    let wait = ["wait", "--batch", batch, "--timeout", "40s"];
    let output = fleet.windlass_through(&[], windlass, &wait);
    assert!(output.code <= 1, "{output}");
    fleet.windlass_through(&[], windlass, &["results", "--batch", batch]).ok().jsonl()
}

/// Both are content with what is in Redis.
fn verify_with_both(fleet: &Fleet, old: &str) {
    fleet.verify();
    let output = fleet.windlass_through(&[], old, &["doctor", "--verify", "-o", "json"]).ok();
    assert!(output.stdout.contains("each in exactly one place"), "{output}");
}

/// What people do with a fleet, with one version as the producer and another one as the workers.
fn they_work_together(windlass: &str, worker: &str, old: &str) {
    let mut fleet = fleet();
    for _ in 0..2 {
        fleet.spawn_through(&[], worker, &["--queues", "default,other"]);
    }
    let ledger = Ledger::new(fleet.dir());
    let ask = |args: &[&str]| fleet.windlass_through(&[], windlass, args);
    ask(&["pause", "other"]).ok();

    let large = "large ".repeat(5000);
    let mut tasks = lines("t", 30, "command", &ledger.payload("0.05"));
    tasks.extend((0..4).map(|n| {
        json!({"type": "command", "id": format!("keyed-{n}"), "payload": ledger.payload("0"), "concurrency_key": "k",
               "tenant": "a", "weight": 3, "priority": "high", "metadata": {"n": n}})
    }));
    tasks.extend([
        json!({"type": "noop", "id": "large", "payload": large}),
        json!({"type": "noop", "id": "later", "delay": "1s", "payload": 1}),
    ]);
    submit(&fleet, windlass, "b", &tasks);
    let others = [
        json!({"type": "command", "id": "fails", "max_attempts": 1, "payload": {"argv": ["false"]}}),
        json!({"type": "command", "id": "is-cancelled", "payload": {"argv": ["sleep", "60"]}}),
        json!({"type": "command", "id": "times-out", "timeout": "1s", "max_attempts": 1, "payload": {"argv": ["sleep", "60"]}}),
        json!({"type": "noop", "id": "expires", "queue": "other", "expires": "1s", "payload": 1}),
    ];
    submit(&fleet, windlass, "c", &others);
    fleet.wait_for_state("default", "is-cancelled", "running", secs(20));
    ask(&["cancel", "is-cancelled"]).ok();

    let finished = finish(&fleet, windlass, "b");
    assert_completed_once(&fleet, &finished, tasks.len());
    assert_all_counters(&finished, [1, 0, 0, 0]);
    assert_eq!(ledger.entries().len(), 2 * 34, "each began once and ended once");
    let unchanged = finished.iter().find(|task| task["id"] == "large").expect("it finished");
    assert_eq!(unchanged["result"], large.as_str());

    let finished = finish(&fleet, windlass, "c");
    let ends = |id: &str| {
        let task = finished.iter().find(|task| task["id"] == id).unwrap_or_else(|| panic!("{id} is missing"));
        (text(&task["state"]).to_owned(), task["error"]["class"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ends("fails").0, "failed");
    assert_eq!(ends("is-cancelled").0, "cancelled");
    assert_eq!(ends("times-out"), ("failed".to_owned(), "timeout".to_owned()));
    assert_eq!(ends("expires").0, "expired");
    ask(&["retry", "fails"]).ok();
    fleet.wait_for_state("default", "fails", "failed", secs(20));
    assert_eq!(fleet.status("fails")["attempt"], 2);

    let nodes = ask(&["nodes", "-o", "json"]).ok().json();
    let nodes: Vec<&str> = nodes.as_array().expect("a list").iter().map(|node| text(&node["id"])).collect();
    assert_eq!(nodes.len(), 2);
    ask(&["node", "drain", nodes[0]]).ok();
    ask(&["node", "stop", nodes[1]]).ok();
    verify_with_both(&fleet, old);
    for index in 0..2 {
        let code = fleet.exit_code(index, secs(20));
        // Told so by a command, an idle worker of the previous version ended with 1 half of the time.
        assert!(code == 0 || worker != NEW[1], "{code}: {}", fleet.log(index));
    }
    assert!(fleet.nodes().is_empty(), "they said goodbye");
}

#[test]
fn a_new_producer_and_old_workers() {
    let [old, worker] = previous::programs();
    they_work_together(NEW[0], &worker, &old);
}

#[test]
fn an_old_producer_and_new_workers() {
    let [old, _] = previous::programs();
    they_work_together(&old, NEW[1], &old);
}

#[test]
fn both_kinds_of_worker_in_one_fleet_of_which_one_of_each_is_killed() {
    let [old, old_worker] = previous::programs();
    let mut fleet = fleet();
    for worker in [old_worker.as_str(), NEW[1], old_worker.as_str(), NEW[1]] {
        fleet.spawn_through(&[], worker, &[]);
    }
    let ledger = Ledger::new(fleet.dir());
    let tasks = |prefix| lines(prefix, 100, "command", &ledger.payload("0.3"));
    submit(&fleet, NEW[0], "b", &tasks("n"));
    submit(&fleet, &old, "c", &tasks("o"));
    eventually("all four work", secs(20), || ledger.entries().len() > 40);
    let survivors = [fleet.node_id(2), fleet.node_id(3)];
    fleet.kill9(0);
    fleet.kill9(1);

    // Each reads what the other one submitted.
    let mut finished = finish(&fleet, NEW[0], "c");
    finished.extend(finish(&fleet, &old, "b"));
    assert_completed_once(&fleet, &finished, 200);
    for task in &finished {
        let crashes = task["crashes"].as_u64().expect("a number");
        assert_counters(task, [1 + crashes, 0, crashes, 0]);
        let starts = ledger.starts(text(&task["id"])) as u64;
        assert!((1..=1 + crashes).contains(&starts), "{task}");
    }
    let recovered = finished.iter().filter(|task| task["crashes"] != 0).count();
    assert!((1..=8).contains(&recovered), "{recovered} of two workers with four slots each");
    for node in &survivors {
        let ran = finished.iter().filter(|task| task["node"] == node.as_str()).count();
        assert!(ran > 10, "{node} ran {ran}");
    }
    let commits = commits(&fleet, "default");
    assert_eq!(commits.len(), 200);
    verify_with_both(&fleet, &old);
}

/// A payload that the old worker cannot read, in either of the ways that are new: it fails, and nothing is run.
#[test]
fn what_an_old_worker_cannot_read_it_fails_and_a_new_one_runs_it_when_it_is_retried() {
    let [old, old_worker] = previous::programs();
    let mut fleet = fleet();
    fleet.spawn_through(&[], &old_worker, &[]);
    let sealing = format!("[sealing]\nkeys = \"{KEY}\"\n");
    let objects = fleet.dir().join("objects");
    let claim_check = format!("[claim_check]\nurl = \"file://{}\"\nabove = \"1KiB\"\n", objects.display());
    let payload = noise(4000).to_string();
    for (id, config) in [("sealed", &sealing), ("large", &claim_check)] {
        let submit = ["submit", "--type", "noop", "--id", id, "--payload", &payload];
        fleet.windlass_with_config(config, &submit).ok();
        fleet.wait_for_state("default", id, "failed", secs(20));
        let task = fleet.status(id);
        assert_eq!(task["error"]["class"], "undecodable", "{task}");
        assert!(task["result"].is_null(), "{task}");
        let shown = fleet.windlass_through(&[], &old, &["status", id, "-o", "json"]).ok();
        assert_eq!(shown.json()["state"], "failed", "{shown}");
    }
    fleet.term(0);
    assert_eq!(fleet.exit_code(0, secs(20)), 0);

    let config = fleet.file("new.toml", &format!("{sealing}{claim_check}"));
    fleet.spawn_worker_with(&["--config", config.to_str().expect("a plain path")]);
    fleet.windlass(&["retry", "--queue", "default"]).ok();
    for id in ["sealed", "large"] {
        fleet.wait_for_state("default", id, "completed", secs(20));
        let status =
            fleet.windlass_with_config(&format!("{sealing}{claim_check}"), &["status", id, "-o", "json"]);
        assert_eq!(status.ok().json()["result"].to_string(), payload);
    }
    verify_with_both(&fleet, &old);
}
