//! Redis goes away and comes back, forgets its scripts, or cuts connections: nothing is charged, nothing runs twice.

use std::{thread, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    ledger::Ledger,
    process::eventually,
};

use crate::look::{assert_all_counters, assert_completed_once, lines, secs};

#[test]
fn redis_away_for_three_leases_charges_nothing_and_runs_nothing_twice() {
    let redis = ["--appendonly", "yes", "--appendfsync", "always"];
    let options = FleetOptions { workers: 2, concurrency: 4, redis: &redis, ..FleetOptions::default() };
    let mut fleet = Fleet::start(&options);
    let ledger = Ledger::new(fleet.dir());
    // Some end while Redis is away, some after; the rest has not begun.
    let naps = ["4", "4", "4", "4", "13", "13", "13", "13", "0", "0", "0", "0"];
    let tasks: Vec<_> = naps.iter().enumerate().map(|(n, nap)| ledger.line(&format!("t-{n}"), nap)).collect();
    fleet.submit_lines(&tasks, &["--batch", "b"]);
    eventually("eight run", secs(10), || ledger.entries().len() == 8);

    fleet.redis.stop();
    let refused = fleet.windlass(&["status", "t-0"]).expect_code(3);
    assert!(refused.stderr.contains("cannot be reached"), "{refused}");
    thread::sleep(secs(9)); // three leases: this is the fault itself
    fleet.redis.start_again();

    let finished = fleet.finish_batch("b", secs(40));
    assert_completed_once(&fleet, &finished, tasks.len());
    assert_all_counters(&finished, [1, 0, 0, 0]);
    assert_eq!(ledger.entries().len(), 2 * tasks.len(), "each began once and ended once");
    fleet.submit_lines(&lines("after", 10, "noop", &json!(1)), &["--batch", "after"]);
    assert_completed_once(&fleet, &fleet.finish_batch("after", secs(10)), 10);
    assert_eq!(fleet.nodes().iter().filter(|node| node["state"] == "active").count(), 2);
    fleet.verify();
}

#[test]
fn a_redis_that_forgets_its_scripts_under_load_is_told_them_again() {
    let fleet = Fleet::start(&FleetOptions { workers: 2, ..FleetOptions::default() });
    let tasks = lines("t", 400, "sleep", &json!({"ms": 20}));
    fleet.submit_lines(&tasks, &["--batch", "b"]);
    let mut connection = fleet.connection();
    eventually("all are completed", secs(30), || {
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut connection).expect("Redis obeys");
        thread::sleep(Duration::from_millis(20));
        fleet.total("default", "completed") == 400
    });
    let finished = fleet.finish_batch("b", secs(5));
    assert_completed_once(&fleet, &finished, 400);
    assert_all_counters(&finished, [1, 0, 0, 0]);
    fleet.verify();
}

#[test]
fn workers_whose_connections_are_cut_go_on() {
    let fleet = Fleet::start(&FleetOptions { workers: 2, ..FleetOptions::default() });
    fleet.submit_lines(&lines("t", 200, "sleep", &json!({"ms": 50})), &["--batch", "b"]);
    for _ in 0..5 {
        let cut: u32 = redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
            .query(&mut fleet.connection())
            .expect("Redis obeys");
        assert!(cut >= 2, "only {cut} connections were there to cut");
        thread::sleep(Duration::from_millis(200));
    }
    let finished = fleet.finish_batch("b", secs(30));
    assert_completed_once(&fleet, &finished, 200);
    assert_all_counters(&finished, [1, 0, 0, 0]);

    // An idle worker whose waits were cut hears the bell again.
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).exec(&mut fleet.connection()).expect("Redis obeys");
    fleet.submit_lines(&lines("after", 10, "noop", &json!(1)), &["--batch", "after"]);
    assert_completed_once(&fleet, &fleet.finish_batch("after", secs(10)), 10);
    fleet.verify();
}

#[test]
fn a_redis_that_hangs_for_longer_than_the_lease_charges_nothing() {
    let fleet = Fleet::start(&FleetOptions { workers: 2, ..FleetOptions::default() });
    let ledger = Ledger::new(fleet.dir());
    let tasks: Vec<_> = (0..8).map(|n| ledger.line(&format!("t-{n}"), ["1", "7"][n % 2])).collect();
    fleet.submit_lines(&tasks, &["--batch", "b"]);
    eventually("eight run", secs(10), || ledger.entries().len() == 8);
    let redis = Pid::from_raw(i32::try_from(fleet.redis.pid()).expect("a process id")).expect("not zero");
    kill_process(redis, Signal::STOP).expect("it runs");
    thread::sleep(secs(5)); // this is the fault itself
    kill_process(redis, Signal::CONT).expect("it is there");
    let finished = fleet.finish_batch("b", secs(20));
    assert_completed_once(&fleet, &finished, 8);
    assert_all_counters(&finished, [1, 0, 0, 0]);
    assert_eq!(ledger.entries().len(), 16, "each began once and ended once");
    fleet.verify();
}

/// Without persistence a restart loses the tasks. The workers must notice, and serve what comes next.
#[test]
fn workers_of_a_redis_that_lost_everything_go_on() {
    let mut fleet = Fleet::start(&FleetOptions { concurrency: 2, ..FleetOptions::default() });
    fleet.submit_lines(&lines("t", 4, "sleep", &json!({"ms": 2000})), &["--batch", "b"]);
    eventually("both slots are taken", secs(10), || fleet.running("default") == 2);
    fleet.redis.restart();
    fleet.submit_lines(&lines("u", 4, "sleep", &json!({"ms": 100})), &["--batch", "c"]);
    let finished = fleet.finish_batch("c", secs(20));
    assert_completed_once(&fleet, &finished, 4);
    assert_all_counters(&finished, [1, 0, 0, 0]);
    eventually("it is registered again", secs(10), || fleet.nodes().len() == 1);
    fleet.verify();
}

#[test]
fn who_waits_for_tasks_sits_a_short_outage_out() {
    let redis = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut fleet = Fleet::start(&FleetOptions { redis: &redis, ..FleetOptions::default() });
    fleet.submit_lines(&lines("t", 4, "sleep", &json!({"ms": 4000})), &["--batch", "b"]);
    let mut waits = [
        fleet.start_windlass(&["wait", "--batch", "b"]),
        fleet.start_windlass(&["wait", "t-1", "t-2"]),
        fleet.start_windlass(&["results", "--batch", "b", "--follow"]),
        fleet.start_windlass(&["events", "--follow"]),
    ];
    eventually("all run", secs(10), || fleet.running("default") == 4);
    thread::sleep(Duration::from_millis(500)); // they are connected
    fleet.redis.stop();
    thread::sleep(secs(1)); // this is the fault itself
    fleet.redis.start_again();
    for wait in &mut waits[..3] {
        assert_eq!(wait.wait(secs(20)).code, 0);
    }
    assert_eq!(waits[2].stdout().lines().count(), 4);
    assert!(!waits[3].has_ended(), "{}", waits[3].stderr());
}
