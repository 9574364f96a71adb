//! Another priority (`prioritise.lua`) for what waits, and for what runs and may come back.

use windlass_shared::model::{Priority, State};

use crate::{
    draft::{ids, task},
    node::{completed, failed, interrupted},
    scene::Scene,
};

async fn prioritise(t: &Scene, names: &[&str], priority: Priority) -> Vec<Option<State>> {
    t.queue.prioritise(&ids(names), priority).await.unwrap()
}

#[tokio::test]
async fn a_pending_task_gets_a_new_place() {
    let t = Scene::new().await;
    t.submit(["a", "b"].map(task)).await;
    t.bell().await;
    let before = t.snapshot().await;
    assert_eq!(prioritise(&t, &["b"], Priority::Critical).await, [Some(State::Pending)]);
    t.expect_changes(
        &before,
        &[
            "+ bell ring=0",
            "+ events by=producer pending>pending reprioritised=b#0",
            "+ fair 0:=critical+2520",
            "+ task:b priority=critical",
            "+ task:b reason=reprioritised",
            "~ pending b=critical+0",
        ],
    )
    .await;
    assert_eq!(t.node("n1").claim_ids(2).await, ["b", "a"]);
    t.done().await;
}

#[tokio::test]
async fn a_scheduled_task_takes_its_new_place_when_it_falls_due() {
    let t = Scene::new().await;
    t.submit([task("a"), task("later").delay(60)]).await;
    assert_eq!(prioritise(&t, &["later"], Priority::High).await, [Some(State::Scheduled)]);
    assert_eq!(t.members("pending").await, ["a"]);
    t.pass_seconds(60).await;
    assert_eq!(t.node("n1").claim_ids(2).await, ["later", "a"]);
    t.done().await;
}

#[tokio::test]
async fn a_parked_task_overtakes_the_others_of_its_key() {
    let t = Scene::new().await;
    t.submit(["a", "b", "c"].map(|name| task(name).key("k"))).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(3).await, ["a"]);
    assert_eq!(prioritise(&t, &["c"], Priority::High).await, [Some(State::Parked)]);
    assert_eq!(t.members("parked").await, ["c", "b"]);
    node.settle(completed("a", 1)).await;
    assert_eq!(node.claim_ids(3).await, ["c"]);
    t.done().await;
}

#[tokio::test]
async fn a_running_task_takes_its_new_place_if_it_comes_back() {
    let t = Scene::new().await;
    t.submit(["a", "b"].map(task)).await;
    let node = t.node("n1");
    node.claim(1).await;
    assert_eq!(prioritise(&t, &["a"], Priority::Low).await, [Some(State::Running)]);
    node.settle(interrupted("a", 1)).await;
    assert_eq!(node.claim_ids(2).await, ["b", "a"]);
    t.done().await;
}

#[tokio::test]
async fn a_final_task_keeps_its_priority() {
    let t = Scene::new().await;
    t.submit(["a", "b"].map(task)).await;
    let node = t.node("n1");
    node.claim(2).await;
    node.settle_all(&[completed("a", 1), failed("b", 1)]).await;
    let before = t.snapshot().await;
    let states = prioritise(&t, &["a", "b", "never-was"], Priority::High).await;
    assert_eq!(states, [Some(State::Completed), Some(State::Failed), None]);
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn twice_in_one_call_is_once() {
    let t = Scene::new().await;
    t.submit(["a", "b"].map(task)).await;
    prioritise(&t, &["a", "a"], Priority::High).await;
    assert_eq!((t.size("pending").await, t.node("n1").claim_ids(3).await), (2, vec!["a".into(), "b".into()]));
    t.done().await;
}
