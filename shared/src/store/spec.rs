//! A task's two keys as one record: the spec, which is what was submitted, and the hash of what became of it.
//!
//! The spec is a line of `name=value`, a line with the digest, a line with the options (JSON or nothing), and the
//! payload, which may be compressed. `PROTOCOL.md` section 3 has the fields.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::value::RawValue;

use super::{
    packed,
    payloads::{Reader, Texts},
};
use crate::model::{State, TaskRecord, TaskRef, Unread, Why};

/// Reads both. Never fails: what cannot be read is told in the record's `fault`, and what cannot be opened in `unread`.
pub(super) fn record(
    reference: TaskRef,
    spec: Option<&[u8]>,
    fields: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
    texts: Texts,
) -> TaskRecord {
    let mut reader = texts.reader(reference.id.as_str());
    let (mut all, payload) = spec.map(|spec| read(spec, &mut reader)).unwrap_or_default();
    // What the record says goes before what was submitted, and the lease before what is left of an earlier one.
    let mut lease = Vec::new();
    for (name, value) in fields {
        let name = packed::text(name);
        let value = match name.as_str() {
            "result" => reader.text("result", value),
            "ledger" => reader.text("ledger", value),
            "progress" => reader.text("progress", value),
            "error" => reader.member("error", packed::text(value), "message"),
            "review" => reader.member("review", packed::text(value), "note"),
            _ => packed::text(value),
        };
        match name.as_str() {
            "lease" => lease = of_lease(&value),
            _ => all.push((name, value)),
        }
    }
    all.extend(lease);
    let unread = reader.unread;
    let mut task = TaskRecord::from_fields(reference, all);
    task.unread = unread;
    metadata(&mut task, texts);
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

/// Opens what was attached, if it is sealed.
fn metadata(task: &mut TaskRecord, texts: Texts) {
    let Some(sealed) = task.options.sealed.take() else {
        if task.options.metadata.is_some() && texts.only_sealed() {
            task.unread.push(Unread { field: "metadata", why: Why::NotSealed });
        }
        return;
    };
    let mut reader = texts.reader(task.reference.id.as_str());
    let text = match STANDARD_NO_PAD.decode(sealed) {
        Ok(bytes) => reader.text("metadata", bytes),
        Err(_) => reader.note("metadata", Why::Damaged),
    };
    let unread = reader.unread;
    task.unread.extend(unread);
    task.options.metadata = RawValue::from_string(text).ok();
}

/// Names with their values, and the payload.
fn read(spec: &[u8], reader: &mut Reader) -> (Vec<(String, String)>, String) {
    let mut lines = spec.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (head, _digest, options, payload) = (line(), line(), line(), line());
    let mut fields = head_of(head);
    if !options.is_empty() {
        fields.push(("options".to_owned(), String::from_utf8_lossy(options).into_owned()));
    }
    let task_type = fields.iter().find(|(name, _)| name == "type").map_or("", |(_, value)| value);
    let payload = reader.payload(task_type, payload.to_vec());
    (fields, payload)
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
