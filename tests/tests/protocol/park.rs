//! Concurrency keys: tasks over the limit of their key are parked, and go on in order as soon as there is room.

use windlass_shared::store::QueueSettings;

use crate::{
    draft::{ids, many, task},
    node::{completed, interrupted, retrying},
    scene::Scene,
};

fn limit(n: u64) -> QueueSettings {
    QueueSettings { key_concurrency: Some(Some(n)), ..QueueSettings::default() }
}

#[tokio::test]
async fn a_task_over_the_limit_of_its_key_is_parked() {
    let t = Scene::new().await;
    t.submit([task("a").key("k")]).await;
    t.node("n1").claim(1).await;
    t.submit([task("b").key("k"), task("c")]).await;
    let before = t.snapshot().await;
    assert_eq!(t.node("n2").claim_ids(1).await, ["c"], "a parked task takes nobody's turn");
    t.expect_changes(
        &before,
        &[
            "+ claimed:n2 ttl=set",
            "+ claimed:n2=call2||c#1",
            "+ events by=n2 pending>parked parked=b#0 pending>running claimed=c#1",
            "+ parked b=normal+2520",
            "+ parked:k b=normal+2520",
            "+ running c=now+10s",
            "+ task:b reason=parked",
            "+ task:c attempt=1",
            "+ task:c node=n2",
            "+ task:c reason=claimed",
            "+ task:c score=normal+5040",
            "+ task:c started_at=now",
            "- pending b",
            "- pending c",
            "~ stats v2=5040",
            "~ task:b state=parked",
            "~ task:c state=running",
        ],
    )
    .await;
    t.done().await;
}

#[tokio::test]
async fn a_task_that_leaves_lets_the_next_of_its_key_go_on() {
    let t = Scene::new().await;
    t.submit(["a", "b", "c"].map(|name| task(name).key("k"))).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(3).await, ["a"]);
    let before = t.snapshot().await;
    node.settle(completed("a", 1)).await;
    t.expect_changes(
        &before,
        &[
            "+ events by=n1 parked>pending unparked=b#0 running>completed completed=a#1",
            "+ finished completed=a",
            "+ pending b=normal+2520",
            "+ stats completed=1",
            "+ task:a finished_at=now",
            "+ task:a result={\"ok\":true}",
            "- keys k",
            "- parked b",
            "- parked:k b",
            "- running a",
            "~ claimed:n1=call2|ok|",
            "~ task:a reason=completed",
            "~ task:a state=completed",
            "~ task:b reason=unparked",
            "~ task:b state=pending",
        ],
    )
    .await;
    t.done().await;
}

#[tokio::test]
async fn parked_tasks_go_on_in_their_order_two_at_a_time() {
    let t = Scene::new().await;
    t.configure(limit(2)).await;
    t.submit(many("a", 6).into_iter().map(|draft| draft.key("k"))).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(6).await, ["a000000", "a000001"]);
    assert_eq!(t.size("parked").await, 4);
    node.settle(completed("a000001", 1)).await;
    assert_eq!(node.claim_ids(6).await, ["a000002"]);
    node.settle_all(&[completed("a000000", 1), completed("a000002", 1)]).await;
    assert_eq!(node.claim_ids(6).await, ["a000003", "a000004"]);
    node.settle_all(&[completed("a000003", 1), completed("a000004", 1)]).await;
    assert_eq!(node.claim_ids(6).await, ["a000005"]);
    t.done().await;
}

#[tokio::test]
async fn a_freed_key_is_used_in_the_same_call() {
    let t = Scene::new().await;
    t.submit([task("a").key("k"), task("b").key("k")]).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(2).await, ["a"]);
    let answer = node.call("x", 1, &[completed("a", 1)]).await;
    assert_eq!(crate::node::names(&answer.claimed), ["b"]);
    t.done().await;
}

#[tokio::test]
async fn keys_do_not_hinder_one_another_or_tasks_without_one() {
    let t = Scene::new().await;
    t.submit([task("a").key("k"), task("b").key("k"), task("c").key("l"), task("d")]).await;
    assert_eq!(t.node("n1").claim_ids(4).await, ["a", "c", "d"]);
    t.done().await;
}

