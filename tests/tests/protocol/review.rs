//! People decide (`review.lua`): a task whose draft nobody could validate waits in `blocked` until then.

use windlass_shared::{
    model::State,
    store::{Cancelled, Review, Reviewed},
};

use crate::{
    draft::{batch, id, ids, task},
    node::{DRAFT, Node, completed, escalated},
    scene::Scene,
    snapshot::Snapshot,
};

const EDITED: &str = r#"{"edited":true}"#;

/// A task `a` of batch `b` with key `k` that waits for people.
async fn blocked() -> (Scene, Node, Snapshot) {
    let t = Scene::new().await;
    t.submit([task("a").batch("b").key("k")]).await;
    let node = t.node("n1");
    assert_eq!(node.claim_ids(1).await, ["a"]);
    node.settle(escalated("a", 1)).await;
    assert_eq!(t.state("a").await, "blocked");
    t.bell().await;
    let before = t.snapshot().await;
    (t, node, before)
}

async fn decide(t: &Scene, names: &[&str], review: &Review) -> Vec<Reviewed> {
    t.queue.review(&ids(names), review, "ann", Some("well, \"so\"")).await.unwrap()
}

const ERROR: &str = "- task:a error";
const LEFT: [&str; 2] = ["- blocked a", "~ batches b=now"];

