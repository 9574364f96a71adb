//! What goes to stdout: JSON, JSON Lines, or a table for people. Everything else goes to stderr.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::exit::{Done, Failure};

/// A format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One value: an object for one thing asked for by name, an array otherwise.
    Json,
    /// One object a line.
    Jsonl,
}

/// Writes one JSON value and a line end.
pub(crate) fn json(value: &impl Serialize) -> Done {
    let text = serde_json::to_string(value).map_err(|error| Failure::NotDone(error.to_string()))?;
    line(&text)
}

/// Writes JSON Lines, all in one piece: a write for each line would cost more than the line.
pub(crate) fn jsonl<T: Serialize>(items: &[T]) -> Done {
    let mut text = Vec::new();
    for item in items {
        serde_json::to_writer(&mut text, item).map_err(|error| Failure::NotDone(error.to_string()))?;
        text.push(b'\n');
    }
    Ok(io::stdout().lock().write_all(&text)?)
}

/// Writes a line.
pub(crate) fn line(text: &str) -> Done {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Makes sure that what was written is out, even if stdout is a pipe.
pub(crate) fn flush() -> Done {
    Ok(io::stdout().lock().flush()?)
}

/// Writes a listing in the format; `row` gives the cells of a table's row under `head`.
pub(crate) fn list<T: Serialize>(
    format: Format,
    items: &[T],
    head: &[&str],
    row: impl Fn(&T) -> Vec<String>,
) -> Done {
    match format {
        Format::Json => json(&items),
        Format::Jsonl => jsonl(items),
        Format::Table => table(head, items.iter().map(row)),
    }
}

/// Writes what was asked for: one object if one thing was asked for, otherwise as a listing.
pub(crate) fn asked<T: Serialize>(
    format: Format,
    one: bool,
    items: &[T],
    head: &[&str],
    row: impl Fn(&T) -> Vec<String>,
) -> Done {
    match items {
        [item] if one && format == Format::Json => json(item),
        items => list(format, items, head, row),
    }
}

/// Rows that are fitted to a terminal: a longer table is looked through by other means, and fitting it takes long.
const FITTED: usize = 1000;

/// Writes a table. On a terminal it fits the width; in a pipe, or when it is long, its columns stay whole.
pub(crate) fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Done {
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.len() > FITTED || !io::IsTerminal::is_terminal(&io::stdout()) {
        return whole(head, &rows);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(head.to_vec());
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    for row in rows {
        table.add_row(row);
    }
    // Trailing blanks of the last column help nobody.
    for text in table.to_string().lines() {
        line(text.trim_end())?;
    }
    Ok(())
}

/// Each row is a line, each column as wide as its widest cell.
fn whole(head: &[&str], rows: &[Vec<String>]) -> Done {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.width()).collect();
    for row in rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.width()));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut text = String::new();
    let mut write = |cells: &mut dyn Iterator<Item = &str>| -> Done {
        text.clear();
        for (cell, width) in cells.zip(&widths) {
            text.push(' ');
            text.extend(cell.chars().map(|c| if c.is_control() { ' ' } else { c }));
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 1));
        }
        Ok(writeln!(out, "{}", text.trim_end())?)
    };
    write(&mut head.iter().copied())?;
    for row in rows {
        write(&mut row.iter().map(String::as_str))?;
    }
    Ok(out.flush()?)
}

/// A line for people, on stderr.
macro_rules! say {
    ($($arg:tt)*) => { anstream::eprintln!($($arg)*) };
}
pub(crate) use say;
