//! The probes: a node that stands still is told from one whose Redis is away.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
};

use crate::look::{assert_all_counters, assert_completed_once, lines, secs};

/// A worker with an admin port.
struct Probed {
    fleet: Fleet,
    port: u16,
}

impl Probed {
    fn start(options: &FleetOptions) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut fleet = Fleet::start(&FleetOptions { workers: 0, ..options.clone() });
        fleet.spawn_worker_with(&["--admin", &format!("127.0.0.1:{port}")]);
        Self { fleet, port }
    }

    /// The status and the body.
    fn get(&self, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("the port is open");
        stream.set_read_timeout(Some(secs(5))).expect("a time-out");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    fn status(&self, path: &str) -> u16 {
        self.get(path).0
    }
}

#[test]
fn an_outage_of_redis_makes_a_node_unready_and_restarts_nobody() {
    let redis = ["--appendonly", "yes"];
    let mut node = Probed::start(&FleetOptions { redis: &redis, ..FleetOptions::default() });
    let (status, body) = node.get("/readyz");
    assert_eq!((status, &body["state"]), (200, &json!("active")), "{body}");
    assert_eq!(node.status("/livez"), 200);
    node.fleet.redis.stop();
    eventually("it is not ready", secs(20), || node.status("/readyz") == 503);
    // Longer than a loop may stand still: they turn, though each round fails.
    for _ in 0..12 {
        thread::sleep(secs(1)); // this is the fault itself
        let (status, body) = node.get("/livez");
        assert_eq!(status, 200, "{body}");
    }
    node.fleet.redis.start_again();
    eventually("it is ready again", secs(20), || node.status("/readyz") == 200);
    node.fleet.submit_lines(&lines("t", 10, "noop", &json!(1)), &["--batch", "b"]);
    assert_completed_once(&node.fleet, &node.fleet.finish_batch("b", secs(20)), 10);
    node.fleet.verify();
}

#[test]
fn a_node_that_drains_lives_and_is_not_ready() {
    let mut node = Probed::start(&FleetOptions::default());
    node.fleet.submit("sleep", &json!({"ms": 4000}), &["--id", "t"]);
    node.fleet.wait_for_state("default", "t", "running", secs(10));
    node.fleet.term(0);
    eventually("it is not ready", secs(5), || node.status("/readyz") == 503);
    let (status, body) = node.get("/livez");
    assert_eq!((status, &body["state"], &body["running"]), (200, &json!("draining"), &json!(1)), "{body}");
    assert_eq!(node.fleet.exit_code(0, secs(20)), 0);
    node.fleet.verify();
}

/// Handlers that hold all of a worker's threads: the heartbeat has its own, so the leases hold; the probe tells, and in
/// Kubernetes the node would be started anew.
#[test]
fn executors_that_block_every_thread_are_seen_by_the_probe_and_lose_no_lease() {
    let options = FleetOptions { program: "examples/misbehaves", concurrency: 8, ..FleetOptions::default() };
    let node = Probed::start(&options);
    let tasks = lines("t", 4, "block", &json!({"ms": 16_000}));
    node.fleet.submit_lines(&tasks, &["--batch", "b"]);
    eventually("the dispatcher stands still", secs(16), || node.status("/livez") == 503);
    let (_, body) = node.get("/livez");
    assert!(body["dispatcher_turned_ms"].as_u64() > Some(9000), "{body}");
    assert!(body["heartbeat_turned_ms"].as_u64() < Some(5000), "the heartbeat goes on: {body}");
    eventually("it turns again", secs(90), || node.status("/livez") == 200);
    let finished = node.fleet.finish_batch("b", secs(90));
    assert_completed_once(&node.fleet, &finished, 4);
    assert_all_counters(&finished, [1, 0, 0, 0]);
    node.fleet.verify();
}

#[test]
fn an_admin_port_that_is_taken_says_so() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut fleet = Fleet::without_workers();
    let index = fleet.launch(&["--admin", &address]);
    assert_eq!(fleet.exit_code(index, Duration::from_secs(20)), 2);
    assert!(fleet.log(index).contains("worker.admin"), "{}", fleet.log(index));
}
