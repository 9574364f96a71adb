//! The first part of the demo: a language model writes tests for a real file, and they are run.

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    fleet::Fleet,
    report::{say, step},
};

const LARGER: &str = "examples/demo/python/larger.py";
const SQUARE: &str = "examples/demo/python/square.py";

/// Submits, waits, and shows what came of it.
pub(crate) fn run(fleet: &Fleet) -> Result<()> {
    step("A language model writes unit tests for a real file, and they are run");
    let start = Instant::now();
    fleet.show(&["models", "list", "--provider", fleet.provider()])?;
    let task = |task_type: &str, description: &str, file: &str, id: &str| -> Result<()> {
        fleet.show(&[
            "submit",
            "--type",
            task_type,
            "--description",
            description,
            "--target-file",
            file,
            "--priority",
            "high",
            "--complexity",
            "moderate",
            "--quality-threshold",
            "0.8",
            "--id",
            id,
            "--batch",
            "model",
        ])
    };
    task("unit_test", "Generate unit tests for larger.py", LARGER, "tests-larger")?;
    task("unit_test", "Generate unit tests for square.py", SQUARE, "tests-square")?;
    task("documentation", "What does this file do, and how is it used?", LARGER, "docs-larger")?;
    for id in ["tests-larger", "tests-square", "docs-larger"] {
        told(&decided(fleet, id)?);
    }
    say("");
    fleet.show(&["results", "--batch", "model", "--write", ".windlass/out", "--quiet"])?;
    fleet.show(&["review", "list"])?;
    fleet.show(&["metrics", "--by", "model"])?;
    say(&format!("\n  {:.0} s from the first question to the last figure.", start.elapsed().as_secs_f64()));
    Ok(())
}

/// Waits until a task is finished, or waits for people.
fn decided(fleet: &Fleet, id: &str) -> Result<Value> {
    let deadline = Instant::now() + std::time::Duration::from_secs(150);
    loop {
        let task: Value = serde_json::from_slice(&fleet.run(&["status", id, "--output", "json"])?)?;
        let state = task["state"].as_str().context("a task has a state")?;
        if ["completed", "failed", "cancelled", "expired", "blocked"].contains(&state) {
            return Ok(task);
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "{id} is still {state}; look at it with `windlass status {id}`"
        );
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// The story of a task: what was produced, how good it is, and how it came about.
fn told(task: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    say(&format!("\n  {}: {} ({})", text(&task["id"]), text(&task["state"]), text(&task["reason"])));
    let result = &task["result"];
    for (path, file) in result["files"].as_object().into_iter().flatten() {
        say(&format!("  {path}"));
        for line in text(file).lines().take(24) {
            say(&format!("    | {line}"));
        }
    }
    for check in result["validation"]["checks"].as_array().into_iter().flatten() {
        let mark = if check["passed"] == true { "passed" } else { "FAILED" };
        let said = text(&check["message"]).lines().next().unwrap_or_default().to_owned();
        say(&format!("  {mark}  {:<12} {said}", text(&check["validator"])));
    }
    if let Some(score) = result["validation"]["score"].as_f64() {
        say(&format!(
            "  score   {score:.2} of the {} that the task asked for",
            result["validation"]["threshold"]
        ));
    }
    let calls = if result["calls"].is_array() { &result["calls"] } else { &task["ledger"]["calls"] };
    for call in calls.as_array().into_iter().flatten() {
        let cost = call["cost_usd"].as_f64().map_or("unknown".to_owned(), |usd| format!("${usd:.6}"));
        say(&format!(
            "  call    {} by {}: {} tokens in, {} out, {} ms, {cost}; {}",
            text(&call["model"]),
            text(&call["provider"]),
            call["input_tokens"],
            call["output_tokens"],
            call["duration_ms"],
            text(&call["why"]),
        ));
    }
    if task["state"] == "blocked" {
        say(
            "  No model gave tests that pass. People decide now: windlass review show, approve, edit or reject.",
        );
    }
}
