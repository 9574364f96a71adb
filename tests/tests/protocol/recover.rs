//! Lost leases (the upkeep of `extend.lua` and `settle_and_claim.lua`): recovered when a node is gone, and never
//! because Redis was.

use windlass_shared::store::Settled;

use crate::{
    draft::{ids, task},
    node::{Node, completed},
    scene::Scene,
};

async fn running() -> (Scene, Node) {
    let t = Scene::new().await;
    t.submit([task("a").batch("b").key("k")]).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(1).await, ["a"]);
    t.bell().await;
    (t, node)
}

#[tokio::test]
async fn a_lost_lease_makes_the_task_pending_at_its_old_place_and_charges_a_crash_only() {
    let (t, _) = running().await;
    t.pass_seconds(11).await;
    let before = t.snapshot().await;
    t.node("n2").extend(&[]).await;
    t.expect_changes(
        &before,
        &[
            "+ bell ring=0",
            "+ events by=n2 running>pending lease_expired=a#1",
            "+ pending a=normal+0",
            "+ stats recovered=1",
            "+ task:a crashes=1",
            "- keys k",
            "- running a",
            "~ task:a reason=lease_expired",
            "~ task:a state=pending",
        ],
    )
    .await;
    let record = t.record("a").await;
    assert_eq!((record.attempt, record.retries, record.interruptions), (1, 0, 0));
    t.done().await;
}

