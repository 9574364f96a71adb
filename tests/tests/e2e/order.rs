//! In which order tasks run: by priority, first in first out, fair among tenants, by weight among queues.

use serde_json::{Value, json};
use windlass_tests::fleet::{Fleet, FleetOptions};

use crate::look::{lines, secs, text, time};

fn ids(tasks: &[Value]) -> Vec<&str> {
    tasks.iter().map(|task| text(&task["id"])).collect()
}

#[test]
fn priorities_are_strict_and_equal_tasks_run_first_in_first_out() {
    let fleet = Fleet::start(&FleetOptions { concurrency: 1, ..FleetOptions::default() });
    fleet.windlass(&["pause", "default"]).ok();
    // Every order in which two priorities can come occurs.
    let order = ["low", "critical", "normal", "high", "high", "normal", "critical", "low", "normal", "low"];
    let line = |n: usize| {
        let priority = order[n % order.len()];
        json!({ "type": "noop", "id": format!("{priority}-{n}"), "priority": priority })
    };
    let tasks: Vec<Value> = (100..160).map(line).collect();
    fleet.submit_lines(&tasks, &["--batch", "b"]);
    fleet.windlass(&["resume", "default"]).ok();
    let mut finished = fleet.finish_batch("b", secs(20));

    let mut expected = ids(&tasks);
    // A stable sort: within a priority the order of submission stays.
    expected.sort_by_key(|id| {
        ["critical", "high", "normal", "low"].iter().position(|priority| id.starts_with(priority))
    });
    assert_eq!(ids(&finished), expected, "in order of finishing");
    finished.sort_by_key(|task| time(&task["started_at"]));
    assert_eq!(ids(&finished), expected, "in order of starting");
    fleet.verify();
}

#[test]
fn a_new_priority_moves_a_waiting_task() {
    let fleet = Fleet::start(&FleetOptions { concurrency: 1, ..FleetOptions::default() });
    fleet.windlass(&["pause", "default"]).ok();
    fleet.submit_lines(&lines("t", 6, "noop", &json!(1)), &["--batch", "b"]);
    let moved = fleet.windlass(&["priority", "t-5", "t-3", "critical", "-o", "json"]).ok();
    assert_eq!(moved.json()[0]["outcome"], "changed", "{moved}");
    fleet.windlass(&["priority", "t-1", "low"]).ok();
    fleet.windlass(&["resume", "default"]).ok();
    let finished = fleet.finish_batch("b", secs(10));
    assert_eq!(ids(&finished), ["t-5", "t-3", "t-2", "t-4", "t-6", "t-1"]);
    let late = fleet.windlass(&["priority", "t-1", "high", "-o", "json"]).expect_code(1);
    assert_eq!(late.json()["outcome"], "refused", "{late}");
    fleet.verify();
}

#[test]
fn tenants_with_weights_three_to_one_share_a_busy_queue_three_to_one() {
    let fleet = Fleet::start(&FleetOptions { workers: 2, ..FleetOptions::default() });
    fleet.windlass(&["pause", "default"]).ok();
    let tasks = |tenant: &str, weight: u32| -> Vec<Value> {
        let line = |n| json!({ "type": "sleep", "id": format!("{tenant}-{n}"), "payload": {"ms": 2}, "tenant": tenant, "weight": weight });
        (0..400).map(line).collect()
    };
    // The one with the smaller weight is there first, and neither runs dry in the first four hundred.
    fleet.submit_lines(&tasks("small", 1), &["--batch", "b"]);
    fleet.submit_lines(&tasks("large", 3), &["--batch", "b"]);
    fleet.windlass(&["resume", "default"]).ok();
    let mut finished = fleet.finish_batch("b", secs(30));
    assert_eq!(finished.len(), 800);
    finished.sort_by_key(|task| time(&task["started_at"]));

    let large = finished[..400].iter().filter(|task| task["tenant"] == "large").count();
    assert!((285..=315).contains(&large), "{large} of the first 400 instead of 300 ± 5 %");
    for tenant in ["small", "large"] {
        let order: Vec<Value> =
            finished.iter().filter(|task| task["tenant"] == tenant).map(|task| task["id"].clone()).collect();
        let expected: Vec<Value> = (0..400).map(|n| json!(format!("{tenant}-{n}"))).collect();
        // Tasks that were claimed in one call started at the same moment, and are listed as they finished.
        let far = |(at, id): (usize, &Value)| expected[at.saturating_sub(8)..(at + 9).min(400)].contains(id);
        assert!(order.iter().enumerate().all(far), "first in, first out within tenant {tenant}");
    }
    fleet.verify();
}

#[test]
fn a_worker_serves_its_queues_by_weight() {
    let mut fleet = Fleet::start(&FleetOptions { workers: 0, concurrency: 1, ..FleetOptions::default() });
    for queue in ["light", "heavy"] {
        fleet.submit_lines(&lines(queue, 200, "noop", &json!(1)), &["--batch", "b", "--queue", queue]);
    }
    fleet.spawn_worker_with(&["--queues", "light,heavy=3"]);
    let mut finished = fleet.finish_batch("b", secs(30));
    assert_eq!(finished.len(), 400);
    finished.sort_by_key(|task| time(&task["started_at"]));
    let heavy = finished[..200].iter().filter(|task| task["queue"] == "heavy").count();
    assert!((142..=158).contains(&heavy), "{heavy} of the first 200 instead of 150 ± 5 %");
    fleet.verify();
}
