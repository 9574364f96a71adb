//! Nothing is kept for ever: finished tasks, batches, the dead letter and the event log each have their end.

use std::time::Duration;

use windlass_shared::{model::State, store::QueueSettings};

use crate::{
    draft::{ids, task},
    node::{Node, cancelled, completed, failed, retrying},
    scene::Scene,
};

const DAY: u64 = 24 * 3600;

/// Submits a task and settles it at once.
async fn finish(
    t: &Scene,
    node: &Node,
    name: &str,
    how: impl Fn(&str, u32) -> windlass_shared::store::Settle,
) {
    t.submit([task(name)]).await;
    assert_eq!(node.claim_ids(1).await, [name]);
    node.settle(how(name, t.record(name).await.attempt)).await;
}

/// Enough beats for the upkeep to come to its end.
async fn upkeep(t: &Scene, node: &Node) {
    t.upkeep_now().await;
    for _ in 0..6 {
        node.extend(&[]).await;
    }
}

#[tokio::test]
async fn a_finished_task_is_forgotten_after_a_day_with_its_payload_and_its_entry() {
    let t = Scene::new().await;
    let node = t.node("n1");
    finish(&t, &node, "done", completed).await;
    finish(&t, &node, "stopped", cancelled).await;
    t.submit([task("late").expires(1)]).await;
    t.pass_seconds(2).await;
    upkeep(&t, &node).await;
    t.pass_seconds(DAY + 1).await;
    finish(&t, &node, "young", completed).await;
    upkeep(&t, &node).await;
    for name in ["done", "stopped", "late"] {
        assert!(t.find(name).await.is_none(), "{name} is still there");
        assert_eq!(t.redis::<i64>(&["EXISTS", &t.key(&format!("spec:{name}"))]).await, 0);
    }
    assert_eq!(t.state("young").await, "completed");
    assert_eq!(t.redis::<i64>(&["XLEN", &t.key("finished")]).await, 1);
    t.done().await;
}

#[tokio::test]
async fn a_task_is_kept_until_its_retention_ends() {
    let t = Scene::new().await;
    let node = t.node("n1");
    t.configure(QueueSettings { retention: Some(Some(60_000_000)), ..QueueSettings::default() }).await;
    finish(&t, &node, "a", completed).await;
    t.pass_seconds(58).await;
    upkeep(&t, &node).await;
    assert_eq!(t.state("a").await, "completed");
    t.pass_seconds(3).await;
    upkeep(&t, &node).await;
    assert_eq!(t.state("a").await, "none");
    t.done().await;
}

#[tokio::test]
async fn an_old_entry_does_not_forget_a_task_that_was_retried() {
    let t = Scene::new().await;
    let node = t.node("n1");
    finish(&t, &node, "waits", cancelled).await;
    finish(&t, &node, "again", cancelled).await;
    t.pass_seconds(DAY - 60).await;
    t.queue.retry(&ids(&["waits", "again"])).await.unwrap();
    t.queue.cancel(&ids(&["again"])).await.unwrap();
    t.pass_seconds(61).await;
    upkeep(&t, &node).await;
    assert_eq!((t.state("waits").await.as_str(), t.state("again").await.as_str()), ("pending", "cancelled"));
    t.pass_seconds(DAY + 1).await;
    upkeep(&t, &node).await;
    assert_eq!((t.state("waits").await.as_str(), t.state("again").await.as_str()), ("pending", "none"));
    t.done().await;
}

#[tokio::test]
async fn an_old_entry_does_not_forget_a_task_that_was_purged_and_submitted_anew() {
    let t = Scene::new().await;
    let node = t.node("n1");
    finish(&t, &node, "a", completed).await;
    t.queue.purge(State::Completed, None).await.unwrap();
    t.pass_seconds(DAY - 60).await;
    finish(&t, &node, "a", completed).await;
    t.pass_seconds(61).await;
    upkeep(&t, &node).await;
    assert_eq!(t.state("a").await, "completed");
    t.done().await;
}

