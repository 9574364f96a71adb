//! The reply of a settle-and-claim call got lost: the same nonce gives the same answer, and does nothing twice.

use windlass_shared::store::Settled;

use crate::{
    draft::{many, task},
    node::{completed, failed, names},
    scene::Scene,
};

#[tokio::test]
async fn the_same_nonce_gives_the_same_tasks_and_settles_nothing_twice() {
    let t = Scene::new().await;
    t.submit(many("a", 6)).await;
    let node = t.node("n1");
    node.claim(2).await;
    let settles =
        [completed("a000000", 1), failed("a000001", 1), completed("unknown", 1), completed("a000005", 1)];
    let first = node.call("x", 2, &settles).await;
    assert_eq!(names(&first.claimed), ["a000002", "a000003"]);
    assert_eq!(first.settled, [Settled::Ok, Settled::Ok, Settled::Gone, Settled::Stale]);
    let before = t.snapshot().await;
    let again = node.call("x", 2, &settles).await;
    assert_eq!((names(&again.claimed), &again.settled), (names(&first.claimed), &first.settled));
    assert_eq!(again.claimed[0].task.payload, "\"a000002\"");
    assert_eq!((again.claimed[0].task.attempt, again.claimed[0].task.node.as_deref()), (1, Some("n1")));
    t.expect_changes(&before, &["~ running a000002=now+10s", "~ running a000003=now+10s"]).await;
    t.done().await;
}

/// A node whose replies are cut off again and again cannot extend what it does not know of yet.
#[tokio::test]
async fn a_claim_that_is_repeated_for_longer_than_a_lease_loses_nothing() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let (node, other) = (t.node("n1"), t.node("n2"));
    for _ in 0..5 {
        assert_eq!(names(&node.call("x", 1, &[]).await.claimed), ["a"]);
        t.pass_seconds(4).await;
        other.extend(&[]).await;
    }
    assert_eq!(t.record("a").await.crashes, 0);
    assert_eq!(node.settle(completed("a", 1)).await, Settled::Ok);
    t.done().await;
}

#[tokio::test]
async fn another_nonce_gives_other_tasks() {
    let t = Scene::new().await;
    t.submit(many("a", 3)).await;
    let node = t.node("n1");
    assert_eq!(names(&node.call("x", 1, &[]).await.claimed), ["a000000"]);
    assert_eq!(names(&node.call("y", 1, &[]).await.claimed), ["a000001"]);
    assert_eq!(names(&node.call("xy", 1, &[]).await.claimed), ["a000002"]);
    assert_eq!(
        names(&node.call("x", 1, &[]).await.claimed),
        Vec::<String>::new(),
        "only the last call is remembered"
    );
    t.done().await;
}

#[tokio::test]
async fn the_nonce_of_one_node_means_nothing_for_another() {
    let t = Scene::new().await;
    t.submit(many("a", 2)).await;
    assert_eq!(names(&t.node("n1").call("x", 1, &[]).await.claimed), ["a000000"]);
    assert_eq!(names(&t.node("n2").call("x", 1, &[]).await.claimed), ["a000001"]);
    t.done().await;
}

#[tokio::test]
async fn a_repeated_answer_leaves_out_what_the_node_lost_meanwhile() {
    let t = Scene::new().await;
    t.submit(many("a", 2)).await;
    let node = t.node("n1");
    assert_eq!(node.call("x", 2, &[]).await.claimed.len(), 2);
    t.lapse("a000000").await;
    t.node("n2").extend(&[]).await;
    assert_eq!(names(&node.call("x", 2, &[]).await.claimed), ["a000001"]);
    // Even if the same node has the task again: it is another attempt, of another call.
    assert_eq!(names(&node.call("y", 1, &[]).await.claimed), ["a000000"]);
    assert_eq!(t.record("a000000").await.attempt, 2);
    t.done().await;
}

#[tokio::test]
async fn a_repeated_settlement_of_a_task_that_was_claimed_by_another_is_still_answered_ok() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    let settles = [crate::node::interrupted("a", 1)];
    assert_eq!(node.call("x", 0, &settles).await.settled, [Settled::Ok]);
    assert_eq!(t.node("n2").claim_ids(1).await, ["a"]);
    let before = t.snapshot().await;
    assert_eq!(node.call("x", 0, &settles).await.settled, [Settled::Ok]);
    t.expect_changes(&before, &[]).await;
    t.done().await;
}
