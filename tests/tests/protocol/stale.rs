//! Fencing: only the attempt that holds the lease may settle. Whatever comes too late is refused and changes nothing.

use windlass_shared::store::{Settle, Settled};

use crate::{
    draft::{ids, task},
    node::{Node, completed, failed, interrupted, retrying},
    scene::Scene,
};

async fn running() -> (Scene, Node) {
    let t = Scene::new().await;
    t.submit([task("a").batch("b").key("k")]).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(1).await, ["a"]);
    t.bell().await;
    (t, node)
}

/// `node` offers results, one after the other; each is refused, and only the count of refusals changes.
async fn refused(t: &Scene, node: &Node, settles: &[Settle]) {
    for settle in settles {
        let stale = t.stat("stale").await;
        // The node's last answer is replaced at each call; this one leaves it as it will be.
        let before_call = node.settle(settle.clone()).await;
        assert_eq!(before_call, Settled::Stale, "{settle:?}");
        assert_eq!(t.stat("stale").await, stale + 1);
        let before = t.snapshot().await;
        assert_eq!(node.settle(settle.clone()).await, Settled::Stale, "{settle:?}");
        let mut changed = before.changes(&t.snapshot().await);
        changed.retain(|line| !line.starts_with(&format!("~ claimed:{}=", node.id)));
        assert_eq!(changed, [format!("~ stats stale={}", stale + 2)]);
    }
}

#[tokio::test]
async fn a_second_result_is_stale() {
    let (t, node) = running().await;
    assert_eq!(node.settle(completed("a", 1)).await, Settled::Ok);
    refused(&t, &node, &[completed("a", 1), failed("a", 1), interrupted("a", 1), retrying("a", 1, 5)]).await;
    assert_eq!(t.stat("completed").await, 1);
    t.done().await;
}

#[tokio::test]
async fn two_results_for_one_task_in_one_call_are_one() {
    let (t, node) = running().await;
    let answer = node.settle_all(&[completed("a", 1), failed("a", 1), completed("a", 1)]).await;
    assert_eq!(answer, [Settled::Ok, Settled::Stale, Settled::Stale]);
    assert_eq!(
        (t.state("a").await.as_str(), t.stat("completed").await, t.stat("failed").await),
        ("completed", 1, 0)
    );
    t.done().await;
}

#[tokio::test]
async fn another_attempt_number_is_stale() {
    let (t, node) = running().await;
    refused(&t, &node, &[completed("a", 0), completed("a", 2), completed("a", 11)]).await;
    assert_eq!(t.state("a").await, "running");
    t.done().await;
}

#[tokio::test]
async fn another_nodes_word_is_stale() {
    let (t, _) = running().await;
    refused(&t, &t.node("n2"), &[completed("a", 1), interrupted("a", 1)]).await;
    assert_eq!(t.state("a").await, "running");
    t.done().await;
}

#[tokio::test]
async fn a_task_that_is_gone_is_told_apart_from_one_that_was_lost() {
    let (t, node) = running().await;
    assert_eq!(node.settle(completed("never-was", 1)).await, Settled::Gone);
    t.done().await;
}

#[tokio::test]
async fn a_task_that_waits_again_cannot_be_settled() {
    let (t, node) = running().await;
    node.settle(interrupted("a", 1)).await;
    refused(&t, &node, &[completed("a", 1)]).await;
    node.claim(1).await;
    node.settle(retrying("a", 2, 60)).await;
    refused(&t, &node, &[completed("a", 2), completed("a", 1)]).await;
    t.done().await;
}

#[tokio::test]
async fn after_recovery_the_first_nodes_result_is_refused_and_the_seconds_is_taken() {
    let (t, first) = running().await;
    t.lapse("a").await;
    let second = t.node("n2");
    assert_eq!(second.claim_ids(1).await, ["a"]);
    t.bell().await;
    refused(&t, &first, &[completed("a", 1), completed("a", 2), interrupted("a", 1)]).await;
    assert_eq!(first.extend(&[("a", 1)]).await.lost, ids(&["a"]));
    assert_eq!(second.settle(completed("a", 2)).await, Settled::Ok);
    refused(&t, &first, &[failed("a", 1)]).await;
    let record = t.record("a").await;
    assert_eq!((record.attempt, record.crashes, record.node.as_deref()), (2, 1, Some("n2")));
    t.done().await;
}

#[tokio::test]
async fn the_same_node_cannot_settle_its_own_earlier_attempt() {
    let (t, node) = running().await;
    t.lapse("a").await;
    t.node("n2").extend(&[]).await;
    assert_eq!(node.claim_ids(1).await, ["a"]);
    t.bell().await;
    refused(&t, &node, &[completed("a", 1)]).await;
    assert_eq!(node.settle(completed("a", 2)).await, Settled::Ok);
    t.done().await;
}

#[tokio::test]
async fn a_retry_by_a_person_does_not_bring_an_old_attempt_back_to_life() {
    let (t, node) = running().await;
    node.settle(failed("a", 1)).await;
    t.queue.retry(&ids(&["a"])).await.unwrap();
    assert_eq!(node.claim_ids(1).await, ["a"]);
    t.bell().await;
    refused(&t, &node, &[completed("a", 1)]).await;
    assert_eq!(node.settle(completed("a", 2)).await, Settled::Ok);
    t.done().await;
}
