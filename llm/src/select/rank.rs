//! The selection itself.

use std::{cmp::Ordering, fmt};

use super::{
    Availability, LeftOut, Live, Ranked, Ranking, Reason, Requirements, State, Weights, estimate::Estimate,
    filter::Filter, score::score,
};
use crate::{
    catalog::{Catalog, Model, Unknown},
    cost::Nano,
};

/// Names in the requirements that mean no model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownModels(pub Vec<Unknown>);

impl std::error::Error for UnknownModels {}

impl fmt::Display for UnknownModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Ranks the models that may do a task; see the documentation of the [module](super).
///
/// It fails only if the requirements name models that do not exist. The outcome depends on nothing but the arguments.
pub fn rank<'a>(
    catalog: &'a Catalog,
    need: &Requirements,
    live: &dyn Live,
    availability: &dyn Availability,
    weights: &Weights,
) -> Result<Ranking<'a>, UnknownModels> {
    let candidates = Candidates::of(catalog, need, availability)?;
    let filter = Filter {
        need,
        availability,
        today: availability.today(),
        excluded: candidates.excluded,
        named: !need.models.is_empty(),
    };
    let weights = weights.for_complexity(need.complexity);
    let (mut ranked, mut left_out) = (Vec::new(), Vec::new());
    let mut wished = Vec::new();
    for (model, name) in candidates.models {
        let estimate = Estimate::new(model, need, live);
        let lacks = filter.lacks(model, &estimate);
        let scored = || score(model, name.clone(), &estimate, need, live, &weights);
        match lacks.as_slice() {
            [] => ranked.push(scored()),
            [lack] if lack.reason == Reason::QualityWished => {
                wished.push((scored(), LeftOut { model, lacks }));
            }
            _ => left_out.push(LeftOut { model, lacks }),
        }
    }
    let mut notes = Vec::new();
    let (below, kept): (Vec<_>, Vec<_>) = wished.into_iter().unzip();
    if ranked.is_empty() && !below.is_empty() {
        notes.push(below_wish(need));
        ranked = below;
    } else {
        left_out.extend(kept);
    }
    if !filter.named {
        ranked.sort_by(better);
        left_out.sort_by(|a, b| a.model.id.cmp(&b.model.id));
    }
    notes.extend(ranked.first().into_iter().filter_map(retires));
    Ok(Ranking { ranked, left_out, notes })
}

/// The models that come into question, each with the name under which to ask for it.
struct Candidates<'a> {
    models: Vec<(&'a Model, String)>,
    excluded: Vec<&'a str>,
}

impl<'a> Candidates<'a> {
    fn of(
        catalog: &'a Catalog,
        need: &Requirements,
        availability: &dyn Availability,
    ) -> Result<Self, UnknownModels> {
        let providers = if need.providers.is_empty() {
            usable(catalog, need, availability)
        } else {
            need.providers.clone()
        };
        let mut unknown = Vec::new();
        let mut models: Vec<(&'a Model, String)> = Vec::new();
        for asked in &need.models {
            match catalog.resolve(asked, &providers) {
                Ok(found) if models.iter().any(|(model, _)| model.id == found.model.id) => {}
                Ok(found) => models.push((found.model, found.name)),
                Err(error) => unknown.push(error),
            }
        }
        let mut excluded = Vec::new();
        for asked in &need.exclude {
            match catalog.find_all(asked) {
                Ok(models) => excluded.extend(models.into_iter().map(|model| &*model.id)),
                Err(error) => unknown.push(error),
            }
        }
        if !unknown.is_empty() {
            return Err(UnknownModels(unknown));
        }
        if need.models.is_empty() {
            models = catalog.models().map(|model| (model, model.name.clone())).collect();
        }
        Ok(Self { models, excluded })
    }
}

/// The providers with a usable model: a name that several have means the one that can be called. Only names need it.
fn usable(catalog: &Catalog, need: &Requirements, availability: &dyn Availability) -> Vec<String> {
    let mut providers: Vec<String> = Vec::new();
    if need.models.is_empty() {
        return providers;
    }
    for model in catalog.models() {
        if !providers.contains(&model.provider) && availability.state(model) == State::Usable {
            providers.push(model.provider.clone());
        }
    }
    providers
}

/// The better one first: by score, then the cheaper, then the smaller id.
fn better(a: &Ranked<'_>, b: &Ranked<'_>) -> Ordering {
    let cost = |ranked: &Ranked<'_>| ranked.estimated_cost.unwrap_or(Nano::MAX);
    let by_score = b.score.total_cmp(&a.score);
    by_score.then_with(|| cost(a).cmp(&cost(b))).then_with(|| a.model.id.cmp(&b.model.id))
}

fn below_wish(need: &Requirements) -> String {
    format!(
        "no usable model has the quality of {:.2} that {} tasks wish for; those that there are, are ranked",
        need.complexity.quality_wished().unwrap_or_default(),
        need.complexity
    )
}

fn retires(best: &Ranked<'_>) -> Option<String> {
    let day = best.model.retired?;
    Some(format!("{} is retired by its provider on {day}", best.model.id))
}
