//! The medians as Markdown: a table of all peers, one for each series that shows how a figure grows, and sheets
//! of variants beside each other.

use std::fmt::Write as _;

use crate::{
    figures::{Better, Figures},
    peer::WINDLASS,
    session::REDIS,
};

/// A row: phase, figure, what it is called, which is better, and the figure of the ceiling that bounds it.
type Row = (&'static str, &'static str, &'static str, Better, Option<&'static str>);

const ROWS: [Row; 37] = [
    ("enqueue-bulk", "rate", "submitted in bulk, a second", Better::More, Some("enqueue_rate")),
    ("enqueue-bulk", "redis_us", "Redis CPU of that, µs", Better::Less, Some("enqueue_redis_us")),
    ("submit-file", "rate", "`submit --file`, a second", Better::More, Some("enqueue_rate")),
    ("enqueue-single", "rate", "submitted one by one, a second", Better::More, Some("set_rate")),
    ("enqueue-single", "redis_us", "Redis CPU of that, µs", Better::Less, None),
    ("drain", "rate", "drained by one process, a second", Better::More, None),
    ("drain", "redis_us", "Redis CPU of that, µs", Better::Less, None),
    ("drain", "worker_us", "worker CPU of that, µs", Better::Less, None),
    ("drain", "worker_rss_kb", "worker's memory after it, kB", Better::Less, None),
    ("drain", "started_twice", "started twice", Better::Less, None),
    ("drain2", "rate", "drained by two, a second", Better::More, None),
    ("drain2", "redis_us", "Redis CPU of that, µs", Better::Less, None),
    ("latency", "start_p50_ms", "until it starts, p50, ms", Better::Less, None),
    ("latency", "start_p99_ms", "p99", Better::Less, None),
    ("latency", "result_p50_ms", "until its result is there, p50, ms", Better::Less, None),
    ("latency", "result_p99_ms", "p99", Better::Less, None),
    ("memory", "queued_bytes", "bytes of a queued task", Better::Less, None),
    ("memory", "finished_bytes", "bytes of a finished task", Better::Less, None),
    ("commands", "commands", "commands in Redis, a task", Better::Less, None),
    ("commands", "reads", "reads from sockets, a task", Better::Less, None),
    ("idle", "sent_per_s", "ten idle workers send, a second", Better::Less, None),
    ("idle", "besides_beats_per_s", "besides heartbeats", Better::Less, None),
    ("idle", "workers_cpu_percent", "CPU of all ten, %", Better::Less, None),
    ("idle", "redis_cpu_percent", "CPU of Redis, %", Better::Less, None),
    ("idle", "rss_kb_each", "memory of each, kB", Better::Less, None),
    ("recovery", "seconds", "all ended after kill -9, s", Better::Less, None),
    ("recovery", "lost", "lost, or not back within the limit", Better::Less, None),
    ("recovery", "finished_twice", "finished twice", Better::Less, None),
    ("start", "first_claim_ms", "process start to first claim, ms", Better::Less, None),
    ("rss", "idle_kb", "`windlass-worker` idle, kB", Better::Less, None),
    ("rss", "after_drain_kb", "after a drain, kB", Better::Less, None),
    ("checker", "seconds", "checking all tasks, s", Better::Less, None),
    ("checker", "rate", "checked a second", Better::More, None),
    ("checker", "redis_us", "Redis CPU of that, µs", Better::Less, None),
    ("checker", "script_ms", "longest script of that, ms", Better::Less, None),
    ("checker", "script_usual_ms", "their median", Better::Less, None),
    ("checker", "command_ms", "longest other command of that, ms", Better::Less, None),
];

/// A series: phase, and what its variants are.
const SERIES: [(&str, &str); 5] = [
    ("backlog", "tasks queued"),
    ("workers", "other nodes"),
    ("tenants", "tenants"),
    ("payloads", "bytes of a payload"),
    ("aof", "append-only file"),
];

/// What each series tells.
const GROWING: [(&str, &str); 5] = [
    ("rate", "drained a second"),
    ("redis_us", "Redis CPU, µs"),
    ("worker_us", "worker CPU, µs"),
    ("enqueue_rate", "submitted a second"),
    ("enqueue_redis_us", "Redis CPU, µs"),
];

/// A sheet: a phase, and its figures, which are told beside each other for all its variants.
type Sheet = (&'static str, &'static [(&'static str, &'static str)]);

const SHEETS: [Sheet; 3] = [
    (
        "cluster",
        &[
            ("per_cpu_second", "drained in a second of Redis CPU"),
            ("rate", "drained by one process, a second"),
            ("redis_us", "Redis CPU of that, µs"),
            ("worker_us", "worker CPU of that, µs"),
            ("started_twice", "started twice"),
            ("rate_by_two", "drained by two, a second"),
            ("redis_us_by_two", "Redis CPU of that, µs"),
            ("started_twice_by_two", "started twice"),
            ("enqueue_rate", "submitted in bulk, a second"),
            ("enqueue_redis_us", "Redis CPU of that, µs"),
            ("skew_tasks", "tasks of the largest partition, of the mean"),
            ("skew_cpu", "CPU of the busiest primary, of the mean"),
            ("inverted_percent", "started before one of higher priority, %"),
            ("furthest", "most that started before the last of a higher one"),
        ],
    ),
    (
        "listings",
        &[
            ("ms", "the whole program, ms"),
            ("redis_us", "Redis CPU of that, µs"),
            ("bytes", "bytes that it writes"),
        ],
    ),
    ("scripts", &[("longest_ms", "longest run, ms"), ("usual_ms", "median, ms")]),
];

