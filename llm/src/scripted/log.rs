//! Counts calls while they come and go.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use serde_json::Value;

use super::{
    calls::{Call, Calls, Group, Show},
    peak::Peaks,
    window::Ticket,
};

/// Calls that are remembered one by one. Totals go on.
const REMEMBERED: usize = 1_000_000;
/// Requests whose body is kept, and the largest that is.
const KEPT: u64 = 200;
const LARGEST_KEPT: usize = 256 * 1024;

/// A call that comes in.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) at: Instant,
    pub(crate) path: &'static str,
    pub(crate) model: &'a str,
    pub(crate) rule: &'a str,
    pub(crate) key: &'a str,
    pub(crate) stream: bool,
    pub(crate) body: Bytes,
}

#[derive(Debug)]
pub(crate) struct Log {
    start: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// How many entries were dropped at the front.
    forgotten: u64,
    entries: VecDeque<Entry>,
    all: Group,
    groups: [HashMap<Arc<str>, Group>; 3],
    by_status: BTreeMap<u16, u64>,
    bodies: VecDeque<(u64, Bytes)>,
    /// Entries of before a reset must not count after it.
    era: u64,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    end: Option<Instant>,
    path: &'static str,
    /// Rule, model, key.
    names: [Arc<str>; 3],
    stream: bool,
    status: u16,
    aborted: bool,
    input: u64,
    output: u64,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all that was. What runs now is not counted when it ends.
    pub(crate) fn reset(&self) {
        let mut inner = self.lock();
        *inner = Inner { era: inner.era + 1, ..Inner::default() };
    }

    pub(crate) fn begin(self: &Arc<Self>, incoming: Incoming<'_>, ticket: Option<Ticket>) -> Running {
        let mut inner = self.lock();
        let names = [incoming.rule, incoming.model, incoming.key];
        let names: [Arc<str>; 3] = std::array::from_fn(|which| inner.intern(which, names[which]));
        inner.each(&names, |group| {
            group.calls += 1;
            group.running += 1;
            group.max_concurrent = group.max_concurrent.max(group.running);
        });
        let number = inner.forgotten + inner.entries.len() as u64 + 1;
        if incoming.body.len() <= LARGEST_KEPT {
            inner.bodies.push_back((number, incoming.body));
            while inner.bodies.front().is_some_and(|(kept, _)| kept + KEPT <= number) {
                inner.bodies.pop_front();
            }
        }
        inner.entries.push_back(Entry {
            at: incoming.at,
            end: None,
            path: incoming.path,
            names,
            stream: incoming.stream,
            status: 0,
            aborted: false,
            input: 0,
            output: 0,
        });
        if inner.entries.len() > REMEMBERED {
            inner.entries.pop_front();
            inner.forgotten += 1;
        }
        Running { log: Arc::clone(self), era: inner.era, number, ended: false, ticket }
    }

    fn update(&self, era: u64, number: u64, change: impl FnOnce(&mut Inner, usize)) {
        let mut inner = self.lock();
        let index = number.checked_sub(inner.forgotten + 1).and_then(|index| usize::try_from(index).ok());
        if let Some(index) = index.filter(|index| inner.era == era && *index < inner.entries.len()) {
            change(&mut inner, index);
        }
    }

    pub(crate) fn show(&self, show: Show) -> Calls {
        let inner = self.lock();
        let mut peaks = Peaks::new(show.window);
        for entry in &inner.entries {
            peaks.add(entry.at, entry.status, entry.input + entry.output, &entry.names);
        }
        let mut all = inner.all.clone();
        peaks.of_all().apply(&mut all);
        let [by_rule, by_model, by_key] = std::array::from_fn(|which| {
            let groups = inner.groups[which].iter().map(|(name, group)| {
                let mut group = group.clone();
                peaks.of(which, name).apply(&mut group);
                (name.to_string(), group)
            });
            groups.collect::<BTreeMap<_, _>>()
        });
        let skip = inner.entries.len().saturating_sub(show.last);
        let last = inner.entries.iter().enumerate().skip(skip);
        let last = last.map(|(index, entry)| {
            let number = inner.forgotten + index as u64 + 1;
            let request = if show.prompts { inner.body(number) } else { None };
            self.call(number, entry, request)
        });
        Calls {
            window_ms: u64::try_from(show.window.as_millis()).unwrap_or(u64::MAX),
            all,
            by_rule,
            by_model,
            by_key,
            by_status: inner.by_status.clone(),
            forgotten: inner.forgotten,
            last: last.collect(),
        }
    }

