//! Names to models.

use proptest::prelude::*;

use super::*;

fn ids<'a>(catalog: &'a Catalog, name: &str, providers: &[&str]) -> &'a str {
    let providers: Vec<String> = providers.iter().map(|provider| (*provider).to_owned()).collect();
    &catalog.find_among(name, &providers).unwrap().id
}

#[test]
fn a_model_is_found_by_every_name_it_has() {
    let catalog = Catalog::default();
    for (name, id) in [
        ("openrouter/deepseek/deepseek-chat", "openrouter/deepseek/deepseek-chat"),
        ("deepseek/deepseek-chat", "openrouter/deepseek/deepseek-chat"),
        ("deepseek-chat", "openrouter/deepseek/deepseek-chat"),
        ("DeepSeek_Chat", "openrouter/deepseek/deepseek-chat"),
        ("openrouter/mistral-small", "openrouter/mistralai/mistral-small-2603"),
        ("openrouter/mistralai/mistral-small", "openrouter/mistralai/mistral-small-2603"),
        ("mistral-small", "openrouter/mistralai/mistral-small-2603"),
        ("gemini-flash", "openrouter/google/gemini-2.5-flash"),
        ("smollm2-135m", "embedded/smollm2-135m"),
        ("claude-haiku-4.5", "anthropic/claude-haiku-4-5"),
        (" gpt-5-mini ", "openai/gpt-5-mini"),
        ("llama3.1", "local/llama3.1"),
        ("gemma-4-31b-it:free", "openrouter/google/gemma-4-31b-it:free"),
    ] {
        assert_eq!(ids(&catalog, name, &[]), id, "{name}");
    }
}

#[test]
fn versions_resolve_and_are_asked_for_by_their_own_name() {
    let catalog = Catalog::default();
    for (asked, id, sent) in [
        ("gpt-5-mini-latest", "openai/gpt-5-mini", "gpt-5-mini"),
        ("llama3.1:latest", "local/llama3.1", "llama3.1"),
        ("mistral-small-latest", "openrouter/mistralai/mistral-small-2603", "mistralai/mistral-small-2603"),
        ("codestral-latest", "openrouter/mistralai/codestral-2508", "mistralai/codestral-2508"),
        ("gpt-5-mini-2025-08-07", "openai/gpt-5-mini", "gpt-5-mini-2025-08-07"),
        ("openai/gpt-5-mini-2025-08-07", "openai/gpt-5-mini", "gpt-5-mini-2025-08-07"),
        ("claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ("command-a", "cohere/command-a-03-2025", "command-a-03-2025"),
        ("cohere/command-r7b-12-2024", "cohere/command-r7b-12-2024", "command-r7b-12-2024"),
    ] {
        let found = catalog.resolve(asked, &[]).unwrap();
        assert_eq!((&*found.model.id, &*found.name), (id, sent), "{asked}");
    }
    // Another version than the one in the catalog is not silently replaced by it.
    let error = catalog.find("mistral-small-2501").unwrap_err();
    assert_eq!(error.nearest[0], "openrouter/mistralai/mistral-small-2603");
}

#[test]
fn a_name_of_several_providers_means_the_one_that_comes_first() {
    let catalog = Catalog::default();
    let at =
        |providers: &[&str]| ids(&catalog, "llama-3.3-70b", providers).split('/').next().unwrap().to_owned();
    assert_eq!(at(&["openrouter", "huggingface"]), "openrouter");
    assert_eq!(at(&["huggingface", "openrouter"]), "huggingface");
    assert_eq!(at(&["openai"]), "huggingface");
    assert_eq!(catalog.find_all("llama-3.3-70b").unwrap().len(), 2);
    // An id says which.
    assert_eq!(ids(&catalog, "anthropic/claude-haiku-4-5", &["openrouter"]), "anthropic/claude-haiku-4-5");
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let catalog = Catalog::default();
    let error = catalog.find("gpt-5-minni").unwrap_err();
    assert_eq!(error.nearest[0], "openai/gpt-5-mini");
    assert!(error.to_string().contains("did you mean openai/gpt-5-mini or "), "{error}");
    assert_eq!(catalog.find("qqqqqqqqqqqqqqqqq").unwrap_err().nearest, Vec::<String>::new());
    let long = catalog.find(&"é".repeat(1_000_000)).unwrap_err();
    assert!(long.to_string().len() < 1_000);
    assert!(catalog.find("").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_name_panics(name in ".{0,60}") {
        let catalog = Catalog::default();
        let _ = catalog.find(&name);
        let _ = find::version(&name);
    }

    #[test]
    fn names_like_those_of_models_are_found_or_answered(
        base in prop::sample::select(vec!["openai/", "gpt-5", "claude", "llama-3.3", "", "é", "mistral-small"]),
        tail in "[-@:./0-9a-zé]{0,16}",
    ) {
        let catalog = Catalog::default();
        let name = format!("{base}{tail}");
        match catalog.resolve(&name, &[]) {
            Ok(found) => prop_assert!(!found.name.is_empty() && catalog.get(&found.model.id).is_some()),
            Err(error) => prop_assert!(error.nearest.iter().all(|id| catalog.get(id).is_some())),
        }
    }
}
