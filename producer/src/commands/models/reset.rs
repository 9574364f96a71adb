//! `models reset`: what is left alone may be called again.

use serde::Serialize;

use crate::{
    cli::ModelsReset,
    context::Context,
    exit::{Done, Failure},
    output::{self, Format},
};

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    /// It was left alone until now.
    reset: bool,
}

pub(super) async fn run(context: &Context, args: &ModelsReset) -> Done {
    let gate = context.store().await?.gate();
    let mut lines = Vec::with_capacity(args.names.len());
    for name in &args.names {
        lines.push(Line { name: name.clone(), reset: gate.reset(name).await? });
    }
    let format = context.format.unwrap_or(Format::Table);
    output::list(format, &lines, &["NAME", "NOW"], |line| {
        let now = if line.reset { "may be called" } else { "was not left alone" };
        vec![line.name.clone(), now.to_owned()]
    })?;
    match lines.iter().filter(|line| !line.reset).count() {
        0 => Ok(()),
        n => Err(Failure::NotDone(format!(
            "{n} of the names were not left alone: `windlass models list` shows those that are"
        ))),
    }
}
