//! `metrics`: the figures of calls to models add up.

use serde_json::{Value, json};
use windlass_shared::model::State;
use windlass_tests::fleet::Fleet;

use crate::{
    direct::{Call, call, on_store, settle},
    look::time,
};

const TOKENS: [(&str, i64); 4] =
    [("input_tokens", 100), ("output_tokens", 20), ("duration_us", 400_000), ("cached_tokens", 60)];

fn fleet() -> Fleet {
    let fleet = Fleet::without_workers();
    on_store(&fleet, async |store| {
        for (tenant, model, class) in
            [("a", "p/m", ""), ("a", "p/m", ""), ("b", "p/m", "rate_limit"), ("b", "p/other", "")]
        {
            let counts: &[_] = if class.is_empty() { &TOKENS } else { &[] };
            let cost = if class.is_empty() { 2_000_001 } else { 0 };
            assert!(call(&store, &Call { tenant, model, most: 0, cost: Some(cost), class, counts }).await);
        }
    });
    settle(&fleet, "t", State::Completed, &json!({ "text": "x" }));
    fleet
}

fn find<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().expect("a list").iter().find(|row| row["name"] == name).expect("it is there")
}

#[test]
fn totals_are_by_model_type_and_tenant() {
    let fleet = fleet();
    let metrics = fleet.windlass(&["metrics", "-o", "json", "--days", "1"]).ok().json();
    let totals = &metrics["totals"];
    assert_eq!(
        (&totals["calls"], &totals["errors"], &totals["error_rate"]),
        (&json!(4), &json!(1), &json!(0.25))
    );
    assert_eq!(totals["errors_by_class"], json!({"rate_limit": 1}), "{totals}");
    assert_eq!((&totals["input_tokens"], &totals["cached_tokens"]), (&json!(300), &json!(180)), "{totals}");
    assert_eq!(
        (&totals["cost_usd"], &totals["mean_duration_ms"]),
        (&json!(0.006_000_003), &json!(400.0)),
        "{totals}"
    );
    assert_eq!(metrics["models"][0]["name"], "p/m", "the busiest comes first: {metrics}");
    assert_eq!(find(&metrics["models"], "p/other")["calls"], json!(1));
    assert_eq!(find(&metrics["types"], "llm")["calls"], json!(4));
    assert_eq!(find(&metrics["tenants"], "b")["errors"], json!(1));
    assert_eq!(metrics["queues"]["default"]["completed"], json!(1), "{metrics}");
    assert_eq!(time(&metrics["since"]).0 % (24 * 3600 * 1_000_000), 0, "days begin at midnight UTC");
}

#[test]
fn the_figures_come_in_every_format_and_by_what_is_asked() {
    let fleet = fleet();
    let by_model = fleet.windlass(&["metrics", "--by", "model", "-o", "json"]).ok().json();
    assert!(by_model["models"].is_array() && by_model.get("tenants").is_none(), "{by_model}");
    let lines = fleet.windlass(&["metrics", "-o", "jsonl"]).ok().jsonl();
    let by = |word: &str| lines.iter().filter(|line| line["by"] == word).count();
    assert_eq!(
        [by("total"), by("model"), by("type"), by("tenant"), by("queue")],
        [1, 2, 1, 2, 1],
        "{lines:?}"
    );
    let table = fleet.windlass(&["metrics"]).ok();
    assert!(table.stdout.contains("rate_limit 1") && table.stdout.contains("$0.006000003"), "{table}");
    fleet.windlass(&["metrics", "--days", "41"]).expect_code(2);
    let none = Fleet::without_workers();
    assert_eq!(
        none.windlass(&["metrics", "-o", "json"]).ok().json()["totals"]["mean_duration_ms"],
        Value::Null
    );
}
