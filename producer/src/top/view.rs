//! Draws the screen: from the state alone, and only what is on it.

mod dialog;
mod head;
mod page;
mod story;
mod table;

use std::time::{Duration, Instant};

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
};
use windlass_shared::model::time::human;

use super::{
    list::{FAINT, grouped},
    state::{Kind, Mode, Page, State, View},
};

/// Below that there is nothing useful to see.
const LEAST: (u16, u16) = (40, 10);

/// Draws it all.
pub(super) fn draw(frame: &mut Frame, state: &mut State, now: Instant) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    state.width = area.width;
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let words = format!("windlass top needs {} columns and {} rows", LEAST.0, LEAST.1);
        buffer.set_line(area.x, area.y, &Line::from(words), area.width);
        return;
    }
    let trouble = trouble(state, now, area.width);
    let parts = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(u16::from(trouble.is_some())),
        Constraint::Length(1),
    ]);
    let [head, tabs, body, banner, foot] = parts.areas(area);
    head::draw(buffer, head, state, now);
    head::tabs(buffer, tabs, state);
    page::draw(buffer, body, state);
    if let Some(trouble) = trouble {
        buffer.set_line(banner.x, banner.y, &trouble, banner.width);
    }
    draw_foot(buffer, foot, state, now);
    match &state.mode {
        Mode::Asking(act) => dialog::ask(buffer, area, act),
        Mode::Help => dialog::help(buffer, area),
        Mode::Looking | Mode::Filtering => {}
    }
}

/// Takes all colours out, for `NO_COLOR`. What is bold, dim or reversed stays.
pub(super) fn without_colours(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
    }
}

/// What is wrong with Redis, so that both ends of the sentence are seen.
fn trouble(state: &State, now: Instant, width: u16) -> Option<Line<'static>> {
    let (why, silent) = state.trouble(now)?;
    let ago = human(Duration::from_secs(silent.as_secs()));
    let ago = ago.strip_suffix(".0s").map_or_else(|| ago.clone(), |seconds| format!("{seconds} s"));
    let (start, end) = (" Redis cannot be reached: ", format!(", last seen {ago} ago"));
    let room = usize::from(width).saturating_sub(start.len() + end.len() + 1);
    let why: String = match why.chars().count() {
        n if n <= room => why.to_owned(),
        _ => why.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
    };
    let style = Style::from(Color::Red).add_modifier(Modifier::BOLD);
    Some(Line::from(Span::styled(format!("{start}{why}{end}"), style)))
}

/// The last line: the filter that is typed, how an act went, or the keys.
fn draw_foot(buffer: &mut Buffer, area: Rect, state: &State, now: Instant) {
    let line = match (&state.mode, state.told(now)) {
        (Mode::Filtering, _) => Line::from(vec![
            Span::styled(" /", Modifier::BOLD),
            Span::raw(state.place().filter.clone()),
            Span::styled(" ", Modifier::REVERSED),
            Span::styled(format!(" {}  enter keeps it, esc clears it", found(state)), FAINT),
        ]),
        (_, Some(told)) => {
            let (mark, colour) = match told.kind {
                Kind::Going => ("…", Color::Cyan),
                Kind::Good => ("✓", Color::Green),
                Kind::Bad => ("✗", Color::Red),
            };
            Line::from(Span::styled(format!(" {mark} {}", told.text.replace('\n', " ")), colour))
        }
        _ if state.place().filter.is_empty() => hints(&state.place().page),
        _ => {
            let filter = Span::styled(format!(" /{}", state.place().filter), Color::Yellow);
            let mut spans = vec![filter, Span::styled(format!("  {} ", found(state)), FAINT)];
            spans.extend(hints(&state.place().page).spans);
            Line::from(spans)
        }
    };
    buffer.set_line(area.x, area.y, &line, area.width);
}

/// How many the filter lets through.
fn found(state: &State) -> String {
    format!("{} found", grouped(state.place().rows.len() as u64))
}

/// The keys that matter here.
fn hints(page: &Page) -> Line<'static> {
    const NODE: &[(&str, &str)] = &[("u", "quiet"), ("d", "drain"), ("r", "resume"), ("x", "stop")];
    const QUEUE: &[(&str, &str)] = &[("p", "pause"), ("r", "resume")];
    const CANCEL: &[(&str, &str)] = &[("c", "cancel")];
    const LIST: &[(&str, &str)] = &[("↵", "open"), ("/", "filter"), ("s", "sort")];
    const BACK: &[(&str, &str)] = &[("esc", "back")];
    let here: [&[(&str, &str)]; 3] = match page {
        Page::List(View::Nodes) => [LIST, NODE, &[]],
        Page::List(View::Queues) => [LIST, QUEUE, &[]],
        Page::List(View::Running) => [LIST, CANCEL, &[]],
        Page::List(View::Failures) => [LIST, &[("r", "retry")], &[]],
        Page::Node(_) => [BACK, NODE, CANCEL],
        Page::Queue(_) => [BACK, QUEUE, CANCEL],
        Page::Task(_) => [BACK, &[("r", "retry"), ("c", "cancel")], &[("↑↓", "scroll")]],
    };
    let all = here.into_iter().flatten().chain(&[("?", "help"), ("q", "quit")]);
    let mut spans = vec![Span::raw(" ")];
    for (key, does) in all {
        spans.push(Span::styled(*key, Modifier::BOLD));
        spans.push(Span::styled(format!(" {does}  "), FAINT));
    }
    Line::from(spans)
}