#[tokio::test]
async fn a_lease_that_still_holds_is_left_alone() {
    let (t, _) = running().await;
    t.pass_seconds(9).await;
    t.upkeep_now().await;
    let before = t.snapshot().await;
    t.node("n2").extend(&[]).await;
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn a_task_that_kills_its_nodes_goes_to_the_dead_letter_with_an_error_that_says_so() {
    let (t, _) = running().await;
    for crash in 1..=2 {
        t.lapse("a").await;
        t.node("helper").extend(&[]).await;
        assert_eq!((t.state("a").await.as_str(), t.record("a").await.crashes), ("pending", crash));
        assert_eq!(t.node(&format!("n{}", crash + 1)).claim_ids(1).await, ["a"]);
    }
    t.lapse("a").await;
    t.bell().await;
    let before = t.snapshot().await;
    t.node("helper").extend(&[]).await;
    let message = "its lease ran out 3 times, last on node n3; it probably kills the nodes that run it";
    let mut changed = before.changes(&t.snapshot().await);
    // The order of the keys in Lua's JSON is not fixed; the record is read below.
    changed.retain(|line| !line.starts_with("+ task:a error="));
    crate::snapshot::assert_lines(
        changed,
        &[
            "+ batch-finished:b failed=a",
            "+ batch:b failed=1",
            "+ dead a=now",
            "+ events by=helper running>failed crashed=a#3",
            "+ finished batched=a",
            "+ stats failed=1",
            "+ task:a finished_at=now",
            "- keys k",
            "- running a",
            "~ batches b=now",
            "~ stats recovered=3",
            "~ task:a crashes=3",
            "~ task:a reason=crashed",
            "~ task:a state=failed",
        ],
    );
    let error = t.record("a").await.error.unwrap();
    assert_eq!((error.class.as_str(), error.message.as_str()), ("crashed", message));
    t.done().await;
}

#[tokio::test]
async fn a_lost_task_that_was_to_be_cancelled_is_cancelled() {
    let (t, _) = running().await;
    t.queue.cancel(&ids(&["a"])).await.unwrap();
    t.lapse("a").await;
    t.node("n2").extend(&[]).await;
    assert_eq!((t.state("a").await.as_str(), t.record("a").await.crashes), ("cancelled", 1));
    assert_eq!(t.size("pending").await, 0);
    t.done().await;
}

#[tokio::test]
async fn a_claim_recovers_too() {
    let (t, _) = running().await;
    t.pass_seconds(11).await;
    assert_eq!(t.node("n2").claim_ids(1).await, ["a"], "it is claimed by the call that finds it");
    let record = t.record("a").await;
    assert_eq!((record.attempt, record.crashes, record.node.as_deref()), (2, 1, Some("n2")));
    t.done().await;
}

#[tokio::test]
async fn an_outage_puts_recovery_off_so_that_owners_extend_first() {
    let (t, owner) = running().await;
    t.outage(3600).await;
    // Another node comes first after the outage, and must not take what is not its own.
    let other = t.node("n2");
    let answer = other.extend(&[]).await;
    assert_eq!(other.claim_ids(1).await, Vec::<String>::new());
    assert_eq!(
        answer.next.map(|next| next.0),
        Some(answer.now.0 + 10_000_000),
        "looked at again one lease later"
    );
    assert_eq!((t.state("a").await.as_str(), t.record("a").await.crashes), ("running", 0));
    assert_eq!(owner.extend(&[("a", 1)]).await.lost, []);
    assert_eq!(owner.settle(completed("a", 1)).await, Settled::Ok);
    t.done().await;
}

#[tokio::test]
async fn after_an_outage_an_owner_that_is_gone_is_recovered_one_lease_later() {
    let (t, _) = running().await;
    t.outage(3600).await;
    t.node("n2").extend(&[]).await;
    t.pass_seconds(9).await;
    t.node("n2").extend(&[]).await;
    assert_eq!(t.state("a").await, "running");
    t.pass_seconds(1).await;
    t.node("n2").extend(&[]).await;
    assert_eq!((t.state("a").await.as_str(), t.record("a").await.crashes), ("pending", 1));
    t.done().await;
}

#[tokio::test]
async fn any_call_after_an_outage_notices_it() {
    let (t, _) = running().await;
    t.outage(3600).await;
    t.submit([task("z")]).await;
    assert_eq!(t.node("n2").claim_ids(2).await, ["z"]);
    assert_eq!(t.state("a").await, "running", "the submission must not hide the outage from the claim");
    t.done().await;
}

#[tokio::test]
async fn a_pause_shorter_than_half_a_lease_is_no_outage() {
    let (t, _) = running().await;
    t.pass_seconds(7).await;
    t.outage(4).await;
    t.node("n2").extend(&[]).await;
    assert_eq!(t.state("a").await, "pending");
    t.done().await;
}

#[tokio::test]
async fn outages_in_a_row_put_recovery_off_each_time_but_never_by_more_than_one_lease() {
    let (t, _) = running().await;
    for _ in 0..5 {
        t.outage(8).await;
        let answer = t.node("n2").extend(&[]).await;
        assert_eq!(t.stat("recover_after").await, answer.now.0 + 10_000_000);
    }
    assert_eq!(t.state("a").await, "running");
    t.pass_seconds(10).await;
    t.node("n2").extend(&[]).await;
    assert_eq!(t.state("a").await, "pending");
    t.done().await;
}

#[tokio::test]
async fn a_clock_that_was_set_back_stops_neither_upkeep_nor_recovery() {
    let (t, _) = running().await;
    let ahead = (t.store.now().await.unwrap().0 + 3_600_000_000).to_string();
    for figure in ["seen_at", "recover_after", "upkeep_at"] {
        t.redis::<()>(&["HSET", &t.key("stats"), figure, &ahead]).await;
    }
    t.redis::<()>(&["ZADD", &t.key("running"), "1", "a"]).await;
    t.node("n2").extend(&[]).await;
    t.pass_seconds(10).await;
    t.node("n2").extend(&[]).await;
    assert_eq!(t.state("a").await, "pending");
    t.done().await;
}

#[tokio::test]
async fn recovered_tasks_keep_their_order() {
    let t = Scene::new().await;
    t.submit(["a", "b", "c", "d"].map(task)).await;
    assert_eq!(t.node("n1").claim_ids(3).await, ["a", "b", "c"]);
    t.lapse_all().await;
    t.node("n2").extend(&[]).await;
    assert_eq!(t.members("pending").await, ["a", "b", "c", "d"]);
    t.done().await;
}
