//! What the demo shows.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use crate::{Killed, batch::Batch, fleet::Fleet};

#[allow(clippy::print_stdout, reason = "the demo is there to be watched")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// A heading.
pub(crate) fn step(text: &str) {
    say(&format!("\n\u{1b}[1m{text}\u{1b}[0m"));
}

/// Shows every result. True if all tasks completed.
pub(crate) fn results(fleet: &Fleet, batch: &Batch, killed: &Killed) -> Result<bool> {
    let tasks = batch.results(fleet)?;
    step("What became of the killed worker's tasks");
    for task in tasks.iter().filter(|task| killed.tasks.contains(&text(task, "id"))) {
        say(&format!(
            "  {} {}: its lease on {} ended, {} took it over (attempt {}, {} retries charged) and it {}",
            text(task, "type"),
            name(task),
            killed.node,
            text(task, "node"),
            task["attempt"],
            task["retries"],
            text(task, "state"),
        ));
    }
    step(&format!("Results (windlass results --batch {})", batch.name));
    say(&format!(
        "  {:<11} {:<15} {:<9} {:<14} {:>7}  result",
        "type", "file", "priority", "node", "attempt"
    ));
    for task in &tasks {
        say(&format!(
            "  {:<11} {:<15} {:<9} {:<14} {:>7}  {}",
            text(task, "type"),
            name(task),
            text(task, "priority"),
            text(task, "node"),
            task["attempt"].to_string(),
            summary(task),
        ));
    }
    by_node(&tasks);
    step("The fleet's own view");
    fleet.show(&["queues"])?;
    fleet.show(&["nodes"])?;
    fleet.show(&["doctor", "--verify"])?;
    Ok(tasks.iter().all(|task| task["state"] == "completed") && tasks.len() == batch.tasks)
}

fn by_node(tasks: &[Value]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for task in tasks {
        *counts.entry(text(task, "node")).or_default() += 1;
    }
    let shares: Vec<String> = counts.iter().map(|(node, n)| format!("{node} {n}")).collect();
    say(&format!("\n  tasks by node: {}", shares.join(", ")));
}

fn text(task: &Value, field: &str) -> String {
    task[field].as_str().unwrap_or_default().to_owned()
}

fn name(task: &Value) -> String {
    task["payload"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The result of a task in a few words.
fn summary(task: &Value) -> String {
    let result = &task["result"];
    let stdout = result["stdout"].as_str().unwrap_or_default();
    let words = match task["type"].as_str() {
        Some("measure") => {
            let numbers: Vec<&str> = stdout.split_whitespace().take(3).collect();
            format!("{} lines, words, bytes", numbers.join(", "))
        }
        Some("check") => "compiles without a warning".to_owned(),
        Some("unit_tests") => {
            stdout.lines().find(|line| line.starts_with("test result")).unwrap_or("?").to_owned()
        }
        _ => result["text"].as_str().unwrap_or_default().replace('\n', " "),
    };
    if task["state"] == "completed" { words.chars().take(90).collect() } else { task["error"].to_string() }
}
