//! The fleet in three lines, and the names of the lists.

use std::time::Instant;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::{Line, Span},
};

use crate::top::{
    list::{FAINT, age, bar, grouped, rate},
    reading::{Fleet, Reading},
    state::{State, View},
};

/// Draws where Redis is, and the fleet at a glance.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State, now: Instant) {
    let name = Line::from(vec![
        Span::styled(" windlass ", Modifier::BOLD),
        Span::styled(format!(" {}", state.redis), FAINT),
    ]);
    both(buffer, area, 0, &name, &pulse(state, now));
    let Some(reading) = state.reading.as_deref() else {
        buffer.set_line(
            area.x,
            area.y + 1,
            &Line::from(Span::styled(" reading the fleet …", FAINT)),
            area.width,
        );
        return;
    };
    both(buffer, area, 1, &nodes(&reading.fleet), &slots(&reading.fleet));
    both(buffer, area, 2, &work(&reading.fleet), &done(&reading.fleet, state));
}

/// A line with something at its left and something at its right end.
fn both(buffer: &mut Buffer, area: Rect, row: u16, left: &Line, right: &Line) {
    let width = u16::try_from(right.width()).unwrap_or(area.width).min(area.width);
    buffer.set_line(area.x, area.y + row, left, area.width.saturating_sub(width + 1));
    buffer.set_line(area.right() - width, area.y + row, right, width);
}

/// Whether what is shown is true now.
fn pulse(state: &State, now: Instant) -> Line<'static> {
    let clock = state.reading.as_deref().map(clock).unwrap_or_default();
    let (mark, style) = match (state.trouble(now), state.paused) {
        (Some(_), _) => ("✗ no answer", Style::from(Color::Red).add_modifier(Modifier::BOLD)),
        (None, true) => ("‖ paused", Color::Yellow.into()),
        (None, false) => ("● live", Color::Green.into()),
    };
    Line::from(vec![Span::styled(mark, style), Span::styled(format!("  {clock} "), FAINT)])
}

/// Redis's clock, when the reading was made.
fn clock(reading: &Reading) -> String {
    let at = reading.at.to_string();
    at.get(11..19).map(|time| format!("{time} UTC")).unwrap_or_default()
}

fn nodes(fleet: &Fleet) -> Line<'static> {
    let mut spans = vec![Span::styled(" Nodes  ", FAINT)];
    for (state, colour) in [
        ("active", Color::Green),
        ("starting", Color::Cyan),
        ("quiet", Color::Yellow),
        ("draining", Color::Magenta),
        ("lost", Color::Red),
    ] {
        let count = fleet.nodes.get(state).copied().unwrap_or(0);
        if count == 0 && state != "active" {
            continue;
        }
        let style = match state {
            "active" if count == 0 => Style::from(Color::Red).add_modifier(Modifier::BOLD),
            "lost" => Style::from(colour).add_modifier(Modifier::BOLD),
            _ => colour.into(),
        };
        spans.push(Span::styled(grouped(count), style));
        spans.push(Span::raw(format!(" {state}  ")));
    }
    Line::from(spans)
}

fn slots(fleet: &Fleet) -> Line<'static> {
    let [full, rest] = bar(fleet.slots_used, fleet.slots, 16);
    let numbers = format!("  {}/{} ", grouped(fleet.slots_used), grouped(fleet.slots));
    Line::from(vec![Span::styled("Slots  ", FAINT), full, rest, Span::raw(numbers)])
}

fn work(fleet: &Fleet) -> Line<'static> {
    let mut spans =
        vec![Span::styled(" Tasks  ", FAINT), Span::raw(format!("{} waiting", grouped(fleet.pending)))];
    if let Some(oldest) = fleet.oldest_pending_ms {
        spans.push(Span::styled(format!(", oldest {}", age(oldest)), FAINT));
    }
    if fleet.scheduled > 0 {
        spans.push(Span::raw(format!("  {} later", grouped(fleet.scheduled))));
    }
    if fleet.failed > 0 {
        spans.push(Span::styled(format!("  {} failed", grouped(fleet.failed)), Color::Red));
    }
    Line::from(spans)
}

fn done(fleet: &Fleet, state: &State) -> Line<'static> {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = state.rates.iter().copied().max().unwrap_or(0).max(1);
    let level = |rate: &u64| LEVELS[(rate * 7).div_ceil(most) as usize % LEVELS.len()];
    let line: String = state.rates.iter().map(level).collect();
    Line::from(vec![
        Span::styled(line, Color::Cyan),
        Span::raw(format!("  {}", rate(fleet.done_per_second))),
        Span::styled(" done/s ", FAINT),
    ])
}

/// The lists, with the keys that open them and how long they are.
pub(super) fn tabs(buffer: &mut Buffer, area: Rect, state: &State) {
    let reading = state.reading.as_deref();
    let mut spans = vec![Span::raw(" ")];
    for (number, view) in (1..).zip(View::ALL) {
        let length = reading.map_or(0, |reading| match view {
            View::Nodes => reading.nodes.len() as u64,
            View::Queues => reading.queues.len() as u64,
            View::Running => reading.nodes.iter().map(|node| u64::from(node.view.running_count)).sum(),
            View::Failures => reading.fleet.failed,
        });
        let name = format!(" {number} {} {} ", view.title(), grouped(length));
        let style = if view == state.view() {
            Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
        } else {
            FAINT
        };
        spans.push(Span::styled(name, style));
        spans.push(Span::raw(" "));
    }
    buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
}
