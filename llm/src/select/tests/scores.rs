//! Who comes first, and why.

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::cost::Nano;

struct Measured(BTreeMap<&'static str, LiveFigures>);

impl Live for Measured {
    fn of(&self, model_id: &str, _category: Option<&str>) -> Option<LiveFigures> {
        self.0.get(model_id).copied()
    }
}

#[test]
fn documentation_that_is_simple_goes_to_a_cheap_fast_model() {
    let catalog = catalog(FOUR);
    let need = Requirements {
        category: Some("documentation".to_owned()),
        complexity: Complexity::Simple,
        models: Vec::new(),
        ..Requirements::default()
    };
    let ranking = ranked(&catalog, &need);
    assert!(["mistral-small", "gemini-flash"].contains(&names(&ranking)[0]), "{:?}", names(&ranking));
    assert_eq!(names(&ranking)[3], "deepseek-chat");
}

#[test]
fn refactoring_that_is_complex_goes_to_the_model_of_the_highest_quality() {
    let catalog = catalog(FOUR);
    let need = Requirements {
        category: Some("refactoring".to_owned()),
        complexity: Complexity::Complex,
        quality: Some(0.9),
        ..Requirements::default()
    };
    let ranking = ranked(&catalog, &need);
    assert_eq!(names(&ranking), ["deepseek-chat", "llama-3.3"]);
    assert_eq!(reasons(&ranking, "p/gemini-flash"), [Reason::Quality]);
}

#[test]
fn the_first_example_of_the_users_guide_has_answers_in_the_default_catalog() {
    let catalog = Catalog::default();
    let need = Requirements {
        category: Some("unit_test".to_owned()),
        quality: Some(0.8),
        max_latency: Some(Duration::from_millis(3000)),
        ..Requirements::default()
    };
    let ranking = ranked(&catalog, &need);
    assert!(ranking.ranked.len() >= 8);
    assert!(names(&ranking).contains(&"mistralai/mistral-small-2603"));
    assert_eq!(reasons(&ranking, "embedded/smollm2-135m"), [Reason::Quality, Reason::Latency]);
    assert_eq!(reasons(&ranking, "openai/text-embedding-3-small"), [Reason::Text]);
}

#[test]
fn the_small_model_does_what_nothing_else_is_there_for() {
    let only_embedded = |model: &Model| match &*model.provider {
        "embedded" => State::Usable,
        _ => State::NoProvider { why: "set a key".to_owned() },
    };
    let catalog = Catalog::default();
    let select = |need: &Requirements| {
        let ranking = rank(&catalog, need, &NothingMeasured, &only_embedded, &Weights::default()).unwrap();
        (ranking.best().map(|best| best.model.id.clone()), ranking.notes.clone(), ranking.refusal())
    };
    let (best, notes, refusal) =
        select(&Requirements { category: Some("unit_test".to_owned()), ..Requirements::default() });
    assert_eq!((best.as_deref(), refusal), (Some("embedded/smollm2-135m"), None));
    assert!(notes[0].contains("quality of 0.40 that moderate tasks wish for"), "{notes:?}");
    // A quality that was asked for is no wish.
    let (best, _, refusal) = select(&Requirements { quality: Some(0.8), ..Requirements::default() });
    assert_eq!(best, None);
    let refusal = refusal.unwrap();
    assert!(
        refusal.contains(
            "embedded/smollm2-135m (its quality is 0.15, below 0.80), which would do with a quality of 0.15"
        ),
        "{refusal}"
    );
}

#[test]
fn the_parts_of_a_score_are_those_of_the_documentation() {
    let catalog = catalog(FOUR);
    let need = Requirements { category: Some("unit_test".to_owned()), ..Requirements::default() };
    let ranking = ranked(&catalog, &need);
    let deepseek = ranking.ranked.iter().find(|ranked| ranked.model.name == "deepseek-chat").unwrap();
    let value = |name| deepseek.parts.iter().find(|part| part.name == name).unwrap();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(value("quality").value, 0.94) && near(value("quality").weight, 0.40));
    assert!(near(value("success").value, 0.90) && near(value("success").weight, 0.20));
    assert!(near(value("latency").value, 1.0 - 16.0_f64.ln() / 3001.0_f64.ln()));
    // 1100 tokens at $0.14 a million.
    assert_eq!(deepseek.estimated_cost, Some(Nano::new(154_000)));
    assert!(near(value("cost").value, 1.0 - 2.54_f64.ln() / 100_001.0_f64.ln()));
    assert!(near(value("specialisation").points, 0.10));
    assert_eq!(value("cost").why, "$0.000154 for 1000 tokens in and 100 out");
    assert_eq!(value("specialisation").why, "made for code");
    assert_eq!(value("latency").why, "1.5s expected for 100 tokens");
}

