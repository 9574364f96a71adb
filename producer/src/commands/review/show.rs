//! A draft for people, as text.

use std::time::Duration;

use windlass_shared::model::time::human;

use super::draft::{Call, Check, Draft, Waiting};
use crate::{exit::Done, output};

/// Prints a task and its draft.
pub(super) fn print(task: &Waiting, draft: &Draft) -> Done {
    let score = match (task.score, task.threshold) {
        (Some(score), Some(threshold)) => Some(format!("{score:.2}, needed {threshold:.2}")),
        (score, _) => score.map(|score| format!("{score:.2}")),
    };
    let facts = [
        ("task", Some(task.reference.clone())),
        ("type", Some(task.task_type.clone())),
        ("why", task.why.clone()),
        ("model", task.model.clone()),
        ("score", score),
        ("cost", task.cost_usd.map(|usd| format!("${usd}"))),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            output::line(&format!("{:<7}{}", format!("{name}:"), plain(&fact)))?;
        }
    }
    for note in &draft.notes {
        output::line(&format!("note:  {}", plain(note)))?;
    }
    if let Some(validation) = draft.validation.as_ref().filter(|validation| !validation.checks.is_empty()) {
        output::line("")?;
        output::table(
            &["CHECK", "SEVERITY", "RESULT", "SCORE", "MESSAGE"],
            validation.checks.iter().map(check),
        )?;
    }
    for (path, text) in &draft.files {
        output::line(&format!("\n--- {}\n{}", plain(path), plain(text).trim_end()))?;
    }
    if !draft.text.is_empty() {
        output::line(&format!("\n--- the answer\n{}", plain(&draft.text).trim_end()))?;
    }
    if !draft.calls.is_empty() {
        output::line("")?;
        let head = ["CALL", "MODEL", "ATTEMPT", "OUTCOME", "TOKENS IN", "TOKENS OUT", "COST", "TIME", "WHY"];
        output::table(&head, draft.calls.iter().enumerate().map(|(n, one)| call(n + 1, one)))?;
    }
    let reference = &task.reference;
    output::line(&format!(
        "\nwindlass review approve {reference} · reject {reference} · edit {reference} --result FILE"
    ))
}

fn check(check: &Check) -> Vec<String> {
    let result = match (check.ran, check.passed) {
        (false, _) => "not run",
        (true, true) => "passed",
        (true, false) => "failed",
    };
    vec![
        plain(&check.validator),
        plain(&check.severity),
        result.to_owned(),
        check.score.map(|score| format!("{score:.2}")).unwrap_or_default(),
        plain(&check.message),
    ]
}

fn call(number: usize, call: &Call) -> Vec<String> {
    let count = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
    let answered = if call.cached { "known" } else { "answered" };
    vec![
        number.to_string(),
        plain(&call.model),
        call.attempt.to_string(),
        plain(call.error.as_deref().unwrap_or(answered)),
        count(call.input_tokens),
        count(call.output_tokens),
        call.cost_usd.map(|usd| format!("${usd}")).unwrap_or_default(),
        human(Duration::from_millis(call.duration_ms)),
        plain(&call.why),
    ]
}

/// What a model wrote must not steer the terminal.
pub(super) fn plain(text: &str) -> String {
    let keep = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    text.replace("\r\n", "\n").chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_cannot_steer_the_terminal() {
        assert_eq!(plain("a\tb\r\nc\u{1b}[2J\u{9b}1m\u{7}"), "a\tb\nc\u{fffd}[2J\u{fffd}1m\u{fffd}");
    }
}
