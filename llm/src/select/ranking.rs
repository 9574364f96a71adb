//! The outcome of a selection.

use std::{fmt::Write, time::Duration};

use serde::{Serialize, Serializer};

use crate::{
    catalog::{Model, span},
    cost::Nano,
    words::words,
};

/// How many near models a refusal names.
const NAMED: usize = 3;

/// The models that may do a task, the best first, and those that may not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking<'a> {
    /// The best first, or in the order in which they were named.
    pub ranked: Vec<Ranked<'a>>,
    /// Those left out, in the order of their ids, or in the order in which they were named.
    pub left_out: Vec<LeftOut<'a>>,
    /// What else a person should know, such as a wish that could not be met.
    pub notes: Vec<String>,
}

/// A model that may do the task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked<'a> {
    /// The model.
    #[serde(serialize_with = "id")]
    pub model: &'a Model,
    /// What to call it when asking its provider: its name, or the version of it that was asked for.
    pub name: String,
    /// The sum of the parts' points, from 0 to 1.
    pub score: f64,
    /// What the score is made of.
    pub parts: Vec<Part>,
    /// What a call is expected to cost; nothing if the price is unknown.
    #[serde(skip)]
    pub estimated_cost: Option<Nano>,
    /// The same in dollars.
    pub estimated_cost_usd: Option<f64>,
    /// How long a call is expected to take.
    #[serde(with = "span")]
    pub expected_latency: Duration,
}

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// `quality`, `success`, `latency`, `cost` or `specialisation`.
    pub name: &'static str,
    /// How much it counts; the weights of all parts add up to 1.
    pub weight: f64,
    /// From 0 to 1.
    pub value: f64,
    /// The weight times the value.
    pub points: f64,
    /// Where the value comes from, for people.
    pub why: String,
}

/// A model that may not do the task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut<'a> {
    /// The model.
    #[serde(serialize_with = "id")]
    pub model: &'a Model,
    /// Everything that it lacks; at least one thing.
    pub lacks: Vec<Lack>,
}

/// One thing that a model lacks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lack {
    /// What it is.
    pub reason: Reason,
    /// A clause for people, whose subject is the model.
    pub text: String,
    /// What would have to be asked for instead; nothing if asking for less does not help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relax: Option<String>,
    /// How long it lasts, if it passes by itself.
    #[serde(with = "span::option", skip_serializing_if = "Option::is_none")]
    pub left: Option<Duration>,
}

words! {
    /// Why a model is left out.
    pub enum Reason: "reason" {
        /// Its believed quality is below the one asked for.
        Quality = "quality",
        /// Its believed quality is below the one that the complexity suggests.
        QualityWished = "quality_wished",
        /// It is too slow.
        Latency = "latency",
        /// It is too dear.
        Cost = "cost",
        /// It has no known price, and the cost is limited.
        PriceUnknown = "price_unknown",
        /// It is not known to be free.
        NotFree = "not_free",
        /// It is not made for what was asked for.
        Specialisation = "specialisation",
        /// Request and answer do not fit its window.
        Context = "context",
        /// Its answers are too short.
        Output = "output",
        /// It calls no tools.
        Tools = "tools",
        /// It cannot be told to answer in JSON.
        Json = "json",
        /// It cannot be held to a schema.
        Schema = "schema",
        /// It takes no images.
        Vision = "vision",
        /// It gives no text.
        Text = "text",
        /// It gives no embeddings.
        Embeddings = "embeddings",
        /// Its provider was not asked for.
        Provider = "provider",
        /// It was excluded.
        Excluded = "excluded",
        /// Its provider has retired it.
        Retired = "retired",
        /// Its provider does not list it.
        NotListed = "not_listed",
        /// Its provider is not configured.
        NoProvider = "no_provider",
        /// It failed too often.
        BreakerOpen = "breaker_open",
        /// It asked for a pause.
        Cooling = "cooling",
        /// It cannot be used for another reason.
        Unavailable = "unavailable",
    }
}

