//! How long the tasks of a lost node wait until another one has them.

use std::time::Duration;

use windlass_tests::fleet::Fleet;

use crate::{
    plan::Kind,
    stage::{QUEUE, Stage},
};

/// A task that a lost node held.
struct Held {
    id: String,
    attempt: u64,
    lost_at: i64,
    kind: Kind,
}

/// A loss whose tasks could not be read yet, since Redis was away.
struct Loss {
    node: String,
    lost_at: i64,
    kind: Kind,
}

/// A task that another node took over.
#[derive(Debug, Clone)]
pub(crate) struct Recovered {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) took: Duration,
    /// Redis was away meanwhile, which puts recovery off.
    pub(crate) in_outage: bool,
}

/// What is measured.
#[derive(Default)]
pub(crate) struct Recovery {
    losses: Vec<Loss>,
    held: Vec<Held>,
    pub(crate) recovered: Vec<Recovered>,
    /// Tasks that their own node ended after all.
    pub(crate) came_back: usize,
}

/// What is read of a record.
const FIELDS: [&str; 6] = ["state", "reason", "lease", "attempt", "started_at", "finished_at"];
type Record = [Option<String>; FIELDS.len()];

impl Recovery {
    /// A node was lost now.
    pub(crate) fn lost(&mut self, stage: &mut Stage, node: Option<String>, kind: Kind) {
        let Some(node) = node else { return };
        self.losses.push(Loss { node, lost_at: stage.now().0, kind });
        self.turn(stage);
    }

    /// Whether all that was held is somewhere else, or ended.
    pub(crate) fn is_over(&self) -> bool {
        self.losses.is_empty() && self.held.is_empty()
    }

    /// Looks at what is still held.
    pub(crate) fn turn(&mut self, stage: &mut Stage) {
        while let Some(loss) = self.losses.first() {
            let Some(tasks) = held_by(&mut stage.look, &stage.fleet, &loss.node) else { return };
            let Loss { lost_at, kind, .. } = self.losses.remove(0);
            self.held.extend(tasks.into_iter().map(|(id, attempt)| Held { id, attempt, lost_at, kind }));
        }
        if self.held.is_empty() {
            return;
        }
        let keys = stage.fleet.queue_keys(QUEUE);
        let mut read = redis::pipe();
        for held in &self.held {
            let id = windlass_shared::model::TaskId::new(&held.id).expect("our own id");
            read.cmd("HMGET").arg(keys.task(&id)).arg(&FIELDS);
        }
        let Some(records) = stage.look.ask_all::<Vec<Record>>(&stage.fleet, QUEUE, &read) else { return };
        let held = std::mem::take(&mut self.held);
        for (held, record) in held.into_iter().zip(records) {
            self.judge(stage, held, record);
        }
    }

    fn judge(&mut self, stage: &Stage, held: Held, record: Record) {
        let [state, reason, lease, attempt, started_at, finished_at] = record;
        let words: Vec<&str> = lease.as_deref().unwrap_or_default().split(' ').collect();
        let number = |word: Option<&str>| word.and_then(|word| word.parse::<i64>().ok());
        let now = match words[..] {
            [attempt, _, started, ..] => number(Some(attempt)).zip(number(Some(started))),
            _ => number(attempt.as_deref()).zip(number(started_at.as_deref())),
        };
        let Some((attempt, started)) = now else {
            self.held.push(held);
            return;
        };
        let moved_on = attempt > i64::try_from(held.attempt).unwrap_or(i64::MAX);
        let crashed = finished_at.and_then(|at| at.parse::<i64>().ok());
        match state.as_deref() {
            _ if moved_on => self.note(stage, &held, started),
            // Its last crash: it has no other attempt.
            Some("failed") if reason.as_deref() == Some("crashed") => {
                self.note(stage, &held, crashed.unwrap_or(started));
            }
            Some("running" | "pending" | "parked") | None => self.held.push(held),
            Some(_) => self.came_back += 1,
        }
    }

    fn note(&mut self, stage: &Stage, held: &Held, at: i64) {
        let overlaps = |&(begin, end): &(i64, Option<i64>)| {
            // Workers need a moment to connect again.
            begin <= at && end.is_none_or(|end| end + 1_000_000 >= held.lost_at)
        };
        self.recovered.push(Recovered {
            id: held.id.clone(),
            kind: held.kind,
            took: Duration::from_micros(u64::try_from(at - held.lost_at).unwrap_or(0)),
            in_outage: stage.outages.iter().any(overlaps),
        });
    }
}

/// The tasks that a node holds, with their attempts.
fn held_by(look: &mut crate::look::Look, fleet: &Fleet, node: &str) -> Option<Vec<(String, u64)>> {
    let keys = fleet.queue_keys(QUEUE);
    let ids: Vec<String> = look.ask(fleet, QUEUE, redis::cmd("ZRANGE").arg(keys.running()).arg(0).arg(-1))?;
    let mut read = redis::pipe();
    for id in &ids {
        let id = windlass_shared::model::TaskId::new(id).expect("our own id");
        read.cmd("HGET").arg(keys.task(&id)).arg("lease");
    }
    let leases: Vec<Option<String>> =
        if ids.is_empty() { Vec::new() } else { look.ask_all(fleet, QUEUE, &read)? };
    let of_node = |lease: &str| -> Option<u64> {
        let mut words = lease.split(' ');
        let attempt = words.next()?.parse().ok()?;
        (words.next()? == node).then_some(attempt)
    };
    let pairs = ids.into_iter().zip(leases);
    Some(pairs.filter_map(|(id, lease)| Some((id, of_node(&lease?)?))).collect())
}
