//! `review` as it is typed.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Review {
    #[command(subcommand)]
    pub(crate) command: ReviewCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewCommand {
    /// List the tasks that wait for people, the oldest first
    #[command(
        after_help = "Examples:\n  windlass review list\n  windlass review list --queue docs --output json"
    )]
    List(ReviewList),
    /// Show a draft: its text, its files, what is wrong with it, the calls that made it
    #[command(
        after_help = "Examples:\n  windlass review show default/k1\n  windlass review show k1 --output json | jq .draft > draft.json"
    )]
    Show(ReviewShow),
    /// Take drafts as the results
    #[command(
        after_help = "Examples:\n  windlass review approve default/k1 default/k2\n  windlass review approve k1 --by ann --note 'the failing test is flaky'"
    )]
    Approve(Decide),
    /// Refuse drafts: the tasks have failed
    #[command(
        after_help = "Examples:\n  windlass review reject default/k1 --note 'wrong module'\n  windlass retry default/k1      gives it another life afterwards"
    )]
    Reject(Decide),
    /// Give the result in place of the draft
    #[command(
        after_help = "Examples:\n  windlass review show k1 -o json | jq '.draft.text = \"better\" | .draft' | windlass review edit k1 --result -\n  windlass review edit k1 --result fixed.json --note 'import put right'"
    )]
    Edit(Edit),
}

#[derive(Debug, Args)]
pub(crate) struct ReviewList {
    /// How many at the most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) limit: u16,
}

#[derive(Debug, Args)]
pub(crate) struct ReviewShow {
    /// The task: QUEUE/ID, or ID
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
}

#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// Tasks: QUEUE/ID, or ID
    #[arg(value_name = "TASK", required = true)]
    pub(crate) tasks: Vec<String>,
    #[command(flatten)]
    pub(crate) signature: Signature,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// The task: QUEUE/ID, or ID
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
    /// A file with the result, JSON; - for standard input
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "result_json",
        conflicts_with = "result_json"
    )]
    pub(crate) result: Option<String>,
    /// The result itself
    #[arg(long, value_name = "JSON")]
    pub(crate) result_json: Option<String>,
    #[command(flatten)]
    pub(crate) signature: Signature,
}

/// Who decides, and why; kept with the task.
#[derive(Debug, Args)]
pub(crate) struct Signature {
    /// Who decides [default: $USER]
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// Why; kept with the task
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}
