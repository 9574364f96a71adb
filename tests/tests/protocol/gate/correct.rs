//! After the call: what it used in truth, and what becomes of a reservation that nobody settles.

use std::time::Duration;

use super::{answered, ask, burst, done, gate, go, new_call, tokens, told_wait, went};
use windlass_shared::store::{Answered, Ask, CallVerdict, Taught};

/// The level of input tokens as it was stored.
async fn level(t: &crate::scene::Scene) -> f64 {
    t.words("buckets", "model:p/m").await[2]
}

#[tokio::test]
async fn unused_tokens_come_back_but_never_above_the_burst() {
    let (t, gate) = gate().await;
    let call = go(&gate, &tokens(1000, 100)).await;
    let (asked, models) = (new_call(), [tokens(1000, 90)]);
    let low = gate.admit(&Ask { rank: 3, ..ask(&asked, &models) }).await.unwrap();
    assert!(told_wait(&low) > Duration::from_secs(5));
    gate.settle(&Answered { used: [10, 0], ..done(&call) }, "").await.unwrap();
    go(&gate, &tokens(1000, 90)).await;
    let (t2, gate2) = super::gate().await;
    let call = go(&gate2, &tokens(1000, 100)).await;
    t2.pass_gate_for(Duration::from_secs(6)).await;
    gate2.settle(&Answered { used: [0, 0], ..done(&call) }, "").await.unwrap();
    assert!(level(&t2).await <= 100.0, "{}", level(&t2).await);
    t.done().await;
    t2.done().await;
}

#[tokio::test]
async fn a_correction_does_not_end_the_quiet_that_a_large_call_waits_for() {
    let (t, gate) = gate().await;
    let call = go(&gate, &tokens(1000, 20)).await;
    t.pass_gate_for(Duration::from_secs(55)).await;
    gate.settle(&Answered { used: [10, 0], ..done(&call) }, "").await.unwrap();
    go(&gate, &tokens(1000, 800)).await;
    t.done().await;
}

#[tokio::test]
async fn what_was_used_beyond_is_a_debt() {
    let (t, gate) = gate().await;
    let call = go(&gate, &tokens(1000, 100)).await;
    // A long call: the bucket was full again before the truth was told.
    t.pass_gate_for(Duration::from_mins(5)).await;
    gate.settle(&Answered { used: [550, 0], ..done(&call) }, "").await.unwrap();
    let wait = told_wait(&went(&gate, &[tokens(1000, 100)]).await.1);
    assert!((29.0..=31.0).contains(&wait.as_secs_f64()), "450 tokens at 900 a minute: {wait:?}");
    t.done().await;
}

#[tokio::test]
async fn a_provider_that_tells_nonsense_stops_the_bucket_for_a_minute_at_most() {
    for used in [i64::MAX, 1 << 53, 10_000_000] {
        let (t, gate) = gate().await;
        let call = go(&gate, &tokens(1000, 100)).await;
        let told = Answered { used: [used, used], cost: used, ..done(&call) };
        let counts = [("input_tokens", used), ("cost_nano", used)].into();
        let told = Answered { usage: ("p/m", "", ""), counts, ..told };
        assert!(gate.settle(&told, "").await.unwrap());
        t.pass_gate_for(Duration::from_secs(62)).await;
        let (calls, wait) = burst(&t, &gate, &tokens(1000, 10)).await;
        assert!(calls >= 10 && wait < Duration::from_secs(1), "{calls}, {wait:?}");
        t.done().await;
    }
}

#[tokio::test]
async fn unknown_usage_is_what_was_reserved() {
    let (t, gate) = gate().await;
    let call = go(&gate, &tokens(1000, 100)).await;
    let before = level(&t).await;
    gate.settle(&done(&call), "").await.unwrap();
    assert!(level(&t).await - before < 5.0);
    t.done().await;
}

#[tokio::test]
async fn a_reservation_lapses_at_its_deadline_and_stays_spent() {
    let (t, gate) = gate().await;
    let models = [super::model("m", [0, 1000, 0, 1], [1, 100, 0], Some(0))];
    let call = new_call();
    let question = Ask { hold: Duration::from_secs(3), ..ask(&call, &models) };
    assert!(super::is_go(&gate.admit(&question).await.unwrap()));
    t.pass_gate_for(Duration::from_secs(2)).await;
    let (low, one) = (new_call(), [super::model("m", [0, 1000, 0, 1], [1, 1, 0], Some(0))]);
    let kept = gate.admit(&Ask { rank: 3, ..ask(&low, &one) }).await.unwrap();
    assert_eq!(super::reasons(&kept), ["limit model:p/m"], "it is in flight");
    t.pass_gate_for(Duration::from_secs(1)).await;
    let wait = told_wait(&went(&gate, &models).await.1);
    assert_eq!(t.in_flight("model:p/m").await, 0);
    assert!((3.0..3.8).contains(&wait.as_secs_f64()), "the tokens did not come back: {wait:?}");
    t.pass_gate_for(wait).await;
    go(&gate, &models[0]).await;
    assert_eq!(t.in_flight("model:p/m").await, 1);
    t.done().await;
}

#[tokio::test]
async fn a_late_word_corrects_nothing_twice() {
    let (t, gate) = gate().await;
    let models = [super::model("m", [0, 1000, 0, 2], [1, 100, 0], Some(5))];
    let budgets = [super::budget::for_ever("fleet:", 1000)];
    let calls = [new_call(), new_call()];
    let question = |call| Ask { hold: Duration::from_secs(3), budgets: &budgets, ..ask(call, &models) };
    assert!(super::is_go(&gate.admit(&question(&calls[0])).await.unwrap()));
    t.pass_gate_for(Duration::from_secs(8)).await;
    assert!(super::is_go(&gate.admit(&question(&calls[1])).await.unwrap()));
    let before = (t.words("buckets", "model:p/m").await, super::budget::spent(&t, "fleet::all").await);
    let late = Answered { used: [1, 1], cost: 1, ..answered(&calls[0], "p/m", CallVerdict::Failure) };
    assert!(!gate.settle(&late, "").await.unwrap());
    let after = (t.words("buckets", "model:p/m").await, super::budget::spent(&t, "fleet::all").await);
    assert_eq!(before, after);
    assert!(gate.breakers().await.unwrap().is_empty(), "it tells of times past");
    let told = Answered { used: [100, 0], cost: 5, ..done(&calls[1]) };
    assert!(gate.settle(&told, "").await.unwrap());
    assert!(!gate.settle(&told, "").await.unwrap(), "told twice");
    assert_eq!(t.in_flight("model:p/m").await, 0);
    for left in [&["ZCARD", &t.gate_key("deadlines")], &["HLEN", &t.gate_key("calls")]] {
        assert_eq!(t.redis::<usize>(left).await, 0);
    }
    t.done().await;
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_no_fault() {
    let (t, gate) = gate().await;
    let call = go(&gate, &tokens(1000, 100)).await;
    t.redis::<()>(&["DEL", &t.gate_key("buckets")]).await;
    let taught = Taught { scope: "lane:p/k/m".into(), limits: [9, 0, 0], remaining: [1, -1, -1] };
    assert!(gate.settle(&Answered { used: [7, 7], taught, ..done(&call) }, "").await.unwrap());
    burst(&t, &gate, &tokens(1000, 100)).await;
    t.done().await;
}
