//! What autoscalers are told.

use serde_json::{Value, json};
use windlass_tests::{
    api::Api,
    fleet::{Fleet, keys},
    process::eventually,
};

use crate::look::secs;

/// The fleet is looked at about once a second.
fn settles(api: &Api, what: &str, path: &str, wanted: &Value) {
    let told = || {
        let scale = api.get(path).expect(200).json();
        wanted.as_object().expect("fields").iter().all(|(name, value)| scale[name] == *value)
    };
    eventually(what, secs(10), told);
}

/// A record that somebody broke takes away only what it is about, and the log says which request found it.
#[test]
fn a_broken_part_of_the_metrics_leaves_the_others() {
    let fleet = Fleet::without_workers();
    fleet.submit("noop", &json!(1), &[]);
    let key = keys().gate_key("breakers");
    redis::cmd("SET").arg(&key).arg("broken").exec(&mut fleet.connection()).expect("Redis obeys");
    let api = Api::anonymous(&fleet);
    let page = api.get("/metrics").expect(200).text;
    for line in [
        "windlass_redis_up 1.0",
        "windlass_queue_pending_tasks{queue=\"default\",priority=\"normal\"} 1.0",
        "windlass_scrape_errors_total 1",
    ] {
        assert!(page.lines().any(|told| told == line), "{line}: {page}");
    }
    assert!(!page.contains("windlass_breaker_open{"), "{page}");
    api.send("GET", "/v1/models", &[("x-request-id", "findme")], &Value::Null).expect(500);
    let log = api.process.stderr();
    assert!(log.lines().any(|line| line.contains("a request failed") && line.contains("findme")), "{log}");
}

#[test]
fn a_backlog_is_what_waits_falls_due_and_runs() {
    let mut fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let path = "/v1/autoscale?queue=default&queue=other&slots=4";
    let nothing =
        json!({ "backlog": 0, "ready": 0, "due": 0, "leased": 0, "live_nodes": 0, "desired_nodes": 0 });
    settles(&api, "a queue that nobody knows has nothing", path, &nothing);
    for id in ["a", "b", "c"] {
        fleet.submit("sleep", &json!({ "ms": 60_000 }), &["--id", id]);
    }
    fleet.submit("noop", &json!(1), &["--delay", "20s", "--queue", "other"]);
    fleet.submit("noop", &json!(1), &["--delay", "1h", "--queue", "other"]);
    settles(
        &api,
        "soon counts, later does not",
        path,
        &json!({ "ready": 3, "due": 1, "backlog": 4, "desired_nodes": 1 }),
    );
    fleet.spawn_worker();
    settles(
        &api,
        "what runs still counts",
        path,
        &json!({ "ready": 0, "leased": 3, "backlog": 4, "live_nodes": 1, "slots_used": 3 }),
    );
    fleet.windlass(&["pause", "other"]).ok();
    settles(&api, "a paused queue needs nobody for what waits", path, &json!({ "due": 0, "backlog": 3 }));
    assert_eq!(api.get("/v1/autoscale").expect(400).problem(), "invalid-request");
    let overview = api.get("/v1/overview").expect(200).json();
    assert_eq!(
        (&overview["running"], &overview["nodes"]["active"], &overview["paused"]),
        (&json!(3), &json!(1), &json!(["other"]))
    );
}
