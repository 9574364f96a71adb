//! An idle worker costs Redis next to nothing, and is awake at once when there is work.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::json;
use windlass_tests::fleet::{Fleet, FleetOptions};

use crate::look::{lines, secs, text, time};

/// What clients send to Redis from now on, a command a line. What scripts call is not among it.
struct Monitor(Arc<Mutex<Vec<String>>>);

impl Monitor {
    fn start(fleet: &Fleet) -> Self {
        let mut stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, fleet.redis.port())).expect("Redis listens");
        stream.write_all(b"MONITOR\r\n").expect("it can be written to");
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next().expect("an answer").expect("an answer");
        assert_eq!(first, "+OK");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        // Ends with the server.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok).filter(|line| !line.contains(" lua] ")) {
                log.lock().expect("nobody panics while holding it").push(line);
            }
        });
        Self(seen)
    }

    /// What was sent since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("nobody panics while holding it"))
    }
}

/// The words of a command, without the time and the client.
fn words(line: &str) -> Vec<&str> {
    let command = line.split_once("] ").map_or(line, |(_, command)| command);
    command.split("\" \"").map(|word| word.trim_matches('"')).collect()
}

/// A heartbeat is two calls: `beat` (four keys of the nodes) and, for the one queue, `extend` (its fifteen keys).
/// A claim has sixteen keys, so the number of keys tells them apart.
fn is_heartbeat(line: &str) -> bool {
    let words = words(line);
    words[0].starts_with("EVAL") && words.len() > 2 && ["4", "15"].contains(&words[2])
}

/// With the default lease, a worker of one queue waits twice, for the bell and for commands, each for a minute: two
/// commands a minute are 0.033 a second. Whatever else it sends within twenty seconds comes on top.
#[test]
fn an_idle_worker_sends_less_than_a_tenth_of_a_command_a_second() {
    let mut fleet = Fleet::start(&FleetOptions { workers: 0, lease: "", ..FleetOptions::default() });
    let monitor = Monitor::start(&fleet);
    fleet.spawn_worker();
    thread::sleep(secs(1)); // it settles down: the first claim finds nothing, the waits begin
    let at_start = monitor.take();
    let timeout = |verb: &str| {
        let wait = at_start.iter().map(|line| words(line)).find(|words| words[0] == verb);
        let wait = wait.unwrap_or_else(|| panic!("no {verb} among {at_start:#?}"));
        wait.last().and_then(|last| last.parse::<f64>().ok()).expect("its time-out")
    };
    let waits = 1.0 / timeout("BZPOPMIN") + 1.0 / timeout("BLPOP");

    let window = 20.0;
    thread::sleep(Duration::from_secs_f64(window)); // this is the measurement
    let sent = monitor.take();
    let (beats, other): (Vec<&String>, Vec<&String>) = sent.iter().partition(|line| is_heartbeat(line));
    let others = other.len() as f64 / window;
    println!("{} heartbeat calls, {} others: {other:?}", beats.len(), other.len());
    assert!(waits + others < 0.1, "{waits:.3} + {others:.3} a second: {other:#?}");
    // Every 3.3 s, two calls each.
    assert!((10..=16).contains(&beats.len()), "{} heartbeat calls: {beats:#?}", beats.len());
}

/// A beat comes every 3.3 s: what starts within two was woken for. (On an idle machine it takes a millisecond.)
#[test]
fn an_idle_fleet_starts_what_is_submitted_without_waiting_for_a_beat() {
    let fleet = Fleet::start(&FleetOptions { workers: 3, lease: "", ..FleetOptions::default() });
    for n in 0..20 {
        let id = format!("t-{n}");
        fleet.submit("noop", &json!(1), &["--id", &id]);
        fleet.wait_for_state("default", &id, "completed", secs(10));
        let task = fleet.status(&id);
        let waited = time(&task["started_at"]).since(time(&task["created_at"]));
        assert!(waited < secs(2), "{waited:?}: {task}");
    }
    fleet.submit("noop", &json!(1), &["--id", "later", "--delay", "1500ms"]);
    fleet.wait_for_state("default", "later", "completed", secs(10));
    let task = fleet.status("later");
    let waited = time(&task["started_at"]).since(time(&task["created_at"]));
    assert!(waited >= Duration::from_millis(1500) && waited < secs(3), "{waited:?}: {task}");
    fleet.verify();
}

#[test]
fn work_for_several_idle_workers_wakes_them_all() {
    let fleet =
        Fleet::start(&FleetOptions { workers: 4, concurrency: 1, lease: "", ..FleetOptions::default() });
    fleet.submit_lines(&lines("t", 4, "sleep", &json!({"ms": 1500})), &["--batch", "b"]);
    let finished = fleet.finish_batch("b", secs(20));
    let nodes: BTreeSet<&str> = finished.iter().map(|task| text(&task["node"])).collect();
    assert_eq!(nodes.len(), 4, "one each");
    for task in &finished {
        let waited = time(&task["started_at"]).since(time(&task["created_at"]));
        assert!(waited < secs(2), "{waited:?}: {task}");
    }
    // The same when a pause ends, and when tasks fall due together.
    fleet.windlass(&["pause", "default"]).ok();
    fleet.submit_lines(&lines("u", 4, "sleep", &json!({"ms": 1500})), &["--batch", "c"]);
    let resumed = fleet.now();
    fleet.windlass(&["resume", "default"]).ok();
    for task in fleet.finish_batch("c", secs(20)) {
        let waited = time(&task["started_at"]).since(resumed);
        assert!(waited < secs(2), "{waited:?}: {task}");
    }
    let due = |n| json!({"type": "sleep", "id": format!("v-{n}"), "payload": {"ms": 1500}, "delay": "1s"});
    fleet.submit_lines(&(0..4).map(due).collect::<Vec<_>>(), &["--batch", "d"]);
    for task in fleet.finish_batch("d", secs(20)) {
        let waited = time(&task["started_at"]).since(time(&task["created_at"]));
        assert!(waited >= secs(1) && waited < secs(3), "{waited:?}: {task}");
    }
    fleet.verify();
}
