//! What is lost in which mode: the rows of the table in `docs/durability.md`, each for real. The servers are killed as a
//! crash of the process does; nobody can cut the power of this machine, so what only the disk loses is not shown here.

use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
    proxy::{Proxy, Weather},
    redis::{RedisServer, info_of},
};

use crate::look::{lines, secs};

const TASKS: usize = 200;

/// Submits, and gives how many were acknowledged.
fn acknowledged(fleet: &Fleet, level: &str) -> usize {
    let submit = ["--batch", "b", "--durability", level];
    let file: String = lines("t", TASKS, "noop", &json!(1)).iter().map(|line| format!("{line}\n")).collect();
    let path = fleet.file("tasks.jsonl", &file);
    let first = ["submit", "--file", path.to_str().expect("a plain path"), "-o", "json"];
    let output = fleet.windlass(&[&first[..], &submit].concat());
    if output.code == 0 { TASKS } else { 0 }
}

/// How many of the tasks a server has.
fn held(server: &RedisServer) -> usize {
    let client = redis::Client::open(server.url()).expect("a valid URL");
    let mut connection = client.get_connection().expect("it takes connections");
    redis::cmd("ZCARD").arg("wl:{default}:pending").query(&mut connection).expect("a set can be counted")
}

fn lost_by_a_crash(args: &[&str], level: &str) -> usize {
    let mut fleet = Fleet::start(&FleetOptions { workers: 0, redis: args, ..FleetOptions::default() });
    let known = acknowledged(&fleet, level);
    assert_eq!(known, TASKS);
    fleet.redis.restart();
    known - held(&fleet.redis)
}

#[test]
fn a_crash_of_redis_loses_all_without_persistence_and_nothing_with_an_append_only_file() {
    assert_eq!(lost_by_a_crash(&[], "none"), TASKS);
    for fsync in ["everysec", "always"] {
        assert_eq!(lost_by_a_crash(&["--appendonly", "yes", "--appendfsync", fsync], "none"), 0, "{fsync}");
    }
}

/// A primary whose replica is cut off dies, and the replica takes over. Gives how many submissions were acknowledged, and
/// how many of those it has.
fn fail_over(level: &str) -> (usize, usize) {
    let mut fleet = Fleet::start(&FleetOptions {
        workers: 0,
        config: "[redis]\ndurability_timeout = \"500ms\"\n",
        ..FleetOptions::default()
    });
    let link = Proxy::to(fleet.redis.port());
    let replica = RedisServer::with_args(&["--replicaof", "127.0.0.1", &link.port.to_string()]);
    eventually("the replica is in step", secs(20), || info_of(&replica).contains("master_link_status:up"));
    link.set(Weather::Frozen);
    let known = acknowledged(&fleet, level);
    link.set(Weather::Closed);
    link.cut();
    fleet.redis.stop();
    let client = redis::Client::open(replica.url()).expect("a valid URL");
    let mut connection = client.get_connection().expect("it takes connections");
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut connection).expect("it is promoted");
    (known, held(&replica))
}

#[test]
fn a_failover_loses_what_its_replica_did_not_get_unless_submissions_wait_for_it() {
    assert_eq!(fail_over("none"), (TASKS, 0), "acknowledged, and lost with the primary");
    assert_eq!(fail_over("replicas=1"), (0, 0), "nothing is acknowledged that a failover would lose");
}

#[test]
fn fsync_waits_for_the_disk_where_the_server_can_and_says_so_where_it_cannot() {
    let redis = ["--appendonly", "yes", "--appendfsync", "everysec"];
    let fleet = Fleet::start(&FleetOptions { redis: &redis, ..FleetOptions::default() });
    let submit = ["submit", "--type", "noop", "--payload", "1", "--id", "t", "--durability", "fsync"];
    let told: Vec<redis::Value> =
        redis::cmd("COMMAND").arg(&["INFO", "WAITAOF"]).query(&mut fleet.connection()).expect("a list");
    let can = told != [redis::Value::Nil];
    if can {
        fleet.windlass(&submit).ok();
        fleet.wait_for_state("default", "t", "completed", secs(10));
        let forgetful = Fleet::without_workers();
        let refused = forgetful.windlass(&submit).expect_code(4);
        assert!(refused.stderr.contains("appendonly"), "{refused}");
    } else {
        let refused = fleet.windlass(&submit).expect_code(4);
        assert!(refused.stderr.contains("WAITAOF") && refused.stderr.contains("replicas=N"), "{refused}");
    }
    fleet.windlass(&["submit", "--type", "noop", "--payload", "1", "--durability", "often"]).expect_code(2);
}
