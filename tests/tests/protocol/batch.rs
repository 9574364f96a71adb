//! Batches: counted where their tasks are, read in order of finishing, kept for a day after they ended.

use windlass_shared::{
    model::QueueName,
    store::inspect::{BatchCounts, FinishedLog},
};

use crate::{
    draft::{Draft, batch, ids, many, task},
    node::{Node, cancelled, completed, failed},
    scene::Scene,
};

const DAY: u64 = 24 * 3600;

fn of_b(name: &str) -> Draft {
    task(name).batch("b")
}

async fn counts(t: &Scene) -> Option<BatchCounts> {
    t.store.batch(&batch("b")).await.unwrap()
}

async fn registered() -> (Scene, Node) {
    let t = Scene::new().await;
    t.store.register_batch(&batch("b"), t.queue.name()).await.unwrap();
    let node = t.node("n1");
    (t, node)
}

async fn upkeep(t: &Scene, node: &Node) {
    t.upkeep_now().await;
    for _ in 0..6 {
        node.extend(&[]).await;
    }
}

#[tokio::test]
async fn counters_follow_each_task_to_its_end() {
    let (t, node) = registered().await;
    t.submit(["a", "b", "c"].map(of_b)).await;
    t.submit([of_b("d").expires(60), of_b("e").delay(3600)]).await;
    node.claim(3).await;
    node.settle_all(&[completed("a", 1), failed("b", 1), cancelled("c", 1)]).await;
    t.pass_seconds(61).await;
    upkeep(&t, &node).await;
    let expected = BatchCounts { total: 5, completed: 1, failed: 1, cancelled: 1, expired: 1 };
    assert_eq!(counts(&t).await, Some(expected));
    assert_eq!(t.score("batches", "b").await, Some(0.0), "one is still open");
    t.queue.cancel(&ids(&["e"])).await.unwrap();
    assert!(t.score("batches", "b").await > Some(0.0), "it ended");
    t.done().await;
}

#[tokio::test]
async fn a_batch_may_span_queues() {
    let (t, node) = registered().await;
    let other = QueueName::new("other").unwrap();
    t.store.register_batch(&batch("b"), &other).await.unwrap();
    t.submit([of_b("a")]).await;
    t.store.first_partition(&other).submit(&[of_b("a").queue("other").new_task()]).await.unwrap();
    node.claim(1).await;
    node.settle(completed("a", 1)).await;
    assert_eq!(t.store.batch_queues(&batch("b")).await.unwrap(), [other.clone(), t.queue.name().clone()]);
    assert_eq!(counts(&t).await, Some(BatchCounts { total: 2, completed: 1, ..BatchCounts::default() }));
    assert_eq!(t.store.first_partition(&other).audit().await.unwrap().faults, []);
    t.done().await;
}

#[tokio::test]
async fn results_are_listed_in_order_of_finishing() {
    let (t, node) = registered().await;
    t.submit(["a", "b", "c"].map(of_b)).await;
    t.submit([task("stranger")]).await;
    node.claim(4).await;
    for name in ["c", "stranger", "a"] {
        node.settle(completed(name, 1)).await;
    }
    let log = FinishedLog::Batch(batch("b"));
    let page = t.queue.finished(&log, "0").await.unwrap();
    let names: Vec<_> = page.tasks.iter().map(|task| task.id.to_string()).collect();
    assert_eq!(names, ["c", "a"]);
    node.settle(failed("b", 1)).await;
    let page = t.queue.finished(&log, &page.cursor).await.unwrap();
    assert_eq!(page.tasks[0].id.as_str(), "b");
    assert!(t.queue.finished(&log, &page.cursor).await.unwrap().tasks.is_empty());
    let all = t.queue.finished(&FinishedLog::Queue, "0").await.unwrap();
    assert_eq!(all.tasks.len(), 4);
    t.done().await;
}

#[tokio::test]
async fn tasks_of_a_batch_stay_until_a_day_after_the_batch_ended() {
    let (t, node) = registered().await;
    t.submit([of_b("early"), of_b("late").delay(3 * DAY)]).await;
    node.claim(1).await;
    node.settle(completed("early", 1)).await;
    t.pass_seconds(3 * DAY).await;
    upkeep(&t, &node).await;
    assert_eq!(t.state("early").await, "completed", "its batch is open");
    assert_eq!(node.claim_ids(1).await, ["late"]);
    node.settle(completed("late", 1)).await;
    t.pass_seconds(DAY - 60).await;
    upkeep(&t, &node).await;
    assert_eq!((t.state("early").await.as_str(), t.state("late").await.as_str()), ("completed", "completed"));
    t.pass_seconds(61).await;
    upkeep(&t, &node).await;
    assert_eq!((t.state("early").await.as_str(), t.state("late").await.as_str()), ("none", "none"));
    assert_eq!(counts(&t).await, None);
    let left: Vec<String> = t.redis(&["KEYS", &t.key("*batch*")]).await;
    assert_eq!((left, t.size("batches").await), (vec![], 0));
    t.done().await;
}