fn note(verdict: &str) -> String {
    format!(r#"+ task:a review={{"by":"ann","note":"well, \"so\"","verdict":"{verdict}"}}"#)
}

#[tokio::test]
async fn an_approved_draft_is_the_result() {
    let (t, _, before) = blocked().await;
    assert_eq!(decide(&t, &["a"], &Review::Approve).await, [Reviewed::Done]);
    let expected = [
        "+ batch-finished:b completed=a",
        "+ batch:b completed=1",
        "+ events by=producer blocked>completed approved=a#1",
        "+ finished batched=a",
        "+ stats completed=1",
        "+ task:a finished_at=now",
        &note("approved"),
        "~ task:a reason=approved",
        "~ task:a state=completed",
        ERROR,
    ];
    t.expect_changes(&before, &[&LEFT, &expected[..]].concat()).await;
    let record = t.record("a").await;
    assert_eq!((record.result.as_deref(), record.fault, record.error), (Some(DRAFT), None, None));
    t.done().await;
}

#[tokio::test]
async fn an_edited_result_takes_the_drafts_place() {
    let (t, _, before) = blocked().await;
    assert_eq!(decide(&t, &["a"], &Review::Edit(EDITED.into())).await, [Reviewed::Done]);
    let expected = [
        "+ batch-finished:b completed=a",
        "+ batch:b completed=1",
        "+ events by=producer blocked>completed edited=a#1",
        "+ finished batched=a",
        "+ stats completed=1",
        "+ task:a finished_at=now",
        &note("edited"),
        "~ task:a reason=edited",
        "~ task:a result={\"edited\":true}",
        "~ task:a state=completed",
        ERROR,
    ];
    t.expect_changes(&before, &[&LEFT, &expected[..]].concat()).await;
    t.done().await;
}

#[tokio::test]
async fn a_rejected_one_goes_to_the_dead_letter_with_what_was_wrong() {
    let (t, _, before) = blocked().await;
    assert_eq!(decide(&t, &["a"], &Review::Reject).await, [Reviewed::Done]);
    let expected = [
        "+ batch-finished:b failed=a",
        "+ batch:b failed=1",
        "+ dead a=now",
        "+ events by=producer blocked>failed rejected=a#1",
        "+ finished batched=a",
        "+ stats failed=1",
        "+ task:a finished_at=now",
        &note("rejected"),
        "~ task:a reason=rejected",
        "~ task:a state=failed",
    ];
    t.expect_changes(&before, &[&LEFT, &expected[..]].concat()).await;
    let record = t.record("a").await;
    assert_eq!((record.error.unwrap().message.as_str(), record.result.as_deref()), ("it broke", Some(DRAFT)));
    t.done().await;
}

#[tokio::test]
async fn only_what_waits_for_people_can_be_decided_and_only_once() {
    let (t, node, _) = blocked().await;
    t.submit([task("pending"), task("running"), task("later").delay(60)]).await;
    t.queue.prioritise(&ids(&["running"]), windlass_shared::model::Priority::High).await.unwrap();
    assert_eq!(node.claim_ids(1).await, ["running"]);
    assert_eq!(decide(&t, &["a"], &Review::Approve).await, [Reviewed::Done]);
    let before = t.snapshot().await;
    let answers =
        decide(&t, &["a", "pending", "running", "later", "nobody"], &Review::Edit(EDITED.into())).await;
    let expected =
        [State::Completed, State::Pending, State::Running, State::Scheduled].map(Reviewed::NotWaiting);
    assert_eq!(answers, [&expected[..], &[Reviewed::Unknown]].concat());
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn the_same_id_twice_in_one_call_is_one_decision() {
    let (t, _, _) = blocked().await;
    let answers = decide(&t, &["a", "a"], &Review::Reject).await;
    assert_eq!(answers, [Reviewed::Done, Reviewed::NotWaiting(State::Failed)]);
    assert_eq!((t.stat("failed").await, t.size("dead").await), (1, 1));
    t.done().await;
}

#[tokio::test]
async fn a_batch_is_open_until_people_decided() {
    for review in [Review::Approve, Review::Edit(EDITED.into()), Review::Reject] {
        let t = Scene::new().await;
        t.store.register_batch(&batch("b"), t.queue.name()).await.unwrap();
        t.submit(["a", "c"].map(|name| task(name).batch("b"))).await;
        let node = t.node("n1");
        node.claim(2).await;
        node.settle_all(&[escalated("a", 1), completed("c", 1)]).await;
        let counts = t.store.batch(&batch("b")).await.unwrap().unwrap();
        assert_eq!((counts.total, counts.finished()), (2, 1));
        // However long they take.
        t.pass_seconds(40 * 86_400).await;
        for _ in 0..5 {
            node.extend(&[]).await;
        }
        assert_eq!(t.state("a").await, "blocked");
        decide(&t, &["a"], &review).await;
        let counts = t.store.batch(&batch("b")).await.unwrap().unwrap();
        assert_eq!((counts.total, counts.finished()), (2, 2));
        t.done().await;
    }
}

#[tokio::test]
async fn one_that_waits_for_people_lets_the_next_of_its_key_go_on_and_takes_no_slot() {
    let (t, node, _) = blocked().await;
    t.submit([task("c").key("k")]).await;
    assert_eq!(node.claim_ids(1).await, ["c"]);
    assert_eq!(t.size("running").await, 1);
    t.done().await;
}

#[tokio::test]
async fn a_late_result_does_not_take_a_decision_away() {
    let (t, node, before) = blocked().await;
    let answer = node.settle(completed("a", 1)).await;
    assert_eq!(answer, windlass_shared::store::Settled::Stale);
    t.expect_changes(&before, &["+ stats stale=1", "~ claimed:n1=call3|stale|"]).await;
    t.done().await;
}

#[tokio::test]
async fn it_can_be_cancelled_and_then_retried_as_new() {
    let (t, node, before) = blocked().await;
    assert_eq!(t.queue.cancel(&ids(&["a"])).await.unwrap(), [Cancelled::Done]);
    let expected = [
        "+ batch-finished:b cancelled=a",
        "+ batch:b cancelled=1",
        "+ events by=producer blocked>cancelled cancelled=a#1",
        "+ finished batched=a",
        "+ stats cancelled=1",
        "+ task:a finished_at=now",
        "~ task:a reason=cancelled",
        "~ task:a state=cancelled",
    ];
    t.expect_changes(&before, &[&LEFT, &expected[..]].concat()).await;
    t.queue.retry(&ids(&["a"])).await.unwrap();
    let record = t.record("a").await;
    assert_eq!((record.result, record.error, record.review), (None, None, None));
    assert_eq!(node.claim_ids(1).await, ["a"]);
    t.done().await;
}

#[tokio::test]
async fn a_rejected_one_can_be_retried_as_new() {
    let (t, node, _) = blocked().await;
    decide(&t, &["a"], &Review::Reject).await;
    assert_eq!(t.queue.retry(&ids(&["a"])).await.unwrap(), [Some(State::Pending)]);
    let record = t.record("a").await;
    assert_eq!((record.result, record.error, record.review, record.waits), (None, None, None, 0));
    assert_eq!((t.size("dead").await, node.claim_ids(1).await), (0, vec!["a".to_owned()]));
    t.done().await;
}

#[tokio::test]
async fn it_can_neither_be_retried_nor_given_another_priority_while_people_think() {
    let (t, node, before) = blocked().await;
    assert_eq!(t.queue.retry(&[id("a")]).await.unwrap(), [Some(State::Blocked)]);
    let high = windlass_shared::model::Priority::High;
    assert_eq!(t.queue.prioritise(&[id("a")], high).await.unwrap(), [Some(State::Blocked)]);
    assert_eq!(node.claim_ids(1).await, [""; 0]);
    assert_eq!(
        t.submit([task("a").batch("b").key("k")]).await,
        [windlass_shared::store::Accepted::Duplicate(Some(State::Blocked))]
    );
    t.expect_changes(&before, &["~ claimed:n1=call3||"]).await;
    t.done().await;
}

#[tokio::test]
async fn it_does_not_expire_once_it_was_started() {
    let t = Scene::new().await;
    t.submit([task("a").expires(60)]).await;
    let node = t.node("n1");
    node.claim(1).await;
    node.settle(escalated("a", 1)).await;
    t.pass_seconds(61).await;
    t.upkeep_now().await;
    node.extend(&[]).await;
    assert_eq!(t.state("a").await, "blocked");
    t.done().await;
}

#[tokio::test]
async fn those_that_wait_for_people_can_be_purged() {
    let (t, _, before) = blocked().await;
    let purged = t.queue.purge(State::Blocked, None).await.unwrap();
    assert_eq!((purged.deleted, purged.cursor), (1, None));
    let mut changed = before.changes(&t.snapshot().await);
    changed.retain(|line| !line.starts_with("- task:a "));
    let expected = ["+ events by=producer blocked>none purged=a#1", "- payload:a", "~ batch:b total=0"];
    crate::snapshot::assert_lines(changed, &[&LEFT, &expected[..]].concat());
    t.done().await;
}

#[tokio::test]
async fn many_go_in_bounded_steps() {
    let t = Scene::new().await;
    t.submit_all(crate::draft::many("a", 250)).await;
    let node = t.node("n1");
    let claimed = node.claim_ids(250).await;
    let settles: Vec<_> = claimed.iter().map(|name| escalated(name, 1)).collect();
    node.settle_all(&settles).await;
    assert_eq!(t.size("blocked").await, 250);
    let (mut left, mut steps) = (250, 0);
    while left > 0 {
        left -= t.queue.purge(State::Blocked, None).await.unwrap().deleted;
        steps += 1;
    }
    assert_eq!(steps, 3);
    t.done().await;
}

#[tokio::test]
async fn out_of_memory_people_can_decide() {
    for flush in [false, true] {
        let (t, _, _) = blocked().await;
        if flush {
            t.redis::<()>(&["SCRIPT", "FLUSH"]).await;
        }
        t.redis::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
        assert_eq!(decide(&t, &["a"], &Review::Edit(EDITED.into())).await, [Reviewed::Done]);
        assert_eq!(t.record("a").await.result.as_deref(), Some(EDITED));
        t.done().await;
    }
}

#[tokio::test]
async fn a_cancel_that_comes_before_the_escalation_wins() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    let node = t.node("n1");
    node.claim(1).await;
    t.queue.cancel(&ids(&["a"])).await.unwrap();
    node.settle(escalated("a", 1)).await;
    assert_eq!((t.state("a").await.as_str(), t.size("blocked").await), ("cancelled", 0));
    t.done().await;
}
