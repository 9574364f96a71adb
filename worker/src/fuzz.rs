//! What the package `fuzz` calls of the code that reads tasks, commands and models. No part of the API.
//!
//! A task, a command or a model chooses these bytes. Reading them may fail, and nothing else.

use std::collections::BTreeMap;

use crate::{executor::read, pipeline};

/// Standard error of a command with lines of progress, in pieces of this size.
pub fn standard_error(bytes: &[u8], piece: usize) {
    let (kept, reports) = read::standard_error(bytes, piece);
    // Each byte that is no UTF-8 becomes a sign of three bytes.
    assert!(kept.len() <= 3 * 8192 + 100, "more is kept than allowed");
    if let Some(report) = reports.take() {
        assert!(!report.get().contains('\n'), "progress is written on one line");
    }
}

/// The result of a command or a service.
pub fn result(bytes: &[u8]) {
    if let Some(line) = read::result(bytes) {
        assert!(!line.contains('\n'), "a result is written on one line");
        assert_eq!(read::result(line.as_bytes()), Some(line), "what was read once is read again");
    }
}

/// What an `http` task calls, and what it says of a failed answer.
pub fn target(method: Option<&str>, url: &str, headers: &BTreeMap<String, String>, body: &[u8]) {
    read::target(method, url, headers, body);
}

/// The payload of an `llm` task.
pub fn llm_payload(text: &str) {
    read::llm_payload(text);
}

/// What a tool wrote about tests and coverage.
pub fn report(text: &str) {
    for part in [Some(pipeline::reports::passed_part(text)), pipeline::reports::coverage(text)] {
        assert!(part.is_none_or(|part| (0.0..=1.0).contains(&part)), "a part is from 0 to 1");
    }
}

/// A draft that holds these files and this answer, and what a command makes of it.
pub fn draft(sources: &[(&str, &str)], answer: &str, change: &[u8]) -> pipeline::Draft {
    pipeline::changed(sources, answer, change)
}