    fn call(&self, number: u64, entry: &Entry, request: Option<Value>) -> Call {
        let ms = |time: Duration| time.as_micros() as f64 / 1000.0;
        let [rule, model, key] = entry.names.each_ref().map(ToString::to_string);
        Call {
            number,
            at_ms: ms(entry.at.saturating_duration_since(self.start)),
            took_ms: entry.end.map(|end| ms(end.saturating_duration_since(entry.at))),
            path: entry.path,
            model,
            rule,
            key,
            stream: entry.stream,
            status: entry.status,
            aborted: entry.aborted,
            input_tokens: entry.input,
            output_tokens: entry.output,
            request,
        }
    }
}

impl Inner {
    fn intern(&mut self, which: usize, name: &str) -> Arc<str> {
        let Some(groups) = self.groups.get_mut(which) else { return name.into() };
        if let Some((name, _)) = groups.get_key_value(name) {
            return Arc::clone(name);
        }
        let name: Arc<str> = name.into();
        groups.insert(Arc::clone(&name), Group::default());
        name
    }

    /// The group of all, and those of these names.
    fn each(&mut self, names: &[Arc<str>; 3], mut change: impl FnMut(&mut Group)) {
        change(&mut self.all);
        for (groups, name) in self.groups.iter_mut().zip(names) {
            if let Some(group) = groups.get_mut(name) {
                change(group);
            }
        }
    }

    fn body(&self, number: u64) -> Option<Value> {
        let (_, body) = self.bodies.iter().find(|(kept, _)| *kept == number)?;
        let text = || Value::String(String::from_utf8_lossy(body).into_owned());
        Some(serde_json::from_slice(body).unwrap_or_else(|_| text()))
    }
}

/// A call that is being answered. Dropped before its end, it counts as aborted by the client.
#[derive(Debug)]
pub(crate) struct Running {
    log: Arc<Log>,
    era: u64,
    number: u64,
    ended: bool,
    ticket: Option<Ticket>,
}

impl Running {
    /// Its number, counted from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// What is about to be sent.
    pub(crate) fn answer(&mut self, status: u16, input: u64, output: u64, cost: f64) {
        if let Some(ticket) = &self.ticket {
            ticket.spend(input + output);
        }
        self.log.update(self.era, self.number, |inner, index| {
            *inner.by_status.entry(status).or_default() += 1;
            let Some(entry) = inner.entries.get_mut(index) else { return };
            (entry.status, entry.input, entry.output) = (status, input, output);
            let names = entry.names.clone();
            inner.each(&names, |group| {
                group.refused += u64::from(status >= 400);
                group.input_tokens += input;
                group.output_tokens += output;
                // To the billionth: sums of cents stay exact.
                group.cost = ((group.cost + cost) * 1e9).round() / 1e9;
            });
        });
    }

    /// All of it was sent.
    pub(crate) fn finish(mut self) {
        self.end(false);
    }

    fn end(&mut self, aborted: bool) {
        self.ended = true;
        let now = Instant::now();
        self.log.update(self.era, self.number, |inner, index| {
            let Some(entry) = inner.entries.get_mut(index) else { return };
            (entry.end, entry.aborted) = (Some(now), aborted);
            let names = entry.names.clone();
            inner.each(&names, |group| {
                group.running = group.running.saturating_sub(1);
                group.aborted += u64::from(aborted);
            });
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.end(true);
        }
    }
}
