//! Claiming (`settle_and_claim.lua`): who gets what, and what nobody may get.

use windlass_shared::{
    model::{Micros, Priority},
    store::QueueSettings,
};

use crate::{
    draft::{many, task},
    node::{completed, interrupted, names},
    scene::Scene,
};

#[tokio::test]
async fn a_claim_leases_the_task_to_the_node() {
    let t = Scene::new().await;
    t.submit([task("a").expires(60), task("b").priority(Priority::Low)]).await;
    let before = t.snapshot().await;
    assert_eq!(t.node("n1").claim_ids(1).await, ["a"]);
    t.expect_changes(
        &before,
        &[
            "+ claimed:n1 ttl=set",
            "+ claimed:n1=call1||a#1",
            "+ events by=n1 pending>running claimed=a#1",
            "- expiring a",
            "- pending a",
            "+ running a=now+10s",
            "+ stats lease=10000000",
            "+ stats v2=0",
            "+ task:a attempt=1",
            "+ task:a node=n1",
            "+ task:a reason=claimed",
            "+ task:a score=normal+0",
            "+ task:a started_at=now",
            "~ task:a state=running",
        ],
    )
    .await;
    t.done().await;
}

#[tokio::test]
async fn a_claim_of_an_empty_queue_changes_nothing_but_the_nodes_own_mark() {
    let t = Scene::new().await;
    t.node("n0").extend(&[]).await;
    let before = t.snapshot().await;
    let answer = t.node("n1").call("x", 5, &[]).await;
    assert_eq!((names(&answer.claimed), answer.next), (vec![], None));
    t.expect_changes(&before, &["+ claimed:n1 ttl=set", "+ claimed:n1=x||"]).await;
    t.done().await;
}

#[tokio::test]
async fn a_node_never_gets_more_than_it_wants() {
    let t = Scene::new().await;
    t.submit(many("a", 10)).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(0).await.len(), 0);
    assert_eq!(node.claim_ids(3).await.len(), 3);
    // Freed slots do not count by themselves: the node says what it wants.
    let answer = node.call("x", 1, &[completed("a000000", 1), completed("a000001", 1)]).await;
    assert_eq!(names(&answer.claimed), ["a000003"]);
    t.done().await;
}

#[tokio::test]
async fn a_hand_back_keeps_its_place() {
    let t = Scene::new().await;
    t.submit(many("a", 4)).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(2).await, ["a000000", "a000001"]);
    node.settle(interrupted("a000001", 1)).await;
    assert_eq!(t.node("n2").claim_ids(3).await, ["a000001", "a000002", "a000003"]);
    t.done().await;
}

#[tokio::test]
async fn a_paused_queue_takes_tasks_and_results_but_gives_nothing() {
    let t = Scene::new().await;
    t.submit([task("a"), task("b")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    t.configure(QueueSettings { paused: Some(true), ..QueueSettings::default() }).await;
    t.bell().await;
    t.submit([task("c")]).await;
    let answer = node.call("x", 5, &[completed("a", 1)]).await;
    assert_eq!((names(&answer.claimed), t.state("a").await.as_str()), (vec![], "completed"));
    assert!(!t.bell().await, "nobody is woken for nothing");
    assert!(!node.extend(&[]).await.work);
    t.configure(QueueSettings { paused: Some(false), ..QueueSettings::default() }).await;
    assert!(t.bell().await, "resuming wakes a node");
    assert_eq!(node.claim_ids(5).await, ["b", "c"]);
    t.done().await;
}

#[tokio::test]
async fn the_limit_of_a_queue_holds_for_all_nodes_together() {
    let t = Scene::new().await;
    t.configure(QueueSettings { concurrency: Some(Some(3)), ..QueueSettings::default() }).await;
    t.submit(many("a", 10)).await;
    let (one, two) = (t.node("n1"), t.node("n2"));
    assert_eq!(one.claim_ids(2).await.len(), 2);
    assert_eq!(two.claim_ids(5).await, ["a000002"]);
    assert_eq!(one.claim_ids(5).await.len(), 0);
    assert!(!one.extend(&[]).await.work, "work that nobody may start is none");
    let answer = two.call("x", 5, &[completed("a000002", 1)]).await;
    assert_eq!(names(&answer.claimed), ["a000003"], "a freed slot can be used in the same call");
    // Lowered below what runs: nothing starts, and nothing breaks.
    t.configure(QueueSettings { concurrency: Some(Some(1)), ..QueueSettings::default() }).await;
    assert_eq!(one.claim_ids(5).await.len(), 0);
    assert_eq!(t.size("running").await, 3);
    t.done().await;
}

#[tokio::test]
async fn the_bell_is_passed_on_while_work_is_left() {
    let t = Scene::new().await;
    t.submit(many("a", 3)).await;
    assert!(t.bell().await);
    t.node("n1").claim(2).await;
    assert!(t.bell().await, "one task is left for another node");
    t.node("n2").claim(2).await;
    assert!(!t.bell().await);
    t.done().await;
}

#[tokio::test]
async fn an_id_without_a_record_is_dropped_and_costs_nobody_a_task() {
    let t = Scene::new().await;
    t.redis::<()>(&["ZADD", &t.key("pending"), "0", "ghost"]).await;
    t.submit([task("a")]).await;
    assert_eq!(t.node("n1").claim_ids(1).await, ["a"]);
    assert_eq!((t.members("pending").await, t.members("running").await), (vec![], vec!["a".to_owned()]));
    t.done().await;
}

#[tokio::test]
async fn a_task_whose_payload_is_gone_is_given_out_with_its_fault() {
    let t = Scene::new().await;
    let node = t.node("n1");
    t.submit([task("a")]).await;
    node.claim(1).await;
    node.settle(interrupted("a", 1)).await;
    t.redis::<()>(&["DEL", &t.key("spec:a")]).await;
    let claimed = node.claim(1).await.remove(0).task;
    assert!(claimed.fault.is_some_and(|fault| fault.contains("payload")));
    assert_eq!(t.faults().await.len(), 1);
}

#[tokio::test]
async fn the_deadline_is_redis_clock_plus_the_lease() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let answer = t.node("n1").with_lease(std::time::Duration::from_millis(2500)).call("x", 1, &[]).await;
    let deadline = t.score("running", "a").await.unwrap();
    assert_eq!(Micros(deadline as i64), Micros(answer.now.0 + 2_500_000));
    t.done().await;
}
