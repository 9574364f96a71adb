//! Waiting without polling: a bell wakes one node, a command reaches its node at once.

use windlass_shared::{model::NodeId, store::NodeCommand};

use crate::{draft::task, scene::Scene};

/// Until so many connections are blocked on the server; without it the test might ring before anybody listens.
async fn until_blocked(t: &Scene, clients: usize) {
    for _ in 0..50_000 {
        let info: String = t.redis(&["INFO", "clients"]).await;
        if info.contains(&format!("blocked_clients:{clients}\r\n")) {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("there never were {clients} waiting connections");
}

#[tokio::test]
async fn a_submission_wakes_one_waiting_node() {
    let t = Scene::new().await;
    let listen = || {
        let (mut waiter, queue) = (t.store.waiter(), t.queue.clone());
        tokio::spawn(async move { waiter.bell(&queue).await.unwrap() })
    };
    let (one, two) = (listen(), listen());
    until_blocked(&t, 2).await;
    t.submit([task("a")]).await;
    until_blocked(&t, 1).await;
    // The second is woken by the first one's claim if that leaves work behind.
    t.submit([task("b"), task("c")]).await;
    assert!(one.await.unwrap() && two.await.unwrap());
    t.done().await;
}

#[tokio::test]
async fn a_bell_that_rang_before_anybody_listened_is_heard() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    t.submit([task("b")]).await;
    let mut waiter = t.store.waiter();
    assert!(waiter.bell(&t.queue).await.unwrap());
    assert!(!t.bell().await, "it holds one mark at most");
    t.queue.ring().await.unwrap();
    assert!(waiter.bell(&t.queue).await.unwrap(), "a node without a free slot passes it on");
    t.done().await;
}

#[tokio::test]
async fn a_command_reaches_its_node_at_once() {
    let t = Scene::new().await;
    let node = NodeId::new("n1").unwrap();
    let (mut waiter, id) = (t.store.waiter(), node.clone());
    let wait = tokio::spawn(async move { waiter.inbox(&id).await.unwrap() });
    until_blocked(&t, 1).await;
    t.store.tell(&NodeId::new("n2").unwrap(), &NodeCommand::Stop).await.unwrap();
    t.store.tell(&node, &NodeCommand::Drain).await.unwrap();
    assert_eq!(wait.await.unwrap().as_deref(), Some("drain"));
    t.done().await;
}

#[tokio::test]
async fn a_waiter_that_is_dropped_leaves_nobody_waiting_who_would_swallow_a_bell() {
    let t = Scene::new().await;
    let (mut waiter, queue) = (t.store.waiter(), t.queue.clone());
    let wait = tokio::spawn(async move { waiter.bell(&queue).await });
    until_blocked(&t, 1).await;
    wait.abort();
    until_blocked(&t, 0).await;
    t.submit([task("a")]).await;
    assert!(t.bell().await);
    t.done().await;
}
