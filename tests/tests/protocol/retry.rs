//! Another life for a task (`retry.lua`): fresh counters, a new place, and an attempt number that goes on counting.

use windlass_shared::model::State;

use crate::{
    draft::{batch, ids, task},
    node::{cancelled, completed, failed},
    scene::Scene,
};

async fn retry(t: &Scene, names: &[&str]) -> Vec<Option<State>> {
    t.queue.retry(&ids(names)).await.unwrap()
}

const PENDING: Option<State> = Some(State::Pending);

#[tokio::test]
async fn a_failed_task_leaves_the_dead_letter_with_fresh_counters() {
    let t = Scene::new().await;
    t.submit([task("a").batch("b"), task("waiting")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    // It crashed once, was handed back once and tried again once before it failed.
    t.lapse("a").await;
    node.extend(&[]).await;
    node.claim(1).await;
    node.settle(crate::node::interrupted("a", 2)).await;
    node.claim(1).await;
    node.settle(crate::node::retrying("a", 3, 0)).await;
    node.claim(1).await;
    node.settle(failed("a", 4)).await;
    t.bell().await;
    let before = t.snapshot().await;
    assert_eq!(retry(&t, &["a"]).await, [PENDING]);
    t.expect_changes(
        &before,
        &[
            "+ bell ring=0",
            "+ events by=producer failed>pending retried=a#4",
            "+ pending a=normal+5040",
            "+ task:a requeues=1",
            "- dead a",
            "- task:a crashes",
            "- task:a due_at",
            "- task:a error",
            "- task:a finished_at",
            "- task:a interruptions",
            "- task:a retries",
            "- task:a score",
            "~ batch:b failed=0",
            "~ batches b=0",
            "~ fair 2:=normal+7560",
            "~ task:a reason=retried",
            "~ task:a state=pending",
        ],
    )
    .await;
    assert_eq!(node.claim_ids(2).await, ["waiting", "a"], "it goes to the end");
    assert_eq!(t.record("a").await.attempt, 5);
    t.done().await;
}

#[tokio::test]
async fn cancelled_and_expired_tasks_can_be_retried_and_others_stay_what_they_are() {
    let t = Scene::new().await;
    t.submit([task("c"), task("x"), task("runs"), task("later").delay(60), task("e").expires(30)]).await;
    let node = t.node("n1");
    node.claim(3).await;
    node.settle_all(&[completed("c", 1), cancelled("x", 1)]).await;
    t.pass_seconds(31).await;
    node.extend(&[("runs", 1)]).await;
    let names = ["c", "x", "runs", "later", "e", "never-was"];
    let states =
        [Some(State::Completed), PENDING, Some(State::Running), Some(State::Scheduled), PENDING, None];
    assert_eq!(retry(&t, &names).await, states);
    let before = t.snapshot().await;
    assert_eq!(retry(&t, &names).await, states, "a second time it changes nothing");
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn a_retried_task_that_was_to_be_cancelled_runs_to_its_end() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    t.queue.cancel(&ids(&["a"])).await.unwrap();
    node.settle(cancelled("a", 1)).await;
    retry(&t, &["a"]).await;
    node.claim(1).await;
    assert_eq!(node.extend(&[("a", 2)]).await.cancelled, []);
    node.settle(crate::node::interrupted("a", 2)).await;
    assert_eq!(t.state("a").await, "pending");
    t.done().await;
}

#[tokio::test]
async fn a_retried_task_has_no_expiry_any_more() {
    let t = Scene::new().await;
    t.submit([task("a").expires(60), task("b").expires(60)]).await;
    let node = t.node("n1");
    t.queue.cancel(&ids(&["a"])).await.unwrap();
    t.pass_seconds(30).await;
    retry(&t, &["a"]).await;
    t.pass_seconds(31).await;
    t.upkeep_now().await;
    node.extend(&[]).await;
    assert_eq!((t.state("a").await.as_str(), t.state("b").await.as_str()), ("pending", "expired"));
    retry(&t, &["b"]).await;
    node.extend(&[]).await;
    assert_eq!(node.claim_ids(2).await, ["a", "b"]);
    t.done().await;
}

#[tokio::test]
async fn a_retried_task_may_crash_as_often_as_a_new_one() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let node = t.node("n1");
    for life in 1..=2 {
        for _ in 0..3 {
            assert_eq!(node.claim_ids(1).await, ["a"]);
            t.lapse("a").await;
            node.extend(&[]).await;
        }
        assert_eq!((t.state("a").await.as_str(), t.size("dead").await), ("failed", 1), "life {life}");
        retry(&t, &["a"]).await;
    }
    t.done().await;
}

#[tokio::test]
async fn a_batch_is_open_again_while_its_task_lives_again() {
    let t = Scene::new().await;
    let b = batch("b");
    t.store.register_batch(&b, t.queue.name()).await.unwrap();
    t.submit([task("a").batch("b")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    node.settle(failed("a", 1)).await;
    retry(&t, &["a"]).await;
    let counts = t.store.batch(&b).await.unwrap().unwrap();
    assert_eq!((counts.total, counts.finished(), counts.failed), (1, 0, 0));
    node.claim(1).await;
    node.settle(completed("a", 2)).await;
    let counts = t.store.batch(&b).await.unwrap().unwrap();
    assert_eq!((counts.total, counts.finished(), counts.completed), (1, 1, 1));
    t.done().await;
}

#[tokio::test]
async fn a_retried_task_meets_nodes_that_do_not_know_it_for_the_first_time() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    node.settle(crate::node::unknown_type("a", 1)).await;
    t.pass_seconds(5).await;
    node.claim(1).await;
    node.settle(failed("a", 2)).await;
    retry(&t, &["a"]).await;
    assert_eq!(t.record("a").await.unknown_since, None);
    t.done().await;
}

#[tokio::test]
async fn retrying_twice_in_one_call_is_one_life() {
    let t = Scene::new().await;
    t.submit([task("a").batch("b")]).await;
    t.queue.cancel(&ids(&["a"])).await.unwrap();
    assert_eq!(retry(&t, &["a", "a"]).await, [PENDING, PENDING]);
    assert_eq!(t.record("a").await.requeues, 1);
    t.done().await;
}
