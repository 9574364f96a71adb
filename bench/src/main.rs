//! The queue's whole path, measured: through the real programs and the real client library, each measurement on a
//! Redis of its own, beside other queues that do the same work. `bench/README.md` says what each figure means.
//!
//! Nothing is asserted: it measures, appends JSON Lines to a file, and prints medians, ratios and the project's bars.

mod bars;
mod bed;
mod ceiling;
mod figures;
mod peer;
mod phases;
mod plot;
mod server;
mod session;
mod slow;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Result, bail};
use clap::Parser;

use crate::{
    figures::Figures,
    phases::{PHASES, Phase},
    session::Session,
};

/// Measure the queue's whole path, beside its peers.
#[derive(Debug, Parser)]
struct Cli {
    /// What to measure, separated by commas [default: everything]
    #[arg(long, value_delimiter = ',')]
    phase: Vec<String>,
    /// How often; medians are told
    #[arg(long, default_value_t = 3)]
    runs: u64,
    /// Tasks that Windlass drains; every other number of tasks is scaled along
    #[arg(long)]
    n: Option<u64>,
    /// Where measurements are appended, JSON Lines
    #[arg(long, value_name = "FILE", default_value = ".windlass/bench/queue.jsonl")]
    out: PathBuf,
    /// Other queues (TOML)
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/peers.toml"))]
    peers: PathBuf,
    /// Names of the queues to measure, separated by commas [default: all that are here]
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write charts into this folder (SVG)
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Measure nothing: tell of what is in --out, of each phase its last session
    #[arg(long)]
    again: bool,
    /// Also a backlog of ten million tasks (6 GB of memory)
    #[arg(long)]
    huge: bool,
    /// How long recovery is waited for, seconds
    #[arg(long, default_value_t = 400)]
    limit: u64,
}

fn chosen(names: &[String]) -> Result<Vec<&'static Phase>> {
    if let Some(unknown) = names.iter().find(|name| PHASES.iter().all(|phase| phase.name != **name)) {
        let known: Vec<&str> = PHASES.iter().map(|phase| phase.name).collect();
        bail!("--phase: there is no {unknown:?}, but {}", known.join(", "));
    }
    Ok(PHASES
        .iter()
        .filter(|phase| names.is_empty() || names.iter().any(|name| name == phase.name))
        .collect())
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the result")]
fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let phases = chosen(&cli.phase)?;
    if !cli.again {
        let (mut peers, missing) = peer::all(&cli.peers)?;
        for name in missing {
            eprintln!("bench: {name} is left out: its program is not here (`make bench-peers` builds it)");
        }
        peers.retain(|peer| cli.only.is_empty() || cli.only.contains(&peer.name));
        let session = Session {
            peers,
            runs: cli.runs,
            scale: cli.n,
            huge: cli.huge,
            limit: Duration::from_secs(cli.limit),
            out: cli.out.clone(),
        };
        session.run(&phases)?;
    }
    let names: Vec<&str> = phases.iter().map(|phase| phase.name).collect();
    let figures = Figures::read(&cli.out, &names)?;
    println!("{}", table::of(&figures));
    println!("{}", bars::of(&figures));
    if let Some(folder) = &cli.plots {
        draw(&figures, folder)?;
    }
    let failures = figures.failures();
    for failure in &failures {
        eprintln!("bench: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// For what is asked of the client library.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn draw(figures: &Figures, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (name, chart) in plot::all(figures) {
        fs::write(folder.join(name), chart)?;
    }
    Ok(())
}
