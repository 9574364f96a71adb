//! The table, the bounds, and pages as scrapers read them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    Common, Redis, Times, Trace,
    family::{Counter, Family, MOST_SERIES},
    fleet::{self, Fleet, QueueFigures},
    list::{self, Exposed, Kind, METRICS},
    render::{CLASSIC, OPEN_METRICS, Page},
    worker::{self, Call, Worker},
};

fn redis() -> Redis {
    let times = || Times { buckets: vec![(0.001, 2), (f64::INFINITY, 1)], sum: 5.5 };
    Redis { round_trip: times(), scripts: vec![("beat", times())], errors: vec![("timeout", 3)] }
}

const COMMON: Common = Common { version: "1.2.3", protocol: 1, redis };
const OPEN: Option<&str> = Some("application/openmetrics-text");

fn has(page: &Page, line: &str) {
    assert!(page.body.lines().any(|other| other == line), "no line {line:?} in\n{}", page.body);
}

/// The families that a page tells of.
fn families(page: &Page) -> BTreeSet<&str> {
    page.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[test]
fn names_and_helps_follow_the_conventions() {
    let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len(), "a name is there twice");
    for metric in METRICS {
        let name = metric.name;
        assert!(name.starts_with("windlass_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b"_".contains(&b)), "{name}");
        assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        assert!(metric.unit.is_none_or(|unit| metric.family().ends_with(&format!("_{unit}"))), "{name}");
        let timed = matches!(metric.kind, Kind::Histogram(_));
        assert!(!timed || metric.unit == Some("seconds"), "{name}");
        // Written as it is, which must need no escape.
        assert!(metric.help.ends_with('.') && !metric.help.contains(['"', '\\', '\n', '|']), "{name}");
        for label in metric.labels {
            assert!(
                !["id", "task", "tenant", "batch", "le", "job", "instance"].contains(&label.name),
                "{name}"
            );
        }
        if let Kind::Histogram(bounds) = metric.kind {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
        }
    }
}

#[test]
fn a_page_tells_of_every_metric_in_the_list_and_of_no_other() {
    let pages = [
        (Exposed::Worker, worker::render(&Arc::default(), &COMMON, None)),
        (Exposed::Serve, fleet::render(&Arc::default(), &COMMON, None)),
    ];
    for (program, page) in pages {
        let listed: BTreeSet<_> = list::of(program).map(|metric| metric.name).collect();
        assert_eq!(families(&page), listed, "{program:?}");
    }
}

#[test]
fn both_forms_tell_the_same_and_only_open_metrics_has_exemplars() {
    let worker = Arc::new(Worker::default());
    worker.ran("noop", "completed", Duration::from_millis(20), Trace::new(0xabc));
    worker.ended("default", "noop", "completed");
    worker.called(&Call { model: "m", tokens: [7, 2, 0, 0], cost: Some(1_500_000_000), ..Call::default() });
    let (open, old) = (worker::render(&worker, &COMMON, OPEN), worker::render(&worker, &COMMON, None));
    assert_eq!((open.content_type, old.content_type), (OPEN_METRICS, CLASSIC));
    assert!(open.body.ends_with("# EOF\n") && !old.body.contains("# EOF"));
    let bucket = r#"windlass_worker_run_seconds_bucket{le="0.025",type="noop",outcome="completed"} 1"#;
    has(&old, bucket);
    has(&open, &format!("{bucket} # {{trace_id=\"00000000000000000000000000000abc\"}} 0.02"));
    assert!(!old.body.contains("trace_id"));
    has(&old, "# TYPE windlass_llm_cost_dollars_total counter");
    has(&open, "# TYPE windlass_llm_cost_dollars counter");
    has(&open, "# UNIT windlass_llm_cost_dollars dollars");
    for page in [&old, &open] {
        has(page, r#"windlass_build_info{version="1.2.3",protocol="1"} 1.0"#);
        has(page, r#"windlass_worker_tasks_total{queue="default",type="noop",outcome="completed"} 1"#);
        has(page, r#"windlass_llm_cost_dollars_total{model="m"} 1.5"#);
        has(page, r#"windlass_llm_tokens_total{model="m",direction="input"} 7"#);
        has(page, r#"windlass_redis_script_seconds_bucket{le="+Inf",script="beat"} 3"#);
        has(page, r#"windlass_redis_errors_total{kind="timeout"} 3.0"#);
        has(page, "windlass_worker_lost_leases_total 0");
        has(page, r#"windlass_worker_retries_total{class="timeout"} 0"#);
    }
}

#[test]
fn values_beyond_the_bound_are_told_as_other_and_none_is_lost() {
    let worker = Arc::new(Worker::default());
    for n in 0..5000 {
        worker.ended("default", &format!("type-{n}"), "completed");
    }
    let page = worker::render(&worker, &COMMON, None);
    let series: Vec<_> =
        page.body.lines().filter(|line| line.starts_with("windlass_worker_tasks_total{")).collect();
    assert_eq!(series.len(), 101);
    has(&page, r#"windlass_worker_tasks_total{queue="default",type="type-99",outcome="completed"} 1"#);
    has(&page, r#"windlass_worker_tasks_total{queue="default",type="other",outcome="completed"} 4900"#);
}

#[test]
fn a_metric_with_many_labels_is_bounded_as_a_whole() {
    let family: Family<Counter, 3> = Family::new(&list::WORKER_TASKS);
    let mut told = 0;
    for queue in 0..90 {
        for task_type in 0..90 {
            family.of([&format!("q{queue}"), &format!("t{task_type}"), "completed"]).inc();
            told += 1;
        }
    }
    let other = family.of(["other", "other", "completed"]).get();
    assert_eq!(other, told - MOST_SERIES as u64);
}

#[test]
fn text_of_users_cannot_break_a_page() {
    let worker = Arc::new(Worker::default());
    worker.cache_hit("a\"b\\c\nd");
    worker.cache_hit(&"ü".repeat(500));
    let page = worker::render(&worker, &COMMON, None);
    has(&page, r#"windlass_llm_cache_hits_total{model="a\"b\\c\nd"} 1"#);
    let longest = page.body.lines().map(str::len).max();
    assert!(longest.is_some_and(|longest| longest < 250), "{longest:?}");
}

#[test]
fn a_fleet_of_many_queues_is_bounded_and_its_sums_are_right() {
    let queue = |n: u64| QueueFigures {
        queue: format!("q{n:05}"),
        pending: [0, 0, 1, 0],
        submitted: 2,
        oldest_pending: n as f64,
        ..QueueFigures::default()
    };
    let fleet = Fleet { redis_up: true, queues: (0..1500).map(queue).collect(), ..Fleet::default() };
    let page = fleet::render(&Arc::new(fleet), &COMMON, None);
    has(&page, r#"windlass_queue_pending_tasks{queue="q00999",priority="normal"} 1.0"#);
    has(&page, r#"windlass_queue_pending_tasks{queue="other",priority="normal"} 500.0"#);
    has(&page, r#"windlass_queue_oldest_pending_seconds{queue="other"} 1499.0"#);
    has(&page, r#"windlass_queue_submitted_tasks_total{queue="other"} 1000.0"#);
    assert!(!page.body.contains("q01000"));
}

#[test]
fn without_redis_a_page_says_so_and_tells_no_zeros_of_the_fleet() {
    let page = fleet::render(&Arc::default(), &COMMON, None);
    has(&page, "windlass_redis_up 0.0");
    assert!(!page.body.contains("windlass_nodes{") && !page.body.contains("\nwindlass_fleet_slots "));
}

#[test]
fn the_process_tells_of_itself() {
    let page = worker::render(&Arc::default(), &COMMON, None);
    let number = |name: &str| -> f64 {
        let line = page.body.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().parse().expect("a number")
    };
    assert!(number("process_resident_memory_bytes ") > 1e6);
    assert!(number("process_open_fds ") >= 3.0);
    assert!(number("process_start_time_seconds ") > 1.7e9);
    assert!(number("process_cpu_seconds_total ") >= 0.0);
}

#[test]
fn the_page_in_docs_is_this_list() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page.trim_end() == crate::reference_markdown().trim_end(),
        "docs/metrics.md has drifted from METRICS: run `make docs`"
    );
}
