//! What executors read from commands, services and payloads, for the package `fuzz`.

use std::collections::BTreeMap;

use super::{Progress, Reports, http, json, llm, stderr::Stderr};

/// Standard error of a command, in pieces of this size; keeps 4 kB. Gives what is kept, and the last progress.
pub(crate) fn standard_error(bytes: &[u8], piece: usize) -> (String, Reports) {
    let (progress, reports) = Progress::channel();
    let mut stderr = Stderr::new(4096, &progress);
    bytes.chunks(piece.max(1)).for_each(|piece| stderr.push(piece));
    (stderr.finish(), reports)
}

/// The result of a command or a service: JSON on one line, if it is JSON.
pub(crate) fn result(bytes: &[u8]) -> Option<String> {
    json::parse(bytes).map(|raw| raw.get().to_owned())
}

/// What an `http` task calls, and what a message shows of a failed answer.
pub(crate) fn target(method: Option<&str>, url: &str, headers: &BTreeMap<String, String>, body: &[u8]) {
    http::read(method, url, headers, body);
}

/// The payload of an `llm` task.
pub(crate) fn llm_payload(text: &str) {
    llm::read(text);
}
