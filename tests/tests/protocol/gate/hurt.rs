//! Redis is hurt: out of memory, without its scripts, with foreign values under our keys.

use std::{collections::BTreeMap, time::Duration};

use windlass_shared::store::{Answered, Ask, BreakerRule, CallVerdict, Gate, Judged, StoreError, Taught};

use super::{answered, ask, burst, done, free, gate, go, is_go, model, new_call, went};
use crate::scene::Scene;

fn priced() -> windlass_shared::store::AskModel {
    model("m", [600, 10_000, 10_000, 10], [1, 100, 100], Some(5))
}

/// Asks with everything that a question may have.
async fn asks(gate: &Gate, call: &str) -> Result<windlass_shared::store::Admission, StoreError> {
    let budgets = [super::budget::for_ever("fleet:", 1000), super::budget::for_ever("tenant:acme", 1000)];
    let models = [priced()];
    let question = Ask { cache: call, flight: true, tenant: "acme", budgets: &budgets, ..ask(call, &models) };
    gate.admit(&question).await
}

/// Tells everything that a report may tell.
async fn settles(gate: &Gate, call: &str) -> Result<bool, StoreError> {
    let taught = Taught { scope: "lane:p/k/m".into(), limits: [60, 0, 0], remaining: [10, -1, -1] };
    let told = Answered {
        taught,
        used: [10, 10],
        cost: 1,
        flight: call,
        cache: call,
        cool: vec![("p/k/other", 1_000_000, "server")],
        live: ("p/m", "unit_test", 1_000_000, 1, 1),
        batch: "b",
        usage: ("p/m", "", ""),
        counts: BTreeMap::from([("calls", 1)]),
        ..done(call)
    };
    gate.settle(&told, "answer").await
}

async fn memory(t: &Scene, limit: &str) {
    t.redis::<()>(&["CONFIG", "SET", "maxmemory", limit]).await;
}

#[tokio::test]
async fn out_of_memory_a_question_is_refused_and_changes_nothing() {
    let (t, gate) = gate().await;
    let (open, waits, lost) = (new_call(), new_call(), new_call());
    asks(&gate, &open).await.unwrap();
    asks(&gate, &lost).await.unwrap();
    let models = [super::requests(60)];
    burst(&t, &gate, &models[0]).await;
    let told = gate.admit(&ask(&waits, &models)).await.unwrap();
    let windlass_shared::store::Admission::Wait { asked, scope, .. } = told else { panic!() };
    t.pass_gate_for(Duration::from_secs(90)).await; // something lapsed, somebody vanished
    let before = t.snapshot().await;
    memory(&t, "1").await;
    for flush in [false, true] {
        if flush {
            t.redis::<()>(&["SCRIPT", "FLUSH"]).await;
        }
        let call = new_call();
        assert!(matches!(asks(&gate, &call).await, Err(StoreError::OutOfMemory)));
        let again = Ask { asked, waiting: &scope, ..ask(&waits, &models) };
        assert!(matches!(gate.admit(&again).await, Err(StoreError::OutOfMemory)));
    }
    memory(&t, "0").await;
    t.expect_changes(&before, &[]).await;
    t.done().await;
}

#[tokio::test]
async fn out_of_memory_a_known_answer_is_given() {
    let (t, gate) = gate().await;
    let call = new_call();
    asks(&gate, &call).await.unwrap();
    settles(&gate, &call).await.unwrap();
    memory(&t, "1").await;
    let answer = asks(&gate, &call).await.unwrap();
    assert_eq!(answer, windlass_shared::store::Admission::Hit("answer".into()));
    t.done().await;
}

/// A call that was made is told of as ever: what was reserved is corrected, nothing half.
#[tokio::test]
async fn out_of_memory_a_report_changes_all_that_it_changes_otherwise() {
    let mut changes = Vec::new();
    for limit in ["0", "1"] {
        let (t, gate) = gate().await;
        let call = "same";
        asks(&gate, call).await.unwrap();
        if limit == "1" {
            t.redis::<()>(&["SCRIPT", "FLUSH"]).await;
        }
        let before = t.snapshot().await;
        memory(&t, limit).await;
        assert!(settles(&gate, call).await.unwrap());
        assert!(!settles(&gate, "lapsed").await.unwrap(), "late");
        memory(&t, "0").await;
        let lines = before.changes(&t.snapshot().await);
        let names: Vec<String> =
            lines.iter().map(|line| line.split('=').next().unwrap().to_owned()).collect();
        assert_eq!(super::budget::spent(&t, "fleet::all").await["charged"], "1");
        assert_eq!(t.in_flight("model:p/m").await, 0);
        // Entries of streams are named after the moment.
        changes.push(names.into_iter().filter(|name| !name.contains(" 1")).collect::<Vec<_>>());
        t.done().await;
    }
    assert_eq!(changes[0], changes[1]);
}

