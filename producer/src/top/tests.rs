//! The screen and its keys, without a terminal and without Redis.

mod drawn;
mod keys;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};
use windlass_shared::{
    model::{Micros, NodeId, QueueName, TaskRecord, TaskRef},
    store::inspect::{NodeView, QueueView},
};

use super::{
    feed::Update,
    reading::{Before, FailureRow, Reading, Story, assemble},
    state::{Effect, State},
    view,
};

/// 2026-11-20T08:00:00Z.
const NOW: Micros = Micros(1_795_161_600_000_000);

fn ago(seconds: i64) -> Micros {
    Micros(NOW.0 - seconds * 1_000_000)
}

/// A node as its heartbeat would tell of it; a lost one runs nothing.
fn node(id: &str, state: &str, slots: u32, running: &[(&str, u64)]) -> NodeView {
    let text = serde_json::json!({
        "id": id, "state": "active", "host": format!("host-of-{id}"), "pid": 7, "version": "0.1.0", "protocol": 1,
        "started_at": ago(7200).0, "queues": {"default": 1, "gpu": 3}, "types": ["noop"], "slots": slots,
        "running_count": running.len(), "stale_commits": 0, "labels": {"zone": "a"},
        "running": running.iter().map(|(task, seconds)| serde_json::json!({
            "id": task, "queue": "default", "type": "sleep", "attempt": 1, "started_at": ago(*seconds as i64).0,
        })).collect::<Vec<_>>(),
    });
    let seen = windlass_shared::store::inspect::SeenNode {
        id: NodeId::new(id).unwrap(),
        last_beat: ago(if state == "lost" { 600 } else { 1 }),
        record: serde_json::from_value(text).unwrap(),
        alive: state != "lost",
    };
    let mut view = seen.view(NOW);
    state.clone_into(&mut view.state);
    view
}

fn queue(name: &str, waiting: u64, paused: bool) -> QueueView {
    QueueView {
        queue: QueueName::new(name).unwrap(),
        partitions: 1,
        paused,
        pending: BTreeMap::from([
            ("critical", 0),
            ("high", 1.min(waiting)),
            ("low", 0),
            ("normal", waiting - 1.min(waiting)),
        ]),
        scheduled: 5,
        running: 3,
        parked: 0,
        blocked: 0,
        failed: 2,
        oldest_pending_ms: (waiting > 0).then_some(245_000),
        totals: BTreeMap::from([("completed".into(), 41_000), ("failed".into(), 2)]),
        max_length: None,
        concurrency: None,
        key_concurrency: 1,
        retention_ms: 0,
        dead_retention_ms: 0,
        events: 2000,
    }
}

fn failure(id: &str, seconds: i64, class: &str, message: &str) -> FailureRow {
    let error = serde_json::json!({"class": class, "message": message}).to_string();
    let fields = [("type", "llm"), ("state", "failed"), ("error", &error), ("attempt", "3"), ("node", "n-1")];
    let mut fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    fields.push(("finished_at".into(), ago(seconds).0.to_string()));
    let reference = TaskRef::parse(id, &QueueName::default_queue()).unwrap();
    FailureRow::of(TaskRecord::from_fields(reference, fields))
}

fn reading() -> Reading {
    let nodes = vec![
        node("n-1", "active", 4, &[("build", 200), ("lint", 3)]),
        node("n-2", "draining", 4, &[("deploy", 4000)]),
        node("n-3", "lost", 8, &[]),
        node("n-4", "quiet", 2, &[]),
    ];
    let queues = vec![queue("default", 1204, false), queue("gpu", 0, true), queue("mail", 7, false)];
    let failures = vec![
        failure("default/t-1", 30, "timeout", "it took longer than 30s"),
        failure("default/t-2", 90, "bad_request", "the model\u{1b}[2J refused"),
    ];
    assemble(NOW, nodes, queues, failures, &mut Before::default())
}

/// A screen that has seen the fleet.
fn state(now: Instant) -> State {
    let mut state = State::new("redis://127.0.0.1:6379".into(), Duration::from_secs(1), now);
    state.take(Update::Fleet(Box::new(reading())), now);
    state
}

fn press(state: &mut State, key: KeyCode, now: Instant) -> Effect {
    state.key(KeyEvent::new(key, KeyModifiers::NONE), now)
}

/// Types letters; gives what the last one led to.
fn type_in(state: &mut State, letters: &str, now: Instant) -> Effect {
    let mut effect = Effect::None;
    for letter in letters.chars() {
        effect = press(state, KeyCode::Char(letter), now);
    }
    effect
}

fn buffer(state: &mut State, now: Instant, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, state, now)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as text, of 80 columns and 24 rows.
fn drawn(state: &mut State, now: Instant) -> String {
    lines(&buffer(state, now, 80, 24))
}

fn lines(buffer: &Buffer) -> String {
    let row =
        |row: &[ratatui::buffer::Cell]| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>();
    let width = usize::from(buffer.area.width);
    buffer.content.chunks(width).map(row).map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn story(reference: &str, state: &str) -> Story {
    let error = r#"{"class":"timeout","message":"it took longer than 30s"}"#;
    let started = ago(60).0.to_string();
    let fields = [
        ("type", "command"),
        ("state", state),
        ("attempt", "2"),
        ("node", "n-1"),
        ("retries", "1"),
        ("payload", r#"{"argv":["cargo","test"]}"#),
        ("error", error),
        ("created_at", &started),
        ("started_at", &started),
    ];
    let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let reference = TaskRef::parse(reference, &QueueName::default_queue()).unwrap();
    Story {
        record: Some(Box::new(TaskRecord::from_fields(reference.clone(), fields))),
        reference,
        events: Vec::new(),
        at: NOW,
    }
}
