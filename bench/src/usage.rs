//! What a process used, as Linux tells it.

use std::fs;

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;

/// Seconds of CPU, all threads together.
pub fn cpu(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("only Linux tells")?;
    // The name, in parentheses, may hold anything. After it come the fields from the third on; 14 and 15 are wanted.
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    let ticks: Vec<u64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / clock_ticks_per_second() as f64)
}

/// Seconds of CPU of the main thread, to the microsecond: what is too short to be counted in ticks.
pub fn main_thread(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).context("only Linux tells")?;
    let nanos: u64 = stat.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanos as f64 / 1e9)
}

/// Kilobytes of memory that it has now.
pub fn resident(pid: u32) -> Result<f64> {
    kilobytes(pid, "VmRSS:")
}

/// The most kilobytes that it ever had.
pub fn peak(pid: u32) -> Result<f64> {
    kilobytes(pid, "VmHWM:")
}

fn kilobytes(pid: u32, field: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("only Linux tells")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.with_context(|| format!("no line {field}"))?.parse()?)
}
