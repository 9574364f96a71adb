//! What people rely on of the catalog.

mod files;
mod listings;
mod names;

use std::time::Duration;

use super::*;
use crate::{cost::TokenUsage, tokens::Tokenizer};

fn file(text: &str) -> Result<Entries, Vec<String>> {
    Entries::from_toml(text, "models.toml")
}

fn merged(text: &str) -> Catalog {
    let mut catalog = Catalog::default();
    catalog.merge(file(text).unwrap()).unwrap();
    catalog
}

#[test]
fn the_models_in_the_program_are_complete_and_plausible() {
    let catalog = Catalog::default();
    assert!(catalog.len() >= 40);
    for model in catalog.models() {
        let id = &model.id;
        assert_eq!(*id, format!("{}/{}", model.provider, model.name));
        assert!((0.0..=1.0).contains(&model.quality) && (0.0..=1.0).contains(&model.success), "{id}");
        assert!(model.quality_by.values().all(|quality| (0.0..=1.0).contains(quality)), "{id}");
        assert!(model.latency > Duration::ZERO && model.context >= 512, "{id}");
        assert!(model.gives_text() != model.can(Capability::Embeddings), "{id}");
        assert_eq!(model.source, Source::Default);
        let free = matches!(&*model.provider, "local" | "embedded") || id.ends_with(":free");
        assert_eq!(model.is_free(), free, "{id}");
        let guessed = Tokenizer::of_name(&model.name);
        assert!(guessed == model.tokenizer || guessed == Tokenizer::Other, "{id}: {guessed}");
        if let Some(price) = &model.price {
            assert!(price.cached_input.is_none_or(|cached| cached <= price.input), "{id}");
            assert!(model.can(Capability::Embeddings) || price.output >= price.input, "{id}");
        }
    }
    assert!(catalog.models().filter(|model| model.id.ends_with(":free")).count() >= 3);
    assert!(catalog.models().any(|model| model.price.is_none()));
}

#[test]
fn every_provider_of_the_presets_has_models() {
    let catalog = Catalog::default();
    for provider in ["openai", "anthropic", "openrouter", "cohere", "huggingface", "local", "embedded"] {
        assert!(catalog.models().any(|model| model.provider == provider && model.gives_text()), "{provider}");
    }
}

#[test]
fn the_small_model_in_the_worker_is_described_as_it_is() {
    let catalog = Catalog::default();
    let model = catalog.get("embedded/smollm2-135m").unwrap();
    assert!(model.can(Capability::Json) && !model.can(Capability::Tools));
    assert!(model.is_free() && model.quality < 0.2);
    assert_eq!(model.context, 4_096);
}

#[test]
fn prices_are_those_of_the_providers() {
    let catalog = Catalog::default();
    let price = catalog.get("anthropic/claude-sonnet-5-5").unwrap().price.clone().unwrap();
    assert_eq!(price.cost(&TokenUsage { input: 1_000_000, ..Default::default() }).to_string(), "$2.00");
    let luna = catalog.get("openai/gpt-6-luna").unwrap().price.clone().unwrap();
    assert_eq!(luna.estimate(100_000, 0).to_string(), "$0.0125");
    assert_eq!(luna.estimate(300_000, 0).to_string(), "$0.075");
}
