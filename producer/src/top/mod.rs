//! `top`: the fleet in the terminal, watched and steered.
//!
//! [`feed`] reads Redis, [`state`] is what is on the screen and what keys do to it, [`view`] draws that, [`act`] does
//! what a person said yes to, [`run`] joins them. State and view do no input or output, so they are tested without a
//! terminal. Where there is none, [`snapshot`] prints the same as text.

mod act;
mod failures;
mod feed;
mod list;
mod nodes;
mod queues;
mod reading;
mod run;
mod running;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod view;

use std::{
    io::{IsTerminal, stdin, stdout},
    time::Duration,
};

use crate::{
    cli,
    context::Context,
    exit::{Done, Failure},
    output::Format,
    steps::duration,
};

/// More often than that nobody can look.
const SHORTEST: Duration = Duration::from_millis(100);

/// `windlass top`.
pub(crate) async fn run(context: &Context, args: cli::Top) -> Done {
    let interval = duration("--interval", &args.interval)?;
    if interval < SHORTEST {
        return Err(Failure::Usage("--interval: use 100ms or more".into()));
    }
    let store = context.store().await?;
    let format = context.format.unwrap_or(Format::Table);
    let screen = stdin().is_terminal() && stdout().is_terminal() && !is_dumb();
    if args.once || !screen || format != Format::Table {
        return snapshot::print(store, format).await;
    }
    run::run(context, store, interval).await
}

/// It cannot even move its cursor.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}
