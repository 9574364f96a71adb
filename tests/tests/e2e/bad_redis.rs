//! A Redis that cannot be used is refused by both programs, with exit code 3 and a word on what to do.

use std::process::Stdio;

use serde_json::json;
use windlass_tests::{
    fleet::Fleet,
    old_redis,
    process::{Output, Process, run},
};

use crate::look::secs;

fn set(fleet: &Fleet, name: &str, value: &str) {
    redis::cmd("CONFIG").arg(&["SET", name, value]).exec(&mut fleet.connection()).expect("Redis obeys");
}

/// Runs a program against a URL.
fn against(fleet: &Fleet, program: &str, url: &str, args: &[&str]) -> Output {
    let mut command = fleet.command(program);
    command.args(["--redis-url", url]).args(args);
    run(command, fleet.dir(), "against", secs(20))
}

/// Fails unless both programs refuse the URL, say this, and show no password.
fn assert_refused(fleet: &Fleet, url: &str, says: &str) {
    let submit = ["submit", "--type", "noop", "--payload", "1"];
    let outputs = [
        against(fleet, "windlass", url, &submit),
        against(fleet, "windlass", url, &["nodes"]),
        against(fleet, "windlass", url, &["doctor"]),
        against(fleet, "windlass-worker", url, &[]),
    ];
    for output in outputs {
        assert_eq!(output.code, 3, "{output}");
        assert!(output.stderr.contains(says), "it does not say {says:?}: {output}");
        assert!(!output.stderr.contains("hunter2") && !output.stdout.contains("hunter2"), "{output}");
    }
}

#[test]
fn an_unreachable_redis() {
    let mut fleet = Fleet::without_workers();
    fleet.redis.stop();
    let url = fleet.redis.url().replace("redis://", "redis://user:hunter2@");
    assert_refused(&fleet, &url, "cannot be reached");
    assert_refused(&fleet, "redis://no-such-host.invalid:6379", "cannot be reached");
}

#[test]
fn a_wrong_password_and_none() {
    let fleet = Fleet::without_workers();
    let url = fleet.redis.url();
    set(&fleet, "requirepass", "right");
    assert_refused(&fleet, &url.replace("redis://", "redis://:hunter2@"), "Redis refused us");
    assert_refused(&fleet, &url, "Redis refused us");
    let right = url.replace("redis://", "redis://:right@");
    assert_eq!(against(&fleet, "windlass", &right, &["nodes"]).code, 0);
    // By a variable, and from a file as a secret of an orchestrator is.
    let mut command = fleet.command("windlass");
    command.arg("nodes").env("WINDLASS_REDIS_PASSWORD", "right");
    assert_eq!(run(command, fleet.dir(), "variable", secs(10)).code, 0);
    let mut command = fleet.command("windlass");
    command.arg("nodes").env("WINDLASS_REDIS_PASSWORD_FILE", fleet.file("secret", "right\n"));
    assert_eq!(run(command, fleet.dir(), "file", secs(10)).code, 0);
}

#[test]
fn a_redis_that_evicts_unless_that_is_accepted() {
    let fleet = Fleet::without_workers();
    set(&fleet, "maxmemory-policy", "allkeys-lru");
    assert_refused(&fleet, &fleet.redis.url(), "maxmemory-policy");
    let accepted = ["submit", "--type", "noop", "--payload", "1", "--allow-eviction"];
    assert_eq!(fleet.windlass(&accepted).code, 0);
    let mut command = fleet.command("windlass-worker");
    command.arg("--allow-eviction").stdin(Stdio::null());
    let worker = Process::start(command, fleet.dir(), "accepting");
    let waited = fleet.windlass(&[&accepted[..], &["--wait", "--id", "t"]].concat());
    assert_eq!(waited.code, 0, "{waited}\n{}", worker.stderr());
}

#[test]
fn a_redis_below_seven() {
    let fleet = Fleet::without_workers();
    assert_refused(&fleet, &old_redis::start(), "too old: it is version 6.2.14");
}

#[test]
fn a_fleet_with_a_newer_protocol() {
    let fleet = Fleet::without_workers();
    let key = windlass_tests::fleet::keys().protocol();
    redis::cmd("SET").arg(key).arg(99).exec(&mut fleet.connection()).expect("Redis obeys");
    let output = fleet.windlass(&["submit", "--type", "noop", "--payload", "1"]).expect_code(3);
    assert!(output.stderr.contains("newer Windlass"), "{output}");
    assert_eq!(against(&fleet, "windlass-worker", &fleet.redis.url(), &[]).code, 3);
}

#[test]
fn a_full_redis_refuses_tasks_whole_and_lets_running_ones_end() {
    let fleet = Fleet::of_one();
    for (id, ms) in [("ends", 2000), ("is-cancelled", 60_000)] {
        fleet.submit("sleep", &json!({ "ms": ms }), &["--id", id]);
        fleet.wait_for_state("default", id, "running", secs(10));
    }
    set(&fleet, "maxmemory", "1mb");
    for more in [&[][..], &["--batch", "b"]] {
        let submit = ["submit", "--type", "noop", "--payload", "1"];
        let refused = fleet.windlass(&[&submit, more].concat()).expect_code(3);
        assert!(refused.stderr.contains("out of memory"), "{refused}");
    }
    assert_eq!(fleet.total("default", "submitted"), 2);

    let cancelled = fleet.windlass(&["cancel", "is-cancelled", "-o", "json"]).ok();
    assert_eq!(cancelled.json()["outcome"], "cancelling", "{cancelled}");
    for (id, code) in [("ends", 0), ("is-cancelled", 1)] {
        let output = fleet.windlass(&["wait", id, "--timeout", "10s"]);
        assert_eq!(output.code, code, "{output}");
    }
    assert_eq!(fleet.nodes().len(), 1, "people can look while it is full");
    set(&fleet, "maxmemory", "0");
    fleet.verify();
}
