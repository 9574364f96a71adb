//! `budgets`: what was spent and what is left, to the last nano-dollar.

use serde_json::{Value, json};
use windlass_tests::fleet::{Fleet, FleetOptions};

use crate::{
    direct::{Call, call, on_store},
    look::{text, time},
};

const CENT: i64 = 10_000_000;

fn of(tenant: &str, most: i64, cost: Option<i64>) -> Call<'_> {
    Call { tenant, model: "p/m", most, cost, class: "", counts: &[] }
}

fn budget(fleet: &Fleet, scope: &str) -> Value {
    fleet.windlass(&["budgets", scope, "-o", "json"]).ok().json()
}

#[test]
fn a_budget_tells_what_is_spent_reserved_and_left() {
    let fleet = Fleet::without_workers();
    let set =
        fleet.windlass(&["budgets", "set", "tenant:acme", "0.05", "--window", "hour", "-o", "json"]).ok();
    assert_eq!((&set.json()["left_usd"], &set.json()["on_limit"]), (&json!(0.05), &json!("refuse")), "{set}");
    on_store(&fleet, async |store| {
        assert!(call(&store, &of("acme", CENT, Some(3_000_001))).await);
        assert!(call(&store, &of("acme", CENT, None)).await);
        assert!(!call(&store, &of("acme", 4 * CENT, None)).await, "it does not fit");
        assert!(call(&store, &of("other", 99 * CENT, Some(CENT))).await, "nothing bounds it");
    });
    let acme = budget(&fleet, "tenant:acme");
    assert_eq!((&acme["limit_usd"], &acme["spent_usd"]), (&json!(0.05), &json!(0.003_000_001)), "{acme}");
    assert_eq!((&acme["reserved_usd"], &acme["left_usd"]), (&json!(0.01), &json!(0.036_999_999)), "{acme}");
    assert_eq!(
        (&acme["calls"], &acme["open_calls"], &acme["set_in"]),
        (&json!(1), &json!(1), &json!("redis"))
    );
    assert_eq!(time(&acme["until"]).since(time(&acme["since"])).as_secs(), 3600);
    let table = fleet.windlass(&["budgets"]).ok();
    assert!(table.stdout.contains("$0.003000001") && table.stdout.contains("$0.036999999"), "{table}");

    fleet.windlass(&["budgets", "set", "tenant:acme", "1", "--window", "hour", "--on-limit", "wait"]).ok();
    let raised = budget(&fleet, "tenant:acme");
    assert_eq!((&raised["limit_usd"], &raised["left_usd"]), (&json!(1), &json!(0.986_999_999)), "{raised}");
    fleet.windlass(&["budgets", "remove", "tenant:acme"]).ok();
    fleet.windlass(&["budgets", "remove", "tenant:acme"]).expect_code(1);
}

#[test]
fn each_name_has_its_own_and_the_file_steps_back() {
    let config = "[budgets.each]\nscope = \"tenant:*\"\nlimit_usd = \"0.02\"\n[budgets.all]\nscope = \"fleet\"\nlimit_usd = \"9\"\nwindow = \"total\"\n";
    let fleet = Fleet::start(&FleetOptions { workers: 0, config, ..FleetOptions::default() });
    assert_eq!(
        (&budget(&fleet, "fleet")["set_in"], &budget(&fleet, "fleet")["window"]),
        (&json!("file"), &json!("total"))
    );
    fleet.windlass(&["budgets", "set", "tenant:*", "0.03", "--on-limit", "cheaper"]).ok();
    on_store(&fleet, async |store| {
        for _ in 0..3 {
            assert!(call(&store, &of("a", CENT, Some(CENT))).await);
        }
        assert!(!call(&store, &of("a", CENT, Some(CENT))).await, "its three cents are spent");
        assert!(call(&store, &of("b", CENT, Some(CENT))).await);
    });
    let left = |scope: &str| budget(&fleet, scope)["left_usd"].clone();
    assert_eq!((left("tenant:a"), left("tenant:b"), left("tenant:c")), (json!(0), json!(0.02), json!(0.03)));
    let doctor = fleet.windlass(&["doctor", "-o", "json"]).json();
    let notes: Vec<&Value> =
        doctor.as_array().expect("a list").iter().filter(|check| check["check"] == "budget").collect();
    assert_eq!(notes.len(), 1, "{doctor}");
    assert!(
        text(&notes[0]["detail"]).contains("tenant:a is spent") && notes[0]["status"] == "note",
        "{doctor}"
    );
}

#[test]
fn a_batch_gets_its_budget_before_its_first_task() {
    let fleet = Fleet::without_workers();
    fleet.submit_lines(
        &[json!({"type": "llm", "payload": {"prompt": "x"}})],
        &["--batch", "b", "--budget", "2.50"],
    );
    let set = budget(&fleet, "batch:b");
    assert_eq!(
        (&set["limit_usd"], &set["window"], &set["until"]),
        (&json!(2.5), &json!("total"), &Value::Null),
        "{set}"
    );
    fleet.submit("llm", &json!({"prompt": "y"}), &["--batch", "c", "--budget", "$0.10"]);
    assert_eq!(budget(&fleet, "batch:c")["limit_usd"], json!(0.1));
    let refused =
        fleet.windlass(&["submit", "--type", "llm", "--batch", "d", "--budget", "lots"]).expect_code(2);
    assert!(refused.stderr.contains("--budget"), "{refused}");
    fleet.windlass(&["submit", "--type", "llm", "--budget", "1"]).expect_code(2);
    assert_eq!(fleet.total("default", "submitted"), 2, "nothing was submitted without it");
}

#[test]
fn what_is_no_budget_is_refused_with_what_to_do() {
    let fleet = Fleet::without_workers();
    for (args, said) in [
        (&["set", "acme", "1"][..], "tenant:NAME"),
        (&["set", "fleet", "-1"], "dollars such as"),
        (&["set", "fleet", "1.0000000001"], "nine decimals"),
        (&["set", "fleet", "1", "--window", "total", "--on-limit", "wait"], "--window hour"),
    ] {
        let refused = fleet.windlass(&[&["budgets"], args].concat()).expect_code(2);
        assert!(refused.stderr.contains(said), "{refused}");
    }
    let unknown = fleet.windlass(&["budgets", "queue:none"]).expect_code(1);
    assert!(unknown.stderr.contains("windlass budgets set queue:none"), "{unknown}");
    assert_eq!(fleet.windlass(&["budgets", "-o", "json"]).ok().json(), json!([]));
}
