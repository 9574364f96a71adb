//! What the fleet learns: live statistics of models, and the day's figures.

use std::{collections::BTreeMap, time::Duration};

use windlass_shared::{
    model::BatchName,
    store::{Answered, CallVerdict, Gate, Judged, LiveRecord},
};

use super::{answered, gate, new_call};

const HOUR: Duration = Duration::from_hours(1);
const HALF_LIFE: u64 = 3_600_000_000;

async fn call(gate: &Gate, model: &str, category: &str, verdict: CallVerdict, latency: u64, output: u64) {
    let call = new_call();
    let live = (model, category, HALF_LIFE, latency, output);
    gate.settle(&Answered { live, ..answered(&call, "p/m", verdict) }, "").await.unwrap();
}

async fn judge(gate: &Gate, model: &str, category: &str, score: f64) {
    let live = (model, category, HALF_LIFE, score);
    gate.judge(&Judged { live, forget: vec![], usage: ("", "", ""), counts: [].into() }).await.unwrap();
}

async fn record(gate: &Gate, model: &str, category: &str) -> LiveRecord {
    let live = gate.live().await.unwrap();
    *live.get(&(model.to_owned(), category.to_owned())).unwrap_or_else(|| panic!("{live:?}"))
}

fn near(value: f64, expected: f64) -> bool {
    (value - expected).abs() < 0.02 * expected.max(0.05)
}

#[tokio::test]
async fn they_weigh_half_as_much_after_each_half_life() {
    let (t, gate) = gate().await;
    for _ in 0..8 {
        call(&gate, "m", "unit_test", CallVerdict::Success, 1000, 100).await;
    }
    judge(&gate, "m", "unit_test", 1.0).await;
    t.pass_gate_for(HOUR).await;
    call(&gate, "m", "unit_test", CallVerdict::Failure, 9_000_000, 0).await;
    judge(&gate, "m", "unit_test", 0.25).await;
    for category in ["unit_test", ""] {
        let r = record(&gate, "m", category).await;
        assert!(near(r.calls, 5.0) && near(r.successes, 4.0), "{r:?}");
        assert!(
            r.latency == Duration::from_millis(1) && near(r.output_tokens, 100.0),
            "failures have none: {r:?}"
        );
        assert!(near(r.scored, 1.5) && near(r.score, 0.5), "(0.5 * 1 + 0.25) / 1.5: {r:?}");
    }
    t.pass_gate_for(2 * HOUR).await;
    call(&gate, "m", "", CallVerdict::Success, 2000, 100).await;
    let r = record(&gate, "m", "").await;
    assert!(near(r.calls, 2.25) && near(r.successes, 2.0), "{r:?}");
    assert_eq!(r.latency.as_micros(), 1500, "(1 * 1000 + 2000) / 2");
    assert!(near(record(&gate, "m", "unit_test").await.calls, 5.0), "another category learned nothing");
    t.done().await;
}

#[tokio::test]
async fn what_says_nothing_of_the_model_is_not_learned() {
    let (t, gate) = gate().await;
    call(&gate, "m", "c", CallVerdict::Neither, 1, 1).await;
    call(&gate, "", "c", CallVerdict::Success, 1, 1).await;
    judge(&gate, "", "c", 0.5).await;
    judge(&gate, "m", "c", -1.0).await;
    assert_eq!(gate.live().await.unwrap(), BTreeMap::new());
    t.done().await;
}

#[tokio::test]
async fn names_of_any_kind_do_no_harm() {
    let (t, gate) = gate().await;
    for model in ["a|b", "a b", "模型/é", "a|", "|", "*", "x\ny"] {
        for category in ["c", "c|d", "c d", "ü"] {
            call(&gate, model, category, CallVerdict::Success, 1, 1).await;
        }
        assert!(near(record(&gate, model, "").await.calls, 4.0), "{model:?}");
        assert!(near(record(&gate, model, "c d").await.calls, 1.0), "{model:?}");
    }
    assert!(
        !gate.live().await.unwrap().contains_key(&("a|b|c".to_owned(), "d".to_owned())),
        "no other model's"
    );
    let call = new_call();
    let usage = ("a|b c", "", "é|");
    let told = answered(&call, "p/m", CallVerdict::Success);
    gate.settle(&Answered { usage, counts: [("calls", 1)].into(), ..told }, "").await.unwrap();
    let day = t.server_time().await / 86_400_000_000;
    let used = &gate.usage(day).await.unwrap()[0];
    assert_eq!((used.model.as_str(), used.tenant.as_str(), used.figures["calls"]), ("a|b c", "é|", 1));
    t.done().await;
}