#[tokio::test]
async fn a_task_that_comes_back_passes_before_those_that_were_parked_after_it() {
    let t = Scene::new().await;
    t.submit(["a", "b", "c"].map(|name| task(name).key("k"))).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(3).await, ["a"]);
    node.settle(interrupted("a", 1)).await;
    assert_eq!(node.claim_ids(3).await, ["a"], "handed back, it keeps its place before b");
    assert_eq!(t.members("parked").await, ["b", "c"]);
    t.done().await;
}

#[tokio::test]
async fn a_task_that_waits_for_its_next_attempt_does_not_hold_its_key() {
    let t = Scene::new().await;
    t.submit([task("a").key("k"), task("b").key("k")]).await;
    let node = t.node("n1");
    node.claim(2).await;
    node.settle(retrying("a", 1, 60)).await;
    assert_eq!(node.claim_ids(2).await, ["b"]);
    t.done().await;
}

#[tokio::test]
async fn a_lost_lease_frees_the_key() {
    let t = Scene::new().await;
    t.submit([task("a").key("k"), task("b").key("k")]).await;
    t.node("n1").claim(2).await;
    t.lapse("a").await;
    t.node("n2").extend(&[]).await;
    assert_eq!(t.node("n2").claim_ids(2).await, ["a"]);
    assert_eq!(t.members("parked").await, ["b"]);
    t.done().await;
}

/// What becomes of the task that was let go on, before it started.
async fn next_goes_on_after(leave: impl AsyncFnOnce(&Scene)) {
    let t = Scene::new().await;
    t.submit([task("a").key("k"), task("b").key("k").expires(60), task("c").key("k")]).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(3).await, ["a"]);
    node.settle(completed("a", 1)).await;
    assert_eq!(t.state("b").await, "pending");
    leave(&t).await;
    t.upkeep_now().await;
    node.extend(&[]).await;
    let next = [node.claim_ids(3).await, node.claim_ids(3).await].concat();
    assert_eq!(next, ["c"], "nothing with the key runs, so it must not wait");
    t.done().await;
}

#[tokio::test]
async fn the_next_goes_on_when_the_one_before_it_is_cancelled_while_it_waits() {
    next_goes_on_after(async |t| drop(t.queue.cancel(&ids(&["b"])).await.unwrap())).await;
}

#[tokio::test]
async fn the_next_goes_on_when_the_one_before_it_is_purged_while_it_waits() {
    next_goes_on_after(async |t| {
        drop(t.queue.purge(windlass_shared::model::State::Pending, None).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn the_next_goes_on_when_the_one_before_it_expires_while_it_waits() {
    next_goes_on_after(async |t| t.pass_seconds(61).await).await;
}

#[tokio::test]
async fn the_next_goes_on_when_the_one_before_it_turns_out_expired_at_the_claim() {
    next_goes_on_after(async |t| {
        t.pass_seconds(61).await;
        t.redis::<()>(&["DEL", &t.key("expiring")]).await;
    })
    .await;
}

/// `b` may go on and `c` is parked behind it; both leave in one call.
async fn both_leave_in_one_call(leave: impl AsyncFnOnce(&Scene), state: &str) {
    let t = Scene::new().await;
    t.submit(["a", "b", "c"].map(|name| task(name).key("k").expires(60))).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(3).await, ["a"]);
    node.settle(completed("a", 1)).await;
    leave(&t).await;
    for name in ["b", "c"] {
        assert_eq!(t.state(name).await, state, "{name}");
    }
    assert_eq!(node.claim_ids(3).await, Vec::<String>::new());
    t.done().await;
}

#[tokio::test]
async fn a_task_that_was_just_let_go_on_can_be_cancelled_in_the_same_call() {
    both_leave_in_one_call(async |t| drop(t.queue.cancel(&ids(&["b", "c"])).await.unwrap()), "cancelled")
        .await;
}

#[tokio::test]
async fn a_task_that_was_just_let_go_on_can_expire_in_the_same_call() {
    both_leave_in_one_call(
        async |t| {
            t.pass_seconds(61).await;
            t.node("n2").extend(&[]).await;
        },
        "expired",
    )
    .await;
}
