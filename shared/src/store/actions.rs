//! The operators' log (`note_action.lua`): what people do to the fleet is written down before it is done.

use std::collections::HashMap;

use super::{Result, Store, StoreError, script::NOTE_ACTION};
use crate::model::{Action, ActionEntry, Micros, NewAction, action::MOST_NAMED};

impl Store {
    /// Writes down what is about to be done, and gives the id under which its end is noted.
    pub async fn begin_action(&self, action: &NewAction) -> Result<String> {
        let json = |value: serde_json::Result<String>| {
            value.map_err(|error| StoreError::Unexpected(error.to_string()))
        };
        let named = &action.on[..action.on.len().min(MOST_NAMED)];
        let (on, with) = (json(serde_json::to_string(named))?, json(serde_json::to_string(&action.with))?);
        let count = action.on.len().to_string();
        self.note_action(&[
            ("by", &action.by),
            ("action", &action.action),
            ("on", &on),
            ("count", &count),
            ("with", &with),
        ])
        .await
    }

    /// Notes the exit code with which an action ended.
    pub async fn end_action(&self, id: &str, exit: u8) -> Result<()> {
        self.note_action(&[("of", id), ("exit", &exit.to_string())]).await.map(drop)
    }

    async fn note_action(&self, fields: &[(&str, &str)]) -> Result<String> {
        let args: Vec<&str> = fields.iter().flat_map(|(name, value)| [*name, *value]).collect();
        let (log, nothing) = (self.keys.actions(), self.keys.nothing());
        self.run(&NOTE_ACTION, &[&log, &nothing], &args).await
    }

    /// Entries after `cursor` (`0` for the oldest that is kept), at most `count`, each with the cursor to go on from.
    pub async fn actions(&self, cursor: &str, count: usize) -> Result<Vec<(String, ActionEntry)>> {
        let entries: Vec<(String, HashMap<String, String>)> = self
            .command(
                redis::cmd("XRANGE")
                    .arg(self.keys.actions())
                    .arg(format!("({cursor}"))
                    .arg("+")
                    .arg("COUNT")
                    .arg(count),
            )
            .await?;
        Ok(entries.into_iter().map(|(id, fields)| (id.clone(), entry(id, &fields))).collect())
    }

    /// The newest entry's cursor, to follow from there; `0` if there is none.
    pub async fn newest_action(&self) -> Result<String> {
        let newest: Vec<(String, HashMap<String, String>)> = self
            .command(redis::cmd("XREVRANGE").arg(self.keys.actions()).arg("+").arg("-").arg("COUNT").arg(1))
            .await?;
        Ok(newest.into_iter().next().map_or_else(|| "0".into(), |(id, _)| id))
    }
}

/// What stands in the log may be of another version: what is missing is empty.
fn entry(id: String, fields: &HashMap<String, String>) -> ActionEntry {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let at = Micros::of_entry(&id).unwrap_or_default();
    if let Some(of) = fields.get("of") {
        return ActionEntry::Ended { id: of.clone(), at, exit: field("exit").parse().unwrap_or(1) };
    }
    ActionEntry::Begun(Action {
        id,
        at,
        by: field("by").to_owned(),
        action: field("action").to_owned(),
        on: serde_json::from_str(field("on")).unwrap_or_default(),
        count: field("count").parse().unwrap_or_default(),
        with: serde_json::from_str(field("with")).unwrap_or_default(),
        exit: None,
        ended_at: None,
    })
}
