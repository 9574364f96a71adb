//! What is under the names of the lists: a list, or a thing that was opened.

use std::fmt::Write as _;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::Modifier,
    text::{Line, Span},
};
use windlass_shared::model::{NodeId, QueueName};

use super::{story, table};
use crate::top::{
    list::{FAINT, age, bar, grouped, rate, state as state_of},
    nodes, queues,
    reading::{NodeRow, QueueRow, Reading},
    state::{Page, Place, State, View},
};

pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &mut State) {
    if matches!(state.place().page, Page::Task(_)) {
        return story::draw(buffer, area, state);
    }
    // Taken out while its rows are drawn, since the place learns how many of them fit.
    let Some(reading) = state.reading.take() else { return };
    let place = state.place_mut();
    match place.page.clone() {
        Page::List(view) => list(buffer, area, &reading, view, place),
        Page::Node(id) => opened(buffer, area, &reading, &node(&reading, &id), place),
        Page::Queue(name) => opened(buffer, area, &reading, &queue(&reading, &name), place),
        Page::Task(_) => {}
    }
    state.reading = Some(reading);
}

fn list(buffer: &mut Buffer, area: Rect, reading: &Reading, view: View, place: &mut Place) {
    match view {
        View::Nodes => {
            let nothing = "No node is there: start windlass-worker, or `windlass dev`.";
            table::draw(buffer, area, &reading.nodes, place, nothing);
        }
        View::Queues => {
            let nothing = "No queue is known yet: `windlass submit` makes the first.";
            table::draw(buffer, area, &reading.queues, place, nothing);
        }
        View::Running => table::draw(buffer, area, &reading.running, place, "Nothing runs."),
        View::Failures => table::draw(buffer, area, &reading.failures, place, "Nothing failed."),
    }
}

/// Some lines about a thing, and the tasks that run on it.
fn opened(buffer: &mut Buffer, area: Rect, reading: &Reading, about: &[Line], place: &mut Place) {
    let height = u16::try_from(about.len()).unwrap_or(0);
    let [top, _, below] =
        Layout::vertical([Constraint::Length(height), Constraint::Length(1), Constraint::Min(2)]).areas(area);
    for (y, line) in (top.y..top.bottom()).zip(about) {
        buffer.set_line(top.x, y, line, top.width);
    }
    table::draw(buffer, below, &reading.running, place, "Nothing runs here.");
}

/// A name and its value.
pub(super) fn fact(name: &'static str, value: impl Into<Line<'static>>) -> Line<'static> {
    let mut spans = vec![Span::styled(format!("  {name:<11}"), FAINT)];
    spans.extend(value.into().spans);
    Line::from(spans)
}

/// The first line of a page: what it is, and its state.
pub(super) fn title(kind: &'static str, name: &str, state: &str) -> Line<'static> {
    let mut spans = vec![
        Span::styled(format!("  {kind} "), FAINT),
        Span::styled(name.to_owned(), Modifier::BOLD),
        Span::raw("  "),
    ];
    spans.extend(state_of(state).spans);
    Line::from(spans)
}

fn node(reading: &Reading, id: &NodeId) -> Vec<Line<'static>> {
    let Some(NodeRow { view, up_ms }) = reading.nodes.iter().find(|node| node.view.id == *id) else {
        return vec![title("Node", id.as_str(), "gone"), fact("", "It left the fleet.")];
    };
    let up = up_ms.map(age).unwrap_or_default();
    let [full, rest] = bar(view.running_count.into(), view.slots.into(), 24);
    let slots = Span::raw(format!("  {}/{}", view.running_count, view.slots));
    let about = format!("{}, process {}, version {}", view.host, view.pid, view.version);
    let types = view.types.join(", ");
    let (queues, labels) = (nodes::queues(view), nodes::labels(view));
    let mut lines = vec![
        title("Node", id.as_str(), &view.state),
        fact("Host", about),
        fact("Alive", format!("last beat {} ago, there for {up}", age(view.last_beat_ms))),
        fact("Slots", Line::from(vec![full, rest, slots])),
        fact("Queues", queues),
        fact("Types", types),
    ];
    if !labels.is_empty() {
        lines.push(fact("Labels", labels));
    }
    if view.stale_commits > 0 {
        let stale = format!("{} results came too late: their leases were gone", grouped(view.stale_commits));
        lines.push(fact("Stale", stale));
    }
    lines
}

fn queue(reading: &Reading, name: &QueueName) -> Vec<Line<'static>> {
    let Some(row) = reading.queues.iter().find(|queue| queue.view.queue == *name) else {
        return vec![title("Queue", name.as_str(), "gone")];
    };
    let view = &row.view;
    let waiting = ["critical", "high", "normal", "low"]
        .map(|priority| format!("{} {priority}", grouped(queues::pending(row, priority))))
        .join("  ");
    let oldest = view.oldest_pending_ms.map(|ms| format!("   oldest {}", age(ms))).unwrap_or_default();
    let others = [
        ("later", view.scheduled),
        ("parked", view.parked),
        ("blocked", view.blocked),
        ("failed", view.failed),
    ];
    let others = others.map(|(word, n)| format!("{} {word}", grouped(n))).join("  ");
    let total = |name: &str| grouped(view.totals.get(name).copied().unwrap_or(0));
    let ever = format!(
        "{} submitted  {} completed  {} failed  {} recovered   now {} a second",
        total("submitted"),
        total("completed"),
        total("failed"),
        total("recovered"),
        rate(row.done_per_second),
    );
    vec![
        title("Queue", name.as_str(), queues::word(row)),
        fact("Waiting", format!("{waiting}{oldest}")),
        fact("Others", others),
        fact("So far", ever),
        fact("Limits", limits(row)),
        fact("Nodes", served(row)),
    ]
}

fn served(row: &QueueRow) -> String {
    match row.nodes {
        0 => "no live node claims from it".to_owned(),
        1 => "1 live node claims from it".to_owned(),
        nodes => format!("{} live nodes claim from it", grouped(nodes)),
    }
}

fn limits(row: &QueueRow) -> String {
    let view = &row.view;
    let limit = |n: Option<u64>| n.map_or_else(|| "any number".to_owned(), grouped);
    let mut text = format!(
        "{} may wait  {} may run  {} a concurrency key",
        limit(view.max_length),
        limit(view.concurrency),
        grouped(view.key_concurrency)
    );
    if view.partitions > 1 {
        _ = write!(text, "  {} partitions", view.partitions);
    }
    text
}
