//! The score of a model that may do the task.

use std::fmt::Write;

use super::{Live, Part, Ranked, Requirements, Weights, estimate::Estimate, live::share};
use crate::{
    catalog::{Model, span},
    cost::Nano,
};

/// Times and costs below this are as good as none.
const SHORT_SECONDS: f64 = 0.1;
const CHEAP_USD: f64 = 0.0001;

/// Times and costs above this are as bad as any.
const LONG_SECONDS: f64 = 300.0;
const DEAR_USD: f64 = 10.0;

/// What a model is good for that is good for anything.
const GENERAL: &str = "general";

/// Weighs the parts. `weights` add up to 1.
pub(super) fn score<'a>(
    model: &'a Model,
    name: String,
    estimate: &Estimate,
    need: &Requirements,
    live: &dyn Live,
    weights: &Weights,
) -> Ranked<'a> {
    let parts = vec![
        quality(model, estimate, need, live).weighed(weights.quality),
        success(model, estimate).weighed(weights.success),
        latency(estimate).weighed(weights.latency),
        cost(estimate).weighed(weights.cost),
        specialisation(model, need).weighed(weights.specialisation),
    ];
    Ranked {
        model,
        name,
        score: parts.iter().map(|part| part.points).sum(),
        parts,
        estimated_cost: estimate.cost,
        estimated_cost_usd: estimate.cost.map(Nano::usd),
        expected_latency: estimate.latency,
    }
}

impl Part {
    fn new(name: &'static str, value: f64, why: String) -> Self {
        Self { name, weight: 0.0, value: share(value), points: 0.0, why }
    }

    fn weighed(self, weight: f64) -> Self {
        Self { weight, points: weight * self.value, ..self }
    }
}

fn quality(model: &Model, estimate: &Estimate, need: &Requirements, live: &dyn Live) -> Part {
    let category = need.category.as_deref();
    let for_it = category.filter(|category| model.quality_by.contains_key(*category));
    let mut why = format!("{:.2} by the catalog", model.quality_for(category));
    if let Some(category) = for_it {
        let _ = write!(why, " for {category}");
    }
    if let (Some(score), true) = (estimate.live.score, estimate.live.scored > 0.0) {
        let _ = write!(why, ", {score:.2} over {:.0} validated answers", estimate.live.scored);
    }
    Part::new("quality", live.value_of(&model.id, estimate.quality), why)
}

fn success(model: &Model, estimate: &Estimate) -> Part {
    let mut why = format!("{:.0} % of calls by the catalog", model.success * 100.0);
    if estimate.live.calls > 0.0 {
        let live = estimate.live;
        let _ = write!(why, ", {:.0} % of {:.0} calls of the fleet", live.success * 100.0, live.calls);
    }
    Part::new("success", estimate.success.mean(), why)
}

fn latency(estimate: &Estimate) -> Part {
    let value = falling(estimate.latency.as_secs_f64(), SHORT_SECONDS, LONG_SECONDS);
    let measured = if estimate.live.calls > 0.0 {
        format!(", {} over {:.0} calls", span::show(estimate.live.latency), estimate.live.calls)
    } else {
        String::new()
    };
    let why = format!("{} expected for {} tokens{measured}", span::show(estimate.latency), estimate.output);
    Part::new("latency", value, why)
}

fn cost(estimate: &Estimate) -> Part {
    let Some(cost) = estimate.cost else {
        return Part::new("cost", 0.0, "the price is unknown and counts as the worst".to_owned());
    };
    let why = if cost == Nano::ZERO {
        "free".to_owned()
    } else {
        format!("{cost} for {} tokens in and {} out", estimate.input, estimate.output)
    };
    Part::new("cost", falling(cost.usd(), CHEAP_USD, DEAR_USD), why)
}

fn specialisation(model: &Model, need: &Requirements) -> Part {
    let wanted = wanted(need);
    let has = |word: &str| model.specialisations.iter().any(|own| own == word);
    let (value, why) = if let Some(word) = wanted.iter().find(|word| has(word)) {
        (1.0, format!("made for {word}"))
    } else if has(GENERAL) {
        (0.5, format!("not made for {}, but general", wanted.join(" or ")))
    } else {
        (0.0, format!("not made for {}", wanted.join(" or ")))
    };
    Part::new("specialisation", value, why)
}

/// Which specialisations suit the task.
fn wanted(need: &Requirements) -> Vec<&str> {
    match (&need.specialisation, need.category.as_deref()) {
        (Some(word), _) => vec![word],
        (None, _) if need.embeddings => vec!["embeddings"],
        (None, Some("unit_test" | "refactoring" | "bug_fix")) => vec!["code"],
        (None, Some("code_review")) => vec!["code", "reasoning"],
        (None, Some("analysis")) => vec!["reasoning"],
        _ => vec![GENERAL],
    }
}

/// From 1 at nothing to 0 at `worst`, by about the same step for each factor of ten.
fn falling(amount: f64, small: f64, worst: f64) -> f64 {
    share(1.0 - (amount / small).ln_1p() / (worst / small).ln_1p())
}
