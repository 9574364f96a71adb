//! What is known of one model.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Day, span};
use crate::{cost::Price, tokens::Tokenizer, words::words};

/// Length of the answer, in tokens, of the typical call that [`Model::latency`] is for. It also stands for the
/// answer where nobody says how long it will be.
pub const TYPICAL_OUTPUT: u64 = 100;

/// Length of the request, in tokens, of a typical call.
pub const TYPICAL_INPUT: u64 = 1_000;

/// Tokens a second of a model that does not say.
pub(crate) const TYPICAL_SPEED: f64 = 50.0;

/// What is believed of a model of which only the name is known.
pub(super) const UNKNOWN_QUALITY: f64 = 0.5;
pub(super) const UNKNOWN_SUCCESS: f64 = 0.9;
pub(super) const UNKNOWN_LATENCY: Duration = Duration::from_secs(3);

words! {
    /// What a model can do besides giving text for text.
    pub enum Capability: "capability" {
        /// It calls tools.
        Tools = "tools",
        /// It can be told to answer in JSON.
        Json = "json",
        /// It can be held to a JSON schema.
        Schema = "schema",
        /// It takes images.
        Vision = "vision",
        /// It reasons before it answers.
        Reasoning = "reasoning",
        /// It gives embeddings.
        Embeddings = "embeddings",
        /// It gives its answer as it comes.
        Streaming = "streaming",
    }
}

words! {
    /// Where the knowledge of a model first came from.
    pub enum Source: "source" {
        /// This program.
        Default = "default",
        /// A file of the user.
        File = "file",
        /// A provider's listing.
        Listing = "listing",
    }
}

/// One model of one provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Unique: `PROVIDER/NAME`, such as `openrouter/deepseek/deepseek-chat`.
    pub id: String,
    /// The configured provider that serves it.
    pub provider: String,
    /// What the provider calls it.
    pub name: String,
    /// Other names that mean it. Models of other providers may have the same.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The version that `name` stands for, if it names one.
    #[serde(default)]
    pub version: Option<String>,
    /// When it came out.
    #[serde(default)]
    pub released: Option<Day>,
    /// From which day on the provider no longer serves it.
    #[serde(default)]
    pub retired: Option<Day>,
    /// Tokens that request and answer may have together.
    pub context: u32,
    /// Tokens that an answer may have.
    #[serde(default)]
    pub max_output: Option<u32>,
    /// What it charges. Unknown is not free.
    #[serde(default)]
    pub price: Option<Price>,
    /// What goes in and comes out.
    #[serde(default)]
    pub modalities: Modalities,
    /// What it can do.
    #[serde(default)]
    pub capabilities: BTreeSet<Capability>,
    /// What it is good for: `code`, `reasoning`, `speed`, `general`, or any other word.
    #[serde(default)]
    pub specialisations: Vec<String>,
    /// How good its answers are believed to be, from 0 to 1.
    pub quality: f64,
    /// The same for single categories of tasks.
    #[serde(default)]
    pub quality_by: BTreeMap<String, f64>,
    /// How long a typical call takes: one whose answer has [`TYPICAL_OUTPUT`] tokens.
    #[serde(with = "span")]
    pub latency: Duration,
    /// How fast a longer answer comes.
    #[serde(default)]
    pub tokens_per_second: Option<f64>,
    /// Which part of its calls is believed to succeed, from 0 to 1.
    pub success: f64,
    /// How it cuts text into tokens.
    pub tokenizer: Tokenizer,
    /// What the provider allows, as far as is known.
    #[serde(default)]
    pub limits: Limits,
    /// Where this knowledge first came from.
    pub source: Source,
    /// Whether the provider's listing has it; nothing if it was never compared with one.
    #[serde(default)]
    pub listed: Option<bool>,
}

/// What goes into a model and comes out of it: `text`, `image`, `audio`, `file`, `embeddings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modalities {
    /// What it takes.
    #[serde(default = "text")]
    pub input: Vec<String>,
    /// What it gives.
    #[serde(default = "text")]
    pub output: Vec<String>,
}

impl Default for Modalities {
    fn default() -> Self {
        Self { input: text(), output: text() }
    }
}

fn text() -> Vec<String> {
    vec!["text".to_owned()]
}

/// What a provider allows for one key and model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Calls a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens of requests a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens_per_minute: Option<u64>,
    /// Tokens of answers a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_minute: Option<u64>,
    /// Calls at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u64>,
}

impl Model {
    /// A model of which only the id and the window are known.
    pub(super) fn unknown(id: &str, provider: &str, name: &str, context: u32, source: Source) -> Self {
        Self {
            id: id.to_owned(),
            provider: provider.to_owned(),
            name: name.to_owned(),
            aliases: Vec::new(),
            version: None,
            released: None,
            retired: None,
            context,
            max_output: None,
            price: None,
            modalities: Modalities::default(),
            capabilities: BTreeSet::from([Capability::Streaming]),
            specialisations: Vec::new(),
            quality: UNKNOWN_QUALITY,
            quality_by: BTreeMap::new(),
            latency: UNKNOWN_LATENCY,
            tokens_per_second: None,
            success: UNKNOWN_SUCCESS,
            tokenizer: Tokenizer::of_name(name),
            limits: Limits::default(),
            source,
            listed: None,
        }
    }

    /// Whether it can do this.
    pub fn can(&self, capability: Capability) -> bool {
        let held_to_schema =
            capability == Capability::Json && self.capabilities.contains(&Capability::Schema);
        held_to_schema || self.capabilities.contains(&capability)
    }

    /// Whether it answers with text.
    pub fn gives_text(&self) -> bool {
        self.modalities.output.iter().any(|kind| kind == "text")
    }

    /// Whether it is known to cost nothing.
    pub fn is_free(&self) -> bool {
        self.price.as_ref().is_some_and(Price::is_free)
    }

    /// How good it is believed to be for this category, from 0 to 1.
    pub fn quality_for(&self, category: Option<&str>) -> f64 {
        category.and_then(|category| self.quality_by.get(category)).copied().unwrap_or(self.quality)
    }
}
