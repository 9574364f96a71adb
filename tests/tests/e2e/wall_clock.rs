//! The wall clock of one machine is ten minutes off. Only Redis's clock decides anything, and only its times are shown.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_shared::model::Micros;
use windlass_tests::{
    clock::Clock,
    fleet::{Fleet, FleetOptions},
    ledger::Ledger,
    process::{Output, eventually},
};

use crate::look::{assert_all_counters, assert_counters, commits, lines, secs, text, time};

const OFF: i64 = 600;

const TYPES: &str = r#"
[types.fails-once]
executor = "command"
max_attempts = 2
retry.base = "2s"
"#;

/// Far from ten minutes, and long enough for a busy machine.
const SOON: Duration = secs(20);

/// Two workers of four slots. The clock of the second one is off, and it alone serves the queues `odd`, `held` and `line`;
/// so whatever is decided there is decided in scripts that it calls.
struct Scene {
    fleet: Fleet,
    clock: Clock,
    ledger: Ledger,
    since: Micros,
}

impl Scene {
    fn start(seconds: i64) -> Self {
        let clock = Clock::off(seconds);
        let mut fleet = Fleet::start(&FleetOptions { config: TYPES, ..FleetOptions::default() });
        fleet.spawn_through(&clock.through(), "windlass-worker", &["--queues", "default,odd,held,line"]);
        let (ledger, since) = (Ledger::new(fleet.dir()), fleet.now());
        Self { fleet, clock, ledger, since }
    }

    /// `windlass` on the machine whose clock is off.
    fn off(&self, args: &[&str]) -> Output {
        self.fleet.windlass_through(&self.clock.through(), "windlass", args)
    }

    fn submit_off(&self, queue: &str, id: &str, payload: &Value, args: &[&str]) {
        let payload = payload.to_string();
        let first = ["submit", "--type", "command", "--queue", queue, "--id", id, "--payload", &payload];
        self.off(&[&first[..], &["--batch", "b"], args].concat()).ok();
    }

    /// All times that are shown of a task are Redis's, and in order.
    fn assert_times(&self, tasks: &[Value]) {
        let now = self.fleet.now();
        for task in tasks {
            let mut before = self.since;
            for name in ["created_at", "started_at", "finished_at"] {
                if task[name].is_null() {
                    continue; // never started
                }
                let at = time(&task[name]);
                assert!(before <= at && at <= now, "{name} is not between {before} and {now}: {task}");
                before = at;
            }
        }
    }

    /// Each task of the batch was committed once, and began as often as it was tried.
    fn assert_once(&self, tasks: &[Value]) {
        for queue in ["default", "odd", "held", "line"] {
            let commits = commits(&self.fleet, queue);
            for task in tasks.iter().filter(|task| task["queue"] == queue && task["state"] == "completed") {
                let id = text(&task["id"]);
                assert_eq!(commits.get(id), Some(&1), "{task}");
                assert_eq!(Some(self.ledger.starts(id) as u64), task["attempt"].as_u64(), "{task}");
            }
        }
    }
}

fn of<'a>(tasks: &'a [Value], id: &str) -> &'a Value {
    tasks.iter().find(|task| task["id"] == id).unwrap_or_else(|| panic!("no task {id}"))
}

