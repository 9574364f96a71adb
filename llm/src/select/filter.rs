//! Why a model may not do a task.

use super::{Availability, Lack, Reason, Requirements, State, estimate::Estimate};
use crate::{
    catalog::{Capability, Day, Model, span},
    cost::Nano,
};

/// The requirements, and what is known for all models alike.
pub(super) struct Filter<'a> {
    pub(super) need: &'a Requirements,
    pub(super) availability: &'a dyn Availability,
    pub(super) today: Option<Day>,
    /// Ids that were excluded.
    pub(super) excluded: Vec<&'a str>,
    /// Whether the requirements name the models.
    pub(super) named: bool,
}

impl Filter<'_> {
    /// Everything that the model lacks.
    pub(super) fn lacks(&self, model: &Model, estimate: &Estimate) -> Vec<Lack> {
        let mut lacks = self.capabilities(model);
        lacks.extend(self.window(model));
        lacks.extend(self.money(model, estimate));
        lacks.extend(self.now(model));
        if !self.named {
            lacks.extend(self.wishes(model, estimate));
        }
        lacks
    }

    fn capabilities(&self, model: &Model) -> Vec<Lack> {
        let mut lacks = Vec::new();
        if self.need.embeddings && !model.can(Capability::Embeddings) {
            lacks.push(Lack::new(Reason::Embeddings, "it gives no embeddings"));
        } else if !self.need.embeddings && !model.gives_text() {
            let gives = model.modalities.output.join(" and ");
            lacks.push(Lack::new(Reason::Text, format!("it gives {gives}, not text")));
        }
        let table = [
            (self.need.tools, Capability::Tools, Reason::Tools, "it calls no tools"),
            (self.need.json, Capability::Json, Reason::Json, "it cannot be told to answer in JSON"),
            (self.need.schema, Capability::Schema, Reason::Schema, "it cannot be held to a JSON schema"),
            (self.need.vision, Capability::Vision, Reason::Vision, "it takes no images"),
        ];
        let missing = table.into_iter().filter(|(needed, capability, ..)| *needed && !model.can(*capability));
        lacks.extend(missing.map(|(.., reason, text)| Lack::new(reason, text)));
        lacks
    }

    /// The answer's length counts only as far as the requirements say it; what is merely expected is no condition.
    fn window(&self, model: &Model) -> Option<Lack> {
        let (input, output) = (self.need.input_tokens, self.need.output_tokens);
        let both = input.saturating_add(output);
        if both > u64::from(model.context) {
            let text = format!("its window of {} tokens is too small for {both}", model.context);
            let relax = format!("at most {} tokens", model.context);
            return Some(Lack::new(Reason::Context, text).relax(relax));
        }
        let most = model.max_output.filter(|most| output > u64::from(*most))?;
        let text = format!("its answers have at most {most} tokens, not {output}");
        Some(Lack::new(Reason::Output, text).relax(format!("an answer of {most} tokens")))
    }

    fn money(&self, model: &Model, estimate: &Estimate) -> Vec<Lack> {
        let mut lacks = Vec::new();
        if self.need.free_only && !model.is_free() {
            let text =
                if model.price.is_some() { "it is not free" } else { "nobody knows whether it is free" };
            lacks.push(Lack::new(Reason::NotFree, text).relax("paid models"));
        }
        if let Some(most) = self.need.max_cost_usd {
            let most = Nano::from_usd(most).unwrap_or(Nano::MAX);
            match estimate.cost {
                None => lacks.push(Lack::new(
                    Reason::PriceUnknown,
                    "its price is unknown, so its cost cannot be limited; give its price in a catalog file",
                )),
                Some(cost) if cost > most => {
                    let text = format!("a call is expected to cost {cost}, more than {most}");
                    lacks.push(Lack::new(Reason::Cost, text).relax(format!("a maximum cost of {cost}")));
                }
                Some(_) => {}
            }
        }
        lacks
    }

    /// What is so now and may be otherwise later.
    fn now(&self, model: &Model) -> Vec<Lack> {
        let mut lacks = Vec::new();
        if self.excluded.contains(&&*model.id) {
            lacks.push(Lack::new(Reason::Excluded, "it is excluded").relax("not excluding it"));
        }
        if let (Some(today), Some(retired)) = (self.today, model.retired)
            && retired <= today
        {
            lacks.push(Lack::new(Reason::Retired, format!("its provider retired it on {retired}")));
        }
        if !self.named && model.listed == Some(false) {
            lacks.push(Lack::new(Reason::NotListed, format!("{} does not list it", model.provider)));
        }
        lacks.extend(state(self.availability.state(model)));
        lacks
    }

    /// What only a model must have that was not named.
    fn wishes(&self, model: &Model, estimate: &Estimate) -> Vec<Lack> {
        let mut lacks = Vec::new();
        if !self.need.providers.is_empty() && !self.need.providers.contains(&model.provider) {
            let text = format!("{} is not among the providers asked for", model.provider);
            lacks.push(Lack::new(Reason::Provider, text).relax(format!("the provider {}", model.provider)));
        }
        lacks.extend(self.quality(estimate.quality.mean()));
        if let Some(most) = self.need.max_latency.filter(|most| estimate.latency > *most) {
            let (expected, most) = (span::show(estimate.latency), span::show(most));
            let text = format!("a call is expected to take {expected}, more than {most}");
            lacks.push(Lack::new(Reason::Latency, text).relax(format!("a maximum latency of {expected}")));
        }
        if let Some(word) = &self.need.specialisation
            && !model.specialisations.contains(word)
        {
            let text = format!("it is not made for {word}");
            lacks.push(Lack::new(Reason::Specialisation, text).relax("any specialisation"));
        }
        lacks
    }

    fn quality(&self, quality: f64) -> Option<Lack> {
        let (asked, reason) = match self.need.quality {
            Some(asked) => (asked, Reason::Quality),
            None => (self.need.complexity.quality_wished()?, Reason::QualityWished),
        };
        // Rounded down, so that what is advised is low enough; the small amount is for 0.94, which is 0.9399999.
        let quality = quality + 1e-9;
        let shown = (quality * 100.0).floor() / 100.0;
        (quality < asked).then(|| {
            let text = format!("its quality is {shown:.2}, below {asked:.2}");
            Lack::new(reason, text).relax(format!("a quality of {shown:.2}"))
        })
    }
}

fn state(state: State) -> Option<Lack> {
    match state {
        State::Usable => None,
        State::NoProvider { why } => Some(Lack::new(Reason::NoProvider, why)),
        State::BreakerOpen { left } => {
            let text = format!("it failed too often and is tried again in {}", span::show(left));
            Some(Lack::new(Reason::BreakerOpen, text).left(left))
        }
        State::Cooling { left } => {
            let text = format!("it asked for a pause of another {}", span::show(left));
            Some(Lack::new(Reason::Cooling, text).left(left))
        }
        State::Unavailable { why } => Some(Lack::new(Reason::Unavailable, why)),
    }
}
