//! One task, whole: what it is, what happened to it, what it was given and what it gave.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier},
    text::{Line, Span},
};
use windlass_shared::model::{Micros, TaskRecord, TaskRef, Transition, state};

use super::page::{fact, title};
use crate::top::{
    list::{FAINT, age},
    reading::Story,
    state::{Page, State},
};

/// Of a longer text the beginning is shown: `windlass status` prints it whole.
const MOST_LINES: usize = 400;
/// Bytes of JSON that are laid out anew each time.
const MOST_PRETTY: usize = 128 * 1024;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &mut State) {
    let Page::Task(task) = state.place().page.clone() else { return };
    let story = state.story.as_deref().filter(|story| story.reference == task);
    let lines = match story {
        Some(story) => tell(story, usize::from(area.width)),
        None => vec![title("Task", &task.to_string(), "…")],
    };
    let place = state.place_mut();
    place.height = usize::from(area.height);
    place.at = place.at.min(lines.len().saturating_sub(place.height));
    for (y, line) in (area.y..area.bottom()).zip(&lines[place.at..]) {
        buffer.set_line(area.x, y, line, area.width);
    }
    let hidden = lines.len().saturating_sub(place.at + place.height);
    if hidden > 0 {
        let more = Line::styled(format!(" {hidden} more ↓ "), FAINT);
        let width = more.width() as u16;
        buffer.set_line(area.right() - width, area.bottom() - 1, &more, width);
    }
}

/// The story, line by line.
pub(super) fn tell(story: &Story, width: usize) -> Vec<Line<'static>> {
    let reference = story.reference.to_string();
    let Some(task) = story.record.as_deref() else {
        return vec![
            title("Task", &reference, "gone"),
            fact("", "There is no such task any more: its record was deleted, or its retention is over."),
        ];
    };
    let word = task.state.map(|state| state.to_string()).unwrap_or_default();
    let mut lines = vec![title("Task", &reference, &word)];
    lines.extend(facts(task, story.at));
    if let Some(error) = &task.error {
        lines.push(Line::default());
        head(&mut lines, "Error");
        let class = Line::from(vec![Span::raw("  "), Span::styled(error.class.clone(), Color::Red)]);
        lines.push(class);
        wrapped(&mut lines, &error.message, width);
    }
    happened(&mut lines, &story.reference, &story.events);
    for (name, text) in [
        ("Progress", task.progress.as_deref()),
        ("Result", task.result.as_deref()),
        ("Left by attempts", task.ledger.as_deref().filter(|_| task.result.is_none())),
        ("Payload", Some(task.payload.as_str()).filter(|text| !text.is_empty())),
    ] {
        if let Some(text) = text {
            lines.push(Line::default());
            head(&mut lines, name);
            wrapped(&mut lines, &pretty(text), width);
        }
    }
    lines
}

fn head(lines: &mut Vec<Line<'static>>, name: &'static str) {
    lines.push(Line::styled(format!("  {name}"), Modifier::BOLD));
}

fn facts(task: &TaskRecord, now: Micros) -> Vec<Line<'static>> {
    let when = |at: Micros| {
        let ms = u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
        format!("{}  {} ago", moment(at), age(ms))
    };
    let counts = [
        ("retried", task.retries),
        ("lease lost", task.crashes),
        ("handed back", task.interruptions),
        ("waited", task.waits),
    ];
    let counts = counts.iter().filter(|(_, n)| *n > 0).map(|(word, n)| format!(", {word} {n}×"));
    let mut lines = vec![
        fact("Type", format!("{}, priority {}", task.task_type, task.priority)),
        fact("Why", task.reason.clone()),
        fact("Attempt", format!("{}{}", task.attempt, counts.collect::<String>())),
    ];
    let named = [
        ("Node", &task.node),
        ("Tenant", &task.tenant),
        ("Batch", &task.batch),
        ("Key", &task.concurrency_key),
    ];
    lines.extend(named.into_iter().filter_map(|(name, value)| Some(fact(name, value.clone()?))));
    lines.push(fact("Submitted", when(task.created_at)));
    let moments = [("Started", task.started_at), ("Finished", task.finished_at)];
    lines.extend(moments.into_iter().filter_map(|(name, at)| Some(fact(name, when(at?)))));
    lines.extend(task.due_at.map(|at| fact("Due", moment(at))));
    lines.extend(task.fault.iter().map(|fault| fact("Fault", Line::styled(fault.clone(), Color::Red))));
    lines
        .extend(task.unread.iter().map(|unread| fact("Unread", format!("{}: {}", unread.field, unread.why))));
    lines
}

fn happened(lines: &mut Vec<Line<'static>>, task: &TaskRef, events: &[Transition]) {
    lines.push(Line::default());
    head(lines, "What happened");
    if events.is_empty() {
        let gone = format!("  The event log of queue {} knows nothing of it any more.", task.queue);
        lines.push(Line::styled(gone, FAINT));
    }
    for event in events {
        let to = event.to.map_or("none", state::State::as_str);
        let mut spans = vec![
            Span::styled(format!("  {}  ", moment(event.at)), FAINT),
            Span::styled(format!("{:>9} → ", state::word(event.from)), FAINT),
            Span::raw(format!("{to:<9}  {:<13} ", event.reason)),
        ];
        spans.push(Span::styled(event.by.clone(), FAINT));
        lines.push(Line::from(spans));
    }
}

/// `2026-11-29 01:44:11`.
fn moment(at: Micros) -> String {
    at.to_string().chars().take(19).collect::<String>().replace('T', " ")
}

/// JSON over several lines; anything else, and what is very long, as it is.
fn pretty(text: &str) -> String {
    if text.len() > MOST_PRETTY {
        return text.to_owned();
    }
    serde_json::from_str::<serde_json::Value>(text)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| text.to_owned())
}

/// Text in lines that fit, as far as it is shown.
fn wrapped(lines: &mut Vec<Line<'static>>, text: &str, width: usize) {
    let room = width.saturating_sub(5).max(20);
    let mut count = 0;
    for line in text.lines() {
        let letters: Vec<char> = line.chars().collect();
        for piece in letters.chunks(room) {
            lines.push(Line::from(format!("  {}", piece.iter().collect::<String>())));
            count += 1;
            if count == MOST_LINES {
                lines.push(Line::styled("  … the rest: `windlass status`", FAINT));
                return;
            }
        }
    }
}
