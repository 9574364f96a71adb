//! Redis is hurt: out of memory, without its scripts, killed and started again.

use std::{collections::BTreeMap, time::Duration};

use windlass_shared::{
    model::{NodeId, NodeRecord, NodeState},
    store::{Cancelled, NodeCommand, QueueSettings, Settled, StoreError},
};
use windlass_tests::redis::RedisServer;

use crate::{
    draft::{id, ids, task},
    node::{Node, completed, failed, interrupted},
    scene::Scene,
};

/// Six tasks that run on `n1`, one that waits, and no memory left. With `flush`, no script is cached either.
async fn at_maxmemory(flush: bool) -> (Scene, Node) {
    let t = Scene::new().await;
    t.submit(["a", "b", "c", "d", "e", "f"].map(|name| task(name).batch("b").key(name))).await;
    t.submit([task("waits")]).await;
    let node = t.node("n1");
    assert_eq!(node.claim(6).await.len(), 6);
    if flush {
        t.redis::<()>(&["SCRIPT", "FLUSH"]).await;
    }
    t.redis::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    (t, node)
}

#[tokio::test]
async fn out_of_memory_a_submission_is_refused_and_changes_nothing() {
    for flush in [false, true] {
        let (t, _) = at_maxmemory(flush).await;
        let before = t.snapshot().await;
        let answer = t.try_submit([task("new").batch("b").delay(5), task("new2").key("k")]).await;
        assert!(matches!(answer, Err(StoreError::OutOfMemory)), "{answer:?}");
        t.expect_changes(&before, &[]).await;
        t.done().await;
    }
}

