//! Settings of a queue (`configure.lua`): they hold from the next call on, and wake a node if work may go on.

use windlass_shared::store::QueueSettings;

use crate::{
    draft::{many, task},
    node::{completed, names},
    scene::Scene,
};

#[tokio::test]
async fn settings_are_set_changed_and_cleared() {
    let t = Scene::new().await;
    let all = QueueSettings {
        paused: Some(true),
        max_length: Some(Some(10)),
        concurrency: Some(Some(20)),
        key_concurrency: Some(Some(3)),
        retention: Some(Some(5_000_000)),
        dead_retention: Some(Some(6_000_000)),
        events: Some(Some(100)),
    };
    t.node("n1").extend(&[]).await;
    let before = t.snapshot().await;
    t.configure(all).await;
    let lines = [
        "+ meta concurrency=20",
        "+ meta dead_retention=6000000",
        "+ meta events=100",
        "+ meta key_concurrency=3",
        "+ meta max_length=10",
        "+ meta paused=1",
        "+ meta retention=5000000",
    ];
    t.expect_changes(&before, &lines).await;
    let view = t.queue.view().await.unwrap();
    assert_eq!(
        (view.paused, view.max_length, view.concurrency, view.key_concurrency),
        (true, Some(10), Some(20), 3)
    );
    t.configure(QueueSettings { max_length: Some(Some(11)), ..QueueSettings::default() }).await;
    let view = t.queue.view().await.unwrap();
    assert_eq!((view.paused, view.max_length, view.concurrency), (true, Some(11), Some(20)), "others stay");
    let none = QueueSettings {
        paused: Some(false),
        max_length: Some(None),
        concurrency: Some(None),
        key_concurrency: Some(None),
        retention: Some(None),
        dead_retention: Some(None),
        events: Some(None),
    };
    t.configure(none).await;
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn resuming_and_raising_a_limit_wake_a_node() {
    let t = Scene::new().await;
    let paused = |paused| QueueSettings { paused: Some(paused), ..QueueSettings::default() };
    let limit = |n| QueueSettings { concurrency: Some(n), ..QueueSettings::default() };
    t.submit(many("a", 3)).await;
    t.bell().await;
    for (settings, rings) in [
        (paused(true), false),
        (paused(false), true),
        (limit(Some(0)), false),
        (limit(Some(1)), true),
        (limit(None), true),
    ] {
        t.configure(settings.clone()).await;
        assert_eq!(t.bell().await, rings, "{settings:?}");
    }
    t.done().await;
}

#[tokio::test]
async fn parked_tasks_go_on_under_a_higher_limit() {
    let t = Scene::new().await;
    t.submit(many("a", 5).into_iter().map(|draft| draft.key("k"))).await;
    t.submit([task("b").key("l")]).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(6).await, ["a000000", "b"]);
    t.configure(QueueSettings { key_concurrency: Some(Some(3)), ..QueueSettings::default() }).await;
    assert!(t.bell().await);
    assert_eq!(node.claim_ids(6).await, ["a000001", "a000002"]);
    assert_eq!(t.members("parked").await, ["a000003", "a000004"]);
    t.done().await;
}

#[tokio::test]
async fn a_lower_limit_lets_what_runs_end_and_starts_less() {
    let t = Scene::new().await;
    let limit = |n| QueueSettings { key_concurrency: Some(Some(n)), ..QueueSettings::default() };
    t.configure(limit(3)).await;
    t.submit(many("a", 5).into_iter().map(|draft| draft.key("k"))).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(5).await.len(), 3);
    t.configure(limit(1)).await;
    for name in ["a000000", "a000001"] {
        assert!(names(&node.call(name, 5, &[completed(name, 1)]).await.claimed).is_empty());
    }
    assert_eq!(names(&node.call("x", 5, &[completed("a000002", 1)]).await.claimed), ["a000003"]);
    t.done().await;
}

#[tokio::test]
async fn a_shorter_retention_is_looked_at_soon() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    node.settle(completed("a", 1)).await;
    t.pass_seconds(60).await;
    node.extend(&[]).await;
    assert_eq!(t.state("a").await, "completed");
    t.configure(QueueSettings { retention: Some(Some(1_000_000)), ..QueueSettings::default() }).await;
    node.extend(&[]).await;
    assert_eq!(t.state("a").await, "none");
    t.done().await;
}

#[tokio::test]
async fn a_queue_is_its_own_world() {
    let t = Scene::new().await;
    let other = t.store.first_partition(&windlass_shared::model::QueueName::new("other").unwrap());
    t.submit([task("a")]).await;
    let draft = task("a").queue("other").digest("different");
    assert!(matches!(
        other.submit(&[draft.new_task()]).await.unwrap()[0],
        windlass_shared::store::Accepted::New(_)
    ));
    other.configure(&QueueSettings { paused: Some(true), ..QueueSettings::default() }).await.unwrap();
    assert_eq!(t.node("n1").claim_ids(5).await, ["a"]);
    assert_eq!(other.audit().await.unwrap().faults, []);
    t.done().await;
}
