//! `audit`: who did what to the fleet, and how it ended.

use windlass_shared::{
    model::{Action, ActionLog},
    store::Store,
};

use crate::{
    cli,
    context::Context,
    exit::Done,
    output::{self, Format, say},
    steps::{Pause, bounded, patiently},
};

/// Entries that are read at once.
const PAGE: usize = 1000;

const HEAD: [&str; 6] = ["AT", "BY", "ACTION", "ON", "WITH", "EXIT"];

fn row(action: &Action) -> Vec<String> {
    let with: Vec<String> = action.with.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let on = match action.on.split_at_checked(3) {
        Some((first, more)) if !more.is_empty() => {
            format!("{} and {} more", first.join(" "), action.count - 3)
        }
        _ => action.on.join(" "),
    };
    let exit = action.exit.map_or_else(|| "?".into(), |code| code.to_string());
    vec![action.at.to_string(), action.by.clone(), action.action.clone(), on, with.join(" "), exit]
}

/// `windlass audit`.
pub(crate) async fn run(context: &Context, args: cli::Audit) -> Done {
    let store = context.store().await?;
    let wanted = |action: &Action| {
        let is = |asked: &Option<String>, word: &str| asked.as_ref().is_none_or(|asked| word.contains(asked));
        is(&args.by, &action.by) && is(&args.action, &action.action)
    };
    if args.follow {
        return bounded(None, follow(&store, wanted)).await;
    }
    let actions = latest(&store, args.limit, wanted).await?;
    output::list(context.format.unwrap_or(Format::Table), &actions, &HEAD, row)?;
    if actions.is_empty() {
        say!("nobody did anything, as far as the log reaches");
    }
    Ok(())
}

/// The latest of those that are wanted, the last one last.
pub(crate) async fn latest(
    store: &Store,
    limit: usize,
    wanted: impl Fn(&Action) -> bool,
) -> Done<Vec<Action>> {
    let (mut log, mut cursor) = (ActionLog::default(), "0".to_owned());
    loop {
        let page = store.actions(&cursor, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        cursor.clone_from(last);
        for (_, entry) in page {
            log.add(entry);
        }
    }
    let mut actions = log.into_actions();
    actions.retain(wanted);
    actions.drain(..actions.len().saturating_sub(limit));
    Ok(actions)
}

/// Each action when it begins, and once more when it ended.
async fn follow(store: &Store, wanted: impl Fn(&Action) -> bool) -> Done {
    let (mut log, mut cursor) = (ActionLog::default(), store.newest_action().await?);
    let mut pause = Pause::new();
    loop {
        let page = patiently(|| store.actions(&cursor, PAGE)).await?;
        for (at, entry) in page {
            cursor = at;
            pause.reset();
            if let Some(action) = log.add(entry).filter(|action| wanted(action)) {
                output::json(action)?;
            }
        }
        output::flush()?;
        pause.wait().await;
    }
}
