//! A real Redis Cluster for a test: primaries as processes of their own on the loopback, with equal stretches of slots,
//! and replicas.

use std::time::Duration;

use crate::{
    process::eventually,
    redis::{RedisServer, info_of},
};

const SLOTS: usize = 16384;
/// The nodes have heard of each other by then, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a cluster of so many primaries, each with so many replicas, and waits until it serves. Primaries come first.
pub fn start(primaries: usize, replicas: usize) -> Vec<RedisServer> {
    let count = primaries * (1 + replicas);
    let nodes: Vec<(RedisServer, u16)> = (0..count).map(|_| RedisServer::cluster_node()).collect();
    for (index, (node, _)) in nodes.iter().enumerate() {
        ask(node, &["SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        if index < primaries {
            let (first, end) = (index * SLOTS / primaries, (index + 1) * SLOTS / primaries);
            ask(node, &["ADDSLOTSRANGE", &first.to_string(), &(end - 1).to_string()]);
        }
        let (first, bus) = &nodes[0];
        if index > 0 {
            ask(node, &["MEET", "127.0.0.1", &first.port().to_string(), &bus.to_string()]);
        }
    }
    let nodes: Vec<RedisServer> = nodes.into_iter().map(|(node, _)| node).collect();
    let knows_all = |node: &RedisServer| {
        let info = ask(node, &["INFO"]);
        info.contains("cluster_state:ok")
            && info.contains(&format!("cluster_size:{primaries}"))
            && info.contains(&format!("cluster_known_nodes:{count}"))
    };
    eventually("the cluster serves", PATIENCE, || nodes.iter().all(knows_all));
    for (index, replica) in nodes.iter().enumerate().skip(primaries) {
        let of = ask(&nodes[index % primaries], &["MYID"]);
        eventually("a replica takes its place", PATIENCE, || try_ask(replica, &["REPLICATE", &of]).is_ok());
    }
    let in_step = |replica: &RedisServer| info_of(replica).contains("master_link_status:up");
    eventually("the replicas are in step", PATIENCE, || nodes[primaries..].iter().all(in_step));
    nodes
}

/// Moves the slots of these keys' tags, with all their keys, from one primary to another, as a resharding does.
pub fn move_slot(slot: u16, from: &RedisServer, to: &RedisServer, others: &[&RedisServer]) {
    let (slot, target) = (slot.to_string(), ask(to, &["MYID"]));
    ask(to, &["SETSLOT", &slot, "IMPORTING", &ask(from, &["MYID"])]);
    ask(from, &["SETSLOT", &slot, "MIGRATING", &target]);
    let mut connection = connect(from);
    loop {
        let mut list = redis::cmd("CLUSTER");
        list.arg("GETKEYSINSLOT").arg(&slot).arg(20);
        let keys: Vec<String> = list.query(&mut connection).expect("keys of a slot");
        if keys.is_empty() {
            break;
        }
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg("127.0.0.1").arg(to.port()).arg("").arg(0).arg(10_000).arg("KEYS").arg(&keys);
        let _: redis::Value = migrate.query(&mut connection).expect("keys move");
    }
    for node in [to, from].iter().chain(others) {
        ask(node, &["SETSLOT", &slot, "NODE", &target]);
    }
}

/// One `CLUSTER` command to a node.
pub fn ask(node: &RedisServer, words: &[&str]) -> String {
    try_ask(node, words).unwrap_or_else(|error| panic!("CLUSTER {words:?}: {error}"))
}

fn try_ask(node: &RedisServer, words: &[&str]) -> redis::RedisResult<String> {
    redis::cmd("CLUSTER").arg(words).query(&mut connect(node))
}

fn connect(node: &RedisServer) -> redis::Connection {
    redis::Client::open(node.url())
        .and_then(|client| client.get_connection())
        .expect("a node takes connections")
}
