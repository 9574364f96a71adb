//! What people on call look at while many nodes live: `windlass nodes`, and `windlass top` in a terminal of 80 by 24.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use windlass_bench::{node::record, usage};
use windlass_shared::{model::Namespace, store::Connect};
use windlass_tests::{fleet::Fleet, terminal::Terminal};

/// Nodes stay alive while we look.
const ALIVE: Duration = Duration::from_hours(1);
/// How often each is started.
const TIMES: usize = 5;
/// For how long `top` goes on looking, each second.
const WATCHED: Duration = Duration::from_secs(15);

pub(crate) async fn run(nodes: usize) -> Result<Value> {
    let fleet = Fleet::without_workers();
    let store = Connect::to(fleet.redis.url(), Namespace::new("wl")?).open().await?;
    let now = store.now().await?;
    for _ in 0..nodes {
        store.beat(&record("noop", now)?, ALIVE, true).await?;
    }
    let listed = (0..TIMES).map(|_| list(&fleet, nodes)).collect::<Result<Vec<_>>>()?;
    let painted: Vec<Duration> = (0..TIMES).map(|_| paint(&fleet, nodes).0).collect();
    let (_, top) = paint(&fleet, nodes);
    let (before, seen) = (usage::main_thread(fleet.redis.pid())?, top.bytes().len());
    std::thread::sleep(WATCHED);
    let redis = usage::main_thread(fleet.redis.pid())? - before;
    ensure!(top.bytes().len() > seen, "nothing moved on the screen");
    Ok(json!({
        "phase": "views", "nodes": nodes,
        "nodes_ms": middle(listed.iter().map(|(took, _)| *took)),
        "nodes_peak_kb": listed.iter().map(|(_, peak)| *peak).fold(0.0, f64::max),
        "top_first_paint_ms": middle(painted.into_iter()),
        "top_peak_kb": usage::peak(top.id())?,
        "top_redis_ms_a_second": (redis / WATCHED.as_secs_f64() * 1e4).round() / 10.0,
    }))
}

/// How long `windlass nodes` takes, and the most memory that it had, in kilobytes.
fn list(fleet: &Fleet, nodes: usize) -> Result<(Duration, f64)> {
    let out = fleet.dir().join("nodes.txt");
    let mut command = fleet.command("windlass");
    command.args(["nodes"]).stdin(Stdio::null()).stdout(std::fs::File::create(&out)?);
    let start = Instant::now();
    let (mut child, mut most) = (command.spawn()?, 0.0_f64);
    let status = loop {
        // A process that has ended says nothing of its memory any more.
        most = most.max(usage::peak(child.id()).unwrap_or(0.0));
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_micros(200)),
        }
    };
    let took = start.elapsed();
    let lines = std::fs::read_to_string(out)?.lines().count();
    ensure!(status.success() && lines > nodes, "windlass nodes ended with {status} after {lines} lines");
    Ok((took, most))
}

/// How long it takes until `windlass top` shows the nodes, and it.
fn paint(fleet: &Fleet, nodes: usize) -> (Duration, Terminal) {
    let start = Instant::now();
    let top = Terminal::start(fleet, &["top"], &[]);
    top.shows(&format!("{} active", grouped(nodes)), Duration::from_secs(30));
    (start.elapsed(), top)
}

/// Milliseconds.
fn middle(times: impl Iterator<Item = Duration>) -> f64 {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times.get(times.len() / 2).map_or(0.0, |time| (time.as_secs_f64() * 1e4).round() / 10.0)
}

/// As the screen has it: 10,000.
fn grouped(nodes: usize) -> String {
    if nodes < 1000 { nodes.to_string() } else { format!("{},{:03}", nodes / 1000, nodes % 1000) }
}
