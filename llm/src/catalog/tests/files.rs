//! What a file says.

use proptest::prelude::*;

use super::*;

#[test]
fn a_file_changes_only_what_it_says() {
    let before = Catalog::default();
    let after = merged(
        r#"
        [models."openai/gpt-5-mini"]
        quality = 1
        quality_by = { poetry = 0.3 }
        limits = { requests_per_minute = 600 }
        [models."openai/gpt-5-nano"]
        price = "unknown"
        "#,
    );
    let (old, new) = (before.get("openai/gpt-5-mini").unwrap(), after.get("openai/gpt-5-mini").unwrap());
    assert!((new.quality - 1.0).abs() < 1e-9 && (new.quality_for(Some("poetry")) - 0.3).abs() < 1e-9);
    assert_eq!(new.limits.requests_per_minute, Some(600));
    assert_eq!((&new.price, new.context, &new.capabilities), (&old.price, old.context, &old.capabilities));
    assert_eq!(after.get("openai/gpt-5-nano").unwrap().price, None);
    assert_eq!(after.len(), before.len());
}

#[test]
fn a_file_adds_models_of_providers_of_its_own() {
    let catalog = merged(
        r#"
        [models."office/llama-70b"]
        context = 32768
        aliases = ["our-llama"]
        price = { input = 1, output = 2.5, tiers = [{ above = 16000, input = 2, output = 5 }] }
        capabilities = ["json", "tools"]
        released = 2026-01-31
        latency = "2s"
        "#,
    );
    let model = catalog.find("our-llama").unwrap();
    assert_eq!((&*model.id, &*model.provider, &*model.name), ("office/llama-70b", "office", "llama-70b"));
    assert_eq!(model.price.as_ref().unwrap().estimate(20_000, 0).to_string(), "$0.04");
    assert_eq!((model.source, model.tokenizer), (Source::File, Tokenizer::Llama));
    assert_eq!(model.released.unwrap().to_string(), "2026-01-31");
    assert_eq!(model.limits, Limits::default());
}

#[test]
fn all_faults_of_a_file_are_told_at_once_with_what_was_meant() {
    let faults = file(
        r#"
        colour = 1
        [models."openai/gpt-5-mini"]
        qualty = 0.9
        quality = 1.5
        latency = "fast"
        context = 0
        capabilities = ["tool"]
        price = { inptu = 1.0, output = 2.0 }
        limits = { concurrent = -1 }
        quality_by = { analysis = 7, unit_test = 0.5 }
        retired = "soon"
        aliases = ["two words"]
        [models.nameless]
        context = 100
        [models."x/y"]
        price = { input = -1.0, output = 2.0 }
        [models]
        "z/z" = 5
        "#,
    )
    .unwrap_err();
    let expected = [
        r#"unknown key "colour"; known are models"#,
        r#"models."openai/gpt-5-mini": unknown key "qualty"; did you mean "quality"?"#,
        "quality: a number from 0 to 1",
        "latency: a span is written as 880ms",
        "context: more than zero tokens",
        r#"unknown capability "tool"; did you mean "tools"?"#,
        r#"price: unknown key "inptu"; did you mean "input"?"#,
        "limits: ",
        "quality_by.analysis: a number from 0 to 1",
        "retired: a day is written as 2026-11-30",
        "aliases: a name is a word without spaces",
        r#"models."nameless": an id is PROVIDER/NAME"#,
        r#"models."x/y": price: no amount is below zero"#,
        r#"models."z/z": a model is a table"#,
    ];
    for text in expected {
        assert!(faults.iter().any(|fault| fault.contains(text)), "{text} is not among {faults:#?}");
    }
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    assert!(faults.iter().all(|fault| fault.starts_with("models.toml: ")));
}

#[test]
fn a_file_that_is_not_toml_is_answered_with_its_lines() {
    let faults = file("[models]\nx = \n\n[models.\"a/b\"\n").unwrap_err();
    assert!(faults[0].starts_with("models.toml: line 2 is not valid TOML"), "{faults:?}");
}

#[test]
fn a_file_that_cannot_be_applied_changes_nothing() {
    let mut catalog = Catalog::default();
    let entries = file(
        r#"
        [models."openai/gpt-5-mini"]
        quality = 0.1
        [models."openai/new"]
        quality = 0.9
        [models."openai/other"]
        context = 1000
        aliases = ["GPT-5-nano"]
        "#,
    );
    let faults = catalog.merge(entries.unwrap()).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults[0].contains(r#"models."openai/new" is not in the catalog, so it needs at least `context`"#)
    );
    assert!(faults[1].contains("means both"), "{faults:?}");
    assert_eq!(catalog, Catalog::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_file_panics(text in "(\\[models\\.\"[a-z/]{0,5}\"\\]\n)?([a-z_]{0,10} = [\\[\\]{}\"a-z0-9.=,-]{0,20}\n){0,4}") {
        if let Ok(entries) = file(&text) {
            let _ = Catalog::default().merge(entries);
        }
    }
}

#[test]
fn a_file_that_is_wrong_throughout_is_told_of_in_short() {
    let started = std::time::Instant::now();
    let faults = file(&"```\n".repeat(50_000)).unwrap_err();
    assert!(faults.len() == 21 && faults[20].contains("more such faults"), "{faults:?}");
    // Sorting them once took a look at all of the text before each, many times: hours.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
