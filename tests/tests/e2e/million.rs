//! A million tasks from one file: in flat memory, interrupted, and run again.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::json;
use windlass_tests::{
    fleet::Fleet,
    process::{Process, until},
};

use crate::look::secs;

const TASKS: u64 = 1_000_000;
const MOST_MEMORY_KB: u64 = 100 * 1000;

fn write_tasks(path: &Path) {
    let mut file = BufWriter::new(File::create(path).expect("a file can be made"));
    for n in 0..TASKS {
        writeln!(file, r#"{{"type":"noop","payload":{{"n":{n}}}}}"#).expect("it can be written");
    }
    file.flush().expect("it can be written");
}

/// The most memory that the process ever had, in kB; none once it ended.
fn peak_memory(process: &Process) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Watches a submission until `over`, and gives its peak of memory.
fn watch(process: &mut Process, mut over: impl FnMut(&mut Process) -> bool) -> u64 {
    let mut peak = 0;
    until("the submission gets on", secs(150), || {
        peak = peak_memory(process).unwrap_or(0).max(peak);
        over(process).then_some(())
    });
    assert!(peak > 0, "its memory was seen");
    peak
}

#[test]
fn a_million_tasks_interrupted_and_run_again_are_a_million_tasks_in_flat_memory() {
    let fleet = Fleet::without_workers();
    write_tasks(&fleet.dir().join("million.jsonl"));
    let submit = ["submit", "--file", "million.jsonl", "--batch", "million", "-o", "json"];

    let mut first = fleet.start_windlass(&submit);
    let peak = watch(&mut first, |_| fleet.total("default", "submitted") > TASKS / 2);
    first.signal(Signal::INT);
    let output = first.wait(Duration::from_secs(10)).expect_code(130);
    assert!(output.stderr.contains("run the same command again"), "{output}");
    assert!(peak < MOST_MEMORY_KB, "{peak} kB");
    let so_far = fleet.total("default", "submitted");
    assert!(so_far < TASKS, "it was interrupted on the way");
    assert_eq!(output.json()["accepted"], so_far, "the summary is true: {output}");

    let mut second = fleet.start_windlass(&submit);
    let peak = watch(&mut second, Process::has_ended);
    let output = second.wait(Duration::ZERO).ok();
    println!("{TASKS} tasks with a peak of {peak} kB of memory");
    assert!(peak < MOST_MEMORY_KB, "{peak} kB");
    let expected =
        json!({"batch": "million", "accepted": TASKS - so_far, "duplicates": so_far, "rejected": 0});
    assert_eq!(output.json(), expected);
    assert_eq!(fleet.total("default", "submitted"), TASKS);
    assert_eq!(fleet.queue("default")["pending"]["normal"], TASKS);
    let timed_out = fleet.windlass(&["wait", "--batch", "million", "--timeout", "100ms"]).expect_code(5);
    assert!(timed_out.stderr.contains("timed out"), "{timed_out}");
}
