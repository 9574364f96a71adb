//! The command line of `windlass`, as it is typed.
#![allow(rustdoc::bare_urls, clippy::doc_markdown, reason = "doc comments here are the help texts")]

mod backup;
mod budgets;
mod dev;
mod fleet;
mod keys;
mod metrics;
mod models;
mod objects;
mod review;
mod serve;
mod submit;
mod tasks;
mod top;
mod write;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::{
    backup::{Export, Import},
    budgets::{BudgetSet, Budgets, BudgetsCommand, OnLimit, Window},
    dev::{Dev, Scripted},
    fleet::{Audit, Doctor, Events, Node, NodeVerb, Nodes, QueueArg, QueueSet, Queues, QueuesCommand},
    keys::{Keys, KeysCommand},
    metrics::{By, Metrics},
    models::{Models, ModelsCommand, ModelsList, ModelsReset, Select},
    objects::{Objects, ObjectsCommand},
    review::{Decide, Edit, Review, ReviewCommand, Signature},
    serve::{Serve, Tokens, TokensCommand},
    submit::{OnError, OnFull, Submit},
    tasks::{Ids, Priority, Purge, Results, Retry, Tasks, Wait},
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
