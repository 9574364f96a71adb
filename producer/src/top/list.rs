//! Lists of things: their columns, what a filter finds, and their order. Screen and snapshot show the same ones.

use std::cmp::Ordering;

use ratatui::{
    style::{Color, Modifier, Style},
    text::{Line, Span},
};
use windlass_shared::model::time::human;

/// What a list shows of each thing in one place.
pub(super) struct Column<T: 'static> {
    pub(super) title: &'static str,
    /// Never narrower.
    pub(super) least: u16,
    /// Takes what is left, up to this.
    pub(super) most: u16,
    pub(super) right: bool,
    /// Only on screens so wide.
    pub(super) from: u16,
    pub(super) cell: fn(&T) -> Line<'static>,
    /// What a person looks for comes first.
    pub(super) order: fn(&T, &T) -> Ordering,
}

/// Something that is listed.
pub(super) trait Item: Sized + 'static {
    /// Its columns; the list is sorted by the first unless told otherwise.
    const COLUMNS: &'static [Column<Self>];

    /// By what it is told from others.
    fn key(&self) -> &str;

    /// Writes down in what a filter searches.
    fn told(&self, words: &mut String);

    /// The colour of the whole row, if it is to stand out.
    fn stands_out(&self) -> Option<Color> {
        None
    }
}

/// By which column, and which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) column: usize,
    pub(super) reversed: bool,
}

/// Which of the items are shown, in order: those that `belongs` lets through and that have each word of the filter.
pub(super) fn order<T: Item>(
    items: &[T],
    belongs: impl Fn(&T) -> bool,
    filter: &str,
    sort: Sort,
) -> Vec<usize> {
    let words: Vec<String> = filter.split_whitespace().map(str::to_ascii_lowercase).collect();
    let mut told = String::new();
    let mut found = |item: &T| {
        words.is_empty() || {
            told.clear();
            item.told(&mut told);
            told.make_ascii_lowercase();
            words.iter().all(|word| told.contains(word.as_str()))
        }
    };
    let mut rows: Vec<usize> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| belongs(item) && found(item))
        .map(|(row, _)| row)
        .collect();
    let Some(column) = T::COLUMNS.get(sort.column) else { return rows };
    rows.sort_unstable_by(|a, b| {
        let (a, b) = (&items[*a], &items[*b]);
        let order = (column.order)(a, b);
        (if sort.reversed { order.reverse() } else { order }).then_with(|| a.key().cmp(b.key()))
    });
    rows
}

/// A cell of plain text.
pub(super) fn text(text: impl Into<String>) -> Line<'static> {
    Line::from(text.into())
}

/// A cell that matters less than its neighbours.
pub(super) fn faint(text: impl Into<String>) -> Line<'static> {
    Line::from(Span::styled(text.into(), FAINT))
}

/// Dim, in the terminal's own colour: readable on light and dark.
pub(super) const FAINT: Style = Style::new().add_modifier(Modifier::DIM);

/// A number; nothing is faint, and what should be nothing is not.
pub(super) fn count(n: u64) -> Line<'static> {
    if n == 0 { faint("0") } else { text(grouped(n)) }
}

/// A number that should be zero.
pub(super) fn bad(n: u64) -> Line<'static> {
    if n == 0 { faint("0") } else { Line::from(Span::styled(grouped(n), Color::Red)) }
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate: `0.4`, `12`, `1,234`.
pub(super) fn rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(rate) if rate < 10.0 => format!("{rate:.1}"),
        Some(rate) => grouped(rate.round() as u64),
    }
}

/// How long ago, or for how long.
pub(super) fn age(ms: u64) -> String {
    human(std::time::Duration::from_millis(ms))
}

/// So many of so many, as a bar of `width`.
pub(super) fn bar(used: u64, of: u64, width: usize) -> [Span<'static>; 2] {
    let halves = if of == 0 { 0 } else { (used.min(of) as usize * width * 2).div_ceil(of as usize) };
    let mut full = "━".repeat(halves / 2);
    if halves % 2 == 1 {
        full.push('╸');
    }
    let rest = "─".repeat(width - halves.div_ceil(2));
    [Span::styled(full, Color::Cyan), Span::styled(rest, FAINT)]
}

/// A state as a mark and a word, in its colour.
pub(super) fn state(word: &str) -> Line<'static> {
    let (mark, style) = match word {
        "active" | "open" | "completed" => ("●", Style::from(Color::Green)),
        "running" => ("●", Color::Cyan.into()),
        "starting" => ("○", Color::Cyan.into()),
        "quiet" | "paused" | "cancelled" | "expired" => ("◌", Color::Yellow.into()),
        "draining" => ("◐", Color::Magenta.into()),
        "lost" | "failed" | "no node" => ("✗", Style::from(Color::Red).add_modifier(Modifier::BOLD)),
        _ => ("○", Style::new()),
    };
    Line::from(Span::styled(format!("{mark} {word}"), style))
}
