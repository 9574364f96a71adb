//! Nodes as a list.

use ratatui::{
    style::Color,
    text::{Line, Span},
};
use windlass_shared::store::inspect::NodeView;

use super::{
    list::{Column, Item, age, bar, faint, grouped, state, text},
    reading::NodeRow,
};

impl Item for NodeRow {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            title: "STATE",
            least: 10,
            most: 10,
            right: false,
            from: 0,
            cell: |node| state(&node.view.state),
            order: |a, b| rank(&a.view).cmp(&rank(&b.view)),
        },
        Column {
            title: "NODE",
            least: 14,
            most: 26,
            right: false,
            from: 0,
            cell: |node| text(node.view.id.as_str()),
            order: |a, b| a.view.id.as_str().cmp(b.view.id.as_str()),
        },
        Column {
            title: "HOST",
            least: 12,
            most: 28,
            right: false,
            from: 0,
            cell: |node| text(&*node.view.host),
            order: |a, b| a.view.host.cmp(&b.view.host),
        },
        Column {
            title: "SLOTS",
            least: 16,
            most: 16,
            right: false,
            from: 0,
            cell: |node| slots(&node.view),
            order: |a, b| used(&b.view).total_cmp(&used(&a.view)),
        },
        Column {
            title: "BEAT",
            least: 7,
            most: 7,
            right: true,
            from: 0,
            cell: |node| text(age(node.view.last_beat_ms)),
            order: |a, b| b.view.last_beat_ms.cmp(&a.view.last_beat_ms),
        },
        Column {
            title: "UP",
            least: 7,
            most: 7,
            right: true,
            from: 0,
            cell: up,
            // Who was there last is looked for after a deployment.
            order: |a, b| b.view.started_at.cmp(&a.view.started_at),
        },
        Column {
            title: "LONGEST TASK",
            least: 18,
            most: 28,
            right: false,
            from: 104,
            cell: |node| longest(&node.view),
            order: |a, b| longest_ms(&b.view).cmp(&longest_ms(&a.view)),
        },
        Column {
            title: "QUEUES",
            least: 10,
            most: 30,
            right: false,
            from: 120,
            cell: |node| faint(queues(&node.view)),
            order: |a, b| a.view.queues.cmp(&b.view.queues),
        },
        Column {
            title: "VERSION",
            least: 8,
            most: 10,
            right: false,
            from: 140,
            cell: |node| faint(&*node.view.version),
            order: |a, b| a.view.version.cmp(&b.view.version),
        },
        Column {
            title: "LABELS",
            least: 12,
            most: u16::MAX,
            right: false,
            from: 160,
            cell: |node| faint(labels(&node.view)),
            order: |a, b| a.view.labels.cmp(&b.view.labels),
        },
    ];

    fn key(&self) -> &str {
        self.view.id.as_str()
    }

    fn told(&self, words: &mut String) {
        for word in [self.view.id.as_str(), &self.view.state, &self.view.host, &self.view.version] {
            words.push_str(word);
            words.push(' ');
        }
        for queue in self.view.queues.keys() {
            words.push_str(queue);
            words.push(' ');
        }
        words.push_str(&labels(&self.view));
    }

    fn stands_out(&self) -> Option<Color> {
        (self.view.state == "lost").then_some(Color::Red)
    }
}

/// Trouble first.
fn rank(node: &NodeView) -> u8 {
    match node.state.as_str() {
        "lost" => 0,
        "draining" => 1,
        "quiet" => 2,
        "starting" => 3,
        _ => 4,
    }
}

fn used(node: &NodeView) -> f64 {
    if node.slots == 0 { 0.0 } else { f64::from(node.running_count) / f64::from(node.slots) }
}

fn slots(node: &NodeView) -> Line<'static> {
    if node.state == "lost" {
        return faint("-");
    }
    let [full, rest] = bar(node.running_count.into(), node.slots.into(), 8);
    let numbers = format!(" {}/{}", grouped(node.running_count.into()), grouped(node.slots.into()));
    Line::from(vec![full, rest, Span::raw(numbers)])
}

/// For how long it has been there.
fn up(node: &NodeRow) -> Line<'static> {
    node.up_ms.map_or_else(|| faint("-"), |ms| text(age(ms)))
}

fn longest_ms(node: &NodeView) -> u64 {
    node.running.iter().map(|task| task.elapsed_ms).max().unwrap_or(0)
}

fn longest(node: &NodeView) -> Line<'static> {
    let longest = node.running.iter().max_by_key(|task| task.elapsed_ms);
    longest.map_or_else(|| faint("-"), |task| text(format!("{} {}", age(task.elapsed_ms), task.task_type)))
}

/// Its queues, with weights other than one.
pub(super) fn queues(node: &NodeView) -> String {
    let one = |(queue, weight): (&String, &u32)| {
        if *weight == 1 { queue.clone() } else { format!("{queue}={weight}") }
    };
    node.queues.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Its labels.
pub(super) fn labels(node: &NodeView) -> String {
    node.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}