/// All that was measured, for people.
pub(crate) fn of(figures: &Figures) -> String {
    let mut text = peers(figures);
    for (phase, what) in SERIES {
        text += &series(figures, phase, what);
    }
    for (phase, told) in SHEETS {
        text += &sheet(figures, phase, told);
    }
    text
}

fn peers(figures: &Figures) -> String {
    let peers = figures.peers();
    let beside = peers.len() > 1;
    let mut head: Vec<&str> = ["medians"].into_iter().chain(peers.iter().copied()).collect();
    head.extend(beside.then_some("of the best peer's"));
    head.push("of the ceiling");
    let mut text = line(&head);
    text += &rule(head.len());
    let mut rows = 0;
    for (phase, figure, what, better, ceiling) in ROWS {
        let medians: Vec<Option<f64>> =
            peers.iter().map(|peer| figures.median(peer, phase, figure)).collect();
        if medians.iter().all(Option::is_none) {
            continue;
        }
        rows += 1;
        let ours = figures.median(WINDLASS, phase, figure);
        let mut cells: Vec<String> = vec![what.to_owned()];
        cells.extend(medians.into_iter().map(number));
        if beside {
            cells.push(ratio(ours, figures.best(phase, figure, better)));
        }
        cells.push(ratio(ours, ceiling.and_then(|ceiling| figures.median(REDIS, "ceiling", ceiling))));
        text += &line(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let ceiling = |figure| figures.median(REDIS, "ceiling", figure);
    let mut text = if rows > 0 { text } else { String::new() };
    if let (Some(rate), Some(us), Some(set)) =
        (ceiling("enqueue_rate"), ceiling("enqueue_redis_us"), ceiling("set_rate"))
    {
        _ = writeln!(
            text,
            "\nThe ceiling of this Redis: {} tasks a second as plain ZADD, HSET and SET in pipelines of 100 ({us:.1} µs of \
             Redis CPU each), {} SET a second in one round trip each.",
            number(Some(rate)),
            number(Some(set)),
        );
    }
    text
}

fn series(figures: &Figures, phase: &str, what: &str) -> String {
    let variants = figures.variants(phase);
    let value = |variant: &str, figure: &str| figures.median_of(WINDLASS, phase, Some(variant), figure);
    let told: Vec<_> = GROWING
        .iter()
        .filter(|(figure, _)| variants.iter().any(|variant| value(variant, figure).is_some()))
        .collect();
    if told.is_empty() {
        return String::new();
    }
    let mut head = vec![what];
    for (_, name) in &told {
        head.extend([*name, "of the first"]);
    }
    let mut text = format!("\n{}", line(&head));
    text += &line(&vec!["---:"; head.len()]);
    for variant in &variants {
        let mut cells = vec![(*variant).to_owned()];
        for (figure, _) in &told {
            let ours = value(variant, figure);
            cells.extend([number(ours), ratio(ours, value(variants[0], figure))]);
        }
        text += &line(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

fn sheet(figures: &Figures, phase: &str, told: &[(&str, &str)]) -> String {
    let variants = figures.variants(phase);
    if variants.is_empty() {
        return String::new();
    }
    let head: Vec<&str> = std::iter::once("medians").chain(variants.iter().copied()).collect();
    let mut text = format!("\n{}", line(&head));
    text += &rule(head.len());
    for (figure, name) in told {
        let value = |variant: &&str| number(figures.median_of(WINDLASS, phase, Some(variant), figure));
        let cells: Vec<String> =
            std::iter::once((*name).to_owned()).chain(variants.iter().map(value)).collect();
        text += &line(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

/// Below a head: names to the left, figures to the right.
fn rule(columns: usize) -> String {
    line(&(0..columns).map(|column| if column == 0 { "---" } else { "---:" }).collect::<Vec<_>>())
}

fn line(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{:.2}", ours / theirs),
        _ => "–".into(),
    }
}

/// Three digits at least, and none that mean nothing.
fn number(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(value) if value.fract() == 0.0 && value < 1000.0 => format!("{value:.0}"),
        Some(value) if value < 10.0 => format!("{value:.2}"),
        Some(value) if value < 100.0 => format!("{value:.1}"),
        Some(value) => thousands(value.round() as u64),
    }
}

fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let all = [None, Some(0.0), Some(0.456), Some(12.34), Some(999.6), Some(1_234_567.0)];
        assert_eq!(all.map(number), ["–", "0", "0.46", "12.3", "1,000", "1,234,567"]);
    }
}
