//! Who is next: four bands, and within a band start-time fair queueing among tenants.

use std::collections::BTreeMap;

use windlass_shared::model::{Priority, Reason, State};

use super::{Queue, STEP};

const WIDTH: u64 = 1 << 51;
/// What a turn of a tenant of weight 1 costs.
const TURN: u64 = 2520;
/// A band that comes this far starts again, once it is empty.
const FAR: u64 = 1 << 50;

/// The start tags.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// V: the largest tag that was taken from each band.
    v: [u64; 4],
    /// F: the next tag of a tenant in a band. One at or below V says nothing.
    f: BTreeMap<(u8, String), u64>,
}

impl Order {
    pub(super) fn aged(turns: u64) -> Self {
        Self { v: [turns; 4], f: BTreeMap::new() }
    }

    /// A new place for a task of this tenant.
    fn next(&mut self, priority: Priority, tenant: &str, weight: u64) -> u64 {
        let band = priority.band();
        let f = self.f.entry((band, tenant.to_owned())).or_default();
        let tag = self.v[usize::from(band)].max(*f);
        *f = tag + TURN / weight;
        u64::from(band) * WIDTH + tag
    }

    /// The place that a task had, which it keeps. After the band started again, V is the most.
    fn kept(&self, score: u64) -> u64 {
        score.min(score / WIDTH * WIDTH + self.v[(score / WIDTH) as usize])
    }

    /// A task of this place was taken.
    pub(super) fn taken(&mut self, score: u64) {
        let v = &mut self.v[(score / WIDTH) as usize];
        *v = (*v).max(score % WIDTH);
    }

    fn start_again(&mut self, band: u8) {
        if self.v[usize::from(band)] > FAR {
            self.v[usize::from(band)] = 0;
            self.f.retain(|(of, _), _| *of != band);
        }
    }

    /// V of each band.
    pub(super) fn v(&self) -> [u64; 4] {
        self.v
    }

    /// Each tenant's next start tag, where it says something.
    pub(super) fn f(&self) -> impl Iterator<Item = (String, u64)> {
        self.f
            .iter()
            .filter(|((band, _), f)| **f > self.v[usize::from(*band)])
            .map(|((band, tenant), f)| (format!("{band}:{tenant}"), *f))
    }
}

/// The band of a place.
pub(super) fn band_of(score: u64) -> u8 {
    (score / WIDTH) as u8
}

impl Queue {
    /// A new place for a task, behind what its tenant has.
    pub(super) fn fresh_score(&mut self, id: &str) -> u64 {
        let task = &self.tasks[id];
        self.order.next(task.priority, &task.tenant, task.weight)
    }

    /// The place of a task that comes back: its own, unless it has another priority now.
    pub(super) fn kept_score(&mut self, id: &str) -> u64 {
        let task = &self.tasks[id];
        match task.score.filter(|score| band_of(*score) == task.priority.band()) {
            Some(score) => self.order.kept(score),
            None => self.fresh_score(id),
        }
    }

    /// Bands that are empty and have come far start again at zero.
    pub(super) fn start_bands_again(&mut self, taken: &[u64]) {
        for band in taken.iter().map(|score| band_of(*score)) {
            let waits = |score: u64| band_of(score) == band;
            let empty = !self
                .tasks
                .values()
                .any(|task| task.state == State::Pending && task.score.is_some_and(waits));
            if empty {
                self.order.start_again(band);
            }
        }
    }

    fn key_limit(&self) -> usize {
        self.settings.key_concurrency.unwrap_or(1)
    }

    fn running_with(&self, key: &str) -> usize {
        let runs = |task: &&super::Task| {
            task.state == State::Running && task.concurrency_key.as_deref() == Some(key)
        };
        self.tasks.values().filter(runs).count()
    }

    /// Whether a task with this concurrency key has to wait for others.
    pub(super) fn is_key_full(&self, key: &str) -> bool {
        self.running_with(key) >= self.key_limit()
    }

    /// As many parked tasks of a key as it has room for go on, in their places. What does not fit is parked again when it
    /// is claimed.
    pub(super) fn let_go_on(&mut self, key: Option<&str>) {
        let Some(key) = key else { return };
        let room = self.key_limit().saturating_sub(self.running_with(key)).min(STEP);
        let parked = self.ids_in(State::Parked, |task| task.score);
        let of_key = |id: &String| self.tasks[id].concurrency_key.as_deref() == Some(key);
        for id in parked.into_iter().filter(of_key).take(room).collect::<Vec<_>>() {
            let score = self.kept_score(&id);
            self.make_pending(&id, Reason::Unparked, score);
        }
    }
}
