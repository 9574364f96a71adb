//! What a task may cost Redis: commands and calls, counted exactly and held against `tests/budget.json`. No clock is
//! involved, so a slow machine changes nothing; whoever makes a script do more must say so in that file.

use serde_json::Value;

use crate::{
    draft::{many, task},
    node::{completed, names},
    scene::Scene,
};

const BUDGET: &str = include_str!("../../budget.json");

/// Calls of every command since the statistics were reset; and of scripts, which are the round trips.
async fn counted(t: &Scene) -> (u64, u64) {
    let text: String = t.redis(&["INFO", "commandstats"]).await;
    let calls = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let ours = !["info", "config|resetstat", "script|load"].contains(&name);
        ours.then(|| (name.to_owned(), rest.split(',').next().and_then(|n| n.parse().ok()).unwrap_or(0)))
    };
    let all: Vec<(String, u64)> = text.lines().filter_map(calls).collect();
    let scripts = all.iter().filter(|(name, _)| name.starts_with("eval")).map(|(_, n)| n).sum();
    (all.iter().map(|(_, n)| n).sum(), scripts)
}

/// Fails above the budget; and below nine tenths of it, so that the file tells the truth.
fn hold(what: &str, is: f64) {
    let budget: Value = serde_json::from_str(BUDGET).expect("JSON");
    let may = what.split('.').fold(&budget, |at, name| &at[name]).as_f64();
    let may = may.unwrap_or_else(|| panic!("tests/budget.json has no {what}"));
    assert!(
        is <= may,
        "{what} is {is:.4}, and {may} is allowed: do less, or raise it in tests/budget.json and say why"
    );
    assert!(is >= may * 0.9, "{what} is only {is:.4}, and {may} is allowed: lower it in tests/budget.json");
}

#[tokio::test]
async fn a_task_among_many_costs_what_it_may() {
    const TASKS: usize = 1000;
    let t = Scene::new().await;
    let node = t.node("n-budget");
    // Scripts are known, and the queue was used.
    t.submit([task("warm")]).await;
    let warm = node.claim(1).await;
    node.settle_all(&[completed(&names(&warm)[0], 1)]).await;
    t.redis::<()>(&["CONFIG", "RESETSTAT"]).await;
    t.submit_all(many("a", TASKS)).await;
    let mut settles = Vec::new();
    for round in 0..=TASKS / 100 {
        let want = if round < TASKS / 100 { 100 } else { 0 };
        let reply = node.call(&node.nonce(), want, &settles).await;
        settles = names(&reply.claimed).iter().map(|name| completed(name, 1)).collect();
    }
    let (commands, calls) = counted(&t).await;
    hold("bulk.commands_per_task", commands as f64 / TASKS as f64);
    hold("bulk.calls_per_task", calls as f64 / TASKS as f64);
    assert_eq!(t.stat("completed").await, TASKS as i64 + 1);
    t.done().await;
}

#[tokio::test]
async fn a_task_alone_costs_what_it_may() {
    let t = Scene::new().await;
    let node = t.node("n-budget");
    for round in 0..2 {
        t.redis::<()>(&["CONFIG", "RESETSTAT"]).await;
        t.submit([task(format!("a{round}"))]).await;
        let claimed = names(&node.claim(1).await);
        node.settle_all(&[completed(&claimed[0], 1)]).await;
    }
    let (commands, calls) = counted(&t).await;
    hold("alone.commands", commands as f64);
    hold("alone.calls", calls as f64);
    t.done().await;
}
