//! Who is left out, and why.

use std::time::Duration;

use super::*;
use crate::{catalog::Day, cost::Nano};

#[test]
fn what_a_call_needs_is_a_condition() {
    let catalog = Catalog::default();
    let with = |need: Requirements| {
        let ranking = ranked(&catalog, &need);
        (reasons(&ranking, "embedded/smollm2-135m"), reasons(&ranking, "openai/gpt-5-mini"))
    };
    let simple = || Requirements { complexity: Complexity::Simple, ..Requirements::default() };
    assert_eq!(with(simple()), (vec![], vec![]));
    assert_eq!(with(Requirements { tools: true, ..simple() }).0, [Reason::Tools]);
    assert_eq!(with(Requirements { json: true, ..simple() }).0, []);
    assert_eq!(with(Requirements { schema: true, ..simple() }).0, [Reason::Schema]);
    assert_eq!(with(Requirements { vision: true, ..simple() }).0, [Reason::Vision]);
    assert_eq!(
        with(Requirements { input_tokens: 4_000, output_tokens: 97, ..simple() }).0,
        [Reason::Context]
    );
    assert_eq!(with(Requirements { input_tokens: 4_000, output_tokens: 96, ..simple() }).0, []);
    assert_eq!(with(Requirements { output_tokens: 130_000, ..simple() }).1, [Reason::Output]);
    assert_eq!(
        with(Requirements { input_tokens: u64::MAX, output_tokens: 5, ..simple() }).1,
        [Reason::Context]
    );
    assert_eq!(with(Requirements { embeddings: true, ..simple() }).1, [Reason::Embeddings]);
    assert_eq!(
        with(Requirements { specialisation: Some("speed".to_owned()), ..simple() }).1,
        [Reason::Specialisation]
    );
    assert_eq!(
        with(Requirements { providers: vec!["embedded".to_owned()], ..simple() }).1,
        [Reason::Provider]
    );
    assert_eq!(
        with(Requirements { exclude: vec!["gpt-5-mini".to_owned()], ..simple() }).1,
        [Reason::Excluded]
    );
    assert_eq!(with(Requirements { free_only: true, ..simple() }), (vec![], vec![Reason::NotFree]));
}

#[test]
fn an_unknown_price_is_the_worst_and_never_free() {
    let id = "huggingface/Qwen/Qwen3-Coder-480B-A35B-Instruct";
    let catalog = Catalog::default();
    let ranking = ranked(&catalog, &Requirements::default());
    let unknown = ranking.ranked.iter().find(|ranked| ranked.model.id == id).unwrap();
    let cost = unknown.parts.iter().find(|part| part.name == "cost").unwrap();
    assert_eq!((cost.points, unknown.estimated_cost_usd), (0.0, None));
    assert!(cost.why.contains("unknown"));
    let limited = Requirements { max_cost_usd: Some(100.0), ..Requirements::default() };
    assert_eq!(reasons(&ranked(&catalog, &limited), id), [Reason::PriceUnknown]);
    let free = Requirements { free_only: true, ..Requirements::default() };
    assert_eq!(reasons(&ranked(&catalog, &free), id), [Reason::NotFree]);
    assert!(ranked(&catalog, &free).ranked.iter().all(|ranked| ranked.estimated_cost == Some(Nano::ZERO)));
}

#[test]
fn a_limit_of_cost_is_kept_by_estimate() {
    let catalog = catalog(FOUR);
    let need = |max_cost_usd| Requirements { max_cost_usd: Some(max_cost_usd), ..Requirements::default() };
    assert_eq!(names(&ranked(&catalog, &need(0.0001))), ["gemini-flash"]);
    // Exactly what a call costs is within the limit.
    assert_eq!(ranked(&catalog, &need(0.000_154)).ranked.len(), 3);
    let none = ranked(&catalog, &need(0.0));
    assert!(
        none.refusal().unwrap().contains("which would do with a maximum cost of $0.0000825"),
        "{:?}",
        none.refusal()
    );
}

#[test]
fn named_models_keep_their_order_and_are_checked_for_what_the_call_needs() {
    let catalog = Catalog::default();
    let need = Requirements {
        models: ["smollm2", "openrouter/deepseek-chat", "gpt-5-mini-2025-08-07", "smollm2"]
            .map(str::to_owned)
            .to_vec(),
        quality: Some(0.99),
        max_latency: Some(Duration::from_millis(1)),
        complexity: Complexity::Expert,
        specialisation: Some("poetry".to_owned()),
        ..Requirements::default()
    };
    let ranking = ranked(&catalog, &need);
    assert_eq!(
        ranking.ranked.iter().map(|ranked| &*ranked.name).collect::<Vec<_>>(),
        ["smollm2-135m", "deepseek/deepseek-chat", "gpt-5-mini-2025-08-07"]
    );
    let with_tools = Requirements { tools: true, max_cost_usd: Some(0.0), ..need };
    let ranking = ranked(&catalog, &with_tools);
    assert!(ranking.ranked.is_empty());
    assert_eq!(reasons(&ranking, "embedded/smollm2-135m"), [Reason::Tools]);
    assert_eq!(
        ranking.left_out.iter().map(|left_out| &*left_out.model.id).collect::<Vec<_>>(),
        ["embedded/smollm2-135m", "openrouter/deepseek/deepseek-chat", "openai/gpt-5-mini"]
    );
}

