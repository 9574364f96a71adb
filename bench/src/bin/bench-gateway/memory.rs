//! The memory of a real worker while 64 answers stream into it.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{eventually, until},
    stand_in::StandIn,
};

const STREAMS: usize = 64;
/// Every answer streams at least so long.
const STREAMING: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(250);

const CONFIG: &str = r#"
[providers.bench]
preset = "compatible"
base_url = "URL"
limits.requests_per_minute = 1000000
limits.output_tokens_per_minute = 1000000000
limits.concurrent = 1000
[budgets.fleet]
scope = "fleet"
limit_usd = "1000000"
[llm]
catalog = "models.toml"
model = "bench/one"
"#;
const MODELS: &str = "[models.\"bench/one\"]\ncontext = 128000\nprice = { input = 0.1, output = 0.5 }\n\
    capabilities = [\"streaming\"]\n";

/// 2400 characters, which the stand-in takes for 600 tokens: 15 s each.
fn scenario() -> String {
    let text = "    assert pages(11, 5) == 3  # one more\\n".repeat(60);
    format!("[[rule]]\nanswer = {{ text = \"{text}\", tokens_per_second = 40 }}\n")
}

/// Kilobytes, as Linux tells them of a process.
fn memory(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("only Linux tells")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()).context("no such line")?;
    Ok(number.parse()?)
}

/// Runs the tasks and gives one line.
pub(crate) fn measure() -> Result<Value> {
    let dir = tempfile::tempdir()?;
    let stand_in = StandIn::start(dir.path(), "slow-stand-in", &scenario());
    let models = dir.path().join("models.toml");
    fs::write(&models, MODELS)?;
    let config =
        CONFIG.replace("URL", &stand_in.base_url).replace("models.toml", &models.display().to_string());
    let options = FleetOptions {
        workers: 1,
        concurrency: STREAMS,
        lease: "",
        config: &config,
        ..FleetOptions::default()
    };
    let mut fleet = Fleet::start(&options);
    let pid = fleet.worker(0).pid();
    let idle = memory(pid, "VmRSS")?;
    // 8 kB each, of which no two are alike.
    let prompt =
        |n: usize| format!("Task {n}. Write tests.\n{}", "def pages(total, size): ...\n".repeat(290));
    let tasks: Vec<Value> =
        (0..STREAMS).map(|n| json!({"type": "llm", "payload": {"prompt": prompt(n)}})).collect();
    fleet.submit_lines(&tasks, &["--batch", "streams"]);
    let running = || stand_in.calls()["all"]["running"].as_u64().unwrap_or(0);
    until("all stream", PATIENCE, || (running() == STREAMS as u64).then_some(()));
    let all_stream = std::time::Instant::now();
    let mut most = 0;
    while running() == STREAMS as u64 {
        most = most.max(memory(pid, "VmRSS")?);
        std::thread::sleep(LOOK_EVERY);
    }
    let streamed = all_stream.elapsed();
    ensure!(streamed >= STREAMING, "they streamed together for {streamed:?} only");
    eventually("all are completed", PATIENCE, || fleet.total("default", "completed") == STREAMS as u64);
    let peak = memory(pid, "VmHWM")?;
    Ok(json!({
        "what": "worker with 64 streams", "streams": STREAMS, "seconds": streamed.as_secs_f64().round(),
        "idle_rss_kb": idle, "streaming_rss_kb": most, "peak_rss_kb": peak,
    }))
}
