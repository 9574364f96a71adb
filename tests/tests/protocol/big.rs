//! A big queue: what a call does is bounded, and does not grow with what waits. Work is counted in commands that the
//! server ran inside the scripts, not in time.

use windlass_shared::store::QueueSettings;

use crate::{
    draft::{many, task},
    node::{Node, completed},
    scene::Scene,
};

/// Every loop over tasks that a script finds itself is bounded by this.
const STEP: usize = 100;

/// How many commands the server ran so far, those inside scripts included.
async fn commands(t: &Scene) -> usize {
    let info: String = t.redis(&["INFO", "commandstats"]).await;
    let calls = info.lines().filter_map(|line| line.split("calls=").nth(1)?.split(',').next());
    calls.map(|number| number.parse::<usize>().unwrap_or(0)).sum()
}

/// How many commands one piece of work costs (less the one that counts them).
pub(crate) async fn cost(t: &Scene, work: impl AsyncFnOnce()) -> usize {
    let before = commands(t).await;
    work().await;
    commands(t).await - before - 1
}

async fn claim_many(node: &Node, n: usize) {
    for _ in 0..n / 500 {
        assert_eq!(node.claim(500).await.len(), 500);
    }
}

#[tokio::test]
async fn with_ten_thousand_lost_leases_a_call_recovers_a_hundred() {
    let t = Scene::new().await;
    t.submit_all(many("a", 100_000)).await;
    let node = t.node("n1");
    claim_many(&node, 10_000).await;
    t.lapse_all().await;
    for round in 1..=3 {
        let cost = cost(&t, async || drop(t.node("n2").extend(&[]).await)).await;
        assert_eq!(t.size("running").await, 10_000 - round * STEP);
        assert!(cost < 500, "one beat ran {cost} commands");
    }
    // What is left is due at once again, for any call.
    t.node("n3").claim(0).await;
    assert_eq!(t.size("running").await, 10_000 - 4 * STEP);
    for _ in 0..10_000 / STEP {
        t.node("n2").extend(&[]).await;
    }
    assert_eq!((t.size("pending").await, t.stat("recovered").await), (100_000, 10_000));
    t.done().await;
}

#[tokio::test]
async fn with_thousands_due_a_call_promotes_a_hundred() {
    let t = Scene::new().await;
    t.submit_all(many("a", 2_000).into_iter().map(|draft| draft.delay(60).expires(120)).collect()).await;
    t.pass_seconds(60).await;
    t.node("n1").extend(&[]).await;
    assert_eq!((t.size("pending").await, t.size("scheduled").await), (STEP, 2_000 - STEP));
    t.pass_seconds(60).await;
    let before = t.stat("expired").await;
    t.node("n1").extend(&[]).await;
    assert_eq!(t.stat("expired").await - before, STEP as i64);
    t.done().await;
}

/// Commands that one call of each kind needs on a queue in which `waiting` tasks wait.
async fn costs(waiting: usize) -> [usize; 5] {
    let t = Scene::new().await;
    t.submit_all(many("a", waiting)).await;
    let node = t.node("n1");
    // Scripts are in the server's memory from here on.
    node.claim(1).await;
    node.settle(completed("a000000", 1)).await;
    node.extend(&[]).await;
    t.queue.cancel(&[]).await.unwrap();
    let costs = [
        cost(&t, async || drop(t.submit(many("z", 50)).await)).await,
        cost(&t, async || drop(node.claim(50).await)).await,
        cost(&t, async || drop(node.extend(&[("a000001", 1)]).await)).await,
        cost(&t, async || {
            let settles: Vec<_> = (1..=50).map(|i| completed(&format!("a{i:06}"), 1)).collect();
            node.settle_all(&settles).await;
        })
        .await,
        cost(&t, async || drop(t.queue.cancel(&crate::draft::ids(&["a000060", "a000061"])).await)).await,
    ];
    t.done().await;
    costs
}

#[tokio::test]
async fn the_cost_of_a_call_does_not_grow_with_the_backlog() {
    let (small, large) = (costs(200).await, costs(50_000).await);
    assert_eq!(small, large, "submit, claim, extend, settle, cancel");
    // As the scripts' headers promise: two commands a task to submit, to claim and to settle, and some for the call.
    let [submit, claim, extend, settle, cancel] = small;
    assert!(submit <= 50 * 2 + 20, "submit: {submit}");
    assert!(claim <= 50 * 2 + 30, "claim: {claim}");
    assert!(extend <= 30, "extend: {extend}");
    assert!(settle <= 50 * 2 + 30, "settle: {settle}");
    assert!(cancel <= 2 * 3 + 20, "cancel: {cancel}");
}

/// A hundred keys, a hundred parked tasks each, and the limit is lifted: more than one call may touch.
async fn parked(keys: usize, each: usize) -> (Scene, Node) {
    let t = Scene::new().await;
    let drafts =
        (0..keys * (each + 1)).map(|i| task(format!("a{i:06}")).key(&format!("k{}", i % keys))).collect();
    t.submit_all(drafts).await;
    let node = t.node("n1");
    for _ in 0..keys * (each + 1) / 500 + keys {
        node.claim(500).await;
    }
    assert_eq!((t.size("running").await, t.size("parked").await), (keys, keys * each));
    (t, node)
}

#[tokio::test]
async fn lifting_the_limit_of_many_parked_tasks_loses_none_of_them() {
    let (t, _) = parked(100, 100).await;
    t.configure(QueueSettings { key_concurrency: Some(Some(1000)), ..QueueSettings::default() }).await;
    assert_eq!(t.size("pending").await + t.size("parked").await, 10_000);
    t.done().await;
}

#[tokio::test]
async fn recovering_leases_that_free_many_parked_tasks_loses_none_of_them() {
    let (t, _) = parked(100, 100).await;
    t.redis::<()>(&["HSET", &t.key("meta"), "key_concurrency", "1000"]).await;
    t.lapse_all().await;
    t.node("n2").extend(&[]).await;
    assert_eq!(t.size("running").await, 0);
    assert_eq!(t.size("pending").await + t.size("parked").await, 10_100);
    t.done().await;
}

#[tokio::test]
async fn settling_tasks_that_free_many_parked_ones_loses_none_of_them() {
    let (t, node) = parked(100, 100).await;
    t.redis::<()>(&["HSET", &t.key("meta"), "key_concurrency", "1000"]).await;
    let settles: Vec<_> = t.members("running").await.iter().map(|name| completed(name, 1)).collect();
    assert_eq!(node.settle_all(&settles).await.len(), 100);
    assert_eq!(t.size("pending").await + t.size("parked").await, 10_000);
    t.done().await;
}