/// Its doctor says so, its own look at the fleet is right, and its waits are as long as they should be.
fn a_producer_with_this_clock(scene: &Scene) {
    let clock = |output: Output| -> (String, String) {
        let checks = output.ok().json();
        let clock = checks.as_array().expect("a list").iter().find(|check| check["check"] == "clock");
        let clock = clock.expect("a check of the clock");
        (text(&clock["status"]).to_owned(), text(&clock["detail"]).to_owned())
    };
    let (status, detail) = clock(scene.off(&["doctor", "-o", "json"]));
    let apart: i64 = detail.split(' ').find_map(|word| word.parse().ok()).expect("milliseconds");
    assert!((apart - OFF * 1000).abs() < 20_000, "the clock of this test is not off: {detail}");
    assert_eq!(status, "warn", "{detail}");
    assert_eq!(clock(scene.fleet.windlass(&["doctor", "-o", "json"])).0, "ok");

    let nodes = scene.off(&["nodes", "-o", "json"]).ok().json();
    let nodes = nodes.as_array().expect("a list");
    assert_eq!(nodes.iter().filter(|node| node["state"] == "active").count(), 2, "{nodes:?}");
    for node in nodes {
        assert!(node["last_beat_ms"].as_u64() < Some(10_000), "{node}");
        assert!(time(&node["started_at"]).since(scene.since) < SOON, "{node}");
    }

    let start = Instant::now();
    let output = scene.off(&["wait", "odd/long-1", "--timeout", "1s"]).expect_code(5);
    assert!((secs(1)..SOON).contains(&start.elapsed()), "{:?}: {output}", start.elapsed());
}

/// Work for both: short tasks, some that last longer than a lease, and those that depend on a clock.
fn load(scene: &Scene) {
    let Scene { fleet, ledger, .. } = scene;
    fleet.windlass(&["pause", "held"]).ok();
    fleet.windlass(&["pause", "line"]).ok();
    let longs = |queue: &str, count| {
        let mut longs = lines("long", count, "command", &ledger.payload("5"));
        for line in &mut longs {
            line["queue"] = json!(queue);
        }
        longs
    };
    let mut tasks = longs("odd", 2);
    tasks.extend(lines("t", 80, "command", &ledger.payload("0.1")));
    tasks.extend([
        json!({"type": "command", "queue": "odd", "id": "delayed", "delay": "2s", "payload": ledger.payload("0")}),
        json!({"type": "command", "queue": "odd", "id": "times-out", "timeout": "1s", "max_attempts": 1,
               "payload": {"argv": ["sleep", "50"]}}),
        json!({"type": "command", "queue": "held", "id": "expires", "expires": "1s", "payload": ledger.payload("0")}),
        json!({"type": "command", "queue": "held", "id": "expires-later", "expires": "5m", "payload": ledger.payload("0")}),
    ]);
    let mut fails = ledger.payload("0");
    fails["argv"][2] = json!(format!("{}\n[ \"$WINDLASS_ATTEMPT\" != 1 ]", text(&fails["argv"][2])));
    tasks.push(json!({"type": "fails-once", "queue": "odd", "id": "fails-once", "payload": fails}));
    fleet.submit_lines(&tasks, &["--batch", "b"]);

    // The same from the other machine, and an order that two producers make together.
    scene.submit_off("odd", "delayed-off", &ledger.payload("0"), &["--delay", "2s"]);
    scene.submit_off("held", "expires-off", &ledger.payload("0"), &["--expires", "1s"]);
    scene.submit_off("held", "expires-later-off", &ledger.payload("0"), &["--expires", "5m"]);
    let run_at = Micros(fleet.now().0 + 2_000_000).to_string();
    scene.submit_off("odd", "run-at-off", &ledger.payload("0"), &["--run-at", &run_at]);
    fleet.windlass(&["queues", "set", "line", "--concurrency", "1"]).ok();
    for n in 1..=3 {
        scene.submit_off("line", &format!("z-{n}"), &ledger.payload("0"), &[]);
        let line = ["--queue", "line", "--batch", "b", "--id", &format!("a-{n}")];
        fleet.submit("command", &ledger.payload("0"), &line);
    }
    fleet.windlass(&["resume", "line"]).ok();
}

