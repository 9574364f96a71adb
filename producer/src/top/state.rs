//! What is on the screen and what a key does to it: no input, no output, no clock of its own.

mod keys;
mod sight;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

pub(super) use self::keys::Effect;

use windlass_shared::model::{NodeId, QueueName, TaskRef};

use super::{
    act::Act,
    feed::{Update, Wanted},
    list::{Item, Sort, order},
    reading::{FailureRow, NodeRow, QueueRow, Reading, RunningRow, Story},
};

/// The lists, in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Nodes,
    Queues,
    Running,
    Failures,
}

impl View {
    pub(super) const ALL: [Self; 4] = [Self::Nodes, Self::Queues, Self::Running, Self::Failures];

    pub(super) fn title(self) -> &'static str {
        ["Nodes", "Queues", "Running", "Failures"][self as usize]
    }
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    List(View),
    Node(NodeId),
    Queue(QueueName),
    Task(TaskRef),
}

impl Page {
    /// What the page lists, if it does.
    pub(super) fn lists(&self) -> Option<View> {
        match self {
            Self::List(view) => Some(*view),
            Self::Node(_) | Self::Queue(_) => Some(View::Running),
            Self::Task(_) => None,
        }
    }
}

/// A page with where the person is in it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) page: Page,
    pub(super) sort: Sort,
    pub(super) filter: String,
    /// Items of the list that are shown, in order.
    pub(super) rows: Vec<usize>,
    /// The row under the cursor; of a page of text, the first line that is shown.
    pub(super) at: usize,
    /// What is in that row: the cursor stays with it when rows move.
    pub(super) key: String,
    /// The first row that is shown.
    pub(super) first: usize,
    /// Rows that fit on the screen, as it was drawn last.
    pub(super) height: usize,
}

impl Place {
    fn new(page: Page) -> Self {
        Self {
            page,
            sort: Sort::default(),
            filter: String::new(),
            rows: Vec::new(),
            at: 0,
            key: String::new(),
            first: 0,
            height: 1,
        }
    }
}

/// Who gets the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Looking,
    /// A filter is being typed.
    Filtering,
    /// This is about to be done, if the person says yes.
    Asking(Act),
    Help,
}

/// A line that tells how an act went.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) kind: Kind,
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Going,
    Good,
    Bad,
}

/// How long such a line stays.
const TOLD_FOR: Duration = Duration::from_secs(8);
/// Readings whose rates are kept.
const RATES: usize = 24;
/// A reading that is later than that is told of, beyond the interval.
const LATE: Duration = Duration::from_secs(3);

/// All of it.
#[derive(Debug)]
pub(super) struct State {
    /// Where Redis is, for the first line.
    pub(super) redis: String,
    pub(super) interval: Duration,
    pub(super) reading: Option<Box<Reading>>,
    pub(super) story: Option<Box<Story>>,
    /// Tasks done a second, in each of the last readings.
    pub(super) rates: VecDeque<u64>,
    /// Where each list is.
    lists: [Place; 4],
    view: View,
    /// What was opened from there.
    opened: Vec<Place>,
    pub(super) mode: Mode,
    pub(super) paused: bool,
    told: Option<Told>,
    /// Why Redis did not answer, and when it did last.
    trouble: Option<String>,
    seen: Instant,
    asked: u64,
    /// Of the screen, as it was drawn last.
    pub(super) width: u16,
}

impl State {
    pub(super) fn new(redis: String, interval: Duration, now: Instant) -> Self {
        Self {
            redis,
            interval,
            reading: None,
            story: None,
            rates: VecDeque::with_capacity(RATES),
            lists: View::ALL.map(|view| Place::new(Page::List(view))),
            view: View::Nodes,
            opened: Vec::new(),
            mode: Mode::Looking,
            paused: false,
            told: None,
            trouble: None,
            seen: now,
            asked: 0,
            width: 80,
        }
    }

    /// Where the person is.
    pub(super) fn place(&self) -> &Place {
        self.opened.last().unwrap_or(&self.lists[self.view as usize])
    }

    pub(super) fn place_mut(&mut self) -> &mut Place {
        self.opened.last_mut().unwrap_or(&mut self.lists[self.view as usize])
    }

    /// The list that is open, or from which what is open was opened.
    pub(super) fn view(&self) -> View {
        self.view
    }

    /// What the feed is to read.
    pub(super) fn wanted(&self) -> Wanted {
        let task = match &self.place().page {
            Page::Task(task) => Some(task.clone()),
            _ => None,
        };
        Wanted { paused: self.paused, task, asked: self.asked }
    }

