//! Queues as a list.

use ratatui::{style::Color, text::Line};

use super::{
    list::{Column, Item, age, bad, count, faint, rate, state, text},
    reading::QueueRow,
};

/// A column of numbers.
const fn number(
    title: &'static str,
    width: u16,
    from: u16,
    cell: fn(&QueueRow) -> Line<'static>,
    order: fn(&QueueRow, &QueueRow) -> std::cmp::Ordering,
) -> Column<QueueRow> {
    Column { title, least: width, most: width, right: true, from, cell, order }
}

impl Item for QueueRow {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            title: "QUEUE",
            least: 13,
            most: 30,
            right: false,
            from: 0,
            cell: |queue| text(queue.view.queue.as_str()),
            order: |a, b| a.view.queue.cmp(&b.view.queue),
        },
        Column {
            title: "STATE",
            least: 9,
            most: 9,
            right: false,
            from: 0,
            cell: |queue| state(word(queue)),
            order: |a, b| rank(a).cmp(&rank(b)),
        },
        number(
            "WAITING",
            9,
            0,
            |queue| count(queue.view.pending_count()),
            |a, b| b.view.pending_count().cmp(&a.view.pending_count()),
        ),
        number(
            "RUNNING",
            7,
            0,
            |queue| count(queue.view.running),
            |a, b| b.view.running.cmp(&a.view.running),
        ),
        number(
            "LATER",
            6,
            0,
            |queue| count(queue.view.scheduled),
            |a, b| b.view.scheduled.cmp(&a.view.scheduled),
        ),
        number("FAILED", 6, 0, |queue| bad(queue.view.failed), |a, b| b.view.failed.cmp(&a.view.failed)),
        number(
            "OLDEST",
            7,
            0,
            |queue| queue.view.oldest_pending_ms.map_or_else(|| faint("-"), |ms| text(age(ms))),
            |a, b| b.view.oldest_pending_ms.cmp(&a.view.oldest_pending_ms),
        ),
        number(
            "DONE/S",
            6,
            0,
            |queue| text(rate(queue.done_per_second)),
            |a, b| b.done_per_second.unwrap_or(0.0).total_cmp(&a.done_per_second.unwrap_or(0.0)),
        ),
        number("NODES", 6, 90, |queue| count(queue.nodes), |a, b| a.nodes.cmp(&b.nodes)),
        number("PARKED", 7, 100, |queue| count(queue.view.parked), |a, b| b.view.parked.cmp(&a.view.parked)),
        number(
            "BLOCKED",
            7,
            110,
            |queue| count(queue.view.blocked),
            |a, b| b.view.blocked.cmp(&a.view.blocked),
        ),
        number(
            "CRITICAL",
            8,
            130,
            |queue| count(pending(queue, "critical")),
            |a, b| pending(b, "critical").cmp(&pending(a, "critical")),
        ),
        number(
            "HIGH",
            8,
            130,
            |queue| count(pending(queue, "high")),
            |a, b| pending(b, "high").cmp(&pending(a, "high")),
        ),
    ];

    fn key(&self) -> &str {
        self.view.queue.as_str()
    }

    fn told(&self, words: &mut String) {
        words.push_str(self.view.queue.as_str());
        words.push(' ');
        words.push_str(word(self));
    }

    fn stands_out(&self) -> Option<Color> {
        self.is_deserted().then_some(Color::Red)
    }
}

/// What it is in, as a word. A backlog that nobody will ever take looks like one that is merely long: it is told apart.
pub(super) fn word(queue: &QueueRow) -> &'static str {
    match queue {
        queue if queue.view.paused => "paused",
        queue if queue.is_deserted() => "no node",
        _ => "open",
    }
}

fn rank(queue: &QueueRow) -> u8 {
    match word(queue) {
        "no node" => 0,
        "paused" => 1,
        _ => 2,
    }
}

/// Tasks of a priority that wait.
pub(super) fn pending(queue: &QueueRow, priority: &str) -> u64 {
    queue.view.pending.get(priority).copied().unwrap_or(0)
}
