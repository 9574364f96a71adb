//! What is done with tasks that are there.

use clap::Args;

use super::LayDown;

#[derive(Debug, Args)]
pub(crate) struct Ids {
    /// Tasks: QUEUE/ID, or ID
    #[arg(value_name = "TASK", required_unless_present = "task_id")]
    tasks: Vec<String>,
    #[arg(long = "task-id", hide = true)]
    task_id: Vec<String>,
}

impl Ids {
    /// What was named, either way.
    pub(crate) fn all(&self) -> Vec<String> {
        [self.tasks.as_slice(), self.task_id.as_slice()].concat()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Tasks: QUEUE/ID, or ID
    #[arg(value_name = "TASK", required_unless_present = "batch", conflicts_with = "batch")]
    pub(crate) tasks: Vec<String>,
    /// All tasks of this batch
    #[arg(long)]
    pub(crate) batch: Option<String>,
    /// Give up after this long, with exit code 5
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
    #[command(flatten)]
    pub(crate) write: LayDown,
}

#[derive(Debug, Args)]
pub(crate) struct Results {
    /// Tasks of this batch (over all its queues); otherwise those of --queue
    #[arg(long)]
    pub(crate) batch: Option<String>,
    /// Go on until the batch is finished, or until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only tasks in this final state
    #[arg(long)]
    pub(crate) state: Option<String>,
    #[command(flatten)]
    pub(crate) write: LayDown,
    /// Print no results, only write files
    #[arg(long, requires = "write")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tasks {
    /// pending, running, scheduled, parked, blocked, completed, failed, cancelled or expired [default: all that are not
    /// final]
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// How many at the most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Where to go on (printed on stderr when there is more); needs --state
    #[arg(long, requires = "state")]
    pub(crate) cursor: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// Tasks: QUEUE/ID, or ID
    #[arg(value_name = "TASK", conflicts_with = "batch")]
    pub(crate) tasks: Vec<String>,
    /// The failed tasks of this batch
    #[arg(long)]
    pub(crate) batch: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Priority {
    /// Tasks, then the priority: critical, high, normal or low
    #[arg(value_name = "TASK… PRIORITY", num_args = 2.., required = true)]
    pub(crate) words: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// pending, scheduled, parked, blocked, completed, failed, cancelled or expired
    #[arg(long)]
    pub(crate) state: String,
}
