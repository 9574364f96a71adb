//! The soak: even load for long, and samples of everything that could grow.
//!
//! A minute stands for fifty. So finished tasks are kept for a twenty-fifth of the run, as an hour of the 25 that half an
//! hour stands for.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use windlass_shared::model::time::{human, parse_duration};
use windlass_tests::redis::info_of;

use crate::{
    account::drain_out,
    load::Load,
    plan::Topology,
    recovery::Recovery,
    say,
    stage::{QUEUE, QUEUES, Stage},
};

const TURN: Duration = Duration::from_millis(20);
/// The shortest that there is; it stands for fifty seconds.
const LEASE: Duration = Duration::from_secs(1);
/// Entries of the event log, as by default.
const EVENTS: &str = "2000";
const SAMPLES: u32 = 180;
/// Finished tasks are kept for this part of the run.
const KEPT: u32 = 25;

/// What a soak is made of.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What decides the tasks
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long it takes, such as 30m
    #[arg(long, value_parser = parse_duration, default_value = "30m")]
    duration: Duration,
    /// Tasks a second
    #[arg(long, default_value_t = 200)]
    rate: usize,
    /// Workers
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Where the report is written besides
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Something that could grow, over time.
struct Series {
    unit: &'static str,
    /// What it may grow by, whatever share of it that is.
    slack: f64,
    values: Vec<f64>,
}

/// How much of itself anything may grow by, from the first third after the first tenth to the last third.
const SHARE: f64 = 0.02;

impl Series {
    /// Medians of the first and of the last third, once the first tenth is over. A spike moves neither; what grows all
    /// the time moves them apart.
    fn thirds(&self) -> (f64, f64) {
        let rest = &self.values[self.values.len() / 10..];
        let third = rest.len().div_ceil(3);
        (median(&rest[..third.min(rest.len())]), median(&rest[rest.len().saturating_sub(third)..]))
    }

    fn grew(&self) -> bool {
        let (first, last) = self.thirds();
        last - first > (first * SHARE).max(self.slack)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// Runs it, and says whether nothing grew.
pub(crate) fn soak(options: &Options) -> bool {
    let mut stage = Stage::start(Topology::Single, LEASE, options.workers);
    let kept = human(options.duration / KEPT);
    for queue in QUEUES {
        let keep = ["--retention", &kept, "--dead-retention", &kept, "--events", EVENTS];
        stage.fleet.windlass(&[&["queues", "set", queue][..], &keep].concat()).ok();
    }
    // Its log of slow commands fills up when the machine is busy, and is no doing of ours.
    stage.tell_primaries(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
    let tasks = (options.duration.as_secs_f64() * options.rate as f64) as usize;
    let mut load = Load::new(&stage, options.seed, tasks, options.duration);
    let (begun, every) = (Instant::now(), options.duration / SAMPLES);
    let mut next = every;
    let mut all = BTreeMap::new();
    while begun.elapsed() < options.duration {
        load.turn(&mut stage);
        stage.tend(&[]);
        if begun.elapsed() >= next {
            sample(&mut stage, &mut all);
            next += every;
        }
        thread::sleep(TURN);
    }
    while !load.is_over() {
        load.turn(&mut stage);
        thread::sleep(TURN);
    }
    let mut violations = settle(&mut stage, &load);
    violations.extend(all.iter().filter(|(_, series)| series.grew()).map(|(name, _)| format!("{name} grew")));
    let report = markdown(options, &kept, load.accepted.len(), &all, &violations);
    say(&report);
    if let Some(path) = &options.report {
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(path, &report))
            .expect("the report can be written");
    }
    violations.is_empty()
}

/// Nothing is left, the totals are right, and the checker is content.
fn settle(stage: &mut Stage, load: &Load) -> Vec<String> {
    drain_out(stage, &mut Recovery::default(), Duration::from_mins(2));
    let mut violations = std::mem::take(&mut stage.violations);
    for (name, state) in [("completed", "completed"), ("failed", "failed")] {
        let expected = load.accepted.iter().filter(|task| task.expected == state).count() as u64;
        let total = stage.fleet.total(QUEUE, name);
        if total != expected {
            violations.push(format!("the total {name} is {total}, not {expected}"));
        }
    }
    let checked = stage.fleet.windlass(&["doctor", "--verify"]);
    if checked.code != 0 {
        violations.push(format!("the checker is not content: {checked}"));
    }
    violations
}

fn sample(stage: &mut Stage, all: &mut BTreeMap<String, Series>) {
    let mut note = |name: String, unit, slack, value: f64| {
        all.entry(name).or_insert_with(|| Series { unit, slack, values: Vec::new() }).values.push(value);
    };
    let info = info_of(&stage.fleet.redis);
    let figure = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|text| text.trim().parse::<f64>().ok()).unwrap_or(0.0)
    };
    note("Redis: memory".to_owned(), "MB", 0.0, figure("used_memory") / 1e6);
    // The producer's connections come and go.
    note("Redis: connections".to_owned(), "", 4.0, figure("connected_clients"));
    let mut connection = stage.fleet.connection();
    let mut count = |command: &str, key: &str| -> f64 {
        let mut ask = redis::cmd(command);
        if !key.is_empty() {
            ask.arg(key);
        }
        ask.query::<u64>(&mut connection).expect("Redis answers") as f64
    };
    note("Redis: keys".to_owned(), "", 0.0, count("DBSIZE", ""));
    let keys = stage.fleet.queue_keys(QUEUE);
    // A stream is trimmed by whole nodes of a hundred entries.
    note("Redis: entries of `events`".to_owned(), "", 200.0, count("XLEN", keys.events()));
    note("Redis: entries of `finished`".to_owned(), "", 200.0, count("XLEN", keys.finished()));
    for (number, pid) in stage.pids().into_iter().enumerate() {
        note(format!("worker {number}: resident memory"), "MB", 1.0, resident(pid));
        // A command's pipes come and go.
        note(format!("worker {number}: open files"), "", 6.0, open_files(pid));
    }
}

