//! Partitions: a queue that is divided behaves as one.

use std::collections::{BTreeMap, BTreeSet};

use windlass_shared::{
    model::{QueueName, State, TaskRef},
    store::{Accepted, Cancelled, Queue, QueueSettings, StoreError, inspect::FinishedLog},
};

use crate::{
    draft::{Draft, QUEUE, batch, id, ids, many, task},
    node::{Node, completed, failed, names},
    scene::Scene,
};

/// A queue in so many partitions, and a node for each.
async fn divided(t: &Scene, count: u16) -> (Queue, Vec<Node>) {
    let queue = t.store.queue(&QueueName::new(QUEUE).unwrap()).await.unwrap();
    let queue = queue.divide(count, &QueueSettings::default()).await.unwrap();
    assert_eq!(queue.partitions().len(), usize::from(count));
    let nodes = queue.partitions().iter().map(|part| t.node_of(part.clone(), "n1")).collect();
    (queue, nodes)
}

async fn submit(queue: &Queue, drafts: &[Draft]) -> Vec<Accepted> {
    let tasks: Vec<_> = drafts.iter().map(Draft::new_task).collect();
    queue.submit(&tasks).await.unwrap()
}

fn words(drafts: &[Draft]) -> Vec<String> {
    drafts.iter().map(|draft| draft.new_task().id.to_string()).collect()
}

#[tokio::test]
async fn tasks_spread_evenly_and_the_same_task_always_goes_to_the_same_partition() {
    let t = Scene::new().await;
    let (queue, _) = divided(&t, 4).await;
    let drafts = many("a", 400);
    let new = |answer: &Accepted| *answer == Accepted::New(State::Pending);
    assert!(submit(&queue, &drafts).await.iter().all(new));
    let again = submit(&queue, &drafts).await;
    assert!(again.iter().all(|answer| *answer == Accepted::Duplicate(Some(State::Pending))));
    let mut sizes = Vec::new();
    for partition in queue.partitions() {
        sizes.push(partition.view().await.unwrap().pending_count());
    }
    assert_eq!(sizes.iter().sum::<u64>(), 400);
    assert!(sizes.iter().all(|size| (70..=130).contains(size)), "{sizes:?}");
    let view = queue.view().await.unwrap();
    assert_eq!((view.partitions, view.pending_count(), view.totals["submitted"]), (4, 400, 400));
    assert_eq!(queue.audit().await.unwrap().faults, []);
    t.done().await;
}

#[tokio::test]
async fn tasks_of_one_concurrency_key_share_a_partition_and_are_found_by_their_ids() {
    let t = Scene::new().await;
    let (queue, nodes) = divided(&t, 4).await;
    let drafts: Vec<Draft> = many("a", 20).into_iter().map(|draft| draft.key("k")).collect();
    submit(&queue, &drafts).await;
    let mut claimed = Vec::new();
    for node in &nodes {
        claimed.extend(node.claim_ids(10).await);
    }
    assert_eq!(claimed, ["a000000"], "one at a time in the whole queue");
    let references: Vec<TaskRef> =
        words(&drafts).iter().map(|word| TaskRef { queue: queue.name().clone(), id: id(word) }).collect();
    let found = t.store.tasks(&references).await.unwrap();
    let found: Vec<String> = found.into_iter().map(|task| task.unwrap().reference.id.to_string()).collect();
    assert_eq!(found, words(&drafts), "in the order of the question");
    let fates = queue.cancel(&ids(&["a000005", "nobody", "a000006"])).await.unwrap();
    assert_eq!(fates, [Cancelled::Done, Cancelled::Unknown, Cancelled::Done]);
    assert_eq!(queue.audit().await.unwrap().faults, []);
    t.done().await;
}

#[tokio::test]
async fn a_queue_is_divided_once_and_while_it_is_empty() {
    let t = Scene::new().await;
    let name = QueueName::new(QUEUE).unwrap();
    let queue = t.store.queue(&name).await.unwrap();
    t.submit([task("a")]).await;
    let refused = queue.divide(3, &QueueSettings::default()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Impossible(why) if why.contains("has tasks")), "{refused}");
    queue.purge(State::Pending, None).await.unwrap();
    let too_small = QueueSettings { concurrency: Some(Some(2)), ..QueueSettings::default() };
    assert!(matches!(queue.divide(3, &too_small).await, Err(StoreError::Impossible(_))));
    assert_eq!(t.queue.view().await.unwrap().concurrency, None, "a refused division changes nothing");
    for count in [0, 257] {
        assert!(matches!(
            queue.divide(count, &QueueSettings::default()).await,
            Err(StoreError::Impossible(_))
        ));
    }
    let limits = QueueSettings {
        concurrency: Some(Some(4)),
        max_length: Some(Some(10)),
        key_concurrency: Some(Some(2)),
        ..QueueSettings::default()
    };
    queue.configure(&limits).await.unwrap();
    let three = queue.divide(3, &QueueSettings::default()).await.unwrap();
    assert_eq!(
        three.divide(3, &QueueSettings::default()).await.unwrap().partitions().len(),
        3,
        "the same again is no change"
    );
    let refused = three.divide(4, &QueueSettings::default()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Impossible(why) if why.contains("divided already")), "{refused}");

    let mut shares = Vec::new();
    for partition in three.partitions() {
        let view = partition.view().await.unwrap();
        shares.push((view.concurrency, view.max_length, view.key_concurrency));
    }
    assert_eq!(shares, [(Some(2), Some(4), 2), (Some(1), Some(3), 2), (Some(1), Some(3), 2)]);
    let view = three.view().await.unwrap();
    assert_eq!((view.concurrency, view.max_length), (Some(4), Some(10)));
    let too_few = QueueSettings { concurrency: Some(Some(2)), ..QueueSettings::default() };
    assert!(matches!(three.configure(&too_few).await, Err(StoreError::Impossible(_))));
    t.done().await;
}

