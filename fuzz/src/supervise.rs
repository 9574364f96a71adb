//! Runs a target in processes of its own, one for each core, and goes on after an input that ended one.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use anyhow::Context;

use crate::{Mutator, Range, Target, runner::Ran};

/// After so many findings a target is left alone.
const MOST_FINDINGS: usize = 5;

/// How much is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What decides every input.
    pub seed: u64,
    /// Inputs for each target.
    pub inputs: u64,
    /// Processes at once.
    pub jobs: u64,
    /// Longest time of an input, in seconds.
    pub longest: u64,
    /// Where inputs go that break something.
    pub findings: PathBuf,
}

/// An input that ended a process.
#[derive(Debug)]
pub struct Finding {
    /// Its number.
    pub number: u64,
    /// Where it was written.
    pub path: PathBuf,
    /// The last words of the process.
    pub why: String,
}

/// What became of a target.
#[derive(Debug, Default)]
pub struct Done {
    /// Of all processes that came to their end.
    pub ran: Ran,
    /// What broke.
    pub findings: Vec<Finding>,
}

/// Tries all inputs of a plan on one target.
pub fn supervise(target: &Target, plan: &Plan) -> anyhow::Result<Done> {
    let jobs = plan.jobs.clamp(1, plan.inputs.max(1));
    let share = plan.inputs.div_ceil(jobs);
    let parts: Vec<anyhow::Result<Done>> = thread::scope(|scope| {
        let part = |job: u64| {
            let range = Range { from: job * share, to: ((job + 1) * share).min(plan.inputs) };
            scope.spawn(move || part(target, plan, range))
        };
        let parts: Vec<_> = (0..jobs).map(part).collect();
        parts
            .into_iter()
            .map(|part| part.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked")))
            .collect()
    });
    let mut done = Done::default();
    for part in parts {
        let Done { ran, findings } = part?;
        if ran.slowest > done.ran.slowest {
            (done.ran.slowest, done.ran.slowest_input) = (ran.slowest, ran.slowest_input);
        }
        done.ran.inputs += ran.inputs;
        done.ran.seconds = done.ran.seconds.max(ran.seconds);
        done.ran.heap = done.ran.heap.max(ran.heap);
        done.findings.extend(findings);
    }
    Ok(done)
}

/// A range, in as many processes as it takes.
fn part(target: &Target, plan: &Plan, mut range: Range) -> anyhow::Result<Done> {
    let state = tempfile::NamedTempFile::new()?;
    let mut done = Done::default();
    while range.from < range.to && done.findings.len() < MOST_FINDINGS {
        let output = child(target, plan, range, state.path())?;
        if output.status.success() {
            let ran: Ran =
                serde_json::from_slice(&output.stdout).context("what a process says of its range")?;
            done.ran =
                Ran { inputs: done.ran.inputs + ran.inputs, seconds: done.ran.seconds + ran.seconds, ..ran };
            break;
        }
        let number = tried(state.path())?;
        done.findings.push(finding(target, plan, number, &output)?);
        done.ran.inputs += number.saturating_sub(range.from) + 1;
        range.from = number + 1;
    }
    Ok(done)
}

fn child(target: &Target, plan: &Plan, range: Range, state: &Path) -> anyhow::Result<Output> {
    let numbers =
        [("--seed", plan.seed), ("--from", range.from), ("--to", range.to), ("--longest", plan.longest)];
    let mut command = Command::new(env::current_exe()?);
    command.args(["range", target.name]).arg("--state").arg(state);
    for (flag, number) in numbers {
        command.arg(flag).arg(number.to_string());
    }
    // What an input makes a program read of its environment must not depend on the machine.
    command.env_clear().env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    command.output().context("a process of the fuzzer cannot be started")
}

/// The number that stands in the file.
fn tried(state: &Path) -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    fs::File::open(state)?.read_exact(&mut bytes).context("a process ended before its first input")?;
    Ok(u64::from_le_bytes(bytes))
}

fn finding(target: &Target, plan: &Plan, number: u64, output: &Output) -> anyhow::Result<Finding> {
    fs::create_dir_all(&plan.findings)?;
    let path = plan.findings.join(format!("{}-{}-{number}", target.name, plan.seed));
    fs::write(&path, Mutator::new(target, plan.seed).input(number))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let from = said.char_indices().rev().nth(1000).map_or(0, |(at, _)| at);
    Ok(Finding { number, path, why: format!("{}: {}", output.status, said[from..].trim()) })
}