/// Megabytes of memory that a process has now.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) * 1024.0 / 1e6
}

fn open_files(pid: u32) -> f64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count) as f64
}

fn markdown(
    options: &Options,
    kept: &str,
    accepted: usize,
    all: &BTreeMap<String, Series>,
    violations: &[String],
) -> String {
    let verdict = if violations.is_empty() { "passed" } else { "**FAILED**" };
    let (time, rate) = (human(options.duration), options.rate);
    let mut text = format!(
        "# Soak: {verdict}\n\n{time}, standing for {}: {accepted} tasks at {rate} a second, lease {}, finished tasks kept for {kept}.\n\n\
         Medians of the first and of the last third, after the first tenth.\n\n\
         | what | first third | last third | change | may grow by |\n| --- | ---: | ---: | ---: | ---: |\n",
        human(options.duration * 50),
        human(LEASE),
    );
    for (name, series) in all {
        let ((first, last), unit) = (series.thirds(), series.unit);
        let change = (last - first) / first.max(f64::MIN_POSITIVE) * 100.0;
        let allowed = (first * SHARE).max(series.slack);
        _ = writeln!(
            text,
            "| {name} | {first:.1} {unit} | {last:.1} {unit} | {change:+.1} % | {allowed:.1} {unit} |"
        );
    }
    for violation in violations {
        _ = write!(text, "\n* {violation}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: impl Iterator<Item = f64>) -> Series {
        Series { unit: "", slack: 0.0, values: values.collect() }
    }

    #[test]
    fn growth_at_the_beginning_and_spikes_are_no_growth_and_a_slow_leak_is() {
        let warm = (0..180).map(|n| if n < 18 { f64::from(n) } else { 100.0 + f64::from(n % 3) });
        assert!(!series(warm).grew());
        let spikes = (0..180).map(|n| if n % 40 == 39 { 500.0 } else { 100.0 });
        assert!(!series(spikes).grew());
        assert!(series((0..180).map(|n| 100.0 + f64::from(n) * 0.04)).grew());
    }
}
