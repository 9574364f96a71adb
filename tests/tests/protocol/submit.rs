//! Submitting (`submit.lua`): once is once, other content is a conflict, and a full queue says so.

use windlass_shared::{
    model::{Micros, Priority, State},
    store::{Accepted, MOST_PER_SUBMIT, QueueSettings},
};

use crate::{
    draft::{Draft, batch, many, task},
    node::completed,
    scene::Scene,
};

const PENDING: Accepted = Accepted::New(State::Pending);
const SCHEDULED: Accepted = Accepted::New(State::Scheduled);

#[tokio::test]
async fn a_new_task_is_pending_and_rings_the_bell() {
    let t = Scene::new().await;
    let before = t.snapshot().await;
    assert_eq!(t.submit([task("a")]).await, [PENDING]);
    t.expect_changes(
        &before,
        &[
            "+ bell ring=0",
            "+ events by=producer none>pending submitted=a#0",
            "+ fair 2:=normal+2520",
            "+ payload:a=\"a\"",
            "+ pending a=normal+0",
            "+ stats submitted=1",
            "+ task:a created_at=now",
            "+ task:a digest=same",
            "+ task:a state=pending",
            "+ task:a type=noop",
        ],
    )
    .await;
    t.done().await;
}

#[tokio::test]
async fn a_delayed_task_is_scheduled_and_has_no_place_in_the_queue_yet() {
    let t = Scene::new().await;
    let before = t.snapshot().await;
    assert_eq!(t.submit([task("a").delay(60).expires(90).batch("b")]).await, [SCHEDULED]);
    t.expect_changes(
        &before,
        &[
            "+ batch:b created_at=now",
            "+ batch:b total=1",
            "+ batches b=0",
            "+ bell ring=0",
            "+ events by=producer none>scheduled submitted=a#0",
            "+ expiring a=now+90s",
            "+ payload:a=\"a\"",
            "+ scheduled a=now+60s",
            "+ stats submitted=1",
            "+ task:a batch=b",
            "+ task:a created_at=now",
            "+ task:a digest=same",
            "+ task:a due_at=now+60s",
            "+ task:a expires_at=now+90s",
            "+ task:a state=scheduled",
            "+ task:a type=noop",
        ],
    )
    .await;
    t.done().await;
}

#[tokio::test]
async fn a_moment_in_the_past_means_now_and_one_in_the_future_is_kept() {
    let t = Scene::new().await;
    let now = t.store.now().await.unwrap();
    let (past, future) = (Micros(now.0 - 1), Micros(now.0 + 3_600_000_000));
    assert_eq!(t.submit([task("a").run_at(past), task("b").run_at(future)]).await, [PENDING, SCHEDULED]);
    assert_eq!(t.record("a").await.due_at, None);
    assert_eq!(t.record("b").await.due_at, Some(future));
    t.done().await;
}

#[tokio::test]
async fn submitting_again_changes_nothing_whatever_became_of_the_task() {
    let t = Scene::new().await;
    t.submit([task("a")]).await;
    for (state, then) in [(State::Pending, "claim"), (State::Running, "complete"), (State::Completed, "")] {
        let before = t.snapshot().await;
        assert_eq!(t.submit([task("a")]).await, [Accepted::Duplicate(Some(state))]);
        t.expect_changes(&before, &[]).await;
        match then {
            "claim" => assert_eq!(t.node("n1").claim_ids(1).await, ["a"]),
            "complete" => drop(t.node("n1").settle(completed("a", 1)).await),
            _ => {}
        }
    }
    t.done().await;
}

