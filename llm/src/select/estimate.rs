//! What is expected of one model for one task.

use std::time::Duration;

use super::{
    Live, LiveFigures, Requirements,
    live::{Belief, PRIOR_MASS, share},
};
use crate::{
    catalog::{Model, TYPICAL_INPUT, TYPICAL_OUTPUT, TYPICAL_SPEED},
    cost::Nano,
};

/// What is expected of one model for one task.
pub(super) struct Estimate {
    pub(super) quality: Belief,
    pub(super) success: Belief,
    pub(super) latency: Duration,
    pub(super) input: u64,
    pub(super) output: u64,
    /// Nothing if the price is unknown.
    pub(super) cost: Option<Nano>,
    /// What the fleet has measured.
    pub(super) live: LiveFigures,
}

impl Estimate {
    pub(super) fn new(model: &Model, need: &Requirements, live: &dyn Live) -> Self {
        let category = need.category.as_deref();
        let live = live.of(&model.id, category).map(clean).unwrap_or_default();
        let input = if need.input_tokens == 0 { TYPICAL_INPUT } else { need.input_tokens };
        let measured = live.output_tokens.map(|tokens| tokens.ceil() as u64).filter(|tokens| *tokens > 0);
        let asked = (need.output_tokens > 0).then_some(need.output_tokens);
        let output = if need.embeddings { 0 } else { asked.or(measured).unwrap_or(TYPICAL_OUTPUT) };
        Self {
            quality: Belief::new(model.quality_for(category), live.score.unwrap_or_default(), live.scored),
            success: Belief::new(model.success, live.success, live.calls),
            latency: latency(model, &live, output),
            input,
            output,
            cost: model.price.as_ref().map(|price| price.estimate(input, output)),
            live,
        }
    }
}

/// The figures without what cannot be: they come from outside this program.
fn clean(live: LiveFigures) -> LiveFigures {
    let count = |number: f64| if number.is_finite() { number.max(0.0) } else { 0.0 };
    LiveFigures {
        calls: count(live.calls),
        success: share(live.success),
        score: live.score.map(share),
        scored: if live.score.is_some() { count(live.scored) } else { 0.0 },
        output_tokens: live.output_tokens.map(|tokens| count(tokens).min(1e9)),
        ..live
    }
}

/// The catalog's time for an answer of this length, corrected by what was measured.
fn latency(model: &Model, live: &LiveFigures, output: u64) -> Duration {
    let speed = model.tokens_per_second.filter(|speed| *speed > 0.0).unwrap_or(TYPICAL_SPEED);
    let beyond = output.saturating_sub(TYPICAL_OUTPUT) as f64;
    let prior = model.latency.as_secs_f64() + beyond / speed;
    let seen = live.latency.as_secs_f64();
    // Measured on answers of another length: longer or shorter by as much as the model takes for the difference.
    let shift = live.output_tokens.map_or(0.0, |tokens| (output as f64 - tokens) / speed);
    let measured = (seen + shift).max(seen / 10.0);
    let seconds = (prior * PRIOR_MASS + measured * live.calls) / (PRIOR_MASS + live.calls);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
