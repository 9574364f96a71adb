//! `models`: what is known of models, and which would be chosen.
//!
//! The catalog is that of the fleet where Redis has one, with what the fleet has measured; else the one in this program.
//! The file `llm.catalog` completes both. Which providers have a key is known to the workers alone.

pub(crate) mod known;
pub(crate) mod list;
mod reset;
pub(crate) mod select;

pub(crate) use self::select::run as select;
use crate::{
    cli::{self, ModelsCommand},
    context::Context,
    exit::Done,
};

/// `windlass models`.
pub(crate) async fn run(context: &Context, args: cli::Models) -> Done {
    match args.command {
        ModelsCommand::List(args) => list::run(context, &args).await,
        ModelsCommand::Select(args) => select(context, &args).await,
        ModelsCommand::Reset(args) => reset::run(context, &args).await,
    }
}