#[test]
fn what_the_fleet_measures_corrects_the_catalog() {
    let catalog = catalog(FOUR);
    let need = Requirements { category: Some("unit_test".to_owned()), ..Requirements::default() };
    let before = ranked(&catalog, &need);
    assert_eq!(names(&before)[0], "deepseek-chat");
    let bad = LiveFigures {
        calls: 40.0,
        success: 0.5,
        latency: Duration::from_secs(30),
        score: Some(0.44),
        scored: 40.0,
        output_tokens: None,
    };
    let live = Measured([("p/deepseek-chat", bad)].into());
    let ranking = rank(&catalog, &need, &live, &all_usable, &Weights::default()).unwrap();
    assert_eq!(*names(&ranking).last().unwrap(), "deepseek-chat");
    let last = ranking.ranked.last().unwrap();
    // (0.94 × 10 + 0.44 × 40) ÷ 50, and (1.5 s × 10 + 30 s × 40) ÷ 50.
    assert!((last.parts[0].value - 0.54).abs() < 1e-9);
    assert_eq!(last.expected_latency, Duration::from_millis(24_300));
    assert_eq!(last.parts[0].why, "0.94 by the catalog, 0.44 over 40 validated answers");
    let need = Requirements { quality: Some(0.8), ..need };
    let ranking = rank(&catalog, &need, &live, &all_usable, &Weights::default()).unwrap();
    assert_eq!(reasons(&ranking, "p/deepseek-chat"), [Reason::Quality]);
}

#[test]
fn a_longer_answer_takes_longer_and_costs_more() {
    let catalog = Catalog::default();
    let at = |output_tokens| {
        let need =
            Requirements { output_tokens, models: vec!["gpt-5-mini".to_owned()], ..Requirements::default() };
        let ranking = ranked(&catalog, &need);
        (ranking.ranked[0].expected_latency, ranking.ranked[0].estimated_cost.unwrap())
    };
    assert_eq!(at(0), at(100));
    // 1000 tokens more at 110 a second, and at $2.00 a million.
    assert_eq!(at(1100).0.as_millis(), at(100).0.as_millis() + 9_090);
    assert_eq!(at(1100).1.saturating_sub(at(100).1), "0.002".parse().unwrap());
}

#[test]
fn measured_figures_that_cannot_be_do_no_harm() {
    let catalog = catalog(FOUR);
    let absurd = LiveFigures {
        calls: f64::INFINITY,
        success: f64::NAN,
        latency: Duration::MAX,
        score: Some(-7.0),
        scored: f64::NAN,
        output_tokens: Some(f64::NEG_INFINITY),
    };
    let live = Measured(
        [("p/llama-3.3", absurd), ("p/gemini-flash", LiveFigures { calls: 1e300, ..absurd })].into(),
    );
    let ranking = rank(&catalog, &Requirements::default(), &live, &all_usable, &Weights::default()).unwrap();
    assert_eq!(ranking.ranked.len(), 4);
    assert!(ranking.ranked.iter().all(|ranked| (0.0..=1.0).contains(&ranked.score)));
}

#[test]
fn equal_scores_are_ordered_by_cost_and_then_by_id() {
    let same = r#"
        [models."p/b"]
        context = 1000
        price = "free"
        [models."p/a"]
        context = 1000
        price = "free"
        [models."p/c"]
        context = 1000
        price = "unknown"
    "#;
    let catalog = catalog(same);
    let blind = Weights { quality: 1.0, success: 0.0, latency: 0.0, cost: 0.0, specialisation: 0.0 };
    let ranking = rank(&catalog, &Requirements::default(), &NothingMeasured, &all_usable, &blind).unwrap();
    assert_eq!(names(&ranking), ["a", "b", "c"]);
}

#[test]
fn each_mode_puts_first_what_it_is_named_for() {
    let catalog = Catalog::default();
    let best = |mode| {
        let ranking =
            rank(&catalog, &Requirements::default(), &NothingMeasured, &all_usable, &Weights::of(mode))
                .unwrap();
        ranking.ranked[0].model.clone()
    };
    assert!(best(Mode::Cheapest).is_free());
    assert!(best(Mode::Quality).quality >= 0.94);
    assert!(best(Mode::Fastest).latency < Duration::from_secs(1));
}

#[test]
fn a_mode_that_learns_has_its_place() {
    struct Optimist;
    impl Live for Optimist {
        fn of(&self, _: &str, _: Option<&str>) -> Option<LiveFigures> {
            None
        }
        fn value_of(&self, model_id: &str, belief: Belief) -> f64 {
            if model_id == "p/llama-3.3" { 1.0 } else { belief.mean() / 2.0 }
        }
    }
    let catalog = catalog(FOUR);
    let need = Requirements { quality: Some(0.8), ..Requirements::default() };
    let ranking = rank(&catalog, &need, &Optimist, &all_usable, &Weights::default()).unwrap();
    assert_eq!(names(&ranking)[0], "llama-3.3");
    // A draw is no condition.
    assert_eq!(ranking.ranked.len(), 4);
}
