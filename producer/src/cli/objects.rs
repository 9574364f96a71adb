//! `windlass objects`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Objects {
    #[command(subcommand)]
    pub(crate) command: ObjectsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ObjectsCommand {
    /// List the objects of this fleet whose tasks are gone, and delete them if told to
    #[command(
        after_help = "Examples:\n  windlass objects sweep                     what would go\n  windlass objects sweep --delete            once a day is enough (cron)\n  windlass objects sweep --older-than 7d --delete"
    )]
    Sweep {
        /// Leave alone what was written more recently than this; at least 1d
        #[arg(long, value_name = "DURATION", default_value = "2d")]
        older_than: String,
        /// Delete them; otherwise they are only listed
        #[arg(long)]
        delete: bool,
    },
}
