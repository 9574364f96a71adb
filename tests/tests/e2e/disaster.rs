//! The drill of docs/disaster.md: queues are copied out of a Redis that then is lost with all its data, and come back.
//! And doctor repairs what a foreign hand did.

use std::{collections::BTreeMap, path::Path};

use rustix::process::Signal;
use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{Output, eventually},
};

use crate::look::{lines, secs, text};

fn path_of(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Tasks of a queue by state, but for those that finished well, which `queues` counts.
fn counts(fleet: &Fleet, queue: &str) -> BTreeMap<&'static str, u64> {
    let view = fleet.queue(queue);
    let of = |name: &'static str| (name, view[name].as_u64().unwrap_or(0));
    let mut counts = BTreeMap::from(["scheduled", "running", "parked", "failed"].map(of));
    counts.insert("pending", view["pending"]["normal"].as_u64().unwrap_or(0));
    counts.insert("completed", view["totals"]["completed"].as_u64().unwrap_or(0));
    counts
}

fn ids(tasks: &[Value]) -> Vec<String> {
    let mut ids: Vec<String> = tasks.iter().map(|task| text(&task["id"]).to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn the_drill() {
    let mut fleet = Fleet::start(&FleetOptions { lease: "2s", ..FleetOptions::default() });
    let batch = ["--batch", "b"];
    let done = lines("done", 10, "noop", &json!({"n": 1}));
    fleet.submit_lines(&done, &batch);
    fleet.submit(
        "command",
        &json!({"argv": ["false"]}),
        &["--id", "bad", "--max-attempts", "1", "--batch", "b"],
    );
    fleet.wait_for_state("default", "bad", "failed", secs(10));
    fleet.submit("noop", &json!(1), &["--id", "later", "--delay", "15s", "--batch", "b"]);
    for id in ["k1", "k2", "k3"] {
        fleet.submit("sleep", &json!({"ms": 3000}), &["--id", id, "--concurrency-key", "k", "--batch", "b"]);
    }
    fleet.wait_for_state("default", "k3", "parked", secs(10));
    let waiting = lines("wait", 40, "sleep", &json!({"ms": 400}));
    fleet.submit_lines(&waiting, &batch);

    // The copy. What runs ends first; what waits is copied as it is.
    let output = fleet.windlass(&["export", "--all", "--pause", "--file", "fleet.export"]).ok();
    assert!(output.stderr.contains("queue default goes on"), "{output}");
    fleet.windlass(&["pause", "default"]).ok();
    eventually("nothing runs", secs(10), || fleet.running("default") == 0);
    fleet.redis.restart(); // it has no file: all is gone
    assert_eq!(counts(&fleet, "default").values().sum::<u64>(), 0);

    let output = fleet.windlass(&["import", "--file", "fleet.export", "--keep-paused"]).ok();
    assert!(output.stderr.contains("each in exactly one place"), "{output}");
    let back = counts(&fleet, "default");
    assert_eq!((back["failed"], back["scheduled"], back["running"]), (1, 1, 0), "{back:?}");
    assert!(back["completed"] >= 10 && back["pending"] >= 30, "{back:?}");
    // Opening a queue lets parked tasks try again, as each change of its settings does.
    assert_eq!(back.values().sum::<u64>(), 55, "{back:?}");
    assert_eq!(fleet.status("done-3")["result"], json!({"n": 1}));
    fleet.verify();

    // Who submits again what was there submits nothing.
    let again: String = done.iter().chain(&waiting).map(|line| format!("{line}\n")).collect();
    let file = fleet.file("again.jsonl", &again);
    let output =
        fleet.windlass(&["submit", "--file", path_of(&file), "--batch", "b", "-o", "json"]).ok().json();
    assert_eq!(output["duplicates"], 50, "{output}");

    fleet.windlass(&["resume", "default"]).ok();
    let finished = fleet.finish_batch("b", secs(40));
    let mut expected = ids(&[done, waiting].concat());
    expected.extend(["bad", "later", "k1", "k2", "k3"].map(str::to_owned));
    expected.sort();
    assert_eq!(ids(&finished), expected);
    let failed: Vec<&Value> = finished.iter().filter(|task| task["state"] != "completed").collect();
    assert_eq!((failed.len(), &failed[0]["id"]), (1, &json!("bad")));
    fleet.verify();
}

/// Many tasks that nobody runs, in a paused queue.
fn many(fleet: &Fleet, count: usize) {
    fleet.windlass(&["pause", "default"]).ok();
    fleet.submit_lines(&lines("t", count, "noop", &json!({"text": "x".repeat(200)})), &["--batch", "b"]);
}

fn same(fleet: &Fleet, other: &Fleet, count: u64) {
    assert_eq!(counts(other, "default"), counts(fleet, "default"));
    assert_eq!(counts(other, "default")["pending"], count);
    other.verify();
}

#[test]
fn an_import_that_was_killed_goes_on() {
    let fleet = Fleet::without_workers();
    many(&fleet, 20_000);
    fleet.windlass(&["export", "default", "--file", "f"]).ok();
    let file = fleet.dir().join("f");
    let other = Fleet::start(&FleetOptions { concurrency: 100, ..FleetOptions::default() });
    let mut import = other.start_windlass(&["import", "--file", path_of(&file)]);
    let mark = || -> Option<String> {
        let key = other.queue_keys("default").meta().to_owned();
        redis::cmd("HGET").arg(key).arg("importing").query(&mut other.connection()).expect("a hash")
    };
    eventually("some is there", secs(20), || mark().is_some_and(|mark| mark.contains(' ')));
    import.signal(Signal::KILL);
    assert_eq!(import.wait(secs(10)).code, -9, "it was in the middle");
    let far = mark().expect("it is marked");
    assert!(!far.ends_with("placed"), "{far}");
    // Nobody sees half a queue: the worker claims nothing, and nothing is accepted.
    assert_eq!(other.queue("default")["paused"], true);
    other.windlass(&["submit", "--type", "noop", "--payload", "1", "--id", "new"]).expect_code(4);
    // Another file must not be mixed with it.
    fleet.windlass(&["export", "default", "--file", "g"]).ok();
    fleet.submit("noop", &json!(1), &["--id", "one-more"]);
    fleet.windlass(&["export", "default", "--file", "h"]).ok();
    let refused = other.windlass(&["import", "--file", path_of(&fleet.dir().join("h"))]).expect_code(4);
    assert!(refused.stderr.contains("another file"), "{refused}");

    let output = other.windlass(&["import", "--file", path_of(&file)]).ok();
    assert!(output.stderr.contains("goes on where it was interrupted"), "{output}");
    assert_eq!(counts(&other, "default")["pending"], 20_000);
    assert_eq!(other.queue("default")["max_length"], Value::Null);
    other.submit("noop", &json!(1), &["--id", "new"]);
    other.verify();
    other.windlass(&["resume", "default"]).ok();
    assert_eq!(other.finish_batch("b", secs(60)).len(), 20_000);
    let refused = other.windlass(&["import", "--file", path_of(&file)]).expect_code(4);
    assert!(refused.stderr.contains("is not empty"), "{refused}");
    other.verify();
}

#[test]
fn an_export_that_was_killed_goes_on_and_is_no_export_before() {
    let fleet = Fleet::without_workers();
    many(&fleet, 20_000);
    let file = fleet.dir().join("f");
    let mut export = fleet.start_windlass(&["export", "default", "--file", "f"]);
    let size = || std::fs::metadata(&file).map_or(0, |file| file.len());
    eventually("some is written", secs(20), || size() > 200_000);
    export.signal(Signal::KILL);
    assert_eq!(export.wait(secs(10)).code, -9, "it was in the middle");
    let before = size();
    let other = Fleet::without_workers();
    let refused = other.windlass(&["import", "--file", path_of(&file)]).expect_code(2);
    assert!(refused.stderr.contains("not complete"), "{refused}");
    fleet.windlass(&["export", "default", "--file", "f"]).expect_code(4);
    // What came, went and moved meanwhile is in the file as it is now.
    fleet.windlass(&["cancel", "t-1", "t-20000"]).ok();
    fleet.submit("noop", &json!(1), &["--id", "new", "--delay", "1h"]);
    fleet.windlass(&["export", "default", "--file", "f", "--resume"]).ok();
    assert!(size() > before);
    other.windlass(&["import", "--file", path_of(&file)]).ok();
    same(&fleet, &other, 19_998);
    assert_eq!(other.status("t-1")["state"], "cancelled");
    assert_eq!(other.status("new")["state"], "scheduled");
    let complete = fleet.windlass(&["export", "default", "--file", "f", "--resume"]).expect_code(4);
    assert!(complete.stderr.contains("complete"), "{complete}");
}

#[test]
fn a_queue_that_lives_and_a_file_that_is_damaged_are_refused() {
    let fleet = Fleet::of_one();
    let refused = fleet.windlass(&["export", "default", "--file", "f"]).expect_code(4);
    assert!(refused.stderr.contains("--pause"), "{refused}");
    fleet.windlass(&["export", "nothing", "--file", "f"]).expect_code(1);
    fleet.windlass(&["export", "--file", "f"]).expect_code(2);
    let task = fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "long"]);
    fleet.wait_for_state("default", "long", "running", secs(10));
    fleet.windlass(&["pause", "default"]).ok();
    let refused = fleet.windlass(&["export", "default", "--file", "f"]).expect_code(4);
    assert!(refused.stderr.contains("still run"), "{refused}");
    fleet.windlass(&["resume", "default"]).ok();
    let late =
        fleet.windlass(&["export", "default", "--file", "f", "--pause", "--timeout", "300ms"]).expect_code(5);
    assert!(late.stderr.contains("--timeout"), "{late}");
    assert_eq!(fleet.queue("default")["paused"], false, "it goes on as before");
    fleet.windlass(&["cancel", &task]).ok();
    fleet.windlass(&["export", "default", "--file", "f", "--pause", "--resume"]).ok();

    let file = fleet.dir().join("f");
    let mut bytes = std::fs::read(&file).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
    std::fs::write(fleet.dir().join("bad"), bytes).expect("a file can be written");
    let other = Fleet::without_workers();
    let refused = |output: Output, why: &str| assert!(output.stderr.contains(why), "{output}");
    let bad = fleet.dir().join("bad");
    refused(other.windlass(&["import", "--file", path_of(&bad)]).expect_code(2), "damaged");
    let elsewhere = ["import", "--namespace", "x", "--file", path_of(&file)];
    refused(other.windlass(&elsewhere).expect_code(2), "--namespace wl");
    let keys: usize = redis::cmd("DBSIZE").query(&mut other.connection()).expect("a number");
    assert!(keys <= 1, "refused before anything was written, but for the protocol's number");
    refused(fleet.windlass(&["import", "--file", path_of(&file)]).expect_code(4), "not empty");
    other.windlass(&["import", "--file", path_of(&file)]).ok();
    assert_eq!(other.queue("default")["paused"], false, "it was not paused when it was exported");
    fleet.verify();
    other.verify();
}

