//! `extend`: a node's beat.

use windlass_shared::store::Held;

use super::{Call, Moment, Queue};

/// What a beat is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Attempts that are not this node's any more.
    pub lost: Vec<String>,
    /// Tasks to cancel.
    pub cancelled: Vec<String>,
    /// Whether a claim would find something.
    pub work: bool,
    /// When to look again.
    pub next: Option<Moment>,
}

impl Queue {
    /// A node's beat. Of `call`, only node, lease and most crashes are looked at.
    pub fn extend(&mut self, now: Moment, call: &Call, held: &[Held]) -> Beat {
        self.begin(now);
        let (mut lost, mut cancelled) = (Vec::new(), Vec::new());
        for held in held {
            let id = held.id.to_string();
            match self.tasks.get_mut(&id).filter(|task| task.is_held_by(&call.node, held.attempt)) {
                Some(task) => {
                    task.lease_until = now + call.lease;
                    if !held.progress.is_empty() {
                        task.progress = Some(held.progress.clone());
                    }
                    if task.cancel {
                        cancelled.push(id);
                    }
                }
                None => lost.push(id),
            }
        }
        self.say_lease(call.lease);
        if held.is_empty() && self.running() == 0 {
            // Nothing runs under a longer one any more.
            self.clock.lease = Some(call.lease);
        }
        self.upkeep(call.max_crashes);
        self.end(&call.node);
        Beat { lost, cancelled, work: self.has_work(), next: self.next_due() }
    }
}