#[tokio::test]
async fn what_is_not_finished_is_never_forgotten() {
    let t = Scene::new().await;
    let node = t.node("n1");
    t.submit([task("runs"), task("retries").delay(1), task("waits"), task("later").delay(10 * DAY)]).await;
    node.claim(1).await;
    t.pass_seconds(DAY + 60).await;
    t.redis::<()>(&["ZADD", &t.key("running"), "XX", "9000000000000000", "runs"]).await;
    upkeep(&t, &node).await;
    for (name, state) in
        [("runs", "running"), ("retries", "pending"), ("waits", "pending"), ("later", "scheduled")]
    {
        assert_eq!(t.state(name).await, state, "{name}");
    }
    t.done().await;
}

#[tokio::test]
async fn the_dead_letter_is_kept_for_thirty_days() {
    let t = Scene::new().await;
    let node = t.node("n1");
    finish(&t, &node, "old", failed).await;
    t.pass_seconds(20 * DAY).await;
    finish(&t, &node, "young", failed).await;
    upkeep(&t, &node).await;
    assert_eq!((t.state("old").await.as_str(), t.size("dead").await), ("failed", 2));
    t.pass_seconds(10 * DAY).await;
    upkeep(&t, &node).await;
    assert_eq!((t.state("old").await.as_str(), t.members("dead").await), ("none", vec!["young".to_owned()]));
    assert_eq!(t.redis::<i64>(&["EXISTS", &t.key("spec:old")]).await, 0);
    t.done().await;
}

#[tokio::test]
async fn the_dead_letter_has_a_cap_and_the_oldest_go_first() {
    let t = Scene::new().await;
    let node = t.node("n1");
    for i in 0..5 {
        finish(&t, &node, &format!("d{i}"), failed).await;
    }
    t.redis::<()>(&["HSET", &t.key("meta"), "dead_max", "2"]).await;
    upkeep(&t, &node).await;
    assert_eq!(t.members("dead").await, ["d3", "d4"]);
    assert_eq!((t.state("d0").await.as_str(), t.state("d4").await.as_str()), ("none", "failed"));
    t.done().await;
}

#[tokio::test]
async fn the_event_log_keeps_about_as_many_entries_as_it_was_told() {
    let t = Scene::new().await;
    t.configure(QueueSettings { events: Some(Some(500)), ..QueueSettings::default() }).await;
    let mut longest = 0;
    for round in 0..20 {
        let tasks = (0..100).map(|i| task(format!("a{round}-{i}")));
        for draft in tasks {
            t.submit([draft]).await;
        }
        longest = longest.max(t.redis::<i64>(&["XLEN", &t.key("events")]).await);
    }
    assert!((500..=600).contains(&longest), "{longest} entries");
    t.done().await;
}

/// The log's ids are milliseconds, the tasks' own times microseconds. Whatever falls between must not stay for ever.
#[tokio::test]
async fn no_task_is_left_behind_by_the_sweep_that_dropped_its_entry() {
    let t = Scene::new().await;
    let node = t.node("n1");
    t.configure(QueueSettings { retention: Some(Some(400)), ..QueueSettings::default() }).await;
    for i in 0..400 {
        let name = format!("a{i}");
        t.submit([task(&name)]).await;
        t.upkeep_now().await;
        node.claim(1).await;
        node.settle(completed(&name, 1)).await;
        t.upkeep_now().await;
        node.extend(&[]).await;
    }
    t.pass(Duration::from_secs(1)).await;
    upkeep(&t, &node).await;
    let left: i64 = t.redis(&["XLEN", &t.key("finished")]).await;
    let records: Vec<String> = t.redis(&["KEYS", &t.key("task:*")]).await;
    assert_eq!((left, records.len()), (0, 0), "records that no entry names are never deleted");
    t.done().await;
}

#[tokio::test]
async fn a_task_that_retries_for_days_is_not_forgotten() {
    let t = Scene::new().await;
    let node = t.node("n1");
    t.submit([task("a")]).await;
    for attempt in 1..=3 {
        assert_eq!(node.claim_ids(1).await, ["a"]);
        node.settle(retrying("a", attempt, 2 * DAY)).await;
        t.pass_seconds(2 * DAY).await;
        upkeep(&t, &node).await;
    }
    assert_eq!((t.state("a").await.as_str(), t.record("a").await.retries), ("pending", 3));
    t.done().await;
}
