//! `windlass dev` when things go wrong: killed, crowded, with much to load.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use windlass_tests::process::{Process, eventually, run, until};

use crate::{
    dev::{Dev, assert_gone, command, turn},
    look::secs,
};

#[test]
fn its_children_die_with_it_even_if_it_is_killed() {
    let mut dev = Dev::start(&["--workers", "2"]);
    let pids = dev.pids(2);
    dev.process.signal(Signal::KILL);
    assert_eq!(dev.process.wait(secs(5)).code, -9);
    assert_gone(&pids, secs(20));
}

#[test]
fn a_worker_that_dies_is_told_and_the_rest_goes_on() {
    let mut dev = Dev::start(&["--workers", "2"]);
    let pids = dev.pids(2);
    let victim = Pid::from_raw(i32::try_from(pids[0]).expect("a process id")).expect("not zero");
    kill_process(victim, Signal::KILL).expect("it runs");
    eventually("it is told", secs(5), || dev.process.stderr().contains("ended: signal: 9"));
    let output = dev.windlass(&["submit", "--type", "noop", "--payload", "1", "--wait"]).ok();
    assert!(output.stdout.contains("completed"), "{output}");
    dev.process.signal(Signal::INT);
    let _ = dev.process.wait(secs(20)).ok();
    assert_gone(&pids, secs(1));
}

/// Two servers on the same files would spoil them.
#[test]
fn a_second_one_in_the_same_directory_is_refused() {
    let mut dev = Dev::start(&["--workers", "1"]);
    let _ = dev.nodes(1);
    let second = run(
        command(&dev.dir, &["dev", "--workers", "1", "--duration", "1s"]),
        dev.dir.path(),
        "second",
        secs(20),
    );
    assert_eq!(second.code, 2, "{second}");
    assert!(second.stderr.contains("--dir"), "it does not say what to do: {second}");
    assert_eq!(dev.nodes(1).len(), 1, "the first one goes on");
    dev.process.signal(Signal::INT);
    let _ = dev.process.wait(secs(20)).ok();
}

/// Its Redis takes its time to load what it held; workers that came too early would be refused.
#[test]
fn it_starts_again_with_much_to_load() {
    let mut dev = Dev::start(&["--workers", "1"]);
    let line = |n| format!("{{\"type\":\"noop\",\"queue\":\"unserved\",\"payload\":{n}}}\n");
    let tasks: String = (0..150_000).map(line).collect();
    std::fs::write(dev.dir.path().join("tasks.jsonl"), tasks).expect("a file can be written");
    let _ = dev.windlass(&["submit", "--file", "tasks.jsonl", "--batch", "b"]).ok();
    dev.process.signal(Signal::INT);
    let _ = dev.process.wait(secs(20)).ok();
    let mut again = Process::start(command(&dev.dir, &["dev", "--workers", "2"]), dev.dir.path(), "again");
    dev.url = until("it is back", secs(20), || {
        assert!(!again.has_ended(), "{}", again.stderr());
        let stdout = again.stdout();
        stdout.lines().find_map(|line| line.strip_prefix("export WINDLASS_REDIS_URL=")).map(str::to_owned)
    });
    let _ = dev.nodes(2);
    let queue = dev.windlass(&["queues", "unserved", "-o", "json"]).ok().json();
    assert_eq!(queue["pending"]["normal"], 150_000, "{queue}");
    again.signal(Signal::INT);
    let _ = again.wait(secs(20)).ok();
}

#[test]
fn several_that_start_at_once_get_a_redis_each() {
    let _turn = turn();
    let dirs: Vec<TempDir> = (0..5).map(|_| tempfile::tempdir().expect("a temporary directory")).collect();
    let start = |dir: &TempDir| Process::start(command(dir, &["dev", "--workers", "1"]), dir.path(), "dev");
    let mut devs: Vec<Process> = dirs.iter().map(start).collect();
    let mut urls: Vec<String> = devs
        .iter_mut()
        .map(|dev| {
            until("it is up", secs(30), || {
                assert!(!dev.has_ended(), "{}", dev.stderr());
                dev.stdout().lines().find(|line| line.starts_with("export ")).map(str::to_owned)
            })
        })
        .collect();
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), 5, "{urls:?}");
    for dev in &mut devs {
        dev.signal(Signal::INT);
    }
    for dev in &mut devs {
        let _ = dev.wait(secs(20)).ok();
    }
}

/// The children that are just being started must notice as well.
#[test]
fn it_leaves_nobody_behind_when_it_is_killed_while_it_starts() {
    let _turn = turn();
    for n in 1..=6 {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let mut dev = Process::start(command(&dir, &["dev", "--workers", "12"]), dir.path(), "dev");
        let log = dir.path().join(format!(".windlass/logs/worker-{}.log", 2 * n));
        until("some workers are started", secs(20), || log.exists().then_some(()));
        dev.signal(Signal::KILL);
        let _ = dev.wait(secs(5));
        let start = Instant::now();
        while !working_in(dir.path()).is_empty() && start.elapsed() < secs(10) {
            thread::sleep(Duration::from_millis(10));
        }
        let left = working_in(dir.path());
        for pid in &left {
            let pid = Pid::from_raw(i32::try_from(*pid).expect("a process id")).expect("not zero");
            _ = kill_process(pid, Signal::KILL);
        }
        assert!(left.is_empty(), "{} processes are left behind", left.len());
    }
}

/// The processes whose working directory this is.
fn working_in(dir: &Path) -> Vec<u32> {
    let dir = dir.canonicalize().expect("it is there");
    let works = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir);
    let entries = std::fs::read_dir("/proc").expect("the system lists its processes").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(works).collect()
}
