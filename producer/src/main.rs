//! `windlass`: see `windlass --help`.

mod archive;
mod bulk;
mod cli;
mod commands;
mod context;
mod dev;
mod exit;
mod lay;
mod money;
mod operator;
mod output;
mod serve;
mod steps;
mod top;
mod traced;

use std::process::ExitCode;

use clap::Parser;

use crate::{cli::Cli, exit::Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The main thread must not end before the children of `dev`: they die with the thread that started them.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::tell(&Failure::NotDone(format!("the system refused to start threads: {error}")));
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => exit::tell(&failure),
    }
}
