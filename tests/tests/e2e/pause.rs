//! A worker is frozen for longer than its lease and comes back: what it says then comes too late.

use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
    proxy::{Proxy, Weather},
};

use crate::look::{assert_completed_once, assert_counters, lines, secs, text};

const DROPPED: &str = "the lease is lost; the attempt is dropped";
const REFUSED: &str = "the result was refused: the lease was gone";

#[test]
fn late_results_of_a_frozen_worker_are_refused_and_counted() {
    let mut fleet = Fleet::start(&FleetOptions { concurrency: 20, ..FleetOptions::default() });
    fleet.submit_lines(&lines("t", 20, "sleep", &json!({"ms": 2500})), &["--batch", "b"]);
    eventually("all twenty run", secs(10), || fleet.running("default") == 20);
    let frozen = fleet.node_id(0);
    fleet.spawn_worker();

    fleet.stop(0);
    let finished = fleet.finish_batch("b", secs(20));
    assert_completed_once(&fleet, &finished, 20);
    fleet.cont(0);

    // The attempts ended while the worker was frozen. It offers them all when it wakes, unless a beat tells it first.
    eventually("each late attempt is refused or dropped, or both", secs(10), || {
        let log = fleet.log(0);
        let ended = |id: &str| {
            log.lines().any(|line| line.contains(id) && (line.contains(DROPPED) || line.contains(REFUSED)))
        };
        (1..=20).all(|n| ended(&format!(" id=t-{n} ")))
    });
    let offered = fleet.total("default", "stale");
    assert!(offered <= 20, "{offered}");
    eventually("the node tells of what was refused", secs(10), || {
        let nodes = fleet.nodes();
        nodes.iter().any(|node| node["id"] == frozen.as_str() && node["stale_commits"] == offered)
    });

    let again = fleet.windlass(&["results", "--batch", "b"]).ok().jsonl();
    assert_eq!(again, finished, "late results changed nothing");
    for task in &finished {
        assert_counters(task, [2, 0, 1, 0]);
        assert_ne!(text(&task["node"]), frozen, "{task}");
    }
    // It is as good as any other again.
    fleet.submit_lines(&lines("u", 24, "sleep", &json!({"ms": 300})), &["--batch", "c"]);
    let finished = fleet.finish_batch("c", secs(20));
    assert_completed_once(&fleet, &finished, 24);
    assert!(finished.iter().any(|task| task["node"] == frozen.as_str()), "it takes work again");
    fleet.verify();
}

/// The network between a worker and Redis is frozen for longer than the lease: others take over, and what the worker
/// says when it is back comes too late.
#[test]
fn a_worker_that_was_cut_off_overwrites_nothing_and_goes_on() {
    let mut fleet = Fleet::start(&FleetOptions { workers: 0, concurrency: 10, ..FleetOptions::default() });
    let proxy = Proxy::to(fleet.redis.port());
    fleet.spawn_worker_with(&["--redis-url", &proxy.url]);
    fleet.submit_lines(&lines("t", 10, "sleep", &json!({"ms": 3000})), &["--batch", "b"]);
    eventually("all ten run", secs(10), || fleet.running("default") == 10);
    let cut_off = fleet.node_id(0);
    fleet.spawn_worker();

    proxy.set(Weather::Frozen);
    let finished = fleet.finish_batch("b", secs(20));
    assert_completed_once(&fleet, &finished, 10);
    proxy.set(Weather::Fair);
    // The attempts ended while nothing got through: their results were on the way, and all arrive.
    eventually("each late result is refused and counted", secs(15), || fleet.total("default", "stale") == 10);
    eventually("the node tells of what was refused", secs(10), || {
        let nodes = fleet.nodes();
        nodes.iter().any(|node| node["id"] == cut_off.as_str() && node["stale_commits"] == 10)
    });
    for task in &finished {
        assert_counters(task, [2, 0, 1, 0]);
        assert_ne!(text(&task["node"]), cut_off, "{task}");
    }
    assert_eq!(fleet.windlass(&["results", "--batch", "b"]).ok().jsonl(), finished);
    fleet.submit_lines(&lines("u", 20, "sleep", &json!({"ms": 300})), &["--batch", "c"]);
    let finished = fleet.finish_batch("c", secs(20));
    assert_completed_once(&fleet, &finished, 20);
    assert!(finished.iter().any(|task| task["node"] == cut_off.as_str()), "it takes work again");
    fleet.verify();
}
