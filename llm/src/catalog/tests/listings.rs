//! What a provider lists.

use super::*;
use crate::cost::{Nano, Price};

fn listing(id: &str) -> Listing {
    Listing { id: id.to_owned(), ..Listing::default() }
}

#[test]
fn a_listing_corrects_facts_and_leaves_beliefs() {
    let mut catalog = Catalog::default();
    let before = catalog.get("openrouter/deepseek/deepseek-chat").unwrap().clone();
    let price = Price { input: Nano::new(1), output: Nano::new(2), ..Price::default() };
    let added = catalog.add_listing(
        "openrouter",
        &[
            Listing {
                context: Some(163_840),
                price: Some(price.clone()),
                parameters: vec!["tools".to_owned(), "structured_outputs".to_owned()],
                expires: Some("2027-01-31".to_owned()),
                ..listing("deepseek/deepseek-chat")
            },
            Listing {
                context: Some(1_000),
                price: Some(Price { input: Nano::new(-1), ..price.clone() }),
                ..listing("openrouter/auto")
            },
            listing("has space/x"),
        ],
    );
    assert_eq!(
        (added.known, added.skipped, &*added.new),
        (1, 1, &["openrouter/openrouter/auto".to_owned()][..])
    );
    let after = catalog.get("openrouter/deepseek/deepseek-chat").unwrap();
    assert_eq!((after.context, &after.price, after.listed), (163_840, &Some(price), Some(true)));
    assert_eq!(after.retired.unwrap().to_string(), "2027-01-31");
    assert!(after.can(Capability::Schema) && after.can(Capability::Json) && !after.can(Capability::Vision));
    assert_eq!(
        (after.quality, after.latency, &after.aliases),
        (before.quality, before.latency, &before.aliases)
    );
    // A negative price says that it depends, which is to say that it is not known.
    assert_eq!(catalog.get("openrouter/openrouter/auto").unwrap().price, None);
}

#[test]
fn what_a_provider_no_longer_lists_is_known_to_be_gone() {
    let mut catalog = Catalog::default();
    let added = catalog.add_listing("local", &[listing("llama3.1:latest"), listing("phi4:14b")]);
    assert_eq!(added.new, ["local/phi4:14b"]);
    assert!(
        added.gone.contains(&"local/mistral".to_owned())
            && !added.gone.contains(&"local/llama3.1".to_owned())
    );
    assert!(catalog.get("local/phi4:14b").unwrap().is_free());
    assert_eq!(catalog.get("local/mistral").unwrap().listed, Some(false));
    assert_eq!(catalog.get("openai/gpt-5-mini").unwrap().listed, None);
    assert_eq!(catalog.add_listing("openai", &[]), Added::default());
    let dated = catalog.add_listing("anthropic", &[listing("claude-haiku-4-5-20251001")]);
    assert_eq!((dated.known, dated.new.len()), (1, 0));
    assert_eq!(catalog.get("anthropic/claude-haiku-4-5").unwrap().listed, Some(true));
    let routes = catalog.add_listing("huggingface", &[listing("openai/gpt-oss-120b")]);
    assert!(!routes.gone.contains(&"huggingface/openai/gpt-oss-120b:groq".to_owned()));
    let variants = catalog.add_listing("openrouter", &[listing("google/gemma-4-31b-it")]);
    assert!(variants.gone.contains(&"openrouter/google/gemma-4-31b-it:free".to_owned()));
}

#[test]
fn what_gives_no_text_is_recognised_where_the_listing_does_not_say() {
    let mut catalog = Catalog::empty();
    let names =
        ["gpt-9", "text-embedding-9", "whisper-1", "dall-e-9", "gpt-9-realtime", "omni-moderation-latest"];
    catalog.add_listing("openai", &names.map(listing));
    let texts: Vec<&str> =
        catalog.models().filter(|model| model.gives_text()).map(|model| &*model.name).collect();
    assert_eq!(texts, ["gpt-9"]);
    assert_eq!(catalog.get("openai/text-embedding-9").unwrap().price, None);
}

#[test]
fn a_file_wins_over_a_listing_whichever_comes_first() {
    let text = "[models.\"local/llama3.1\"]\ncontext = 32768\n[models.\"local/mine\"]\ncontext = 1000\n";
    let lists = [Listing { context: Some(4_096), ..listing("llama3.1") }];
    let mut first = merged(text);
    first.add_listing("local", &lists);
    let mut second = Catalog::default();
    second.add_listing("local", &lists);
    second.merge(file(text).unwrap()).unwrap();
    assert_eq!(first.get("local/llama3.1").unwrap().context, 32_768);
    assert_eq!(first.models().collect::<Vec<_>>(), second.models().collect::<Vec<_>>());
    // What a user declares is not gone because a listing lacks it.
    assert_eq!(first.get("local/mine").unwrap().listed, None);
}

#[test]
fn the_fleets_copy_is_read_back() {
    let lists = vec![Listing { price: Some(Price::free()), ..listing("a/b") }, listing("x")];
    let listings = Listings([("openrouter".to_owned(), lists.clone())].into());
    let copy = Listings::from_json(&listings.to_json()).unwrap();
    assert_eq!(copy, listings);
    let (mut one, mut other) = (Catalog::default(), Catalog::default());
    one.add_listings(&copy);
    other.add_listing("openrouter", &lists);
    assert_eq!(one.models().collect::<Vec<_>>(), other.models().collect::<Vec<_>>());
    assert!(Listings::from_json("[5]").unwrap_err().starts_with("not lists of models"));
}