#[tokio::test]
async fn other_content_under_the_same_id_is_a_conflict() {
    let t = Scene::new().await;
    t.submit([task("a"), task("made").digest("")]).await;
    let before = t.snapshot().await;
    let conflict = Accepted::Conflict(Some(State::Pending));
    assert_eq!(
        t.submit([task("a").digest("other"), task("made").digest("other")]).await,
        [conflict, conflict]
    );
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn the_same_id_twice_in_one_call_is_one_task_with_the_first_content() {
    let t = Scene::new().await;
    let draft = |payload: &str, digest: &str| task("a").payload(payload).digest(digest).batch("b");
    assert_eq!(
        t.submit([draft("1", "x"), draft("1", "x"), draft("2", "y")]).await,
        [PENDING, Accepted::Duplicate(Some(State::Pending)), Accepted::Conflict(Some(State::Pending))]
    );
    assert_eq!(t.record("a").await.payload, "1");
    assert_eq!((t.stat("submitted").await, t.size("pending").await), (1, 1));
    t.done().await;
}

#[tokio::test]
async fn a_made_id_repeated_because_the_reply_was_lost_is_a_duplicate() {
    let t = Scene::new().await;
    t.submit([task("a").digest(""), task("b")]).await;
    let duplicate = Accepted::Duplicate(Some(State::Pending));
    assert_eq!(t.submit(["a", "b"].map(|name| task(name).digest(""))).await, [duplicate, duplicate]);
    t.done().await;
}

fn at_most(n: u64) -> QueueSettings {
    QueueSettings { max_length: Some(Some(n)), ..QueueSettings::default() }
}

#[tokio::test]
async fn a_full_queue_takes_what_fits_in_order_and_changes_nothing_for_the_rest() {
    let t = Scene::new().await;
    t.configure(at_most(3)).await;
    let answer = t.submit(many("a", 5)).await;
    assert_eq!(answer, [PENDING, PENDING, PENDING, Accepted::Full, Accepted::Full]);
    assert_eq!(t.members("pending").await, ["a000000", "a000001", "a000002"]);
    let before = t.snapshot().await;
    let again = t.submit([task("a000001"), task("b")]).await;
    assert_eq!(
        again,
        [Accepted::Duplicate(Some(State::Pending)), Accepted::Full],
        "a duplicate needs no room"
    );
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn what_is_scheduled_or_parked_takes_room_and_what_runs_does_not() {
    let t = Scene::new().await;
    t.configure(at_most(3)).await;
    t.submit([task("runs").key("k"), task("parked").key("k"), task("later").delay(60)]).await;
    assert_eq!(t.node("n1").claim_ids(2).await, ["runs"]);
    assert_eq!(t.state("parked").await, "parked");
    assert_eq!(t.submit(many("a", 2)).await, [PENDING, Accepted::Full]);
    t.done().await;
}

#[tokio::test]
async fn the_most_that_one_call_takes_goes_through_with_every_field_in_use() {
    let t = Scene::new().await;
    let full = |(i, draft): (usize, Draft)| {
        let name = format!("x{i}");
        let draft = draft.tenant(&name, 1 + i as u32 % 10).key(&name).batch(&name).expires(3600);
        if i % 2 == 0 { draft.delay(60) } else { draft.priority(Priority::ALL[i % 4]) }
    };
    let answer = t.submit(many("a", MOST_PER_SUBMIT).into_iter().enumerate().map(full)).await;
    assert_eq!(answer.iter().filter(|word| **word == PENDING).count(), 250);
    assert_eq!(answer.iter().filter(|word| **word == SCHEDULED).count(), 250);
    t.done().await;
}

#[tokio::test]
async fn submitting_nothing_is_no_error() {
    let t = Scene::new().await;
    assert_eq!(t.submit([]).await, []);
    t.done().await;
}

#[tokio::test]
async fn a_batch_counts_what_was_accepted() {
    let t = Scene::new().await;
    t.store.register_batch(&batch("b"), t.queue.name()).await.unwrap();
    t.configure(at_most(3)).await;
    let drafts = || many("a", 2).into_iter().map(|draft| draft.batch("b"));
    t.submit(drafts()).await;
    t.submit(drafts()).await;
    t.submit([
        task("c").batch("b"),
        task("does-not-fit").batch("b"),
        task("a000001").digest("other").batch("b"),
    ])
    .await;
    let counts = t.store.batch(&batch("b")).await.unwrap().unwrap();
    assert_eq!((counts.total, counts.finished()), (3, 0));
    t.done().await;
}

#[tokio::test]
async fn what_was_submitted_is_what_the_node_gets() {
    let t = Scene::new().await;
    // JSON may be laid out over several lines, with empty ones.
    let options = "{\"timeout_ms\":5000,\"max_attempts\":4,\"metadata\":{\n\n  \"who\": \"me\"\n}}";
    let payload = "{\n\n  \"text\": \"grüße\\n\"\n}";
    let draft = task("a").payload(payload).priority(Priority::High).tenant("acme", 3).key("k");
    t.submit([draft.batch("b").options(options)]).await;
    let claimed = t.node("n1").claim(1).await.remove(0).task;
    assert_eq!(claimed.fault, None);
    assert_eq!((claimed.payload.as_str(), claimed.task_type.as_str()), (payload, "noop"));
    assert_eq!((claimed.priority, claimed.tenant.as_deref()), (Priority::High, Some("acme")));
    assert_eq!((claimed.batch.as_deref(), claimed.concurrency_key.as_deref()), (Some("b"), Some("k")));
    assert_eq!((claimed.attempt, claimed.node.as_deref()), (1, Some("n1")));
    assert_eq!((claimed.options.timeout_ms, claimed.options.max_attempts), (Some(5000), Some(4)));
    assert!(claimed.options.metadata.is_some_and(|metadata| metadata.get().contains(r#""who": "me""#)));
    assert_eq!(claimed.created_at, t.record("a").await.created_at);
    assert_eq!(claimed.started_at, t.record("a").await.started_at);
    t.done().await;
}