#[test]
fn a_named_model_of_several_providers_means_the_usable_one() {
    let catalog = Catalog::default();
    let only = |provider: &'static str| {
        move |model: &Model| {
            if model.provider == provider {
                return State::Usable;
            }
            State::NoProvider { why: "set a key".to_owned() }
        }
    };
    let need = Requirements { models: vec!["llama-3.3-70b".to_owned()], ..Requirements::default() };
    for provider in ["openrouter", "huggingface"] {
        let ranking = rank(&catalog, &need, &NothingMeasured, &only(provider), &Weights::default()).unwrap();
        assert_eq!(ranking.ranked[0].model.provider, provider);
    }
}

#[test]
fn names_that_mean_nothing_are_all_answered_with_the_nearest() {
    let catalog = Catalog::default();
    let need = Requirements {
        models: vec!["gpt-5-mini".to_owned(), "gpt-5-minni".to_owned()],
        exclude: vec!["deepsek-chat".to_owned()],
        ..Requirements::default()
    };
    let error = rank(&catalog, &need, &NothingMeasured, &all_usable, &Weights::default()).unwrap_err();
    assert_eq!(error.0.len(), 2);
    let text = error.to_string();
    assert!(text.contains("\"gpt-5-minni\"; did you mean openai/gpt-5-mini"), "{text}");
    assert!(text.contains("openrouter/deepseek/deepseek-chat"), "{text}");
}

#[test]
fn what_cannot_be_used_now_is_left_out_and_the_first_to_be_free_is_known() {
    let catalog = catalog(FOUR);
    let state = |model: &Model| match &*model.name {
        "mistral-small" => State::BreakerOpen { left: Duration::from_secs(43) },
        "llama-3.3" => State::Cooling { left: Duration::from_secs(7) },
        "gemini-flash" => State::NoProvider { why: "set P_API_KEY".to_owned() },
        _ => State::Unavailable { why: "its file is missing".to_owned() },
    };
    let ranking =
        rank(&catalog, &Requirements::default(), &NothingMeasured, &state, &Weights::default()).unwrap();
    assert_eq!(reasons(&ranking, "p/mistral-small"), [Reason::BreakerOpen]);
    assert_eq!(
        ranking.left_out.iter().find(|l| l.model.name == "gemini-flash").unwrap().why(),
        "set P_API_KEY"
    );
    let (model, left) = ranking.earliest().unwrap();
    assert_eq!((&*model.id, left), ("p/llama-3.3", Duration::from_secs(7)));
    // Waiting does not help a model that lacks something else.
    let need = Requirements {
        quality: Some(0.89),
        exclude: vec!["llama-3.3".to_owned()],
        ..Requirements::default()
    };
    let ranking = rank(&catalog, &need, &NothingMeasured, &state, &Weights::default()).unwrap();
    assert_eq!(ranking.earliest(), None);
}

#[test]
fn the_nearest_are_those_that_lack_the_lightest_things() {
    let catalog = catalog(FOUR);
    let need = Requirements { quality: Some(0.99), tools: true, ..Requirements::default() };
    let ranking = ranked(&catalog, &need);
    let near = ranking.nearest(2);
    assert_eq!((&*near[0].model.name, near.len()), ("deepseek-chat", 2));
    assert_eq!(near[0].relax().as_deref(), Some("a quality of 0.94"));
    // No relaxing gives a model tools.
    assert_eq!(near[1].relax(), None);
    assert_eq!(near[1].why(), "it calls no tools; its quality is 0.90, below 0.99");
    assert_eq!(ranking.nearest(99).len(), 4);
}

struct On(&'static str);

impl Availability for On {
    fn state(&self, _: &Model) -> State {
        State::Usable
    }

    fn today(&self) -> Option<Day> {
        self.0.parse().ok()
    }
}

#[test]
fn a_retired_model_is_left_out_from_its_day_on() {
    let catalog = Catalog::default();
    let id = "anthropic/claude-sonnet-4-5";
    let need = Requirements { models: vec![id.to_owned()], ..Requirements::default() };
    let on = |day| rank(&catalog, &need, &NothingMeasured, &On(day), &Weights::default()).unwrap();
    assert_eq!(
        on("2026-11-29").notes,
        ["anthropic/claude-sonnet-4-5 is retired by its provider on 2026-11-30"]
    );
    assert_eq!(reasons(&on("2026-11-30"), id), [Reason::Retired]);
}
