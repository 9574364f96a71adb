//! `models` as it is typed.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Models {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the known models: window, prices, abilities, and what the fleet has seen of them
    #[command(
        after_help = "Examples:\n  windlass models list --provider openrouter\n  windlass models list --offline --output json | jq -r '.[].id'"
    )]
    List(ModelsList),
    /// Rank the models for a task, with each part of the score, and say why the others are left out
    #[command(
        after_help = "Examples:\n  windlass models select --category unit_test --complexity moderate --quality 0.8 --max-latency 3000ms\n  windlass models select --model sonnet --model gpt-5-mini --tools --output json | jq '.ranked[0]'"
    )]
    Select(Box<Select>),
    /// Let keys, models and hosts that are left alone be called again at once: close breakers, end pauses
    #[command(
        after_help = "Names are those that `windlass models list` and `windlass doctor` show.\n\nExamples:\n  windlass models reset openai/gpt-5-mini\n  windlass models reset openrouter/team-4f21ab http:build.internal:443"
    )]
    Reset(ModelsReset),
}

#[derive(Debug, Args)]
pub(crate) struct ModelsReset {
    /// Models, keys (PROVIDER/KEY), keys with a model (PROVIDER/KEY/MODEL), hosts (http:HOST:PORT)
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ModelsList {
    /// Only of this provider; may be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Vec<String>,
    /// Models that are retired, or that their provider does not list, too
    #[arg(long)]
    pub(crate) all: bool,
    /// Do not ask Redis: the catalog's figures alone
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Select {
    /// unit_test, documentation, refactoring, code_review, bug_fix, analysis, or any other word
    #[arg(long, alias = "task-category", alias = "task-type", value_name = "WORD")]
    pub(crate) category: Option<String>,
    /// simple, moderate, complex or expert [default: moderate]
    #[arg(long, value_name = "WORD")]
    pub(crate) complexity: Option<String>,
    /// The quality that a model must be believed to have
    #[arg(long, alias = "quality-threshold", value_name = "0..1")]
    pub(crate) quality: Option<f64>,
    /// How long a call may be expected to take, such as 3000ms
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_latency: Option<String>,
    #[arg(long, hide = true, value_name = "MILLISECONDS", conflicts_with = "max_latency")]
    pub(crate) max_latency_ms: Option<u32>,
    /// What a call may be expected to cost, in dollars
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost: Option<f64>,
    /// Tokens of the request
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) input_tokens: u64,
    /// Tokens that the answer is expected to have
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) output_tokens: u64,
    /// It must call tools
    #[arg(long)]
    pub(crate) tools: bool,
    /// It must be able to answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// It must be able to be held to a JSON schema
    #[arg(long)]
    pub(crate) schema: bool,
    /// It must take images
    #[arg(long)]
    pub(crate) vision: bool,
    /// It must give embeddings, not text
    #[arg(long)]
    pub(crate) embeddings: bool,
    /// It must be made for this: code, reasoning, speed, general, or another word of the catalog
    #[arg(long, alias = "specialization", value_name = "WORD")]
    pub(crate) specialisation: Option<String>,
    /// It must be known to cost nothing
    #[arg(long)]
    pub(crate) free_only: bool,
    /// Only of this provider; may be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Vec<String>,
    /// Only this model, by any of its names; given again, in this order
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Vec<String>,
    /// Not this model; may be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) exclude: Vec<String>,
    /// balanced, cheapest, fastest or quality [default: llm.mode]
    #[arg(long, value_name = "WORD")]
    pub(crate) mode: Option<String>,
    /// Do not ask Redis: the catalog's figures alone
    #[arg(long)]
    pub(crate) offline: bool,
}
