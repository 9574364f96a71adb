//! `/metrics` of real workers: the figures are those of what happened, and the names those of the list.

use std::{collections::BTreeSet, thread};

use serde_json::json;
use windlass_telemetry::list::{self, Exposed};
use windlass_tests::{
    fleet::{Fleet, FleetOptions, PATIENCE},
    http_stub::HttpStub,
    ledger::Ledger,
    process::{Output, eventually, run},
    scrape::{PROMETHEUS, Scraped, free_port},
};

use crate::{llm::scene, look::secs};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A worker with an admin port.
struct Watched {
    fleet: Fleet,
    port: u16,
}

impl Watched {
    fn start(options: &FleetOptions) -> Self {
        let mut fleet = Fleet::start(&FleetOptions { workers: 0, ..options.clone() });
        let port = free_port();
        fleet.spawn_worker_with(&["--admin", &format!("127.0.0.1:{port}")]);
        Self { fleet, port }
    }

    fn page(&self) -> Scraped {
        Scraped::of(self.port, "*/*")
    }

    /// The page once so many attempts have ended.
    fn after(&self, ended: f64) -> Scraped {
        eventually("the attempts are counted", secs(30), || {
            self.page().sum("windlass_worker_tasks_total") >= ended
        });
        self.page()
    }

    /// `windlass` within a trace.
    fn in_trace(&self, trace: &str, args: &[&str]) -> Output {
        let mut command = self.fleet.command("windlass");
        command.args(args).env("TRACEPARENT", format!("00-{trace}-b7ad6b7169203331-01"));
        run(command, self.fleet.dir(), &format!("in-trace-{trace}"), PATIENCE)
    }
}

fn assert_values(page: &Scraped, expected: &[(&str, f64)]) {
    for (series, value) in expected {
        assert!(
            (page.value(series) - value).abs() < 1e-9,
            "{series} is {}\n{}",
            page.value(series),
            page.text
        );
    }
}

/// Fails unless each series is in the list, and its values are allowed.
fn assert_listed(page: &Scraped) {
    let allowed: BTreeSet<String> = list::of(Exposed::Worker).flat_map(list::Metric::series).collect();
    for series in page.samples().keys() {
        let name = series.split('{').next().expect("a name");
        assert!(allowed.contains(name), "{series} is not in the list");
    }
}

#[test]
fn the_figures_are_those_of_what_happened() {
    let watched = Watched::start(&FleetOptions {
        config: "[types.fails]\nexecutor = \"command\"\ntemplate = { argv = [\"false\"] }\nmax_attempts = 2\nretry.base = \"10ms\"\n",
        ..FleetOptions::default()
    });
    let fleet = &watched.fleet;
    for id in ["n-1", "n-2", "n-3"] {
        fleet.submit("noop", &json!(1), &["--id", id]);
    }
    fleet.submit("fails", &json!(null), &["--id", "f"]);
    fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "s"]);
    fleet.wait_for_state("default", "s", "running", secs(10));
    fleet.wait_for_state("default", "f", "failed", secs(20));
    assert_values(
        &watched.after(5.0),
        &[("windlass_worker_slots_used", 1.0), ("windlass_worker_slots", 4.0)],
    );
    fleet.windlass(&["cancel", "s"]).ok();

    let page = watched.after(6.0);
    let ended = |task_type: &str, outcome: &str| {
        format!("windlass_worker_tasks_total{{queue=\"default\",type=\"{task_type}\",outcome=\"{outcome}\"}}")
    };
    let ran = |task_type: &str, outcome: &str| {
        format!("windlass_worker_run_seconds_count{{type=\"{task_type}\",outcome=\"{outcome}\"}}")
    };
    let outcomes = [
        ("noop", "completed", 3.0),
        ("fails", "retried", 1.0),
        ("fails", "failed", 1.0),
        ("sleep", "cancelled", 1.0),
    ];
    for (task_type, outcome, count) in outcomes {
        assert_values(&page, &[(&ended(task_type, outcome), count), (&ran(task_type, outcome), count)]);
    }
    assert_eq!(page.sum("windlass_worker_tasks_total") as u64, 6);
    assert_values(
        &page,
        &[
            ("windlass_worker_claimed_tasks_total{queue=\"default\"}", 6.0),
            ("windlass_worker_claim_to_start_seconds_count", 6.0),
            ("windlass_worker_settle_seconds_count", 6.0),
            ("windlass_worker_retries_total{class=\"exit_code\"}", 1.0),
            ("windlass_worker_retries_total{class=\"timeout\"}", 0.0),
            ("windlass_worker_slots_used", 0.0),
            ("windlass_worker_state{state=\"active\"}", 1.0),
            ("windlass_worker_state{state=\"starting\"}", 0.0),
            ("windlass_worker_stale_commits_total", 0.0),
            ("windlass_worker_lost_leases_total", 0.0),
            ("windlass_worker_heartbeats_total{result=\"failed\"}", 0.0),
        ],
    );
    let version = fleet.nodes()[0]["version"].as_str().expect("a version").to_owned();
    let build = format!("windlass_build_info{{version=\"{version}\",protocol=\"1\"}}");
    assert_values(&page, &[(&build, 1.0)]);
    for (series, least) in [
        ("windlass_worker_heartbeats_total{result=\"ok\"}", 1.0),
        ("windlass_worker_heartbeat_seconds_count", 1.0),
        ("windlass_redis_script_seconds_count{script=\"settle_and_claim\"}", 3.0),
        ("windlass_redis_script_seconds_count{script=\"beat\"}", 1.0),
        ("windlass_redis_round_trip_seconds_count", 5.0),
        ("windlass_redis_round_trip_seconds_sum", 1e-6),
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 3.0),
    ] {
        assert!(page.value(series) >= least, "{series} is {}", page.value(series));
    }
    assert_listed(&page);
    fleet.verify();
}

