//! The checker: it finds each kind of fault, and nothing where nothing is wrong.

use crate::{
    draft::task,
    node::{completed, escalated, failed, interrupted, retrying},
    scene::Scene,
};

/// A queue with a task in every place, named after it.
async fn everywhere() -> Scene {
    let t = Scene::new().await;
    let node = t.node("n1");
    t.submit(["completed", "failed"].map(|name| task(name).batch("b"))).await;
    node.claim(2).await;
    node.settle_all(&[completed("completed", 1), failed("failed", 1)]).await;
    t.submit([task("running").key("k").batch("b"), task("parked").key("k").batch("b")]).await;
    node.claim(2).await;
    t.submit([task("blocked").batch("b")]).await;
    node.claim(1).await;
    node.settle(escalated("blocked", 1)).await;
    t.submit([task("pending").batch("b"), task("scheduled").delay(60).batch("b")]).await;
    t
}

/// What the audit says after one command did harm: each fault as `SUBJECT FAULT`, sorted.
async fn after(harm: &[&str]) -> Vec<String> {
    let t = everywhere().await;
    let harm: Vec<String> = harm.iter().map(|word| word.replace("KEY:", &t.key(""))).collect();
    t.redis::<redis::Value>(&harm.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut faults: Vec<String> =
        t.faults().await.into_iter().map(|fault| format!("{} {}", fault.subject, fault.fault)).collect();
    faults.sort();
    faults
}

#[tokio::test]
async fn a_queue_with_a_task_in_every_place_is_clean() {
    let t = everywhere().await;
    let audit = t.queue.audit().await.unwrap();
    assert_eq!((audit.tasks, audit.faults), (7, vec![]));
    t.done().await;
}

#[tokio::test]
async fn it_reads_only() {
    let t = everywhere().await;
    let before = t.snapshot().await;
    t.queue.audit().await.unwrap();
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn a_task_in_two_places() {
    assert_eq!(
        after(&["ZADD", "KEY:running", "9e15", "pending"]).await,
        ["pending is in `running` but its state is `pending`"]
    );
    assert_eq!(
        after(&["ZADD", "KEY:blocked", "1", "running"]).await,
        ["running is in `blocked` but its state is `running`"]
    );
    assert_eq!(
        after(&["ZADD", "KEY:dead", "1", "completed"]).await,
        ["completed is in `failed` but its state is `completed`"]
    );
}

#[tokio::test]
async fn a_task_in_no_place() {
    for place in ["pending", "running", "scheduled", "parked", "blocked"] {
        let expected = format!("{place} has state `{place}` but is not there");
        assert_eq!(after(&["ZREM", &format!("KEY:{place}"), place]).await, [expected]);
    }
    assert_eq!(after(&["ZREM", "KEY:dead", "failed"]).await, ["failed has state `failed` but is not there"]);
}

#[tokio::test]
async fn a_place_without_a_record() {
    assert_eq!(
        after(&["ZADD", "KEY:scheduled", "1", "ghost"]).await,
        ["ghost is in `scheduled` but has no record"]
    );
    let faults = after(&["DEL", "KEY:spec:pending"]).await;
    assert!(faults.contains(&"pending is in `pending` but has no record".to_owned()), "{faults:?}");
}

#[tokio::test]
async fn a_wrong_state() {
    let faults = after(&["HSET", "KEY:task:pending", "state", "running"]).await;
    for expected in [
        "pending has state `running` but is not there",
        "pending is in `pending` but its state is `running`",
        "pending runs without a lease",
    ] {
        assert!(faults.contains(&expected.to_owned()), "{faults:?}");
    }
    let faults = after(&["HSET", "KEY:task:completed", "state", "sleeping"]).await;
    assert!(faults.contains(&"completed has the unknown state `sleeping`".to_owned()), "{faults:?}");
}

#[tokio::test]
async fn a_record_that_lacks_what_it_needs() {
    let nameless = after(&["SET", "KEY:spec:completed", "batch=b created_at=1\n\n\n1"]).await;
    assert_eq!(nameless, ["completed has no type"]);
    assert_eq!(after(&["HDEL", "KEY:task:running", "lease"]).await, ["running runs without a lease"]);
    assert!(after(&["DEL", "KEY:spec:completed"]).await.contains(&"completed has no spec".to_owned()));
    assert_eq!(
        after(&["HDEL", "KEY:task:completed", "finished_at"]).await,
        ["completed is `completed` without finished_at"]
    );
}

#[tokio::test]
async fn a_parked_task_that_its_key_does_not_list() {
    assert_eq!(
        after(&["DEL", "KEY:parked:k"]).await,
        ["parked is parked but its concurrency key does not list it"]
    );
}

#[tokio::test]
async fn a_wrong_count_of_a_key() {
    assert_eq!(
        after(&["HINCRBY", "KEY:keys", "k", "1"]).await,
        ["k 1 tasks with this concurrency key run, but 2 are counted"]
    );
    assert_eq!(
        after(&["DEL", "KEY:keys"]).await,
        ["k 1 tasks with this concurrency key run, but 0 are counted"]
    );
    assert_eq!(
        after(&["HSET", "KEY:keys", "l", "1"]).await,
        ["l 0 tasks with this concurrency key run, but 1 are counted"]
    );
}

#[tokio::test]
async fn a_wrong_count_of_a_batch() {
    assert_eq!(
        after(&["HINCRBY", "KEY:batch:b", "total", "1"]).await,
        ["b the batch counts 6 open tasks, but 5 are"]
    );
    let faults = after(&["HINCRBY", "KEY:batch:b", "completed", "-1"]).await;
    assert!(faults.contains(&"b the batch counts 0 completed tasks, but 1 are".to_owned()), "{faults:?}");
}

/// One record that somebody broke must not stop the queue: no script may fail over it.
#[tokio::test]
async fn a_broken_record_does_not_stop_the_others() {
    let t = Scene::new().await;
    let node = t.node("n1");
    t.submit(["good", "no-node", "no-end"].map(task)).await;
    node.claim(3).await;
    node.settle(completed("no-end", 1)).await;
    t.redis::<()>(&["HDEL", &t.key("task:no-end"), "finished_at"]).await;
    t.redis::<()>(&["HSET", &t.key("task:no-node"), "crashes", "2"]).await;
    t.redis::<()>(&["HDEL", &t.key("task:no-node"), "lease"]).await;
    t.queue.cancel(&crate::draft::ids(&["no-node"])).await.unwrap();
    t.redis::<()>(&["HDEL", &t.key("task:no-node"), "cancel"]).await;
    t.pass_seconds(25 * 3600).await;
    node.extend(&[]).await;
    assert_eq!((t.state("good").await.as_str(), t.state("no-node").await.as_str()), ("pending", "failed"));
    assert_eq!(t.state("no-end").await, "none", "what cannot be told how old it is goes with its entry");
    t.done().await;
}

#[tokio::test]
async fn a_life_with_every_turn_leaves_no_fault() {
    let t = Scene::new().await;
    let node = t.node("n1");
    t.submit(["a", "b", "c"].map(|name| task(name).key("k").batch("b"))).await;
    assert_eq!(node.claim_ids(3).await, ["a"]);
    node.settle(retrying("a", 1, 5)).await;
    assert_eq!(node.claim_ids(3).await, ["b"]);
    node.settle(interrupted("b", 1)).await;
    t.pass_seconds(5).await;
    node.extend(&[]).await;
    assert_eq!(t.queue.audit().await.unwrap().faults, []);
    assert_eq!(node.claim_ids(3).await, ["a"]);
    t.lapse("a").await;
    node.extend(&[]).await;
    assert_eq!(t.queue.audit().await.unwrap().faults, []);
    t.done().await;
}
