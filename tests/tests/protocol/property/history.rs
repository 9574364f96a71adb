//! The event log, read as a history: the transitions of each task must form one unbroken chain of rows of the state
//! table, from its submission to where its record says that it is.

use std::collections::{BTreeMap, BTreeSet};

use windlass_shared::model::{Event, Reason, State, Transition, state};

use super::Check;

/// Where a task is, as the log tells it.
#[derive(Debug, Default)]
struct Life {
    state: Option<State>,
    /// Leases so far.
    attempt: u32,
}

/// What the log tells.
#[derive(Debug, Default)]
pub(super) struct History {
    lives: BTreeMap<String, Life>,
    /// How many transitions led to each state, deletions aside.
    reached: BTreeMap<State, i64>,
    pub(super) submitted: i64,
}

impl History {
    pub(super) fn read(events: &[Event]) -> Result<Self, String> {
        let mut history = Self::default();
        for event in events {
            history.take(event).map_err(|why| format!("event {}: {why}", event.cursor))?;
        }
        Ok(history)
    }

    /// One entry lists what one call did; the order of one task's steps within it is not told, so it is looked for.
    fn take(&mut self, event: &Event) -> Check {
        let ids: BTreeSet<&str> = event.transitions.iter().map(|step| step.id.as_str()).collect();
        for id in ids {
            let steps: Vec<&Transition> =
                event.transitions.iter().filter(|step| step.id.as_str() == id).collect();
            self.follow(id, &steps).map_err(|why| format!("{id}: {why}"))?;
        }
        Ok(())
    }

    fn follow(&mut self, id: &str, steps: &[&Transition]) -> Check {
        let life = self.lives.entry(id.to_owned()).or_default();
        let order = chain(life.state, steps).ok_or_else(|| {
            let told: Vec<_> = steps.iter().map(|step| (step.from, step.to, step.reason)).collect();
            format!("it was {:?}, and then {told:?}", life.state)
        })?;
        for step in order {
            let known =
                |row: &state::Row| (row.from, row.to, row.reason) == (step.from, step.to, step.reason);
            if !state::TABLE.iter().any(known) {
                return Err(format!("{:?} is not in the state table", (step.from, step.to, step.reason)));
            }
            life.step(step)?;
            if step.from != step.to {
                step.to.into_iter().for_each(|to| *self.reached.entry(to).or_default() += 1);
            }
            self.submitted += i64::from(step.from.is_none());
        }
        Ok(())
    }

    /// The state of a task after all that happened; none if it does not exist.
    pub(super) fn state(&self, id: &str) -> Option<State> {
        self.lives.get(id).and_then(|life| life.state)
    }

    pub(super) fn reached(&self, state: State) -> i64 {
        self.reached.get(&state).copied().unwrap_or(0)
    }
}

impl Life {
    fn step(&mut self, step: &Transition) -> Check {
        if step.from.is_none() {
            self.attempt = 0;
        }
        if step.reason == Reason::Claimed {
            self.attempt += 1;
            if step.attempt != Some(self.attempt) {
                return Err(format!("lease {} has the number {:?}", self.attempt, step.attempt));
            }
        }
        self.state = step.to;
        Ok(())
    }
}

/// An order of all `steps` in which each begins where the one before it ended.
fn chain<'a>(from: Option<State>, steps: &[&'a Transition]) -> Option<Vec<&'a Transition>> {
    if steps.is_empty() {
        return Some(Vec::new());
    }
    (0..steps.len()).filter(|i| steps[*i].from == from).find_map(|i| {
        let mut rest = steps.to_vec();
        let first = rest.remove(i);
        let mut order = vec![first];
        order.extend(chain(first.to, &rest)?);
        Some(order)
    })
}
