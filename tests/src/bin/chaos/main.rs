//! `chaos`: a fleet of real processes under load and faults, and an account of every task. See `docs/chaos.md`.

mod account;
mod faults;
mod load;
mod look;
mod plan;
mod recovery;
mod report;
mod run;
mod soak;
mod stage;

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};

/// A fleet of real processes under load and faults, and an account of every task.
#[derive(Parser)]
#[command(after_help = "Example: chaos run --duration 5m --seed 2 --report .windlass/chaos/report.md")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load and faults; then nothing may be lost, committed twice or stuck. Fails if something is
    #[command(after_help = "Example: chaos run --duration 2m --lease 3s --topology sentinel")]
    Run(run::Options),
    /// Even load for long; then nothing may have grown. Fails if something did
    #[command(after_help = "Example: chaos soak --duration 30m --report .windlass/chaos/soak.md")]
    Soak(soak::Options),
}

fn main() -> ExitCode {
    let well = match Cli::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Soak(options) => soak::soak(&options),
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tells it at once. Whoever stopped listening misses it.
fn say(text: &str) {
    _ = writeln!(std::io::stdout(), "{text}");
}
