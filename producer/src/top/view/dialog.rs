//! What is shown above the rest: a question, or the keys.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, BorderType, Clear, Padding, Paragraph, Widget, Wrap},
};

use crate::top::{act::Act, list::FAINT};

/// Asks whether something is really to be done.
pub(super) fn ask(buffer: &mut Buffer, area: Rect, act: &Act) {
    let question = act.question();
    let lines = vec![
        Line::styled(question.clone(), Modifier::BOLD),
        Line::from(act.means()),
        Line::default(),
        Line::from(vec![
            Span::styled("y", Modifier::BOLD),
            Span::styled(" yes    ", FAINT),
            Span::styled("n", Modifier::BOLD),
            Span::styled(" no", FAINT),
        ]),
    ];
    let wide = question.chars().count().max(act.means().len()) as u16 + 6;
    let width = wide.min(area.width.saturating_sub(4));
    // A long name takes a second line.
    let height = 6 + question.chars().count() as u16 / width.saturating_sub(6).max(1);
    boxed(buffer, area, (width, height), Color::Yellow, "", lines);
}

/// The keys.
pub(super) fn help(buffer: &mut Buffer, area: Rect) {
    const KEYS: &[(&str, &str)] = &[
        ("1 2 3 4, tab", "nodes, queues, running, failures"),
        ("enter, esc", "open what is under the cursor, go back"),
        ("↑ ↓ j k, pgup pgdn, g G", "move"),
        ("/", "filter: all words must be found (esc clears)"),
        ("s, S", "sort by the next column, the other way round"),
        ("space", "pause and go on reading"),
        ("", ""),
        ("u  d  r  x", "node: quiet, drain, resume, stop"),
        ("p  r", "queue: pause, resume"),
        ("c", "task: cancel"),
        ("r", "failed task: retry"),
        ("", "each asks first, and is in `windlass audit`"),
        ("", ""),
        ("q, ctrl-c", "quit"),
    ];
    let line = |(keys, does): &(&'static str, &'static str)| {
        Line::from(vec![Span::styled(format!("{keys:<24}"), Modifier::BOLD), Span::raw(*does)])
    };
    boxed(buffer, area, (76, KEYS.len() as u16 + 2), Color::Cyan, " Keys ", KEYS.iter().map(line).collect());
}

fn boxed(
    buffer: &mut Buffer,
    area: Rect,
    (width, height): (u16, u16),
    colour: Color,
    title: &'static str,
    lines: Vec<Line>,
) {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let (x, y) = (area.x + (area.width - width) / 2, area.y + (area.height - height) / 2);
    let place = Rect { x, y, width, height };
    Clear.render(place, buffer);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(Style::from(colour))
        .title(title)
        .padding(Padding::horizontal(2));
    Paragraph::new(lines).wrap(Wrap { trim: false }).block(block).render(place, buffer);
}