fn nobody_is_charged_and_all_times_are_those_of_redis(seconds: i64) {
    let mut scene = Scene::start(seconds);
    load(&scene);
    a_producer_with_this_clock(&scene);
    let fleet = &scene.fleet;
    for id in ["expires", "expires-off"] {
        fleet.wait_for_state("held", id, "expired", SOON);
    }
    for id in ["expires-later", "expires-later-off"] {
        assert_eq!(fleet.field("held", id, "state").as_deref(), Some("pending"), "{id}");
    }
    fleet.windlass(&["resume", "held"]).ok();

    let tasks = fleet.finish_batch("b", secs(60));
    assert_eq!(tasks.len(), 2 + 80 + 5 + 4 + 6);
    scene.assert_times(&tasks);
    scene.assert_once(&tasks);
    let (others, plain): (Vec<_>, Vec<_>) = tasks
        .iter()
        .cloned()
        .partition(|task| ["fails-once", "times-out", "expires", "expires-off"].contains(&text(&task["id"])));
    assert!(plain.iter().all(|task| task["state"] == "completed"), "{plain:?}");
    assert_all_counters(&plain, [1, 0, 0, 0]);
    let ran_on = |index: usize| plain.iter().filter(|task| task["node"] == fleet.node_id(index)).count();
    assert!(ran_on(0) > 5 && ran_on(1) > 5, "both worked: {} and {}", ran_on(0), ran_on(1));

    for id in ["delayed", "delayed-off", "run-at-off"] {
        let waited = time(&of(&tasks, id)["started_at"]).since(time(&of(&tasks, id)["created_at"]));
        // A moment was named a little before the task came.
        let least = if id == "run-at-off" { Duration::from_millis(200) } else { secs(2) };
        assert!((least..SOON).contains(&waited), "{id} waited {waited:?}");
    }
    let again = of(&others, "fails-once");
    assert_eq!(again["state"], "completed", "{again}");
    assert_counters(again, [2, 1, 0, 0]);
    assert!(time(&again["finished_at"]).since(time(&again["created_at"])) < SOON, "{again}");
    let late = of(&others, "times-out");
    assert_eq!((&late["state"], &late["error"]["class"]), (&json!("failed"), &json!("timeout")), "{late}");
    let took = time(&late["finished_at"]).since(time(&late["started_at"]));
    assert!((secs(1)..SOON).contains(&took), "it timed out after {took:?}: {late}");
    let line: Vec<&str> =
        tasks.iter().filter(|task| task["queue"] == "line").map(|task| text(&task["id"])).collect();
    assert_eq!(line, ["z-1", "a-1", "z-2", "a-2", "z-3", "a-3"]);

    it_recovers_what_another_held(&mut scene);
    scene.fleet.verify();
}

/// The worker whose clock is right dies; the other one finds out by Redis's clock.
fn it_recovers_what_another_held(scene: &mut Scene) {
    let Scene { fleet, ledger, .. } = scene;
    let other = fleet.node_id(1);
    fleet.windlass(&["node", "quiet", &other]).ok();
    eventually("it is quiet", SOON, || fleet.state_of(1).as_deref() == Some("quiet"));
    fleet.submit_lines(&lines("u", 4, "command", &ledger.payload_of("6", "0")), &["--batch", "c"]);
    eventually("all four run", SOON, || (1..=4).all(|n| ledger.starts(&format!("u-{n}")) == 1));
    fleet.windlass(&["node", "resume", &other]).ok();
    fleet.kill9(0);
    let killed = fleet.now();
    let finished = fleet.finish_batch("c", secs(30));
    assert_all_counters(&finished, [2, 0, 1, 0]);
    for task in &finished {
        assert_eq!((&task["state"], &task["node"]), (&json!("completed"), &json!(other)), "{task}");
        let took = time(&task["finished_at"]).since(killed);
        assert!(took < secs(10), "finished {took:?} after the kill, with a lease of 3 s: {task}");
    }
}

#[test]
fn a_clock_that_is_ten_minutes_ahead_changes_nothing() {
    nobody_is_charged_and_all_times_are_those_of_redis(OFF);
}

#[test]
fn a_clock_that_is_ten_minutes_behind_changes_nothing() {
    nobody_is_charged_and_all_times_are_those_of_redis(-OFF);
}
