//! Queues and nodes, and what happened to them.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Queues {
    /// Only these
    #[arg(value_name = "QUEUE")]
    pub(crate) names: Vec<String>,
    #[command(subcommand)]
    pub(crate) command: Option<QueuesCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueuesCommand {
    /// Change settings of a queue; `default` goes back to the default
    #[command(after_help = "Example:\n  windlass queues set gpu --max-length 100000 --key-concurrency 2")]
    Set(QueueSet),
}

#[derive(Debug, Args)]
pub(crate) struct QueueSet {
    /// The queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Tasks that may wait; more are refused
    #[arg(long, value_name = "N")]
    pub(crate) max_length: Option<String>,
    /// Tasks that may run at once in the whole fleet
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<String>,
    /// Tasks with the same concurrency key that may run at once
    #[arg(long, value_name = "N")]
    pub(crate) key_concurrency: Option<String>,
    /// How long finished tasks are kept
    #[arg(long, value_name = "DURATION")]
    pub(crate) retention: Option<String>,
    /// How long failed tasks are kept
    #[arg(long, value_name = "DURATION")]
    pub(crate) dead_retention: Option<String>,
    /// Entries that the event log keeps
    #[arg(long, value_name = "N")]
    pub(crate) events: Option<String>,
    /// Divide the queue, which must be empty, for good: over so many hash slots, and so over the nodes of a cluster
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct QueueArg {
    /// The queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Nodes {
    /// Refresh every second, until Ctrl-C
    #[arg(long, short)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Node {
    #[command(subcommand)]
    pub(crate) command: NodeVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeVerb {
    /// Claim nothing; finish what runs, and stay
    #[command(after_help = "Example:\n  windlass node quiet n-tnn05axhjx")]
    Quiet(NodeArg),
    /// Claim nothing, finish what runs, leave
    #[command(after_help = "Example:\n  windlass node drain n-tnn05axhjx")]
    Drain(NodeArg),
    /// Claim again
    #[command(after_help = "Example:\n  windlass node resume n-tnn05axhjx")]
    Resume(NodeArg),
    /// Hand back what runs, and leave at once
    #[command(after_help = "Example:\n  windlass node stop n-tnn05axhjx")]
    Stop(NodeArg),
}

#[derive(Debug, Args)]
pub(crate) struct NodeArg {
    /// The node's id, as `windlass nodes` shows it
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on until Ctrl-C, from now
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only transitions with this reason or into this state, such as failed or lease_expired
    #[arg(long = "type", value_name = "WORD")]
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// The latest so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// Only by whose name has this in it
    #[arg(long, value_name = "TEXT")]
    pub(crate) by: Option<String>,
    /// Only actions with this in their name, such as purge or node
    #[arg(long, value_name = "TEXT")]
    pub(crate) action: Option<String>,
    /// Go on until Ctrl-C, from now, as JSON Lines
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Check every task: it must be in exactly one place. Reads only, on the live data
    #[arg(long)]
    pub(crate) verify: bool,
    /// Show what would be repaired, and change nothing: tasks in no place or in a wrong one, records without a payload,
    /// wrong counts. Exit 1 if there is something
    #[arg(long, requires = "verify")]
    pub(crate) repair: bool,
    /// Repair it
    #[arg(long, requires = "repair")]
    pub(crate) yes: bool,
}
