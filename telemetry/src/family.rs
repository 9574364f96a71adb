//! A metric with its labels, whose series are bounded: values beyond a label's bound, and all of them once a metric has
//! [`MOST_SERIES`], are told as `other`.
//!
//! Values become small numbers, and the numbers are the key of a series, so that nothing is allocated for a series that
//! is known.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use prometheus_client::{
    encoding::EncodeMetric,
    metrics::{counter, exemplar::HistogramWithExemplars, gauge},
};

use crate::{
    list::{Kind, Label, Metric, Values},
    render::Sheet,
    trace::Trace,
};

/// A metric has no more series than this, whatever its labels would allow together.
pub const MOST_SERIES: usize = 4000;
/// What stands for a value beyond the bound.
pub const OTHER: &str = "other";
const NUMBER_OF_OTHER: u16 = 0;
/// A longer value is cut: the name of a model may be any text.
const LONGEST: usize = 128;

/// A whole number that only grows.
pub type Counter = counter::Counter;
/// An amount that only grows.
pub type Amount = counter::Counter<f64>;
/// A whole number.
pub type Gauge = gauge::Gauge;
/// Counts by bucket, each with the trace of one that fell into it.
pub type Histogram = HistogramWithExemplars<Trace>;

/// What a series holds.
pub trait Series: EncodeMetric + fmt::Debug + Send + Sync + 'static {
    /// A new one of `metric`.
    fn new(metric: &Metric) -> Self;
}

impl Series for Counter {
    fn new(_: &Metric) -> Self {
        Self::default()
    }
}

impl Series for Amount {
    fn new(_: &Metric) -> Self {
        Self::default()
    }
}

impl Series for Gauge {
    fn new(_: &Metric) -> Self {
        Self::default()
    }
}

impl Series for Histogram {
    fn new(metric: &Metric) -> Self {
        let bounds = if let Kind::Histogram(bounds) = metric.kind { bounds } else { &[] };
        Self::new(bounds.iter().copied())
    }
}

/// The values of a label, numbered.
#[derive(Debug)]
enum Words {
    Closed(&'static [&'static str]),
    Open { most: usize, known: RwLock<Known> },
}

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<Box<str>, u16>,
    names: Vec<Box<str>>,
}

impl Words {
    fn of(label: &Label) -> Self {
        match label.values {
            Values::Of(words) => Self::Closed(words),
            Values::AtMost(most) => Self::Open { most, known: RwLock::default() },
        }
    }

    /// Its number; that of `other` if there is no room for it.
    fn number(&self, word: &str) -> u16 {
        let place =
            |at: Option<usize>| at.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(NUMBER_OF_OTHER);
        let (most, known) = match self {
            Self::Closed(words) => return place(words.iter().position(|known| *known == word)),
            Self::Open { most, known } => (most, known),
        };
        let word = cut(word);
        {
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            match known.numbers.get(word) {
                Some(number) => return *number,
                None if known.names.len() >= *most => return NUMBER_OF_OTHER,
                None => {}
            }
        }
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.numbers.get(word) {
            return *number;
        }
        if known.names.len() >= *most || word == OTHER {
            return NUMBER_OF_OTHER;
        }
        known.names.push(word.into());
        let number = place(Some(known.names.len() - 1));
        known.numbers.insert(word.into(), number);
        number
    }

    fn name(&self, number: u16) -> String {
        let Some(at) = usize::from(number).checked_sub(1) else { return OTHER.to_owned() };
        let name = match self {
            Self::Closed(words) => words.get(at).map(|word| (*word).to_owned()),
            Self::Open { known, .. } => {
                known.read().unwrap_or_else(PoisonError::into_inner).names.get(at).map(ToString::to_string)
            }
        };
        name.unwrap_or_else(|| OTHER.to_owned())
    }
}

/// At most [`LONGEST`] bytes, whole characters.
fn cut(word: &str) -> &str {
    if word.len() <= LONGEST { word } else { &word[..word.floor_char_boundary(LONGEST)] }
}

/// A metric with `N` labels.
pub struct Family<M, const N: usize> {
    metric: &'static Metric,
    words: [Words; N],
    series: RwLock<HashMap<[u16; N], Arc<M>>>,
}

impl<M, const N: usize> fmt::Debug for Family<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Family({})", self.metric.name)
    }
}

impl<M: Series, const N: usize> Family<M, N> {
    /// The family of a metric. One without labels has its series at once, and so has one whose only label has known
    /// values: a rate needs a zero to grow from.
    pub fn new(metric: &'static Metric) -> Self {
        assert_eq!(metric.labels.len(), N, "{} has other labels", metric.name);
        let words = std::array::from_fn(|at| Words::of(&metric.labels[at]));
        let family = Self { metric, words, series: RwLock::default() };
        match metric.labels {
            [] => drop(family.of([""; N])),
            [Label { values: Values::Of(words), .. }] => {
                words.iter().for_each(|word| drop(family.of([word; N])));
            }
            _ => {}
        }
        family
    }

    /// The series with these values, in the order of the metric's labels.
    pub fn of(&self, values: [&str; N]) -> Arc<M> {
        let key: [u16; N] = std::array::from_fn(|at| self.words[at].number(values[at]));
        let full = {
            let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = series.get(&key) {
                return Arc::clone(found);
            }
            series.len() >= MOST_SERIES
        };
        let key = if full { self.folded(key) } else { key };
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(series.entry(key).or_insert_with(|| Arc::new(M::new(self.metric))))
    }

    /// The same with `other` for every value that is not one of a few.
    fn folded(&self, mut key: [u16; N]) -> [u16; N] {
        for (number, words) in key.iter_mut().zip(&self.words) {
            if matches!(words, Words::Open { .. }) {
                *number = NUMBER_OF_OTHER;
            }
        }
        key
    }

    /// Writes its series, in a stable order.
    pub fn write(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut series: Vec<_> = series.iter().map(|(key, series)| (*key, Arc::clone(series))).collect();
        series.sort_unstable_by_key(|(key, _)| *key);
        let label = |at: usize, number: u16| (self.metric.labels[at].name, self.words[at].name(number));
        let with_labels = series.iter().map(|(key, series)| {
            let labels: Vec<_> = key.iter().enumerate().map(|(at, number)| label(at, *number)).collect();
            (labels, &**series)
        });
        sheet.family(self.metric, with_labels)
    }
}
