//! `keys`: the keys that seal payloads and results.

use serde::Serialize;
use windlass_shared::{
    model::{TaskRecord, Why},
    sealing,
    store::Store,
};

use crate::{
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
};

#[derive(Serialize)]
struct Key<'a> {
    id: &'a str,
    /// Others only open.
    seals: bool,
}

/// `windlass keys generate`.
pub(crate) fn generate(id: Option<String>) -> Done {
    let today = || jiff::Timestamp::now().strftime("k%Y%m%d").to_string();
    let key = sealing::new_key(&id.unwrap_or_else(today));
    output::line(&key.map_err(|why| Failure::Usage(format!("--id: {why}")))?)
}

/// `windlass keys list`.
pub(crate) fn list(context: &Context) -> Done {
    let ring = context.config.sealing.keys.as_ref();
    let key = |id| Key { id, seals: ring.is_some_and(|ring| ring.seals_with() == id) };
    let keys: Vec<Key> = ring.iter().flat_map(|ring| ring.ids()).map(key).collect();
    output::list(context.format.unwrap_or(Format::Table), &keys, &["KEY", "SEALS"], |key| {
        vec![key.id.to_owned(), if key.seals { "yes" } else { "no" }.to_owned()]
    })?;
    if keys.is_empty() {
        say!("windlass: there is no key here (setting sealing.keys), so nothing is sealed");
    }
    Ok(())
}

/// Fetches the large texts of tasks that are shown. Where that fails a placeholder stays.
pub(crate) async fn fetch<'a>(store: &Store, tasks: impl Iterator<Item = &'a mut TaskRecord>) {
    for task in tasks.filter(|task| !task.unread.is_empty()) {
        if let Err(error) = store.fetch(task).await {
            say!("windlass: {}: {error}", task.reference);
        }
    }
}

/// Says of which texts only placeholders were shown, and why: each reason once.
pub(crate) fn hint<'a>(tasks: impl Iterator<Item = &'a TaskRecord>) {
    let mut told: Vec<String> = Vec::new();
    for task in tasks {
        // A list shows little of a text; that it is elsewhere is no news.
        for unread in task.unread.iter().filter(|unread| !matches!(unread.why, Why::Object(_))) {
            let why = unread.why.to_string();
            if !told.contains(&why) {
                say!("windlass: {}, {}: {why}", task.reference, unread.field);
                told.push(why);
            }
        }
    }
}
