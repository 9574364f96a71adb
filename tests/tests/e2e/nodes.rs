//! Nodes: who is alive, what each one runs, and steering them.

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{eventually, until},
};

use crate::look::{assert_completed_once, assert_counters, lines, secs, text, time};

fn node(fleet: &Fleet, id: &str) -> Value {
    fleet.nodes().into_iter().find(|node| node["id"] == id).unwrap_or(Value::Null)
}

fn tell(fleet: &Fleet, verb: &str, node: &str) {
    let output = fleet.windlass(&["node", verb, node, "-o", "json"]).ok();
    assert_eq!(output.json(), json!({"node": node, "told": verb}));
}

#[test]
fn a_node_is_listed_with_what_it_is_and_what_it_runs() {
    let args = ["--queues", "default,gpu=3", "--labels", "zone=a,pod=worker-0"];
    let mut fleet = Fleet::start(&FleetOptions { concurrency: 7, args: &args, ..FleetOptions::default() });
    fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "t", "--queue", "gpu"]);
    fleet.wait_for_state("gpu", "t", "running", secs(10));
    let listed = until("the next beat tells of the task", secs(10), || {
        fleet.nodes().pop().filter(|node| node["running_count"] == 1)
    });

    let pid = fleet.worker(0).pid();
    let task = &listed["running"][0];
    assert_eq!((&listed["state"], &listed["pid"]), (&json!("active"), &json!(pid)), "{listed}");
    assert_eq!(listed["queues"], json!({"default": 1, "gpu": 3}));
    assert_eq!(listed["labels"], json!({"zone": "a", "pod": "worker-0"}));
    assert_eq!((&listed["slots"], &listed["stale_commits"]), (&json!(7), &json!(0)));
    assert_eq!(listed["types"].as_array().map(Vec::len), Some(5), "{listed}");
    assert_eq!(listed["version"], env!("CARGO_PKG_VERSION"));
    assert!(!text(&listed["host"]).is_empty() && listed["last_beat_ms"].as_u64() < Some(5000), "{listed}");
    assert!(time(&listed["started_at"]) <= fleet.now(), "{listed}");
    assert_eq!(
        (&task["ref"], &task["type"], &task["attempt"]),
        (&json!("gpu/t"), &json!("sleep"), &json!(1))
    );
    assert!(task["elapsed_ms"].is_u64(), "{task}");
    let table = fleet.windlass(&["nodes"]).ok();
    assert!(table.stdout.contains("default,gpu=3") && table.stdout.contains("sleep t"), "{table}");
    assert_eq!(fleet.windlass(&["nodes", "-o", "jsonl"]).ok().jsonl().len(), 1);
}

#[test]
fn a_quiet_node_finishes_what_runs_and_claims_again_when_it_resumes() {
    let fleet = Fleet::of_one();
    let id = fleet.node_id(0);
    fleet.submit("sleep", &json!({"ms": 1500}), &["--id", "runs"]);
    fleet.wait_for_state("default", "runs", "running", secs(10));
    tell(&fleet, "quiet", &id);
    eventually("it is quiet", secs(3), || fleet.state_of(0).as_deref() == Some("quiet"));
    fleet.submit("noop", &json!(1), &["--id", "waits"]);
    fleet.wait_for_state("default", "runs", "completed", secs(10));
    assert_eq!(fleet.status("waits")["state"], "pending");
    assert_eq!(node(&fleet, &id)["state"], "quiet");
    tell(&fleet, "resume", &id);
    fleet.wait_for_state("default", "waits", "completed", secs(2));
    fleet.verify();
}

#[test]
fn a_drained_node_finishes_what_runs_and_leaves() {
    let mut fleet = Fleet::start(&FleetOptions { workers: 2, concurrency: 2, ..FleetOptions::default() });
    fleet.submit_lines(&lines("t", 4, "sleep", &json!({"ms": 1500})), &["--batch", "b"]);
    eventually("all run", secs(10), || fleet.running("default") == 4);
    let (drained, stays) = (fleet.node_id(0), fleet.node_id(1));
    tell(&fleet, "drain", &drained);
    eventually("it drains", secs(5), || fleet.state_of(0).as_deref() == Some("draining"));
    fleet.submit_lines(&lines("u", 4, "noop", &json!(1)), &["--batch", "b"]);
    assert_eq!(fleet.exit_code(0, secs(10)), 0);
    assert_eq!(node(&fleet, &drained), Value::Null, "it is not lost, it left");
    let finished = fleet.finish_batch("b", secs(10));
    assert_completed_once(&fleet, &finished, 8);
    for task in &finished {
        assert_counters(task, [1, 0, 0, 0]);
        assert!(!text(&task["id"]).starts_with('u') || task["node"] == stays.as_str(), "{task}");
    }
    fleet.verify();
}

