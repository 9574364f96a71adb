//! What a provider's own listing says.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Capability, Catalog, Model, Source, field, find::version};
use crate::cost::Price;

/// The window of a listed model that does not say.
const UNKNOWN_CONTEXT: u32 = 4_096;

/// One model of a provider's listing. What a provider does not say stays empty.
///
/// It can be written as JSON, so that one node asks the provider and the fleet shares the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listing {
    /// What the provider calls it.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// Tokens of its window.
    pub context: Option<u32>,
    /// Tokens of an answer.
    pub max_output: Option<u32>,
    /// What it charges. A negative amount (`OpenRouter` lists it for models that choose others) counts as unknown.
    pub price: Option<Price>,
    /// What it takes.
    pub input_modalities: Vec<String>,
    /// What it gives.
    pub output_modalities: Vec<String>,
    /// Parameters of requests that it supports, as `OpenRouter` lists them.
    pub parameters: Vec<String>,
    /// The day from which on it is gone.
    pub expires: Option<String>,
}

/// What several providers list, by their names: what a node that asked them leaves for the fleet, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Listings(pub BTreeMap<String, Vec<Listing>>);

impl Listings {
    /// Reads [`Listings::to_json`] of this or another version.
    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("not lists of models: {error}"))
    }

    /// For the fleet's copy.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("lists hold nothing that JSON cannot")
    }
}

/// What a listing changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Added {
    /// Ids of models that were not known.
    pub new: Vec<String>,
    /// Ids of models of the catalog that the provider does not list; they are not chosen any more.
    pub gone: Vec<String>,
    /// How many known models the listing has.
    pub known: usize,
    /// How many lines had no usable id.
    pub skipped: usize,
}

impl Catalog {
    /// Takes over what several providers list.
    pub fn add_listings(&mut self, listings: &Listings) {
        for (provider, listings) in &listings.0 {
            self.add_listing(provider, listings);
        }
    }

    /// Takes over what a provider lists. An empty listing says nothing and changes nothing.
    pub fn add_listing(&mut self, provider: &str, listings: &[Listing]) -> Added {
        let mut added = Added::default();
        for listing in listings {
            let id = format!("{provider}/{}", listing.id);
            if field::parts(&id).is_err() {
                added.skipped += 1;
            } else if let Some(model) = self.models.get_mut(&id) {
                added.known += 1;
                listing.correct(model);
            } else if self.is_version_of_known(provider, &listing.id) {
                added.known += 1;
            } else {
                self.models.insert(id.clone(), listing.model(&id, provider));
                added.new.push(id);
            }
        }
        if !listings.is_empty() {
            self.mark_listed(provider, listings, &mut added);
        }
        for file in self.files.clone() {
            for (id, entry) in file.iter() {
                if let Some(model) = self.models.get_mut(id) {
                    entry.apply(model);
                }
            }
        }
        added
    }

    /// Whether the name is a dated version, or the `:latest`, of a model of the catalog: no model of its own.
    fn is_version_of_known(&self, provider: &str, name: &str) -> bool {
        let known = |base: &str| self.models.contains_key(&format!("{provider}/{base}"));
        name.strip_suffix(":latest").is_some_and(known) || version(name).is_some_and(|(base, _)| known(base))
    }

    fn mark_listed(&mut self, provider: &str, listings: &[Listing], added: &mut Added) {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for listing in listings {
            names.insert(&listing.id);
            names.extend(listing.id.strip_suffix(":latest"));
            names.extend(version(&listing.id).map(|(base, _)| base));
        }
        let here = self.models.values_mut().filter(|model| model.provider == provider);
        for model in here.filter(|model| model.source != Source::File) {
            let listed = names.contains(&*model.name)
                || variant_base(&model.name).is_some_and(|base| names.contains(base));
            model.listed = Some(listed);
            if !listed {
                added.gone.push(model.id.clone());
            }
        }
    }
}

/// The name without a choice of route at its end (`:nitro`, `:groq`), which listings leave out. A `:free` variant is
/// a model of its own and is listed as such.
fn variant_base(name: &str) -> Option<&str> {
    name.rsplit_once(':').filter(|(_, variant)| *variant != "free").map(|(base, _)| base)
}

impl Listing {
    fn model(&self, id: &str, provider: &str) -> Model {
        let context = self.context.filter(|tokens| *tokens > 0).unwrap_or(UNKNOWN_CONTEXT);
        let mut model = Model::unknown(id, provider, &self.id, context, Source::Listing);
        // A server of one's own, or a model in this program, has no price list and sends no bill.
        if matches!(provider, "local" | "embedded") {
            model.price = Some(Price::free());
        }
        if self.output_modalities.is_empty() {
            model.modalities.output = vec![guess_output(&self.id).to_owned()];
        }
        self.correct(&mut model);
        model
    }

    fn correct(&self, model: &mut Model) {
        model.context = self.context.filter(|tokens| *tokens > 0).unwrap_or(model.context);
        model.max_output = self.max_output.filter(|tokens| *tokens > 0).or(model.max_output);
        model.retired = self.expires.as_deref().and_then(|day| day.parse().ok()).or(model.retired);
        if let Some(price) = &self.price {
            model.price = price.check().is_ok().then(|| price.clone());
        }
        if !self.input_modalities.is_empty() {
            model.modalities.input.clone_from(&self.input_modalities);
        }
        if !self.output_modalities.is_empty() {
            model.modalities.output.clone_from(&self.output_modalities);
        }
        if !self.parameters.is_empty() {
            model.capabilities = self.capabilities();
        }
        if model.modalities.input.iter().any(|kind| kind == "image") {
            model.capabilities.insert(Capability::Vision);
        }
        if model.modalities.output.iter().any(|kind| kind == "embeddings") {
            model.capabilities.insert(Capability::Embeddings);
        }
    }

    fn capabilities(&self) -> BTreeSet<Capability> {
        let has =
            |names: &[&str]| self.parameters.iter().any(|parameter| names.contains(&parameter.as_str()));
        let table = [
            (Capability::Tools, has(&["tools"])),
            (Capability::Json, has(&["response_format", "structured_outputs"])),
            (Capability::Schema, has(&["structured_outputs"])),
            (Capability::Reasoning, has(&["reasoning", "include_reasoning", "reasoning_effort"])),
            (Capability::Streaming, true),
        ];
        table.into_iter().filter(|(_, can)| *can).map(|(capability, _)| capability).collect()
    }
}

/// What a model gives of which only the name is known. Listings of some providers hold all they serve, speech and
/// pictures too, without saying which is which.
fn guess_output(name: &str) -> &'static str {
    let name = name.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["embed", "minilm", "bge-"]) {
        "embeddings"
    } else if has(&["dall-e", "gpt-image", "sora", "flux", "stable-diffusion"]) {
        "image"
    } else if has(&["whisper", "tts", "transcribe", "realtime", "-audio"]) {
        "audio"
    } else if has(&["moderation", "rerank"]) {
        "scores"
    } else {
        "text"
    }
}
