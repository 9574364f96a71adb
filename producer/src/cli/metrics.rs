//! `metrics` as it is typed.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Metrics {
    /// Only the figures by this; may be given again [default: all of them]
    #[arg(long, value_enum)]
    pub(crate) by: Vec<By>,
    /// How many days, in UTC, up to and with today; kept for 40 days
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..=40))]
    pub(crate) days: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    Model,
    /// The type of the tasks
    Type,
    Tenant,
}
