//! How the medians stand to the project's bars.

use std::fmt::Write as _;

use crate::{
    figures::{Better, Figures},
    peer::WINDLASS,
};

/// Another queue that some bars name.
const BULLMQ: &str = "bullmq-official";

/// A bar: what it is about, which side of the bound is right, the bound, and the value of what was measured.
type Bar = (&'static str, Better, f64, fn(&Figures) -> Option<f64>);

fn ours(figures: &Figures, phase: &str, figure: &str) -> Option<f64> {
    figures.median(WINDLASS, phase, figure)
}

fn to_best(figures: &Figures, phase: &str) -> Option<f64> {
    Some(ours(figures, phase, "rate")? / figures.best(phase, "rate", Better::More)?)
}

fn to_bullmq(figures: &Figures, phase: &str, figure: &str) -> Option<f64> {
    Some(ours(figures, phase, figure)? / figures.median(BULLMQ, phase, figure)?)
}

fn grown(figures: &Figures, phase: &str, figure: &str, from: &str, to: &str) -> Option<f64> {
    let of = |variant| figures.median_of(WINDLASS, phase, Some(variant), figure);
    Some(of(to)? / of(from)?)
}

fn megabytes(figures: &Figures, figure: &str) -> Option<f64> {
    Some(ours(figures, "rss", figure)? / 1024.0)
}

const BARS: [Bar; 26] = [
    ("drain by one process, to the best peer", Better::More, 2.5, |f| to_best(f, "drain")),
    ("drain by two processes, to the best peer", Better::More, 3.2, |f| to_best(f, "drain2")),
    ("Redis CPU of a drained task, µs", Better::Less, 8.0, |f| ours(f, "drain", "redis_us")),
    ("commands in Redis for a task's whole life in bulk", Better::Less, 12.0, |f| {
        ours(f, "commands", "commands")
    }),
    ("enqueue in bulk, to the best peer", Better::More, 2.0, |f| to_best(f, "enqueue-bulk")),
    ("Redis CPU of an enqueued task, µs", Better::Less, 4.0, |f| ours(f, "enqueue-bulk", "redis_us")),
    ("`submit --file`, to the library", Better::More, 0.6, |f| {
        Some(ours(f, "submit-file", "rate")? / ours(f, "enqueue-bulk", "rate")?)
    }),
    ("enqueue one by one, to BullMQ", Better::More, 1.2, |f| to_bullmq(f, "enqueue-single", "rate")),
    ("latency to the start, p50, to BullMQ", Better::Less, 1.0, |f| to_bullmq(f, "latency", "start_p50_ms")),
    ("latency to the start, p99, to BullMQ", Better::Less, 1.0, |f| to_bullmq(f, "latency", "start_p99_ms")),
    ("latency to the result, p50, to BullMQ", Better::Less, 1.0, |f| {
        to_bullmq(f, "latency", "result_p50_ms")
    }),
    ("bytes of a queued task", Better::Less, 750.0, |f| ours(f, "memory", "queued_bytes")),
    ("bytes of a finished task", Better::Less, 950.0, |f| ours(f, "memory", "finished_bytes")),
    ("commands a second of ten idle workers, heartbeats aside", Better::Less, 1.0, |f| {
        ours(f, "idle", "besides_beats_per_s")
    }),
    ("recovery after kill -9, s", Better::Less, 12.0, |f| ours(f, "recovery", "seconds")),
    ("lost after kill -9", Better::Less, 0.0, |f| ours(f, "recovery", "lost")),
    ("finished twice after kill -9", Better::Less, 0.0, |f| ours(f, "recovery", "finished_twice")),
    ("drain at a backlog of 1,000,000, to that at 10,000", Better::More, 0.9, |f| {
        grown(f, "backlog", "rate", "10000", "1000000")
    }),
    ("drain with an append-only file, to without", Better::More, 0.8, |f| {
        grown(f, "aof", "rate", "none", "everysec")
    }),
    ("enqueue with an append-only file, to without", Better::More, 0.65, |f| {
        grown(f, "aof", "enqueue_rate", "none", "everysec")
    }),
    (
        "drained in a second of Redis CPU, three primaries and three partitions to one server",
        Better::More,
        0.9,
        |f| grown(f, "cluster", "per_cpu_second", "1 primary", "3 primaries, 3 partitions"),
    ),
    ("10,000 nodes listed, ms", Better::Less, 200.0, |f| {
        f.median_of(WINDLASS, "listings", Some("nodes"), "ms")
    }),
    ("memory of an idle worker, MB", Better::Less, 15.0, |f| megabytes(f, "idle_kb")),
    ("memory of a worker after a full drain, MB", Better::Less, 40.0, |f| megabytes(f, "after_drain_kb")),
    ("process start to first claim, ms", Better::Less, 100.0, |f| ours(f, "start", "first_claim_ms")),
    ("tasks that were started twice in a drain", Better::Less, 0.0, |f| ours(f, "drain", "started_twice")),
];

/// A line for each bar whose figures were measured.
pub(crate) fn of(figures: &Figures) -> String {
    let mut text = String::new();
    for (what, better, bound, value) in BARS {
        let Some(value) = value(figures) else { continue };
        let (met, sign) = match better {
            Better::More => (value >= bound, "≥"),
            Better::Less => (value <= bound, "≤"),
        };
        _ = writeln!(
            text,
            "* {what}: {value:.2}; bar {sign} {bound}: {}",
            if met { "met" } else { "MISSED" }
        );
    }
    text
}
