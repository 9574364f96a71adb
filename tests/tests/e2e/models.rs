//! `models`: which would be chosen, and why not the others.

use serde_json::{Value, json};
use windlass_shared::store::{BreakerRule, CallVerdict};
use windlass_tests::fleet::{Fleet, FleetOptions};

use crate::{
    direct::{Call, call, on_store},
    look::text,
};

const SEEDS: [&str; 9] = [
    "models",
    "select",
    "--category",
    "unit_test",
    "--complexity",
    "moderate",
    "--quality",
    "0.8",
    "--max-latency=3000ms",
];

fn json(fleet: &Fleet, args: &[&str]) -> Value {
    fleet.windlass(&[args, &["-o", "json"]].concat()).ok().json()
}

/// Why a model is left out; empty if it is ranked.
fn why(selection: &Value, model: &str) -> String {
    let left_out = selection["left_out"].as_array().expect("a list");
    let lacks = left_out.iter().find(|left| left["model"] == model).map(|left| left["lacks"].to_string());
    lacks.unwrap_or_default()
}

#[test]
fn the_ranking_tells_each_part_and_why_the_others_are_left_out() {
    let fleet = Fleet::without_workers();
    let selection = json(&fleet, &SEEDS);
    let ranked = selection["ranked"].as_array().expect("a list");
    assert!(!ranked.is_empty());
    for model in ranked {
        let parts = model["parts"].as_array().expect("a list");
        let sum: f64 = parts.iter().filter_map(|part| part["points"].as_f64()).sum();
        assert!((sum - model["score"].as_f64().expect("a number")).abs() < 1e-9, "{model}");
    }
    assert!(
        selection["left_out"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|left| left["lacks"][0]["text"].is_string())
    );
    let alias = [
        "select-model",
        "--task-category",
        "unit_test",
        "--quality-threshold",
        "0.8",
        "--max-latency-ms",
        "3000",
    ];
    assert_eq!(json(&fleet, &alias), selection, "the seeds' flags ask the same");
    let table = fleet.windlass(&SEEDS).ok();
    for part in ["SPECIALISATION", "Why ", "Left out", text(&ranked[0]["model"])] {
        assert!(table.stdout.contains(part), "{part}: {table}");
    }
    assert!(table.stderr.contains("known to the workers alone"), "{table}");
}

#[test]
fn what_the_fleet_learned_counts() {
    let config = "[llm]\ncatalog = \"models.toml\"\n";
    let fleet = Fleet::start(&FleetOptions { workers: 0, config, ..FleetOptions::default() });
    let model =
        |name: &str| format!("[models.\"mine/{name}\"]\ncontext = 8192\nquality = 0.8\nlatency = \"1s\"\n");
    let models = fleet.configuration().with_file_name("models.toml");
    std::fs::write(models, [model("good"), model("open"), model("slow")].concat()).expect("a file");
    on_store(&fleet, async |store| {
        let counts = &[];
        for _ in 0..20 {
            let done = Call { tenant: "t", model: "mine/good", most: 0, cost: Some(0), class: "", counts };
            assert!(call(&store, &done).await);
        }
        for _ in 0..5 {
            let rule = BreakerRule::default();
            store.gate().called("mine/open", CallVerdict::Failure, "server", rule).await.expect("it answers");
        }
    });
    let select = ["models", "select", "--provider", "mine", "--category", "unit_test"];
    let selection = json(&fleet, &select);
    assert_eq!(selection["ranked"][0]["model"], "mine/good", "{selection}");
    assert!(selection["ranked"][0]["parts"].to_string().contains("calls of the fleet"), "{selection}");
    assert!(why(&selection, "mine/open").contains("breaker_open"), "{selection}");
    let offline = json(&fleet, &[&select[..], &["--offline"]].concat());
    assert_eq!(why(&offline, "mine/open"), "", "Redis was not asked");

    let list = json(&fleet, &["models", "list", "--provider", "mine"]);
    let open = list
        .as_array()
        .expect("a list")
        .iter()
        .find(|model| model["id"] == "mine/open")
        .expect("it is there");
    assert_eq!((list.as_array().map(Vec::len), &open["state"]), (Some(3), &json!("breaker_open")), "{list}");
    let doctor = fleet.windlass(&["doctor"]);
    assert!(doctor.stdout.contains("mine/open failed too often"), "{doctor}");
}

#[test]
fn what_nothing_satisfies_is_refused_with_the_nearest() {
    let fleet = Fleet::without_workers();
    let refused =
        fleet.windlass(&["models", "select", "--quality", "1", "--free-only", "-o", "json"]).expect_code(4);
    assert_eq!(refused.json()["ranked"], json!([]), "{refused}");
    assert!(refused.stderr.contains("the nearest are"), "{refused}");
    for (args, said) in [
        (["--model", "gpt5mini"], "openai/gpt-5-mini"),
        (["--provider", "nobody"], "openrouter"),
        (["--complexity", "hard"], "expert"),
        (["--quality", "2"], "quality"),
        (["--max-latency", "fast"], "--max-latency"),
        (["--mode", "best"], "balanced"),
    ] {
        let wrong = fleet.windlass(&[&["models", "select"][..], &args].concat()).expect_code(2);
        assert!(wrong.stderr.contains(said), "{wrong}");
    }
}

#[test]
fn without_redis_there_is_the_catalog() {
    let fleet = Fleet::without_workers();
    let nowhere = ["--redis-url", "redis://127.0.0.1:1"];
    let list = fleet.windlass(&[&nowhere[..], &["models", "list", "-o", "jsonl"]].concat()).ok();
    assert!(list.jsonl().len() > 10 && list.stderr.contains("Redis cannot be used"), "{list}");
    let offline =
        fleet.windlass(&[&nowhere[..], &["models", "list", "--offline", "-o", "jsonl"]].concat()).ok();
    assert_eq!((offline.stdout, offline.stderr.as_str()), (list.stdout, ""));
}

#[test]
fn a_missing_key_is_told_unless_a_file_of_the_workers_holds_it() {
    let config = "[providers.cohere]\n[providers.openai]\napi_key_file = \"/run/secrets/key\"\n\
                  [providers.two]\npreset = \"anthropic\"\nkeys.one.api_key_file = \"/run/secrets/one\"\n";
    let fleet = Fleet::start(&FleetOptions { workers: 0, config, ..FleetOptions::default() });
    let doctor = json(&fleet, &["doctor"]);
    let told: Vec<&str> = doctor
        .as_array()
        .expect("a list")
        .iter()
        .filter(|check| check["check"] == "provider")
        .map(|check| text(&check["detail"]))
        .collect();
    assert!(told.len() == 1 && told[0].contains("COHERE_API_KEY or CO_API_KEY"), "{told:?}");
}
