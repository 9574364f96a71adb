//! What the fleet has measured, and what can be used now.

use std::time::Duration;

use crate::catalog::{Day, Model};

/// How many observations the catalog's figure is worth.
pub(super) const PRIOR_MASS: f64 = 10.0;

/// What the fleet has measured of a model, for one category or over all.
///
/// Counts are effective: each observation counts for less as it grows old, by the same factor in a given time, so
/// that a model which gets worse is noticed and one that was bad long ago gets another chance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LiveFigures {
    /// Calls.
    pub calls: f64,
    /// Which part of them succeeded, from 0 to 1.
    pub success: f64,
    /// How long a call took: a mean, or a high percentile for those who want to be careful.
    pub latency: Duration,
    /// The mean score of validated answers, from 0 to 1.
    pub score: Option<f64>,
    /// Validated answers.
    pub scored: f64,
    /// The mean length of an answer, in tokens.
    pub output_tokens: Option<f64>,
}

/// What is believed of a model's quality: a Beta distribution, as if so many answers had been good and so many bad.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// Good answers, those of the catalog's figure included.
    pub good: f64,
    /// Bad answers, likewise.
    pub bad: f64,
}

impl Belief {
    /// The catalog's figure, corrected by `n` observations with the given mean.
    pub(super) fn new(prior: f64, mean: f64, n: f64) -> Self {
        let n = if n.is_finite() { n.max(0.0) } else { 0.0 };
        let (prior, mean) = (share(prior), share(mean));
        let good = prior * PRIOR_MASS + mean * n;
        Self { good, bad: PRIOR_MASS + n - good }
    }

    /// The expected value.
    pub fn mean(self) -> f64 {
        share(self.good / (self.good + self.bad))
    }
}

/// A number as a share from 0 to 1. What is no number counts as none.
pub(super) fn share(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) }
}

/// What the fleet has measured.
pub trait Live {
    /// The figures of a model for a category; those over all categories if there are none or no category is given.
    fn of(&self, model_id: &str, category: Option<&str>) -> Option<LiveFigures>;

    /// The value, from 0 to 1, with which a believed quality enters the score. A learned mode gives a draw here, so
    /// that a model of which little is known is tried now and then.
    fn value_of(&self, _model_id: &str, belief: Belief) -> f64 {
        belief.mean()
    }
}

/// A fleet that has measured nothing yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingMeasured;

impl Live for NothingMeasured {
    fn of(&self, _model_id: &str, _category: Option<&str>) -> Option<LiveFigures> {
        None
    }
}

/// Whether a model can be called now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It can.
    Usable,
    /// Its provider is not configured.
    NoProvider {
        /// What is missing, such as the variable to set.
        why: String,
    },
    /// The breaker is open: it failed too often.
    BreakerOpen {
        /// How long it stays open.
        left: Duration,
    },
    /// It asked for a pause.
    Cooling {
        /// How long the pause lasts.
        left: Duration,
    },
    /// It cannot be used for another reason.
    Unavailable {
        /// The reason.
        why: String,
    },
}

/// What can be used now.
pub trait Availability {
    /// Whether this model can be called now.
    fn state(&self, model: &Model) -> State;

    /// Today, to leave out models that are retired by now. Without it none are.
    fn today(&self) -> Option<Day> {
        None
    }
}

/// For a function that knows the states.
impl<F: Fn(&Model) -> State> Availability for F {
    fn state(&self, model: &Model) -> State {
        self(model)
    }
}
