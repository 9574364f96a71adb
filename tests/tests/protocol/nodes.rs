//! Who is alive (`beat.lua`), and what people tell nodes to do.

use std::{collections::BTreeMap, time::Duration};

use windlass_shared::{
    model::{NodeId, NodeRecord, NodeState, TaskRef},
    store::NodeCommand,
};

use crate::{draft::id, scene::Scene};

/// So long that no test outlives it.
const TTL: Duration = Duration::from_secs(600);

fn record(name: &str, state: NodeState) -> NodeRecord {
    NodeRecord {
        id: NodeId::new(name).unwrap(),
        state,
        host: "host".into(),
        pid: 7,
        version: "1".into(),
        protocol: 1,
        started_at: 5,
        queues: BTreeMap::new(),
        types: vec![],
        slots: 4,
        running_count: 0,
        running: vec![],
        stale_commits: 0,
        sandbox: None,
        labels: BTreeMap::new(),
        keys: Vec::new(),
    }
}

/// A node's state as `windlass nodes` shows it; none if it is not listed.
async fn shown(t: &Scene, name: &str) -> Option<String> {
    let (nodes, now) = t.store.nodes().await.unwrap();
    nodes.iter().find(|node| node.id.as_str() == name).map(|node| node.view(now).state)
}

#[tokio::test]
async fn a_beat_writes_the_key_with_its_ttl_the_index_and_what_is_seen() {
    let t = Scene::new().await;
    let before = t.snapshot().await;
    let answer = t.store.beat(&record("n1", NodeState::Active), TTL, true).await.unwrap();
    let json = serde_json::to_string(&record("n1", NodeState::Active)).unwrap();
    let beat: String = t.redis(&["ZSCORE", "wl:{nodes}:index", "n1"]).await;
    assert_eq!(beat, answer.now.0.to_string());
    let mut changed = before.changes(&t.snapshot().await);
    // No script of the queue ran, so the snapshot has no `now` to compare with.
    changed.retain(|line| !line.starts_with("+ wl:{nodes}:index n1="));
    crate::snapshot::assert_lines(
        changed,
        &[
            &format!("+ wl:{{nodes}}:node:n1={json}"),
            "+ wl:{nodes}:node:n1 ttl=set",
            &format!("+ wl:{{nodes}}:seen n1={json}"),
        ],
    );
    let ttl: u64 = t.redis(&["PTTL", "wl:{nodes}:node:n1"]).await;
    assert!((300_000..=600_000).contains(&ttl), "{ttl} ms");
    t.done().await;
}

#[tokio::test]
async fn a_beat_with_other_running_tasks_leaves_the_seen_record_alone() {
    let t = Scene::new().await;
    t.store.beat(&record("n1", NodeState::Active), TTL, true).await.unwrap();
    let before = t.snapshot().await;
    let busy = NodeRecord { running_count: 1, ..record("n1", NodeState::Active) };
    t.store.beat(&busy, TTL, false).await.unwrap();
    let changed = before.changes(&t.snapshot().await);
    let key = |line: &String| line.split('=').next().unwrap().to_owned();
    let keys: Vec<String> = changed.iter().map(key).collect();
    assert_eq!(keys, ["~ wl:{nodes}:index n1", "~ wl:{nodes}:node:n1"]);
    t.done().await;
}

#[tokio::test]
async fn a_node_that_leaves_is_gone_at_once() {
    let t = Scene::new().await;
    let before = t.snapshot().await;
    let node = record("n1", NodeState::Draining);
    t.store.beat(&node, TTL, true).await.unwrap();
    t.store.tell(&node.id, &NodeCommand::Stop).await.unwrap();
    t.store.leave(&node.id).await.unwrap();
    t.expect_changes(&before, &[]).await;
    t.store.leave(&node.id).await.unwrap();
    assert_eq!(shown(&t, "n1").await, None);
    t.done().await;
}

