//! Everything that can be seen of a queue, as lines, so that two queues can be compared and a difference reads well.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use windlass_shared::model::{Priority, State};

use super::{Moment, Queue, Task, batch::Batch, batch::Entry};

/// What is seen: a name such as `task t1 state` or `stats completed`, and its value. What is absent, zero or empty is
/// left out: the protocol gives each field a default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View(BTreeMap<String, String>);

impl View {
    /// Notes a value, unless it says nothing.
    pub fn put(&mut self, name: impl Into<String>, value: impl Display) {
        let value = value.to_string();
        if !value.is_empty() && value != "0" {
            self.0.insert(name.into(), value);
        }
    }

    /// Notes a value that may be absent.
    fn maybe(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// A value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What is different in `other`, a line each.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        names
            .into_iter()
            .filter(|name| self.0.get(*name) != other.0.get(*name))
            .map(|name| format!("{name}: {:?} and {:?}", self.get(name), other.get(name)))
            .collect()
    }
}

/// A place, such as `t1@5 t2@9`.
fn place<R: Ord + Display>(entries: impl Iterator<Item = (R, String)>) -> String {
    let mut entries: Vec<(R, String)> = entries.collect();
    entries.sort();
    let words: Vec<String> = entries.into_iter().map(|(rank, id)| format!("{id}@{rank}")).collect();
    words.join(" ")
}

/// Entries of a log of finished tasks.
fn log(entries: &[Entry]) -> String {
    let lists = |entry: &Entry| {
        let lists: Vec<String> =
            entry.lists.iter().map(|(name, ids)| format!("{name}={}", ids.join(" "))).collect();
        lists.join(",")
    };
    entries.iter().map(lists).collect::<Vec<_>>().join("; ")
}

impl Queue {
    /// What can be seen of it.
    pub fn view(&self) -> View {
        let mut view = View::default();
        for (id, task) in &self.tasks {
            task.show(&format!("task {id}"), &mut view);
        }
        self.show_places(&mut view);
        self.show_settings(&mut view);
        self.show_figures(&mut view);
        for (name, batch) in &self.batches {
            batch.show(&format!("batch {name}"), &mut view);
        }
        view.put("finished", log(&self.finished));
        view.put("bell", if self.bell { "ring" } else { "" });
        view.put("events", self.events);
        let (by, moves) = &self.event;
        let mut lists = BTreeMap::<&str, Vec<&str>>::new();
        for (name, mark) in moves {
            lists.entry(name).or_default().push(mark);
        }
        for (name, mut marks) in lists {
            // A log entry has no order among its lists, so what goes through it, such as a purge, has none either.
            marks.sort_unstable();
            view.put(format!("event by {by}: {name}"), marks.join(" "));
        }
        view
    }

    fn show_places(&self, view: &mut View) {
        let of = |state| self.tasks.iter().filter(move |(_, task)| task.state == state);
        let at =
            |state, rank: fn(&Task) -> Moment| place(of(state).map(|(id, task)| (rank(task), id.clone())));
        let score: fn(&Task) -> Moment = |task| task.score.unwrap_or_default() as Moment;
        view.put("pending", at(State::Pending, score));
        view.put("parked", at(State::Parked, score));
        view.put("running", at(State::Running, |task| task.lease_until));
        view.put("scheduled", at(State::Scheduled, |task| task.due_at.unwrap_or_default()));
        view.put("blocked", at(State::Blocked, |task| task.blocked_since));
        view.put("dead", at(State::Failed, |task| task.finished_at.unwrap_or_default()));
        let expiring = self.tasks.iter().filter_map(|(id, task)| Some((task.may_expire()?, id.clone())));
        view.put("expiring", place(expiring));
        let keys: BTreeSet<&String> =
            self.tasks.values().filter_map(|task| task.concurrency_key.as_ref()).collect();
        for key in keys {
            let with = |state| of(state).filter(|(_, task)| task.concurrency_key.as_ref() == Some(key));
            view.put(format!("keys {key}"), with(State::Running).count());
            let parked = with(State::Parked).map(|(id, task)| (score(task), id.clone()));
            view.put(format!("parked:{key}"), place(parked));
        }
    }

    fn show_settings(&self, view: &mut View) {
        let settings = &self.settings;
        view.put("meta paused", u8::from(settings.paused));
        // A limit of 0 is not the same as none.
        let mut limit = |name: &str, value: Option<i64>| {
            view.put(format!("meta {name}"), value.map(|value| format!("={value}")).unwrap_or_default());
        };
        limit("max_length", settings.max_length.map(|most| most as i64));
        limit("concurrency", settings.concurrency.map(|most| most as i64));
        limit("key_concurrency", settings.key_concurrency.map(|most| most as i64));
        limit("retention", settings.retention);
        limit("dead_retention", settings.dead_retention);
    }

    fn show_figures(&self, view: &mut View) {
        for (name, count) in &self.counters {
            view.put(format!("stats {name}"), count);
        }
        view.maybe("stats seen_at", self.clock.seen_at);
        view.put("stats recover_after", self.clock.recover_after);
        view.put("stats upkeep_at", self.clock.upkeep_at);
        view.maybe("stats lease", self.clock.lease);
        for (band, v) in self.order.v().into_iter().enumerate() {
            view.put(format!("stats v{band}"), v);
        }
        for (member, tag) in self.order.f() {
            view.put(format!("fair {member}"), tag);
        }
    }
}

impl Batch {
    fn show(&self, name: &str, view: &mut View) {
        view.put(format!("{name} total"), self.total);
        for (state, count) in &self.finals {
            view.put(format!("{name} {state}"), count);
        }
        view.maybe(&format!("{name} created_at"), self.created_at);
        view.put(format!("{name} ended"), self.ended_at.map_or_else(|| "open".into(), |at| at.to_string()));
        view.put(format!("{name} finished"), log(&self.finished));
    }
}

impl Task {
    fn show(&self, name: &str, view: &mut View) {
        let mut field = |field: &str, value: &dyn Display| view.put(format!("{name} {field}"), value);
        field("digest", &self.digest);
        field("payload", &self.payload);
        field("tenant", &self.tenant);
        field("weight", &self.weight);
        field("created_at", &self.created_at);
        field("state", &self.state);
        field("reason", &self.reason);
        if self.priority != Priority::Normal {
            field("priority", &self.priority);
        }
        field("attempt", &self.attempt);
        field("node", &self.node);
        field("cancel", &u8::from(self.cancel));
        let charged = [
            ("retries", self.retries),
            ("crashes", self.crashes),
            ("interruptions", self.interruptions),
            ("waits", self.waits),
            ("requeues", self.requeues),
        ];
        for (name, count) in &charged {
            field(name, count);
        }
        let moments = [
            ("started_at", self.started_at),
            ("due_at", self.due_at),
            ("expires_at", self.expires_at),
            ("unknown_since", self.unknown_since),
            ("finished_at", self.finished_at),
        ];
        for (name, at) in &moments {
            field(name, &at.unwrap_or_default());
        }
        let texts = [
            ("batch", &self.batch),
            ("concurrency_key", &self.concurrency_key),
            ("progress", &self.progress),
            ("error", &self.error),
            ("result", &self.result),
            ("ledger", &self.ledger),
            ("review", &self.review),
        ];
        for (name, text) in &texts {
            field(name, &text.as_deref().unwrap_or_default());
        }
    }
}