/// A node that was held up comes back to tasks that others have: what it lost is counted as lost, once.
#[test]
fn a_lost_lease_is_counted_and_its_attempt_is_lost() {
    let mut watched =
        Watched::start(&FleetOptions { lease: "2s", concurrency: 2, ..FleetOptions::default() });
    let ledger = Ledger::new(watched.fleet.dir());
    watched.fleet.submit_lines(&[ledger.line("t-1", "8"), ledger.line("t-2", "8")], &["--batch", "b"]);
    eventually("both run", secs(10), || ledger.entries().len() == 2);
    watched.fleet.stop(0);
    watched.fleet.spawn_worker();
    eventually("another one has them", secs(20), || ledger.entries().len() == 4);
    watched.fleet.cont(0);
    let page = watched.after(2.0);
    let lost = "windlass_worker_tasks_total{queue=\"default\",type=\"command\",outcome=\"lost\"}";
    assert_values(&page, &[(lost, 2.0), ("windlass_worker_claimed_tasks_total{queue=\"default\"}", 2.0)]);
    let told =
        page.value("windlass_worker_lost_leases_total") + page.value("windlass_worker_stale_commits_total");
    assert_eq!(told as u64, 2);
    watched.fleet.finish_batch("b", secs(30));
    watched.fleet.verify();
}

