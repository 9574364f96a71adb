//! A task's two keys as one record: the spec, which is what was submitted, and the hash of what became of it.
//!
//! The spec is a line of `name=value`, a line with the digest, a line with the options (JSON or nothing), and the
//! payload, which may be compressed. `PROTOCOL.md` section 3 has the fields.

use super::packed;
use crate::model::{State, TaskRecord, TaskRef};

/// Reads both. Never fails: what cannot be read is told in the record's `fault`.
pub(super) fn record(reference: TaskRef, spec: Option<&[u8]>, fields: Vec<(String, String)>) -> TaskRecord {
    let (mut all, payload) = spec.map(read).unwrap_or_default();
    // What the record says goes before what was submitted, and the lease before what is left of an earlier one.
    let mut lease = Vec::new();
    for (name, value) in fields {
        match name.as_str() {
            "lease" => lease = of_lease(&value),
            _ => all.push((name, value)),
        }
    }
    all.extend(lease);
    let mut task = TaskRecord::from_fields(reference, all);
    task.batch = task.batch.filter(|batch| !batch.is_empty());
    if task.state.is_none() {
        task.state = Some(State::Pending);
    }
    if payload.is_empty() {
        task.fault = Some("its payload is gone".into());
    }
    task.payload = payload;
    task
}

/// Names with their values, and the payload.
fn read(spec: &[u8]) -> (Vec<(String, String)>, String) {
    let mut lines = spec.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (head, _digest, options, payload) = (line(), line(), line(), line());
    let mut fields = head_of(head);
    if !options.is_empty() {
        fields.push(("options".to_owned(), String::from_utf8_lossy(options).into_owned()));
    }
    (fields, packed::text(payload.to_vec()))
}

/// No first line is longer, in bytes: what to read where the payload is not wanted.
pub(super) const HEAD: isize = 4095;

/// A value of the first line.
pub(super) fn said(spec: &[u8], name: &str) -> Option<String> {
    head_of(spec).into_iter().find_map(|(is, value)| (is == name).then_some(value))
}

/// The first line, as pairs.
fn head_of(spec: &[u8]) -> Vec<(String, String)> {
    let head = String::from_utf8_lossy(spec.split(|byte| *byte == b'\n').next().unwrap_or_default());
    let pair = |word: &str| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    head.split(' ').filter_map(pair).collect()
}

/// The last attempt: its number, node, start and score; and the batch, which the spec tells, too.
fn of_lease(lease: &str) -> Vec<(String, String)> {
    let names = ["attempt", "node", "started_at"];
    names.iter().zip(lease.split(' ')).map(|(name, word)| ((*name).to_owned(), word.to_owned())).collect()
}
