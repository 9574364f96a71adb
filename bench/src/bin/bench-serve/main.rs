//! What `windlass serve` takes: single calls at a steady rate with a million tasks stored, bulk submission beside that of the
//! command line, what the heartbeats of ten thousand nodes cost Redis, and what it takes to look at them.
//!
//! `make bench-serve` runs it on release builds. Nothing is asserted: figures go to stdout, one JSON line each.

mod beats;
mod client;
mod views;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::{Value, json};
use windlass_tests::{fleet::binary, redis::RedisServer};

use self::client::{Call, Connection};

/// Measure `windlass serve`.
#[derive(Parser)]
struct Args {
    /// Tasks stored while single calls are measured
    #[arg(long, default_value_t = 1_000_000)]
    stored: u64,
    /// Single calls a second, for how many seconds
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Lines of a bulk submission
    #[arg(long, default_value_t = 200_000)]
    lines: u64,
    /// Nodes that beat
    #[arg(long, default_value_t = 10_000)]
    nodes: usize,
    /// Which: calls, bulk, beats, views
    #[arg(long, value_delimiter = ',', default_value = "calls,bulk,beats,views")]
    phase: Vec<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for phase in &args.phase {
        let figures = match phase.as_str() {
            "calls" => runtime.block_on(calls(&args))?,
            "bulk" => runtime.block_on(bulk(&args))?,
            "beats" => runtime.block_on(beats::run(args.nodes))?,
            "views" => runtime.block_on(views::run(args.nodes))?,
            other => bail!("--phase: {other:?} is none of calls, bulk, beats and views"),
        };
        println!("{figures}");
    }
    Ok(())
}

/// A server, which ends with us.
struct Serve {
    child: Child,
    address: String,
}

impl Serve {
    fn start(redis: &RedisServer) -> Result<Self> {
        let mut command = windlass(redis);
        command.args(["serve", "--anonymous", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("a pipe")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
        let address = line.trim().trim_start_matches("http://").to_owned();
        Ok(Self { child, address })
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn windlass(redis: &RedisServer) -> Command {
    let mut command = Command::new(binary("windlass"));
    command.env("WINDLASS_REDIS_URL", redis.url()).env_remove("WINDLASS_CONFIG").stdin(Stdio::null());
    command
}

/// A file of so many tasks with a payload of 200 bytes.
fn file(dir: &Path, lines: u64) -> Result<PathBuf> {
    let path = dir.join(format!("{lines}.jsonl"));
    let mut out = std::io::BufWriter::new(std::fs::File::create(&path)?);
    let pad = "x".repeat(180);
    for n in 0..lines {
        writeln!(out, r#"{{"type":"noop","payload":{{"idx":{n},"pad":"{pad}"}}}}"#)?;
    }
    out.flush()?;
    Ok(path)
}

fn submit_file(redis: &RedisServer, path: &Path, batch: &str, queue: &str) -> Result<Duration> {
    let start = Instant::now();
    let path = path.display().to_string();
    let mut command = windlass(redis);
    let status = command
        .args(["submit", "--file", &path, "--batch", batch, "--queue", queue])
        .stderr(Stdio::null())
        .status()?;
    anyhow::ensure!(status.success(), "windlass submit ended with {status}");
    Ok(start.elapsed())
}

/// Half of the calls submit a task, half read one, over 32 connections. An open loop: a call that is late counts from when it was
/// due, so that a server that stalls cannot hide it.
async fn calls(args: &Args) -> Result<Value> {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir()?);
    submit_file(&redis, &file(dir.path(), args.stored)?, "stored", "stored")?;
    let serve = Serve::start(&redis)?;
    let connections = 32;
    let every = Duration::from_secs(1) / args.rate * connections;
    let start = tokio::time::Instant::now() + Duration::from_millis(200);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..connections {
        let mut connection = Connection::open(&serve.address).await?;
        let first = start + every / connections * number;
        let count = args.rate * args.seconds / connections;
        tasks.spawn(async move {
            let (mut submits, mut reads, mut bad) = (Vec::new(), Vec::new(), 0_u32);
            for n in 0..count {
                let due = first + every * n;
                tokio::time::sleep_until(due).await;
                let call = if n % 2 == 0 {
                    let body = format!(
                        r#"{{"type":"noop","id":"c{number}-{n}","payload":{{"idx":{n},"pad":"{n:0180}"}}}}"#
                    );
                    Call::post("/v1/tasks", &body)
                } else {
                    Call::get(&format!("/v1/tasks/default/c{number}-{}", n - 1))
                };
                let status = connection.call(&call).await?;
                bad += u32::from(status != 201 && status != 200);
                let into = if n % 2 == 0 { &mut submits } else { &mut reads };
                into.push(due.elapsed());
            }
            Ok::<_, anyhow::Error>((submits, reads, bad))
        });
    }
    let (mut submits, mut reads, mut bad) = (Vec::new(), Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (more, others, wrong) = done??;
        submits.extend(more);
        reads.extend(others);
        bad += wrong;
    }
    anyhow::ensure!(bad == 0, "{bad} calls were answered otherwise than they should be");
    Ok(json!({
        "phase": "calls", "stored": args.stored, "rate": args.rate, "seconds": args.seconds,
        "submit": spread(submits), "read": spread(reads),
    }))
}

fn spread(mut times: Vec<Duration>) -> Value {
    times.sort();
    let at = |part: f64| {
        let index = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
        times.get(index).map_or(0.0, |time| (time.as_secs_f64() * 1e6).round() / 1e3)
    };
    json!({ "calls": times.len(), "p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": at(1.0) })
}

/// The same file by the command line and by HTTP, in turns, three times each into new queues: the best of each.
async fn bulk(args: &Args) -> Result<Value> {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir()?);
    let path = file(dir.path(), args.lines)?;
    let text = std::fs::read(&path)?;
    let serve = Serve::start(&redis)?;
    let (mut typed, mut sent) = (Vec::new(), Vec::new());
    for round in 0..3 {
        typed.push(submit_file(&redis, &path, &format!("typed{round}"), &format!("typed{round}"))?);
        let mut connection = Connection::open(&serve.address).await?;
        let start = Instant::now();
        let answer =
            connection.bulk(&format!("/v1/tasks/bulk?batch=sent{round}&queue=sent{round}"), &text).await?;
        sent.push(start.elapsed());
        let last = answer.trim_end().lines().last().unwrap_or_default();
        let counts: Value = serde_json::from_str(last).with_context(|| format!("no counts: {last}"))?;
        anyhow::ensure!(counts["accepted"] == args.lines, "not all were taken: {counts}");
    }
    let rate = |times: &[Duration]| args.lines as f64 / times.iter().min().map_or(1.0, Duration::as_secs_f64);
    let (typed, sent) = (rate(&typed), rate(&sent));
    Ok(json!({
        "phase": "bulk", "lines": args.lines, "command_line_per_s": typed.round(), "http_per_s": sent.round(),
        "http_to_command_line": (sent / typed * 1000.0).round() / 1000.0,
    }))
}
