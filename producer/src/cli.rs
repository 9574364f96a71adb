//! The command line of `windlass`, as it is typed.
#![allow(rustdoc::bare_urls, clippy::doc_markdown, reason = "doc comments here are the help texts")]

mod backup;
mod budgets;
mod keys;
mod metrics;
mod models;
mod objects;
mod review;
mod serve;
mod top;
mod write;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::{
    backup::{Export, Import},
    budgets::{BudgetSet, Budgets, BudgetsCommand, OnLimit, Window},
    keys::{Keys, KeysCommand},
    metrics::{By, Metrics},
    models::{Models, ModelsCommand, ModelsList, ModelsReset, Select},
    objects::{Objects, ObjectsCommand},
    review::{Decide, Edit, Review, ReviewCommand, Signature},
    serve::{Serve, Tokens, TokensCommand},
    top::Top,
    write::LayDown,
};
use crate::output::Format;

/// Submit tasks to a fleet of workers, look at it, steer it. Producers and workers meet only in Redis.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Try it on this machine:\n  windlass dev --workers 3            a Redis and three workers, until Ctrl-C\n  windlass submit --type command --payload '{\"argv\":[\"date\"]}' --wait\n\nA task is named QUEUE/ID; a bare ID means the queue `default`, or --queue.\nExit codes: 0 done · 1 a task failed, an id is unknown, lines were rejected · 2 wrong usage or configuration ·\n3 Redis cannot be used · 4 refused (queue full, conflict, over a limit) · 5 timed out · 130 interrupted"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Redis, such as redis://user:password@host:6379/0 (or rediss://, redis+unix://,
    /// redis+sentinel://host1,host2/NAME; a cluster: redis://host1,host2) [default: $WINDLASS_REDIS_URL, then
    /// $REDIS_URL, then redis://127.0.0.1:6379]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) redis_url: Option<String>,
    /// First part of every key, so that many fleets can share one Redis [default: wl]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Configuration file (TOML) [default: $WINDLASS_CONFIG, then ./windlass.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Format of what is printed
    #[arg(long, short, global = true, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// The queue
    #[arg(long, short, global = true, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,
    /// Work on a Redis that may evict keys, and so lose tasks
    #[arg(long, global = true)]
    pub(crate) allow_eviction: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submit one task, or a file of tasks (JSON Lines); flags apply to each line that does not say otherwise
    #[command(
        alias = "submit-task",
        after_help = "Examples:\n  windlass submit --type command --payload '{\"argv\":[\"cargo\",\"test\"]}' --timeout 10m --wait\n  windlass submit --file tasks.jsonl --batch nightly --rejects bad.jsonl\n  generate | windlass submit --file - --batch nightly     run it again after an interruption: no task is doubled\n\nA line of the file: {\"type\":\"command\",\"payload\":{\"argv\":[\"true\"]},\"priority\":\"high\",\"delay\":\"5m\"}\nAll fields: docs/tasks.md"
    )]
    Submit(Box<Submit>),
    /// Show tasks, whole
    #[command(
        alias = "get-status",
        after_help = "Example:\n  windlass status default/01jd3k7q2w9x5y8z4v6t1r0abc --output json"
    )]
    Status(Ids),
    /// Wait until tasks, or all tasks of a batch, are finished; exit 1 if one failed
    #[command(
        after_help = "Examples:\n  windlass wait default/k1 default/k2 --timeout 5m\n  windlass wait --batch nightly --write ."
    )]
    Wait(Wait),
    /// Print finished tasks in order of finishing, as JSON Lines
    #[command(
        after_help = "Examples:\n  windlass results --batch nightly --follow > results.jsonl\n  windlass results --queue default --state failed | jq -r '.error.message'\n  windlass results --batch nightly --write . --quiet      the files that tasks produced, in their places"
    )]
    Results(Results),
    /// List tasks by state
    #[command(after_help = "Example:\n  windlass tasks --state running --limit 20")]
    Tasks(Tasks),
    /// Cancel tasks; one that runs is stopped
    #[command(after_help = "Example:\n  windlass cancel default/k1")]
    Cancel(Ids),
    /// Give failed, cancelled or expired tasks another life
    #[command(
        after_help = "Examples:\n  windlass retry default/k1\n  windlass retry --batch nightly\n  windlass retry --queue default      the whole dead letter"
    )]
    Retry(Retry),
    /// Change the priority of waiting tasks
    #[command(after_help = "Example:\n  windlass priority default/k1 default/k2 critical")]
    Priority(Priority),
    /// Delete all tasks of a queue that are in a state, with their records
    #[command(after_help = "Example:\n  windlass purge --queue default --state failed")]
    Purge(Purge),
    /// Show queues, or change the limits of one
    #[command(
        alias = "queue-stats",
        after_help = "Examples:\n  windlass queues\n  windlass queues set gpu --max-length 100000 --concurrency 8 --key-concurrency 2 --retention 7d"
    )]
    Queues(Queues),
    /// Stop claims from a queue; submitting to it goes on
    #[command(after_help = "Example:\n  windlass pause gpu")]
    Pause(QueueArg),
    /// Let a paused queue go on
    #[command(after_help = "Example:\n  windlass resume gpu")]
    Resume(QueueArg),
    /// Show the nodes: who is alive, what each one runs
    #[command(after_help = "Example:\n  windlass nodes --watch")]
    Nodes(Nodes),
    /// Steer a node: quiet (claim nothing, stay), drain (finish, leave), resume, stop (hand back, leave)
    #[command(after_help = "Example:\n  windlass node drain n-4kq2x9d0tz")]
    Node(Node),
    /// Watch and steer the fleet in the terminal: nodes, queues, running tasks, recent failures
    #[command(
        after_help = "1 nodes · 2 queues · 3 running · 4 failures · enter opens, esc goes back · / filters · s sorts · space pauses · ? all keys\nWhat acts on the fleet asks first, and is noted in the operators' log (`windlass audit`).\n\nExamples:\n  windlass top\n  windlass top --interval 5s\n  windlass top --once                       one snapshot, as text\n  windlass top --once --output json | jq '.fleet'"
    )]
    Top(Top),
    /// Print the event log, one line a transition
    #[command(after_help = "Example:\n  windlass events --follow --type failed")]
    Events(Events),
    /// Print who did what to the fleet, and how it ended: the operators' log
    #[command(
        after_help = "Each command that acts on tasks, queues, nodes, budgets or data is noted before it is done. Who: setting `operator`,\nelse user and machine. `exit` is the command's exit code; none while it goes on, or where its process died.\n\nExamples:\n  windlass audit --limit 20\n  windlass audit --action purge --output json | jq '.[].by'\n  windlass audit --follow >> operators.jsonl      each action as it begins, and again when it ended"
    )]
    Audit(Audit),
    /// Show what calls to models cost, and what is left of each budget; or set one
    #[command(
        after_help = "Examples:\n  windlass budgets\n  windlass budgets set fleet 20.00 --window day\n  windlass submit --file tasks.jsonl --batch nightly --budget 5.00"
    )]
    Budgets(Budgets),
    /// Show totals by model, type and tenant: calls, errors, tokens, money, time, quality; and what queues did
    #[command(
        after_help = "Examples:\n  windlass metrics\n  windlass metrics --by model --days 1 --output json | jq .models"
    )]
    Metrics(Metrics),
    /// Show the known models, or which would be chosen for a task, and why
    #[command(
        after_help = "Examples:\n  windlass models list --provider openrouter\n  windlass models select --category unit_test --complexity moderate --quality 0.8 --max-latency 3000ms"
    )]
    Models(Models),
    /// Show which models would be chosen for a task, and why; the same as `models select`
    #[command(
        hide = true,
        after_help = "Example:\n  windlass select-model --task-category unit_test --quality-threshold 0.8 --max-latency-ms 3000"
    )]
    SelectModel(Box<Select>),
    /// Decide on drafts that no validator passed
    #[command(
        after_help = "Examples:\n  windlass review list\n  windlass review show default/k1\n  windlass review approve default/k1 --note 'good enough'"
    )]
    Review(Review),
    /// Make keys that seal payloads and results, so that Redis never sees them; or show which ones are here
    #[command(
        after_help = "Examples:\n  windlass keys generate\n  windlass keys list\n\nHow sealing works, and how keys are changed: docs/payloads.md"
    )]
    Keys(Keys),
    /// Delete large payloads and results from the object store when their tasks are gone
    #[command(
        after_help = "Example:\n  windlass objects sweep --delete\n\nWhat goes there, and when: docs/payloads.md"
    )]
    Objects(Objects),
    /// Copy queues into a file, to restore them elsewhere
    #[command(
        after_help = "A queue must be paused, and nothing of it may run. Needs a Redis user who may DUMP.\n\nExamples:\n  windlass export default --pause --file default.export\n  windlass export --all --pause --file fleet.export\n  windlass export default --pause --file default.export --resume      after an interruption\n\nBackups and the way back: docs/disaster.md"
    )]
    Export(Export),
    /// Bring queues back from a file that `export` wrote
    #[command(
        after_help = "The queues must not be there. Run it again after an interruption: it goes on. Needs a Redis user who may RESTORE.\n\nExamples:\n  windlass import --file fleet.export\n  windlass import --file fleet.export --keep-paused      look before anything runs\n\nBackups and the way back: docs/disaster.md"
    )]
    Import(Import),
    /// Serve the HTTP API, the web page and the metrics of the fleet
    #[command(
        after_help = "The first line on stdout is its address. What it offers: docs/http.md, and /openapi.json of the server.\n\nExamples:\n  windlass serve --anonymous      for trying, on this machine only\n  windlass tokens generate ann --roles operate --append tokens.toml\n  WINDLASS_SERVE_TOKENS_FILE=tokens.toml windlass serve --listen 0.0.0.0:8642"
    )]
    Serve(Serve),
    /// Make tokens for the HTTP API and the web page; or show which ones are known
    #[command(
        after_help = "Examples:\n  windlass tokens generate ci --roles submit,read\n  windlass tokens list"
    )]
    Tokens(Tokens),
    /// Check Redis and the fleet
    #[command(
        after_help = "Examples:\n  windlass doctor\n  windlass doctor --verify      prove that each task is in exactly one place\n  windlass doctor --verify --repair          what would be repaired\n  windlass doctor --verify --repair --yes    repair it, while the fleet works"
    )]
    Doctor(Doctor),
    /// Run a whole fleet on this machine: a private Redis and some workers
    #[command(
        alias = "run-engine",
        after_help = "Examples:\n  windlass dev --workers 3\n  windlass dev --scripted      `llm` tasks go to a stand-in for a model, on this machine\n  windlass dev --scripted=scenario.toml"
    )]
    Dev(Dev),
    /// Run a scripted stand-in for hosted models, for testing your own programs and task types
    #[command(
        after_help = "The first line on stdout is the base URL for clients of the OpenAI format; without `/v1` it is the one for\nthe Anthropic format. What it was asked: GET /__calls. Scenario files: docs/scripted.md\n\nExamples:\n  windlass scripted\n  windlass scripted --listen 127.0.0.1:8091 --scenario scenario.toml\n  windlass scripted --scenario scenario.toml --check"
    )]
    Scripted(Scripted),
    /// Show the effective configuration and where each value comes from; secrets are not shown
    #[command(after_help = "Example:\n  WINDLASS_NAMESPACE=test windlass config")]
    Config,
    /// Print completions for a shell
    #[command(after_help = "Example:\n  windlass completions bash > /etc/bash_completion.d/windlass")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  windlass man | man -l -")]
    Man,
    /// Print a generated reference page (see `make docs`)
    #[command(hide = true)]
    Reference {
        /// `states` or `configuration`
        page: String,
    },
    /// Run a program that ends when this one ends
    #[command(hide = true)]
    DieWithParent {
        /// The parent's process id
        parent: i32,
        /// The program and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        argv: Vec<String>,
    },
}

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
    Quiet(NodeArg),
    /// Claim nothing, finish what runs, leave
    Drain(NodeArg),
    /// Claim again
    Resume(NodeArg),
    /// Hand back what runs, and leave at once
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
