//! A worker is asked to end: it finishes what it can, hands back the rest, and charges nothing.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{eventually, is_alive},
};

use crate::look::{assert_completed_once, assert_counters, lines, secs};

#[test]
fn sigterm_under_load_loses_nothing_and_charges_nothing() {
    let args = ["--drain-timeout", "2s"];
    let mut fleet = Fleet::start(&FleetOptions { concurrency: 16, args: &args, ..FleetOptions::default() });
    let long = json!({"ms": 5000});
    fleet.submit_lines(&lines("long", 4, "sleep", &long), &["--batch", "b"]);
    fleet.submit_lines(&lines("short", 400, "sleep", &json!({"ms": 40})), &["--batch", "b"]);
    eventually("the load is on", secs(10), || fleet.total("default", "completed") > 0);

    let asked = Instant::now();
    fleet.term(0);
    assert_eq!(fleet.exit_code(0, secs(10)), 0);
    let took = asked.elapsed();
    assert!(took < secs(4), "the drain time-out is two seconds, it took {took:?}");
    assert!(fleet.nodes().is_empty(), "it says goodbye");
    assert_eq!(fleet.queue("default")["running"], 0, "it hands back what runs");
    fleet.verify();

    fleet.spawn_worker();
    let finished = fleet.finish_batch("b", secs(30));
    assert_completed_once(&fleet, &finished, 404);
    for task in &finished {
        let interrupted = u64::from(task["payload"] == long);
        assert_counters(task, [1 + interrupted, 0, 0, interrupted]);
    }
    fleet.verify();
}

#[test]
fn a_second_signal_hands_back_at_once_and_stops_what_runs() {
    for signals in [[Signal::TERM, Signal::TERM], [Signal::INT, Signal::INT]] {
        let mut fleet = Fleet::of_one();
        let pid_file = fleet.dir().join("pid");
        let script = format!("echo $$ > {}; sleep 60", pid_file.display());
        fleet.submit("command", &json!({"argv": ["sh", "-c", script]}), &["--id", "t"]);
        let pid = || std::fs::read_to_string(&pid_file).ok()?.trim().parse::<u32>().ok();
        eventually("the command runs", secs(10), || pid().is_some());

        fleet.worker(0).signal(signals[0]);
        eventually("it drains", secs(10), || fleet.state_of(0).as_deref() == Some("draining"));
        fleet.worker(0).signal(signals[1]);
        assert_eq!(fleet.exit_code(0, secs(4)), 0);

        let task = fleet.status("t");
        assert_eq!((&task["state"], &task["reason"]), (&json!("pending"), &json!("interrupted")), "{task}");
        assert_counters(&task, [1, 0, 0, 1]);
        assert!(!is_alive(pid().expect("it was written")), "the command is stopped");
        fleet.verify();
    }
}

#[test]
fn an_idle_worker_leaves_at_once_by_either_signal() {
    let mut fleet = Fleet::start(&FleetOptions { workers: 2, ..FleetOptions::default() });
    fleet.worker(0).signal(Signal::TERM);
    fleet.worker(1).signal(Signal::INT);
    assert_eq!((fleet.exit_code(0, secs(3)), fleet.exit_code(1, secs(3))), (0, 0));
    assert!(fleet.nodes().is_empty());
}

/// The leases run out instead; the exit code tells that something was not handed back.
#[test]
fn a_worker_whose_redis_is_away_leaves_all_the_same() {
    let args = ["--drain-timeout", "1s"];
    let mut fleet = Fleet::start(&FleetOptions { args: &args, ..FleetOptions::default() });
    fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "t"]);
    fleet.wait_for_state("default", "t", "running", secs(10));
    fleet.redis.stop();
    fleet.term(0);
    assert_eq!(fleet.exit_code(0, secs(20)), 3);
    assert!(fleet.log(0).contains("the leases will run out"), "{}", fleet.log(0));
}

#[test]
fn a_draining_worker_keeps_its_leases_and_still_obeys() {
    let options = FleetOptions { lease: "2s", args: &["--drain-timeout", "60s"], ..FleetOptions::default() };
    let mut fleet = Fleet::start(&options);
    fleet.submit("sleep", &json!({"ms": 5000}), &["--id", "finishes"]);
    fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "is-cancelled"]);
    eventually("both run", secs(10), || fleet.running("default") == 2);
    // Somebody who would take over what is lost.
    fleet.spawn_worker();
    fleet.term(0);
    eventually("it drains", secs(10), || fleet.state_of(0).as_deref() == Some("draining"));
    fleet.windlass(&["cancel", "is-cancelled"]).ok();
    fleet.wait_for_state("default", "is-cancelled", "cancelled", secs(2));
    assert_eq!(fleet.exit_code(0, secs(15)), 0, "it leaves when the last task ended");
    let task = fleet.status("finishes");
    assert_eq!(task["state"], "completed", "{task}");
    assert_counters(&task, [1, 0, 0, 0]);
    fleet.verify();
}