#[test]
fn a_stopped_node_hands_back_and_leaves_at_once() {
    let mut fleet = Fleet::of_one();
    fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "t"]);
    fleet.wait_for_state("default", "t", "running", secs(10));
    let id = fleet.node_id(0);
    tell(&fleet, "stop", &id);
    assert_eq!(fleet.exit_code(0, secs(4)), 0);
    let task = fleet.status("t");
    assert_eq!((&task["state"], &task["reason"]), (&json!("pending"), &json!("interrupted")), "{task}");
    assert_counters(&task, [1, 0, 0, 1]);
    let output = fleet.windlass(&["node", "stop", &id]).expect_code(1);
    assert!(output.stderr.contains("no live node"), "{output}");
    fleet.verify();
}

/// The heartbeat key lives for ten seconds.
#[test]
fn idle_nodes_that_are_told_to_leave_end_well() {
    let mut fleet = Fleet::start(&FleetOptions { workers: 8, ..FleetOptions::default() });
    for index in 0..8 {
        let node = fleet.node_id(index);
        tell(&fleet, ["drain", "stop"][index % 2], &node);
    }
    for index in 0..8 {
        assert_eq!(fleet.exit_code(index, secs(10)), 0, "{}", fleet.log(index));
    }
    assert!(fleet.nodes().is_empty(), "they say goodbye");
}

#[test]
fn a_killed_node_shows_as_lost_with_what_was_known_of_it() {
    let mut fleet = Fleet::start(&FleetOptions { args: &["--labels", "zone=b"], ..FleetOptions::default() });
    let id = fleet.node_id(0);
    let pid = fleet.worker(0).pid();
    fleet.kill9(0);
    until("it is lost", secs(15), || Some(()).filter(|()| node(&fleet, &id)["state"] == "lost"));
    let lost = node(&fleet, &id);
    assert_eq!((&lost["pid"], &lost["labels"]), (&json!(pid), &json!({"zone": "b"})), "{lost}");
    assert_eq!((&lost["running_count"], &lost["running"]), (&json!(0), &json!([])));
    let table = fleet.windlass(&["nodes"]).ok();
    assert!(table.stderr.contains("no node is alive"), "{table}");
    let doctor = fleet.windlass(&["doctor"]).ok();
    assert!(doctor.stdout.contains("0 alive, 1 lost"), "{doctor}");
    assert_eq!(fleet.windlass(&["node", "drain", &id]).code, 1);
}

#[test]
fn nodes_are_watched_until_ctrl_c() {
    let fleet = Fleet::of_one();
    let mut watch = fleet.start_windlass(&["nodes", "--watch", "-o", "jsonl"]);
    eventually("it is listed a second time", secs(10), || watch.stdout().lines().count() >= 2);
    watch.signal(rustix::process::Signal::INT);
    assert_eq!(watch.wait(secs(5)).code, 130);
}

#[test]
fn a_health_check_tells_whether_a_worker_of_this_machine_beats() {
    let mut fleet = Fleet::start(&FleetOptions { workers: 2, ..FleetOptions::default() });
    let check = |fleet: &Fleet| {
        let mut command = fleet.command("windlass-worker");
        command.arg("check").env("WINDLASS_WORKSPACE", fleet.workspaces());
        windlass_tests::process::run(command, fleet.dir(), "check", secs(10)).code
    };
    assert_eq!(check(&fleet), 0);
    fleet.kill9(0);
    assert_eq!(check(&fleet), 0, "one is left");
    fleet.term(1);
    assert_eq!(fleet.exit_code(1, secs(5)), 0);
    assert_eq!(check(&fleet), 1);
    fleet.spawn_worker();
    assert_eq!(check(&fleet), 0);
    fleet.redis.stop();
    assert_eq!(check(&fleet), 3);
}
