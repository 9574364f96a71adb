//! What the system tells of this process. Linux tells it in `/proc`; elsewhere nothing is told.

use std::{fmt, fs};

use crate::{
    list::{Metric, PROCESS_CPU, PROCESS_FDS, PROCESS_MEMORY, PROCESS_START},
    render::Sheet,
};

/// Ticks of `/proc` in a second. Linux tells all programs 100, whatever the kernel counts in.
const TICKS: f64 = 100.0;

pub(crate) fn write(sheet: &mut Sheet<'_>) -> fmt::Result {
    let (cpu, start) = times().unzip();
    let figures: [(&Metric, Option<f64>); 4] = [
        (&PROCESS_MEMORY, memory()),
        (&PROCESS_FDS, open_fds()),
        (&PROCESS_CPU, cpu),
        (&PROCESS_START, start),
    ];
    figures
        .into_iter()
        .try_for_each(|(metric, figure)| sheet.numbers(metric, figure.map(|n| (Vec::new(), n))))
}

fn memory() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

fn open_fds() -> Option<f64> {
    // Reading the folder opens one, which is not counted.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as f64 - 1.0).max(0.0))
}

/// CPU seconds, and the second of the epoch at which it began.
fn times() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold anything.
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| words.get(at)?.parse::<f64>().ok();
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<f64>().ok()?;
    // Fields 14, 15 and 22 of the file, of which two come before.
    Some(((ticks(11)? + ticks(12)?) / TICKS, boot + ticks(19)? / TICKS))
}
