//! What holds work back: concurrency keys, limits of a queue, its maximum length, a pause.

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    ledger::Ledger,
    process::eventually,
};

use crate::look::{assert_completed_once, lines, secs};

#[test]
fn tasks_with_one_concurrency_key_run_one_at_a_time() {
    let fleet = Fleet::start(&FleetOptions { workers: 2, ..FleetOptions::default() });
    let ledger = Ledger::new(fleet.dir());
    let line = |n| json!({ "type": "command", "id": format!("t-{n}"), "payload": ledger.payload("0.05"), "concurrency_key": "k" });
    fleet.submit_lines(&(0..12).map(line).collect::<Vec<Value>>(), &["--batch", "b"]);
    let finished = fleet.finish_batch("b", secs(30));
    assert_completed_once(&fleet, &finished, 12);
    assert_eq!(ledger.entries().len(), 24);
    assert_eq!(ledger.most_at_once(), 1);
    fleet.verify();
}

#[test]
fn a_queue_may_allow_more_of_each_key_and_keys_do_not_hold_one_another_up() {
    let fleet = Fleet::start(&FleetOptions { workers: 2, ..FleetOptions::default() });
    fleet.windlass(&["queues", "set", "default", "--key-concurrency", "2"]).ok();
    let ledgers = ["a", "b"].map(|key| {
        let dir = fleet.dir().join(key);
        std::fs::create_dir(&dir).expect("a directory can be made");
        (key, Ledger::new(&dir))
    });
    let line = |n: usize| {
        let (key, ledger) = &ledgers[n % 2];
        json!({ "type": "command", "id": format!("t-{n}"), "payload": ledger.payload("0.2"), "concurrency_key": key })
    };
    fleet.submit_lines(&(0..12).map(line).collect::<Vec<Value>>(), &["--batch", "b"]);
    assert_completed_once(&fleet, &fleet.finish_batch("b", secs(30)), 12);
    for (key, ledger) in &ledgers {
        assert!(ledger.most_at_once() == 2, "{key}: {:?}", ledger.entries());
    }
    fleet.verify();
}

#[test]
fn a_queue_runs_no_more_at_once_than_its_limit_in_the_whole_fleet() {
    let fleet = Fleet::start(&FleetOptions { workers: 2, ..FleetOptions::default() });
    fleet.windlass(&["queues", "set", "default", "--concurrency", "3"]).ok();
    let ledger = Ledger::new(fleet.dir());
    fleet.submit_lines(&lines("t", 18, "command", &ledger.payload("0.1")), &["--batch", "b"]);
    assert_completed_once(&fleet, &fleet.finish_batch("b", secs(30)), 18);
    assert!((2..=3).contains(&ledger.most_at_once()), "{:?}", ledger.entries());
    fleet.verify();
}

#[test]
fn a_full_queue_refuses_one_task_and_holds_a_file_up_until_there_is_room() {
    let fleet = Fleet::of_one();
    fleet.windlass(&["pause", "default"]).ok();
    fleet.windlass(&["queues", "set", "default", "--max-length", "5"]).ok();
    fleet.submit_lines(&lines("early", 5, "noop", &json!(1)), &["--batch", "b"]);
    let refused = fleet.windlass(&["submit", "--type", "noop", "--payload", "1"]).expect_code(4);
    assert!(refused.stderr.contains("full"), "{refused}");
    assert_eq!(fleet.total("default", "submitted"), 5);

    let text: String = lines("late", 40, "noop", &json!(1)).iter().map(|line| format!("{line}\n")).collect();
    let path = fleet.file("late.jsonl", &text);
    let file = ["submit", "--file", path.to_str().expect("a plain path"), "--batch", "b", "-o", "json"];
    let fails = fleet.windlass(&[&file[..], &["--on-full", "fail"]].concat()).expect_code(1);
    assert_eq!(fails.json()["rejected"], 40, "{fails}");

    let mut waits = fleet.start_windlass(&file);
    eventually("it says why it waits", secs(10), || waits.stderr().contains("waiting for room"));
    assert!(!waits.has_ended());
    assert_eq!(fleet.queue("default")["pending"]["normal"], 5);
    fleet.windlass(&["resume", "default"]).ok();
    let output = waits.wait(secs(30)).ok();
    assert_eq!(output.json()["accepted"], 40, "{output}");
    assert_completed_once(&fleet, &fleet.finish_batch("b", secs(10)), 45);
    fleet.verify();
}

#[test]
fn a_paused_queue_takes_tasks_and_starts_none() {
    let fleet =
        Fleet::start(&FleetOptions { args: &["--queues", "default,other"], ..FleetOptions::default() });
    let paused = fleet.windlass(&["pause", "default", "-o", "json"]).ok().json();
    assert_eq!(paused, json!({"queue": "default", "paused": true}));
    fleet.submit("noop", &json!(1), &["--id", "held"]);
    // A later task of another queue, and one that fell due meanwhile, pass it by.
    fleet.submit("noop", &json!(1), &["--id", "free", "--queue", "other"]);
    fleet.wait_for_state("other", "free", "completed", secs(5));
    fleet.submit("noop", &json!(1), &["--id", "due", "--queue", "other", "--delay", "1s"]);
    fleet.wait_for_state("other", "due", "completed", secs(10));
    assert_eq!(fleet.status("held")["state"], "pending");
    let queue = fleet.queue("default");
    assert_eq!((&queue["paused"], &queue["pending"]["normal"]), (&json!(true), &json!(1)), "{queue}");
    fleet.windlass(&["resume", "default"]).ok();
    fleet.wait_for_state("default", "held", "completed", secs(2));
    fleet.verify();
}

#[test]
fn a_task_that_was_not_started_in_time_expires() {
    let fleet = Fleet::of_one();
    fleet.windlass(&["pause", "default"]).ok();
    fleet.submit("noop", &json!(1), &["--id", "t", "--expires", "1s", "--batch", "b"]);
    // The queue stands still: the beat finds it.
    let output = fleet.windlass(&["wait", "t", "--timeout", "15s", "-o", "json"]).expect_code(1);
    assert_eq!(output.json()["state"], "expired", "{output}");
    assert_eq!(output.json()["attempt"], 0, "{output}");
    fleet.verify();
}

/// A hundred payloads of a megabyte in one reply would hold up everybody else's calls.
#[test]
fn large_payloads_are_claimed_a_few_at_a_time() {
    let mut fleet = Fleet::start(&FleetOptions { workers: 0, concurrency: 64, ..FleetOptions::default() });
    let large = json!("x".repeat(600_000));
    fleet.submit_lines(&lines("t", 40, "noop", &large), &["--batch", "b"]);
    fleet.spawn_worker();
    assert_completed_once(&fleet, &fleet.finish_batch("b", secs(30)), 40);
    let key = fleet.queue_keys("default").events().to_owned();
    let log: Vec<(String, Vec<(String, String)>)> =
        redis::cmd("XRANGE").arg(key).arg("-").arg("+").query(&mut fleet.connection()).expect("a log");
    let claims: Vec<usize> = log
        .iter()
        .flat_map(|(_, fields)| fields)
        .filter(|(name, _)| name == "pending>running claimed")
        .map(|(_, ids)| ids.split(' ').count())
        .collect();
    assert_eq!(claims.iter().sum::<usize>(), 40);
    assert!(claims[0] <= 16 && claims[1..].iter().filter(|n| **n > 1).count() <= 2, "{claims:?}");
    fleet.verify();
}
