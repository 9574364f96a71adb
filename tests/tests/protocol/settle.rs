//! Settling (`settle_and_claim.lua`): each way out of `running`, with everything that it changes.

use std::time::Duration;

use windlass_shared::store::{Settle, Settled};

use crate::{
    draft::{ids, task},
    node::{
        LEDGER, Node, cancelled, completed, escalated, exhausted, failed, interrupted, missing_key,
        over_budget, rate_limited, retrying, unknown_type,
    },
    scene::Scene,
    snapshot::Snapshot,
};

/// A task `a` of batch `b` with key `k` that runs on `n1` for the first time.
async fn running() -> (Scene, Node, Snapshot) {
    let t = Scene::new().await;
    t.submit([task("a").batch("b").key("k")]).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(1).await, ["a"]);
    t.bell().await;
    let before = t.snapshot().await;
    (t, node, before)
}

/// What changes whenever `a` leaves `running`.
const LEFT: [&str; 3] = ["- keys k", "- running a", "~ claimed:n1=call2|ok|"];

async fn check(settle: Settle, expected: &[&str]) -> Scene {
    let (t, node, before) = running().await;
    assert_eq!(node.settle(settle).await, Settled::Ok);
    t.expect_changes(&before, &[&LEFT, expected].concat()).await;
    t
}

#[tokio::test]
async fn completed_is_final_with_its_result() {
    let t = check(
        completed("a", 1),
        &[
            "+ batch-finished:b completed=a",
            "+ batch:b completed=1",
            "+ events by=n1 running>completed completed=a#1",
            "+ finished batched=a",
            "+ stats completed=1",
            "+ task:a finished_at=now",
            "+ task:a result={\"ok\":true}",
            "~ batches b=now",
            "~ task:a reason=completed",
            "~ task:a state=completed",
        ],
    )
    .await;
    assert_eq!(t.record("a").await.fault, None);
    t.done().await;
}

fn in_the_dead_letter(reason: &'static str, event: &'static str) -> Vec<&'static str> {
    vec![
        "+ batch-finished:b failed=a",
        "+ batch:b failed=1",
        "+ dead a=now",
        event,
        "+ finished batched=a",
        "+ stats failed=1",
        "+ task:a error={\"class\":\"internal\",\"message\":\"it broke\"}",
        "+ task:a finished_at=now",
        "~ batches b=now",
        reason,
        "~ task:a state=failed",
    ]
}

#[tokio::test]
async fn failed_goes_to_the_dead_letter() {
    let expected = in_the_dead_letter("~ task:a reason=failed", "+ events by=n1 running>failed failed=a#1");
    let t = check(failed("a", 1), &expected).await;
    assert_eq!(t.record("a").await.error.unwrap().message, "it broke");
    t.done().await;
}

#[tokio::test]
async fn exhausted_goes_to_the_dead_letter_too() {
    let expected =
        in_the_dead_letter("~ task:a reason=exhausted", "+ events by=n1 running>failed exhausted=a#1");
    check(exhausted("a", 1), &expected).await.done().await;
}

#[tokio::test]
async fn retrying_waits_and_is_charged() {
    let t = check(
        retrying("a", 1, 30),
        &[
            "+ events by=n1 running>scheduled retrying=a#1",
            "+ scheduled a=now+30s",
            "+ task:a due_at=now+30s",
            "+ task:a error={\"class\":\"internal\",\"message\":\"it broke\"}",
            "+ task:a retries=1",
            "~ task:a reason=retrying",
            "~ task:a state=scheduled",
        ],
    )
    .await;
    t.done().await;
}

#[tokio::test]
async fn interrupted_waits_at_its_old_place_and_is_not_charged() {
    let t = check(
        interrupted("a", 1),
        &[
            "+ bell ring=0",
            "+ events by=n1 running>pending interrupted=a#1",
            "+ pending a=normal+0",
            "+ task:a interruptions=1",
            "~ task:a reason=interrupted",
            "~ task:a state=pending",
        ],
    )
    .await;
    let record = t.record("a").await;
    assert_eq!((record.attempt, record.retries, record.crashes), (1, 0, 0));
    t.done().await;
}

