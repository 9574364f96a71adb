//! What a task asks of the model that does it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{catalog::span, words::words};

/// Longest word for a category or a specialisation.
const MAX_WORD: usize = 100;

words! {
    /// How hard a task is. It shifts the weights of the score and the quality that is asked for.
    pub enum Complexity: "complexity" {
        /// Any model does; speed and cost count more.
        Simple = "simple",
        /// The usual case.
        Moderate = "moderate",
        /// Quality counts more.
        Complex = "complex",
        /// Only the best models will do.
        Expert = "expert",
    }
}

impl Default for Complexity {
    /// Moderate.
    fn default() -> Self {
        Self::Moderate
    }
}

/// What a task asks of the model that does it. Nothing is asked by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a requirement of its own, given by its name")]
pub struct Requirements {
    /// The kind of task: `unit_test`, `documentation`, `refactoring`, `code_review`, `bug_fix`, `analysis`, or any
    /// other word. Figures are kept by it.
    pub category: Option<String>,
    /// How hard it is.
    pub complexity: Complexity,
    /// The believed quality that the model must have, from 0 to 1.
    pub quality: Option<f64>,
    /// How long a call may be expected to take.
    #[serde(with = "span::option")]
    pub max_latency: Option<Duration>,
    /// What a call may be expected to cost, in dollars.
    pub max_cost_usd: Option<f64>,
    /// Tokens of the request; 0 if unknown.
    pub input_tokens: u64,
    /// Tokens that the answer is expected to have, not the most that are allowed; 0 if unknown.
    pub output_tokens: u64,
    /// It must call tools.
    pub tools: bool,
    /// It must be able to answer in JSON.
    pub json: bool,
    /// It must be able to be held to a JSON schema.
    pub schema: bool,
    /// It must take images.
    pub vision: bool,
    /// It must give embeddings. Without this it must give text.
    pub embeddings: bool,
    /// It must be made for this.
    pub specialisation: Option<String>,
    /// It must be known to cost nothing.
    pub free_only: bool,
    /// The providers that may be used, in the order in which a name that several have is looked up; all if empty.
    pub providers: Vec<String>,
    /// The models to use, in this order, by any of their names. All are candidates if it is empty.
    pub models: Vec<String>,
    /// Models not to use, by any of their names. A name that several providers have excludes all of these.
    pub exclude: Vec<String>,
}

impl Requirements {
    /// All that is wrong with the values.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut faults = Vec::new();
        if self.quality.is_some_and(|quality| !(0.0..=1.0).contains(&quality)) {
            faults.push("quality is a number from 0 to 1".to_owned());
        }
        if self.max_cost_usd.is_some_and(|cost| !(cost.is_finite() && cost >= 0.0)) {
            faults.push("max_cost_usd is a number of dollars, 0 or more".to_owned());
        }
        for (key, word) in [("category", &self.category), ("specialisation", &self.specialisation)] {
            let bad =
                |word: &String| word.is_empty() || word.len() > MAX_WORD || word.contains(char::is_control);
            if word.as_ref().is_some_and(bad) {
                faults.push(format!("{key} is a word of at most {MAX_WORD} bytes"));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}
