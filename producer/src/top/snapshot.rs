//! The same without a terminal: the fleet at one moment, as text or JSON.

use ratatui::text::Line;
use windlass_shared::store::Store;

use super::{
    feed::Feed,
    list::{Item, Sort, age, grouped, order},
    reading::{Fleet, Reading},
};
use crate::{
    exit::Done,
    output::{self, Format},
};

/// Rows of each list; JSON has all of them.
const ROWS: usize = 20;
/// As if the screen were so wide.
const WIDTH: u16 = 120;

/// Reads the fleet once and prints it.
pub(super) async fn print(store: Store, format: Format) -> Done {
    let reading = Feed::new(store).fleet().await?;
    match format {
        Format::Json | Format::Jsonl => output::json(&reading),
        Format::Table => text(&reading),
    }
}

fn text(reading: &Reading) -> Done {
    output::line(&glance(reading))?;
    list("Nodes", &reading.nodes, reading.nodes.len())?;
    list("Queues", &reading.queues, reading.queues.len())?;
    list("Running", &reading.running, reading.running.len())?;
    list("Failures", &reading.failures, reading.fleet.failed as usize)
}

/// The fleet in a line.
fn glance(reading: &Reading) -> String {
    let Fleet { nodes, slots, slots_used, pending, scheduled, failed, oldest_pending_ms, .. } =
        &reading.fleet;
    let nodes: Vec<String> = nodes.iter().map(|(state, n)| format!("{} {state}", grouped(*n))).collect();
    let nodes = if nodes.is_empty() { "none".to_owned() } else { nodes.join(", ") };
    let oldest = oldest_pending_ms.map(|ms| format!(" (oldest {})", age(ms))).unwrap_or_default();
    format!(
        "{}  nodes: {nodes}  slots: {slots_used}/{slots}  waiting: {pending}{oldest}  later: {scheduled}  failed: {failed}",
        reading.at
    )
}

/// The first rows of a list, in its usual order.
fn list<T: Item>(name: &str, items: &[T], all: usize) -> Done {
    output::line(&format!("\n{name}: {}", grouped(all as u64)))?;
    if items.is_empty() {
        return Ok(());
    }
    let rows = order(items, |_| true, "", Sort::default());
    let columns: Vec<_> = T::COLUMNS.iter().filter(|column| column.from <= WIDTH).collect();
    let heads: Vec<&str> = columns.iter().map(|column| column.title).collect();
    let row = |row: &usize| columns.iter().map(|column| plain(&(column.cell)(&items[*row]))).collect();
    output::table(&heads, rows.iter().take(ROWS).map(row))?;
    match all.saturating_sub(ROWS.min(rows.len())) {
        0 => Ok(()),
        more => output::line(&format!(" and {} more", grouped(more as u64))),
    }
}

/// A cell as text. What tasks and nodes say of themselves must not steer the terminal that it is printed on.
fn plain(cell: &Line) -> String {
    let text: String = cell.spans.iter().map(|span| span.content.as_ref()).collect();
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
