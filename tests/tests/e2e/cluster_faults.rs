//! A Redis Cluster loses a primary, or moves slots about, under load.

use serde_json::json;
use windlass_tests::{
    cluster,
    fleet::{Fleet, FleetOptions},
    process::eventually,
    redis::{RedisServer, info_of},
};

use crate::look::{assert_all_counters, assert_completed_once, lines, secs};

/// Which of the servers has the slot of a queue.
fn home(fleet: &Fleet, queue: &str) -> usize {
    let key = fleet.queue_keys(queue).meta().to_owned();
    let slot: usize = cluster::ask(&fleet.redis, &["KEYSLOT", &key]).parse().expect("a slot");
    slot * 3 / 16384
}

fn server(fleet: &Fleet, index: usize) -> &RedisServer {
    if index == 0 { &fleet.redis } else { &fleet.others[index - 1] }
}

fn stop(fleet: &mut Fleet, index: usize) {
    if index == 0 {
        fleet.redis.stop();
    } else {
        fleet.others[index - 1].stop();
    }
}

/// A queue whose home is this primary.
fn queue_at(fleet: &Fleet, index: usize) -> String {
    (0..1000).map(|n| format!("q{n}")).find(|name| home(fleet, name) == index).expect("there is one")
}

#[test]
fn a_lost_primary_stops_only_its_queues_and_they_go_on_when_its_replica_takes_over() {
    let options =
        FleetOptions { workers: 0, concurrency: 16, primaries: 3, replicas: 1, ..FleetOptions::default() };
    let mut fleet = Fleet::start(&options);
    // Not the primary that has the nodes' heartbeats: that one is the next test's.
    let nodes: usize = cluster::ask(&fleet.redis, &["KEYSLOT", "{nodes}"]).parse().expect("a slot");
    let lost = (nodes * 3 / 16384 + 1) % 3;
    let kept = (lost + 1) % 3;
    let queues = [queue_at(&fleet, lost), queue_at(&fleet, kept)];
    fleet.spawn_worker_with(&["--queues", &queues.join(",")]);
    for (queue, batch) in queues.iter().zip(["lost", "kept"]) {
        let tasks = lines(batch, 400, "sleep", &json!({"ms": 30}));
        fleet.submit_lines(&tasks, &["--queue", queue, "--batch", batch]);
    }
    eventually("some are done", secs(20), || {
        queues.iter().all(|queue| fleet.queue(queue)["totals"]["completed"].as_u64() > Some(40))
    });
    stop(&mut fleet, lost);

    let completed = |queue: &str| fleet.queue(queue)["totals"]["completed"].as_u64();
    let (before, promoted) =
        (completed(&queues[1]), || info_of(&fleet.others[lost + 2]).contains("role:master"));
    eventually("the other queue goes on", secs(20), || completed(&queues[1]) > before.map(|n| n + 20));
    eventually("its replica takes over", secs(30), promoted);
    for (queue, batch) in queues.iter().zip(["lost", "kept"]) {
        let finished = fleet.finish_batch(batch, secs(60));
        assert_eq!(finished.len(), 400, "{queue}");
        assert!(finished.iter().all(|task| task["state"] == "completed" && task["retries"] == 0), "{queue}");
    }
    fleet.verify();
}

#[test]
fn a_fleet_outlives_the_primary_that_has_its_heartbeats() {
    let options = FleetOptions { workers: 2, primaries: 3, replicas: 1, ..FleetOptions::default() };
    let mut fleet = Fleet::start(&options);
    let nodes: usize = cluster::ask(&fleet.redis, &["KEYSLOT", "{nodes}"]).parse().expect("a slot");
    let lost = nodes * 3 / 16384;
    stop(&mut fleet, lost);
    eventually("its replica takes over", secs(30), || {
        info_of(&fleet.others[lost + 2]).contains("role:master")
    });
    eventually("both are there", secs(30), || {
        fleet.nodes().iter().filter(|node| node["state"] == "active").count() == 2
    });
    fleet.submit_lines(&lines("t", 50, "noop", &json!(1)), &["--batch", "b"]);
    assert_completed_once(&fleet, &fleet.finish_batch("b", secs(30)), 50);
    // A command reaches a node through the new home of its inbox.
    let task = fleet.submit("sleep", &json!({"ms": 60_000}), &[]);
    eventually("it runs", secs(10), || fleet.status(&task)["state"] == "running");
    fleet.windlass(&["cancel", &task]).ok();
    fleet.windlass(&["wait", &task, "--timeout", "20s"]).expect_code(1);
    fleet.verify();
}

/// A slot moves to another primary and back, key by key, while its queue works: what is declared but not there makes Redis
/// refuse a script, and nothing is half done.
#[test]
fn a_queue_whose_slot_moves_under_load_loses_nothing() {
    let options = FleetOptions { workers: 2, concurrency: 16, primaries: 3, ..FleetOptions::default() };
    let fleet = Fleet::start(&options);
    let tasks = lines("t", 1500, "sleep", &json!({"ms": 10}));
    fleet.submit_lines(&tasks, &["--batch", "b"]);
    let key = fleet.queue_keys("default").meta().to_owned();
    let slot: u16 = cluster::ask(&fleet.redis, &["KEYSLOT", &key]).parse().expect("a slot");
    let (from, to) = (home(&fleet, "default"), (home(&fleet, "default") + 1) % 3);
    let third = server(&fleet, (to + 1) % 3);
    for round in 0..3 {
        let done = 200 * (round + 1);
        eventually("some are done", secs(30), || {
            fleet.queue("default")["totals"]["completed"].as_u64() > Some(done)
        });
        let (from, to) = if round % 2 == 0 { (from, to) } else { (to, from) };
        cluster::move_slot(slot, server(&fleet, from), server(&fleet, to), &[third]);
    }
    let finished = fleet.finish_batch("b", secs(60));
    assert_completed_once(&fleet, &finished, 1500);
    assert_all_counters(&finished, [1, 0, 0, 0]);
    fleet.submit_lines(&lines("after", 10, "noop", &json!(1)), &["--batch", "after"]);
    assert_completed_once(&fleet, &fleet.finish_batch("after", secs(10)), 10);
    fleet.verify();
}
