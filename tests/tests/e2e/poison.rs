//! A task that kills the workers which run it ends in the dead letter.

use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
};

use crate::look::{assert_counters, events, secs, text};

#[test]
fn a_task_that_killed_three_workers_is_given_up() {
    let mut fleet = Fleet::start(&FleetOptions { lease: "2s", ..FleetOptions::default() });
    // A node that claims nothing does the upkeep all the same.
    let bystander = fleet.node_id(0);
    fleet.windlass(&["node", "quiet", &bystander]).ok();
    eventually("the bystander is quiet", secs(10), || fleet.state_of(0).as_deref() == Some("quiet"));
    fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "poison", "--batch", "b"]);
    for _ in 0..3 {
        let victim = fleet.spawn_worker();
        fleet.wait_for_state("default", "poison", "running", secs(10));
        fleet.kill9(victim);
        eventually("the lease runs out", secs(10), || {
            fleet.field("default", "poison", "state").as_deref() != Some("running")
        });
    }
    let task = fleet.status("poison");
    assert_eq!((&task["state"], &task["reason"]), (&json!("failed"), &json!("crashed")), "{task}");
    assert_eq!(task["error"]["class"], "crashed", "{task}");
    assert!(text(&task["error"]["message"]).contains("3 times"), "{task}");
    assert_counters(&task, [3, 0, 3, 0]);
    let dead = fleet.windlass(&["tasks", "--state", "failed", "-o", "json"]).ok().json();
    assert_eq!(dead[0]["id"], "poison", "{dead}");
    assert_eq!(events(&fleet, "default", "lease_expired").len(), 2);
    assert_eq!(events(&fleet, "default", "crashed").len(), 1);
    let failed = fleet.windlass(&["wait", "--batch", "b", "--timeout", "5s"]).expect_code(1);
    assert!(failed.stderr.contains("1 failed"), "{failed}");
    fleet.verify();
}
