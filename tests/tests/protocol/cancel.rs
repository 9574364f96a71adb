//! Cancelling (`cancel.lua`): at once where a task waits, by asking its node where it runs.

use windlass_shared::{
    model::{NodeId, State},
    store::Cancelled,
};

use crate::{
    draft::{id, ids, task},
    node::{completed, failed},
    scene::Scene,
};

async fn cancel(t: &Scene, names: &[&str]) -> Vec<Cancelled> {
    t.queue.cancel(&ids(names)).await.unwrap()
}

fn asked(node: &str) -> Cancelled {
    Cancelled::Asked(Some(NodeId::new(node).unwrap()))
}

#[tokio::test]
async fn a_pending_task_is_cancelled_at_once() {
    let t = Scene::new().await;
    t.submit([task("a").batch("b").expires(60), task("other")]).await;
    let before = t.snapshot().await;
    assert_eq!(cancel(&t, &["a"]).await, [Cancelled::Done]);
    t.expect_changes(
        &before,
        &[
            "+ batch-finished:b cancelled=a",
            "+ batch:b cancelled=1",
            "+ events by=producer pending>cancelled cancelled=a#0",
            "+ finished batched=a",
            "+ stats cancelled=1",
            "+ task:a finished_at=now",
            "+ task:a reason=cancelled",
            "- expiring a",
            "- pending a",
            "~ batches b=now",
            "~ task:a state=cancelled",
        ],
    )
    .await;
    t.done().await;
}

#[tokio::test]
async fn a_scheduled_task_is_cancelled_at_once() {
    let t = Scene::new().await;
    t.submit([task("a").delay(60)]).await;
    assert_eq!(cancel(&t, &["a"]).await, [Cancelled::Done]);
    t.pass_seconds(61).await;
    assert_eq!(t.node("n1").claim_ids(1).await, Vec::<String>::new());
    assert_eq!((t.state("a").await.as_str(), t.size("scheduled").await), ("cancelled", 0));
    t.done().await;
}

#[tokio::test]
async fn a_parked_task_is_cancelled_at_once() {
    let t = Scene::new().await;
    t.submit([task("a").key("k"), task("b").key("k")]).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(2).await, ["a"]);
    assert_eq!(cancel(&t, &["b"]).await, [Cancelled::Done]);
    assert_eq!((t.size("parked").await, t.size("parked:k").await), (0, 0));
    node.settle(completed("a", 1)).await;
    assert_eq!(node.claim_ids(2).await, Vec::<String>::new());
    t.done().await;
}

#[tokio::test]
async fn a_running_task_is_marked_and_its_node_is_named() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    t.node("n1").claim(1).await;
    let before = t.snapshot().await;
    assert_eq!(cancel(&t, &["a"]).await, [asked("n1")]);
    t.expect_changes(
        &before,
        &[
            "+ events by=producer running>running cancelling=a#1",
            "+ task:a cancel=1",
            "~ task:a reason=cancelling",
        ],
    )
    .await;
    assert_eq!(
        cancel(&t, &["a"]).await,
        [asked("n1")],
        "asking again is allowed: the first word may be lost"
    );
    t.done().await;
}

#[tokio::test]
async fn a_final_task_stays_what_it_is() {
    let t = Scene::new().await;
    t.submit(["c", "f", "x", "e"].map(|name| if name == "e" { task(name).expires(60) } else { task(name) }))
        .await;
    let node = t.node("n1");
    node.claim(3).await;
    node.settle_all(&[completed("c", 1), failed("f", 1), crate::node::cancelled("x", 1)]).await;
    t.pass_seconds(61).await;
    node.extend(&[]).await;
    let before = t.snapshot().await;
    assert_eq!(
        cancel(&t, &["c", "f", "x", "e", "never-was"]).await,
        [
            Cancelled::Final(State::Completed),
            Cancelled::Final(State::Failed),
            Cancelled::Done,
            Cancelled::Final(State::Expired),
            Cancelled::Unknown,
        ]
    );
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn cancelling_twice_in_one_call_counts_once() {
    let t = Scene::new().await;
    t.submit([task("a").batch("b")]).await;
    assert_eq!(cancel(&t, &["a", "a"]).await, [Cancelled::Done, Cancelled::Done]);
    assert_eq!(t.stat("cancelled").await, 1);
    t.done().await;
}

#[tokio::test]
async fn a_cancelled_task_is_never_given_out() {
    let t = Scene::new().await;
    t.submit(["a", "b"].map(task)).await;
    cancel(&t, &["a"]).await;
    assert_eq!(t.node("n1").claim_ids(2).await, ["b"]);
    assert_eq!(cancel(&t, &[]).await, []);
    assert_eq!(t.record("a").await.reference.id, id("a"));
    t.done().await;
}
