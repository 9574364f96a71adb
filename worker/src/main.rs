//! `windlass-worker`: see `windlass-worker --help`.

mod cli;

use std::{io::Write, process::ExitCode, time::Duration};

use clap::Parser;
use windlass_shared::{
    config::{Config, ConfigFaults, Sources, Who},
    logging,
};
use windlass_telemetry::otel::{Setup, Telemetry};
use windlass_worker::{Worker, WorkerError, check_alive, check_types};

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    if let Some(code) = windlass_worker::prepare() {
        return code;
    }
    let runtime = match windlass_worker::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the system refused to start threads: {error}"), 1),
    };
    match runtime.block_on(run(Cli::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = match &error {
                WorkerError::Config(_) | WorkerError::Admin(_) => 2,
                WorkerError::Store(_) | WorkerError::NotHandedBack => 3,
                WorkerError::System(_) | WorkerError::NotAlive(_) | WorkerError::Broken => 1,
            };
            fail(&error.to_string(), code)
        }
    }
}

#[allow(clippy::print_stderr, reason = "the last word of a program, when logging may not have begun")]
fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("windlass-worker: {message}");
    ExitCode::from(code)
}

async fn run(cli: Cli) -> Result<(), WorkerError> {
    if let Some(parent) = cli.die_with_parent {
        die_with(parent)?;
    }
    let sources = Sources::from_process(cli.config.clone(), cli.flags()).read_by(Who::Worker);
    let config = Config::load(sources)?;
    match cli.command {
        Some(Command::Config) => print_config(&config),
        Some(Command::Check) => check_alive(&config).await,
        None => {
            let Setup { telemetry, layer, warnings } =
                Telemetry::setup("windlass-worker", env!("CARGO_PKG_VERSION"));
            logging::init_with(&config.log.level, config.log.format, layer)
                .map_err(|why| ConfigFaults(vec![why]))?;
            for warning in config.warnings.iter().chain(&warnings) {
                tracing::warn!("{warning}");
            }
            let ended = Worker::new(config).run().await;
            send_the_rest(telemetry).await;
            ended
        }
    }
}

/// How long a collector may take for what is left at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A collector that is away costs what it was not told, and no failure.
async fn send_the_rest(telemetry: Telemetry) {
    if let Ok(false) = tokio::task::spawn_blocking(move || telemetry.end(LAST_WORDS)).await {
        tracing::warn!(
            "the last traces or logs could not be sent to the collector (OTEL_EXPORTER_OTLP_ENDPOINT)"
        );
    }
}

/// `windlass dev` starts workers this way, so that none outlives it, however it ends.
fn die_with(parent: i32) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    // It may have died before we asked to be told.
    if rustix::process::getppid() == rustix::process::Pid::from_raw(parent) {
        return Ok(());
    }
    Err(std::io::Error::other("the parent process is gone"))
}

fn print_config(config: &Config) -> Result<(), WorkerError> {
    check_types(config)?;
    let settings = config.effective(Who::Worker).into_iter();
    let settings = settings.map(|s| format!("{} = {:?}  # {}\n", s.key, s.value, s.origin));
    let types = config.type_names().into_iter().map(|name| format!("# type {name}\n"));
    let text: String = settings.chain(types).collect();
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