    /// Takes what was read.
    pub(super) fn take(&mut self, update: Update, now: Instant) {
        match update {
            Update::Trouble(why) => self.trouble = Some(why),
            Update::Story(story) => {
                (self.trouble, self.seen) = (None, now);
                self.story = Some(story);
            }
            Update::Fleet(reading) => {
                (self.trouble, self.seen) = (None, now);
                if let Some(rate) = reading.fleet.done_per_second {
                    if self.rates.len() == RATES {
                        self.rates.pop_front();
                    }
                    self.rates.push_back(rate.round() as u64);
                }
                self.reading = Some(reading);
                self.settle();
            }
        }
    }

    /// Takes how an act went.
    pub(super) fn acted(&mut self, how: Result<String, String>, now: Instant) {
        self.asked += 1;
        match how {
            Ok(text) => self.tell(Kind::Good, text, now),
            Err(text) => self.tell(Kind::Bad, text, now),
        }
    }

    fn tell(&mut self, kind: Kind, text: String, now: Instant) {
        self.told = Some(Told { text, kind, until: now + TOLD_FOR });
    }

    /// What is to be told of an act, while that is news.
    pub(super) fn told(&self, now: Instant) -> Option<&Told> {
        self.told.as_ref().filter(|told| now < told.until)
    }

    /// The columns of the open list that are on the screen.
    fn columns(&self) -> usize {
        fn on<T: Item>(width: u16) -> usize {
            T::COLUMNS.iter().filter(|column| column.from <= width).count()
        }
        match self.place().page.lists() {
            Some(View::Nodes) => on::<NodeRow>(self.width),
            Some(View::Queues) => on::<QueueRow>(self.width),
            Some(View::Running) => on::<RunningRow>(self.width),
            Some(View::Failures) => on::<FailureRow>(self.width),
            None => 0,
        }
    }

    /// What is wrong with Redis, and for how long it was not seen.
    pub(super) fn trouble(&self, now: Instant) -> Option<(&str, Duration)> {
        let silent = now.saturating_duration_since(self.seen);
        match &self.trouble {
            Some(why) => Some((why, silent)),
            None if !self.paused && silent > self.interval + LATE => Some(("it is slow to answer", silent)),
            None => None,
        }
    }

    /// Puts the rows of the open page in order again, and the cursor where it was.
    fn settle(&mut self) {
        let Some(reading) = self.reading.take() else { return };
        let place = self.place_mut();
        place.rows = rows(&reading, place);
        // At the top it stays there: what is new comes first. What is gone leaves it where it was.
        let same = |row: &usize| key(&reading, &place.page, *row) == place.key;
        let found = if place.at == 0 { None } else { place.rows.iter().position(same) };
        place.at = found.unwrap_or(place.at).min(place.rows.len().saturating_sub(1));
        place.key = place
            .rows
            .get(place.at)
            .map(|row| key(&reading, &place.page, *row))
            .unwrap_or_default()
            .to_owned();
        self.reading = Some(reading);
    }
}

/// The rows of a page that lists.
fn rows(reading: &Reading, place: &Place) -> Vec<usize> {
    let (filter, sort) = (place.filter.as_str(), place.sort);
    match &place.page {
        Page::List(View::Nodes) => order::<NodeRow>(&reading.nodes, |_| true, filter, sort),
        Page::List(View::Queues) => order::<QueueRow>(&reading.queues, |_| true, filter, sort),
        Page::List(View::Running) => order::<RunningRow>(&reading.running, |_| true, filter, sort),
        Page::List(View::Failures) => order::<FailureRow>(&reading.failures, |_| true, filter, sort),
        Page::Node(node) => {
            order::<RunningRow>(&reading.running, |task| *task.node == *node.as_str(), filter, sort)
        }
        Page::Queue(queue) => {
            order::<RunningRow>(&reading.running, |task| task.queue() == queue.as_str(), filter, sort)
        }
        Page::Task(_) => Vec::new(),
    }
}

/// By what the item of a row is known.
fn key<'a>(reading: &'a Reading, page: &Page, row: usize) -> &'a str {
    let key = match page.lists() {
        Some(View::Nodes) => reading.nodes.get(row).map(Item::key),
        Some(View::Queues) => reading.queues.get(row).map(Item::key),
        Some(View::Running) => reading.running.get(row).map(Item::key),
        Some(View::Failures) => reading.failures.get(row).map(Item::key),
        None => None,
    };
    key.unwrap_or_default()
}