#[tokio::test]
async fn an_unknown_type_is_left_for_another_node_and_the_first_meeting_is_remembered() {
    let t = check(
        unknown_type("a", 1),
        &[
            "+ events by=n1 running>scheduled unknown_type=a#1",
            "+ scheduled a=now+5s",
            "+ task:a due_at=now+5s",
            "+ task:a unknown_since=now",
            "~ task:a reason=unknown_type",
            "~ task:a state=scheduled",
        ],
    )
    .await;
    t.pass_seconds(5).await;
    let first = t.record("a").await.unknown_since;
    let node = t.node("n2");
    assert_eq!(node.claim_ids(1).await, ["a"]);
    node.settle(unknown_type("a", 2)).await;
    assert_eq!(t.record("a").await.unknown_since, first);
    t.done().await;
}

#[tokio::test]
async fn a_task_whose_key_a_node_lacks_is_left_for_another_in_the_same_way() {
    let t = check(
        missing_key("a", 1),
        &[
            "+ events by=n1 running>scheduled missing_key=a#1",
            "+ scheduled a=now+5s",
            "+ task:a due_at=now+5s",
            "+ task:a unknown_since=now",
            "~ task:a reason=missing_key",
            "~ task:a state=scheduled",
        ],
    )
    .await;
    let record = t.record("a").await;
    assert_eq!((record.attempt, record.retries, record.crashes), (1, 0, 0));
    t.done().await;
}

#[tokio::test]
async fn a_limit_or_a_spent_budget_waits_is_counted_and_charges_no_retry() {
    let limited = |reason| {
        vec![
            "+ scheduled a=now+30s",
            "+ task:a due_at=now+30s",
            "+ task:a error={\"class\":\"internal\",\"message\":\"it broke\"}",
            "+ task:a ledger={\"calls\":[{\"model\":\"p/m\"}]}",
            "+ task:a waits=1",
            "~ task:a state=scheduled",
            reason,
        ]
    };
    for (settle, reason, event) in [
        (
            rate_limited("a", 1, 30),
            "~ task:a reason=rate_limited",
            "+ events by=n1 running>scheduled rate_limited=a#1",
        ),
        (
            over_budget("a", 1, 30),
            "~ task:a reason=over_budget",
            "+ events by=n1 running>scheduled over_budget=a#1",
        ),
    ] {
        let t = check(settle, &[&limited(reason)[..], &[event]].concat()).await;
        t.pass_seconds(30).await;
        let node = t.node("n2");
        assert_eq!(node.claim_ids(1).await, ["a"]);
        node.settle(rate_limited("a", 2, 30)).await;
        let record = t.record("a").await;
        assert_eq!((record.waits, record.retries, record.crashes, record.interruptions), (2, 0, 0, 0));
        t.done().await;
    }
}

#[tokio::test]
async fn escalated_waits_for_people_with_its_draft() {
    let t = check(
        escalated("a", 1),
        &[
            "+ blocked a=now",
            "+ events by=n1 running>blocked escalated=a#1",
            "+ task:a error={\"class\":\"internal\",\"message\":\"it broke\"}",
            "+ task:a result={\"draft\":true}",
            "~ task:a reason=escalated",
            "~ task:a state=blocked",
        ],
    )
    .await;
    assert_eq!(t.record("a").await.fault, None);
    t.done().await;
}

#[tokio::test]
async fn what_an_attempt_did_is_given_to_the_next_whatever_ended_it() {
    let with = |settle: Settle| Settle { result: LEDGER.into(), ..settle };
    for (settle, seconds) in [
        (with(retrying("a", 1, 5)), 5),
        (with(interrupted("a", 1)), 0),
        (rate_limited("a", 1, 5), 5),
        (over_budget("a", 1, 5), 5),
    ] {
        let (t, node, _) = running().await;
        node.settle(settle).await;
        t.pass_seconds(seconds).await;
        let claimed = t.node("n2").claim(1).await;
        assert_eq!(claimed[0].task.ledger.as_deref(), Some(LEDGER));
        assert_eq!(claimed[0].task.result, None);
        // It crashes: what the first one did is still known.
        t.lapse("a").await;
        t.node("n3").extend(&[]).await;
        assert_eq!(t.node("n3").claim(1).await[0].task.ledger.as_deref(), Some(LEDGER));
        t.done().await;
    }
    let (t, node, _) = running().await;
    node.settle(with(failed("a", 1))).await;
    assert_eq!(t.record("a").await.ledger.as_deref(), Some(LEDGER), "for people to read");
    t.queue.retry(&ids(&["a"])).await.unwrap();
    assert_eq!(t.node("n2").claim(1).await[0].task.ledger, None, "another life");
    t.done().await;
}

