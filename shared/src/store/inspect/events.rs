//! The event log, one entry a script call.

use crate::{
    model::{Event, Micros, QueueName, TaskId, Transition, event::parse_transition},
    store::{Partition, Result},
};

impl Partition {
    /// Entries after `cursor` (`0` for the oldest that is kept), at most `count`.
    pub async fn events(&self, cursor: &str, count: usize) -> Result<Vec<Event>> {
        let entries = self.log_page(self.keys.events(), &format!("({cursor}"), "+", false, count).await?;
        Ok(entries.into_iter().map(|(id, fields)| event(&self.name, id, &fields)).collect())
    }

    /// The newest entry's id, to follow from there; `0` if there is none.
    pub async fn newest_event(&self) -> Result<String> {
        let entries = self.log_page(self.keys.events(), "+", "-", true, 1).await?;
        Ok(entries.into_iter().next().map_or_else(|| "0".into(), |(id, _)| id))
    }
}

/// What an entry of a queue's stream says.
pub(in crate::store) fn event(queue: &QueueName, cursor: String, fields: &[(String, String)]) -> Event {
    let at = Micros::of_entry(&cursor).unwrap_or_default();
    let by = fields.iter().find(|(name, _)| name == "by").map_or("", |(_, by)| by.as_str());
    let mut transitions = Vec::new();
    for (name, ids) in fields {
        let Some((from, to, reason)) = parse_transition(name) else { continue };
        for text in ids.split(' ') {
            let (id, attempt) = text.split_once('#').unwrap_or((text, ""));
            let Ok(id) = TaskId::new(id) else { continue };
            transitions.push(Transition {
                at,
                queue: queue.clone(),
                id,
                attempt: attempt.parse().ok(),
                from,
                to,
                reason,
                by: by.to_owned(),
            });
        }
    }
    Event { cursor, transitions }
}
