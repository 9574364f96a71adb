//! What must hold after each step, whatever happened.

use std::collections::BTreeMap;

use windlass_shared::{
    model::{Event, State, TaskRecord, state::word},
    store::all_scripts,
};

use super::{
    Check,
    history::History,
    op::{BATCHES, POOL, name},
    world::{World, ensure},
};
use crate::draft::batch;

/// A script does nothing that its header does not name; those of no script may be anything in the state table.
fn in_headers(events: &[Event], scripts: &[&str]) -> Check {
    let told: Vec<&str> = all_scripts()
        .into_iter()
        .filter(|script| scripts.is_empty() || scripts.contains(&script.name))
        .flat_map(|script| script.own.lines().filter_map(|line| line.strip_prefix("--   transition: ")))
        .collect();
    for step in events.iter().flat_map(|event| &event.transitions) {
        let line = format!("{}>{} {}", word(step.from), word(step.to), step.reason);
        ensure(told.contains(&line.as_str()), || format!("`{line}` is in no header of {scripts:?}"))?;
    }
    Ok(())
}

/// What completed has a result, what waits for people has a draft, and what was not approved may keep it. A word of
/// people stands only where they decided.
fn check_result(task: &TaskRecord, name: &str) -> Check {
    let (reason, has_result) = (task.reason.as_str(), task.result.is_some());
    let result_fits = match task.state {
        Some(State::Completed | State::Blocked) => has_result,
        Some(State::Cancelled) => true, // it may have waited for people before
        _ => has_result == (reason == "rejected"),
    };
    let decided = ["approved", "edited", "rejected"].contains(&reason);
    ensure(result_fits && task.review.is_some() == decided, || format!("{name}: {task:?}"))
}

impl World<'_> {
    /// Everything that must hold at any moment.
    pub(super) async fn check(&mut self, scripts: &[&str]) -> Check {
        let faults = self.t.faults().await;
        ensure(faults.is_empty(), || format!("the audit found {faults:?}"))?;
        let events = self.t.queue.events("0", 100_000).await.expect("events");
        let history = History::read(&events)?;
        in_headers(&events[self.looked_at..], scripts)?;
        self.looked_at = events.len();
        let stat = async |name: &str| self.t.stat(name).await;
        ensure(history.submitted == self.accepted, || {
            "events and answers tell other numbers of tasks".into()
        })?;
        ensure(stat("submitted").await == self.accepted, || "`submitted` is wrong".into())?;
        ensure(stat("completed").await == self.completed, || {
            "`completed` is not what was answered `ok`".into()
        })?;
        for state in State::ALL.iter().filter(|state| state.is_final()) {
            let (told, counted) = (history.reached(*state), stat(state.as_str()).await);
            ensure(told == counted, || format!("{told} tasks became {state}, {counted} are counted"))?;
        }
        for i in 0..POOL {
            self.check_task(&history, &name(i)).await?;
        }
        for name in BATCHES {
            self.check_batch(name).await?;
        }
        Ok(())
    }

    /// A task is where its history ends, and says nothing that contradicts its state.
    async fn check_task(&self, history: &History, name: &str) -> Check {
        let task = self.t.find(name).await;
        let state = task.as_ref().and_then(|task| task.state);
        ensure(state == history.state(name), || {
            format!("{name} is {state:?}, by its history {:?}", history.state(name))
        })?;
        let Some(task) = task else { return Ok(()) };
        ensure(task.fault.is_none(), || format!("{name}: {:?}", task.fault))?;
        check_result(&task, name)?;
        let in_time = task.expires_at.is_some_and(|at| task.finished_at.is_some_and(|end| at <= end));
        ensure(state != Some(State::Expired) || in_time, || {
            format!("{name} expired before its time: {task:?}")
        })
    }

    /// The counters of a batch add up.
    async fn check_batch(&self, name: &str) -> Check {
        let counts: BTreeMap<String, i64> =
            self.t.redis(&["HGETALL", &self.t.key(&format!("batch:{}", batch(name)))]).await;
        let get = |word: &str| counts.get(word).copied().unwrap_or(0);
        let finals: i64 = ["completed", "failed", "cancelled", "expired"].into_iter().map(get).sum();
        ensure(counts.values().all(|n| *n >= 0) && finals <= get("total"), || {
            format!("batch {name}: {counts:?}")
        })?;
        let score = self.t.score("batches", name).await;
        let open = if counts.is_empty() { None } else { Some(get("total") > finals) };
        ensure(score.map(|score| score == 0.0) == open, || {
            format!("batch {name}: {counts:?}, marked {score:?}")
        })
    }
}