#[tokio::test]
async fn a_settlement_without_a_ledger_keeps_the_one_from_before() {
    let (t, node, _) = running().await;
    node.settle(rate_limited("a", 1, 0)).await;
    t.pass_seconds(1).await;
    assert_eq!(node.claim_ids(1).await, ["a"]);
    node.settle(interrupted("a", 2)).await;
    assert_eq!(t.record("a").await.ledger.as_deref(), Some(LEDGER));
    t.done().await;
}

#[tokio::test]
async fn cancelled_is_final() {
    let (t, node, _) = running().await;
    t.queue.cancel(&ids(&["a"])).await.unwrap();
    let before = t.snapshot().await;
    node.settle(cancelled("a", 1)).await;
    let expected = [
        "+ batch-finished:b cancelled=a",
        "+ batch:b cancelled=1",
        "+ events by=n1 running>cancelled cancelled=a#1",
        "+ finished batched=a",
        "+ stats cancelled=1",
        "+ task:a finished_at=now",
        "~ batches b=now",
        "~ task:a reason=cancelled",
        "~ task:a state=cancelled",
    ];
    t.expect_changes(&before, &[&LEFT, &expected[..]].concat()).await;
    t.done().await;
}

#[tokio::test]
async fn what_would_go_on_is_cancelled_if_a_cancel_was_asked_for() {
    let going_on = [
        retrying("a", 1, 30),
        interrupted("a", 1),
        unknown_type("a", 1),
        rate_limited("a", 1, 30),
        over_budget("a", 1, 30),
        escalated("a", 1),
    ];
    for settle in going_on {
        let (t, node, _) = running().await;
        t.queue.cancel(&ids(&["a"])).await.unwrap();
        assert_eq!(node.settle(settle).await, Settled::Ok);
        assert_eq!(t.state("a").await, "cancelled");
        assert_eq!((t.size("scheduled").await, t.size("pending").await), (0, 0));
        t.done().await;
    }
}

#[tokio::test]
async fn a_result_that_comes_first_wins_over_a_cancel() {
    for (settle, state) in [(completed("a", 1), "completed"), (failed("a", 1), "failed")] {
        let (t, node, _) = running().await;
        t.queue.cancel(&ids(&["a"])).await.unwrap();
        assert_eq!(node.settle(settle).await, Settled::Ok);
        assert_eq!(t.state("a").await, state);
        t.done().await;
    }
}

#[tokio::test]
async fn many_settle_in_one_call_each_in_its_way() {
    let t = Scene::new().await;
    t.submit(["a", "b", "c", "d", "e", "f"].map(task)).await;
    let node = t.node("n1");
    node.claim(6).await;
    let settles = [
        completed("a", 1),
        failed("b", 1),
        retrying("c", 1, 9),
        interrupted("d", 1),
        unknown_type("e", 1),
        cancelled("f", 1),
    ];
    assert_eq!(node.settle_all(&settles).await, [Settled::Ok; 6]);
    for (name, state) in [
        ("a", "completed"),
        ("b", "failed"),
        ("c", "scheduled"),
        ("d", "pending"),
        ("e", "scheduled"),
        ("f", "cancelled"),
    ] {
        assert_eq!(t.state(name).await, state, "{name}");
    }
    let events: i64 = t.redis(&["XLEN", &t.key("events")]).await;
    assert_eq!(events, 3, "one entry a call: submitted, claimed, settled");
    t.done().await;
}

#[tokio::test]
async fn a_failure_without_words_and_a_result_without_content_can_be_read_again() {
    let t = Scene::new().await;
    t.submit(["a", "b"].map(task)).await;
    let node = t.node("n1");
    node.claim(2).await;
    let failed = Settle { error: String::new(), ..failed("a", 1) };
    let completed = Settle { result: String::new(), delay: Duration::ZERO, ..completed("b", 1) };
    node.settle_all(&[failed, completed]).await;
    for name in ["a", "b"] {
        assert_eq!(t.record(name).await.fault, None, "{name}");
    }
    t.done().await;
}
