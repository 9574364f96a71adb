//! Calls to models: limits, breakers, budgets, the cache and figures that the fleet shares (`llm/*.lua`).

mod bounded;
mod breaker;
mod budget;
mod cache;
mod clock;
mod concurrent;
mod cool;
mod correct;
mod figures;
mod hurt;
mod learned;
mod line;
mod park;
mod sim;
mod tokens;
mod travel;
mod window;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use windlass_shared::store::{
    Admission, Answered, Ask, AskModel, BreakerRule, CallVerdict, Gate, Skipped, Taught,
};

use crate::scene::Scene;

const CENT: i64 = 10_000_000;
/// One who waits for this long in its slot gives it back for nothing.
const PATIENT: Duration = Duration::from_hours(1);

/// A scene without tasks; its queue's audit is trivial.
async fn gate() -> (Scene, Gate) {
    let t = Scene::new().await;
    let gate = t.store.gate();
    (t, gate)
}

/// A model `p/NAME` with a bucket of its own, and a lane without configured limits.
fn model(name: &str, limits: [u64; 4], need: [u64; 3], cost: Option<i64>) -> AskModel {
    AskModel {
        breaker: format!("p/{name}"),
        lane: format!("p/k/{name}"),
        key: "p/k".into(),
        need,
        cost,
        buckets: vec![(format!("model:p/{name}"), limits), (format!("lane:p/k/{name}"), [0; 4])],
    }
}

/// A call that nothing limits.
fn free(name: &str) -> AskModel {
    model(name, [0; 4], [1, 10, 10], Some(0))
}

/// A call of one request against a limit of requests a minute.
fn requests(limit: u64) -> AskModel {
    model("m", [limit, 0, 0, 0], [1, 0, 0], Some(0))
}

/// A call that needs so many input tokens, against a limit of input tokens a minute.
fn tokens(limit: u64, need: u64) -> AskModel {
    model("m", [0, limit, 0, 0], [1, need, 0], Some(0))
}

static CALLS: AtomicU32 = AtomicU32::new(0);

fn new_call() -> String {
    format!("c{}", CALLS.fetch_add(1, Ordering::Relaxed))
}

fn ask<'a>(call: &'a str, models: &'a [AskModel]) -> Ask<'a> {
    Ask {
        call,
        once: false,
        hold: Duration::from_mins(1),
        slot_wait: Duration::from_secs(2),
        rank: 2,
        asked: 0,
        returning: false,
        waiting: "",
        cache: "",
        flight: false,
        tenant: "",
        batch: "",
        queue: "q",
        budgets: &[],
        models,
        breaker: BreakerRule::default(),
    }
}

fn answered<'a>(call: &'a str, model: &'a str, verdict: CallVerdict) -> Answered<'a> {
    Answered {
        call,
        model,
        verdict,
        class: if verdict == CallVerdict::Success { "" } else { "server" },
        used: [-1, -1],
        cost: -1,
        cool: vec![],
        taught: Taught::default(),
        flight: "",
        cache: "",
        ttl: 60_000,
        breaker: BreakerRule::default(),
        live: ("", "", 3_600_000_000, 1000, 5),
        batch: "",
        usage: ("", "", ""),
        counts: BTreeMap::new(),
    }
}

/// A success of `p/m` of which nothing else is told.
fn done(call: &str) -> Answered<'_> {
    answered(call, "p/m", CallVerdict::Success)
}

/// Asks with a new call.
async fn went(gate: &Gate, models: &[AskModel]) -> (String, Admission) {
    let call = new_call();
    let admission = gate.admit(&ask(&call, models)).await.expect("admit");
    (call, admission)
}

/// Asks with a new call that must be let through.
async fn go(gate: &Gate, model: &AskModel) -> String {
    let (call, admission) = went(gate, std::slice::from_ref(model)).await;
    assert!(is_go(&admission), "{admission:?}");
    call
}

/// How many calls go at once before one has to wait, and for how long it has to. It leaves the line again.
async fn burst(t: &Scene, gate: &Gate, model: &AskModel) -> (u64, Duration) {
    let models = [model.clone()];
    for calls in 0..10_000 {
        let call = new_call();
        let answer = gate.admit(&Ask { slot_wait: PATIENT, ..ask(&call, &models) }).await.expect("admit");
        if let Admission::Wait { wait, scope, .. } = answer {
            t.redis::<()>(&["DEL", &t.gate_key(&format!("waiting:{scope}"))]).await;
            return (calls, wait);
        }
        assert!(is_go(&answer), "{answer:?}");
    }
    panic!("nothing limits {model:?}");
}

/// Takes all of the burst of `requests(60)`, and leaves nobody in line.
async fn drained() -> (Scene, Gate) {
    let (t, gate) = gate().await;
    go(&gate, &requests(60)).await;
    (t, gate)
}

fn is_go(admission: &Admission) -> bool {
    matches!(admission, Admission::Go { .. })
}

fn told_wait(admission: &Admission) -> Duration {
    match admission {
        Admission::Wait { wait, .. } | Admission::Flight { wait, .. } => *wait,
        other => panic!("not told to wait: {other:?}"),
    }
}

/// The reasons why models were not called, as `REASON DETAIL`.
fn reasons(admission: &Admission) -> Vec<String> {
    let (Admission::Go { skipped, .. } | Admission::Wait { skipped, .. } | Admission::Refused(skipped)) =
        admission
    else {
        panic!("{admission:?} tells no reasons")
    };
    skipped.iter().map(|Skipped { reason, detail, .. }| format!("{reason} {detail}")).collect()
}

impl Scene {
    /// A key of the gateway.
    fn gate_key(&self, name: &str) -> String {
        self.store.keys().gate_key(name)
    }

    /// The words of a packed field of one of the gateway's hashes.
    async fn words(&self, hash: &str, field: &str) -> Vec<f64> {
        let text: Option<String> = self.redis(&["HGET", &self.gate_key(hash), field]).await;
        text.unwrap_or_default().split_whitespace().map(|word| word.parse().unwrap_or(0.0)).collect()
    }

    /// Calls in flight, as a bucket counts them.
    async fn in_flight(&self, scope: &str) -> i64 {
        self.words("buckets", scope).await.get(7).map_or(0, |number| *number as i64)
    }
}
