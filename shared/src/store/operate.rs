//! What operators do to tasks and queues: `cancel.lua`, `retry.lua`, `prioritise.lua`, `purge.lua`, `configure.lua`,
//! `review.lua`.

use std::collections::HashMap;

use super::{
    PRODUCER, Partition, Result, StoreError,
    script::{CANCEL, CONFIGURE, PRIORITISE, PURGE, RETRY, REVIEW},
};
use crate::model::{NodeId, Priority, Reason, State, TaskId};

/// What became of a task that was to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// It is cancelled.
    Done,
    /// It runs on this node, which is to be told; the node, or recovery, settles it.
    Asked(Option<NodeId>),
    /// Too late: it is in this final state.
    Final(State),
    /// No such task.
    Unknown,
}

/// What a person decided about a task that waits for people.
#[derive(Debug, Clone)]
pub enum Review {
    /// Its draft is the result.
    Approve,
    /// This is the result, JSON text.
    Edit(String),
    /// It failed.
    Reject,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reviewed {
    /// The task is final now.
    Done,
    /// It does not wait for people: it is in this state.
    NotWaiting(State),
    /// No such task.
    Unknown,
}

impl Review {
    /// The reason of the transition.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Approve => Reason::Approved,
            Self::Edit(_) => Reason::Edited,
            Self::Reject => Reason::Rejected,
        }
    }
}

/// One step of a purge.
#[derive(Debug)]
pub struct Purged {
    /// Tasks deleted in this step.
    pub deleted: u64,
    /// Where to go on; none when nothing is left.
    pub cursor: Option<String>,
}

/// Settings of a queue; what is `None` stays as it is, `Some(None)` goes back to the default.
#[derive(Debug, Clone, Default)]
pub struct QueueSettings {
    /// Claims stop; submitting goes on.
    pub paused: Option<bool>,
    /// Tasks that may wait; more are refused. No limit by default.
    pub max_length: Option<Option<u64>>,
    /// Tasks that may run at once, in the whole fleet. No limit by default.
    pub concurrency: Option<Option<u64>>,
    /// Tasks with the same concurrency key that may run at once. Default 1.
    pub key_concurrency: Option<Option<u64>>,
    /// How long finished tasks are kept, microseconds. Default 24 h.
    pub retention: Option<Option<u64>>,
    /// How long failed tasks are kept, microseconds. Default 30 d.
    pub dead_retention: Option<Option<u64>>,
    /// Entries that the event log keeps, about. Default 2000.
    pub events: Option<Option<u64>>,
}

impl QueueSettings {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let number = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        let mut pairs: Vec<(&'static str, String)> = [
            ("max_length", self.max_length),
            ("concurrency", self.concurrency),
            ("key_concurrency", self.key_concurrency),
            ("retention", self.retention),
            ("dead_retention", self.dead_retention),
            ("events", self.events),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, number(value))))
        .collect();
        if let Some(paused) = self.paused {
            pairs.push(("paused", if paused { "1".into() } else { String::new() }));
        }
        pairs
    }

    /// These settings, with what `other` says instead.
    pub(super) fn overlaid(self, other: &Self) -> Self {
        Self {
            paused: other.paused.or(self.paused),
            max_length: other.max_length.or(self.max_length),
            concurrency: other.concurrency.or(self.concurrency),
            key_concurrency: other.key_concurrency.or(self.key_concurrency),
            retention: other.retention.or(self.retention),
            dead_retention: other.dead_retention.or(self.dead_retention),
            events: other.events.or(self.events),
        }
    }

    /// What each of `count` partitions is given: a limit's share, so that the shares add up to it; all else as it is.
    pub(super) fn shared_out(&self, count: usize) -> Result<Vec<Self>> {
        let count = count as u64;
        for (name, limit) in [("max_length", self.max_length), ("concurrency", self.concurrency)] {
            if let Some(Some(limit)) = limit.filter(|limit| limit.is_some_and(|limit| limit < count)) {
                return Err(StoreError::Impossible(format!(
                    "{name} {limit} cannot be shared by {count} partitions: each needs one at least"
                )));
            }
        }
        let share = |limit: Option<Option<u64>>, index: u64| {
            limit.map(|limit| limit.map(|limit| limit / count + u64::from(index < limit % count)))
        };
        let of = |index| Self {
            max_length: share(self.max_length, index),
            concurrency: share(self.concurrency, index),
            ..self.clone()
        };
        Ok((0..count).map(of).collect())
    }
}

impl Partition {
    async fn on_each(
        &self,
        script: &'static super::Script,
        first: &[&str],
        ids: &[TaskId],
    ) -> Result<Vec<String>> {
        let args: Vec<&str> = [PRODUCER]
            .into_iter()
            .chain(first.iter().copied())
            .chain(ids.iter().map(TaskId::as_str))
            .collect();
        self.run(script, &args).await
    }

