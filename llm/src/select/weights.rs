//! How much each part of the score counts.

use serde::{Deserialize, Serialize};

use super::Complexity;
use crate::words::words;

words! {
    /// What counts most.
    pub enum Mode: "mode" {
        /// Some of everything.
        Balanced = "balanced",
        /// Cost.
        Cheapest = "cheapest",
        /// Time.
        Fastest = "fastest",
        /// Quality.
        Quality = "quality",
    }
}

impl Default for Mode {
    /// Balanced.
    fn default() -> Self {
        Self::Balanced
    }
}

/// How much each part of the score counts. They need not add up to 1; they are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// The believed quality.
    pub quality: f64,
    /// The rate of success.
    pub success: f64,
    /// The expected time.
    pub latency: f64,
    /// The expected cost.
    pub cost: f64,
    /// Whether the model is made for the task.
    pub specialisation: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self::of(Mode::default())
    }
}

impl Weights {
    /// The weights of a mode.
    pub const fn of(mode: Mode) -> Self {
        let (quality, success, latency, cost, specialisation) = match mode {
            Mode::Balanced => (0.40, 0.20, 0.15, 0.15, 0.10),
            Mode::Cheapest => (0.15, 0.10, 0.05, 0.65, 0.05),
            Mode::Fastest => (0.15, 0.10, 0.65, 0.05, 0.05),
            Mode::Quality => (0.70, 0.15, 0.03, 0.02, 0.10),
        };
        Self { quality, success, latency, cost, specialisation }
    }

    /// What is wrong with weights that a user gives.
    pub fn check(&self) -> Result<(), String> {
        let all = self.all();
        if all.iter().any(|weight| !(weight.is_finite() && *weight >= 0.0)) || all.iter().sum::<f64>() <= 0.0
        {
            return Err("weights are numbers of 0 or more, and one of them is more".to_owned());
        }
        Ok(())
    }

    /// The weights for a task of this complexity; they add up to 1. Weights that fail [`Weights::check`] give way to
    /// the usual ones.
    pub fn for_complexity(&self, complexity: Complexity) -> Self {
        let weights = if self.check().is_ok() { *self } else { Self::default() };
        let (quality, latency, cost) = match complexity {
            Complexity::Simple => (0.6, 1.5, 1.5),
            Complexity::Moderate => (1.0, 1.0, 1.0),
            Complexity::Complex => (1.5, 0.6, 0.6),
            Complexity::Expert => (2.0, 0.3, 0.3),
        };
        // Scaled by the largest first, so that no product or sum overflows.
        let largest = weights.all().into_iter().fold(0.0, f64::max);
        let weights = weights.scaled(largest);
        let weights = Self {
            quality: weights.quality * quality,
            latency: weights.latency * latency,
            cost: weights.cost * cost,
            ..weights
        };
        weights.scaled(weights.all().iter().sum())
    }

    fn all(&self) -> [f64; 5] {
        [self.quality, self.success, self.latency, self.cost, self.specialisation]
    }

    fn scaled(&self, by: f64) -> Self {
        Self {
            quality: self.quality / by,
            success: self.success / by,
            latency: self.latency / by,
            cost: self.cost / by,
            specialisation: self.specialisation / by,
        }
    }
}

impl Complexity {
    /// The quality that is wished for if the requirements set none.
    pub(super) const fn quality_wished(self) -> Option<f64> {
        match self {
            Self::Simple => None,
            Self::Moderate => Some(0.40),
            Self::Complex => Some(0.70),
            Self::Expert => Some(0.85),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up_to_one_in_every_mode_and_complexity() {
        let odd =
            Weights { quality: f64::MAX, success: 0.0, latency: f64::MAX, cost: 1e-300, specialisation: 0.0 };
        let modes = Mode::ALL.iter().map(|mode| Weights::of(*mode)).chain([odd]);
        for weights in modes {
            for &complexity in Complexity::ALL {
                let sum: f64 = weights.for_complexity(complexity).all().iter().sum();
                assert!((sum - 1.0).abs() < 1e-9, "{weights:?} {complexity}: {sum}");
            }
        }
    }

    #[test]
    fn weights_that_are_none_are_refused() {
        let weights =
            |quality| Weights { quality, success: 0.0, latency: 0.0, cost: 0.0, specialisation: 0.0 };
        assert!(weights(1.0).check().is_ok());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(weights(bad).check().is_err());
            let usual = Weights::default().for_complexity(Complexity::Simple);
            assert_eq!(weights(bad).for_complexity(Complexity::Simple), usual);
        }
    }

    #[test]
    fn a_hard_task_weighs_quality_more_and_cost_less() {
        let at = |complexity| Weights::default().for_complexity(complexity);
        for pair in Complexity::ALL.windows(2) {
            assert!(at(pair[0]).quality < at(pair[1]).quality);
            assert!(at(pair[0]).cost > at(pair[1]).cost);
        }
    }
}
