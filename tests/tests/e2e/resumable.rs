//! A submission that is interrupted, doubled, or meets a Redis that goes away adds each task once.

use std::{io::Write, process::Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{Process, eventually},
};

use crate::look::{lines, secs};

/// Writes a file of so many tasks and gives the command that submits it as a batch.
fn file_of(fleet: &Fleet, count: usize) -> [&'static str; 7] {
    let line = |n: usize| format!("{{\"type\":\"noop\",\"payload\":{n}}}\n");
    fleet.file("tasks.jsonl", &(0..count).map(line).collect::<String>());
    ["submit", "--file", "tasks.jsonl", "--batch", "b", "-o", "json"]
}

#[test]
fn two_submissions_of_one_file_at_once_make_one_batch() {
    let fleet = Fleet::without_workers();
    let submit = file_of(&fleet, 20_000);
    let mut both = [fleet.start_windlass(&submit), fleet.start_windlass(&submit)];
    let outputs: Vec<Value> = both.iter_mut().map(|process| process.wait(secs(60)).ok().json()).collect();
    let sum = |field: &str| outputs.iter().filter_map(|output| output[field].as_u64()).sum::<u64>();
    assert_eq!((sum("accepted"), sum("duplicates"), sum("rejected")), (20_000, 20_000, 0), "{outputs:?}");
    assert_eq!(fleet.total("default", "submitted"), 20_000);
    fleet.verify();
}

#[test]
fn a_submission_goes_on_when_redis_comes_back() {
    let redis = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut fleet = Fleet::start(&FleetOptions { workers: 0, redis: &redis, ..FleetOptions::default() });
    let submit = file_of(&fleet, 50_000);
    let mut process = fleet.start_windlass(&submit);
    eventually("it is on its way", secs(20), || fleet.total("default", "submitted") > 5_000);
    fleet.redis.restart();
    let output = process.wait(secs(60)).ok().json();
    // A call whose answer was lost is repeated, and finds its own tasks: they count as duplicates.
    let taken =
        output["accepted"].as_u64().zip(output["duplicates"].as_u64()).map(|(new, known)| new + known);
    assert_eq!(taken, Some(50_000), "{output}");
    assert_eq!(fleet.total("default", "submitted"), 50_000);
    fleet.verify();
}

#[test]
fn ctrl_c_ends_a_submission_that_waits_for_its_input() {
    let fleet = Fleet::without_workers();
    let mut command = fleet.command("windlass");
    command.args(["submit", "--file", "-", "--batch", "b"]).stdin(Stdio::piped());
    let mut process = Process::start(command, fleet.dir(), "waiting");
    let mut stdin = process.stdin().expect("it is piped");
    // As many as go out together, so that it is seen to work.
    let line = |n| format!("{{\"type\":\"noop\",\"payload\":{n}}}\n");
    stdin.write_all((0..500).map(line).collect::<String>().as_bytes()).expect("it reads");
    eventually("the first are submitted", secs(10), || fleet.total("default", "submitted") == 500);
    process.signal(Signal::INT);
    let output = process.wait(secs(5)).expect_code(130);
    assert!(output.stderr.contains("500 accepted"), "{output}");
    fleet.verify();
}

#[test]
fn the_summary_is_true_when_redis_finds_the_line_at_which_it_stops() {
    let fleet = Fleet::without_workers();
    fleet.submit("noop", &json!("other"), &["--id", "t-1"]);
    let tasks: String = lines("t", 3000, "noop", &json!(1)).iter().map(|line| format!("{line}\n")).collect();
    fleet.file("tasks.jsonl", &tasks);
    let submit = ["submit", "--file", "tasks.jsonl", "--on-error", "stop", "-o", "json"];
    let output = fleet.windlass(&submit).expect_code(1);
    assert!(output.stderr.contains("stopped at line 1 "), "{output}");
    let accepted = output.json()["accepted"].as_u64().expect("a number");
    assert_eq!(accepted, fleet.total("default", "submitted") - 1, "{output}");
    // Some lines are on their way together; the file's end is not reached.
    assert!(accepted < 2999, "{output}");
    fleet.verify();
}
