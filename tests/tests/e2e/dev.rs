//! `windlass dev`: a whole fleet on one machine, that leaves nothing behind.

use std::{fs::File, process::Stdio, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_tests::{
    fleet::binary,
    process::{Output, Process, eventually, is_alive, run, until},
};

use crate::look::{secs, text};

/// A `dev` in a directory of its own. It knows of no Redis but the one that it starts.
pub(crate) struct Dev {
    pub(crate) process: Process,
    pub(crate) dir: TempDir,
    pub(crate) url: String,
    _turn: File,
}

/// All `dev`s look at the same port first: one test at a time, over all processes, until the file is dropped.
pub(crate) fn turn() -> File {
    let file = File::create(std::env::temp_dir().join("windlass-e2e-dev.lock")).expect("a file can be made");
    until("it is our turn", secs(120), || file.try_lock().ok());
    file
}

pub(crate) fn command(dir: &TempDir, args: &[&str]) -> std::process::Command {
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new(binary("windlass"));
    command.args(args).env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.current_dir(dir.path()).process_group(0).stdin(Stdio::null());
    command
}

impl Dev {
    pub(crate) fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let turn = turn();
        let mut process = Process::start(command(&dir, &[&["dev"], args].concat()), dir.path(), "dev");
        let url = until("it says how to reach it", secs(20), || {
            assert!(!process.has_ended(), "{}", process.stderr());
            let stdout = process.stdout();
            stdout.lines().find_map(|line| line.strip_prefix("export WINDLASS_REDIS_URL=")).map(str::to_owned)
        });
        Self { process, dir, url, _turn: turn }
    }

    pub(crate) fn windlass(&self, args: &[&str]) -> Output {
        let mut command = command(&self.dir, args);
        command.env("WINDLASS_REDIS_URL", &self.url);
        run(command, self.dir.path(), "windlass", secs(30))
    }

    /// Its nodes, once so many are active.
    pub(crate) fn nodes(&self, count: usize) -> Vec<Value> {
        until("its workers are active", secs(20), || {
            let nodes = self.windlass(&["nodes", "-o", "jsonl"]).jsonl();
            (nodes.iter().filter(|node| node["state"] == "active").count() == count).then_some(nodes)
        })
    }

    /// The processes of its workers and of its Redis.
    pub(crate) fn pids(&self, workers: usize) -> Vec<u32> {
        let mut pids: Vec<u32> =
            self.nodes(workers).iter().filter_map(|node| node["pid"].as_u64()?.try_into().ok()).collect();
        let client = redis::Client::open(&*self.url).expect("a valid URL");
        let mut connection = client.get_connection().expect("Redis takes connections");
        let info: String = redis::cmd("INFO").arg("server").query(&mut connection).expect("it tells");
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("its process id");
        pids.push(pid.trim().parse().expect("a number"));
        assert!(pids.iter().copied().all(is_alive));
        pids
    }
}

pub(crate) fn assert_gone(pids: &[u32], deadline: Duration) {
    eventually("no process is left", deadline, || !pids.iter().copied().any(is_alive));
}

#[test]
fn it_starts_a_fleet_works_and_stops_everything_after_its_time() {
    let mut dev = Dev::start(&["--workers", "2", "--duration", "6s", "--concurrency", "3"]);
    assert_eq!(
        dev.process.stdout(),
        format!("export WINDLASS_REDIS_URL={}\n", dev.url),
        "for a script to take"
    );
    let pids = dev.pids(2);
    assert_eq!(pids.len(), 3);
    assert!(dev.nodes(2).iter().all(|node| node["slots"] == 3));
    let payload = json!({"argv": ["echo", "{\"ahoy\": true}"]}).to_string();
    let output =
        dev.windlass(&["submit", "--type", "command", "--payload", &payload, "--wait", "-o", "json"]).ok();
    assert_eq!(output.json()["result"]["stdout"], json!({"ahoy": true}), "{output}");
    assert!(dev.dir.path().join(".windlass/logs/worker-1.log").is_file());
    let output = dev.process.wait(secs(20)).ok();
    assert!(output.stderr.contains("stopping"), "{output}");
    assert_gone(&pids, secs(1));
}

#[test]
fn ctrl_c_lets_what_runs_finish_and_the_next_start_finds_it_all_again() {
    let mut dev = Dev::start(&["--workers", "1"]);
    let pids = dev.pids(1);
    let _ = dev.windlass(&["submit", "--type", "sleep", "--payload", "{\"ms\":1500}", "--id", "t"]).ok();
    until("it runs", secs(10), || {
        let status = dev.windlass(&["status", "t", "-o", "json"]).json();
        (status["state"] == "running").then_some(())
    });
    dev.process.signal(Signal::INT);
    let _ = dev.process.wait(secs(20)).ok();
    assert_gone(&pids, secs(1));

    let mut again = Process::start(command(&dev.dir, &["dev", "--workers", "1"]), dev.dir.path(), "again");
    dev.url = until("it is back", secs(20), || {
        let stdout = again.stdout();
        stdout.lines().find_map(|line| line.strip_prefix("export WINDLASS_REDIS_URL=")).map(str::to_owned)
    });
    let task = dev.windlass(&["status", "t", "-o", "json"]).ok().json();
    assert_eq!((&task["state"], &task["attempt"]), (&json!("completed"), &json!(1)), "{task}");
    again.signal(Signal::TERM);
    let _ = again.wait(secs(20)).ok();
}

#[test]
fn model_tasks_go_to_a_stand_in_if_wanted() {
    let mut dev = Dev::start(&["--workers", "1", "--scripted"]);
    assert!(dev.process.stderr().contains("its answers are no model's"), "{}", dev.process.stderr());
    let _ = dev.nodes(1);
    let submit = ["submit", "--type", "llm", "--payload", "{\"prompt\":\"Hello\"}", "--wait", "-o", "json"];
    let task = dev.windlass(&submit).ok().json();
    assert!(text(&task["result"]["text"]).starts_with("[scripted stand-in]"), "{task}");
    dev.process.signal(Signal::INT);
    let _ = dev.process.wait(secs(20)).ok();
}

#[test]
fn the_seeds_command_runs_for_so_many_seconds() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let _turn = turn();
    let output = run(
        command(&dir, &["run-engine", "--workers", "1", "--duration", "1"]),
        dir.path(),
        "engine",
        secs(20),
    );
    assert_eq!(output.code, 0, "{output}");
}
