//! Workers are killed while they try bubblewrap out, and while they start commands in it: nothing of it is left.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path, thread, time::Duration};

use rustix::process::{Signal, getpid, set_child_subreaper};
use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{eventually, is_alive},
};

use crate::look::{lines, secs};

fn is_installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join("bwrap").is_file())
}

fn with_bubblewrap(temporary: &Path, path: &str) -> Fleet {
    let temporary = temporary.to_str().expect("a plain path");
    let env = [("WINDLASS_SANDBOX_BUBBLEWRAP", "auto"), ("TMPDIR", temporary), ("PATH", path)];
    // What a killed worker leaves becomes ours, and is found.
    set_child_subreaper(Some(getpid())).expect("this process may adopt");
    Fleet::start(&FleetOptions { workers: 0, env: &env, concurrency: 4, ..FleetOptions::default() })
}

/// Our children that are a helper of a sandbox, bubblewrap, or what runs in it.
fn left() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").expect("our own threads").flatten();
    let children =
        threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let ids = children.collect::<String>();
    let ids = ids.split_whitespace().filter_map(|id| id.parse::<u32>().ok()).filter(|id| is_alive(*id));
    let told = ids.map(|id| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        format!("{id} {}", String::from_utf8_lossy(&line).replace('\0', " "))
    });
    told.filter(|line| {
        ["bwrap ", "sandbox-exec", "sandbox-apply", "sleep 600"].iter().any(|name| line.contains(name))
    })
    .collect()
}

fn assert_nothing_is_left() {
    let start = std::time::Instant::now();
    while !left().is_empty() {
        assert!(start.elapsed() < secs(10), "left behind: {:#?}", left());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_worker_that_is_killed_at_any_moment_of_its_start_leaves_no_process_behind() {
    if !is_installed() {
        return;
    }
    let temporary = tempfile::tempdir().expect("a folder");
    let mut fleet = with_bubblewrap(temporary.path(), &env::var("PATH").expect("a plain text"));
    for moment in 0..80 {
        let worker = fleet.launch(&[]);
        thread::sleep(Duration::from_millis(moment * 3));
        fleet.kill9(worker);
    }
    assert_nothing_is_left();
}

#[test]
fn a_worker_that_is_killed_while_it_starts_commands_leaves_no_process_behind() {
    if !is_installed() {
        return;
    }
    let temporary = tempfile::tempdir().expect("a folder");
    let mut fleet = with_bubblewrap(temporary.path(), &env::var("PATH").expect("a plain text"));
    fleet.submit_lines(&lines("short", 2000, "command", &json!({"argv": ["true"]})), &[]);
    for moment in 0..8 {
        let worker = fleet.launch(&[]);
        let before = fleet.total("default", "completed");
        eventually("it runs commands", secs(20), || fleet.total("default", "completed") > before);
        thread::sleep(Duration::from_millis(moment * 5));
        fleet.kill9(worker);
    }
    assert_nothing_is_left();
}

/// A bubblewrap that never answers, and marks that it was started.
#[test]
fn a_worker_whose_bubblewrap_hangs_leaves_when_it_is_told_to_and_otherwise_does_without() {
    let temporary = tempfile::tempdir().expect("a folder");
    let (program, mark) = (temporary.path().join("bwrap"), temporary.path().join("started"));
    fs::write(&program, format!("#!/bin/sh\n: > '{}'\nexec sleep 600\n", mark.display())).expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it may be run");
    let path = format!("{}:{}", temporary.path().display(), env::var("PATH").expect("a plain text"));
    let mut fleet = with_bubblewrap(temporary.path(), &path);
    for (signal, code) in [(Signal::TERM, 0), (Signal::INT, 0), (Signal::KILL, -9)] {
        let worker = fleet.launch(&[]);
        eventually("it tries", secs(10), || mark.exists());
        fleet.worker(worker).signal(signal);
        assert_eq!(fleet.exit_code(worker, secs(5)), code, "{}", fleet.log(worker));
        assert_nothing_is_left();
        fs::remove_file(&mark).expect("it is there");
    }
    fleet.spawn_worker();
    let node = fleet.nodes().remove(0);
    let why = node["sandbox"]["missing"]["isolation"].as_str().unwrap_or_default();
    assert!(why.contains("bubblewrap does not work here: no answer within 10s"), "{node}");
    assert_nothing_is_left();
}
