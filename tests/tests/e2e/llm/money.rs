//! Budgets, and what the fleet's figures say.

use serde_json::{Value, json};

use super::{Scene, scene_with};
use crate::look::{secs, text};

const PAID: &str = "[[rule]]\nanswer = { text = \"One cent.\", style = \"openrouter\", cost = 0.01 }\n";

fn paid(budget: &str, workers: usize) -> (Scene, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let catalog = dir.path().join("models.toml");
    let models = "[models.\"local/m\"]\ncontext = 8192\nprice = { input = 0.0, output = 0.0, request = 0.012 }\n\
                  [models.\"local/unpriced\"]\ncontext = 8192\n";
    std::fs::write(&catalog, models).expect("a file can be written");
    let config = format!("[llm]\ncatalog = \"{}\"\ncache = \"off\"\n{budget}", catalog.display());
    (scene_with(PAID, &config, workers, 8, &[]), dir)
}

fn questions(count: usize, tenant: &str) -> Vec<Value> {
    (1..=count)
        .map(|n| {
            json!({"type": "llm", "tenant": tenant, "max_attempts": 1,
                   "payload": {"prompt": format!("Question {n} of {tenant}"), "model": "local/m"}})
        })
        .collect()
}

#[test]
fn a_dollar_is_spent_to_the_last_cents_and_not_beyond() {
    let (scene, _dir) =
        paid("[budgets.all]\nscope = \"fleet\"\nlimit_usd = \"1.00\"\nwindow = \"total\"\n", 4);
    scene.fleet.submit_lines(&questions(200, "acme"), &["--batch", "b"]);
    let tasks = scene.fleet.finish_batch("b", secs(60));
    let done = tasks.iter().filter(|task| task["state"] == "completed").count();
    assert!((97..=100).contains(&done), "{done} calls of one cent");
    assert_eq!(scene.calls(), done as u64, "no call was made that the budget had no room for");
    let refused = tasks.iter().find(|task| task["state"] == "failed").expect("one was refused");
    assert_eq!(refused["error"]["class"], "budget", "{refused}");
    let budgets = scene.fleet.windlass(&["budgets", "-o", "json"]).ok().json();
    let spent = budgets[0]["spent_usd"].as_f64().expect("a number");
    assert!((0.97..=1.0).contains(&spent), "{budgets}");
    scene.fleet.verify();
}

#[test]
fn each_tenant_has_its_own_budget_and_one_in_redis_goes_before_the_files() {
    let (scene, _dir) = paid("[budgets.each]\nscope = \"tenant:*\"\nlimit_usd = \"0.05\"\n", 2);
    scene.fleet.windlass(&["budgets", "set", "tenant:rich", "0.10", "--window", "day"]).ok();
    let tasks = [questions(20, "poor"), questions(20, "rich")].concat();
    scene.fleet.submit_lines(&tasks, &["--batch", "b"]);
    let tasks = scene.fleet.finish_batch("b", secs(60));
    let done = |tenant: &str| {
        tasks.iter().filter(|task| task["tenant"] == tenant && task["state"] == "completed").count()
    };
    // A call that may cost 1.2 cents does not fit into the last cent.
    assert!(
        (3..=5).contains(&done("poor")) && (8..=10).contains(&done("rich")),
        "{} {}",
        done("poor"),
        done("rich")
    );
    scene.fleet.verify();
}

#[test]
fn without_a_price_nothing_is_called_under_a_budget() {
    let (scene, _dir) = paid(
        "[budgets.all]\nscope = \"fleet\"\nlimit_usd = \"1.00\"\n[providers.hosted]\npreset = \"compatible\"\nbase_url = \"URL\"\n",
        1,
    );
    scene.fleet.submit("llm", &json!({"prompt": "Hello.", "model": "hosted/unlisted"}), &["--id", "t"]);
    let task = scene.finished("t", secs(20));
    assert_eq!((&task["error"]["class"], scene.calls()), (&json!("budget"), 0), "{task}");
    assert!(text(&task["error"]["message"]).contains("price"), "{task}");
    scene.fleet.verify();
}

#[test]
fn a_budget_that_waits_leaves_the_task_for_its_next_window() {
    let budget =
        "[budgets.all]\nscope = \"fleet\"\nlimit_usd = \"0.013\"\nwindow = \"hour\"\non_limit = \"wait\"\n";
    let (scene, _dir) = paid(budget, 1);
    for id in ["a", "b"] {
        scene.fleet.submit("llm", &json!({"prompt": id, "model": "local/m"}), &["--id", id]);
    }
    windlass_tests::process::eventually("one is done and one waits", secs(20), || {
        let queue = scene.fleet.queue("default");
        queue["scheduled"] == json!(1) && queue["totals"]["completed"] == json!(1)
    });
    let waiting = ["a", "b"].map(|id| scene.fleet.status(id)).into_iter().find(|t| t["state"] == "scheduled");
    let waiting = waiting.expect("one waits");
    assert_eq!((&waiting["reason"], &waiting["retries"]), (&json!("over_budget"), &json!(0)), "{waiting}");
    scene.fleet.verify();
}

#[test]
fn the_figures_add_up() {
    let (scene, _dir) = paid("", 2);
    scene.fleet.submit_lines(&[questions(7, "a"), questions(3, "b")].concat(), &["--batch", "b"]);
    scene.fleet.finish_batch("b", secs(30));
    let metrics = scene.fleet.windlass(&["metrics", "-o", "json"]).ok().json();
    assert_eq!(metrics["totals"]["calls"], json!(10), "{metrics}");
    let cost = metrics["totals"]["cost_usd"].as_f64().expect("a number");
    assert!((cost - 0.1).abs() < 1e-9, "{metrics}");
    let find = |list: &str, name: &str| {
        metrics[list]
            .as_array()
            .expect("a list")
            .iter()
            .find(|row| row["name"] == name)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(find("models", "local/m")["calls"], json!(10), "{metrics}");
    assert_eq!(find("types", "llm")["calls"], json!(10), "{metrics}");
    assert_eq!(
        (&find("tenants", "a")["calls"], &find("tenants", "b")["calls"]),
        (&json!(7), &json!(3)),
        "{metrics}"
    );
    scene.fleet.verify();
}
