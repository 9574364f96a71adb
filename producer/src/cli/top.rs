//! `top` as it is typed.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Read the fleet this often
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub(crate) interval: String,
    /// Print one snapshot as text and end; so it does by itself where there is no terminal
    #[arg(long)]
    pub(crate) once: bool,
}