#[test]
fn a_divided_queue_moves_from_a_cluster_to_another_one_and_to_one_server() {
    let options = FleetOptions { workers: 0, primaries: 3, lease: "2s", ..FleetOptions::default() };
    let fleet = Fleet::start(&options);
    fleet.windlass(&["queues", "set", "default", "--partitions", "6", "--concurrency", "12"]).ok();
    fleet.submit_lines(&lines("t", 600, "noop", &json!(1)), &["--batch", "b"]);
    fleet.submit_lines(&lines("u", 50, "noop", &json!(1)), &["--batch", "b", "--queue", "other"]);
    fleet.windlass(&["export", "--all", "--pause", "--file", "f"]).ok();
    let file = fleet.dir().join("f");
    let targets = [Fleet::start(&options), Fleet::without_workers()];
    for mut other in targets {
        other.windlass(&["import", "--file", path_of(&file)]).ok();
        let view = other.queue("default");
        assert_eq!((&view["partitions"], &view["concurrency"]), (&json!(6), &json!(12)), "{view}");
        other.spawn_worker_with(&["--queues", "default,other"]);
        assert_eq!(other.finish_batch("b", secs(60)).len(), 650);
        other.verify();
    }
}

#[test]
fn doctor_repairs_when_it_is_told_to() {
    let fleet = Fleet::of_one();
    fleet.windlass(&["pause", "default"]).ok();
    for id in ["lost", "sound", "gone"] {
        fleet.submit("noop", &json!({"id": id}), &["--id", id, "--batch", "b"]);
    }
    let keys = fleet.queue_keys("default");
    let raw = |words: &[&str]| {
        redis::cmd(words[0])
            .arg(&words[1..])
            .query::<redis::Value>(&mut fleet.connection())
            .expect("a command");
    };
    raw(&["ZREM", keys.pending(), "lost"]);
    raw(&["ZADD", keys.scheduled(), "1", "ghost"]);
    raw(&["HSET", "wl:{default}:task:gone", "state", "pending"]);
    raw(&["DEL", "wl:{default}:spec:gone"]);
    let repairs = |output: &Output| -> Vec<String> {
        let checks = output.json().as_array().expect("checks").clone();
        let of_repair = checks.iter().filter(|check| check["check"] == "repair");
        of_repair.map(|check| text(&check["detail"]).to_owned()).collect()
    };
    let would = fleet.windlass(&["doctor", "--verify", "--repair", "-o", "json"]).expect_code(1);
    for words in ["lost: to do", "ghost: to do", "gone: to do"] {
        assert!(repairs(&would).iter().any(|detail| detail.contains(words)), "{words}: {would}");
    }
    fleet.windlass(&["doctor", "--verify"]).expect_code(1);
    let done = fleet.windlass(&["doctor", "--verify", "--repair", "--yes", "-o", "json"]).ok();
    assert!(repairs(&done).iter().all(|detail| detail.contains(": done: ")), "{done}");
    let clean = fleet.windlass(&["doctor", "--verify", "--repair", "-o", "json"]).ok();
    assert!(repairs(&clean).iter().all(|detail| detail.contains("nothing to repair")), "{clean}");
    fleet.windlass(&["resume", "default"]).ok();
    assert_eq!(ids(&fleet.finish_batch("b", secs(20))), ["lost", "sound"]);
    fleet.windlass(&["doctor", "--repair"]).expect_code(2);
    fleet.windlass(&["doctor", "--verify", "--yes"]).expect_code(2);
    fleet.verify();
}
