//! The newest of the dead letter as a list.

use ratatui::{
    style::Color,
    text::{Line, Span},
};

use super::{
    list::{Column, Item, age, faint, text},
    reading::FailureRow,
};

impl Item for FailureRow {
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            title: "AGO",
            least: 7,
            most: 7,
            right: true,
            from: 0,
            cell: |task| text(age(task.age_ms)),
            order: |a, b| b.finished_at.cmp(&a.finished_at),
        },
        Column {
            title: "TASK",
            least: 19,
            most: 44,
            right: false,
            from: 0,
            cell: |task| text(&*task.reference),
            order: |a, b| a.reference.cmp(&b.reference),
        },
        Column {
            title: "TYPE",
            least: 8,
            most: 14,
            right: false,
            from: 0,
            cell: |task| text(&*task.task_type),
            order: |a, b| a.task_type.cmp(&b.task_type),
        },
        Column {
            title: "CLASS",
            least: 10,
            most: 16,
            right: false,
            from: 0,
            cell: |task| Line::from(Span::styled(task.class.clone(), Color::Red)),
            order: |a, b| a.class.cmp(&b.class),
        },
        Column {
            title: "MESSAGE",
            least: 20,
            most: u16::MAX,
            right: false,
            from: 0,
            cell: |task| faint(first_line(&task.message)),
            order: |a, b| a.message.cmp(&b.message),
        },
    ];

    fn key(&self) -> &str {
        &self.reference
    }

    fn told(&self, words: &mut String) {
        for word in [&self.reference, &self.task_type, &self.class, &self.node, &self.message] {
            words.push_str(word);
            words.push(' ');
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()
}
