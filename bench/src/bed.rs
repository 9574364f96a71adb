//! One measurement of one peer: a server of its own, and the peer's programs on it.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use windlass_bench::record;
use windlass_shared::model::QueueName;
use windlass_tests::{
    fleet::{binary, keys},
    process::{Output, Process, run},
};

use crate::{
    peer::{Peer, Purpose},
    server::Server,
};

/// Nothing takes longer, however busy the machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);
/// Workers that were started run something by then.
const START: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A peer on a server. Everything ends with it.
pub(crate) struct Bed<'a> {
    pub(crate) peer: &'a Peer,
    pub(crate) server: Server,
    /// What counts stored results: a command of each partition, and the primary that has it.
    done: Vec<(usize, Vec<String>)>,
    dir: TempDir,
}

impl<'a> Bed<'a> {
    pub(crate) fn new(peer: &'a Peer) -> Result<Self> {
        Self::on(peer, Server::start(false)?)
    }

    pub(crate) fn on(peer: &'a Peer, server: Server) -> Result<Self> {
        Ok(Self { peer, server, done: vec![(0, peer.done.clone())], dir: tempfile::tempdir()? })
    }

    /// Divides Windlass' queue, as people do.
    pub(crate) fn divide(&mut self, partitions: u16) -> Result<()> {
        let queue = QueueName::default_queue();
        let mut command = self.program("windlass");
        command.args(["queues", "set", queue.as_str(), "--partitions", &partitions.to_string()]);
        let output = run(command, self.dir.path(), "divide", PATIENCE);
        ensure!(output.code == 0, "{output}");
        self.done.clear();
        for keys in keys().partitions(&queue, partitions) {
            let words = ["HGET", keys.stats(), "completed"].map(str::to_owned);
            self.done.push((self.server.primary_of(keys.stats())?, words.to_vec()));
        }
        Ok(())
    }

    /// One of our programs on the server, with nothing of this process's environment but the path.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(binary(name));
        command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("WINDLASS_REDIS_URL", self.server.url()).env("WINDLASS_WORKSPACE", self.path("work"));
        command.env("WINDLASS_LOG", "warn").stdin(Stdio::null()).current_dir(self.path(""));
        command
    }

    /// A file of this measurement.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the handlers wrote.
    pub(crate) fn log(&self) -> PathBuf {
        self.path("log")
    }

    /// Runs a verb of the adapter to its end, and gives the lines of JSON that it wrote.
    pub(crate) fn verb(&self, words: &[&str]) -> Result<Vec<Value>> {
        let mut command = self.peer.command(&self.server, &self.log(), 0, Purpose::Usual);
        command.args(words);
        let output: Output = run(command, self.dir.path(), words[0], PATIENCE);
        ensure!(output.code == 0, "{output}");
        let lines = output.stdout.lines().filter(|line| line.starts_with('{'));
        Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
    }

    /// Submits tasks; gives the seconds that it took, and how it was done.
    pub(crate) fn enqueue(&self, n: u64, mode: &str, more: &[&str]) -> Result<(f64, String)> {
        let n = n.to_string();
        let lines = self.verb(&[&["enqueue", "--n", &n, "--mode", mode], more].concat())?;
        let line = lines.last().context("the adapter said nothing")?;
        let seconds = line["seconds"].as_f64().context("the adapter told no seconds")?;
        Ok((seconds, line["how"].as_str().unwrap_or(mode).to_owned()))
    }

    /// Starts a worker.
    pub(crate) fn worker(&self, number: usize, concurrency: u64, purpose: Purpose) -> Process {
        let mut command = self.peer.command(&self.server, &self.log(), number, purpose);
        command.args(["worker", "--conc", &concurrency.to_string()]);
        Process::start(command, self.dir.path(), &format!("worker-{number}"))
    }

    /// Starts another verb that goes on until it is killed, and waits until it said that it is ready.
    pub(crate) fn beside(&self, words: &[&str]) -> Result<Process> {
        let mut command = self.peer.command(&self.server, &self.log(), 0, Purpose::Usual);
        command.args(words);
        let mut process = Process::start(command, self.dir.path(), words[0]);
        wait(START, || {
            ensure!(!process.has_ended(), "{} ended: {}", words[0], process.stderr());
            Ok(process.stdout().contains("ready"))
        })?;
        Ok(process)
    }

    /// How many tasks were started.
    pub(crate) fn started(&self) -> u64 {
        record::count(&self.log())
    }

    /// How many results are stored.
    pub(crate) fn stored(&mut self) -> Result<u64> {
        Ok(self.stored_of_each()?.iter().sum())
    }

    /// How many results each partition has stored.
    pub(crate) fn stored_of_each(&mut self) -> Result<Vec<u64>> {
        let mut counts = Vec::new();
        for (primary, words) in &self.done {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            counts.push(self.server.ask_at::<Option<u64>>(*primary, &words)?.unwrap_or(0));
        }
        Ok(counts)
    }

    /// Waits until so many results are stored while `workers` run.
    pub(crate) fn finish(&mut self, results: u64, workers: &mut [Process]) -> Result<u64> {
        let mut stored = 0;
        wait(PATIENCE, || {
            for worker in workers.iter_mut() {
                ensure!(!worker.has_ended(), "a worker ended: {}", worker.wait(Duration::ZERO));
            }
            // Asked only when it can be so, since asking costs the server something.
            if self.started() >= results {
                stored = self.stored()?;
            }
            Ok(stored >= results)
        })?;
        Ok(stored)
    }

    /// A worker that has run tasks: its scripts are loaded, its connections open. The log is empty afterwards.
    pub(crate) fn warm_worker(&mut self, concurrency: u64) -> Result<Process> {
        const TASKS: u64 = 20;
        let mut worker = [self.worker(0, concurrency, Purpose::Usual)];
        self.enqueue(TASKS, "single", &[])?;
        self.finish(TASKS, &mut worker)?;
        thread::sleep(Duration::from_millis(500));
        std::fs::File::options().write(true).open(self.log())?.set_len(0)?;
        let [worker] = worker;
        Ok(worker)
    }
}

/// Waits until `holds`.
pub(crate) fn wait(patience: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !holds()? {
        if start.elapsed() > patience {
            bail!("nothing came of it within {patience:?}");
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Asks a worker to leave, and waits for it. One that does not is killed when it is dropped.
pub(crate) fn leave(worker: &mut Process) {
    worker.signal(Signal::TERM);
    let start = Instant::now();
    while !worker.has_ended() && start.elapsed() < Duration::from_secs(8) {
        thread::sleep(Duration::from_millis(10));
    }
}
