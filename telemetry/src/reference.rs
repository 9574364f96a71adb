//! The page of all metrics in `docs/`, made from the table.

use std::fmt::Write as _;

use crate::{
    family::MOST_SERIES,
    list::{self, Exposed, Kind, METRICS, Metric, Values},
};

/// Markdown for `docs/metrics.md`.
pub fn reference_markdown() -> String {
    let mut text = format!(
        "# Metrics\n\nGenerated from `telemetry/src/list.rs` by `make docs`; do not edit. How to get them: \
         [observability.md](observability.md).\n\nA worker tells what its process saw, on its admin port; `windlass serve` tells \
         what is known of the fleet, once however many workers there are. A label has the values that are listed, or so many as \
         its bound says; whatever else comes is told as `other`, and no metric has more than {MOST_SERIES} series of a \
         worker. No label holds a task, a tenant or a batch. Histograms have the series `_bucket`, `_count` and `_sum`; in \
         OpenMetrics their buckets have a trace as exemplar, where there is one.\n"
    );
    let parts = [
        ("Worker", Exposed::Worker, "`/metrics` of the worker's admin port, and what it pushes."),
        ("Fleet", Exposed::Serve, "`/metrics` of `windlass serve`."),
        ("Both", Exposed::Both, "Both, each of its own process."),
    ];
    for (title, exposed, where_) in parts {
        _ = write!(
            text,
            "\n## {title}\n\n{where_}\n\n| Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n"
        );
        METRICS
            .iter()
            .filter(|metric| metric.exposed == exposed)
            .for_each(|metric| text.push_str(&row(metric)));
    }
    text.push_str("\n## Values of labels\n\n| Label | Values |\n| --- | --- |\n");
    for (label, values) in [
        ("`class`", list::CLASSES),
        ("`outcome` of an attempt", list::OUTCOMES),
        ("`state` of a node", list::NODE_STATES),
        ("`kind` of an error of Redis", list::REDIS_ERROR_KINDS),
    ] {
        _ = writeln!(text, "| {label} | {} |", values.join(", "));
    }
    text
}

/// Longer lists of values are in a table of their own.
const SHOWN: usize = 7;

fn row(metric: &Metric) -> String {
    let labels: Vec<String> = metric.labels.iter().map(label).collect();
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join("; ") };
    let buckets = match metric.kind {
        Kind::Histogram([first, .., last]) => format!(" Buckets from {first} to {last}."),
        _ => String::new(),
    };
    format!("| `{}` | {} | {labels} | {}{buckets} |\n", metric.name, metric.kind.as_str(), metric.help)
}

fn label(label: &list::Label) -> String {
    match label.values {
        Values::Of(words) if words.len() <= SHOWN => format!("`{}`: {}", label.name, words.join(", ")),
        Values::Of(_) => format!("`{}`", label.name),
        Values::AtMost(most) => format!("`{}` (at most {most})", label.name),
    }
}
