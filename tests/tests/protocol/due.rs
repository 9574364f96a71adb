//! Moments: tasks that fall due, expire, or whose lease ends, and who notices.

use std::time::Duration;

use crate::{
    draft::task,
    node::{interrupted, names, retrying},
    scene::Scene,
};

#[tokio::test]
async fn a_task_that_expired_is_not_given_out_and_the_next_one_is() {
    let t = Scene::new().await;
    t.submit([task("old").expires(60).batch("b"), task("young")]).await;
    t.pass_seconds(61).await;
    // So that the claim itself has to see it, not the upkeep before it.
    t.redis::<()>(&["HSET", &t.key("stats"), "upkeep_at", &i64::MAX.to_string()]).await;
    t.redis::<()>(&["DEL", &t.key("expiring")]).await;
    assert_eq!(t.node("n1").claim_ids(1).await, ["young"]);
    let old = t.record("old").await;
    assert_eq!((t.state("old").await.as_str(), old.reason.as_str(), old.attempt), ("expired", "expired", 0));
    assert!(old.finished_at.is_some() && t.stat("expired").await == 1);
    t.done().await;
}

#[tokio::test]
async fn upkeep_expires_what_waits_in_any_place() {
    let t = Scene::new().await;
    let drafts = [task("runs"), task("parked"), task("scheduled").delay(600), task("pending")];
    t.submit(drafts.map(|draft| draft.key("k").expires(60))).await;
    assert_eq!(t.node("n1").claim_ids(2).await, ["runs"]);
    t.pass_seconds(61).await;
    t.node("n1").extend(&[("runs", 1)]).await;
    for (name, state) in
        [("runs", "running"), ("parked", "expired"), ("scheduled", "expired"), ("pending", "expired")]
    {
        assert_eq!(t.state(name).await, state, "{name}");
    }
    assert_eq!((t.size("expiring").await, t.size("parked:k").await), (0, 0));
    t.done().await;
}

#[tokio::test]
async fn a_task_that_started_in_time_does_not_expire_when_it_comes_back() {
    let t = Scene::new().await;
    t.submit(["handed-back", "retried", "crashed"].map(|name| task(name).expires(60))).await;
    let node = t.node("n1");
    node.claim(3).await;
    node.settle_all(&[interrupted("handed-back", 1), retrying("retried", 1, 61)]).await;
    t.pass_seconds(61).await;
    node.extend(&[]).await;
    let mut again = node.claim_ids(3).await;
    again.sort();
    assert_eq!(again, ["crashed", "handed-back", "retried"]);
    t.done().await;
}

#[tokio::test]
async fn a_scheduled_task_is_promoted_when_it_falls_due() {
    let t = Scene::new().await;
    t.submit([task("later").delay(60)]).await;
    let answer = t.node("n1").call("x", 1, &[]).await;
    assert_eq!(names(&answer.claimed), Vec::<String>::new());
    assert_eq!(answer.next, t.record("later").await.due_at, "the node learns when to come again");
    t.pass_seconds(59).await;
    assert_eq!(t.node("n2").claim_ids(1).await, Vec::<String>::new());
    t.pass_seconds(1).await;
    assert_eq!(t.node("n3").claim_ids(1).await, ["later"]);
    t.done().await;
}

#[tokio::test]
async fn a_node_that_is_full_is_not_told_of_a_moment() {
    let t = Scene::new().await;
    t.submit([task("now"), task("later").delay(60)]).await;
    assert_eq!(t.node("n1").call("x", 1, &[]).await.next, None);
    assert_ne!(t.node("n2").call("x", 1, &[]).await.next, None);
    t.done().await;
}

#[tokio::test]
async fn a_due_task_takes_its_place_at_the_end_and_a_retry_keeps_its_own() {
    let t = Scene::new().await;
    t.submit([task("retry")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    node.settle(retrying("retry", 1, 60)).await;
    t.submit([task("new")]).await;
    t.submit([task("due").delay(1)]).await;
    t.pass_seconds(60).await;
    assert_eq!(node.claim_ids(3).await, ["retry", "new", "due"]);
    t.done().await;
}

/// What was submitted after the last look must not wait for the next regular one.
#[tokio::test]
async fn a_moment_that_comes_before_the_next_regular_look_is_not_missed() {
    let t = Scene::new().await;
    let node = t.node("n1");
    node.extend(&[]).await;
    t.submit([task("due").delay(5)]).await;
    t.pass_seconds(5).await;
    assert_eq!(node.claim_ids(1).await, ["due"]);
    t.submit([task("late").expires(2), task("later").expires(4)]).await;
    t.pass_seconds(2).await;
    node.extend(&[("due", 1)]).await;
    assert_eq!(t.state("late").await, "expired");
    t.pass_seconds(2).await;
    node.extend(&[("due", 1)]).await;
    assert_eq!(t.state("later").await, "expired", "each look finds the moment of the next");
    t.done().await;
}

#[tokio::test]
async fn a_short_lease_is_looked_at_when_it_ends() {
    let t = Scene::new().await;
    t.node("n2").extend(&[]).await;
    t.submit([task("a")]).await;
    t.node("n1").with_lease(Duration::from_secs(2)).claim(1).await;
    t.pass_seconds(2).await;
    t.node("n2").extend(&[]).await;
    assert_eq!(t.state("a").await, "pending");
    t.done().await;
}

#[tokio::test]
async fn an_expiry_that_is_not_the_tasks_own_is_dropped() {
    let t = Scene::new().await;
    t.submit([task("a"), task("b").expires(60)]).await;
    for name in ["a", "b", "gone"] {
        t.redis::<()>(&["ZADD", &t.key("expiring"), "1", name]).await;
    }
    t.upkeep_now().await;
    t.node("n1").extend(&[]).await;
    assert_eq!((t.size("expiring").await, t.members("pending").await.len()), (0, 2));
    t.done().await;
}
