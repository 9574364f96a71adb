//! A node's beat on a queue (`extend.lua`): leases, progress, what was lost, what is to be cancelled.

use std::time::Duration;

use windlass_shared::store::{Held, QueueSettings};

use crate::{
    draft::{id, ids, task},
    node::completed,
    scene::Scene,
};

#[tokio::test]
async fn an_extended_lease_ends_one_lease_from_now_and_nothing_else_changes() {
    let t = Scene::new().await;
    t.submit([task("a"), task("b")]).await;
    let node = t.node("n1");
    node.claim(2).await;
    t.pass_seconds(4).await;
    let before = t.snapshot().await;
    let answer = node.extend(&[("a", 1)]).await;
    assert_eq!((answer.lost, answer.cancelled, answer.work), (vec![], vec![], false));
    t.expect_changes(&before, &["~ running a=now+10s"]).await;
    assert_eq!(
        answer.next.map(|next| next.0 as f64),
        t.score("running", "b").await,
        "b's lease is the next to end"
    );
    t.done().await;
}

#[tokio::test]
async fn a_lease_that_is_over_but_was_not_yet_recovered_can_still_be_extended() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    t.pass_seconds(11).await;
    assert_eq!(node.extend(&[("a", 1)]).await.lost, []);
    assert_eq!((t.state("a").await.as_str(), t.record("a").await.crashes), ("running", 0));
    t.done().await;
}

#[tokio::test]
async fn what_a_node_holds_no_more_is_lost() {
    let t = Scene::new().await;
    t.submit(["done", "other", "old"].map(task)).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(1).await, ["done"]);
    node.settle(completed("done", 1)).await;
    assert_eq!(t.node("n2").claim_ids(1).await, ["other"]);
    assert_eq!(node.claim_ids(1).await, ["old"]);
    let before = t.snapshot().await;
    let answer = node.extend(&[("done", 1), ("other", 1), ("old", 7), ("never-was", 1), ("old", 1)]).await;
    assert_eq!(answer.lost, ids(&["done", "other", "old", "never-was"]));
    t.expect_changes(&before, &["~ running old=now+10s"]).await;
    t.done().await;
}

#[tokio::test]
async fn progress_is_stored_and_the_last_report_wins() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    let held = |progress: &str| Held { id: id("a"), attempt: 1, progress: progress.into() };
    node.extend_held(&[held(r#"{"done":1}"#)]).await;
    node.extend_held(&[held(r#"{"done":2}"#)]).await;
    node.extend_held(&[held("")]).await;
    t.node("n2").extend_held(&[held(r#"{"done":99}"#)]).await;
    assert_eq!(t.record("a").await.progress.as_deref(), Some(r#"{"done":2}"#));
    t.done().await;
}

#[tokio::test]
async fn a_cancel_is_told_at_each_beat_until_the_node_settles() {
    let t = Scene::new().await;
    t.submit([task("a"), task("b")]).await;
    let node = t.node("n1");
    node.claim(2).await;
    t.queue.cancel(&ids(&["b"])).await.unwrap();
    for _ in 0..2 {
        assert_eq!(node.extend(&[("a", 1), ("b", 1)]).await.cancelled, ids(&["b"]));
    }
    t.done().await;
}

#[tokio::test]
async fn the_beat_says_whether_a_claim_would_find_something() {
    let t = Scene::new().await;
    let node = t.node("n1");
    assert!(!node.extend(&[]).await.work);
    t.submit([task("a").delay(60)]).await;
    let answer = node.extend(&[]).await;
    assert_eq!((answer.work, answer.next), (false, t.record("a").await.due_at));
    t.pass_seconds(60).await;
    assert!(node.extend(&[]).await.work, "an idle fleet's beat promotes what is due");
    assert_eq!(t.state("a").await, "pending");
    assert!(t.bell().await);
    t.configure(QueueSettings { paused: Some(true), ..QueueSettings::default() }).await;
    assert!(!node.extend(&[]).await.work);
    t.done().await;
}

#[tokio::test]
async fn the_longest_lease_counts_until_nothing_runs() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let long = t.node("long").with_lease(Duration::from_secs(60));
    long.claim(1).await;
    let short = t.node("short");
    short.extend(&[]).await;
    assert_eq!(t.stat("lease").await, 60_000_000, "a still runs under the long lease");
    long.settle(completed("a", 1)).await;
    short.extend(&[]).await;
    assert_eq!(t.stat("lease").await, 10_000_000);
    t.done().await;
}

#[tokio::test]
async fn an_idle_beat_changes_nothing() {
    let t = Scene::new().await;
    t.submit([task("a").delay(60)]).await;
    t.node("n1").extend(&[]).await;
    let before = t.snapshot().await;
    for _ in 0..3 {
        t.node("n1").extend(&[]).await;
    }
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn a_visit_could_be_spared_if_others_were_here_a_moment_ago_and_nothing_was_overdue() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let node = t.node("n1");
    assert!(!node.extend(&[]).await.spare, "nobody did the upkeep yet");
    let now = node.extend(&[]).await.now;
    let set = async |field: &str, moment: i64| {
        t.redis::<()>(&["HSET", &t.key("stats"), field, &moment.to_string()]).await;
    };
    // Later than any moment at which this test comes to it.
    let soon = now.0 + 60_000_000;
    set("seen_at", soon).await;
    set("upkeep_at", soon).await;
    assert!(node.extend(&[]).await.spare);
    set("seen_at", now.0 - 1_000_000).await;
    assert!(!node.extend(&[]).await.spare, "nobody was here for a second");
    set("seen_at", soon).await;
    set("upkeep_at", now.0 - 1_000_000).await;
    assert!(!node.extend(&[]).await.spare, "something was overdue for a second");
    t.done().await;
}
