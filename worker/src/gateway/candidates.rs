//! From a ranking of models to those that may be called: each with each key of its provider, and with what a call of
//! it needs.

use std::{sync::Arc, time::Duration};

use windlass_llm::{
    Catalog, ChatRequest, Model, Nano,
    catalog::Limits,
    select::{LiveFigures, Ranked},
};
use windlass_shared::{config::LimitSpec, store::AskModel};

use super::{Gateway, Served};

/// More than this many are not asked about in one question.
const MOST: usize = 16;
/// The longest answer that is asked for where nobody says so.
const USUAL_OUTPUT: u32 = 4096;

/// A model with a key.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) model: Arc<Model>,
    /// What its provider calls it, or the version of it that was asked for.
    pub(crate) name: String,
    /// Index of the provider's key.
    pub(crate) key: usize,
    pub(crate) ask: AskModel,
    pub(crate) max_tokens: u32,
    /// Why it stands where it stands.
    pub(crate) why: String,
}

impl Gateway {
    /// The candidates of a ranking, in order: all keys of the first model, then those of the next.
    pub(crate) fn candidates(
        &self,
        catalog: &Catalog,
        all: &[Ranked],
        request: &ChatRequest,
        input: u64,
        figures: impl Fn(&str) -> Option<LiveFigures>,
    ) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (place, ranked) in all.iter().enumerate() {
            let id = ranked.model.id.as_str();
            let (Some(model), Some(served)) = (catalog.get(id), self.served.get(&ranked.model.provider))
            else {
                continue;
            };
            let model = Arc::new(model.clone());
            // Counted by one vocabulary; others need more for the same text.
            let input = model.tokenizer.scaled(input);
            let max_tokens = longest_answer(&model, request, input);
            let likely = likely_output(figures(id), max_tokens);
            for (key, _) in served.keys.iter().enumerate() {
                let ask = ask(&model, served, key, input, likely, max_tokens);
                let why = format!("place {} of {}, score {:.3}", place + 1, all.len(), ranked.score);
                let name = ranked.name.clone();
                candidates.push(Candidate { model: Arc::clone(&model), name, key, ask, max_tokens, why });
            }
        }
        candidates.truncate(MOST);
        candidates
    }
}

fn longest_answer(model: &Model, request: &ChatRequest, input: u64) -> u32 {
    let wanted = request.max_tokens.unwrap_or(USUAL_OUTPUT);
    let room = u64::from(model.context).saturating_sub(input).max(1);
    wanted.min(model.max_output.unwrap_or(u32::MAX)).min(u32::try_from(room).unwrap_or(u32::MAX))
}

/// What is reserved of the output limit: what such calls used to need with a margin, else the most.
fn likely_output(figures: Option<LiveFigures>, max_tokens: u32) -> u64 {
    let most = u64::from(max_tokens);
    match figures {
        Some(LiveFigures { calls, output_tokens: Some(mean), .. }) if calls >= 5.0 => {
            ((mean * 1.5).ceil() as u64 + 16).min(most)
        }
        _ => most,
    }
}

pub(super) fn ask(
    model: &Model,
    served: &Served,
    key: usize,
    input: u64,
    likely: u64,
    max_tokens: u32,
) -> AskModel {
    let (provider, name, key) = (&model.provider, &model.name, &served.keys[key]);
    let cost = model.price.as_ref().map(|price| price.estimate(input, u64::from(max_tokens)).get());
    let lane = format!("{provider}/{}/{name}", key.name);
    let mut buckets = vec![(format!("lane:{lane}"), [0; 4])];
    let mut limit = |scope: String, limits: [u64; 4]| {
        if limits.iter().any(|limit| *limit > 0) {
            buckets.push((scope, limits));
        }
    };
    limit(format!("model:{}", model.id), of_model(&model.limits));
    limit(format!("key:{provider}/{}", key.name), of_spec(key.limits));
    limit(format!("provider:{provider}"), of_spec(served.spec.limits));
    AskModel {
        breaker: model.id.clone(),
        key: format!("{provider}/{}", key.name),
        lane,
        need: [1, input, likely],
        cost,
        buckets,
    }
}

fn of_model(limits: &Limits) -> [u64; 4] {
    let number = |limit: Option<u64>| limit.unwrap_or(0);
    [
        number(limits.requests_per_minute),
        number(limits.input_tokens_per_minute),
        number(limits.output_tokens_per_minute),
        number(limits.concurrent),
    ]
}

fn of_spec(limits: LimitSpec) -> [u64; 4] {
    [limits.requests, limits.input_tokens, limits.output_tokens, limits.concurrent]
}

/// The most that a call lasts: its reservation is held a little longer.
pub(crate) fn hold(served: &Served) -> Duration {
    served.spec.total_timeout + Duration::from_secs(30)
}

/// Money for people.
pub(crate) fn usd(cost: Option<i64>) -> Option<f64> {
    cost.map(|nano| Nano::new(nano).usd())
}
