//! `windlass export` and `windlass import`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The queues
    #[arg(value_name = "QUEUE", conflicts_with = "all")]
    pub(crate) queues: Vec<String>,
    /// Every queue
    #[arg(long)]
    pub(crate) all: bool,
    /// Where to. The file holds what the tasks hold, so only you may read it
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Pause the queues first, wait until nothing of them runs, and let them go on afterwards
    #[arg(long)]
    pub(crate) pause: bool,
    /// How long --pause waits for running tasks
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub(crate) timeout: String,
    /// Go on with an export that was interrupted
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What `windlass export` wrote
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Leave the queues paused, also those that were not when they were exported
    #[arg(long)]
    pub(crate) keep_paused: bool,
}
