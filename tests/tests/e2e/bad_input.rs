//! What bad input gets: an error that says what to do, the documented exit code, and nothing half done.

use serde_json::json;
use windlass_tests::fleet::{Fleet, FleetOptions};

use crate::look::secs;

fn keys(fleet: &Fleet) -> u64 {
    redis::cmd("DBSIZE").query(&mut fleet.connection()).expect("Redis counts")
}

/// Runs a command that must fail with this code, say this, and change nothing. Gives what is wrong with that.
fn complaint(fleet: &Fleet, code: i32, says: &str, args: &[&str]) -> Option<String> {
    let before = keys(fleet);
    let output = fleet.windlass(args);
    let wrong = match () {
        () if output.code != code => format!("it does not exit with {code}"),
        () if !output.stderr.contains(says) => format!("it does not say {says:?}"),
        () if !output.stdout.is_empty() => "it writes to stdout".to_owned(),
        () if keys(fleet) != before => "it changed something".to_owned(),
        () => return None,
    };
    Some(format!("{wrong}: {output}\n"))
}

fn assert_refused(fleet: &Fleet, code: i32, says: &str, args: &[&str]) {
    assert_eq!(complaint(fleet, code, says, args), None);
}

#[test]
fn wrong_usage_is_told_and_exits_with_2() {
    let fleet = Fleet::without_workers();
    let _ = fleet.windlass(&["nodes"]); // the first to connect notes the fleet's protocol
    let submit = |more: &[&'static str]| [&["submit", "--type", "noop", "--payload", "1"], more].concat();
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (submit(&["--queue", "a b"]), "queue name"),
        (submit(&["--queue", "a:b"]), "':'"),
        (submit(&["--queue", "{x}"]), "'{'"),
        (submit(&["--queue", ""]), "empty"),
        (submit(&["--queue", "über"]), "'ü'"),
        (submit(&["--timeout", "-5s"]), "timeout"),
        (submit(&["--timeout=-5s"]), "timeout"),
        (submit(&["--timeout", "0"]), "timeout"),
        (submit(&["--timeout", "5 parsecs"]), "timeout"),
        (submit(&["--priority", "urgent"]), "critical"),
        (submit(&["--delay", "1s", "--run-at", "2030-01-01T00:00:00Z"]), "run_at"),
        (submit(&["--run-at", "tomorrow"]), "RFC 3339"),
        (submit(&["--weight", "11"]), "weight"),
        (submit(&["--id", "a b"]), "id"),
        (submit(&["--id", "a", "--key", "b"]), "key"),
        (submit(&["--max-attempts", "0"]), "max_attempts"),
        (submit(&["--metadata", "novalue"]), "KEY=VALUE"),
        (submit(&["--prority", "high"]), "--priority"),
        (submit(&["--tenant", "a/b"]), "tenant"),
        (submit(&["--batch", "a b"]), "batch"),
        (submit(&["--concurrency-key", "a b"]), "concurrency"),
        (vec!["submit", "--type", "noop", "--payload", "{oops"], "not JSON"),
        (vec!["submit", "--type", "no op", "--payload", "1"], "type"),
        (vec!["submit", "--payload", "1"], "--type"),
        (vec!["submit", "--file", "missing.jsonl"], "missing.jsonl"),
        (vec!["submit", "--file", "-", "--wait"], "--batch"),
        (vec!["status"], "TASK"),
        (vec!["status", "a b"], "id"),
        (vec!["tasks", "--state", "sleeping"], "pending"),
        (vec!["results", "--queue", "q", "--state", "pending"], "completed"),
        (vec!["purge", "--queue", "q", "--state", "running"], "cancel"),
        (vec!["purge", "--state", "failed"], "--queue"),
        (vec!["retry"], "--batch"),
        (vec!["priority", "t", "urgent"], "critical"),
        (vec!["wait"], "TASK"),
        (vec!["wait", "--batch", "b", "--timeout", "soon"], "--timeout"),
        (vec!["queues", "set", "q", "--max-length", "0"], "--max-length"),
        (vec!["pause", "a b"], "queue name"),
        (vec!["nodes", "--redis-url", "http://localhost"], "redis"),
        (vec!["nodes", "--namespace", "a:b"], "namespace"),
        (vec!["nodes", "--config", "missing.toml"], "missing.toml"),
        (vec!["frobnicate"], "frobnicate"),
    ];
    let complaints: String =
        cases.iter().filter_map(|(args, says)| complaint(&fleet, 2, says, args)).collect();
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn what_is_over_a_limit_or_in_conflict_is_refused_with_4() {
    let fleet = Fleet::without_workers();
    let big = format!("\"{}\"", "x".repeat(120_000));
    let limited = Fleet::start(&FleetOptions {
        workers: 0,
        config: "[submit]\nmax_payload = \"100KiB\"\n",
        ..FleetOptions::default()
    });
    assert_refused(&limited, 4, "max_payload", &["submit", "--type", "noop", "--payload", &big]);
    assert_eq!(fleet.windlass(&["submit", "--type", "noop", "--payload", &big]).code, 0);

    let first = ["submit", "--type", "noop", "--payload", "1", "--id", "t", "-o", "json"];
    let created = fleet.windlass(&first).ok().json();
    assert_eq!((&created["ref"], &created["duplicate"]), (&json!("default/t"), &json!(false)));
    assert_eq!(fleet.windlass(&first).ok().json()["duplicate"], true);
    let other = ["submit", "--type", "noop", "--payload", "2", "--id", "t"];
    assert_refused(&fleet, 4, "other content", &other);
    assert_refused(&fleet, 4, "other content", &["submit", "--type", "sleep", "--payload", "1", "--id", "t"]);
    assert_eq!(fleet.status("t")["payload"], 1);
    fleet.verify();
}

#[test]
fn a_type_that_no_node_knows_is_warned_of_or_refused_if_strict() {
    let fleet = Fleet::of_one();
    let unknown = ["submit", "--type", "unheard-of", "--payload", "1"];
    assert_refused(&fleet, 4, "unheard-of", &[&unknown[..], &["--strict"]].concat());
    let warned = fleet.windlass(&[&unknown[..], &["--delay", "1h"]].concat()).ok();
    assert!(warned.stderr.contains("no live node knows the type \"unheard-of\""), "{warned}");
    let known = ["submit", "--type", "noop", "--payload", "1", "--strict"];
    assert_eq!(fleet.windlass(&known).ok().stderr, "");

    fleet.file("tasks.jsonl", "{\"type\":\"noop\"}\n{\"type\":\"unheard-of\"}\n{\"type\":\"noop\"}\n");
    let file = ["submit", "--file", "tasks.jsonl", "--strict", "--rejects", "bad.jsonl", "-o", "json"];
    let output = fleet.windlass(&file).expect_code(1);
    assert_eq!((&output.json()["accepted"], &output.json()["rejected"]), (&json!(2), &json!(1)), "{output}");
    let rejects = std::fs::read_to_string(fleet.dir().join("bad.jsonl")).expect("it was written");
    assert!(rejects.contains("\"line\":2") && rejects.contains("unknown_type"), "{rejects}");
    fleet.verify();
}

#[test]
fn what_is_unknown_exits_with_1_and_what_takes_too_long_with_5() {
    let fleet = Fleet::without_workers();
    fleet.submit("noop", &json!(1), &["--id", "t", "--batch", "b"]);
    for args in [
        &["status", "nobody"][..],
        &["status", "other/t"],
        &["wait", "nobody"],
        &["wait", "--batch", "nobody"],
        &["results", "--batch", "nobody"],
        &["cancel", "nobody"],
        &["retry", "nobody"],
        &["retry", "--batch", "nobody"],
        &["priority", "nobody", "high"],
        &["node", "drain", "n-nobody"],
    ] {
        let output = fleet.windlass(args).expect_code(1);
        assert!(!output.stderr.is_empty(), "{output}");
    }
    let some = fleet.windlass(&["status", "t", "nobody", "-o", "json"]).expect_code(1);
    assert_eq!(some.json()[0]["id"], "t", "what is known is printed: {some}");
    assert!(some.stderr.contains("default/nobody"), "{some}");
    for args in [&["wait", "t", "--timeout", "100ms"][..], &["wait", "--batch", "b", "--timeout", "100ms"]] {
        let output = fleet.windlass_within(secs(5), args).expect_code(5);
        assert!(output.stderr.contains("timed out"), "{output}");
    }
}

#[test]
fn all_faults_of_a_configuration_are_told_at_once_with_suggestions() {
    let config =
        "namespce = \"x\"\n[worker]\nconcurency = 4\nlease = \"soon\"\n[types.t]\nexecutor = \"comand\"\n";
    let mut fleet = Fleet::start(&FleetOptions { workers: 0, config, ..FleetOptions::default() });
    let output = fleet.windlass(&["nodes"]).expect_code(2);
    for says in ["namespce", "namespace", "concurency", "concurrency", "worker.lease"] {
        assert!(output.stderr.contains(says), "it does not say {says:?}: {output}");
    }
    let worker = fleet.launch(&[]);
    assert_eq!(fleet.exit_code(worker, secs(10)), 2);
    assert!(fleet.log(worker).contains("namespce") && fleet.log(worker).contains("concurency"));
    std::fs::write(fleet.configuration(), "[types.t]\nexecutor = \"comand\"\n").expect("a file");
    let worker = fleet.launch(&[]);
    assert_eq!(fleet.exit_code(worker, secs(10)), 2);
    assert!(fleet.log(worker).contains("comand"), "{}", fleet.log(worker));
    std::fs::write(fleet.configuration(), "").expect("a file");
    for (flag, value) in [
        ("--concurrency", "none"),
        ("--queues", "a b"),
        ("--queues", "a=0"),
        ("--lease", "5 parsecs"),
        ("--drain-timeout", "soon"),
        ("--labels", "zone"),
        ("--log", "inof"),
    ] {
        let worker = fleet.launch(&[flag, value]);
        assert_eq!(fleet.exit_code(worker, secs(10)), 2, "{flag} {value}");
        let log = fleet.log(worker);
        assert!(log.contains(flag) && log.contains(value), "{log}");
    }
}
