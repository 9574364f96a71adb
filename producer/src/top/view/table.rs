//! A list on the screen: its columns in the width that there is, and of its rows those that are seen.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::Line,
};

use crate::top::{
    list::{Column, FAINT, Item},
    state::Place,
};

const MARGIN: u16 = 2;
const GAP: u16 = 2;

/// Draws the items in the rows of `place`; `nothing` says why there are none.
pub(super) fn draw<T: Item>(buffer: &mut Buffer, area: Rect, items: &[T], place: &mut Place, nothing: &str) {
    if area.height < 2 {
        return;
    }
    let columns = fit(T::COLUMNS, area.width);
    heads(buffer, area, &columns, place);
    place.height = usize::from(area.height - 1);
    keep_in_sight(place);
    if place.rows.is_empty() {
        let why = if place.filter.is_empty() { nothing } else { "Nothing matches the filter." };
        buffer.set_line(
            area.x + MARGIN,
            area.y + 2,
            &Line::styled(why.to_owned(), FAINT),
            area.width - MARGIN,
        );
        return;
    }
    let seen = place.rows.iter().enumerate().skip(place.first).take(place.height);
    for (y, (number, row)) in (area.y + 1..area.bottom()).zip(seen) {
        let Some(item) = items.get(*row) else { continue };
        for (column, x, width) in &columns {
            put(buffer, (*x + area.x, y), *width, &(column.cell)(item), column.right);
        }
        let whole = Rect { y, height: 1, ..area };
        let colour = item.stands_out();
        if let Some(colour) = colour {
            buffer.set_style(whole, colour);
        }
        if number == place.at {
            buffer.set_string(area.x, y, "›", Modifier::BOLD);
            let plain = Style::new().fg(colour.unwrap_or(Color::Reset)).remove_modifier(Modifier::DIM);
            buffer.set_style(whole, plain.add_modifier(Modifier::REVERSED));
        }
    }
}

/// The cursor is always on the screen.
fn keep_in_sight(place: &mut Place) {
    let last = place.rows.len().saturating_sub(place.height);
    place.first = place.first.min(place.at).max((place.at + 1).saturating_sub(place.height)).min(last);
}

type Fitted<T> = Vec<(&'static Column<T>, u16, u16)>;

/// Where each column goes, and how wide it is: those that the width has room for.
fn fit<T>(columns: &'static [Column<T>], width: u16) -> Fitted<T> {
    let mut fitted: Fitted<T> = Vec::new();
    let mut used = MARGIN;
    for column in columns.iter().filter(|column| column.from <= width) {
        let gap = if fitted.is_empty() { 0 } else { GAP };
        if used + gap + column.least > width {
            break;
        }
        used += gap + column.least;
        fitted.push((column, 0, column.least));
    }
    let mut left = width - used;
    let mut x = MARGIN;
    for (column, at, width) in &mut fitted {
        let more = left.min(column.most - column.least);
        (left, *width) = (left - more, *width + more);
        *at = x;
        x += *width + GAP;
    }
    fitted
}

fn heads<T>(buffer: &mut Buffer, area: Rect, columns: &Fitted<T>, place: &Place) {
    for (number, (column, x, width)) in columns.iter().enumerate() {
        let sorted = number == place.sort.column;
        let style = if sorted { Style::new().add_modifier(Modifier::BOLD) } else { FAINT };
        let title = Line::styled(column.title, style);
        put(buffer, (area.x + x, area.y), *width, &title, column.right);
        if sorted {
            let length = if column.right { *width } else { column.title.len() as u16 };
            let arrow = if place.sort.reversed { "▴" } else { "▾" };
            buffer.set_stringn(area.x + x + length, area.y, arrow, 1, style);
        }
    }
}

/// A cell in its column; what is too long ends with an ellipsis.
fn put(buffer: &mut Buffer, (x, y): (u16, u16), width: u16, cell: &Line, right: bool) {
    let wide = cell.width();
    if wide > usize::from(width) {
        let (x, _) = buffer.set_line(x, y, cell, width.saturating_sub(1));
        buffer.set_string(x, y, "…", FAINT);
        return;
    }
    let shift = if right { width - wide as u16 } else { 0 };
    buffer.set_line(x + shift, y, cell, width - shift);
}
