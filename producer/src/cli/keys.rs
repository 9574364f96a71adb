//! `windlass keys`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a new key. Give it to producers and workers, and to nobody else
    #[command(
        after_help = "Examples:\n  windlass keys generate > sealing.keys        then sealing.keys_file = \"sealing.keys\"\n  windlass keys generate --id k2 | cat - sealing.keys > both.keys      the new one first, so that it seals"
    )]
    Generate {
        /// The name by which what it sealed names it: up to 16 letters, digits, '.', '_' or '-' [default: k and today's
        /// date]
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// Show the ids of the keys that are configured here; never the keys
    #[command(after_help = "Example:\n  WINDLASS_SEALING_KEYS_FILE=sealing.keys windlass keys list")]
    List,
}
