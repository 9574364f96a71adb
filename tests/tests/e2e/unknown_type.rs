//! A type that a node does not know: another node may, and after a minute it is given up.

use serde_json::json;
use windlass_shared::model::TaskId;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
};

use crate::look::{assert_counters, events, secs, text};

const CONFIG: &str = "[types.rare]\nexecutor = \"noop\"\n";

#[test]
fn it_is_handed_back_uncharged_and_given_up_after_a_minute() {
    let fleet = Fleet::of_one();
    fleet.submit("rare", &json!(1), &["--id", "t"]);
    fleet.wait_for_state("default", "t", "scheduled", secs(10));
    let task = fleet.status("t");
    assert_eq!(task["reason"], "unknown_type", "{task}");
    assert_counters(&task, [1, 0, 0, 0]);
    let due = crate::look::time(&task["due_at"]).since(fleet.now());
    assert!(due > secs(3) && due <= secs(5), "it is not before five seconds: {due:?}");

    // A minute ago, as if.
    let key = fleet.queue_keys("default").task(&TaskId::new("t").expect("a valid id"));
    let since = (fleet.now().0 - 61_000_000).to_string();
    redis::cmd("HSET")
        .arg(key)
        .arg(&["unknown_since", &since])
        .exec(&mut fleet.connection())
        .expect("obeyed");
    fleet.wait_for_state("default", "t", "failed", secs(15));
    let task = fleet.status("t");
    assert_eq!(
        (&task["reason"], &task["error"]["class"]),
        (&json!("failed"), &json!("unknown_type")),
        "{task}"
    );
    assert!(text(&task["error"]["message"]).contains("[types.rare]"), "{task}");
    assert_counters(&task, [2, 0, 0, 0]);
    fleet.verify();
}

#[test]
fn a_node_that_knows_it_gets_it_in_the_end() {
    let mut fleet = Fleet::start(&FleetOptions { concurrency: 1, ..FleetOptions::default() });
    fleet.submit("rare", &json!("here"), &["--id", "t"]);
    fleet.wait_for_state("default", "t", "scheduled", secs(10));
    // Busy from now on, the first node leaves it to the second.
    fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "busy"]);
    fleet.wait_for_state("default", "busy", "running", secs(10));
    let config = fleet.file("knows.toml", CONFIG);
    let knows = fleet.spawn_worker_with(&["--config", config.to_str().expect("a plain path")]);
    let node = fleet.node_id(knows);
    eventually("the second node runs it", secs(15), || {
        fleet.field("default", "t", "state").as_deref() == Some("completed")
    });
    let task = fleet.status("t");
    assert_eq!((&task["node"], &task["result"]), (&json!(node), &json!("here")), "{task}");
    assert_counters(&task, [2, 0, 0, 0]);
    assert_eq!(events(&fleet, "default", "unknown_type").len(), 1);
    let strict = ["submit", "--type", "rare", "--payload", "1", "--strict"];
    assert_eq!(fleet.windlass(&strict).code, 0, "one live node knows it");
    fleet.verify();
}
