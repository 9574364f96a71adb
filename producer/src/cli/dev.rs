//! A fleet on this machine.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// How many workers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: u16,
    /// End after this long (a plain number means seconds) [default: at Ctrl-C]
    #[arg(long, value_name = "DURATION")]
    pub(crate) duration: Option<String>,
    /// Slots of each worker
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) concurrency: u16,
    /// Queues that the workers serve
    #[arg(long, value_name = "LIST")]
    pub(crate) queues: Option<String>,
    /// Where the private Redis and the logs live
    #[arg(long, value_name = "DIR", default_value = ".windlass")]
    pub(crate) dir: PathBuf,
    /// Where the API and the web page are served (a free port if it is taken), or none
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8642")]
    pub(crate) page: String,
    /// Send `llm` tasks to a scripted stand-in for a model, on this machine; with a scenario if a file is given
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "absent, alone, or with a file")]
    pub(crate) scripted: Option<Option<PathBuf>>,
}

#[derive(Debug, Args)]
pub(crate) struct Scripted {
    /// Where to listen; a loopback address, since anybody is let in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// What it answers (TOML, or JSON if the name ends so) [default: it says what it is]
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,
    /// End after this long [default: at Ctrl-C]
    #[arg(long, value_name = "DURATION")]
    pub(crate) duration: Option<String>,
    /// Only check the scenario
    #[arg(long, requires = "scenario")]
    pub(crate) check: bool,
}
