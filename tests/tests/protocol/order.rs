//! Who comes first: priorities strictly, tenants by their weights, and first in, first out within a tenant.

use windlass_shared::model::Priority;

use crate::{
    draft::{Draft, many, task},
    node::{completed, retrying},
    scene::Scene,
};

fn of(tenant: &str, weight: u32, n: usize) -> Vec<Draft> {
    many(tenant, n).into_iter().map(|draft| draft.tenant(tenant, weight)).collect()
}

/// Claims `n` tasks, a few at a time, and tells them in order.
async fn claim(t: &Scene, n: usize) -> Vec<String> {
    let node = t.node("n1");
    let mut all = Vec::new();
    while all.len() < n {
        let some = node.claim_ids(7.min(n - all.len())).await;
        assert!(!some.is_empty(), "the queue ran dry after {}", all.len());
        all.extend(some);
    }
    all
}

fn share(claimed: &[String], tenant: &str) -> usize {
    claimed.iter().filter(|name| name.starts_with(tenant)).count()
}

#[tokio::test]
async fn a_higher_priority_always_comes_first() {
    let t = Scene::new().await;
    for priority in [Priority::Low, Priority::Normal, Priority::Critical, Priority::High] {
        t.submit((0..2).map(|i| task(format!("{priority}{i}")).priority(priority))).await;
    }
    t.submit([task("critical2").priority(Priority::Critical)]).await;
    let order = claim(&t, 9).await;
    assert_eq!(
        order,
        ["critical0", "critical1", "critical2", "high0", "high1", "normal0", "normal1", "low0", "low1"]
    );
    t.done().await;
}

#[tokio::test]
async fn within_a_tenant_it_is_first_in_first_out_over_many_calls() {
    let t = Scene::new().await;
    // Ids that sort against their order of submission, so that the order of ids cannot help.
    let ids: Vec<String> = (0..60).map(|i| format!("t{:03}", 999 - i)).collect();
    let mut claimed = Vec::new();
    for (i, call) in ids.chunks(6).enumerate() {
        t.submit(call.iter().map(|id| task(id).tenant("a", 3))).await;
        if i % 2 == 1 {
            claimed.extend(claim(&t, 5).await);
        }
    }
    let left = ids.len() - claimed.len();
    claimed.extend(claim(&t, left).await);
    assert_eq!(claimed, ids);
    t.done().await;
}

#[tokio::test]
async fn tenants_of_weights_three_and_one_share_three_to_one() {
    let t = Scene::new().await;
    // The light tenant comes first with everything it has, and the heavy one must still get its share.
    t.submit_all(of("b", 1, 1000)).await;
    t.submit_all(of("a", 3, 1000)).await;
    let order = claim(&t, 1000).await;
    let heavy = share(&order, "a");
    assert!((712..=788).contains(&heavy), "the tenant of weight 3 got {heavy} of 1000");
    for window in order.chunks(100) {
        assert!((70..=80).contains(&share(window, "a")), "unfair within a hundred: {window:?}");
    }
    t.done().await;
}

#[tokio::test]
async fn a_tenant_that_comes_late_gets_its_share_and_no_more() {
    let t = Scene::new().await;
    t.submit_all(of("a", 1, 1000)).await;
    assert_eq!(share(&claim(&t, 500).await, "a"), 500);
    t.submit_all(of("b", 1, 500)).await;
    for n in [100, 200] {
        let order = claim(&t, n).await;
        let late = share(&order, "b");
        assert!((n * 45 / 100..=n * 55 / 100).contains(&late), "the late tenant got {late} of {n}");
    }
    t.done().await;
}

#[tokio::test]
async fn a_tenant_that_was_idle_saved_nothing_up() {
    let t = Scene::new().await;
    t.submit_all([of("a", 1, 600), of("b", 1, 10)].concat()).await;
    claim(&t, 300).await;
    t.submit((100..200).map(|i| task(format!("b{i}")).tenant("b", 1))).await;
    let back = share(&claim(&t, 100).await, "b");
    assert!((45..=55).contains(&back), "the tenant that came back got {back} of 100");
    t.done().await;
}

#[tokio::test]
async fn fairness_holds_within_a_priority_only() {
    let t = Scene::new().await;
    t.submit_all(of("a", 1, 50)).await;
    t.submit((0..10).map(|i| task(format!("b{i}")).tenant("b", 1).priority(Priority::Low))).await;
    assert_eq!(share(&claim(&t, 50).await, "a"), 50);
    t.done().await;
}

#[tokio::test]
async fn idle_tenants_cost_nothing() {
    let t = Scene::new().await;
    t.submit((0..300).map(|i| task(format!("t{i}")).tenant(&format!("tenant{i}"), 1))).await;
    assert_eq!(t.size("fair").await, 300);
    t.submit_all(of("busy", 1, 300)).await;
    claim(&t, 600).await;
    assert!(t.size("fair").await < 30, "{} tenants are still remembered", t.size("fair").await);
    t.done().await;
}

#[tokio::test]
async fn an_old_counter_starts_again_and_nothing_that_waits_loses_its_turn() {
    let t = Scene::new().await;
    let far = (1_u64 << 50) + 1;
    t.redis::<()>(&["HSET", &t.key("stats"), "v2", &far.to_string()]).await;
    let node = t.node("n1");
    t.submit([task("retry").tenant("x", 1)]).await;
    assert_eq!(node.claim_ids(1).await, ["retry"]);
    assert_eq!(t.stat("v2").await, 0, "the band is empty: its counter starts again");
    assert_eq!(t.size("fair").await, 0);
    t.submit([task("first").tenant("x", 1), task("second").tenant("x", 1)]).await;
    node.settle(retrying("retry", 1, 0)).await;
    let order = node.claim_ids(3).await;
    assert!(
        order[..2].contains(&"retry".to_owned()),
        "its old tag would put it behind everything: {order:?}"
    );
    t.done().await;
}

#[tokio::test]
async fn a_counter_that_is_far_but_in_use_goes_on() {
    let t = Scene::new().await;
    let far = (1_u64 << 50) + 1;
    t.redis::<()>(&["HSET", &t.key("stats"), "v2", &far.to_string()]).await;
    let node = t.node("n1");
    t.submit(many("a", 4)).await;
    assert_eq!(node.claim_ids(1).await, ["a000000"]);
    t.submit([task("b")]).await;
    node.settle(completed("a000000", 1)).await;
    assert_eq!(node.claim_ids(4).await, ["a000001", "a000002", "a000003", "b"]);
    t.done().await;
}
