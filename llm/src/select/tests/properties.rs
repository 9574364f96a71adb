//! What holds for all requirements and all that may be measured.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn requirements() -> impl Strategy<Value = Requirements> {
    let words =
        prop::option::of(prop::sample::select(vec!["unit_test", "documentation", "analysis", "poetry"]));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    let sizes = (0_u64..300_000, 0_u64..20_000);
    let limits =
        (prop::option::of(0.0..1.0_f64), prop::option::of(0_u64..60_000), prop::option::of(0.0..0.1_f64));
    (words, 0..Complexity::ALL.len(), flags, sizes, limits, prop::bool::weighted(0.2)).prop_map(
        |(
            category,
            complexity,
            (tools, json, schema, vision),
            (input_tokens, output_tokens),
            limits,
            free_only,
        )| {
            Requirements {
                category: category.map(str::to_owned),
                complexity: Complexity::ALL[complexity],
                quality: limits.0,
                max_latency: limits.1.map(Duration::from_millis),
                max_cost_usd: limits.2,
                input_tokens,
                output_tokens,
                tools,
                json,
                schema,
                vision,
                free_only,
                ..Requirements::default()
            }
        },
    )
}

/// Whatever can be measured, by the id.
struct Random(u64);

impl Live for Random {
    fn of(&self, model_id: &str, _: Option<&str>) -> Option<LiveFigures> {
        let mixed = model_id.bytes().fold(self.0, |mixed, byte| {
            (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(17)
        });
        let part = |shift: u32| ((mixed >> shift) & 0xff) as f64 / 255.0;
        (mixed % 3 != 0).then(|| LiveFigures {
            calls: part(0) * 100.0,
            success: part(8),
            latency: Duration::from_secs_f64(part(16) * 60.0),
            score: (mixed % 5 != 0).then(|| part(24)),
            scored: part(32) * 50.0,
            output_tokens: (mixed % 7 != 0).then(|| part(40) * 4_000.0),
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_candidate_is_ranked_or_left_out_with_reasons(need in requirements(), seed: u64) {
        let catalog = Catalog::default();
        let ranking = rank(&catalog, &need, &Random(seed), &all_usable, &Weights::default()).unwrap();
        let mut ids: Vec<&str> = ranking.ranked.iter().map(|ranked| &*ranked.model.id).collect();
        ids.extend(ranking.left_out.iter().map(|left_out| &*left_out.model.id));
        ids.sort_unstable();
        prop_assert_eq!(ids, catalog.models().map(|model| &*model.id).collect::<Vec<_>>());
        prop_assert!(ranking.left_out.iter().all(|left_out| !left_out.lacks.is_empty() && !left_out.why().is_empty()));
        prop_assert_eq!(ranking.refusal().is_none(), !ranking.ranked.is_empty());
    }

    #[test]
    fn the_points_are_the_score_and_the_best_comes_first(need in requirements(), seed: u64, mode in 0..Mode::ALL.len()) {
        let catalog = Catalog::default();
        let weights = Weights::of(Mode::ALL[mode]);
        let ranking = rank(&catalog, &need, &Random(seed), &all_usable, &weights).unwrap();
        for ranked in &ranking.ranked {
            let points: f64 = ranked.parts.iter().map(|part| part.points).sum();
            let weights: f64 = ranked.parts.iter().map(|part| part.weight).sum();
            prop_assert!((points - ranked.score).abs() < 1e-9 && (weights - 1.0).abs() < 1e-9);
            prop_assert!(ranked.parts.iter().all(|part| (0.0..=1.0).contains(&part.value)));
            prop_assert!(ranked.parts.iter().all(|part| (part.weight * part.value - part.points).abs() < 1e-12));
        }
        prop_assert!(ranking.ranked.windows(2).all(|pair| pair[0].score >= pair[1].score));
        let again = rank(&catalog, &need, &Random(seed), &all_usable, &weights).unwrap();
        prop_assert_eq!(ranking, again);
    }

    #[test]
    fn asking_for_more_never_adds_a_model(need in requirements(), seed: u64, low in 0.0..1.0_f64, more in 0.0..1.0_f64) {
        let catalog = Catalog::default();
        let set = |need: &Requirements| -> Vec<String> {
            let ranking = rank(&catalog, need, &Random(seed), &all_usable, &Weights::default()).unwrap();
            let mut ids: Vec<String> = ranking.ranked.iter().map(|ranked| ranked.model.id.clone()).collect();
            ids.sort_unstable();
            ids
        };
        let less = set(&Requirements { quality: Some(low), ..need.clone() });
        for stricter in [
            Requirements { quality: Some((low + more).min(1.0)), ..need.clone() },
            Requirements { quality: Some(low), tools: true, ..need.clone() },
            Requirements { quality: Some(low), free_only: true, ..need.clone() },
            Requirements { quality: Some(low), max_cost_usd: Some(need.max_cost_usd.unwrap_or(1.0) * more), ..need.clone() },
            Requirements { quality: Some(low), exclude: vec!["gpt-5-mini".to_owned()], ..need.clone() },
        ] {
            prop_assert!(set(&stricter).iter().all(|id| less.contains(id)));
        }
    }

    #[test]
    fn relaxing_as_advised_brings_the_nearest_in(need in requirements(), quality in 0.5..1.0_f64) {
        let catalog = Catalog::default();
        let need = Requirements { quality: Some(quality), ..need };
        let ranking = ranked(&catalog, &need);
        let near = ranking.left_out.iter().find(|left| left.lacks.len() == 1 && left.lacks[0].reason == Reason::Quality);
        if let Some(near) = near {
            let relax = near.relax().unwrap();
            let quality = relax.trim_start_matches("a quality of ").parse().ok();
            let relaxed = ranked(&catalog, &Requirements { quality, ..need });
            prop_assert!(relaxed.ranked.iter().any(|ranked| ranked.model.id == near.model.id));
        }
    }
}
