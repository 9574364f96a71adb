//! Providers, budgets and included files.

use super::*;

#[test]
fn a_provider_is_known_by_its_name_or_its_preset_and_may_have_several_keys() {
    let given = Given::new();
    given.write("second-key", "k2\n");
    let config = given
        .file(
            r#"
[providers.openai]
api_key = "k1"
organization = "o"
limits = { requests_per_minute = 60 }
[providers.openai.keys.second]
api_key_file = "second-key"
limits.concurrent = 4
[providers.inside]
preset = "compatible"
base_url = "http://127.0.0.1:9/v1"
headers = { x-team = "a" }
total_timeout = "30s"
"#,
        )
        .ok();
    let openai = &config.providers["openai"];
    assert_eq!((openai.preset.as_str(), openai.limits.requests), ("openai", 60));
    let keys: Vec<_> = openai.keys.iter().map(|key| (key.name.as_str(), key.value.expose())).collect();
    assert_eq!(keys, [("default", "k1"), ("second", "k2")]);
    assert_eq!((openai.keys[0].organization.as_deref(), openai.keys[1].limits.concurrent), (Some("o"), 4));
    let inside = &config.providers["inside"];
    assert_eq!((inside.headers["x-team"].as_str(), inside.total_timeout.as_secs()), ("a", 30));
    assert!(inside.keys.is_empty() && !inside.needs_key());
}

#[test]
fn a_key_of_the_environment_makes_a_provider_unless_a_service_of_ones_own_is_named() {
    let given = Given::new().env("ANTHROPIC_API_KEY", "a").env("HF_TOKEN", "h").env("CO_API_KEY", "c");
    let config = given.ok();
    assert_eq!(config.providers.keys().collect::<Vec<_>>(), ["anthropic", "cohere", "huggingface"]);
    assert_eq!(config.providers["anthropic"].keys[0].value.expose(), "a");
    let own =
        Given::new().env("ANTHROPIC_API_KEY", "a").env("WINDLASS_LLM_BASE_URL", "http://127.0.0.1:9/v1");
    assert!(own.ok().providers.is_empty());
    let declared = Given::new().env("OPENAI_API_KEY", "e").file("[providers.openai]\ntotal_timeout = '9s'");
    assert_eq!(declared.ok().providers["openai"].keys[0].value.expose(), "e");
}

#[test]
fn what_is_wrong_with_a_provider_or_a_budget_is_told_with_its_place() {
    for (file, said) in [
        ("[providers.mine]", "providers.mine.preset is missing"),
        ("[providers.mine]\npreset = 'compatible'", "providers.mine.base_url is missing"),
        ("[providers.embedded]", "providers.embedded.model_path is missing"),
        ("[providers.openai]\napi_kee = 'x'", "api_kee"),
        ("[providers.openai.keys.b]", "providers.openai.keys.b.api_key is missing"),
        ("[providers.'a b']\npreset = 'local'", "a provider's name"),
        ("[budgets.a]\nscope = 'tenant:*'", "budgets.a needs a scope and limit_usd"),
        ("[budgets.a]\nscope = 'everybody'\nlimit_usd = '1'", "everybody"),
        ("[budgets.a]\nscope = 'fleet'\nlimit_usd = 'much'", "much"),
    ] {
        let faults = Given::new().file(file).load().unwrap_err().to_string();
        assert!(faults.contains(said), "{file}: {faults}");
    }
}

#[test]
fn a_budget_is_money_for_a_scope_and_a_window() {
    let file = "[budgets.a]\nscope = 'tenant:*'\nlimit_usd = '0.25'\nwindow = 'hour'\non_limit = 'wait'";
    let budget = &Given::new().file(file).ok().budgets[0];
    assert_eq!((budget.scope.as_str(), budget.limit), ("tenant:*", 250_000_000));
    assert_eq!((budget.window.as_str(), budget.on_limit.as_str()), ("hour", "wait"));
}

#[test]
fn a_folder_of_types_can_be_included_and_the_files_own_types_win() {
    let given = Given::new();
    fs::create_dir_all(given.folder.join("more")).unwrap();
    given.write("more/a.toml", "[types.a]\nexecutor = 'noop'\n[types.b]\nexecutor = 'noop'");
    given.write("more/readme.md", "not TOML");
    given.write("c.toml", "[types.c]\nexecutor = 'noop'");
    let given = given.file("include = ['more', 'c.toml']\n[types.b]\nexecutor = 'sleep'");
    let config = given.ok();
    assert_eq!(config.types.keys().map(TypeName::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(config.types[&TypeName::new("b").unwrap()].executor, "sleep");
    given.write("c.toml", "[redis]\nurl = 'redis://other'");
    let fault = given.load().unwrap_err().to_string();
    assert!(fault.contains("an included file declares types and nothing else"), "{fault}");
    let missing = Given::new().file("include = ['nowhere']").load().unwrap_err().to_string();
    assert!(missing.contains("nowhere"), "{missing}");
}
