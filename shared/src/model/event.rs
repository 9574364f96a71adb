//! The event log: one entry a script call, listing its transitions.

use serde::Serialize;

use super::{Micros, QueueName, Reason, State, TaskId};

/// One entry of a queue's event stream: what one script call did.
#[derive(Debug, Clone)]
pub struct Event {
    /// Id of the entry in the stream, a cursor for reading on.
    pub cursor: String,
    /// Its transitions.
    pub transitions: Vec<Transition>,
}

/// One task went from one state to another.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Transition {
    /// When, by Redis's clock.
    pub at: Micros,
    /// The queue.
    pub queue: QueueName,
    /// The task.
    pub id: TaskId,
    /// The attempt (the number of the lease), 0 before the first claim; absent where it does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The state before; none for a new task.
    pub from: Option<State>,
    /// The state after; none for a deleted task.
    pub to: Option<State>,
    /// Why.
    pub reason: Reason,
    /// The node id, or `producer`.
    pub by: String,
}

/// Reads the name of an event's field, such as `pending>running claimed`.
pub fn parse_transition(field: &str) -> Option<(Option<State>, Option<State>, Reason)> {
    let (arrow, reason) = field.split_once(' ')?;
    let (from, to) = arrow.split_once('>')?;
    let state = |word: &str| if word == "none" { Some(None) } else { word.parse().ok().map(Some) };
    Some((state(from)?, state(to)?, reason.parse().ok()?))
}
