//! What is submitted.

use std::path::PathBuf;

use clap::Args;

use super::LayDown;

#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// What kind of work it is
    #[arg(long = "type", alias = "task-type", value_name = "TYPE", required_unless_present = "file")]
    pub(crate) task_type: Option<String>,
    /// The payload, any JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) payload: Option<String>,
    /// Read tasks from a file of JSON Lines, - for standard input
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["task_type", "payload", "id", "key"])]
    pub(crate) file: Option<String>,
    /// critical, high, normal or low
    #[arg(long, value_name = "PRIORITY")]
    pub(crate) priority: Option<String>,
    /// Whose work it is; a queue is shared fairly among tenants
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// The tenant's share, 1 to 10
    #[arg(long)]
    pub(crate) weight: Option<u32>,
    /// The task's id; submitting the same again is one task
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Any text from which the id is derived
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Start not before this long from now
    #[arg(long, value_name = "DURATION")]
    pub(crate) delay: Option<String>,
    /// Start not before this moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) run_at: Option<String>,
    /// Drop it unless it started by then (a duration or a time)
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<String>,
    /// The longest an attempt may take
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) timeout: Option<String>,
    /// How often it is tried before it counts as failed
    #[arg(long, value_name = "N")]
    pub(crate) max_attempts: Option<u32>,
    /// Tasks with the same key run one at a time (or as many as the queue allows)
    #[arg(long, value_name = "KEY")]
    pub(crate) concurrency_key: Option<String>,
    /// Your own data, shown with the task
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) metadata: Vec<String>,
    /// Report the tasks together; in a file, ids are derived from the batch and the line
    #[arg(long)]
    pub(crate) batch: Option<String>,
    /// The most that the batch's calls to models may cost, in dollars; in force before the first task is
    #[arg(long, value_name = "USD", requires = "batch", allow_hyphen_values = true)]
    pub(crate) budget: Option<String>,
    /// What must have the tasks before they count as accepted: none, replicas=N or fsync (docs/durability.md)
    #[arg(long, value_name = "LEVEL")]
    pub(crate) durability: Option<String>,
    /// Wait until it is finished; exit 1 if it failed
    #[arg(long)]
    pub(crate) wait: bool,
    /// Only check what would be submitted: nothing is asked of Redis
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Refuse a type that no live node knows
    #[arg(long)]
    pub(crate) strict: bool,
    /// What to do about a line that cannot be taken
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnError::Skip)]
    pub(crate) on_error: OnError,
    /// Where rejected lines go, as JSON Lines
    #[arg(long, value_name = "FILE", requires = "file")]
    pub(crate) rejects: Option<PathBuf>,
    /// What to do while the queue is full
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) on_full: Option<OnFull>,
    /// Payload field `description`
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["payload", "file"])]
    pub(crate) description: Option<String>,
    /// Payload field `target_file`; the file's text goes along if it is here
    #[arg(long, value_name = "FILE", conflicts_with_all = ["payload", "file"])]
    pub(crate) target_file: Option<String>,
    /// A further file whose text goes along, for the model to see; can be given several times
    #[arg(long, value_name = "PATH", conflicts_with_all = ["payload", "file"])]
    pub(crate) with_file: Vec<String>,
    /// Payload field `complexity`
    #[arg(long, conflicts_with_all = ["payload", "file"])]
    pub(crate) complexity: Option<String>,
    /// Payload field `quality_threshold`
    #[arg(long, value_name = "0..1", conflicts_with_all = ["payload", "file"])]
    pub(crate) quality_threshold: Option<f64>,
    #[command(flatten)]
    pub(crate) write: LayDown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnError {
    /// Go on with the next line
    Skip,
    /// Stop there
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnFull {
    /// Wait until there is room (usual for a file)
    Wait,
    /// Refuse (usual for one task)
    Fail,
}