#[tokio::test]
async fn a_node_that_vanished_shows_as_lost_for_a_day() {
    let t = Scene::new().await;
    t.store.beat(&record("n1", NodeState::Active), TTL, true).await.unwrap();
    assert_eq!(shown(&t, "n1").await.as_deref(), Some("active"));
    t.redis::<()>(&["DEL", "wl:{nodes}:node:n1"]).await;
    let (nodes, now) = t.store.nodes().await.unwrap();
    let view = nodes[0].view(now);
    assert_eq!(
        (view.state.as_str(), view.host.as_str()),
        ("lost", "host"),
        "what it last said is remembered"
    );
    let old = (now.0 - 86_400_000_001).to_string();
    t.redis::<()>(&["ZADD", "wl:{nodes}:index", &old, "n1"]).await;
    assert_eq!(shown(&t, "n1").await, None);
    t.store.beat(&record("n2", NodeState::Active), TTL, true).await.unwrap();
    assert_eq!(
        t.redis::<Vec<String>>(&["HKEYS", "wl:{nodes}:seen"]).await,
        ["n2"],
        "another's beat tidies up"
    );
    assert_eq!(t.redis::<Vec<String>>(&["ZRANGE", "wl:{nodes}:index", "0", "-1"]).await, ["n2"]);
    t.done().await;
}

#[tokio::test]
async fn a_node_that_comes_back_after_a_long_pause_is_listed_with_its_last_beat() {
    let t = Scene::new().await;
    t.store.beat(&record("n1", NodeState::Active), TTL, true).await.unwrap();
    t.redis::<()>(&["ZADD", "wl:{nodes}:index", "1", "n1"]).await;
    t.store.beat(&record("n1", NodeState::Quiet), TTL, true).await.unwrap();
    assert_eq!(shown(&t, "n1").await.as_deref(), Some("quiet"));
    t.done().await;
}

#[tokio::test]
async fn commands_are_delivered_once_and_in_order() {
    let t = Scene::new().await;
    let node = record("n1", NodeState::Active);
    let cancel = NodeCommand::Cancel(TaskRef { queue: t.queue.name().clone(), id: id("a:b@c") });
    let sent = [NodeCommand::Quiet, cancel, NodeCommand::Resume, NodeCommand::Drain, NodeCommand::Stop];
    for command in &sent {
        t.store.tell(&node.id, command).await.unwrap();
    }
    let answer = t.store.beat(&node, TTL, false).await.unwrap();
    let received: Vec<NodeCommand> = answer.commands.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(received, sent);
    assert!(t.store.beat(&node, TTL, false).await.unwrap().commands.is_empty());
    t.done().await;
}

#[tokio::test]
async fn a_command_to_a_node_that_is_gone_disappears_by_itself() {
    let t = Scene::new().await;
    t.store.tell(&NodeId::new("gone").unwrap(), &NodeCommand::Quiet).await.unwrap();
    let ttl: i64 = t.redis(&["TTL", "wl:{nodes}:inbox:gone"]).await;
    assert!((1..=3600).contains(&ttl), "{ttl}");
    t.done().await;
}

#[tokio::test]
async fn a_beat_tells_how_many_nodes_beat_within_the_last_two_minutes() {
    let t = Scene::new().await;
    let beat = async |name: &str| t.store.beat(&record(name, NodeState::Active), TTL, true).await.unwrap();
    assert_eq!(beat("n1").await.nodes, 1);
    assert_eq!(beat("n2").await.nodes, 2);
    let now = beat("n3").await.now;
    t.redis::<()>(&["ZADD", "wl:{nodes}:index", &(now.0 - 121_000_000).to_string(), "n1"]).await;
    assert_eq!(beat("n3").await.nodes, 2, "n1 is silent, for whatever reason");
    t.done().await;
}

#[tokio::test]
async fn a_thousand_nodes_are_listed_the_last_to_beat_first() {
    let t = Scene::new().await;
    for i in 0..1200 {
        t.store.beat(&record(&format!("n{i:04}"), NodeState::Active), TTL, true).await.unwrap();
    }
    t.redis::<()>(&["DEL", "wl:{nodes}:node:n0000"]).await;
    let (nodes, now) = t.store.nodes().await.unwrap();
    assert_eq!(nodes.len(), 1200);
    assert_eq!(nodes[0].id.as_str(), "n1199");
    assert_eq!(nodes.iter().filter(|node| node.view(now).state == "lost").count(), 1);
    t.done().await;
}
