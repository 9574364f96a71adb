//! A real Redis Cluster for a test: primaries as processes of their own on the loopback, with equal stretches of slots.

use std::time::Duration;

use crate::{process::eventually, redis::RedisServer};

const SLOTS: usize = 16384;
/// The nodes have heard of each other by then, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a cluster of so many primaries and waits until it serves.
pub fn start(primaries: usize) -> Vec<RedisServer> {
    let nodes: Vec<(RedisServer, u16)> = (0..primaries).map(|_| RedisServer::cluster_node()).collect();
    for (index, (node, _)) in nodes.iter().enumerate() {
        let (first, end) = (index * SLOTS / primaries, (index + 1) * SLOTS / primaries);
        ask(node, &["SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        ask(node, &["ADDSLOTSRANGE", &first.to_string(), &(end - 1).to_string()]);
        let (first, bus) = &nodes[0];
        if index > 0 {
            ask(node, &["MEET", "127.0.0.1", &first.port().to_string(), &bus.to_string()]);
        }
    }
    let knows_all = |node: &RedisServer| {
        let info = ask(node, &["INFO"]);
        info.contains("cluster_state:ok") && info.contains(&format!("cluster_size:{primaries}"))
    };
    eventually("the cluster serves", PATIENCE, || nodes.iter().all(|(node, _)| knows_all(node)));
    nodes.into_iter().map(|(node, _)| node).collect()
}

fn ask(node: &RedisServer, words: &[&str]) -> String {
    let mut connection = redis::Client::open(node.url())
        .and_then(|client| client.get_connection())
        .expect("a node takes connections");
    let mut command = redis::cmd("CLUSTER");
    command.arg(words);
    command.query(&mut connection).unwrap_or_else(|error| panic!("CLUSTER {words:?}: {error}"))
}