#[tokio::test]
async fn the_figures_of_a_day_add_up() {
    let (t, gate) = gate().await;
    for i in 1..=10 {
        let call = new_call();
        let counts = [("calls", 1), ("cost_nano", 1_000_000 * i), ("errors", i % 2), ("zero", 0)].into();
        let usage = ("p/m", "unit_test", "");
        let told = answered(&call, "p/m", CallVerdict::Success);
        gate.settle(&Answered { usage, counts, ..told }, "").await.unwrap();
    }
    let judged = Judged {
        live: ("p/m", "", HALF_LIFE, 0.8),
        forget: vec![],
        usage: ("p/m", "unit_test", ""),
        counts: [("validated", 1), ("score_milli", 800)].into(),
    };
    gate.judge(&judged).await.unwrap();
    let day = t.server_time().await / 86_400_000_000;
    let used = gate.usage(day).await.unwrap();
    let expected =
        [("calls", 10), ("cost_nano", 55_000_000), ("errors", 5), ("score_milli", 800), ("validated", 1)];
    let [of_both] = used.as_slice() else { panic!("{used:?}") };
    assert_eq!(of_both.figures, expected.map(|(figure, number)| (figure.to_owned(), number)).into());
    let ttl: i64 = t.redis(&["TTL", &t.gate_key(&format!("usage:{day}"))]).await;
    assert!(ttl > 39 * 86_400, "{ttl}");
    t.done().await;
}

#[tokio::test]
async fn what_a_batch_cost_is_known_without_a_budget() {
    let (t, gate) = gate().await;
    for (batch, cost) in [("nightly", 1_000), ("nightly", 2_500), ("other", 7), ("", 9)] {
        let call = new_call();
        let told = answered(&call, "p/m", CallVerdict::Success);
        gate.settle(&Answered { batch, cost, ..told }, "").await.unwrap();
    }
    let of = async |name: &str| {
        let known = gate.batch_cost(&BatchName::new(name).unwrap()).await.unwrap();
        (known.cost, known.calls)
    };
    assert_eq!((of("nightly").await, of("other").await, of("none").await), ((3_500, 2), (7, 1), (0, 0)));
    let kept: Vec<String> = t.redis(&["HKEYS", &t.gate_key("batches")]).await;
    assert_eq!(kept.len(), 2, "calls of no batch are of none: {kept:?}");
    t.done().await;
}

#[tokio::test]
async fn nonsense_does_not_stop_the_counting() {
    let (t, gate) = gate().await;
    for tokens in [i64::MAX, 9_000_000_000_000_000_000, 9_000_000_000_000_000_000, 5] {
        let call = new_call();
        let told = answered(&call, "p/m", CallVerdict::Success);
        let told = Answered { usage: ("m", "", ""), counts: [("input_tokens", tokens)].into(), ..told };
        gate.settle(&told, "").await.unwrap();
    }
    let day = t.server_time().await / 86_400_000_000;
    assert_eq!(gate.usage(day).await.unwrap()[0].figures["input_tokens"], 3_000_000_000_000_005);
    t.done().await;
}

/// Fills a hash of the gateway with `n` fields.
async fn fill(t: &crate::scene::Scene, hash: &str, n: u32, field: &str, value: &str) {
    let source =
        "for i = 1, tonumber(ARGV[2]) do redis.call('HSET', ARGV[1], 'other' .. i .. ARGV[3], ARGV[4]) end";
    t.lua::<()>(source, &[&t.gate_key(hash), &n.to_string(), field, value]).await;
}

#[tokio::test]
async fn names_beyond_the_cap_are_counted_together() {
    let (t, gate) = gate().await;
    let day = t.server_time().await / 86_400_000_000;
    let settle = async |name: &str| {
        let call = new_call();
        let told = answered(&call, "p/m", CallVerdict::Success);
        let told = Answered { usage: ("m", "t", name), counts: [("calls", 1)].into(), ..told };
        gate.settle(&told, "").await.unwrap();
    };
    settle("known").await;
    fill(&t, &format!("usage:{day}"), 20_000, "", "calls 1").await;
    for name in ["known", "new1", "new2", "new3"] {
        settle(name).await;
    }
    let used = gate.usage(day).await.unwrap();
    let of = |name: &str| used.iter().find(|used| used.tenant == name).map(|used| used.figures["calls"]);
    assert_eq!((of("known"), of("(other)"), of("new1")), (Some(2), Some(3), None));
    t.done().await;
}

/// Every node reads all live statistics every few seconds, and categories are given by users.
#[tokio::test]
async fn live_statistics_are_bounded_and_old_ones_go() {
    let (t, gate) = gate().await;
    let now = t.server_time().await;
    fill(&t, "live", 5000, "|", &format!("{now} 1 1 1 0 0 1")).await;
    call(&gate, "new", "c", CallVerdict::Success, 1, 1).await;
    assert_eq!(gate.live().await.unwrap().len(), 5000, "no room");
    t.pass_gate_for(12 * HOUR).await;
    for i in 0..50 {
        call(&gate, "new", &format!("c{i}"), CallVerdict::Success, 1, 1).await;
    }
    let live = gate.live().await.unwrap();
    assert!(live.len() < 4500, "{}", live.len());
    assert!(live.contains_key(&("new".to_owned(), "c49".to_owned())));
    t.done().await;
}