#[tokio::test]
async fn out_of_memory_breakers_and_verdicts_work() {
    let (t, gate) = gate().await;
    let rule = BreakerRule { threshold: 1, ..BreakerRule::default() };
    gate.settle(&Answered { cache: "bad", ..done("x") }, "answer").await.unwrap();
    memory(&t, "1").await;
    gate.called("host", CallVerdict::Failure, "server", rule).await.unwrap();
    assert!(gate.may_call("host", rule).await.unwrap().is_some());
    let judged =
        Judged { live: ("m", "c", 1000, 0.5), forget: vec!["bad"], usage: ("", "", ""), counts: [].into() };
    gate.judge(&judged).await.unwrap();
    assert_eq!(gate.cached("bad").await.unwrap(), None);
    t.done().await;
}

#[tokio::test]
async fn scripts_that_are_forgotten_are_sent_again() {
    let (t, gate) = gate().await;
    let flush = async || t.redis::<()>(&["SCRIPT", "FLUSH"]).await;
    let call = new_call();
    flush().await;
    assert!(is_go(&asks(&gate, &call).await.unwrap()));
    flush().await;
    assert!(settles(&gate, &call).await.unwrap());
    flush().await;
    let judged =
        Judged { live: ("m", "", 1000, 0.5), forget: vec![], usage: ("", "", ""), counts: [].into() };
    gate.judge(&judged).await.unwrap();
    flush().await;
    assert_eq!(gate.may_call("host", BreakerRule::default()).await.unwrap(), None);
    t.done().await;
}

/// A foreign value under a key that only informs must not keep anybody from calling.
#[tokio::test]
async fn a_foreign_value_under_a_key_that_informs_stops_nobody() {
    let (t, gate) = gate().await;
    let day = t.server_time().await / 86_400_000_000;
    let usage = format!("usage:{day}");
    for name in ["events", "live", "learned", "budget-uses", usage.as_str()] {
        let key = t.gate_key(name);
        t.redis::<()>(&["DEL", &key]).await;
        t.redis::<()>(&["SET", &key, "foreign"]).await;
        let call = new_call();
        assert!(is_go(&asks(&gate, &call).await.unwrap()), "{name}");
        assert!(settles(&gate, &call).await.unwrap(), "{name}");
        assert!(gate.cached(&call).await.unwrap().is_some(), "{name}");
        let judged = Judged {
            live: ("p/m", "c", 1000, 0.5),
            forget: vec![],
            usage: ("p/m", "", ""),
            counts: [("validated", 1)].into(),
        };
        gate.judge(&judged).await.unwrap();
    }
    t.done().await;
}

#[tokio::test]
async fn a_foreign_value_in_the_cache_is_no_answer_and_is_written_over() {
    let (t, gate) = gate().await;
    let call = new_call();
    t.redis::<()>(&["HSET", &t.gate_key(&format!("cache:{call}")), "a", "b"]).await;
    assert!(is_go(&asks(&gate, &call).await.unwrap()));
    settles(&gate, &call).await.unwrap();
    assert_eq!(gate.cached(&call).await.unwrap().as_deref(), Some("answer"));
    t.done().await;
}

/// One tenant's broken figures stop that tenant's calls, and no other's, not even when its calls lapse.
#[tokio::test]
async fn broken_figures_of_a_budget_stop_nobody_else() {
    let (t, gate) = gate().await;
    let models = [priced()];
    let budgets = [super::budget::for_ever("tenant:*", 1000)];
    let asks = async |tenant: &str| {
        let call = new_call();
        let answer = gate.admit(&Ask { tenant, budgets: &budgets, ..ask(&call, &models) }).await;
        answer.map(|answer| (call, answer))
    };
    let (call, _) = asks("acme").await.unwrap();
    asks("acme").await.unwrap();
    let key = t.gate_key("spent:tenant:acme:all");
    t.redis::<()>(&["DEL", &key]).await;
    t.redis::<()>(&["SET", &key, "foreign"]).await;
    assert!(asks("acme").await.is_err(), "nobody knows what it may spend");
    assert!(gate.settle(&answered(&call, "p/m", CallVerdict::Success), "").await.unwrap());
    assert_eq!(t.in_flight("model:p/m").await, 1);
    t.pass_gate_for(Duration::from_secs(61)).await;
    assert!(is_go(&asks("other").await.unwrap().1));
    assert_eq!(t.in_flight("model:p/m").await, 1, "the other's own");
    t.done().await;
}

#[tokio::test]
async fn records_that_cannot_be_read_do_not_stop_the_others() {
    let (t, gate) = gate().await;
    let calls = [new_call(), new_call()];
    for call in &calls {
        asks(&gate, call).await.unwrap();
    }
    t.redis::<()>(&["HSET", &t.gate_key("calls"), &calls[0], "not JSON"]).await;
    t.pass_gate_for(Duration::from_secs(61)).await;
    go(&gate, &priced()).await;
    assert_eq!(t.in_flight("model:p/m").await, 2, "the unreadable one's slot is lost, the other's is not");
    for hash in ["buckets", "breakers", "cooldowns", "learned", "live"] {
        for field in ["model:p/m", "p/m", "p/k/m", "lane:p/k/m", "p/m|"] {
            t.redis::<()>(&["HSET", &t.gate_key(hash), field, "what is this"]).await;
        }
    }
    let (call, answer) = went(&gate, &[free("m")]).await;
    assert!(is_go(&answer), "{answer:?}");
    assert!(settles(&gate, &call).await.unwrap());
    t.done().await;
}
