//! What a file says about models: all fields are optional, and all faults are found at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use toml::{Table, Value, de::DeTable};

use super::{
    Capability, Day, Limits, Modalities, Model, Source,
    field::{self, Said},
};
use crate::{tokens::Tokenizer, words};

/// The fields that an entry may give.
const FIELDS: &[&str] = &[
    "aliases",
    "capabilities",
    "context",
    "latency",
    "limits",
    "max_output",
    "modalities",
    "price",
    "quality",
    "quality_by",
    "released",
    "retired",
    "specialisations",
    "success",
    "tokenizer",
    "tokens_per_second",
    "version",
];

/// What a file says about models.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entries {
    origin: String,
    models: BTreeMap<String, Entry>,
}

/// What is said about one model; what is not said stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    aliases: Option<Vec<String>>,
    version: Option<String>,
    released: Option<Day>,
    retired: Option<Day>,
    context: Option<u32>,
    max_output: Option<u32>,
    price: Option<Said>,
    modalities: Option<Modalities>,
    capabilities: Option<BTreeSet<Capability>>,
    specialisations: Option<Vec<String>>,
    quality: Option<f64>,
    quality_by: Option<BTreeMap<String, f64>>,
    latency: Option<Duration>,
    tokens_per_second: Option<f64>,
    success: Option<f64>,
    tokenizer: Option<Tokenizer>,
    limits: Option<Limits>,
}

impl Entries {
    /// Reads tables such as `[models."openai/gpt-5-mini"]`. `origin` (the file's name) begins each fault.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, Vec<String>> {
        let table: Table = text.parse().map_err(|error| syntax_faults(text, origin, &error))?;
        let mut entries = Self { origin: origin.to_owned(), models: BTreeMap::new() };
        let mut faults = Vec::new();
        for (key, value) in table {
            match value {
                Value::Table(models) if key == "models" => entries.read(models, &mut faults),
                _ if key == "models" => faults.push("models is a table of models".to_owned()),
                _ => faults.push(words::unknown("key", &key, &["models"])),
            }
        }
        if faults.is_empty() {
            Ok(entries)
        } else {
            Err(faults.into_iter().map(|fault| format!("{origin}: {fault}")).collect())
        }
    }

    fn read(&mut self, models: Table, faults: &mut Vec<String>) {
        for (id, value) in models {
            let at = format!("models.{id:?}");
            if let Err(fault) = field::parts(&id) {
                faults.push(format!("{at}: {fault}"));
            }
            let Value::Table(fields) = value else {
                faults.push(format!("{at}: a model is a table"));
                continue;
            };
            let mut entry = Entry::default();
            for (key, value) in fields {
                let result = entry.set(&key, value);
                faults.extend(
                    result.err().unwrap_or_default().into_iter().map(|fault| format!("{at}: {fault}")),
                );
            }
            self.models.insert(id, entry);
        }
    }

    /// The entries, by the id of their model.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.models.iter().map(|(id, entry)| (id.as_str(), entry))
    }

    /// Where they come from.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl Entry {
    /// The model that the entry alone describes.
    pub(super) fn model(&self, id: &str, source: Source) -> Result<Model, String> {
        let (provider, name) = field::parts(id)?;
        let Some(context) = self.context else {
            return Err(format!(
                "models.{id:?} is not in the catalog, so it needs at least `context`, the tokens that fit into its window"
            ));
        };
        let mut model = Model::unknown(id, provider, name, context, source);
        self.apply(&mut model);
        Ok(model)
    }

    /// Changes the fields of a model that the entry gives.
    pub(super) fn apply(&self, model: &mut Model) {
        fn set<T: Clone>(field: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                field.clone_from(given);
            }
        }
        set(&mut model.aliases, self.aliases.as_ref());
        set(&mut model.context, self.context.as_ref());
        match &self.price {
            Some(Said::Known(price)) => model.price = Some(price.clone()),
            Some(Said::Unknown) => model.price = None,
            None => {}
        }
        set(&mut model.modalities, self.modalities.as_ref());
        set(&mut model.capabilities, self.capabilities.as_ref());
        set(&mut model.specialisations, self.specialisations.as_ref());
        set(&mut model.quality, self.quality.as_ref());
        set(&mut model.latency, self.latency.as_ref());
        set(&mut model.success, self.success.as_ref());
        set(&mut model.tokenizer, self.tokenizer.as_ref());
        model.version = self.version.clone().or_else(|| model.version.take());
        model.released = self.released.or(model.released);
        model.retired = self.retired.or(model.retired);
        model.max_output = self.max_output.or(model.max_output);
        model.tokens_per_second = self.tokens_per_second.or(model.tokens_per_second);
        model.quality_by.extend(self.quality_by.clone().unwrap_or_default());
        if let Some(limits) = self.limits {
            let known = model.limits;
            model.limits = Limits {
                requests_per_minute: limits.requests_per_minute.or(known.requests_per_minute),
                input_tokens_per_minute: limits.input_tokens_per_minute.or(known.input_tokens_per_minute),
                output_tokens_per_minute: limits.output_tokens_per_minute.or(known.output_tokens_per_minute),
                concurrent: limits.concurrent.or(known.concurrent),
            };
        }
    }

    fn set(&mut self, key: &str, value: Value) -> Result<(), Vec<String>> {
        match key {
            "price" => self.price = Some(field::price(value)?),
            "limits" => self.limits = Some(field::table(key, value, field::LIMITS)?),
            "modalities" => self.modalities = Some(field::table(key, value, field::MODALITIES)?),
            "quality_by" => self.quality_by = Some(field::shares(key, value)?),
            _ => self.set_plain(key, value).map_err(|fault| vec![fault])?,
        }
        Ok(())
    }

    fn set_plain(&mut self, key: &str, value: Value) -> Result<(), String> {
        match key {
            "aliases" => self.aliases = Some(field::names(key, value)?),
            "capabilities" => self.capabilities = Some(field::read(key, value)?),
            "context" => self.context = Some(field::positive(key, value)?),
            "latency" => self.latency = Some(field::latency(key, value)?),
            "max_output" => self.max_output = Some(field::positive(key, value)?),
            "quality" => self.quality = Some(field::share(key, value)?),
            "released" => self.released = Some(field::day(key, &value)?),
            "retired" => self.retired = Some(field::day(key, &value)?),
            "specialisations" => self.specialisations = Some(field::names(key, value)?),
            "success" => self.success = Some(field::share(key, value)?),
            "tokenizer" => self.tokenizer = Some(field::read(key, value)?),
            "tokens_per_second" => self.tokens_per_second = Some(field::speed(key, value)?),
            "version" => self.version = Some(field::read(key, value)?),
            _ => return Err(words::unknown("key", key, FIELDS)),
        }
        Ok(())
    }
}

/// Faults that are told of a text that is not TOML. Each takes a look at all of the text before it.
const MOST_FAULTS: usize = 20;

/// What keeps the text from being TOML, with the lines.
fn syntax_faults(text: &str, origin: &str, first: &toml::de::Error) -> Vec<String> {
    let (_, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        errors.push(first.clone());
    }
    let line = |error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        before.matches('\n').count() + 1
    };
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let more = errors.len().saturating_sub(MOST_FAULTS);
    let told = errors.iter().take(MOST_FAULTS);
    told.map(|e| format!("{origin}: line {} is not valid TOML: {}", line(e), e.message()))
        .chain((more > 0).then(|| format!("{origin}: {more} more such faults")))
        .collect()
}
