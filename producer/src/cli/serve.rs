//! `serve` and `tokens` as they are typed.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to answer, such as 127.0.0.1:8642
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Let everybody who reaches the port do everything, without a token; only on a loopback address
    #[arg(long)]
    pub(crate) anonymous: bool,
    /// Exit 0 if the server that listens there answers well; for container health checks
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tokens {
    #[command(subcommand)]
    pub(crate) command: TokensCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// Make a token: it is printed once, on stdout; what the configuration needs to know of it goes to stderr
    #[command(
        after_help = "Examples:\n  windlass tokens generate ci --roles submit,read\n  windlass tokens generate ann --roles operate --append tokens.toml > ann.token"
    )]
    Generate {
        /// Whose it is, for the operators' log
        name: String,
        /// What its owner may do: submit, read, operate (which includes read)
        #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
        roles: Vec<String>,
        /// Add it to this file of tokens (setting serve.tokens_file)
        #[arg(long, value_name = "FILE")]
        append: Option<std::path::PathBuf>,
    },
    /// Show the tokens that are known here, without their hashes
    #[command(after_help = "Example:\n  windlass tokens list")]
    List,
}