/// A producer that asked before the queue was divided would put tasks where they do not belong.
#[tokio::test]
async fn a_producer_that_believes_in_one_partition_learns_of_the_others() {
    let t = Scene::new().await;
    let name = QueueName::new(QUEUE).unwrap();
    let stale = t.store.queue(&name).await.unwrap();
    let other = t
        .server
        .store()
        .await
        .queue(&name)
        .await
        .unwrap()
        .divide(3, &QueueSettings::default())
        .await
        .unwrap();
    let draft = task("a");
    let refused = stale.partitions()[0].submit(&[draft.new_task()]).await;
    assert!(matches!(refused, Err(StoreError::Divided)), "{refused:?}");
    submit(&stale, &many("a", 30)).await;
    let mut sizes = Vec::new();
    for partition in other.partitions() {
        sizes.push(partition.view().await.unwrap().pending_count());
    }
    assert_eq!(sizes.iter().sum::<u64>(), 30);
    assert!(sizes.iter().all(|size| *size > 0), "{sizes:?}");
    let beat = t.node("n1").extend(&[]).await;
    assert_eq!(beat.partitions, 3, "a node that serves one learns of the others with its beat");
    t.done().await;
}

#[tokio::test]
async fn listings_counts_and_purges_go_over_all_partitions() {
    let t = Scene::new().await;
    let (queue, nodes) = divided(&t, 3).await;
    submit(&queue, &many("a", 100).into_iter().map(|draft| draft.batch("b")).collect::<Vec<_>>()).await;
    t.store.register_batch(&batch("b"), queue.name()).await.unwrap();

    let (mut seen, mut cursor) = (BTreeSet::new(), None::<String>);
    loop {
        let page = queue.list(State::Pending, 9, cursor.as_deref()).await.unwrap();
        for task in page.tasks {
            assert!(seen.insert(task.reference.id.to_string()), "listed twice: {}", task.reference);
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 100);

    for (index, node) in nodes.iter().enumerate() {
        let claimed = names(&node.claim(100).await);
        let settle = |name: &String| if index == 0 { failed(name, 1) } else { completed(name, 1) };
        node.settle_all(&claimed.iter().map(settle).collect::<Vec<_>>()).await;
    }
    let counts = t.store.batch(&batch("b")).await.unwrap().unwrap();
    assert_eq!((counts.total, counts.finished()), (100, 100));
    let mut finished = BTreeMap::new();
    for partition in queue.partitions() {
        let page = partition.finished(&FinishedLog::Batch(batch("b")), "0").await.unwrap();
        for task in page.tasks {
            *finished.entry(task.id.to_string()).or_insert(0) += 1;
        }
    }
    assert_eq!((finished.len(), finished.values().max()), (100, Some(&1)));

    let dead = queue.list(State::Failed, 1000, None).await.unwrap().tasks;
    assert_eq!(dead.len() as u64, counts.failed);
    let again: Vec<_> = dead.iter().map(|task| task.reference.id.clone()).collect();
    assert!(queue.retry(&again).await.unwrap().iter().all(|state| *state == Some(State::Pending)));
    let mut deleted = 0;
    for state in [State::Pending, State::Completed] {
        let mut cursor = None::<String>;
        loop {
            let step = queue.purge(state, cursor.as_deref()).await.unwrap();
            deleted += step.deleted;
            cursor = step.cursor;
            if cursor.is_none() {
                break;
            }
        }
    }
    assert_eq!(deleted, 100);
    assert_eq!(queue.audit().await.unwrap().tasks, 0);
    t.done().await;
}

#[tokio::test]
async fn a_pause_holds_in_every_partition() {
    let t = Scene::new().await;
    let (queue, nodes) = divided(&t, 3).await;
    submit(&queue, &many("a", 30)).await;
    let paused = |paused| QueueSettings { paused: Some(paused), ..QueueSettings::default() };
    queue.configure(&paused(true)).await.unwrap();
    assert!(queue.view().await.unwrap().paused);
    for node in &nodes {
        assert!(node.claim(10).await.is_empty());
    }
    queue.configure(&paused(false)).await.unwrap();
    let mut claimed = 0;
    for node in &nodes {
        claimed += node.claim(100).await.len();
    }
    assert_eq!(claimed, 30);
    t.done().await;
}

#[tokio::test]
async fn the_audit_tells_of_a_task_in_the_wrong_partition() {
    let t = Scene::new().await;
    let (queue, _) = divided(&t, 3).await;
    for partition in queue.partitions() {
        partition.submit(&[task("a").new_task()]).await.unwrap();
    }
    let faults = queue.audit().await.unwrap().faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults.iter().all(|fault| fault.subject == "a" && fault.fault.contains("partition")),
        "{faults:?}"
    );
    t.done().await;
}
