//! Deleting tasks by state (`purge.lua`), with everything that was kept for them.

use windlass_shared::{model::State, store::Accepted};

use crate::{
    draft::{batch, ids, many, task},
    node::{cancelled, completed, failed},
    scene::Scene,
};

/// Purges to the end, and tells how many went and in how many steps.
async fn purge(t: &Scene, state: State) -> (u64, usize) {
    let (mut deleted, mut cursor) = (0, None);
    for steps in 1..1000 {
        let step = t.queue.purge(state, cursor.as_deref()).await.unwrap();
        deleted += step.deleted;
        cursor = step.cursor;
        if cursor.is_none() {
            return (deleted, steps);
        }
    }
    panic!("the purge did not end");
}

/// One task in each state, named after it; `running` and `parked` share a key, all are in batch `b`.
async fn one_of_each() -> Scene {
    let t = Scene::new().await;
    t.submit(["completed", "failed", "cancelled"].map(|name| task(name).batch("b"))).await;
    let node = t.node("n1");
    node.claim(3).await;
    node.settle_all(&[completed("completed", 1), failed("failed", 1), cancelled("cancelled", 1)]).await;
    t.submit([task("expired").expires(1).batch("b")]).await;
    t.pass_seconds(2).await;
    node.extend(&[]).await;
    t.submit([task("running").key("k").batch("b"), task("parked").key("k").batch("b")]).await;
    assert_eq!(node.claim_ids(2).await, ["running"]);
    t.submit([task("pending").batch("b"), task("scheduled").delay(60).batch("b")]).await;
    for state in ["completed", "failed", "cancelled", "expired", "running", "parked", "pending", "scheduled"]
    {
        assert_eq!(t.state(state).await, state);
    }
    t
}

/// Purges one state, and checks that its task and nothing else is gone.
async fn check(state: State, expected: &[&str]) {
    let t = one_of_each().await;
    let before = t.snapshot().await;
    assert_eq!(purge(&t, state).await.0, 1);
    let mut changed = before.changes(&t.snapshot().await);
    changed.retain(|line| !line.starts_with(&format!("- task:{state} ")));
    crate::snapshot::assert_lines(changed, expected);
    assert!(t.find(state.as_str()).await.is_none());
    assert_eq!(purge(&t, state).await.0, 0, "a second time there is nothing");
    t.done().await;
}

#[tokio::test]
async fn pending() {
    let event = "+ events by=producer pending>none purged=pending#0";
    check(State::Pending, &[event, "- payload:pending", "- pending pending", "~ batch:b total=7"]).await;
}

#[tokio::test]
async fn scheduled() {
    let event = "+ events by=producer scheduled>none purged=scheduled#0";
    check(State::Scheduled, &[event, "- payload:scheduled", "- scheduled scheduled", "~ batch:b total=7"])
        .await;
}

#[tokio::test]
async fn parked() {
    let event = "+ events by=producer parked>none purged=parked#0";
    let places = ["- parked parked", "- parked:k parked", "- payload:parked", "~ batch:b total=7"];
    check(State::Parked, &[&[event], &places[..]].concat()).await;
}

#[tokio::test]
async fn finished() {
    for state in [State::Completed, State::Cancelled, State::Expired] {
        let attempt = u32::from(state != State::Expired);
        let event = format!("+ events by=producer {state}>none purged={state}#{attempt}");
        let payload = format!("- payload:{state}");
        check(state, &[&event, &payload, "~ batch:b total=7", &format!("~ batch:b {state}=0")]).await;
    }
}

#[tokio::test]
async fn dead_letter() {
    let event = "+ events by=producer failed>none purged=failed#1";
    let rest = ["- dead failed", "- payload:failed", "~ batch:b failed=0", "~ batch:b total=7"];
    check(State::Failed, &[&[event], &rest[..]].concat()).await;
}

#[tokio::test]
async fn what_runs_cannot_be_purged() {
    let t = one_of_each().await;
    t.queue.retry(&ids(&["failed"])).await.unwrap();
    t.queue.cancel(&ids(&["pending"])).await.unwrap();
    assert_eq!(
        t.node("n2").claim_ids(1).await,
        ["failed"],
        "it runs, and the finished log knows it from before"
    );
    let before = t.snapshot().await;
    assert_eq!(purge(&t, State::Running).await.0, 0);
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn many_go_in_bounded_steps() {
    let t = Scene::new().await;
    t.submit_all(many("a", 250)).await;
    let node = t.node("n1");
    for state in [State::Pending, State::Completed] {
        assert_eq!(purge(&t, state).await, (250, if state == State::Pending { 3 } else { 6 }));
        t.submit_all(many("a", 250)).await;
        for _ in 0..5 {
            let claimed = node.claim_ids(50).await;
            let settles: Vec<_> = claimed.iter().map(|name| completed(name, 1)).collect();
            node.settle_all(&settles).await;
        }
    }
    t.done().await;
}

#[tokio::test]
async fn a_purged_id_can_be_submitted_anew_with_other_content() {
    let t = Scene::new().await;
    t.submit([task("a").expires(60).key("k")]).await;
    purge(&t, State::Pending).await;
    let again = t.submit([task("a").digest("other")]).await;
    assert_eq!(again, [Accepted::New(State::Pending)]);
    t.pass_seconds(61).await;
    t.upkeep_now().await;
    t.node("n1").extend(&[]).await;
    assert_eq!(t.node("n1").claim_ids(1).await, ["a"], "the expiry of the purged task is not its own");
    t.done().await;
}

#[tokio::test]
async fn the_dead_letter_of_a_forgotten_batch_can_be_purged() {
    let t = Scene::new().await;
    t.store.register_batch(&batch("b"), t.queue.name()).await.unwrap();
    t.submit([task("a").batch("b"), task("c").batch("b")]).await;
    let node = t.node("n1");
    node.claim(2).await;
    node.settle_all(&[failed("a", 1), failed("c", 1)]).await;
    t.pass_seconds(25 * 3600).await;
    for _ in 0..3 {
        node.extend(&[]).await;
    }
    assert_eq!(t.store.batch(&batch("b")).await.unwrap(), None, "the batch is forgotten");
    assert_eq!(purge(&t, State::Failed).await.0, 2);
    assert_eq!(t.store.batch(&batch("b")).await.unwrap(), None, "and stays forgotten");
    t.done().await;
}

#[tokio::test]
async fn an_entry_without_a_record_goes_too() {
    let t = Scene::new().await;
    t.redis::<()>(&["ZADD", &t.key("dead"), "1", "ghost"]).await;
    assert_eq!(purge(&t, State::Failed).await, (0, 1));
    assert_eq!(t.size("dead").await, 0);
    t.done().await;
}
