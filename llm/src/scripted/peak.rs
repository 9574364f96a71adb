//! The most that happened in any window of time.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::calls::Group;

/// Collects moments, over all and by name.
#[derive(Debug)]
pub(crate) struct Peaks {
    window: Duration,
    all: Vec<Moment>,
    named: [HashMap<Arc<str>, Vec<Moment>>; 3],
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    answered: bool,
    tokens: u64,
}

/// The peaks of some calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Peak {
    all: u64,
    answered: u64,
    tokens: u64,
}

impl Peak {
    pub(crate) fn apply(self, group: &mut Group) {
        (group.max_in_window, group.max_answered_in_window, group.max_tokens_in_window) =
            (self.all, self.answered, self.tokens);
    }
}

impl Peaks {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, all: Vec::new(), named: Default::default() }
    }

    pub(crate) fn add(&mut self, at: Instant, status: u16, tokens: u64, names: &[Arc<str>; 3]) {
        let moment = Moment { at, answered: (200..400).contains(&status), tokens };
        self.all.push(moment);
        for (moments, name) in self.named.iter_mut().zip(names) {
            moments.entry(Arc::clone(name)).or_default().push(moment);
        }
    }

    pub(crate) fn of_all(&self) -> Peak {
        most(&self.all, self.window)
    }

    pub(crate) fn of(&self, which: usize, name: &str) -> Peak {
        let moments = self.named.get(which).and_then(|named| named.get(name));
        moments.map(|moments| most(moments, self.window)).unwrap_or_default()
    }
}

/// The most in any half-open window: two moments exactly one window apart are not in the same one.
fn most(moments: &[Moment], window: Duration) -> Peak {
    let mut moments = moments.to_vec();
    moments.sort_by_key(|moment| moment.at);
    let (mut peak, mut sum, mut first) = (Peak::default(), Peak::default(), moments.iter().peekable());
    for moment in &moments {
        while let Some(old) = first.next_if(|old| moment.at.duration_since(old.at) >= window) {
            sum.all -= 1;
            sum.answered -= u64::from(old.answered);
            sum.tokens -= old.tokens;
        }
        sum.all += 1;
        sum.answered += u64::from(moment.answered);
        sum.tokens += moment.tokens;
        peak.all = peak.all.max(sum.all);
        peak.answered = peak.answered.max(sum.answered);
        peak.tokens = peak.tokens.max(sum.tokens);
    }
    peak
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak_at(times: &[u64]) -> u64 {
        let start = Instant::now();
        let mut peaks = Peaks::new(Duration::from_millis(100));
        let names = ["rule", "model", "key"].map(Arc::from);
        for time in times {
            peaks.add(start + Duration::from_millis(*time), 200, 3, &names);
        }
        assert_eq!(peaks.of_all(), peaks.of(1, "model"));
        assert_eq!(peaks.of_all().tokens, peaks.of_all().all * 3);
        peaks.of_all().all
    }

    #[test]
    fn a_window_slides_and_is_half_open() {
        assert_eq!(peak_at(&[]), 0);
        assert_eq!(peak_at(&[0, 100, 200]), 1, "exactly one window apart");
        assert_eq!(peak_at(&[0, 99, 100, 198]), 3);
        assert_eq!(peak_at(&[0, 60, 90, 120, 150, 300]), 4, "the window that no fixed grid shows");
        assert_eq!(peak_at(&[150, 0, 120, 60, 90]), 4, "whatever the order");
    }
}
