//! `budgets` as it is typed.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Budgets {
    /// Only these: fleet, tenant:NAME, queue:NAME or batch:NAME
    #[arg(value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// Windows that are over, too (kept for 40 days)
    #[arg(long)]
    pub(crate) past: bool,
    /// How many windows are read, the latest first
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    pub(crate) limit: u16,
    #[command(subcommand)]
    pub(crate) command: Option<BudgetsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetsCommand {
    /// Set a budget for the whole fleet's workers; it is in force at once, and goes before those of their files
    #[command(
        after_help = "Examples:\n  windlass budgets set tenant:acme 5.00 --window day\n  windlass budgets set 'tenant:*' 1.00 --on-limit wait      each tenant has this much for itself"
    )]
    Set(BudgetSet),
    /// Remove a budget that was set; what was spent stays on record
    #[command(
        after_help = "Examples:\n  windlass budgets remove tenant:acme\n  windlass budgets remove fleet tenant:acme batch:nightly"
    )]
    Remove(BudgetRemove),
}

#[derive(Debug, Args)]
pub(crate) struct BudgetSet {
    /// Whose calls it bounds: fleet, tenant:NAME, queue:NAME or batch:NAME; * for each name
    #[arg(value_name = "SCOPE")]
    pub(crate) scope: String,
    /// How much, in dollars such as 5.00
    #[arg(value_name = "LIMIT_USD", allow_hyphen_values = true)]
    pub(crate) limit: String,
    /// For how long, in UTC; weeks begin on Thursday
    #[arg(long, value_enum, default_value_t = Window::Day)]
    pub(crate) window: Window,
    /// What happens when it is spent
    #[arg(long, value_enum, default_value_t = OnLimit::Refuse)]
    pub(crate) on_limit: OnLimit,
}

#[derive(Debug, Args)]
pub(crate) struct BudgetRemove {
    /// Whose: fleet, tenant:NAME, queue:NAME or batch:NAME, as it was set
    #[arg(value_name = "SCOPE", required = true)]
    pub(crate) scopes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Window {
    Hour,
    Day,
    Week,
    /// For ever
    Total,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnLimit {
    /// The task fails
    Refuse,
    /// The task waits for the next window
    Wait,
    /// The next model is asked, which may cost less
    Cheaper,
}