#[tokio::test]
async fn out_of_memory_a_retry_and_a_new_priority_are_refused_and_change_nothing() {
    let (t, node) = at_maxmemory(false).await;
    node.settle(failed("a", 1)).await;
    let before = t.snapshot().await;
    assert!(matches!(t.queue.retry(&ids(&["a"])).await, Err(StoreError::OutOfMemory)));
    let low = windlass_shared::model::Priority::Low;
    assert!(matches!(t.queue.prioritise(&ids(&["waits"]), low).await, Err(StoreError::OutOfMemory)));
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn out_of_memory_everything_that_ends_work_passes() {
    for flush in [false, true] {
        let (t, node) = at_maxmemory(flush).await;
        let answer = node.settle_all(&[completed("a", 1), failed("b", 1), interrupted("c", 1)]).await;
        assert_eq!(answer, [Settled::Ok; 3]);
        assert_eq!(node.extend(&[("d", 1), ("e", 1), ("f", 1)]).await.lost, []);
        assert_eq!(t.queue.cancel(&ids(&["waits"])).await.unwrap(), [Cancelled::Done]);
        assert!(matches!(t.queue.cancel(&ids(&["d"])).await.unwrap()[..], [Cancelled::Asked(_)]));
        assert_eq!(t.node("n2").claim_ids(1).await, ["c"], "what is in Redis can be worked off");
        t.configure(QueueSettings { paused: Some(true), ..QueueSettings::default() }).await;
        let states = [("a", "completed"), ("b", "failed"), ("c", "running"), ("waits", "cancelled")];
        for (name, state) in states {
            assert_eq!(t.state(name).await, state, "{name}");
        }
        t.done().await;
    }
}

#[tokio::test]
async fn out_of_memory_lost_leases_are_recovered_and_finished_tasks_purged() {
    for flush in [false, true] {
        let (t, node) = at_maxmemory(flush).await;
        node.settle(completed("a", 1)).await;
        t.redis::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
        t.pass_seconds(11).await;
        t.redis::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
        t.node("n2").extend(&[]).await;
        assert_eq!((t.state("b").await.as_str(), t.size("running").await), ("pending", 0));
        assert_eq!(t.queue.purge(windlass_shared::model::State::Completed, None).await.unwrap().deleted, 1);
        t.done().await;
    }
}

fn record(name: &str) -> NodeRecord {
    NodeRecord {
        id: NodeId::new(name).unwrap(),
        state: NodeState::Active,
        host: String::new(),
        pid: 1,
        version: String::new(),
        protocol: 1,
        started_at: 0,
        queues: BTreeMap::new(),
        types: vec![],
        slots: 1,
        running_count: 0,
        running: vec![],
        stale_commits: 0,
        sandbox: None,
        labels: BTreeMap::new(),
        keys: Vec::new(),
    }
}

#[tokio::test]
async fn out_of_memory_nodes_can_beat() {
    for flush in [false, true] {
        let (t, _) = at_maxmemory(flush).await;
        t.store.beat(&record("n1"), Duration::from_secs(600), true).await.unwrap();
        assert_eq!(t.store.nodes().await.unwrap().0.len(), 1);
        t.done().await;
    }
}

#[tokio::test]
async fn out_of_memory_nodes_can_be_told_and_leave() {
    let (t, _) = at_maxmemory(true).await;
    let node = record("n1");
    t.store.tell(&node.id, &NodeCommand::Drain).await.unwrap();
    let answer = t.store.beat(&node, Duration::from_secs(600), true).await.unwrap();
    assert_eq!(answer.commands, ["drain"]);
    t.store.leave(&node.id).await.unwrap();
    assert_eq!(t.store.nodes().await.unwrap().0.len(), 0);
    t.done().await;
}

#[tokio::test]
async fn out_of_memory_is_what_a_refused_registration_says() {
    let (t, _) = at_maxmemory(false).await;
    let queue = t.store.register_queue(t.queue.name()).await;
    assert!(matches!(queue, Err(StoreError::OutOfMemory)), "{queue:?}");
    let batch = t.store.register_batch(&crate::draft::batch("b"), t.queue.name()).await;
    assert!(matches!(batch, Err(StoreError::OutOfMemory)), "{batch:?}");
    t.done().await;
}

#[tokio::test]
async fn scripts_that_are_forgotten_between_calls_are_sent_again() {
    let t = Scene::new().await;
    let flush = async || t.redis::<()>(&["SCRIPT", "FLUSH"]).await;
    flush().await;
    t.submit(["a", "b"].map(task)).await;
    flush().await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(1).await, ["a"]);
    flush().await;
    assert_eq!(node.extend(&[("a", 1)]).await.lost, []);
    flush().await;
    assert_eq!(node.settle(completed("a", 1)).await, Settled::Ok);
    flush().await;
    assert_eq!(t.queue.cancel(&ids(&["b"])).await.unwrap(), [Cancelled::Done]);
    flush().await;
    assert_eq!(t.queue.retry(&[id("b")]).await.unwrap().len(), 1);
    flush().await;
    t.queue.prioritise(&[id("b")], windlass_shared::model::Priority::High).await.unwrap();
    flush().await;
    assert_eq!(t.queue.purge(windlass_shared::model::State::Pending, None).await.unwrap().deleted, 1);
    flush().await;
    t.done().await;
}

#[tokio::test]
async fn a_killed_server_with_an_append_only_file_comes_back_with_everything() {
    let server = RedisServer::with_args(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut t = Scene::on(server).await;
    t.submit([task("a").key("k"), task("b").key("k"), task("c")]).await;
    let node = t.node("n1");
    node.claim(3).await;
    let before = t.snapshot().await;
    t.restart().await;
    t.expect_changes(&before, &[]).await;
    t.outage(60).await;
    let node = t.node("n1");
    assert_eq!(t.node("n2").extend(&[]).await.lost, []);
    assert_eq!(node.extend(&[("a", 1), ("c", 1)]).await.lost, [], "owners extend first");
    assert_eq!(node.settle(completed("a", 1)).await, Settled::Ok);
    t.done().await;
}

#[tokio::test]
async fn a_store_mends_its_connection_when_the_server_comes_back() {
    let mut t = Scene::on(RedisServer::with_args(&["--appendonly", "yes", "--appendfsync", "always"])).await;
    t.submit([task("a")]).await;
    let pid = t.server.pid();
    t.server.stop();
    assert!(matches!(t.try_submit([task("b")]).await, Err(error) if error.is_temporary()));
    t.server.start_again();
    assert_ne!(t.server.pid(), pid);
    let mut answer = t.try_submit([task("b")]).await;
    for _ in 0..20 {
        if matches!(&answer, Err(error) if error.is_temporary()) {
            answer = t.try_submit([task("b")]).await;
        }
    }
    assert_eq!(answer.unwrap().len(), 1);
    t.done().await;
}