#[test]
fn a_trace_id_is_an_exemplar_of_open_metrics_and_makes_no_other_task() {
    let watched = Watched::start(&FleetOptions::default());
    let submit = ["submit", "--type", "noop", "--payload", "1", "--key", "k", "-o", "json"];
    let first = watched.in_trace(TRACE, &submit).ok().json();
    let again = watched.in_trace("11111111111111111111111111111111", &submit).ok().json();
    assert_eq!((&first["duplicate"], &again["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!(first["ref"], again["ref"]);
    watched.fleet.submit("noop", &json!(2), &[]);
    let old = watched.after(2.0);
    let open = Scraped::of(watched.port, PROMETHEUS);
    assert_eq!(old.content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(open.content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.text.ends_with("# EOF\n"));
    assert!(!old.text.contains("trace_id") && !old.text.contains("# EOF") && !old.text.contains("# UNIT"));
    let exemplar = format!(" # {{trace_id=\"{TRACE}\"}} ");
    let with_it: Vec<_> = open.text.lines().filter(|line| line.contains(&exemplar)).collect();
    for name in ["windlass_worker_run_seconds_bucket{", "windlass_worker_claim_to_start_seconds_bucket{"] {
        assert!(with_it.iter().any(|line| line.starts_with(name)), "{name} has no exemplar\n{}", open.text);
    }
    assert_eq!(old.value("windlass_worker_run_seconds_count{type=\"noop\",outcome=\"completed\"}") as u64, 2);
    watched.fleet.verify();
}

const SCENARIO: &str = r#"
[[rule]]
when = { model = "broken" }
answer = { fault = 400 }
[[rule]]
answer = { text = "the answer", usage = { input = 100, output = 20 } }
"#;

#[test]
fn calls_to_models_are_counted_and_a_worker_exposes_every_metric_of_the_list() {
    let mut scene = scene(SCENARIO, "[breaker]\nthreshold = 1\n", 0);
    let port = free_port();
    scene.fleet.spawn_worker_with(&["--admin", &format!("127.0.0.1:{port}")]);
    let ask = |id: &str, prompt: &str, model: &str, state: &str| {
        scene.fleet.submit("llm", &json!({"prompt": prompt, "model": model}), &["--id", id]);
        assert_eq!(scene.finished(id, secs(30))["state"], state);
    };
    ask("a", "Hello.", "local/m", "completed");
    ask("b", "Hello.", "local/m", "completed");
    ask("c", "Hello.", "local/broken", "failed");
    let page = || Scraped::of(port, "*/*");
    eventually("all are counted", secs(10), || page().sum("windlass_worker_tasks_total") >= 3.0);
    let page = page();
    assert_values(
        &page,
        &[
            ("windlass_llm_calls_total{model=\"local/m\",outcome=\"ok\"}", 1.0),
            ("windlass_llm_calls_total{model=\"local/broken\",outcome=\"bad_request\"}", 1.0),
            ("windlass_llm_call_seconds_count{model=\"local/m\"}", 1.0),
            ("windlass_llm_cache_hits_total{model=\"local/m\"}", 1.0),
            ("windlass_llm_breaker_open{name=\"local/m\"}", 0.0),
        ],
    );
    let task = scene.fleet.status("a");
    let call = &task["result"]["calls"][0];
    for direction in ["input", "output"] {
        let series = format!("windlass_llm_tokens_total{{model=\"local/m\",direction=\"{direction}\"}}");
        let told = call[format!("{direction}_tokens")].as_f64().expect("a number");
        assert!(told > 0.0);
        assert_values(&page, &[(&series, told)]);
    }
    assert_listed(&page);
    let heads: BTreeSet<_> =
        page.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(heads, list::of(Exposed::Worker).map(|metric| metric.name).collect());
    scene.fleet.verify();
}

#[test]
fn five_thousand_types_make_a_hundred_series() {
    let watched = Watched::start(&FleetOptions { concurrency: 100, ..FleetOptions::default() });
    let tasks: Vec<_> =
        (0..5000).map(|n| json!({"type": format!("t-{n}"), "id": format!("t-{n}")})).collect();
    watched.fleet.submit_lines(&tasks, &["--batch", "b"]);
    // No node knows them: each is handed back for others to take.
    let page = watched.after(5000.0);
    let of_type = |series: &&&str| series.starts_with("windlass_worker_tasks_total{");
    let samples = page.samples();
    assert_eq!(samples.keys().filter(of_type).count(), 101);
    let other = "windlass_worker_tasks_total{queue=\"default\",type=\"other\",outcome=\"handed_back\"}";
    assert!(page.value(other) >= 4900.0, "{}", page.value(other));
    assert!(page.text.len() < 100_000, "a page of {} bytes", page.text.len());
}

#[test]
fn a_push_gateway_is_told_the_last_figures() {
    let gateway = HttpStub::start(|_, _| ("200 OK", "", String::new()));
    let mut fleet = Fleet::without_workers();
    let url = format!("{}/", gateway.url);
    let worker = fleet.spawn_worker_with(&["--push-gateway", &url]);
    let node = fleet.node_id(worker);
    for id in ["a", "b"] {
        fleet.submit("noop", &json!(1), &["--id", id]);
        fleet.wait_for_state("default", id, "completed", secs(10));
    }
    fleet.term(worker);
    assert_eq!(fleet.exit_code(worker, secs(20)), 0);
    let requests = gateway.requests();
    let last = requests.last().expect("it was told");
    assert_eq!(last.line, format!("PUT /metrics/job/windlass/instance/{node}"));
    assert!(
        last.headers.to_lowercase().contains("content-type: text/plain; version=0.0.4"),
        "{}",
        last.headers
    );
    let page = Scraped { content_type: String::new(), text: last.body.clone() };
    let done = "windlass_worker_tasks_total{queue=\"default\",type=\"noop\",outcome=\"completed\"}";
    assert_values(&page, &[(done, 2.0), ("windlass_worker_state{state=\"draining\"}", 1.0)]);
    assert_listed(&page);
}

#[test]
fn a_push_gateway_that_fails_is_warned_of_and_no_failure_of_the_run() {
    let hangs = HttpStub::start(|_, _| {
        thread::sleep(secs(60)); // this is the fault itself
        ("200 OK", "", String::new())
    });
    let refuses = HttpStub::start(|_, _| ("400 Bad Request", "", String::new()));
    let closed = format!("http://127.0.0.1:{}", free_port());
    let mut fleet = Fleet::without_workers();
    for url in [&hangs.url, &refuses.url, &closed] {
        let worker = fleet.spawn_worker_with(&["--push-gateway", url]);
        let task = fleet.submit("noop", &json!(1), &[]);
        fleet.windlass(&["wait", &task]).ok();
        fleet.term(worker);
        assert_eq!(fleet.exit_code(worker, secs(20)), 0, "{url}");
        assert!(fleet.log(worker).contains("could not be pushed"), "{}", fleet.log(worker));
    }
}