    /// Cancels tasks, at most 500 a call.
    pub async fn cancel(&self, ids: &[TaskId]) -> Result<Vec<Cancelled>> {
        let words = self.on_each(&CANCEL, &[], ids).await?;
        Ok(words
            .iter()
            .map(|word| match (word.strip_prefix("cancelling "), word.parse::<State>()) {
                (Some(node), _) => Cancelled::Asked(NodeId::new(node).ok()),
                // An earlier cancel of the same task is reported as such, and is no failure.
                (None, Ok(State::Cancelled)) => Cancelled::Done,
                (None, Ok(state)) => Cancelled::Final(state),
                (None, Err(_)) => Cancelled::Unknown,
            })
            .collect())
    }

    /// Gives failed, cancelled or expired tasks another life, at most 500 a call. Tells each task's state afterwards.
    pub async fn retry(&self, ids: &[TaskId]) -> Result<Vec<Option<State>>> {
        Ok(self.on_each(&RETRY, &[], ids).await?.iter().map(|word| word.parse().ok()).collect())
    }

    /// Changes the priority of tasks that are not final, at most 500 a call. Tells each task's state.
    pub async fn prioritise(&self, ids: &[TaskId], priority: Priority) -> Result<Vec<Option<State>>> {
        let words = self.on_each(&PRIORITISE, &[priority.as_str()], ids).await?;
        Ok(words.iter().map(|word| word.parse().ok()).collect())
    }

    /// Deletes some tasks of a state. Begin with no cursor and go on until there is none.
    pub async fn purge(&self, state: State, cursor: Option<&str>) -> Result<Purged> {
        let args: &[&str] = &[PRODUCER, state.as_str(), cursor.unwrap_or("-")];
        let (deleted, cursor): (u64, String) = self.run(&PURGE, &args).await?;
        Ok(Purged { deleted, cursor: (!cursor.is_empty()).then_some(cursor) })
    }

    /// Decides on tasks that wait for people, at most 500 a call. `by` and `note` are kept with each task.
    pub async fn review(
        &self,
        ids: &[TaskId],
        review: &Review,
        by: &str,
        note: Option<&str>,
    ) -> Result<Vec<Reviewed>> {
        let verdict = review.reason().as_str();
        let kept = serde_json::json!({ "verdict": verdict, "by": by, "note": note }).to_string();
        let result = if let Review::Edit(result) = review { result.as_str() } else { "" };
        let texts = self.texts();
        // What is sealed is sealed for one task, and an object is one task's.
        let alone = texts.ring().is_some() || self.store.objects().is_some();
        let at_once = if alone { 1 } else { ids.len().max(1) };
        let mut words: Vec<String> = Vec::with_capacity(ids.len());
        for ids in ids.chunks(at_once) {
            let Some(first) = ids.first() else { break };
            let large = self.store.put_away(&self.reference(first.clone()), "result", result).await?;
            let (first, result) = (first.as_str(), large.as_deref().unwrap_or(result));
            let (result, kept) =
                (texts.field(first, "result", result), texts.member(first, "review", &kept, "note"));
            let args = [PRODUCER.as_bytes(), verdict.as_bytes(), &result, kept.as_bytes()];
            let args: Vec<&[u8]> =
                args.into_iter().chain(ids.iter().map(|id| id.as_str().as_bytes())).collect();
            words.extend(self.run::<Vec<String>>(&REVIEW, &args).await?);
        }
        let read = |word: &String| match word.as_str() {
            "ok" => Reviewed::Done,
            state => state.parse().map_or(Reviewed::Unknown, Reviewed::NotWaiting),
        };
        Ok(words.iter().map(read).collect())
    }

    /// What was set, and is not at its default.
    pub(super) async fn settings(&self) -> Result<QueueSettings> {
        let set: HashMap<String, String> =
            self.store.command(redis::cmd("HGETALL").arg(self.keys.meta())).await?;
        let number = |name: &str| set.get(name).and_then(|text| text.parse().ok()).map(Some);
        Ok(QueueSettings {
            paused: set.get("paused").map(|text| text == "1"),
            max_length: number("max_length"),
            concurrency: number("concurrency"),
            key_concurrency: number("key_concurrency"),
            retention: number("retention"),
            dead_retention: number("dead_retention"),
            events: number("events"),
        })
    }

    /// Changes settings of the queue.
    pub async fn configure(&self, settings: &QueueSettings) -> Result<()> {
        self.set(settings.pairs()).await
    }

    /// Changes settings of the first partition, and notes there how many there are: from now on that is so.
    pub(super) async fn divide(&self, settings: &QueueSettings, count: u16) -> Result<()> {
        let mut pairs = settings.pairs();
        pairs.push(("partitions", count.to_string()));
        self.set(pairs).await
    }

    pub(super) async fn set(&self, pairs: Vec<(impl Into<String>, String)>) -> Result<()> {
        let mut args = vec![PRODUCER.to_owned()];
        args.extend(pairs.into_iter().flat_map(|(name, value)| [name.into(), value]));
        match self.run::<String>(&CONFIGURE, &args).await?.as_str() {
            "divided" => Err(StoreError::divided_already(&self.name)),
            "in use" => Err(StoreError::Impossible(format!(
                "queue {} has tasks, and a task never changes its partition: divide a queue before its first task, or purge it",
                self.name
            ))),
            _ => Ok(()),
        }
    }
}
