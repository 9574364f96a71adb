//! Doctor warns of a set-up that will lose tasks one day: no append-only file, replicas that are missing or not needed.

use serde_json::Value;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{Output, eventually},
    redis::{RedisServer, info_of},
};

use crate::look::{secs, text};

/// What doctor says of one thing: status and detail.
fn told(output: &Output, name: &str) -> Vec<(String, String)> {
    let checks = output.json();
    let named = checks.as_array().expect("checks").iter().filter(|check| check["check"] == name);
    named.map(|check| (text(&check["status"]).to_owned(), text(&check["detail"]).to_owned())).collect()
}

/// Whether one of these has this status and these words.
fn has(told: &[(String, String)], status: &str, words: &str) -> bool {
    told.iter().any(|(is, detail)| is == status && detail.contains(words))
}

fn doctor(fleet: &Fleet) -> Output {
    fleet.windlass(&["doctor", "-o", "json"])
}

/// The same with so many replicas that must confirm.
fn doctor_with_replicas(fleet: &Fleet, count: u32) -> Output {
    let config = format!("[redis]\ndurability = \"replicas={count}\"\n");
    fleet.windlass_with_config(&config, &["doctor", "-o", "json"])
}

fn set(server: &RedisServer, name: &str, value: &str) {
    let mut connection =
        redis::Client::open(server.url()).and_then(|client| client.get_connection()).expect("it is up");
    redis::cmd("CONFIG").arg(&["SET", name, value]).exec(&mut connection).expect("it is set");
}

#[test]
fn what_a_power_cut_may_lose_is_told() {
    let fleet = Fleet::without_workers();
    let persistence = |fleet: &Fleet| told(&doctor(fleet).ok(), "persistence");
    assert!(has(&persistence(&fleet), "warn", "set `appendonly yes`"));
    set(&fleet.redis, "appendonly", "yes");
    for (appendfsync, status, words) in [
        ("always", "ok", "nothing is lost"),
        ("everysec", "ok", "the last second"),
        ("no", "warn", "half a minute"),
    ] {
        set(&fleet.redis, "appendfsync", appendfsync);
        let told = persistence(&fleet);
        assert!(has(&told, status, words), "{appendfsync}: {told:?}");
    }
}

#[test]
fn replicas_that_are_counted_on_and_missing_fail_the_check() {
    let fleet = Fleet::without_workers();
    assert!(told(&doctor(&fleet).ok(), "replicas").is_empty(), "one that is meant to be alone");
    let alone = doctor_with_replicas(&fleet, 1).expect_code(1);
    assert!(has(&told(&alone, "replicas"), "fail", "1 must confirm"), "{alone}");

    let port = fleet.redis.port().to_string();
    let mut replica = RedisServer::with_args(&["--replicaof", "127.0.0.1", &port]);
    eventually("the replica is in step", secs(20), || {
        has(&told(&doctor_with_replicas(&fleet, 1), "role"), "ok", "primary with 1 replicas")
            && info_of(&replica).contains("master_link_status:up")
            && info_of(&fleet.redis).contains("state=online")
    });
    let one = doctor_with_replicas(&fleet, 1).ok();
    assert!(has(&told(&one, "replicas"), "warn", "min-replicas-to-write 0"), "{one}");
    set(&fleet.redis, "min-replicas-to-write", "1");
    let well = doctor_with_replicas(&fleet, 1).ok();
    assert_eq!(told(&well, "replicas").len(), 1, "{well}");
    assert!(has(&told(&well, "replicas"), "ok", "1 in step"), "{well}");
    let two = doctor_with_replicas(&fleet, 2).expect_code(1);
    assert!(has(&told(&two, "replicas"), "fail", "2 must confirm"), "{two}");

    set(&fleet.redis, "min-replicas-to-write", "0");
    replica.stop();
    eventually("the primary knows that it is alone", secs(20), || doctor_with_replicas(&fleet, 1).code == 1);
}

#[test]
fn a_primary_that_nobody_can_replace_is_a_warning_where_somebody_would() {
    let options = FleetOptions {
        workers: 0,
        replicas: 1,
        sentinels: Some(secs(60)),
        redis: &["--min-replicas-to-write", "1"],
        ..FleetOptions::default()
    };
    let mut fleet = Fleet::start(&options);
    let well = doctor(&fleet).ok();
    assert!(has(&told(&well, "replicas"), "ok", "1 in step"), "{well}");
    set(&fleet.redis, "min-replicas-to-write", "0");
    fleet.others[0].stop();
    eventually("doctor warns", secs(20), || {
        has(&told(&doctor(&fleet).ok(), "replicas"), "warn", "nobody can take over")
    });
}

#[test]
fn of_a_cluster_each_primary_is_looked_at() {
    let mut fleet =
        Fleet::start(&FleetOptions { workers: 0, primaries: 3, replicas: 1, ..FleetOptions::default() });
    let alone = |fleet: &Fleet| -> Vec<String> {
        let told = told(&doctor(fleet).ok(), "replicas").into_iter();
        told.filter(|(_, detail)| detail.contains("nobody can take over")).map(|(_, detail)| detail).collect()
    };
    eventually("each has a replica", secs(20), || alone(&fleet).is_empty());
    let checks: Value = doctor(&fleet).ok().json();
    assert_eq!(checks.to_string().matches("min-replicas-to-write 0").count(), 3, "{checks}");
    // The replicas come after the primaries, in their order.
    fleet.others[2].stop();
    let port = fleet.redis.port();
    eventually(
        "doctor warns of one",
        secs(20),
        || matches!(&alone(&fleet)[..], [one] if one.starts_with(&format!("127.0.0.1:{port}: "))),
    );
}