#[tokio::test]
async fn a_large_batch_is_forgotten_in_steps() {
    let (t, node) = registered().await;
    t.submit(many("a", 60).into_iter().map(|draft| draft.batch("b"))).await;
    for name in node.claim_ids(60).await {
        node.settle(completed(&name, 1)).await;
    }
    t.pass_seconds(DAY + 1).await;
    let mut steps = 0;
    while counts(&t).await.is_some() {
        upkeep(&t, &node).await;
        steps += 1;
        assert!(steps < 20, "it goes on and on");
    }
    assert_eq!(t.redis::<Vec<String>>(&["KEYS", &t.key("task:*")]).await, Vec::<String>::new());
    t.done().await;
}

#[tokio::test]
async fn a_failed_task_outlives_its_batch_and_can_be_retried_alone() {
    let (t, node) = registered().await;
    t.submit(["a", "b"].map(of_b)).await;
    node.claim(2).await;
    node.settle_all(&[failed("a", 1), completed("b", 1)]).await;
    t.pass_seconds(DAY + 1).await;
    upkeep(&t, &node).await;
    assert_eq!((t.state("a").await.as_str(), t.state("b").await.as_str()), ("failed", "none"));
    t.queue.retry(&ids(&["a"])).await.unwrap();
    assert_eq!(t.record("a").await.batch, None);
    node.claim(1).await;
    node.settle(completed("a", 2)).await;
    assert_eq!(counts(&t).await, None, "the batch is over");
    t.pass_seconds(DAY + 1).await;
    upkeep(&t, &node).await;
    assert_eq!(t.state("a").await, "none");
    t.done().await;
}

#[tokio::test]
async fn a_batch_of_the_same_name_after_the_first_was_forgotten_counts_its_own_tasks_only() {
    let (t, node) = registered().await;
    t.submit([of_b("old")]).await;
    node.claim(1).await;
    node.settle(failed("old", 1)).await;
    t.pass_seconds(DAY + 1).await;
    upkeep(&t, &node).await;
    t.submit([of_b("new")]).await;
    assert_eq!(t.queue.audit().await.unwrap().faults, [], "the old dead letter is no fault of the new batch");
    t.queue.retry(&ids(&["old"])).await.unwrap();
    node.claim(2).await;
    node.settle_all(&[completed("old", 2), completed("new", 1)]).await;
    let counts = counts(&t).await.unwrap();
    assert_eq!((counts.total, counts.completed, counts.finished()), (1, 1, 1));
    t.done().await;
}

#[tokio::test]
async fn a_forgotten_batch_takes_no_task_from_the_batch_that_has_it_now() {
    let (t, node) = registered().await;
    t.submit([of_b("a")]).await;
    node.claim(1).await;
    node.settle(failed("a", 1)).await;
    t.queue.purge(windlass_shared::model::State::Failed, None).await.unwrap();
    t.submit([task("a").batch("other")]).await;
    node.claim(1).await;
    node.settle(failed("a", 1)).await;
    t.submit([task("open").batch("other").delay(9 * DAY)]).await;
    t.pass_seconds(DAY + 1).await;
    upkeep(&t, &node).await;
    assert_eq!((counts(&t).await, t.record("a").await.batch.as_deref()), (None, Some("other")));
    t.done().await;
}

#[tokio::test]
async fn a_batch_that_gets_new_tasks_is_open_again() {
    let (t, node) = registered().await;
    t.submit([of_b("a")]).await;
    node.claim(1).await;
    node.settle(completed("a", 1)).await;
    t.pass_seconds(DAY - 60).await;
    t.submit([of_b("b")]).await;
    t.pass_seconds(61).await;
    upkeep(&t, &node).await;
    assert_eq!(t.state("a").await, "completed");
    assert_eq!(counts(&t).await, Some(BatchCounts { total: 2, completed: 1, ..BatchCounts::default() }));
    t.done().await;
}