impl Reason {
    /// How far a model is from being usable that lacks this: 1 for what passes or can be asked for differently, up
    /// to 20 for what nobody can change.
    const fn weight(self) -> u32 {
        match self {
            Self::Cooling | Self::BreakerOpen | Self::QualityWished => 1,
            Self::Quality | Self::Latency | Self::Cost | Self::Specialisation => 2,
            Self::Provider | Self::NotFree | Self::PriceUnknown | Self::Unavailable => 3,
            Self::NoProvider | Self::Context | Self::Output => 4,
            Self::Tools | Self::Json | Self::Schema | Self::Vision => 5,
            Self::Excluded => 10,
            Self::Retired | Self::NotListed | Self::Text | Self::Embeddings => 20,
        }
    }
}

impl<'a> Ranking<'a> {
    /// The model to use.
    pub fn best(&self) -> Option<&Ranked<'a>> {
        self.ranked.first()
    }

    /// Of the models left out, those that lack the fewest and the lightest things, the nearest first.
    pub fn nearest(&self, n: usize) -> Vec<&LeftOut<'a>> {
        let mut near: Vec<&LeftOut<'a>> = self.left_out.iter().collect();
        near.sort_by_key(|left_out| (left_out.distance(), std::cmp::Reverse(left_out.quality())));
        near.truncate(n);
        near
    }

    /// Of the models that only have to be waited for, the one that is usable first, and when.
    pub fn earliest(&self) -> Option<(&'a Model, Duration)> {
        let waiting = |left_out: &LeftOut<'a>| {
            let left: Option<Vec<Duration>> = left_out.lacks.iter().map(|lack| lack.left).collect();
            Some((left_out.model, left?.into_iter().max()?))
        };
        self.left_out.iter().filter_map(waiting).min_by_key(|(model, left)| (*left, &model.id))
    }

    /// Why there is no model, with the nearest candidates; nothing if there is one.
    pub fn refusal(&self) -> Option<String> {
        if !self.ranked.is_empty() {
            return None;
        }
        let mut text = "no model satisfies the requirements".to_owned();
        for (n, left_out) in self.nearest(NAMED).into_iter().enumerate() {
            let lead = if n == 0 { "; the nearest are " } else { "; " };
            let _ = write!(text, "{lead}{} ({})", left_out.model.id, left_out.why());
            if let Some(relax) = left_out.relax() {
                let _ = write!(text, ", which would do with {relax}");
            }
        }
        Some(text)
    }
}

impl LeftOut<'_> {
    /// All that it lacks, as a sentence without a subject.
    pub fn why(&self) -> String {
        let texts: Vec<&str> = self.lacks.iter().map(|lack| lack.text.as_str()).collect();
        texts.join("; ")
    }

    /// What would have to be asked for so that it may do the task; nothing if asking for less does not help.
    pub fn relax(&self) -> Option<String> {
        let asked = self.lacks.iter().filter(|lack| lack.left.is_none());
        let relaxed: Option<Vec<&str>> = asked.map(|lack| lack.relax.as_deref()).collect();
        relaxed.filter(|all| !all.is_empty()).map(|all| all.join(" and "))
    }

    fn distance(&self) -> u32 {
        self.lacks.iter().map(|lack| lack.reason.weight()).sum()
    }

    /// In thousandths, so that it can be compared.
    fn quality(&self) -> u32 {
        (self.model.quality * 1000.0) as u32
    }
}

impl Lack {
    pub(super) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into(), relax: None, left: None }
    }

    pub(super) fn relax(self, relax: impl Into<String>) -> Self {
        Self { relax: Some(relax.into()), ..self }
    }

    pub(super) fn left(self, left: Duration) -> Self {
        Self { left: Some(left), ..self }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn id<S: Serializer>(model: &&Model, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&model.id)
}
