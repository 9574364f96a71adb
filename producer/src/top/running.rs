//! Running tasks as a list.

use super::{
    list::{Column, Item, age, faint, text},
    reading::RunningRow,
};

impl Item for RunningRow {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            title: "TIME",
            least: 8,
            most: 8,
            right: true,
            from: 0,
            cell: |task| text(age(task.elapsed_ms)),
            order: |a, b| b.elapsed_ms.cmp(&a.elapsed_ms),
        },
        Column {
            title: "TASK",
            least: 24,
            most: 60,
            right: false,
            from: 0,
            cell: |task| text(&*task.reference),
            order: |a, b| a.reference.cmp(&b.reference),
        },
        Column {
            title: "TYPE",
            least: 10,
            most: 16,
            right: false,
            from: 0,
            cell: |task| text(&*task.task_type),
            order: |a, b| a.task_type.cmp(&b.task_type),
        },
        Column {
            title: "TRY",
            least: 3,
            most: 3,
            right: true,
            from: 0,
            cell: |task| if task.attempt > 1 { text(task.attempt.to_string()) } else { faint("1") },
            order: |a, b| b.attempt.cmp(&a.attempt),
        },
        Column {
            title: "NODE",
            least: 14,
            most: 26,
            right: false,
            from: 0,
            cell: |task| faint(&*task.node),
            order: |a, b| a.node.cmp(&b.node),
        },
        Column {
            title: "HOST",
            least: 12,
            most: 30,
            right: false,
            from: 110,
            cell: |task| faint(&*task.host),
            order: |a, b| a.host.cmp(&b.host),
        },
    ];

    fn key(&self) -> &str {
        &self.reference
    }

    fn told(&self, words: &mut String) {
        for word in [&*self.reference, &self.task_type, &self.node, &self.host] {
            words.push_str(word);
            words.push(' ');
        }
    }
}
