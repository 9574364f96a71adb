//! The repair: it shows each kind of damage and changes nothing until it is told to; then nothing is wrong any more, and
//! work goes on.

use crate::{
    draft::task,
    node::{completed, escalated, failed},
    scene::Scene,
};

/// A queue with a task in every place, named after it; of `key`, one task runs and one is parked.
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

async fn harm(t: &Scene, harms: &[&str]) {
    for harm in harms {
        let words: Vec<String> = harm.split(' ').map(|word| word.replace("KEY:", &t.key(""))).collect();
        t.redis::<redis::Value>(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
}

async fn repair(t: &Scene, apply: bool) -> Vec<String> {
    let done = t.queue.repair(apply).await.unwrap();
    let mut done: Vec<String> =
        done.into_iter().map(|repair| format!("{} {}", repair.subject, repair.repair)).collect();
    done.sort();
    done
}

/// Does harm; the dry run must say this and change nothing, the repair must say and do it.
async fn repaired(harms: &[&str], expected: &[&str]) -> Scene {
    let t = everywhere().await;
    harm(&t, harms).await;
    let before = t.snapshot().await;
    let would = repair(&t, false).await;
    for words in expected {
        assert!(would.contains(&(*words).to_owned()), "{words:?} is not in {would:?}");
    }
    t.expect_changes(&before, &[]).await;
    let done = repair(&t, true).await;
    for words in expected.iter().filter(|words| !words.contains("set right: ")) {
        assert!(done.contains(&(*words).to_owned()), "{words:?} is not in {done:?}");
    }
    assert_eq!(t.faults().await, [], "after {harms:?} and {done:?}");
    assert_eq!(repair(&t, true).await, [""; 0], "a second time there is nothing to do");
    t
}

#[tokio::test]
async fn a_sound_queue_is_left_alone() {
    let t = everywhere().await;
    let before = t.snapshot().await;
    assert_eq!(repair(&t, false).await, [""; 0]);
    assert_eq!(repair(&t, true).await, [""; 0]);
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn a_task_in_no_place_returns_to_the_one_of_its_state() {
    for place in ["pending", "running", "scheduled", "blocked"] {
        let words = format!("{place} put it back into `{place}`");
        let t = repaired(&[&format!("ZREM KEY:{place} {place}")], &[&words]).await;
        assert_eq!(
            (t.members(place).await, t.state(place).await),
            (vec![place.to_owned()], place.to_owned())
        );
    }
    let t = repaired(&["ZREM KEY:dead failed"], &["failed put it back into `failed`"]).await;
    assert_eq!(t.score("dead", "failed").await, t.record("failed").await.finished_at.map(|at| at.0 as f64));
    let t = repaired(&["ZREM KEY:parked parked"], &["parked park it again, or let it go on"]).await;
    assert_eq!(t.members("parked:k").await, ["parked"]);
    let t = repaired(&["DEL KEY:parked:k"], &["parked park it again, or let it go on"]).await;
    assert_eq!(t.members("parked:k").await, ["parked"]);
}

#[tokio::test]
async fn an_entry_without_a_record_or_in_a_wrong_place_goes() {
    let t = repaired(&["ZADD KEY:scheduled 1 ghost"], &["ghost remove it from `scheduled`"]).await;
    assert_eq!(t.members("scheduled").await, ["scheduled"]);
    let t =
        repaired(&["ZADD KEY:running 9000000000000000 pending"], &["pending remove it from `running`"]).await;
    assert_eq!(t.members("running").await, ["running"]);
    repaired(&["ZADD KEY:dead 1 completed"], &["completed remove it from `failed`"]).await;
}

#[tokio::test]
async fn a_record_without_its_payload_is_deleted_and_its_batch_can_end() {
    for state in ["pending", "running", "scheduled", "parked", "blocked", "completed", "failed"] {
        let lost = if state == "pending" { "HSET KEY:task:pending state pending" } else { "PING" };
        let words = format!("{state} delete it (`{state}`): its payload is gone or cannot be read");
        let t = repaired(&[lost, &format!("DEL KEY:spec:{state}")], &[&words]).await;
        assert_eq!(t.state(state).await, "none");
        let open: i64 = t.redis(&["HGET", &t.key("batch:b"), "total"]).await;
        let ended = ["completed", "failed"].contains(&state);
        assert_eq!(open, if ended { 7 } else { 6 }, "the batch does not wait for what was {state}");
    }
}

#[tokio::test]
async fn a_batch_whose_only_task_is_gone_ends() {
    let t = Scene::new().await;
    t.submit([task("a").batch("alone")]).await;
    harm(&t, &["DEL KEY:spec:a"]).await;
    repair(&t, true).await;
    assert_eq!(t.redis::<i64>(&["HGET", &t.key("batch:alone"), "total"]).await, 0);
    assert!(t.score("batches", "alone").await > Some(0.0), "its retention began");
    t.done().await;
}

#[tokio::test]
async fn a_lease_that_cannot_be_read_ends_and_its_attempt_settles_nothing() {
    let words = "running end its attempt, whose lease is lost, and put it into `pending`";
    let t = repaired(&["HDEL KEY:task:running lease"], &[words]).await;
    let node = t.node("n1");
    node.settle(completed("running", 1)).await;
    assert_ne!(t.state("running").await, "completed");
    let again = node.claim_ids(10).await;
    assert!(again.contains(&"running".to_owned()) || again.contains(&"parked".to_owned()), "{again:?}");
    t.done().await;
}

#[tokio::test]
async fn what_has_an_unknown_state_waits_for_a_person() {
    let words = "completed put it into the dead letter, since its state `sleeping` is unknown";
    let t = repaired(&["HSET KEY:task:completed state sleeping"], &[words]).await;
    assert_eq!(t.state("completed").await, "failed");
    t.queue.retry(&crate::draft::ids(&["completed"])).await.unwrap();
    assert_eq!(t.state("completed").await, "pending");
    t.done().await;
}

#[tokio::test]
async fn counts_are_set_right_and_parked_tasks_go_on() {
    let told = "k set right: 1 tasks with this concurrency key run, but 2 are counted";
    repaired(&["HINCRBY KEY:keys k 1"], &[told]).await;
    repaired(&["DEL KEY:keys"], &["k set right: 1 tasks with this concurrency key run, but 0 are counted"])
        .await;
    repaired(&["HINCRBY KEY:batch:b total 3"], &["b set right: the batch counts 8 open tasks, but 5 are"])
        .await;
    repaired(&["HINCRBY KEY:batch:b completed -1", "HDEL KEY:task:failed finished_at"], &[]).await;

    // The count says that one runs, and none does: without the repair the parked one would wait for ever.
    let t = everywhere().await;
    t.node("n1").settle(completed("running", 1)).await;
    t.node("n1").claim_ids(5).await;
    t.node("n1").settle(completed("parked", 1)).await;
    harm(&t, &["HSET KEY:keys k 1"]).await;
    t.submit([task("next").key("k")]).await;
    assert!(t.node("n1").claim_ids(5).await.is_empty(), "it is parked");
    repair(&t, true).await;
    assert_eq!(t.node("n1").claim_ids(5).await, ["next"]);
    t.done().await;
}

/// A node that lives goes on with what it runs; what nobody runs is recovered after one lease.
#[tokio::test]
async fn what_ran_and_was_in_no_place_is_extended_or_recovered() {
    let t = repaired(&["ZREM KEY:running running"], &["running put it back into `running`"]).await;
    let node = t.node("n1");
    t.lapse("running").await;
    node.extend(&[]).await;
    assert_eq!(t.record("running").await.crashes, 1, "nobody held it");
    t.done().await;

    let t = repaired(&["ZREM KEY:running running"], &["running put it back into `running`"]).await;
    t.node("n1").settle(completed("running", 1)).await;
    assert_eq!(t.state("running").await, "completed", "its node goes on");
    t.done().await;
}

/// All at once, while a node works: what it settles counts, and all comes to an end.
#[tokio::test]
async fn work_goes_on_after_a_repair() {
    let harms = [
        "ZREM KEY:pending pending",
        "ZREM KEY:scheduled scheduled",
        "ZADD KEY:pending 1 ghost",
        "DEL KEY:parked:k",
        "HSET KEY:keys k 5",
        "DEL KEY:spec:blocked",
        "HINCRBY KEY:batch:b total 4",
    ];
    let t = repaired(&harms, &["ghost remove it from `pending`"]).await;
    let node = t.node("n1");
    node.settle(completed("running", 1)).await;
    t.pass_seconds(61).await;
    node.extend(&[]).await;
    let mut ids = node.claim_ids(10).await;
    ids.sort();
    assert_eq!(ids, ["parked", "pending", "scheduled"]);
    node.settle_all(&ids.iter().map(|id| completed(id, 1)).collect::<Vec<_>>()).await;
    assert!(t.score("batches", "b").await > Some(0.0), "the batch ended");
    t.done().await;
}
