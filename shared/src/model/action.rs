//! What operators did: who, when, what, on what, and how it ended.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::Micros;

/// Things that one action names; of more, the number is kept.
pub const MOST_NAMED: usize = 100;

/// Something that a person is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAction {
    /// Who says that they do it, such as `ann@laptop`.
    pub by: String,
    /// The command, such as `node drain`.
    pub action: String,
    /// Tasks, queues, nodes, scopes or files.
    pub on: Vec<String>,
    /// What else was said: flag and value.
    pub with: BTreeMap<String, String>,
}

/// One entry of the operators' log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionEntry {
    /// Written before anything is done.
    Begun(Action),
    /// Written when it ended.
    Ended {
        /// The id of the action.
        id: String,
        /// When, by Redis's clock.
        at: Micros,
        /// The exit code of the command.
        exit: u8,
    },
}

/// What a person did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Action {
    /// Its number in the log.
    pub id: String,
    /// When it began, by Redis's clock.
    pub at: Micros,
    /// Who says that they did it.
    pub by: String,
    /// The command, such as `cancel`.
    pub action: String,
    /// Tasks, queues, nodes, scopes or files; the first [`MOST_NAMED`].
    pub on: Vec<String>,
    /// How many there were.
    pub count: usize,
    /// What else was said.
    pub with: BTreeMap<String, String>,
    /// The exit code of the command; none while it goes on, or where its process died.
    pub exit: Option<u8>,
    /// When it ended.
    pub ended_at: Option<Micros>,
}

/// Puts the two entries of each action together.
#[derive(Debug, Default)]
pub struct ActionLog {
    actions: Vec<Action>,
    place: HashMap<String, usize>,
}

impl ActionLog {
    /// Takes the next entry; gives the action as it is known now, unless its beginning was trimmed away.
    pub fn add(&mut self, entry: ActionEntry) -> Option<&Action> {
        let index = match entry {
            ActionEntry::Begun(action) => {
                self.place.insert(action.id.clone(), self.actions.len());
                self.actions.push(action);
                self.actions.len() - 1
            }
            ActionEntry::Ended { id, at, exit } => {
                let index = *self.place.get(&id)?;
                let action = &mut self.actions[index];
                (action.exit, action.ended_at) = (Some(exit), Some(at));
                index
            }
        };
        self.actions.get(index)
    }

    /// All of them, in the order in which they began.
    pub fn into_actions(self) -> Vec<Action> {
        self.actions
    }
}
