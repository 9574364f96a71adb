//! `fuzz`: gives hostile input to everything that reads text from outside. See `docs/fuzzing.md`.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use windlass_fuzz::{Mutator, Plan, Range, Target, all, faulty, run, supervise, table};

/// Gives hostile input to everything that reads text from outside.
#[derive(Parser)]
#[command(after_help = "Example: fuzz run --inputs 100000 task config")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tries inputs on targets (all, if none is named) and prints a table. Fails if something broke.
    #[command(after_help = "Example: fuzz run --inputs 1000000 --out docs/fuzzing/table.md")]
    Run(Run),
    /// Lists the targets.
    #[command(after_help = "Example: fuzz list")]
    List,
    /// Tries one input from a file.
    #[command(after_help = "Example: fuzz replay openai .windlass/fuzz/openai-1-4711")]
    Replay {
        /// The target.
        target: String,
        /// The file.
        file: PathBuf,
    },
    /// Writes one input by its number to standard output.
    #[command(after_help = "Example: fuzz show openai --number 4711")]
    Show {
        /// The target.
        target: String,
        /// The input's number.
        #[arg(long)]
        number: u64,
        /// The seed of the run.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Tries a range in this process: what `run` starts.
    #[command(hide = true)]
    Range {
        target: String,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        from: u64,
        #[arg(long)]
        to: u64,
        #[arg(long)]
        longest: u64,
        #[arg(long)]
        state: PathBuf,
    },
}

#[derive(clap::Args)]
struct Run {
    /// Targets; all, if none is named.
    targets: Vec<String>,
    /// Inputs for each target, such as 1000000.
    #[arg(long, default_value_t = 1_000_000)]
    inputs: u64,
    /// What decides every input: the same seed makes the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Processes at once; as many as there are cores, if not given.
    #[arg(long)]
    jobs: Option<u64>,
    /// Longest time of one input, in seconds, however busy the machine is.
    #[arg(long, default_value_t = 20)]
    longest: u64,
    /// Where inputs are kept that broke something.
    #[arg(long, default_value = ".windlass/fuzz")]
    findings: PathBuf,
    /// Where the table is written besides.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Run(args) => run_all(&args),
        Command::List => {
            for target in all() {
                say(&format!("{:<18}{}", target.name, target.reads))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Replay { target, file } => {
            let bytes = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            (named(&target)?.parser)()(&bytes);
            say("it came back")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Show { target, number, seed } => {
            std::io::stdout().write_all(&Mutator::new(&named(&target)?, seed).input(number))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Range { target, seed, from, to, longest, state } => {
            let state = OpenOptions::new().write(true).open(state)?;
            let ran = run(&named(&target)?, seed, Range { from, to }, &state, Duration::from_secs(longest))?;
            say(&serde_json::to_string(&ran)?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn named(name: &str) -> anyhow::Result<Target> {
    let found = all().into_iter().chain(faulty()).find(|target| target.name == name);
    found.with_context(|| format!("there is no target {name:?}: `fuzz list` names them"))
}

fn run_all(args: &Run) -> anyhow::Result<ExitCode> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let plan = Plan {
        seed: args.seed,
        inputs: args.inputs,
        jobs: args.jobs.unwrap_or(cores),
        longest: args.longest,
        findings: args.findings.clone(),
    };
    let targets: Vec<Target> = match &args.targets[..] {
        [] => all(),
        names => names.iter().map(|name| named(name)).collect::<anyhow::Result<_>>()?,
    };
    let mut rows = Vec::new();
    for target in targets {
        let done = supervise(&target, &plan)?;
        writeln!(
            std::io::stderr(),
            "{}: {} inputs in {:.1} s, {} found",
            target.name,
            done.ran.inputs,
            done.ran.seconds,
            done.findings.len()
        )?;
        for finding in &done.findings {
            writeln!(
                std::io::stderr(),
                "  no. {}, kept as {}\n{}",
                finding.number,
                finding.path.display(),
                finding.why
            )?;
        }
        rows.push((target, done));
        // After each, so that a run that is ended leaves what it knows.
        if let Some(out) = &args.out {
            fs::write(out, table(&rows)).with_context(|| format!("{} cannot be written", out.display()))?;
        }
    }
    say(table(&rows).trim_end())?;
    let broken = rows.iter().any(|(_, done)| !done.findings.is_empty());
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}
